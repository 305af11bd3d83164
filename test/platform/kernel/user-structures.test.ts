// Words of user memory as numbers (platform/kernel/user-structures.ts); the calls that read structures are user-calls.test.ts.
import { expect, test } from "vitest";
import { wordAt } from "../../../platform/kernel/user-structures.ts";

test.each([
  [0n, 0],
  [4096n, 4096],
  [2n ** 53n - 1n, 2 ** 53 - 1],
  [2n ** 63n, 2 ** 63],
  [2n ** 64n - 2n ** 11n, 2 ** 64 - 2 ** 11],
  // No number is nearer: 2^64 would be no word any more.
  [2n ** 64n - 1n, 2 ** 64 - 2 ** 11],
  [2n ** 64n - 2n ** 10n, 2 ** 64 - 2 ** 11],
])("the word %i is a number below 2^64", (word, number) => {
  const view = new DataView(new ArrayBuffer(24));
  view.setBigUint64(8, word, true);
  expect(wordAt(view, 8)).toBe(number);
  expect([wordAt(view, 0), wordAt(view, 16)]).toEqual([0, 0]);
});
