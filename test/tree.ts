// The project's files as tests of the whole tree see them: their paths from the root, and their text.
// Which of them a rule is about is said by the test that holds it.
import { readdirSync, readFileSync } from "node:fs";
import { join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

export const root = resolve(fileURLToPath(import.meta.url), "../..");

/** Files below a folder whose names end as asked, sorted; none of packages that are installed there, or if there is no such folder. */
export function filesBelow(folder: string, ending = /./): string[] {
  let names: string[];
  try {
    names = readdirSync(join(root, folder), { recursive: true, encoding: "utf8" });
  } catch {
    return [];
  }
  return names
    .filter((name) => ending.test(name) && !/(?:^|[\\/])node_modules(?:[\\/]|$)/.test(name))
    .map((name) =>
      relative(root, join(root, folder, name))
        .split(sep)
        .join("/"),
    )
    .sort();
}

export function read(file: string): string {
  return readFileSync(join(root, file), "utf8");
}
