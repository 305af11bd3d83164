// A failed test's state in a file: written by a real run of Vitest, opened by the command, and gone on from by a program.
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

import { wat } from "../../../fuzz/wasm/wat.ts";

const root = resolve(fileURLToPath(import.meta.url), "../../../..");
const MAIN = join(root, "dist/cli/main.js");
let folder = "";

const tests = `import { expect, test } from "refheap/vitest";

test.override({ heapOptions: { postMortem: "states", leaks: "ignore" } });

test("reads behind a block", ({ heap }) => {
  const p = heap.malloc(24);
  heap.memory.fill(p, 65, 24);
  expect(() => heap.memory.getUint8(heap.malloc(4))).toReadUninitialised();
  heap.memory.setUint8(p + 24, 66);
  heap.memory.fill(p, 67, 24);
});

test("does nothing wrong", ({ heap }) => {
  heap.free(heap.malloc(8));
});
`;

const moduleTests = `import { readFileSync } from "node:fs";
import { test } from "refheap/vitest";

test.override({ wasmOptions: { module: readFileSync("module.wasm"), postMortem: "module-states", memoryBytes: 2 ** 26 } });

test("a module reads behind a block", ({ wasm }) => {
  const { malloc, read, write } = wasm.exports as Record<string, (...values: number[]) => number>;
  const block = malloc(24);
  write(block, 0x41414141);
  read(block + 24);
  write(block, 0x42424242);
});
`;
const MODULE = `(module (memory (export "memory") 2)
  (func $malloc (export "malloc") (param i32) (result i32) (unreachable))
  (func $free (export "free") (param i32) (unreachable))
  (func $read (export "read") (param i32) (result i32) (i32.load (local.get 0)))
  (func $write (export "write") (param i32 i32) (i32.store (local.get 0) (local.get 1))))`;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "refheap-post-mortem-"));
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(root, join(folder, "node_modules/refheap"));
  symlinkSync(join(root, "node_modules/vitest"), join(folder, "node_modules/vitest"));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module", private: true }));
  writeFileSync(join(folder, "own.test.ts"), tests);
  writeFileSync(join(folder, "module.wasm"), wat(MODULE));
  writeFileSync(join(folder, "module.test.ts"), moduleTests);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(program: string, given: readonly string[]): { status: number | null; output: string } {
  const env = { ...process.env, NO_COLOR: "1", FORCE_COLOR: "0", CI: "1", VITEST: undefined };
  const { stdout, stderr, status } = spawnSync(program, given, { cwd: folder, encoding: "utf8", env });
  return { status, output: stdout + stderr };
}

const refheap = (...given: string[]) => run(process.execPath, [MAIN, ...given]);

test("a failing test leaves its state, a passing one nothing, and the command says what lay where", () => {
  const vitest = run(process.execPath, [join(root, "node_modules/vitest/vitest.mjs"), "run", "--no-color", "own"]);
  expect(vitest.output).toContain("1 failed | 1 passed");
  const named = /The machine's state: refheap inspect (states\/\S+)/.exec(vitest.output);
  expect(named).not.toBeNull();
  const [, file] = named as RegExpExecArray;
  expect(readdirSync(join(folder, "states"))).toEqual(["own-test-ts-reads-behind-a-block.refheap"]);
  expect(file).toBe("states/own-test-ts-reads-behind-a-block.refheap");
  const whole = refheap("inspect", file);
  expect(whole.status).toBe(0);
  expect(whole.output).toMatch(/snapshot of a machine of 256 MiB, 1 process, 1 heap/);

  // The block as it was when the wrong store began: before it, and before all that came later.
  const machine = JSON.parse(refheap("inspect", file, "--json").output)[0];
  const [finding] = machine.heaps[0].findings;
  expect(finding.kind).toBe("invalid-access");
  const place = refheap("inspect", file, "--address", `0x${finding.address.toString(16)}`, "--maps", "1");
  expect(place.output).toContain("is right behind the end of a live chunk of 24 bytes");
  expect(place.output).toMatch(/41 41 41 41 41 41 41 41/);
  expect(place.output).not.toContain("43 43 43 43");
  expect(place.output).toContain("/proc/1/maps");
  expect(place.output).toContain("own.test.ts");

  // A program that goes on from the file makes the same error.
  const again = `import { readFileSync } from "node:fs";
import { Heap } from "refheap";
import { Machine } from "refheap/kernel";
const [heap] = Heap.on(Machine.restore(readFileSync(${JSON.stringify(file)})));
heap.checker.clear();
heap.memory.setUint8(${finding.address}, 66);
console.log(heap.checker.findings.length, heap.checker.findings[0].kind, heap.checker.findings[0].offset);
`;
  writeFileSync(join(folder, "again.mjs"), again);
  expect(run(process.execPath, ["again.mjs"]).output).toBe("1 invalid-access 24\n");
});

test("a failing test of a module leaves its memory and heap", () => {
  const vitest = run(process.execPath, [join(root, "node_modules/vitest/vitest.mjs"), "run", "--no-color", "module"]);
  expect(vitest.output).toContain("1 failed");
  const [, file] = /The machine's state: refheap inspect (module-states\/\S+)/.exec(vitest.output) as RegExpExecArray;
  const [machine] = JSON.parse(refheap("inspect", file, "--json").output);
  const [finding] = machine.heaps[0].findings;
  const place = refheap("inspect", file, "--address", `0x${finding.address.toString(16)}`).output;
  expect(place).toContain("is right behind the end of a live chunk of 24 bytes");
  expect(place).toContain("module.test.ts");
  expect(place).toMatch(/41 41 41 41/);
  expect(place).not.toContain("42 42 42 42");
});

test("bad files, processes and addresses are refused in one line", () => {
  const [name] = readdirSync(join(folder, "states"));
  const file = join("states", name);
  const bytes = readFileSync(join(folder, file));
  writeFileSync(join(folder, "cut.refheap"), bytes.subarray(0, 5000));
  const cut = refheap("inspect", "cut.refheap");
  expect([cut.status, cut.output]).toEqual([1, expect.stringMatching(/^refheap: .*the snapshot is damaged.*\n$/)]);
  expect(refheap("inspect", file, "--maps", "7")).toEqual({
    status: 1,
    output: expect.stringMatching(/there is no process 7; there are 1/),
  });
  expect(refheap("inspect", file, "--address", "12x").output).toContain('"12x" is not an address');
  writeFileSync(join(folder, "a.txt"), "refheap-trace 1\n0 malloc 0 100\n");
  expect(refheap("inspect", "a.txt", "--address", "0x10")).toEqual({
    status: 2,
    output: expect.stringContaining("are for snapshots"),
  });
  expect(existsSync(join(folder, "states"))).toBe(true);
});
