// Memory's shadow: bulk instructions, what the host wrote, and the guest's stack, whose frames begin and end undefined.
import { describe, expect, test } from "vitest";
import { type TrackOptions, track } from "../../../../fuzz/wasm/definedness-rewritten.ts";

const uses = ({ reports }: { reports: readonly { use: number }[] }) => reports.map(({ use }) => use);

function subjectOf(rest: string, options: TrackOptions = {}) {
  const subject = track(`(module (memory 1) ${rest})`, options);
  subject.markUndefined(0, 16);
  return subject;
}

test("memory.fill defines, or not, by its value", () => {
  const subject = subjectOf(`(func (export "f")
    (memory.fill (i32.const 0) (i32.const 7) (i32.const 3))
    (memory.fill (i32.const 32) (i32.load (i32.const 8)) (i32.const 4)))`);
  subject.exports.f();
  expect([...subject.shadow.slice(0, 5)]).toEqual([0, 0, 0, 255, 255]);
  expect([...subject.shadow.slice(30, 38)]).toEqual([0, 0, 255, 255, 255, 255, 0, 0]);
});

test("memory.copy takes shadows along, where ranges overlap too", () => {
  const subject = subjectOf(`(func (export "f") (memory.copy (i32.const 12) (i32.const 8) (i32.const 16)))`);
  subject.exports.f();
  expect([...subject.shadow.slice(8, 28)]).toEqual([...new Array(12).fill(255), ...new Array(8).fill(0)]);
});

test("memory.init defines", () => {
  const subject = subjectOf(
    `(data "abcdef") (func (export "f") (memory.init 0 (i32.const 2) (i32.const 1) (i32.const 4)))`,
  );
  subject.exports.f();
  expect(new TextDecoder().decode(subject.bytes.slice(2, 6))).toBe("bcde");
  expect([...subject.shadow.slice(0, 8)]).toEqual([255, 255, 0, 0, 0, 0, 255, 255]);
});

test.each(["memory.copy (i32.const 0) (i32.const 1)", "memory.fill (i32.const 0) (i32.const 1)"])(
  "the length of %s must be defined",
  (instruction) => {
    const subject = subjectOf(`(func (export "f") (${instruction} (i32.and (i32.load (i32.const 0)) (i32.const 7))))`);
    subject.exports.f();
    expect(uses(subject)).toEqual([5]);
  },
);

test("a narrow store defines its bytes, a sign-extending load has its byte's shadow", () => {
  const subject = subjectOf(`
    (func (export "f") (i32.store8 (i32.const 1) (i32.const 200)))
    (func (export "g") (if (i32.load8_s (i32.const 1)) (then)))
    (func (export "h") (if (i32.and (i32.load16_u (i32.const 1)) (i32.const 0xff00)) (then)))`);
  subject.exports.f();
  subject.exports.g();
  expect(uses(subject)).toEqual([]);
  subject.exports.h();
  expect(uses(subject)).toEqual([0]);
});

test("bytes that the host wrote behind the checker count as defined when the host says so", () => {
  const subject = subjectOf(`(func (export "f") (if (i32.load offset=4 (i32.const 4)) (then)))`, {
    onLoad: ({ shadow }, address, size) => shadow.fill(0, address, address + size),
  });
  subject.exports.f();
  expect(uses(subject)).toEqual([]);
  expect([...subject.shadow.slice(7, 13)]).toEqual([255, 0, 0, 0, 0, 255]);
});

describe("stack", () => {
  const STACK = `(global $sp (mut i32) (i32.const 4096))`;
  const options = { hasStack: true };

  test("a frame is undefined until it is written", () => {
    const subject = subjectOf(
      `${STACK} (func (export "f") (local $fp i32)
      (global.set $sp (local.tee $fp (i32.sub (global.get $sp) (i32.const 32))))
      (i32.store offset=8 (local.get $fp) (i32.const 3))
      (if (i32.load offset=8 (local.get $fp)) (then))
      (if (i32.load offset=12 (local.get $fp)) (then))
      (global.set $sp (i32.add (local.get $fp) (i32.const 32))))`,
      options,
    );
    subject.exports.f();
    expect(uses(subject)).toEqual([0]);
  });

  test("a frame that its function leaves is undefined again", () => {
    const subject = subjectOf(
      `${STACK} (func $inner (result i32) (local $fp i32)
      (global.set $sp (local.tee $fp (i32.sub (global.get $sp) (i32.const 16))))
      (i32.store offset=8 (local.get $fp) (i32.const 3))
      (global.set $sp (i32.add (local.get $fp) (i32.const 16)))
      (local.get $fp))
    (func (export "f") (if (i32.load offset=8 (call $inner)) (then)))`,
      options,
    );
    subject.exports.f();
    expect(uses(subject)).toEqual([0]);
  });

  test("a leaf function's frame, for which the stack pointer is never set", () => {
    const subject = subjectOf(
      `${STACK} (func (export "f") (local $fp i32)
      (local.set $fp (i32.sub (global.get $sp) (i32.const 256)))
      (i32.store offset=8 (local.get $fp) (i32.const 3))
      (if (i32.load offset=8 (local.get $fp)) (then))
      (if (i32.load offset=40 (local.get $fp)) (then)))`,
      options,
    );
    subject.exports.f();
    subject.exports.f();
    expect(uses(subject)).toEqual([0, 0]);
  });

  test.each([
    ["by its end", "(local.get $fp)"],
    ["by a return", "(return (local.get $fp))"],
    ["by a branch", "(br 0 (local.get $fp))"],
  ])("a leaf function's frame is undefined again when it is left, %s", (_, end) => {
    const subject = subjectOf(
      `${STACK} (func $leaf (result i32) (local $fp i32)
      (local.set $fp (i32.sub (global.get $sp) (i32.const 16)))
      (i32.store offset=8 (local.get $fp) (i32.const 3))
      (if (i32.load offset=8 (local.get $fp)) (then))
      ${end})
      (func (export "f") (if (i32.load offset=8 (call $leaf)) (then)))`,
      options,
    );
    subject.exports.f();
    expect(uses(subject)).toEqual([0]);
  });

  test("a leaf function that returns before it has a frame leaves memory as it is", () => {
    const subject = subjectOf(
      `${STACK} (func $leaf (param i32) (local $fp i32)
      (if (local.get 0) (then (return)))
      (local.set $fp (i32.sub (global.get $sp) (i32.const 16)))
      (i32.store (local.get $fp) (i32.const 1)))
      (func (export "f") (i32.store (i32.const 2000) (i32.const 7)) (call $leaf (i32.const 1))
      (if (i32.load (i32.const 2000)) (then)))`,
      options,
    );
    subject.exports.f();
    expect(uses(subject)).toEqual([]);
  });

  test("a leaf function's array is as long as an argument says", () => {
    const subject = subjectOf(
      `${STACK} (func (export "f") (param $size i32) (local $sp i32) (local $array i32)
      (local.set $sp (global.get $sp))
      (local.set $array (i32.sub (local.get $sp) (i32.shl (local.get $size) (i32.const 2))))
      (i32.store offset=4 (local.get $array) (i32.const 1))
      (if (i32.load offset=4 (local.get $array)) (then))
      (if (i32.load (local.get $array)) (then)))`,
      options,
    );
    subject.exports.f(...([40] as never[]));
    expect(uses(subject)).toEqual([0]);
  });

  const ARRAY_BESIDE_FRAME = `(func $leaf (param $size i32) (result i32) (local $sp i32) (local $fp i32) (local $low i32)
      (local.set $sp (global.get $sp))
      (local.set $fp (i32.sub (local.get $sp) (i32.const 16)))
      (local.set $low (local.get $fp))
      (i32.store offset=4 (local.get $fp) (i32.const 3))
      (block (local.set $low (i32.sub (local.get $low) (local.get $size))))
      (if (i32.load offset=4 (local.get $fp)) (then))
      (if (i32.load offset=4 (local.get $low)) (then))
      (i32.store offset=4 (local.get $low) (i32.const 1))
      (if (i32.load offset=4 (local.get $low)) (then))
      (local.get $low))`;

  test("a leaf function's array beside its frame is undefined when it begins, and again when the function is left", () => {
    const subject = subjectOf(
      `${STACK} ${ARRAY_BESIDE_FRAME}
      (func (export "f") (param i32) (if (i32.load offset=4 (call $leaf (local.get 0))) (then)))`,
      options,
    );
    subject.exports.f(...([32] as never[]));
    expect(uses(subject)).toEqual([0, 0]);
    subject.exports.f(...([32] as never[]));
    expect(uses(subject)).toEqual([0, 0, 0, 0]);
  });

  test("what is taken off from a pointer that only was the frame's is no longer frame", () => {
    const subject = subjectOf(
      `${STACK} (func (export "f") (local $fp i32)
      (local.set $fp (i32.sub (global.get $sp) (i32.const 16)))
      (i32.store (i32.const 2000) (i32.const 7))
      (if (i32.const 1) (then (local.set $fp (i32.const 2016))) (else (local.set $fp (local.get $fp))))
      (local.set $fp (i32.sub (local.get $fp) (i32.const 16)))
      (if (i32.load (local.get $fp)) (then)))`,
      options,
    );
    subject.exports.f();
    expect(uses(subject)).toEqual([]);
  });

  test("its caller's frame stays as it was", () => {
    const subject = subjectOf(
      `${STACK} (func $inner (local $fp i32)
      (global.set $sp (local.tee $fp (i32.sub (global.get $sp) (i32.const 300))))
      (global.set $sp (i32.add (local.get $fp) (i32.const 300))))
    (func (export "f") (local $fp i32)
      (global.set $sp (local.tee $fp (i32.sub (global.get $sp) (i32.const 16))))
      (i64.store (local.get $fp) (i64.const 3))
      (i64.store offset=8 (local.get $fp) (i64.const 3))
      (call $inner)
      (if (i64.eqz (i64.load offset=8 (local.get $fp))) (then))
      (global.set $sp (i32.add (local.get $fp) (i32.const 16))))`,
      options,
    );
    subject.exports.f();
    expect(uses(subject)).toEqual([]);
  });

  test("what grows the frame later (alloca) is undefined, and restoring the pointer keeps the frame", () => {
    const subject = subjectOf(
      `${STACK} (func (export "f") (param $size i32) (local $fp i32) (local $more i32)
      (global.set $sp (local.tee $fp (i32.sub (global.get $sp) (i32.const 16))))
      (i32.store (local.get $fp) (i32.const 3))
      (global.set $sp (local.tee $more (i32.sub (local.get $fp) (local.get $size))))
      (if (i32.load (local.get $more)) (then))
      (i32.store (local.get $more) (i32.const 1))
      (global.set $sp (local.get $fp))
      (if (i32.load (local.get $more)) (then))
      (if (i32.load (local.get $fp)) (then))
      (global.set $sp (i32.add (local.get $fp) (i32.const 16))))`,
      options,
    );
    subject.exports.f(...([64] as never[]));
    expect(uses(subject)).toEqual([0, 0]);
  });

  test("a stack pointer that moves to another stack leaves both as they are", () => {
    const subject = subjectOf(
      `${STACK.replace("4096", "4194304")} (func (export "f")
      (i32.store (i32.const 2048) (i32.const 1))
      (global.set $sp (i32.const 8192))
      (if (i32.load (i32.const 2048)) (then))
      (global.set $sp (i32.const 4194304)))`,
      options,
    );
    subject.exports.f();
    expect(uses(subject)).toEqual([]);
  });
});
