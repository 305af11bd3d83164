// The examples of docs/vitest.md and docs/wasm.md for runners: each is a test file of its own in a project of a user's, and passes in a real run of its runner.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { wat } from "../../../fuzz/wasm/wat.ts";

const root = resolve(fileURLToPath(import.meta.url), "../../../..");
const page = ["docs/vitest.md", "docs/wasm.md"].map((name) => readFileSync(join(root, name), "utf8")).join("\n");
const codeOf = (fence: string) =>
  [...page.matchAll(new RegExp(`^\`\`\`${fence}\n([^]*?)^\`\`\`$`, "gm"))].map(([, code]) => code!);
const forVitest = codeOf("ts vitest");
const forNode = codeOf("js node:test");
let folder = "";
/** The module of docs/wasm.md's example: malloc and free, which the heap takes over, and a load. */
const decoder = wat(`(module (memory (export "memory") 1)
  (func $malloc (export "malloc") (param i32) (result i32) (unreachable))
  (func $free (export "free") (param i32) (unreachable))
  (func (export "peek") (param i32) (result i32) (i32.load (local.get 0))))`);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "refheap-vitest-docs-"));
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(root, join(folder, "node_modules/refheap"));
  symlinkSync(join(root, "node_modules/vitest"), join(folder, "node_modules/vitest"));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module", private: true }));
  writeFileSync(join(folder, "decoder.wasm"), decoder);
  for (const [i, code] of forVitest.entries()) writeFileSync(join(folder, `example-${i}.test.ts`), code);
  for (const [i, code] of forNode.entries()) writeFileSync(join(folder, `example-${i}.node.mjs`), code);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(given: readonly string[]): string {
  const { stdout, stderr } = spawnSync(process.execPath, given, {
    cwd: folder,
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: "0", CI: "1", NODE_TEST_CONTEXT: undefined, VITEST: undefined },
  });
  return stdout + stderr;
}

test("the page's examples for Vitest pass", () => {
  const output = run([join(root, "node_modules/vitest/vitest.mjs"), "run", "--no-color"]);
  expect(output).toMatch(/Test Files {2}5 passed \(5\)/);
});

test("the page's examples for node:test pass", () => {
  expect(run(["--test", ...forNode.map((_, i) => `example-${i}.node.mjs`)])).toMatch(/pass 1\n.*fail 0\n/s);
});

test("the page has a row for each matcher", () => {
  const types = readFileSync(join(root, "allocator/vitest/types.ts"), "utf8");
  const names = [...types.matchAll(/^ {2}(to\w+)\(/gm)].map(([, name]) => name!);
  expect(names.length).toBeGreaterThan(8);
  expect(names.filter((name) => !page.includes(`\`${name}(`))).toEqual([]);
});
