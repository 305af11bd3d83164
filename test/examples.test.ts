// The projects in examples/, each in a copy of its own beside the built package: its start command prints what its README shows.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compileC } from "./allocator/wasm/clang.ts";

const root = resolve(fileURLToPath(import.meta.url), "../..");
const projects = readdirSync(join(root, "examples"), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
let folder = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "refheap-examples-"));
  cpSync(join(root, "examples"), folder, { recursive: true });
  mkdirSync(join(folder, "node_modules/.bin"), { recursive: true });
  symlinkSync(root, join(folder, "node_modules/refheap"));
  symlinkSync(join(root, "node_modules/vitest"), join(folder, "node_modules/vitest"));
  symlinkSync(join(root, "dist/cli/main.js"), join(folder, "node_modules/.bin/refheap"));
  symlinkSync(join(root, "node_modules/vitest/vitest.mjs"), join(folder, "node_modules/.bin/vitest"));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What `npm start` prints, without colours and times. */
function start(project: string): string {
  const { stdout, stderr } = spawnSync("npm", ["start", "--silent"], {
    cwd: join(folder, project),
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: "0", CI: "1", VITEST: undefined },
  });
  return (stdout + stderr).replaceAll(/ \d+ms$/gm, "");
}

describe("an example", () => {
  test("is in the list", () => {
    const list = readFileSync(join(root, "examples/README.md"), "utf8");
    expect(projects.length).toBeGreaterThanOrEqual(5);
    for (const project of projects) expect(list).toContain(`[${project}](${project}/README.md)`);
  });

  test.each(projects)("%s prints what its README shows", (project) => {
    const readme = readFileSync(join(root, `examples/${project}/README.md`), "utf8");
    const shown = /^```text\n((?:(?!```).*\n)+)```$/m.exec(readme)?.[1];
    expect(shown).toBeDefined();
    expect(start(project)).toContain(shown);
  });

  test.each(projects)("%s asks for this version of the package, and for nothing else but Vitest", (project) => {
    const manifest = JSON.parse(readFileSync(join(root, `examples/${project}/package.json`), "utf8"));
    const { vitest: _, ...wanted } = { ...manifest.dependencies, ...manifest.devDependencies };
    expect(wanted).toEqual({ refheap: `^${version}` });
    expect(manifest.private).toBe(true);
  });
});

test("the C module has the finding that its source has, where the compiler is installed", (context) => {
  const source = join(folder, "c-module");
  const built = compileC(join(source, "list.c"), [
    "-O1",
    "-g",
    ...[source, root].map((path) => `-ffile-prefix-map=${path}=.`),
  ]);
  if (built === null) return context.skip("no clang for wasm32-wasi");
  const kept = start("c-module");
  writeFileSync(join(source, "list.wasm"), built);
  expect(start("c-module")).toBe(kept);
});
