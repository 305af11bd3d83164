// The examples in the heap's pages of the docs: each is run against the sources and must print what the page shows.
// (That they also run against the packed package is test/package.test.ts's business.)
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readExamples } from "../package/examples.ts";

const root = resolve(fileURLToPath(import.meta.url), "../../..");
const pages = ["docs/heap.md", "docs/options.md"];
const examples = pages.flatMap((page) => readExamples(page, readFileSync(join(root, page), "utf8")));
let folder = "";

/** Bundles all examples at once; entries share nothing. */
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "refheap-docs-"));
  for (const { name, code } of examples) writeFileSync(join(folder, `${name}.ts`), code);
  await build({
    entryPoints: examples.map(({ name }) => join(folder, `${name}.ts`)),
    outdir: join(folder, "out"),
    outExtension: { ".js": ".mjs" },
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    sourcemap: "inline",
    logLevel: "error",
    alias: { refheap: join(root, "allocator/index.ts"), "refheap/kernel": join(root, "refpage/index.ts") },
  });
});

afterAll(() => {
  if (folder !== "") rmSync(folder, { recursive: true, force: true });
});

test("the guide has ten examples", () => {
  expect(examples.filter(({ name }) => name.startsWith("docs-heap"))).toHaveLength(10);
});

describe("an example of the docs prints what its page shows", () => {
  test.each(examples)("$name", ({ name, output }) => {
    const printed = execFileSync(process.execPath, [join(folder, "out", `${name}.mjs`)], { encoding: "utf8" });
    expect(printed).toBe(output);
  });
});
