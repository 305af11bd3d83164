// The flat page table against a plain Map: what is set, counted and skipped, and that its bitmaps never drift.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PAGE_COUNT } from "../../../platform/hardware/layout.ts";
import { ENTRIES_PER_BLOCK, PageTable } from "../../../platform/hardware/page-table.ts";

/** One table for all tests: each leaves it empty, as a process that ends does. */
const table = new PageTable();
const ENTRIES_PER_WORD = 32 * ENTRIES_PER_BLOCK;
const ENTRIES_PER_GROUP = 32 * ENTRIES_PER_WORD;

function withPages(pages: readonly number[], check: () => void): void {
  for (const page of pages) table.set(page, 5);
  try {
    check();
  } finally {
    for (const page of pages) table.set(page, 0);
  }
}

/** Pages around the borders of blocks, of bitmap words and of groups of words, where skipping can go wrong. */
const border = fc
  .tuple(
    fc.constantFrom(0, 1, 2, 3, 63, 64),
    fc.constantFrom(1, ENTRIES_PER_BLOCK, ENTRIES_PER_WORD, ENTRIES_PER_GROUP),
  )
  .chain(([count, unit]) => fc.integer({ min: -2, max: 2 }).map((off) => count * unit + off));
const page = fc
  .oneof(border, fc.nat(PAGE_COUNT - 1), fc.nat(4096), fc.constantFrom(PAGE_COUNT - 1, PAGE_COUNT - 512))
  .map((wanted) => Math.min(Math.max(wanted, 0), PAGE_COUNT - 1));

test("next and count agree with a plain map, and the invariants hold after any sets and clears", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(page, fc.boolean()), { maxLength: 60 }),
      fc.array(fc.tuple(page, page), { minLength: 1, maxLength: 10 }),
      (sets, ranges) => {
        const plain = new Map<number, number>();
        for (const [at, present] of sets) {
          table.set(at, present ? -7 : 0);
          if (present) plain.set(at, -7);
          else plain.delete(at);
        }
        table.checkInvariants();
        const pages = [...plain.keys()].sort((a, b) => a - b);
        for (const [from, to] of ranges) {
          const inside = pages.filter((at) => at >= from && at < to);
          expect(table.next(from, to)).toBe(inside[0] ?? to);
          expect(table.count(from, to)).toBe(inside.length);
        }
        expect(table.populatedBlocks).toBe(new Set(pages.map((at) => Math.floor(at / ENTRIES_PER_BLOCK))).size);
        for (const at of pages) table.set(at, 0);
      },
    ),
    { numRuns: 200 },
  );
  expect(table.populatedBlocks).toBe(0);
});

describe("next", () => {
  test("finds the only page at either end of the address space", () => {
    withPages([0], () => expect(table.next(0, PAGE_COUNT)).toBe(0));
    withPages([PAGE_COUNT - 1], () => expect(table.next(0, PAGE_COUNT)).toBe(PAGE_COUNT - 1));
  });

  test("is the end of the range if nothing is there, whatever lies behind it", () => {
    withPages([1000], () => expect(table.next(10, 1000)).toBe(1000));
    expect(table.next(0, PAGE_COUNT)).toBe(PAGE_COUNT);
  });

  test("does not look at entries of untouched blocks", () => {
    let reads = 0;
    const watched = new Proxy(table, {
      get(target, key) {
        if (key === "entries") reads++;
        return Reflect.get(target, key) as unknown;
      },
    });
    withPages([PAGE_COUNT - 1], () => {
      expect(watched.next(0, PAGE_COUNT)).toBe(PAGE_COUNT - 1);
      expect(reads).toBeLessThanOrEqual(ENTRIES_PER_BLOCK);
    });
  });
});

test("changing an entry into another counts it once", () => {
  table.set(77, 1);
  table.set(77, 2);
  expect(table.populated[0]).toBe(1);
  table.set(77, 0);
  table.set(77, 0);
  expect(table.populated[0]).toBe(0);
  table.checkInvariants();
});

test("checkInvariants names a block whose count is wrong", () => {
  table.set(600, 9);
  table.entries[601] = 9;
  expect(() => table.checkInvariants()).toThrow("block 1 holds 2 entries but counts 1");
  table.entries[601] = 0;
  table.set(600, 0);
});
