// What the model has no instructions for: floats, vectors, select of all types, globals, references; and what a report changes.
import { expect, test } from "vitest";
import { track } from "../../../../fuzz/wasm/definedness-rewritten.ts";

const uses = ({ reports }: { reports: readonly { use: number }[] }) => reports.map(({ use }) => use);

/** Runs `body` with eight undefined bytes at 0, sixteen defined ones at 16. @returns the kinds of its reports */
function reportsOf(body: string, rest = "", locals = "(local i32 i64 f64 v128)"): number[] {
  const subject = track(`(module (memory 1) ${rest} (func (export "f") ${locals} ${body}))`);
  subject.markUndefined(0, 8);
  subject.exports.f();
  return uses(subject);
}

const WORD = "(i32.load (i32.const 0))";

test("a use is reported once, since the value counts as defined from then on", () => {
  expect(reportsOf(`(local.set 0 ${WORD}) (if (local.get 0) (then)) (if (local.get 0) (then))`)).toEqual([0]);
});

test("a branch is decided by one defined bit that is 1, and the other bits stay undefined", () => {
  const body = `(local.set 0 (i32.or ${WORD} (i32.const 4))) (if (local.get 0) (then))`;
  expect(reportsOf(body)).toEqual([]);
  expect(reportsOf(`${body} (if (i32.and (local.get 0) (i32.const 1)) (then))`)).toEqual([0]);
  const select = "(select (i32.load (i32.const 16)) (i32.const 1) (i32.or (i32.load (i32.const 0)) (i32.const 4)))";
  expect(reportsOf(`(if ${select} (then))`)).toEqual([]);
});

test("and only on the way that used it", () => {
  const body = (value: number) => `(local.set 0 ${WORD})
    (if (i32.const ${value}) (then (if (local.get 0) (then)))) (if (local.get 0) (then))`;
  expect(reportsOf(body(0))).toEqual([0]);
  expect(reportsOf(body(1))).toEqual([0]);
});

test("moving, copying and computing report nothing", () => {
  expect(reportsOf(`(local.set 0 ${WORD}) (i32.store (i32.const 8) (i32.add (local.get 0) (i32.const 1)))`)).toEqual(
    [],
  );
});

test("a divisor that can trap, and an address", () => {
  expect(reportsOf(`(drop (i32.div_u (i32.const 1) (i32.or ${WORD} (i32.const 1))))`)).toEqual([3]);
  expect(reportsOf(`(drop (i32.div_u ${WORD} (i32.const 3)))`)).toEqual([]);
  expect(reportsOf(`(drop (i32.load (i32.and ${WORD} (i32.const 7))))`)).toEqual([1]);
  expect(reportsOf(`(i32.store8 (i32.and ${WORD} (i32.const 7)) (i32.const 1))`)).toEqual([1]);
});

test("floats: a comparison, arithmetic, a conversion, and a sign that is moved", () => {
  expect(reportsOf(`(if (f64.lt (f64.load (i32.const 0)) (f64.const 1)) (then))`)).toEqual([0]);
  expect(reportsOf(`(if (i32.trunc_sat_f64_s (f64.mul (f64.load (i32.const 0)) (f64.const 0))) (then))`)).toEqual([0]);
  expect(reportsOf(`(if (i32.wrap_i64 (i64.reinterpret_f64 (f64.neg (f64.load (i32.const 16))))) (then))`)).toEqual([]);
});

test.each([
  ["i32", "i32.eqz", "i32.load"],
  ["i64", "i64.eqz", "i64.load"],
  ["f32", "f32.eq (f32.const 1)", "f32.load"],
  ["f64", "f64.eq (f64.const 1)", "f64.load"],
])("select of two %s by an undefined condition", (type, test, load) => {
  const select = (first: number, second: number, condition: string) =>
    reportsOf(
      `(if (${test} (select (result ${type}) (${load} (i32.const ${first})) (${load} (i32.const ${second})) ${condition})) (then))`,
      `(data (i32.const 24) "\\01\\02\\03\\04\\05\\06\\07\\08")`,
    );
  expect(select(16, 32, WORD)).toEqual([]);
  expect(select(16, 24, WORD)).toEqual([0]);
  expect(select(16, 24, "(i32.const 1)")).toEqual([]);
  expect(select(0, 24, "(i32.const 0)")).toEqual([]);
  expect(select(0, 24, "(i32.const 1)")).toEqual([0]);
});

test("a vector: lanes, whole, and what is masked away", () => {
  const vector = "(v128.load (i32.const 0))";
  expect(reportsOf(`(if (i32x4.extract_lane 3 ${vector}) (then))`)).toEqual([]);
  expect(reportsOf(`(if (i32x4.extract_lane 1 (i32x4.add ${vector} ${vector})) (then))`)).toEqual([0]);
  expect(reportsOf(`(if (v128.any_true ${vector}) (then))`)).toEqual([0]);
  expect(reportsOf(`(if (v128.any_true (v128.and ${vector} (v128.const i32x4 0 0 -1 -1))) (then))`)).toEqual([]);
  expect(reportsOf(`(v128.store (i32.const 32) ${vector}) (if (i32.load (i32.const 44)) (then))`)).toEqual([]);
  expect(reportsOf(`(v128.store (i32.const 32) ${vector}) (if (i32.load (i32.const 36)) (then))`)).toEqual([0]);
});

test("a vector that an undefined condition selects", () => {
  const select = (other: string) =>
    reportsOf(`(if (v128.any_true (select (result v128) (v128.load (i32.const 16)) ${other} ${WORD})) (then))`);
  expect(select("(v128.load (i32.const 32))")).toEqual([]);
  expect(select("(v128.const i32x4 1 1 1 1)")).toEqual([0]);
});

test("globals", () => {
  const globals = "(global (mut i64) (i64.const 0)) (global (mut f32) (f32.const 0))";
  expect(reportsOf(`(global.set 0 (i64.load (i32.const 0))) (if (i64.eqz (global.get 0)) (then))`, globals)).toEqual([
    0,
  ]);
  expect(
    reportsOf(
      `(global.set 1 (f32.load (i32.const 0))) (global.set 1 (f32.const 1))
    (if (f32.eq (global.get 1) (f32.const 0)) (then))`,
      globals,
    ),
  ).toEqual([]);
});

test("references are defined; an index of a table must be", () => {
  const table = "(table 2 externref)";
  expect(reportsOf(`(if (ref.is_null (table.get 0 (i32.const 1))) (then))`, table)).toEqual([]);
  expect(reportsOf(`(drop (table.get 0 (i32.and ${WORD} (i32.const 1))))`, table)).toEqual([2]);
});

test("a branch of several ways takes values to each of them, and keeps what lies below", () => {
  const body = (index: number) => `
    (i32.const 1)
    (block (result i32)
      (i32.load (i32.const 0))
      (block (result i32)
        (i32.load (i32.const 16)) (i32.const ${index}) (br_table 0 1))
      drop)
    drop (if (then))`;
  expect(reportsOf(body(0))).toEqual([]);
  expect(reportsOf(body(1))).toEqual([]);
  const kept = (index: number) => `
    (block (result i32)
      (i32.load (i32.const 16))
      (block (result i32)
        (i32.load (i32.const 0)) (i32.const ${index}) (br_table 0 1))
      drop)
    (if (then))`;
  expect(reportsOf(kept(0))).toEqual([]);
  expect(reportsOf(kept(1))).toEqual([0]);
});

test.each([
  ["by br_if", "(br_if $again (local.tee $i (i32.sub (local.get $i) (i32.const 1))))"],
  ["by br", "(br_if $out (i32.eqz (local.tee $i (i32.sub (local.get $i) (i32.const 1))))) (br $again)"],
  ["by br_table", "(br_table $again $out (i32.eqz (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))"],
  ["out of an inner loop", "(loop $inner (br_if $again (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))"],
])(
  "a local that is defined in front of a loop and undefined at its end is found in the second round, %s",
  (_, back) => {
    const subject = track(`(module (memory 1) (func (export "f") (param $rounds i32) (local $i i32) (local $v i32)
    (local.set $i (local.get $rounds))
    (block $out (loop $again
      (if (local.get $v) (then))
      (local.set $v (i32.load (i32.const 0)))
      ${back}))))`);
    subject.markUndefined(0, 4);
    subject.exports.f(...([1] as never[]));
    expect(subject.reports).toHaveLength(0);
    subject.exports.f(...([2] as never[]));
    expect(subject.reports).toHaveLength(1);
  },
);

/** Whether bit `bit` of a sum is undefined, with the undefined bytes `0` to `7` loaded as a word or a long word. */
const sum = (width: "i32" | "i64", body: string, bit: bigint) =>
  reportsOf(
    width === "i32"
      ? `(if (i32.and ${body} (i32.const ${Number(BigInt.asIntN(32, bit))})) (then))`
      : `(if (i64.ne (i64.and ${body} (i64.const ${bit})) (i64.const 0)) (then))`,
  ).length > 0;
const UPPER = "(i32.and (i32.load (i32.const 0)) (i32.const 0xff))";

test("a carry goes up from the lowest undefined bit that something is added to", () => {
  const up = 1n << 20n;
  expect(sum("i32", `(i32.add ${UPPER} (i32.const 1))`, up)).toBe(true);
  expect(sum("i32", `(i32.add ${UPPER} (i32.const 128))`, up)).toBe(true);
  expect(sum("i32", `(i32.add ${UPPER} (i32.const 256))`, up)).toBe(false);
  expect(sum("i32", `(i32.add (i32.const 0x30000) ${UPPER})`, up)).toBe(false);
  expect(sum("i32", `(i32.sub ${UPPER} (i32.const 0x10000))`, up)).toBe(false);
  expect(sum("i32", `(i32.sub (i32.const 0x10000) ${UPPER})`, up)).toBe(true);
  expect(sum("i32", `(i32.add ${UPPER} (i32.const 0))`, up)).toBe(false);
  expect(sum("i32", `(i32.add ${UPPER} (i32.const 256))`, 1n)).toBe(true);
  const long = `(i64.and (i64.load (i32.const 0)) (i64.const 0xffffffff))`;
  expect(sum("i64", `(i64.add ${long} (i64.const 0x300000000))`, 1n << 40n)).toBe(false);
  expect(sum("i64", `(i64.add ${long} (i64.const 0x80000000))`, 1n << 40n)).toBe(true);
});

test("what is added may be shifted, masked, extended, or in a local that was set since ways last met", () => {
  const up = 1n << 20n;
  const word = "(i32.load (i32.const 16))";
  expect(sum("i32", `(i32.add ${UPPER} (i32.shl ${word} (i32.const 16)))`, up)).toBe(false);
  expect(sum("i32", `(i32.add ${UPPER} (i32.shl ${word} (i32.const 7)))`, up)).toBe(true);
  expect(sum("i32", `(i32.add ${UPPER} (i32.and ${word} (i32.const 0xff00)))`, up)).toBe(false);
  const long = `(i64.and (i64.load (i32.const 0)) (i64.const 0xff))`;
  expect(sum("i64", `(i64.add ${long} (i64.extend_i32_u (i32.and ${word} (i32.const 0x7fffff00))))`, 1n << 40n)).toBe(
    false,
  );
  const inLocal = (between: string) =>
    reportsOf(`(local.set 0 (i32.const 0x10000)) ${between}
      (if (i32.and (i32.add ${UPPER} (local.get 0)) (i32.const 0x100000)) (then))`).length > 0;
  expect(inLocal("")).toBe(false);
  expect(inLocal("(local.set 0 (i32.const 1))")).toBe(true);
  expect(inLocal(`(if (i32.load (i32.const 16)) (then (local.set 0 (i32.const 1))))`)).toBe(true);
});

test("a count of undefined comparisons is undefined as a whole", () => {
  const truth = "(i32.eqz (i32.load (i32.const 0)))";
  expect(reportsOf(`(if (i32.gt_s (i32.add (i32.add ${truth} ${truth}) ${truth}) (i32.const 1000)) (then))`)).toEqual([
    0,
  ]);
  expect(reportsOf(`(if (i32.gt_s (i32.add (i32.const 5) ${truth}) (i32.const 1000)) (then))`)).toEqual([0]);
});

test("a word whose bytes are worked on together: a sum of them is exact, also through a local", () => {
  const seven = "(i32.and (i32.load (i32.const 0)) (i32.const 0x7f7f7f7f))";
  const masked = "(i32.and (i32.or (i32.load8_u (i32.const 0)) (i32.const 0x7f00)) (i32.const 0x7f7f7f7f))";
  const second = (body: string) => reportsOf(`(if (i32.and ${body} (i32.const 0x20000)) (then))`).length > 0;
  expect(second(`(i32.add ${seven} (i32.const 0x01010101))`)).toBe(true);
  expect(second(`(i32.add ${masked} (i32.const 0x01010101))`)).toBe(false);
  expect(second(`(i32.sub (i32.or ${masked} (i32.const 0x8080)) (i32.const 0x01010101))`)).toBe(false);
  expect(second(`(i32.add (local.tee 0 ${masked}) (i32.const 3))`)).toBe(false);
  expect(
    reportsOf(
      `(local.set 0 ${masked}) (loop (if (i32.and (i32.add (local.get 0) (i32.const 3)) (i32.const 0x20000)) (then)))`,
    ),
  ).toEqual([]);
  expect(second(`(i32.add (i32.load8_u (i32.const 0)) (i32.const 3))`)).toBe(true);
});
