// A report says which memory its undefined bits are from, after they went through the module's code and through other memory.
import { expect, test } from "vitest";
import { track } from "../../../../fuzz/wasm/definedness-rewritten.ts";

/** Words at 0, 4, 8 … are undefined, each with an origin of its own, where 16 and above are defined. */
const FIRST = 101;
const SECOND = 102;
const THIRD = 103;

function origins(rest: string, prefix = ""): number[] {
  const subject = track(`(module ${prefix} (memory 1) ${rest})`, { tracksOrigins: true });
  subject.markUndefined(0, 4, FIRST);
  subject.markUndefined(4, 4, SECOND);
  subject.markUndefined(8, 4, THIRD);
  subject.exports.f();
  return subject.reports.map(({ origin }) => origin);
}

const LOAD = (address: number) => `(i32.load (i32.const ${address}))`;
const body = (text: string, locals = "") => `(func (export "f") ${locals} ${text})`;

test.each([
  ["what was loaded", `(if ${LOAD(4)} (then))`],
  ["a sum with a defined value, on either side", `(if (i32.add ${LOAD(16)} ${LOAD(4)}) (then))`],
  ["a sum with a constant", `(if (i32.add ${LOAD(4)} (i32.const 7)) (then))`],
  ["of two operands the undefined one", `(if (i32.mul (i32.xor ${LOAD(16)} ${LOAD(20)}) ${LOAD(4)}) (then))`],
  ["of two undefined ones the first", `(if (i32.xor ${LOAD(4)} ${LOAD(8)}) (then))`],
  [
    "of a chain, where the first bits were masked away",
    `(if (i32.or (i32.and ${LOAD(8)} (i32.const 0)) ${LOAD(4)}) (then))`,
  ],
  ["a conversion", `(if (i64.eqz (i64.extend_i32_u ${LOAD(4)})) (then))`],
  ["a float", "(if (f32.lt (f32.load (i32.const 4)) (f32.const 1)) (then))"],
  [
    "a vector's lane",
    "(if (i32x4.extract_lane 0 (v128.load32_lane 0 (i32.const 4) (v128.load (i32.const 32)))) (then))",
  ],
  [
    "the vector around a lane",
    "(if (i32x4.extract_lane 1 (v128.load32_lane 0 (i32.const 16) (v128.load (i32.const 4)))) (then))",
  ],
  [
    "bitselect's mask",
    "(if (v128.any_true (v128.bitselect (v128.const i32x4 1 1 1 1) (v128.const i32x4 2 2 2 2) (v128.load32_splat (i32.const 4)))) (then))",
  ],
  ["the second half of a long word", "(if (i64.eqz (i64.load (i32.const 4))) (then))"],
  ["the chosen value", `(if (select ${LOAD(4)} ${LOAD(8)} (i32.const 1)) (then))`],
  ["the other one", `(if (select ${LOAD(8)} ${LOAD(4)} (i32.const 0)) (then))`],
  ["the choice itself", `(if (select (i32.const 1) (i32.const 0) ${LOAD(4)}) (then))`],
  ["a divisor", `(drop (i32.div_u (i32.const 1) (i32.or ${LOAD(4)} (i32.const 16))))`],
  ["an address", `(drop (i32.load (i32.and ${LOAD(4)} (i32.const 3))))`],
  ["a result of a block", `(if (block (result i32) (br 0 ${LOAD(4)})) (then))`],
  ["a result of an arm", `(if (if (result i32) (i32.const 1) (then ${LOAD(4)}) (else ${LOAD(8)})) (then))`],
  [
    "where branches go apart",
    `(block (result i32) (block (result i32) (br_table 0 1 ${LOAD(4)} (i32.const 0))) (if (then)) (i32.const 0)) drop`,
  ],
  ["memory that it was stored to", `(i32.store (i32.const 100) ${LOAD(4)}) (if ${LOAD(100)} (then))`],
  ["bytes of it", `(i32.store16 (i32.const 102) ${LOAD(4)}) (if (i32.load8_u (i32.const 103)) (then))`],
  ["a word across two cells", `(i32.store (i32.const 102) ${LOAD(4)}) (if (i32.load8_u (i32.const 105)) (then))`],
  ["the length of a copy", `(memory.fill (i32.const 200) (i32.const 0) (i32.and ${LOAD(4)} (i32.const 1)))`],
])("%s", (_, text) => {
  expect(origins(body(text))).toEqual([SECOND]);
});

test("a local, also where it is set on two ways and in a loop", () => {
  const choose = (way: number) =>
    body(
      `(if (i32.const ${way}) (then (local.set 0 ${LOAD(4)})) (else (local.set 0 ${LOAD(8)}))) (if (local.get 0) (then))`,
      "(local i32)",
    );
  expect([origins(choose(1)), origins(choose(0))]).toEqual([[SECOND], [THIRD]]);
  const loop = body(
    `(local.set 0 (i32.const 3)) (local.set 1 ${LOAD(8)})
     (loop (local.set 1 ${LOAD(4)}) (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
     (if (local.get 1) (then))`,
    "(local i32 i32)",
  );
  expect(origins(loop)).toEqual([SECOND]);
});

test("calls: arguments by position, results by position, through a table, and globals", () => {
  const used = `(func $use (param i64 i32 f32) (if (local.get 1) (then)) (if (i64.eqz (local.get 0)) (then)))`;
  const call = body(`(call $use (i64.load (i32.const 8)) ${LOAD(4)} (f32.load (i32.const 0)))`);
  expect(origins(`${used} ${call}`)).toEqual([SECOND, THIRD]);
  const two = `(func $two (result i32 i32) ${LOAD(8)} ${LOAD(4)})`;
  expect(origins(`${two} ${body("(call $two) (if (then)) (if (then))")}`)).toEqual([SECOND, THIRD]);
  const table = `(table funcref (elem $word)) (func $word (param i32) (result i32) (local.get 0))`;
  expect(
    origins(`${table} ${body(`(if (call_indirect (param i32) (result i32) ${LOAD(4)} (i32.const 0)) (then))`)}`),
  ).toEqual([SECOND]);
  const global = `(global $g (mut i32) (i32.const 0))`;
  expect(origins(`${global} ${body(`(global.set $g ${LOAD(4)}) (if (global.get $g) (then))`)}`)).toEqual([SECOND]);
});

test("what is used again after other bits were loaded", () => {
  const text = `(local.set 0 ${LOAD(4)}) (drop ${LOAD(8)}) (i32.store (i32.const 100) ${LOAD(0)}) (if (local.get 0) (then))`;
  expect(origins(body(text, "(local i32)"))).toEqual([SECOND]);
});

test("the build without origins has none", () => {
  const subject = track(`(module (memory 1) ${body(`(if ${LOAD(4)} (then))`)})`);
  subject.markUndefined(0, 8);
  subject.exports.f();
  expect(subject.reports.map(({ origin }) => origin)).toEqual([0]);
});
