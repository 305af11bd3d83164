// Policies of the user's own: the example's interface in replays, reports, sweeps and the microbenchmark, and every way to get one wrong.
import { spawnSync } from "node:child_process";
import { copyFileSync, readdirSync } from "node:fs";
import { resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Workplace } from "./refheap.ts";

const EXAMPLE = "examples/own-interface";
let place: Workplace;

beforeAll(() => {
  place = new Workplace();
  for (const name of readdirSync(EXAMPLE)) copyFileSync(`${EXAMPLE}/${name}`, place.path(name));
});
afterAll(() => place.remove());

function figures(...more: string[]): string[] {
  const { stdout, stderr, status } = place.refheap(["replay", "small.txt", "--csv", ...more]);
  expect([status, stderr]).toEqual([0, ""]);
  return stdout.split("\n").filter((line) => /peak RSS|page faults/.test(line));
}

describe("an interface of one's own", () => {
  test("costs in a replay what reference pages cost, in this thread and in workers, where no package is installed", () => {
    const policies = ["-p", "./mine.mjs,pattern-refpage"];
    const [rss, faults, refpageRss, refpageFaults] = figures("-j", "1", ...policies).map((line) =>
      line.split(",").slice(2, 6),
    );
    expect(rss).toEqual(["map-pattern", ...refpageRss.slice(1)]);
    // One page less: that which refpage_create reads the pattern from.
    expect(Number(faults[3])).toBe(Number(refpageFaults[3]) - 1);
    expect(figures("-j", "2", ...policies)).toEqual(figures("-j", "1", ...policies));
  });

  test("verifies: blocks keep their contents", () => {
    expect(
      place.refheap(["replay", "sort.mtrace", "--skip-bad", "--verify", "-p", "./mine.mjs", "-t", "all"]).status,
    ).toBe(0);
  });

  test("is what the sentence is about, has its words in a report, and its results can be merged and compared", () => {
    const { stdout } = place.refheap([
      "replay",
      "small.txt",
      "-p",
      "pattern-memset,pattern-refpage,./mine.mjs",
      "-o",
      "own.json",
    ]);
    expect(stdout).toMatch(/With map-pattern the peak would be [\d.]+ % lower than with pattern-memset/);
    expect(place.refheap(["report", "own.json", "-o", "own.html"]).status).toBe(0);
    expect(place.read("own.html")).toContain("anonymous mappings with MAP_PATTERN");
    expect(place.read("own.html")).toContain("of ./mine.mjs");
    expect(place.refheap(["compare", "own.json"]).stdout).toContain("map-pattern");
  });

  test("is named by an absolute path, too, and given twice is one", () => {
    expect(figures("-p", `${place.path("mine.mjs")},${place.path("mine.mjs")}`)).toHaveLength(2);
  });

  test("has a row in the microbenchmark", () => {
    const options = ["--quick", "--runs", "1", "--rows", "4096/4096000:memset", "--policy", place.path("mine.mjs")];
    const { stdout, stderr } = spawnSync(process.execPath, [resolve("dist/bench/main.js"), "microbench", ...options], {
      encoding: "utf8",
    });
    expect(stderr).toBe("");
    expect(stdout).toMatch(/^ +map-pattern +[\d.]+ [µm]s/m);
  });
});

describe("is one line and exit code 2, and nothing is replayed:", () => {
  const wrong: [string, string | null, string][] = [
    ["a file that is not there", null, "no such file"],
    ["no export", "export const other = 1;", 'it exports no "policy"; see docs/own-interface.md'],
    ["no object", "export const policy = 7;", 'its "policy" is no object'],
    ["no name", "export const policy = {};", "policy.name is a word"],
    ["a name with spaces", 'export const policy = { name: "a b" };', "policy.name is a word"],
    ["a built-in name", 'export const policy = { name: "none" };', 'policy.name "none" is that of a built-in policy'],
    [
      "a misspelt field",
      'export const policy = { name: "a", instal() {} };',
      'policy has a field "instal" that none has; the nearest is "install"',
    ],
    ["a hook that is no function", 'export const policy = { name: "a", install: 1 };', "policy.install is a function"],
    [
      "a heap that is no object",
      'export const policy = { name: "a", heap: 1 };',
      "policy.heap is an object of options",
    ],
    [
      "a heap with a seed",
      'export const policy = { name: "a", heap: { seed: 1 } };',
      "policy.heap.seed is not the module's to give",
    ],
    [
      "a kernel with a clock",
      'export const policy = { name: "a", kernel: { clock: 1 } };',
      "policy.kernel.clock is not",
    ],
    [
      "a heap option that there is not",
      'export const policy = { name: "a", heap: { fil: 1 } };',
      "trying it: OptionError: unknown option 'fil'",
    ],
    ["no module", "no module", "loading it: SyntaxError"],
    ["an import that is not there", 'import "./nowhere.mjs";', "loading it: Cannot find module"],
    ["a module that throws", 'throw new Error("boom\\nand more");', "loading it: boom\n"],
    ["a module that throws no error", "throw 7;", "loading it: thrown: 7"],
    [
      "an install that throws",
      'export const policy = { name: "a", install() { throw new TypeError("boom"); } };',
      "trying it: TypeError: boom",
    ],
    [
      "a bit of Linux's",
      'export const policy = { name: "a", install(k) { k.extend({ name: "x", mmapFlags: [{ name: "MAP_X", bit: 2, mmap() {} }] }); } };',
      'trying it: ExtensionError: extension "x": Linux has bit 0x2 of MAP_X',
    ],
    [
      "another address",
      'export const policy = { name: "a", mapPattern: () => 5 };',
      "trying it: TypeError: mapPattern answered 5",
    ],
    [
      "memory without the pattern",
      'export const policy = { name: "a", mapPattern: (process, m) => process.mmap(m.address, m.length, m.prot, m.flags | 32) };',
      "trying it: byte 0 of a large chunk reads 0x0, not 0xab",
    ],
  ];
  test.each(wrong)("%s", (_, module, message) => {
    if (module !== null) place.write("wrong.mjs", module);
    const file = module === null ? "./nowhere.mjs" : "./wrong.mjs";
    const { status, stdout, stderr } = place.refheap(["replay", "small.txt", "-p", `none,${file}`]);
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(`refheap: ${file}: ${message.trimEnd()}`);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
  });

  test.each(["1", "2"])("an interface that throws while a trace is replayed, with %s threads", (jobs) => {
    place.write(
      "later.mjs",
      `let calls = 0;
export const policy = {
  name: "later",
  heap: { hooks: { allocate() { if (++calls > 2) throw new RangeError("later"); } } },
};`,
    );
    const { status, stderr } = place.refheap(["replay", "small.txt", "-p", "none,./later.mjs", "-j", jobs]);
    expect(status).toBe(2);
    expect(stderr).toBe("refheap: ./later.mjs: replaying small.txt: RangeError: later\n");
  });

  test("fields, a clash of names, and a folder", () => {
    place.write("twin.mjs", 'export const policy = { name: "map-pattern" };');
    const fails = (policies: string, command = ["replay", "small.txt"]): string => {
      const { status, stderr } = place.refheap([...command, "-p", policies]);
      expect(status).not.toBe(0);
      return stderr;
    };
    expect(fails("./mine.mjs+fill=zero")).toContain("has no fields");
    expect(fails("./mine.mjs,./twin.mjs")).toContain('./twin.mjs: another policy is called "map-pattern" as well');
    expect(fails("./")).toContain("is a folder, a module is needed");
  });
});
