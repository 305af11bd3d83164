// The package as a user gets it: packed, installed in an empty folder without a network, imported, type-checked, its
// command started, and every example of the docs compiled against it, run, and held to the output that the docs show.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { publint } from "publint";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Example, readExamples } from "./package/examples.ts";

const root = resolve(fileURLToPath(import.meta.url), "../..");
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const documents = [
  "README.md",
  ...readdirSync(join(root, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];
const examples = documents.flatMap((document) => readExamples(document, readFileSync(join(root, document), "utf8")));

/** What the examples use of a host, whichever it is. */
const GLOBALS = `declare const console: { log(...values: unknown[]): void };
declare class TextEncoder { encode(text?: string): Uint8Array<ArrayBuffer>; }
declare class TextDecoder { decode(bytes?: ArrayBufferView | ArrayBuffer): string; }
`;

let folder = "";
let packedFiles: string[] = [];

function run(program: string, programArguments: readonly string[], cwd: string = folder): string {
  return execFileSync(program, programArguments, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/** Compiles what is in `source` of the consumer's folder against the installed package. @returns the compiler's complaints. */
function compile(source: string): string {
  const compilerOptions = {
    target: "es2023",
    lib: ["es2023", "esnext.disposable"],
    types: [],
    module: "nodenext",
    strict: true,
    skipLibCheck: false,
    rootDir: source,
    outDir: `${source}-js`,
  };
  writeFileSync(
    join(folder, `tsconfig.${source}.json`),
    JSON.stringify({ compilerOptions, include: [source, "globals.d.ts"] }),
  );
  try {
    run(join(root, "node_modules/.bin/tsc"), ["-p", `tsconfig.${source}.json`]);
    return "";
  } catch (error) {
    return (error as { stdout: string }).stdout;
  }
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "refheap-package-"));
  const [packed] = JSON.parse(run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder], root));
  packedFiles = packed.files.map((file: { path: string }) => file.path);
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "consumer", type: "module", private: true }));
  writeFileSync(join(folder, "globals.d.ts"), GLOBALS);
  run("npm", ["install", "--offline", "--no-audit", "--no-fund", `./${packed.filename}`]);
});

afterAll(() => {
  if (folder !== "") rmSync(folder, { recursive: true, force: true });
});

describe("the packed package", () => {
  test("needs no other package at run time", () => {
    expect(manifest.dependencies).toBeUndefined();
    expect(readdirSync(join(folder, "node_modules")).filter((name) => !name.startsWith("."))).toEqual(["refheap"]);
  });

  test("holds the library, its types, the licence and the docs, and nothing of tests or benchmarks", () => {
    const tops = new Set(
      packedFiles.map((file) =>
        file
          .split("/")
          .slice(0, file.startsWith("dist/") ? 2 : 1)
          .join("/"),
      ),
    );
    const known = ["CHANGELOG.md", "LICENSE", "README.md", "docs", "package.json"];
    const built = ["dist/_virtual", "dist/allocator", "dist/cli", "dist/platform", "dist/refpage"];
    expect([...tops].filter((name) => ![...known, ...built].includes(name))).toEqual([]);
    expect([...tops]).toEqual(
      expect.arrayContaining([...known, "dist/allocator", "dist/cli", "dist/platform", "dist/refpage"]),
    );
  });

  test("has an entry for each export, with types", () => {
    for (const target of Object.values<{ types: string; default: string } | string>(manifest.exports)) {
      for (const file of typeof target === "string" ? [target] : Object.values(target)) {
        expect(packedFiles).toContain(file.replace("./", ""));
      }
    }
  });

  test("is what publint, a linter of packages, finds right", async () => {
    const { messages } = await publint({ pkgDir: join(folder, "node_modules/refheap"), pack: false });
    expect(messages).toEqual([]);
  });

  test("can be imported by name", () => {
    const program = `
      const kernel = await import("refheap/kernel");
      const heap = await import("refheap");
      console.log(typeof kernel.createKernel, typeof heap.Heap);`;
    expect(run(process.execPath, ["--input-type=module", "--eval", program])).toBe("function function\n");
  });

  test("has a command that prints its help", () => {
    expect(run(join(folder, "node_modules/.bin/refheap"), ["--help"])).toMatch(/^Usage: refheap/);
  });
});

describe("the types of the package", () => {
  test("accept right programs and refuse wrong ones, without Node's types", () => {
    cpSync(join(root, "test/package/consumer.ts.txt"), join(folder, "consumer/consumer.ts"));
    expect(compile("consumer")).toBe("");
  });
});

describe("the examples of the docs", () => {
  beforeAll(() => {
    mkdirSync(join(folder, "examples"));
    for (const example of examples) writeFileSync(join(folder, `examples/${example.name}.ts`), example.code);
  });

  test("compile against the package", () => {
    expect(compile("examples")).toBe("");
  });

  test.each(examples)("$name prints what the docs show", ({ name, output }: Example) => {
    expect(run(process.execPath, [`examples-js/${name}.js`])).toBe(output);
  });
});
