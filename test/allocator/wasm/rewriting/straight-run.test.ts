// Accesses whose checks were joined are checked as each by itself would be: reports, results and traps are the model's.
import fc from "fast-check";
import { expect, test } from "vitest";
import { BodyWalker } from "../../../../allocator/wasm/binary/body-walker.ts";
import { OP_BR, OP_CALL, OP_LOOP } from "../../../../allocator/wasm/binary/instructions.ts";
import { readModule } from "../../../../allocator/wasm/binary/read-module.ts";
import { Instance, Module } from "../../../../allocator/wasm/guest/functions.ts";
import { silent } from "../../../../fuzz/harness/journal.ts";
import { runStraightRuns } from "../../../../fuzz/wasm/straight-runs.ts";
import { wat } from "../../../../fuzz/wasm/wat.ts";

test("random straight runs: results, memory, traps and reports in their order are the model's", () => {
  let reported = 0;
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 31 - 1 }), (seed) => {
      reported += runStraightRuns(seed, silent);
    }),
    { numRuns: 12 },
  );
  expect(reported).toBeGreaterThan(100);
});

/** Opcodes of a function with these instructions, as it is under the checks. */
function rewritten(body: string): number[] {
  const bytes = wat(`(module (memory 1) (func (param $p i32) (local $i i32) (local $x f64) ${body}))`);
  const walker = new BodyWalker(readModule(new Module(bytes, { memoryBytes: 2 ** 24 }).compiled.rewritten.bytes));
  walker.begin(0);
  const opcodes: number[] = [];
  while (walker.next()) opcodes.push(walker.opcode);
  return opcodes;
}

const count = (opcodes: readonly number[], opcode: number): number => opcodes.filter((one) => one === opcode).length;
const F64_LOAD = 0x2b;

test("a loop that is a straight run has an inner loop without calls; what is not one has a single loop", () => {
  const step = "(br_if $l (i32.ne (local.tee $i (i32.add (local.get $i) (i32.const 8))) (i32.const 32)))";
  const load = "(local.set $x (f64.load (i32.add (local.get $p) (local.get $i))))";
  const straight = rewritten(`(loop $l ${load} ${step})`);
  expect(count(straight, OP_LOOP)).toBe(2);
  const inner = straight.slice(straight.lastIndexOf(OP_LOOP), straight.lastIndexOf(OP_BR));
  expect([count(inner, F64_LOAD), count(inner, OP_CALL)]).toEqual([1, 0]);
  expect(count(rewritten(`(loop $l (block ${load}) ${step})`), OP_LOOP)).toBe(1);
});

test("a block in which a function begins is no loop, though a loop began there in the function before", () => {
  const text = (opener: string) => `(${opener} $l (i64.store (i32.const 2048) (i64.const 1)) (br_if $l (local.get 0)))`;
  const bytes = wat(`(module (memory 1) (global (mut i32) (i32.const 2))
    (func (param i32) (loop $l (i64.store (i32.const 2048) (i64.const 1)) (br_if $l (i32.const 0))))
    (func (export "run") (param i32) ${text("block")}))`);
  const instance = new Instance(new Module(bytes, { memoryBytes: 2 ** 24 }));
  const compiled = readModule(new Module(bytes, { memoryBytes: 2 ** 24 }).compiled.rewritten.bytes);
  const walker = new BodyWalker(compiled);
  walker.begin(1);
  const opcodes: number[] = [];
  while (walker.next()) opcodes.push(walker.opcode);
  expect(count(opcodes, OP_LOOP)).toBe(0);
  (instance.exports.run as (flag: number) => void)(1);
  instance[Symbol.dispose]();
});

test("one access outside a loop is written once, several of one range twice", () => {
  const load = (offset: number) => `(drop (f64.load offset=${offset} (local.get $p)))`;
  expect(count(rewritten(load(0)), F64_LOAD)).toBe(1);
  expect(count(rewritten(load(0) + load(8) + load(16)), F64_LOAD)).toBe(6);
});

test("bytes between two live blocks are looked at, too", () => {
  const text = `(module (memory 1) (func $malloc (param i32) (result i32) unreachable) (func $free (param i32) unreachable)
    (func (export "run") (param $p i32)
      (drop (i64.load (local.get $p))) (drop (i64.load offset=50 (local.get $p))) (drop (i64.load offset=88 (local.get $p)))))`;
  const instance = new Instance(new Module(wat(text), { memoryBytes: 2 ** 24 }));
  const blocks = Array.from({ length: 200 }, () => instance.heap.malloc(48)).sort((a, b) => a - b);
  const block = blocks.find((pointer, i) => blocks[i + 1] === pointer + 64);
  (instance.exports.run as (block: number) => void)(block ?? 0);
  expect(instance.checker.findings.map(({ address }) => address)).toEqual([(block ?? 0) + 50]);
  instance[Symbol.dispose]();
});
