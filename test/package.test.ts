// The package as a user gets it: packed, installed in an empty folder without a network, imported, type-checked, its
// command started, and every example of the docs compiled against it, run, and held to the output that the docs show.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, normalize, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
import { publint } from "publint";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { thirdPartyLicences } from "../scripts/third-party.mjs";
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
let tarball = "";

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
  tarball = join(folder, packed.filename);
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
    const pages = ["CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "SECURITY.md"];
    const known = [...pages, "docs", "examples", "package.json"];
    const library = ["dist/_virtual", "dist/allocator", "dist/platform", "dist/refpage"];
    const built = [...library, "dist/cli", "dist/THIRD-PARTY-LICENSES.txt"];
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

  test("has types that are what attw, a linter of types, finds right for ESM", async () => {
    const analysis = await checkPackage(createPackageFromTarballData(new Uint8Array(readFileSync(tarball))));
    // attw's profile "esm-only": neither require() nor the resolution of TypeScript before exports.
    const others = ["node10", "node16-cjs"];
    const problems = (analysis.types === false ? [] : analysis.problems).filter(
      (problem) => !("resolutionKind" in problem && others.includes(problem.resolutionKind)),
    );
    expect(analysis.types).toEqual({ kind: "included" });
    expect(problems).toEqual([]);
  });

  test("has a package.json that npm publishes as it is", () => {
    const copy = join(folder, "manifest");
    mkdirSync(copy);
    cpSync(join(root, "package.json"), join(copy, "package.json"));
    run("npm", ["pkg", "fix"], copy);
    expect(JSON.parse(readFileSync(join(copy, "package.json"), "utf8"))).toEqual(manifest);
  });

  test("links from its pages to files that it holds", () => {
    const installed = join(folder, "node_modules/refheap");
    const broken = packedFiles
      .filter((file) => file.endsWith(".md"))
      .flatMap((file) =>
        [
          ...readFileSync(join(installed, file), "utf8")
            .replace(/^```[\s\S]*?^```/gm, "")
            .matchAll(/\]\((?!https?:|#)([^)#\s]+)(?:#[^)]*)?\)/g),
        ]
          .map(([, target]) => normalize(join(dirname(file), target)))
          .filter((target) => !packedFiles.includes(target))
          .map((target) => `${file} links to ${target}`),
      );
    expect(broken).toEqual([]);
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

describe("the licences of what the build took from other packages", () => {
  /** Names in the comments that the bundler writes in front of each module. */
  function bundledPackages(): string[] {
    const installed = join(folder, "node_modules/refheap");
    const names = packedFiles
      .filter((file) => file.startsWith("dist/") && file.endsWith(".js"))
      .flatMap((file) => [
        ...readFileSync(join(installed, file), "utf8").matchAll(/^\/\/ .*node_modules\/((?:@[\w.-]+\/)?[\w.-]+)\//gm),
      ])
      .map(([, name]) => name);
    return [...new Set(names)];
  }

  test("are in the package, each with its text", () => {
    const text = readFileSync(join(folder, "node_modules/refheap/dist/THIRD-PARTY-LICENSES.txt"), "utf8");
    const sections = text.split(`\n${"=".repeat(72)}\n`).slice(1);
    const byName = new Map(sections.map((section) => [section.replace(/ .*/s, ""), section]));
    const names = bundledPackages();
    expect(names).toEqual(expect.arrayContaining(["commander", "fzstd", "@observablehq/plot", "@bomb.sh/tab"]));
    // The bundler's own helpers are in the bundles, too.
    for (const name of [...names, "rolldown"]) {
      expect(byName.get(name), name).toMatch(/copyright|apache license/i);
      expect(byName.get(name), name).toMatch(/permission|redistribution|licen[cs]e/i);
    }
    expect(text).not.toContain(root);
  });

  test("stop the build where a bundled package has none", () => {
    const without = join(folder, "bundle/node_modules/without");
    mkdirSync(join(without, "lib"), { recursive: true });
    writeFileSync(join(without, "package.json"), JSON.stringify({ name: "without", version: "1.0.0" }));
    // A folder's package.json without a name is no package's.
    writeFileSync(join(without, "lib/package.json"), JSON.stringify({ type: "module" }));
    const modules = [join(without, "lib/index.js")];
    expect(() => thirdPartyLicences(modules)).toThrow("without is bundled and has no licence text");
    writeFileSync(join(without, "LICENCE.md"), "Copyright (c) its author. Permission is granted.");
    expect(thirdPartyLicences(modules)).toContain("Copyright (c) its author.");
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
