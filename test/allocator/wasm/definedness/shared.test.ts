// What modules and their hosts share beside memory: imported and exported globals, tables and references, segments, results by the dozen.
import { describe, expect, test } from "vitest";
import { track } from "../../../../fuzz/wasm/definedness-rewritten.ts";
import { engine } from "../../../../platform/host/engine.ts";

const CONDITION = 0;
const ADDRESS = 1;
const TABLE_INDEX = 2;
const LENGTH = 5;
const uses = ({ reports }: { reports: readonly { use: number }[] }) => reports.map(({ use }) => use);

/** `rest` with sixteen undefined bytes at 0 and defined ones behind them. */
function run(rest: string, imports: Record<string, Record<string, unknown>> = {}, prefix = "") {
  const subject = track(`(module ${prefix} (memory 1) ${rest})`, { imports });
  subject.markUndefined(0, 16);
  return subject;
}

const WebAssemblyGlobal = (
  globalThis as unknown as { WebAssembly: { Global: new (type: object, value: unknown) => { value: unknown } } }
).WebAssembly.Global;

const NUMBERS = [
  ["i32", "i32.load", "i32.eqz", 7, 8],
  ["i64", "i64.load", "i64.eqz", 7n, 8n],
  ["f32", "f32.load", "f32.eq (f32.const 1)", 1.5, -0],
  ["f64", "f64.load", "f64.eq (f64.const 1)", 1.5, Number.NaN],
] as const;

describe.each(NUMBERS)("a mutable %s", (type, load, test_, value, other) => {
  const body = `(func (export "set") (global.set 0 (${load} (i32.const 0))))
    (func (export "clear") (global.set 0 (${load} (i32.const 16))))
    (func (export "use") (if (${test_} (global.get 0)) (then)))`;

  test("that is imported has the guest's undefined bits until the guest or another sets it", () => {
    const global = new WebAssemblyGlobal({ value: type, mutable: true }, value);
    const subject = run(body, { h: { g: global } }, `(import "h" "g" (global (mut ${type})))`);
    subject.bytes.fill(0x5a, 0, 8);
    subject.exports.use();
    expect(uses(subject)).toEqual([]);
    subject.exports.set();
    subject.exports.use();
    expect(uses(subject)).toEqual([CONDITION]);
    global.value = other;
    subject.exports.use();
    expect(uses(subject)).toEqual([CONDITION]);
    subject.exports.set();
    subject.exports.clear();
    subject.exports.use();
    expect(uses(subject)).toEqual([CONDITION]);
  });

  test("that is exported, and set by the host, is defined from then on", () => {
    const subject = run(`(global (export "g") (mut ${type}) (${type}.const 0)) ${body}`);
    subject.bytes.fill(0x5a, 0, 8);
    subject.exports.set();
    (subject.exports.g as unknown as { value: unknown }).value = other;
    subject.exports.use();
    expect(uses(subject)).toEqual([]);
    subject.exports.set();
    subject.exports.use();
    expect(uses(subject)).toEqual([CONDITION]);
  });
});

test("a mutable v128 that is exported keeps its undefined lanes", () => {
  const subject = run(`(global (export "g") (mut v128) (v128.const i32x4 0 0 0 0))
    (func (export "set") (global.set 0 (v128.load (i32.const 8))))
    (func (export "upper") (if (i32x4.extract_lane 3 (global.get 0)) (then)))
    (func (export "lower") (if (i32x4.extract_lane 1 (global.get 0)) (then)))`);
  subject.exports.set();
  subject.exports.upper();
  expect(uses(subject)).toEqual([]);
  subject.exports.lower();
  expect(uses(subject)).toEqual([CONDITION]);
});

test("two modules that share a global: each sees its own undefined bits, and what the other set is defined", () => {
  const global = new WebAssemblyGlobal({ value: "i32", mutable: true }, 0);
  const make = (byte: number) => {
    const subject = run(
      `(func (export "set") (global.set 0 (i32.load (i32.const 0)))) (func (export "use") (if (global.get 0) (then)))`,
      { h: { g: global } },
      `(import "h" "g" (global (mut i32)))`,
    );
    subject.bytes.fill(byte, 0, 8);
    return subject;
  };
  const [first, second] = [make(1), make(2)];
  first.exports.set();
  second.exports.set();
  first.exports.use();
  expect(uses(first)).toEqual([]);
  second.exports.use();
  expect(uses(second)).toEqual([CONDITION]);
});

describe("tables", () => {
  const UNDEFINED = "(i32.and (i32.load (i32.const 0)) (i32.const 1))";
  const table = "(table $t 4 10 funcref) (table $u 4 externref) (elem $e func $none $none) (func $none)";
  test.each([
    ["table.set's index", `(table.set $t ${UNDEFINED} (ref.func $none))`, TABLE_INDEX],
    ["table.get's index", `(drop (table.get $u ${UNDEFINED}))`, TABLE_INDEX],
    ["table.fill's begin", `(table.fill $u ${UNDEFINED} (ref.null extern) (i32.const 1))`, TABLE_INDEX],
    ["table.fill's count", `(table.fill $u (i32.const 0) (ref.null extern) ${UNDEFINED})`, LENGTH],
    ["table.copy's target", `(table.copy $t $t ${UNDEFINED} (i32.const 0) (i32.const 1))`, TABLE_INDEX],
    ["table.copy's source", `(table.copy $t $t (i32.const 0) ${UNDEFINED} (i32.const 1))`, TABLE_INDEX],
    ["table.init's begin", `(table.init $t $e ${UNDEFINED} (i32.const 0) (i32.const 1))`, TABLE_INDEX],
    ["table.init's count", `(table.init $t $e (i32.const 0) (i32.const 0) ${UNDEFINED})`, LENGTH],
    ["table.grow's count", `(drop (table.grow $t (ref.null func) ${UNDEFINED}))`, LENGTH],
    ["memory.copy's source", `(memory.copy (i32.const 64) ${UNDEFINED} (i32.const 1))`, ADDRESS],
    ["memory.copy's count", `(memory.copy (i32.const 64) (i32.const 16) ${UNDEFINED})`, LENGTH],
    ["memory.fill's begin", `(memory.fill ${UNDEFINED} (i32.const 1) (i32.const 1))`, ADDRESS],
    ["memory.grow's count", `(drop (memory.grow ${UNDEFINED}))`, LENGTH],
  ])("%s must be defined", (_, body, use) => {
    const subject = run(`${table} (func (export "f") ${body})`);
    subject.exports.f();
    expect(uses(subject)).toEqual([use]);
  });

  test("what table.size and table.grow give is defined, and so is what is asked of a reference", () => {
    const subject = run(`${table} (func (export "f") (param externref)
      (if (table.size $t) (then)) (if (table.grow $t (ref.null func) (i32.const 1)) (then))
      (if (ref.is_null (local.get 0)) (then))
      (if (ref.is_null (select (result externref) (local.get 0) (ref.null extern) ${UNDEFINED})) (then)))`);
    subject.exports.f(...([null] as never[]));
    expect(uses(subject)).toEqual([]);
  });
});

test("memory.init defines what it writes, a dropped segment nothing, and its offset must be defined", () => {
  const subject = run(`(data $d "abcdefgh") (data $e "")
    (func (export "init") (memory.init $d (i32.const 2) (i32.const 1) (i32.const 3)))
    (func (export "drop") (data.drop $d) (memory.init $d (i32.const 8) (i32.const 0) (i32.const 0)))
    (func (export "offset") (memory.init $e (i32.const 8) (i32.and (i32.load (i32.const 12)) (i32.const 0x80000000)) (i32.const 0)))`);
  subject.exports.init();
  expect(Array.from(subject.shadow.subarray(0, 8))).toEqual([255, 255, 0, 0, 0, 255, 255, 255]);
  subject.exports.drop();
  expect(Array.from(subject.shadow.subarray(8, 12))).toEqual([255, 255, 255, 255]);
  subject.exports.offset();
  expect(uses(subject)).toEqual([LENGTH]);
});

test("a dozen results of all types, each with its own shadow", () => {
  const types = ["i32", "i64", "f32", "f64", "v128", "i32", "i64", "f32", "f64", "v128", "i32", "externref"];
  const load = (type: string, at: number) =>
    type === "externref" ? "(ref.null extern)" : `(${type}.load (i32.const ${at}))`;
  // The second of each type is undefined.
  const values = types.map((type, i) => load(type, i >= 5 && i < 10 ? 0 : 32));
  const text = `(func $many (result ${types.join(" ")}) ${values.join(" ")})
    (func (export "f") (result i32 i32) (local ${types.join(" ")})
      (call $many) ${types.map((_, i) => `(local.set ${types.length - 1 - i})`).join(" ")}
      (i32.store (i32.const 64) (local.get 0)) (i64.store (i32.const 68) (local.get 1)) (f32.store (i32.const 76) (local.get 2))
      (f64.store (i32.const 80) (local.get 3)) (v128.store (i32.const 88) (local.get 4)) (i32.store (i32.const 104) (local.get 10))
      (i32.store (i32.const 128) (local.get 5)) (i64.store (i32.const 132) (local.get 6)) (f32.store (i32.const 140) (local.get 7))
      (f64.store (i32.const 144) (local.get 8)) (v128.store (i32.const 152) (local.get 9))
      (local.get 0) (local.get 5))`;
  const subject = run(text);
  subject.exports.f();
  expect(subject.shadow.subarray(64, 108).every((bits) => bits === 0)).toBe(true);
  expect(subject.shadow.subarray(128, 168).every((bits) => bits === 255)).toBe(true);
});

test("a tail call through an imported table keeps arguments, and a host's function there gives defined results", () => {
  const table = new (
    engine as unknown as { Table: new (type: object) => { set(index: number, value: unknown): void } }
  ).Table({ element: "anyfunc", initial: 2 });
  const subject = run(
    `(type $t (func (param i32 i64) (result i32)))
    (elem (i32.const 0) $inner)
    (func $inner (type $t) (i32.eqz (local.get 0)))
    (func $by (param i32 i64 i32) (result i32) (return_call_indirect (type $t) (local.get 0) (local.get 1) (local.get 2)))
    (func (export "f") (param i32) (if (call $by (i32.load (i32.const 0)) (i64.const 1) (local.get 0)) (then)))
    (func (export "h") (type $t) (i32.const 5))`,
    { h: { t: table } },
    `(import "h" "t" (table 2 funcref))`,
  );
  table.set(1, subject.exports.h);
  subject.exports.f(...([1] as never[]));
  expect(uses(subject)).toEqual([]);
  subject.exports.f(...([0] as never[]));
  expect(uses(subject)).toEqual([CONDITION]);
});
