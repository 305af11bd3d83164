// Which entry of the cache of large mappings serves a request (S12.4), of entries that are put there by hand.
import { beforeEach, expect, test } from "vitest";
import type { SecondaryCache } from "../../../allocator/secondary/secondary-cache.ts";
import { openHeap } from "../open-heap.ts";

const PAGE = 4096;
const BASE = 2 ** 32;
let cache: SecondaryCache;

beforeEach(() => {
  const made = openHeap().parts.secondary.cache;
  if (made === null) throw new Error("there is a cache");
  cache = made;
});

/** Entries of so many pages, 0 for an empty slot. */
function fill(pages: readonly number[]): void {
  for (const [slot, count] of pages.entries()) {
    cache.commitBase[slot] = count === 0 ? 0 : BASE + slot * 2 ** 24;
    cache.commitSize[slot] = count * PAGE;
  }
  cache.entriesCount = pages.filter((count) => count > 0).length;
}

const TEN = 10 * PAGE - 64;

test.each([
  ["the one that wastes least, in any order", [13, 12, 14], 1],
  ["the one that wastes least, with worse ones behind it", [12, 13, 13], 0],
  ["the first that wastes no more than a tenth, without a look at the others", [12, 11, 10], 1],
  ["the later of two that waste the same", [13, 13], 1],
  ["one with empty slots before it", [0, 0, 11], 2],
  ["none that is too small", [9, 9, 0], -1],
  ["none that has more than four pages in front of the chunk", [15, 16, 100], -1],
])("%s", (_, pages, slot) => {
  fill(pages);
  expect(cache.find(TEN, 16)).toBe(slot);
});

test("the chunk begins at most four pages into the entry, to the byte", () => {
  fill([14]);
  expect([cache.find(10 * PAGE, 16), cache.find(10 * PAGE - 16, 16)]).toEqual([0, -1]);
});

test("attempts and successes are counted; an empty cache is an attempt", () => {
  expect(cache.find(TEN, 16)).toBe(-1);
  fill([10]);
  cache.find(TEN, 16);
  cache.find(2 * TEN, 16);
  expect([cache.retrievals, cache.successfulRetrievals]).toEqual([3, 1]);
});
