// The generator and the shuffle: exact sequences by a plain model, and that a shuffle is a permutation.
import fc from "fast-check";
import { expect, test } from "vitest";
import { nextRandom, shuffle } from "../../../allocator/common/random.ts";

/** xorshift32 on BigInt: no sign, no overflow to think about. */
function modelNext(state: number): number {
  let x = BigInt(state);
  x = BigInt.asUintN(32, x ^ (x << 13n));
  x ^= x >> 17n;
  x = BigInt.asUintN(32, x ^ (x << 5n));
  return Number(x);
}

test("the generator is xorshift32 with shifts 13, 17 and 5, as an unsigned number", () => {
  fc.assert(fc.property(fc.nat(0xffffffff), (state) => nextRandom(state) === modelNext(state)));
  expect(nextRandom(1)).toBe(270369);
});

test("a state of 0 stays 0", () => {
  expect(nextRandom(0)).toBe(0);
});

test("a shuffle keeps every entry, touches only its range and answers the state after one step an exchange", () => {
  fc.assert(
    fc.property(fc.array(fc.integer(), { maxLength: 40 }), fc.nat(0xffffffff), (values, seed) => {
      const entries = Int32Array.of(7, ...values, 9);
      const state = shuffle(entries, 1, values.length, seed);
      expect([...entries.subarray(1, values.length + 1)].sort()).toEqual([...Int32Array.from(values)].sort());
      expect([entries[0], entries[values.length + 1]]).toEqual([7, 9]);
      let expected = seed;
      for (let i = 1; i < values.length; i++) expected = modelNext(expected);
      expect(state).toBe(expected);
    }),
  );
});

test("the last position is exchanged first", () => {
  const entries = Int32Array.of(0, 1, 2, 3);
  const seed = 12345;
  const partner = modelNext(seed) % 4;
  shuffle(entries, 0, 4, seed);
  expect(entries[3]).toBe(partner);
});
