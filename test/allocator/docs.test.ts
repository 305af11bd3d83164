// The examples in the heap's pages of the docs: each is run against the sources and must print what the page shows.
// (That they also run against the packed package is tested in test/package.test.ts.)
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DEFAULT_FLAGS } from "../../allocator/options/flags.ts";
import { OPTION_NAMES } from "../../allocator/options/options.ts";
import { readExamples } from "../package/examples.ts";

const root = resolve(fileURLToPath(import.meta.url), "../../..");
const pages = ["docs/heap.md", "docs/options.md", "docs/tagging.md", "docs/uninitialised.md", "docs/wasm.md"];
const examples = pages.flatMap((page) => readExamples(page, readFileSync(join(root, page), "utf8")));
let folder = "";

/** Bundles all examples together; entries share nothing. */
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "refheap-docs-"));
  for (const { name, code } of examples) writeFileSync(join(folder, `${name}.ts`), code);
  const bundle = await rolldown({
    input: Object.fromEntries(examples.map(({ name }) => [name, join(folder, `${name}.ts`)])),
    platform: "node",
    logLevel: "silent",
    // `using` is younger than the oldest Node that the package supports.
    transform: { target: "es2023" },
    resolve: {
      alias: {
        "refheap/kernel": join(root, "refpage/index.ts"),
        "refheap/wasm": join(root, "allocator/wasm/index.ts"),
        refheap: join(root, "allocator/index.ts"),
      },
    },
  });
  await bundle.write({ dir: join(folder, "out"), format: "esm", entryFileNames: "[name].mjs", sourcemap: "inline" });
});

afterAll(() => {
  if (folder !== "") rmSync(folder, { recursive: true, force: true });
});

test("the guide has fourteen examples", () => {
  expect(examples.filter(({ name }) => name.startsWith("docs-heap"))).toHaveLength(14);
});

describe("an example of the docs prints what its page shows", () => {
  test.each(examples)("$name", ({ name, output }) => {
    const printed = execFileSync(process.execPath, [join(folder, "out", `${name}.mjs`)], { encoding: "utf8" });
    expect(printed).toBe(output);
  });
});

describe("the page about Scudo's unit tests", () => {
  const page = readFileSync(join(root, "docs/scudo-tests.md"), "utf8");
  const rows = [...page.matchAll(/^\| [^|]+ \| ([\w.-]+) \| ([^|]+) \|$/gm)]
    .map(([, file, words]) => ({ file: file!, words: words! }))
    .filter(({ file }) => file !== "file");

  const folder = join(root, "test/allocator");
  const testFiles = readdirSync(folder, { recursive: true, encoding: "utf8" });
  const testFile = (name: string): string => {
    const found = testFiles.find((file) => basename(file) === `${name}.test.ts`);
    if (found === undefined)
      throw new Error(`docs/scudo-tests.md names ${name}, and no folder of test/allocator has it`);
    return join(folder, found);
  };

  test("names tests that there are", () => {
    const missing = rows.filter(({ file, words }) => {
      const source = readFileSync(testFile(file), "utf8");
      return !source.includes(`"${words}"`) && !source.includes(`"${words}"`.replaceAll("'", "\\'"));
    });
    expect(missing).toEqual([]);
    expect(rows.length).toBeGreaterThan(60);
  });
});

test("the page of options has a row for each of them", () => {
  const page = readFileSync(join(root, "docs/options.md"), "utf8");
  const flags = Object.keys(DEFAULT_FLAGS);
  // What only says where other options come from is in the text, not in a table.
  const missing = [...OPTION_NAMES, ...flags].filter((name) => !page.includes(`\`${name}`));
  expect(missing).toEqual([]);
});
