// Before the first test: dist/ is made anew where it is older than the sources, since some tests start its programs.
// `npm test` has built already, so that this costs a look at the files' times.
import { execFileSync } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

const folders = ["platform", "refpage", "allocator", "bench"];

function newestSource(): number {
  const files = folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => join(folder, name)),
  );
  return Math.max(0, ...files.map((file) => statSync(file).mtimeMs));
}

/** Vitest calls this once, in the project's folder. */
export function setup(): void {
  const built = statSync("dist/.built", { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (built >= newestSource()) return;
  execFileSync("npm", ["run", "--silent", "build"], { stdio: "inherit" });
}
