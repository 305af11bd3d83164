// What made chunks that were freed, as far as it is remembered (allocator/checker/freed-blocks.ts).

import { expect, test } from "vitest";
import { FreedBlocks } from "../../../allocator/checker/freed-blocks.ts";

const [MALLOC, NEW] = [0, 1];
/** Chunks whose origin is remembered. */
const REMEMBERED = 65_536;

test("before the first free nothing is known; while all are alike, each is as all are", () => {
  const freed = new FreedBlocks();
  expect(freed.originOf(16)).toBe(null);
  for (let i = 1; i <= 2 * REMEMBERED; i++) freed.note(16 * i, 8, NEW, false);
  expect([freed.originOf(16), freed.originOf(32 * REMEMBERED)]).toEqual(["new", "new"]);
});

test("from the first chunk that was made otherwise on, each that is remembered has its own", () => {
  const freed = new FreedBlocks();
  for (let i = 1; i <= 100; i++) freed.note(16 * i, 8, MALLOC, false);
  freed.note(16 * 50, 8, NEW, false);
  freed.note(16 * 101, 8, NEW, false);
  expect([1, 49, 50, 51, 100, 101].map((i) => freed.originOf(16 * i))).toEqual([
    "malloc",
    "malloc",
    "new",
    "malloc",
    "malloc",
    "new",
  ]);
  expect(freed.originOf(16 * 102)).toBe(null);
  freed.forget(16 * 101);
  expect(freed.originOf(16 * 101)).toBe(null);
});

test("the last 65,536 are remembered, those of before the first that was made otherwise among them", () => {
  const freed = new FreedBlocks();
  const all = REMEMBERED + 1000;
  for (let i = 1; i <= all; i++) freed.note(16 * i, 8, MALLOC, false);
  freed.note(16 * (all + 1), 8, NEW, false);
  expect([1001, 1002, all].map((i) => freed.originOf(16 * i))).toEqual([null, "malloc", "malloc"]);
});
