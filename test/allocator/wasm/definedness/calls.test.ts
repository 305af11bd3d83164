// Undefined bits go through calls of every kind, and end where the guest's own code does.
import { expect, test } from "vitest";
import { track } from "../../../../fuzz/wasm/definedness-rewritten.ts";

const CONDITION = 0;
const TABLE_INDEX = 2;
const ARGUMENT = 4;
const uses = ({ reports }: { reports: readonly { use: number }[] }) => reports.map(({ use }) => use);

/** `body` runs with eight undefined bytes at 0 and eight defined ones at 8. */
function run(rest: string, imports: Record<string, Record<string, unknown>> = {}, prefix = "") {
  const subject = track(`(module ${prefix} (memory 1) ${rest})`, { imports });
  subject.markUndefined(0, 8);
  return subject;
}

const USE = "(func $use (param i32) (if (local.get 0) (then)))";

test("an argument, through a direct call", () => {
  const subject = run(`${USE} (func (export "f") (call $use (i32.load (i32.const 0))))`);
  subject.exports.f();
  expect(uses(subject)).toEqual([CONDITION]);
});

test("a defined argument of the same function later", () => {
  const subject = run(`${USE}
    (func (export "f") (drop (call $none (i32.load (i32.const 0)))) (call $use (i32.load (i32.const 8))))
    (func $none (param i32) (result i32) (i32.const 3))`);
  subject.exports.f();
  expect(uses(subject)).toEqual([]);
});

test("the right one of several arguments", () => {
  const subject = run(`
    (func $use (param i64 i32 f64) (if (local.get 1) (then)) (if (i64.eqz (local.get 0)) (then)))
    (func (export "f") (call $use (i64.load (i32.const 0)) (i32.load (i32.const 8)) (f64.load (i32.const 8))))`);
  subject.exports.f();
  expect(uses(subject)).toEqual([CONDITION]);
});

test("a result, and several", () => {
  const subject = run(`
    (func $word (result i32) (i32.load (i32.const 0)))
    (func $two (result i32 i64) (i32.const 1) (i64.load (i32.const 0)))
    (func (export "one") (if (call $word) (then)))
    (func (export "first") (call $two) drop (if (then)))
    (func (export "second") (call $two) (if (i64.eqz) (then)) drop)`);
  subject.exports.one();
  expect(uses(subject)).toEqual([CONDITION]);
  subject.exports.first();
  expect(subject.reports).toHaveLength(1);
  subject.exports.second();
  expect(subject.reports).toHaveLength(2);
});

test("a result that a return and a branch to the function's end leave", () => {
  const subject = run(`
    (func $word (param i32) (result i32)
      (if (local.get 0) (then (return (i32.load (i32.const 0)))))
      (br 0 (i32.load (i32.const 8))))
    (func (export "f") (param i32) (if (call $word (local.get 0)) (then)))`);
  subject.exports.f(...([0] as never[]));
  expect(uses(subject)).toEqual([]);
  subject.exports.f(...([1] as never[]));
  expect(uses(subject)).toEqual([CONDITION]);
});

test("through a table, with an index that must be defined", () => {
  const subject = run(`(table 2 funcref) (elem (i32.const 0) $use $use) ${USE}
    (func (export "f") (call_indirect (param i32) (i32.load (i32.const 0)) (i32.const 1)))
    (func (export "g") (call_indirect (param i32) (i32.const 0) (i32.and (i32.load (i32.const 0)) (i32.const 1))))`);
  subject.exports.f();
  expect(uses(subject)).toEqual([CONDITION]);
  subject.exports.g();
  expect(uses(subject)).toEqual([CONDITION, TABLE_INDEX]);
});

test("tail calls, direct and through a table", () => {
  const subject = run(`(table 1 funcref) (elem (i32.const 0) $inner) (type $t (func (param i32) (result i32)))
    (func $inner (type $t) (i32.xor (local.get 0) (i32.const 1)))
    (func $direct (type $t) (return_call $inner (local.get 0)))
    (func $indirect (type $t) (return_call_indirect (type $t) (local.get 0) (i32.const 0)))
    (func (export "f") (if (call $direct (i32.load (i32.const 0))) (then)))
    (func (export "g") (if (call $indirect (i32.load (i32.const 0))) (then)))
    (func (export "h") (if (call $indirect (i32.load (i32.const 8))) (then)))`);
  subject.exports.f();
  subject.exports.g();
  subject.exports.h();
  expect(uses(subject)).toEqual([CONDITION, CONDITION]);
});

test("recursion keeps each frame's own shadows", () => {
  const subject = run(`
    (func $sum (param $depth i32) (param $word i32) (result i32) (local $rest i32)
      (if (i32.eqz (local.get $depth)) (then (return (i32.const 0))))
      (local.set $rest (call $sum (i32.sub (local.get $depth) (i32.const 1)) (i32.load (i32.const 8))))
      (i32.add (local.get $rest) (local.get $word)))
    (func (export "f") (if (call $sum (i32.const 5) (i32.load (i32.const 0))) (then)))
    (func (export "g") (if (call $sum (i32.const 5) (i32.load (i32.const 8))) (then)))`);
  subject.exports.f();
  expect(uses(subject)).toEqual([CONDITION]);
  subject.exports.g();
  expect(uses(subject)).toEqual([CONDITION]);
});

test("an argument for the host is reported; what the host gives is defined", () => {
  const subject = run(
    `(func (export "f") (if (call $host (i32.load (i32.const 0))) (then)))`,
    { h: { f: () => 7 } },
    `(import "h" "f" (func $host (param i32) (result i32)))`,
  );
  subject.exports.f();
  expect(uses(subject)).toEqual([ARGUMENT]);
});

test("a host's function in the table gets the arguments, gives defined results, and leaves no shadow behind", () => {
  const subject = run(
    `(table 1 funcref) (elem (i32.const 0) $host) ${USE}
     (func $word (result i32) (i32.load (i32.const 0)))
     (func (export "f")
       (drop (call $word))
       (if (call_indirect (param i32) (result i32) (i32.load (i32.const 0)) (i32.const 0)) (then))
       (call $use (i32.load (i32.const 8))))
     (func (export "later") (param i32) (if (local.get 0) (then)))`,
    { h: { f: () => 7 } },
    `(import "h" "f" (func $host (param i32) (result i32)))`,
  );
  subject.exports.f();
  subject.exports.later(...([1] as never[]));
  expect(uses(subject)).toEqual([]);
});

test("guest, host, guest again: arguments from the host are defined, and the outer frame keeps its shadows", () => {
  let again: (...values: never[]) => unknown = () => 0;
  const subject = run(
    `${USE}
     (func (export "inner") (param i32) (result i32) (call $use (local.get 0)) (i32.load (i32.const 0)))
     (func (export "f") (local i32)
       (local.set 0 (i32.load (i32.const 0)))
       (if (call $host (i32.const 5)) (then))
       (if (local.get 0) (then)))`,
    { h: { f: (value: number) => again(...([value] as never[])) } },
    `(import "h" "f" (func $host (param i32) (result i32)))`,
  );
  again = subject.exports.inner;
  subject.exports.f();
  expect(uses(subject)).toEqual([CONDITION]);
});
