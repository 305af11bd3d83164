// The house rules that a machine can hold: imports only go down, no circles, every file says what lives in it, small rooms,
// no barrels but the package's entry points. What the files do is tested beside them, not here.
import { dirname, relative, resolve, sep } from "node:path";
import { describe, expect, test } from "vitest";
import { circles, type Graph, grouped } from "./circles.ts";
import { filesBelow, read, root } from "./tree.ts";

/** From the bottom up; a file may import from its own floor and those before it. */
const floors = ["platform", "refpage", "allocator", "bench", "fuzz"] as const;
/** From the bottom up, too: what snapshots are made of knows nothing of machines, and silicon nothing of the kernel on top of it. */
const rooms = ["platform/state", "platform/hardware", "platform/kernel"] as const;
/** The only files that may re-export: what package.json's `exports` names, and the start of each floor. */
const entryPoints = new Set([
  "platform/index.ts",
  "refpage/index.ts",
  "allocator/index.ts",
  "allocator/vitest/index.ts",
  "allocator/vitest/reporter.ts",
  "allocator/wasm/index.ts",
]);
const longestFileLines = 450;
/** Groups of files whose types name each other, and why they stay so. At run time there is no circle at all. */
const knownCircles: readonly { readonly reason: string; readonly files: readonly string[] }[] = [
  {
    reason: "a process is what its calls act on, and has each of them as a method",
    files: [
      "enter",
      "exec",
      "extension",
      "extension-hooks",
      "extensions",
      "file-calls",
      "invariants",
      "invariants-files",
      "kernel",
      "prctl",
      "process",
      "process-vm",
      "ptrace-tags",
      "signals",
      "syscall-table",
      "tagged-address",
      "thread",
      "user-calls",
      "user-structures",
      "user-validity",
    ].map((name) => `platform/kernel/${name}.ts`),
  },
  {
    reason:
      "an area names its file, a file its inode, an inode the address spaces that map it (Linux's mm_types.h), which know where first stores go straight",
    files: ["address-space", "file", "first-stores", "inode", "vma"].map((name) => `platform/kernel/mm/${name}.ts`),
  },
];

const sources = floors.flatMap((floor) => filesBelow(floor, /\.ts$/));
const tests = filesBelow("test", /\.ts$/);
/** Programs that are in no floor: what readers copy, and what builds and tries the project. */
const others = ["examples", "scripts"].flatMap((folder) => filesBelow(folder, /\.(?:ts|mjs|c)$/));

/** Project files that `file` imports or re-exports; with `types: false`, only what is there at run time. */
function importsOf(file: string, { types }: { types: boolean }, text = read(file)): string[] {
  const statement = /^(?:import|export)\s+(type\s)?(?:[^"';]*?\sfrom\s+)?"(\.[^"]+)";?/gm;
  return [...text.matchAll(statement)]
    .filter((match) => types || match[1] === undefined)
    .map((match) =>
      relative(root, resolve(root, dirname(file), match[2]))
        .split(sep)
        .join("/"),
    );
}

function floorOf(file: string): number {
  return floors.findIndex((floor) => file.startsWith(`${floor}/`));
}

/** What each file imports, for `circles`. */
function importGraph(options: { types: boolean }, altered: ReadonlyMap<string, string> = new Map()): Graph {
  return new Map(sources.map((file) => [file, new Set(importsOf(file, options, altered.get(file)))]));
}

describe("the house", () => {
  test("no file imports from a floor above its own", () => {
    const upward = sources.flatMap((file) =>
      importsOf(file, { types: true })
        .filter((target) => floorOf(target) > floorOf(file) || floorOf(target) < 0)
        .map((target) => `${file} imports ${target}`),
    );
    expect(upward).toEqual([]);
  });

  test("the hardware imports nothing of the kernel, and what snapshots are made of nothing of either", () => {
    const roomOf = (file: string): number => rooms.findIndex((room) => file.startsWith(`${room}/`));
    const upward = sources
      .filter((file) => roomOf(file) >= 0)
      .flatMap((file) => importsOf(file, { types: true }).filter((target) => roomOf(target) > roomOf(file)));
    expect(upward).toEqual([]);
  });

  test("no file imports itself through others at run time", () => {
    expect(circles(importGraph({ types: false }))).toEqual([]);
  });

  test("no folder imports itself through others, imports of types included", () => {
    expect(circles(grouped(importGraph({ types: true }), dirname))).toEqual([]);
  });

  test("a type of the kernel around it, imported in mm/, would be a circle of folders", () => {
    const file = "platform/kernel/mm/mmap.ts";
    const altered = new Map([[file, `${read(file)}\nimport type { Process } from "../process.ts";\n`]]);
    const graph = grouped(importGraph({ types: true }, altered), dirname);
    expect(circles(graph)).toEqual([["platform/kernel", "platform/kernel/mm", "platform/kernel/procfs"]]);
  });

  test("files that need each other's types are exactly those that are known, each group for its reason", () => {
    expect(circles(importGraph({ types: true }))).toEqual(knownCircles.map(({ files }) => files.toSorted()));
  });

  test("every import names an existing file", () => {
    const known = new Set(sources);
    const broken = sources.flatMap((file) =>
      importsOf(file, { types: true })
        .filter((target) => !known.has(target))
        .map((target) => `${file} imports ${target}`),
    );
    expect(broken).toEqual([]);
  });
});

describe("the rooms", () => {
  test("every file opens with a comment that says what lives in it", () => {
    const silent = [...sources, ...tests, ...others].filter(
      (file) => !/^(?:#!.*\n)?(?:\/\/ \S|\/\*\*? ?\S?)/.test(read(file)),
    );
    expect(silent).toEqual([]);
  });

  test(`no file is longer than ${longestFileLines} lines`, () => {
    // Tables of scenarios are data, longer than any program should be.
    const long = [...sources, ...tests]
      .filter((file) => !file.includes("/scenarios/"))
      .map((file) => ({ file, lines: read(file).trimEnd().split("\n").length }))
      .filter(({ lines }) => lines > longestFileLines);
    expect(long).toEqual([]);
  });

  test("only the entry points of the package re-export from other files", () => {
    const barrels = sources.filter((file) => !entryPoints.has(file) && /^export\s[^;]*?\sfrom\s+"\./m.test(read(file)));
    expect(barrels).toEqual([]);
  });

  test("nothing is left for later: no skipped test, no unfinished mark", () => {
    const marks = new RegExp(["TO", "DO|FIX", "ME|X", "XX"].join(""));
    const skips = /\b(?:test|it|describe)\.(?:skip|todo|only)\b/;
    const unfinished = [...sources, ...tests].filter((file) => marks.test(read(file)) || skips.test(read(file)));
    expect(unfinished).toEqual([]);
  });

  test("no file of the library asks Node for anything", () => {
    const library = sources.filter((file) => floorOf(file) < floorOf("bench/main.ts"));
    const node = /from "node:|\bBuffer\.[a-z]/;
    const asking = library.filter((file) => node.test(read(file)) && !file.startsWith("allocator/vitest/"));
    expect(asking).toEqual([]);
  });
});
