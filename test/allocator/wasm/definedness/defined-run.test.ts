// Where all that a straight run reads is defined it runs without shadows, and what it leaves is what it leaves with them.
import { describe, expect, test } from "vitest";
import { BodyWalker } from "../../../../allocator/wasm/binary/body-walker.ts";
import { OP_BR, OP_CALL, OP_I64_STORE, OP_LOOP } from "../../../../allocator/wasm/binary/instructions.ts";
import { readModule } from "../../../../allocator/wasm/binary/read-module.ts";
import { Module } from "../../../../allocator/wasm/guest/functions.ts";
import { type TrackOptions, track } from "../../../../fuzz/wasm/definedness-rewritten.ts";
import { wat } from "../../../../fuzz/wasm/wat.ts";

const F64_STORE = 0x39;

function subjectOf(functions: string, options: TrackOptions = {}) {
  return track(`(module (memory 1) ${functions})`, { checksAccesses: true, ...options });
}

/** Opcodes of the last function, as it is where undefined bits are followed. */
function rewritten(functions: string): number[] {
  const bytes = wat(`(module (memory 1) ${functions})`);
  const module = new Module(bytes, { memoryBytes: 2 ** 24, uninitialised: "byte" });
  const walker = new BodyWalker(readModule(module.compiled.rewritten.bytes));
  walker.begin(0);
  const opcodes: number[] = [];
  while (walker.next()) opcodes.push(walker.opcode);
  return opcodes;
}

const count = (opcodes: readonly number[], opcode: number): number => opcodes.filter((one) => one === opcode).length;

/** Three loads, so that what stands between them is a run that is written twice. */
const loads = (at = 32) => [0, 8, 16].map((offset) => `(drop (i64.load offset=${offset} (i32.const ${at})))`).join(" ");

test("a loop that is a straight run has an inner loop without calls, and without a shadow of what it loaded before", () => {
  const opcodes = rewritten(`(func (param $p i32) (local $i i32) (loop $l
    (f64.store (i32.add (local.get $p) (local.get $i))
      (f64.mul (f64.load (i32.add (local.get $p) (local.get $i))) (f64.const 2)))
    (br_if $l (i32.ne (local.tee $i (i32.add (local.get $i) (i32.const 8))) (i32.const 32)))))`);
  expect(count(opcodes, OP_LOOP)).toBe(2);
  const inner = opcodes.slice(opcodes.lastIndexOf(OP_LOOP), opcodes.lastIndexOf(OP_BR));
  expect([F64_STORE, OP_I64_STORE, OP_CALL].map((opcode) => count(inner, opcode))).toEqual([1, 0, 0]);
});

describe("each bit that a run reads", () => {
  const moves = `(func (export "f")
    (i64.store offset=64 (i32.const 0) (i64.load (i32.const 0)))
    (i32.store16 offset=72 (i32.const 0) (i32.load16_u offset=8 (i32.const 0)))
    (i32.store8 offset=74 (i32.const 0) (i32.load8_u offset=10 (i32.const 0)))
    (v128.store offset=80 (i32.const 0) (v128.load offset=16 (i32.const 0))))`;

  test.each([...Array(32).keys()])("of memory comes to where it is stored: byte %i", (byte) => {
    const subject = subjectOf(moves);
    const expected = new Uint8Array(32);
    if (byte < 11 || byte > 15) expected[byte] = 255;
    // Of bytes that are not stored to the shadow stays.
    expected.fill(255, 11, 16);
    subject.markUndefined(64, 32);
    subject.markUndefined(byte, 1);
    subject.exports.f();
    expect(subject.shadow.slice(64, 96)).toEqual(expected);
  });

  test("of a local comes to where it is stored", () => {
    const subject = subjectOf(`
      (func $run (param $x i32) ${loads()} (i32.store (i32.const 0) (local.get $x)))
      (func (export "f") (call $run (i32.load (i32.const 128))))`);
    for (const undefinedBytes of [2, 0]) {
      subject.shadow.fill(0, 128, 132);
      subject.markUndefined(128, undefinedBytes);
      subject.exports.f();
      expect([...subject.shadow.slice(0, 4)]).toEqual([0, 1, 2, 3].map((i) => (i < undefinedBytes ? 255 : 0)));
    }
  });
});

test("bytes that a run stored before it loads them need not be defined in front of it", () => {
  const subject = subjectOf(`(func (export "f") (param $p i32)
    (i64.store (local.get $p) (i64.const 1)) (i64.store offset=8 (local.get $p) (i64.load (local.get $p)))
    (i64.store offset=16 (local.get $p) (i64.const 1)))`);
  subject.markUndefined(0, 32);
  (subject.exports.f as (place: number) => void)(0);
  expect([...subject.shadow.slice(0, 32)]).toEqual([...new Array(24).fill(0), ...new Array(8).fill(255)]);
});

test("a store becomes defined where only a part of its bytes was loaded before", () => {
  const subject = subjectOf(`(func (export "f") ${loads()}
    (drop (i32.load (i32.const 0))) (i64.store (i32.const 0) (i64.const 1)))`);
  subject.markUndefined(4, 12);
  subject.exports.f();
  expect([...subject.shadow.slice(0, 12)]).toEqual([...new Array(8).fill(0), ...new Array(4).fill(255)]);
});

test("a local that a run sets is defined behind it", () => {
  const subject = subjectOf(`(func (export "f") (param $p i32) (result i32) (local $x i32)
    (local.set $x (i32.load (local.get $p)))
    (block ${loads()} (local.set $x (i32.load8_u offset=24 (i32.const 32))))
    (if (result i32) (local.get $x) (then (i32.const 1)) (else (i32.const 2))))`);
  subject.markUndefined(0, 4);
  expect((subject.exports.f as (place: number) => number)(0)).toBe(2);
  expect(subject.reports).toEqual([]);
});

test("what was read from a local before a run that sets it keeps its shadow", () => {
  const subject = subjectOf(`
    (func $run (param $x i32) (result i32)
      local.get $x
      call $nothing
      ${loads()}
      (local.set $x (i32.const 5))
      local.get $x
      i32.add)
    (func $nothing)
    (func (export "f") (i32.store (i32.const 0) (call $run (i32.load (i32.const 128)))))`);
  subject.markUndefined(128, 4);
  subject.exports.f();
  expect([...subject.shadow.slice(0, 4)]).toEqual([255, 255, 255, 255]);
});

test("an access whose address a run computes from memory is looked at by itself", () => {
  const subject = subjectOf(`(func (export "f")
    ${loads()} (i32.store (i32.const 0) (i32.load offset=64 (i32.load (i32.const 32)))) ${loads()})`);
  subject.markUndefined(64, 4);
  subject.exports.f();
  expect([...subject.shadow.slice(0, 4)]).toEqual([255, 255, 255, 255]);
});

test("a frame that begins beside a run's accesses is undefined", () => {
  const text = `(global (mut i32) (i32.const 1024)) (func (export "f") (local $sp i32) (local $frame i32)
    (local.set $sp (global.get 0)) ${loads()}
    (local.set $frame (i32.sub (local.get $sp) (i32.const 16))) (global.set 0 (local.get $frame))
    (i32.store (i32.const 0) (i32.load (local.get $frame))))`;
  const subject = subjectOf(text, { hasStack: true });
  subject.exports.f();
  expect([...subject.shadow.slice(0, 4)]).toEqual([255, 255, 255, 255]);
});

test("a trap in a run leaves the shadows of what was stored before it, and no others", () => {
  const subject = subjectOf(`(func (export "f") (param $zero i32) ${loads()}
    (i64.store (i32.const 0) (i64.const 1))
    (drop (i32.div_u (i32.const 1) (local.get $zero)))
    (i64.store (i32.const 8) (i64.const 1)))`);
  subject.markUndefined(0, 16);
  expect(() => (subject.exports.f as (zero: number) => void)(0)).toThrow("divide by zero");
  expect([...subject.shadow.slice(0, 16)]).toEqual([...new Array(8).fill(0), ...new Array(8).fill(255)]);
});
