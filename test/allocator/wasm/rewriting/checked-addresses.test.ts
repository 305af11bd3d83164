// Checks that are left out: only where the same bytes of the same local were checked on every way there, and nothing freed them since.
import { afterEach, describe, expect, test } from "vitest";
import { Instance, Module } from "../../../../allocator/wasm/guest/functions.ts";
import { CheckedAddresses } from "../../../../allocator/wasm/rewriting/checked-addresses.ts";
import { wat } from "../../../../fuzz/wasm/wat.ts";

const LOAD = 0;
const STORE = 1;

function checked(...facts: readonly (readonly [number, number, number, number])[]): CheckedAddresses {
  const addresses = new CheckedAddresses();
  addresses.begin();
  for (const fact of facts) addresses.add(...fact);
  return addresses;
}

describe("a check", () => {
  test("covers bytes inside its own, of the same local only, and a store's covers a load's", () => {
    const addresses = checked([3, 8, 8, STORE], [4, 0, 4, LOAD]);
    expect(addresses.has(3, 12, 4, LOAD)).toBe(true);
    expect(addresses.has(3, 8, 8, STORE)).toBe(true);
    expect(addresses.has(3, 12, 8, LOAD)).toBe(false);
    expect(addresses.has(3, 4, 8, LOAD)).toBe(false);
    expect(addresses.has(5, 8, 4, LOAD)).toBe(false);
    expect(addresses.has(4, 0, 4, STORE)).toBe(false);
  });

  test("ends when its local is set, at a call, and at a loop's begin", () => {
    const addresses = checked([1, 0, 4, LOAD], [2, 0, 4, LOAD]);
    addresses.forgetLocal(1);
    expect([addresses.has(1, 0, 4, LOAD), addresses.has(2, 0, 4, LOAD)]).toEqual([false, true]);
    addresses.open(true);
    expect(addresses.has(2, 0, 4, LOAD)).toBe(false);
    const others = checked([2, 0, 4, LOAD]);
    others.forgetAll();
    expect(others.has(2, 0, 4, LOAD)).toBe(false);
  });

  test("made in a block or an arm holds there only; one from before holds in both arms and behind", () => {
    const addresses = checked([1, 0, 4, LOAD]);
    addresses.open(false);
    addresses.add(2, 0, 4, LOAD);
    expect(addresses.has(2, 0, 4, LOAD)).toBe(true);
    addresses.alternate();
    expect([addresses.has(1, 0, 4, LOAD), addresses.has(2, 0, 4, LOAD)]).toEqual([true, false]);
    addresses.add(3, 0, 4, LOAD);
    addresses.close();
    expect([addresses.has(1, 0, 4, LOAD), addresses.has(3, 0, 4, LOAD)]).toEqual([true, false]);
  });
});

describe("in a function", () => {
  const made: Instance[] = [];
  afterEach(() => {
    for (const instance of made.splice(0)) instance[Symbol.dispose]();
  });

  /** Findings of a function whose $p is a block of 16 bytes. */
  function findings(body: string): number {
    const instance = new Instance(
      new Module(
        wat(`(module (memory 1) (func $malloc (param i32) (result i32) unreachable) (func $free (param i32) unreachable)
          (func (export "run") (local $p i32) (local $i i32) (local.set $p (call $malloc (i32.const 16))) ${body}))`),
        { memoryBytes: 2 ** 24 },
      ),
    );
    made.push(instance);
    (instance.exports.run as () => void)();
    return instance.checker.countErrors();
  }

  const load = (offset: number, width = "") => `(drop (i32.load${width} offset=${offset} (local.get $p)))`;

  test.each([
    ["the same bytes again", `${load(12)} ${load(12)} ${load(13, "8_u")}`, 0],
    ["a wider access to a checked byte", `${load(15, "8_u")} ${load(15)}`, 1],
    ["another offset", `${load(0)} ${load(16)}`, 1],
    ["a freed block", `${load(0)} (call $free (local.get $p)) ${load(0)}`, 1],
    ["another value of the local", `${load(0)} (local.set $p (i32.add (local.get $p) (i32.const 16))) ${load(0)}`, 1],
    [
      "a loop that moves the local on",
      `(loop $l ${load(0)} (local.set $p (i32.add (local.get $p) (i32.const 8)))
         (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 4))))`,
      2,
    ],
    ["an arm that was not taken", `(if (local.get $i) (then ${load(16)})) ${load(16)}`, 1],
    [
      "an address on the stack from before its local was set",
      "(local.get $p) (local.set $p (i32.const 2000)) (drop (i32.load offset=16))",
      1,
    ],
  ])("%s", (_, body, count) => {
    expect(findings(body)).toBe(count);
  });
});
