// refheap/vitest in a real run of Vitest, and refheap in a real run of node:test: a project of its own with failing tests, started as
// a user would, and what the runner shows.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Log } from "sarif";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = resolve(fileURLToPath(import.meta.url), "../../../..");
let folder = "";

const codec = `import type { Heap } from "refheap";

export function encode(heap: Heap, value: number): number {
  const message = heap.malloc(16);
  heap.memory.setUint32(message, value);
  return message;
}

export function checksum(heap: Heap, message: number): number {
  let sum = 0;
  for (let i = 0; i < 16; i += 4) {
    sum += heap.memory.getUint32(message + i);
  }
  return sum;
}
`;

const failing = `import { expect, test } from "refheap/vitest";
import { checksum, encode } from "./codec.ts";

test("reads unwritten bytes", ({ heap }) => {
  const message = encode(heap, 1);
  checksum(heap, message);
  heap.free(message);
});

test("leaks", ({ heap }) => {
  encode(heap, 2);
});

test("matches", ({ heap }) => {
  const message = encode(heap, 3);
  expect(() => checksum(heap, message)).toReadUninitialised({ offset: 4, functionName: "checksum" });
  heap.free(message);
});

test("fails to match", ({ heap }) => {
  expect(() => heap.free(encode(heap, 4))).toReadUninitialised();
});

test("frees twice", ({ heap }) => {
  const message = encode(heap, 5);
  heap.free(message);
  heap.free(message);
});

test("finds something else than its matcher is about", ({ heap }) => {
  const message = encode(heap, 7);
  heap.free(message);
  expect(() => heap.memory.getUint8(message)).not.toReadUninitialised();
  expect(() => heap.memory.setUint8(message, 1)).toTouchAtMost(65536);
});

test("a child process does something wrong", ({ heap }) => {
  const message = encode(heap, 8);
  const child = heap.fork();
  checksum(child, message);
  child[Symbol.dispose]();
  heap.free(message);
});

test("catches its double free", ({ heap }) => {
  const message = encode(heap, 9);
  heap.free(message);
  expect(() => heap.free(message)).toThrow("invalid chunk state");
});

test("loses many at one line", ({ heap }) => {
  for (let i = 0; i < 5000; i++) encode(heap, i);
});

test("misspells what it expects", ({ heap }) => {
  const message = encode(heap, 6);
  const expected: object = { offsett: 400 };
  expect(() => checksum(heap, message)).toReadUninitialised(expected);
  heap.free(message);
});

import { describe } from "vitest";
describe("a misspelt option", () => {
  test.override({ heapOptions: { leak: "ignore" } as object });
  test("stops its test", ({ heap }) => heap.free(heap.malloc(1)));
});
`;

const nodeTest = `import assert from "node:assert";
import { test } from "node:test";
import { assertNoFindings, assertNoLeaks, Heap, observe } from "refheap";

test("observes", () => {
  const heap = new Heap({ uninitialised: "byte", stacks: true });
  const p = heap.malloc(8);
  const { findings } = observe(heap, () => heap.memory.getUint8(p));
  assert.equal(findings[0].offset, 0);
  assertNoFindings(heap);
  assert.throws(() => assertNoLeaks(heap), /8 bytes in 1 block is definitely lost/);
  assertNoLeaks(heap, { roots: [p] });
});

test("fails at the program's line", () => {
  const heap = new Heap({ uninitialised: "byte", stacks: true });
  heap.memory.getUint8(heap.malloc(8));
  assertNoFindings(heap);
});
`;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "refheap-vitest-"));
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(root, join(folder, "node_modules/refheap"));
  symlinkSync(join(root, "node_modules/vitest"), join(folder, "node_modules/vitest"));
  symlinkSync(join(root, "node_modules/@types"), join(folder, "node_modules/@types"));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module", private: true }));
  writeFileSync(join(folder, "codec.ts"), codec);
  writeFileSync(join(folder, "codec.test.ts"), failing);
  writeFileSync(join(folder, "heap.node.mjs"), nodeTest);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(program: string, given: readonly string[]): string {
  const { stdout, stderr } = spawnSync(program, given, {
    cwd: folder,
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: "0", CI: "1", NODE_TEST_CONTEXT: undefined, VITEST: undefined },
  });
  return stdout + stderr;
}

test("a failing test shows the program's line with a code frame, and the block's story", () => {
  const output = run(process.execPath, [join(root, "node_modules/vitest/vitest.mjs"), "run", "--no-color"]);
  expect(output).toContain("10 failed | 1 passed");
  // The read: at the load in the program, not in the library.
  expect(output).toContain("Use of uninitialised memory: load of 4 bytes at offset 4 of block A of 16 bytes");
  expect(output).toMatch(/❯ checksum codec\.ts:12:\d+/);
  expect(output).toMatch(/12\|\s+sum \+= heap\.memory\.getUint32\(message \+ i\);/);
  // The leak: at the allocation.
  expect(output).toContain("16 bytes in 1 block is definitely lost");
  expect(output).toMatch(/❯ encode codec\.ts:4:\d+/);
  // The matcher: at the expectation.
  expect(output).toContain("expected a read of uninitialised memory, but it did nothing wrong");
  expect(output).toMatch(/❯ codec\.test\.ts:21:\d+/);
  // The report of the heap, which has stacks of its own: at the line of the second free.
  expect(output).toContain("HeapError: Scudo ERROR: invalid chunk state when deallocating address");
  expect(output).toMatch(/❯ codec\.test\.ts:27:\d+/);
  // What a matcher is not about: both accesses, each once.
  expect(output.match(/Use after free: load of 1 byte at offset 0 of the freed block/g)).not.toBeNull();
  expect(output).toContain("Use after free: store of 1 byte at offset 0 of the freed block");
  // The child's read, the double free with its three stacks, and the leaks of a place together.
  expect(output).toMatch(/❯ codec\.test\.ts:40:\d+/);
  expect(output).toMatch(
    /Double free: free of the freed block A of 16 bytes\n(?: +at .*\n)+ {2}block A: from malloc\n(?: +at .*\n)+ {2}block A was freed\n(?: +at .*\n)+/,
  );
  expect(output).toContain("80000 bytes in 5000 blocks are definitely lost");
  expect(output).not.toMatch(/❯ .*node_modules\/refheap|at .*\/(?:platform|allocator)\/(?!vitest)/);
  // A misspelt expectation does not pass for want of one.
  expect(output).toContain(
    "TypeError: toReadUninitialised: no expectation is called offsett; there are operation, size",
  );
  expect(output).toContain("OptionError: unknown option 'leak' with value 'ignore'; did you mean 'leaks'?");
  // Each error is shown once, and a test that failed before its frees is not said to leak as well.
  expect(output.match(/FAIL {2}codec/g)).toHaveLength(12);
});

test("the reporter writes the run's findings as SARIF, and annotations where they are wanted", () => {
  writeFileSync(
    join(folder, "vitest.config.ts"),
    `import { HeapReporter } from "refheap/vitest/reporter";
export default { test: { reporters: ["dot", new HeapReporter({ outputFile: "out/run.sarif" }), "refheap/vitest/reporter"] } };
`,
  );
  process.env.GITHUB_ACTIONS = "true";
  const output = run(process.execPath, [join(root, "node_modules/vitest/vitest.mjs"), "run", "--no-color"]);
  delete process.env.GITHUB_ACTIONS;
  rmSync(join(folder, "vitest.config.ts"));
  const log = JSON.parse(readFileSync(join(folder, "out/run.sarif"), "utf8")) as Log;
  expect(JSON.parse(readFileSync(join(folder, "refheap.sarif"), "utf8"))).toEqual(log);
  const places = log.runs[0]!.results!.map(({ ruleId, locations }) => {
    const { artifactLocation, region } = locations![0]!.physicalLocation!;
    return `${ruleId} ${artifactLocation!.uri}:${region!.startLine}`;
  });
  expect(places).toContain("uninitialised codec.ts:12");
  expect(places).toContain("leak codec.ts:4");
  expect(places).toContain("invalid-free codec.test.ts:27");
  expect(output).toMatch(
    /^::error file=codec\.ts,line=12,col=\d+,title=Use of uninitialised memory%3A load of 4 bytes/m,
  );
});

test("the plain functions work under node:test", () => {
  const output = run(process.execPath, ["--test", "heap.node.mjs"]);
  expect(output).toMatch(/pass 1\n/);
  expect(output).toMatch(/fail 1\n/);
  expect(output).toContain("Use of uninitialised memory: load of 1 byte at offset 0 of block A of 8 bytes");
  expect(output).toMatch(/heap\.node\.mjs:17:\d+/);
});

test("the types of the fixture and the matchers hold in a project of the user's", () => {
  writeFileSync(
    join(folder, "types.ts"),
    `import { expect, test } from "refheap/vitest";
test("typed", async ({ heap }) => {
  const p: number = heap.malloc(8);
  expect(() => heap.memory.getUint8(p)).toReadUninitialised({ offset: 0 });
  await expect(async () => heap.memory.getUint8(p)).toReadUninitialised();
  // @ts-expect-error: no such expectation
  expect(() => heap.free(p)).toReadUninitialised({ offsett: 0 });
});
`,
  );
  const options = { target: "es2023", module: "nodenext", strict: true, noEmit: true, types: ["node"] };
  const lib = ["es2023", "esnext.disposable", "dom"];
  writeFileSync(
    join(folder, "tsconfig.json"),
    JSON.stringify({ compilerOptions: { ...options, lib }, files: ["types.ts"] }),
  );
  expect(run(join(root, "node_modules/.bin/tsc"), ["-p", "tsconfig.json"])).toBe("");
});
