// The flat page table against a plain Map: what is set, counted and skipped, and that its bitmaps never drift.
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { PAGE_COUNT, PTE_FRAME_SHIFT, PTE_READ, PTE_WRITE } from "../../../platform/hardware/layout.ts";
import {
  ENTRIES_PER_BLOCK,
  HUGE_ENTRY,
  HUGE_ENTRY_WITHOUT_TABLE,
  PAGES_PER_UPPER_TABLE,
  PageTable,
} from "../../../platform/hardware/page-table.ts";

/** One table for all tests: each leaves it empty, as a process that ends does. */
const table = new PageTable();
afterEach(() => {
  table.freeTables(0, PAGE_COUNT);
  table.freeUpperTables(0, PAGE_COUNT);
});
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
        const touched = new Set(
          sets.filter(([, present]) => present).map(([at]) => Math.floor(at / ENTRIES_PER_BLOCK)),
        );
        expect(table.tableCount).toBe(touched.size);
        for (const at of pages) table.set(at, 0);
        table.freeTables(0, PAGE_COUNT);
      },
    ),
    { numRuns: 200 },
  );
  expect([table.tableCount, table.isEmpty]).toEqual([0, true]);
});

describe("next", () => {
  test("finds the only page at either end of the address space", () => {
    withPages([0], () => expect(table.next(0, PAGE_COUNT)).toBe(0));
    withPages([PAGE_COUNT - 1], () => expect(table.next(0, PAGE_COUNT)).toBe(PAGE_COUNT - 1));
  });

  test("is the end of the range if nothing is there, also where something lies behind it", () => {
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

test("checkInvariants names a word of blocks that its bit does not tell, and a wrong count of blocks", () => {
  const own = new PageTable();
  own.set(600, 9);
  const { wordBits } = own as unknown as { wordBits: Int32Array };
  wordBits[0] ^= 1;
  expect(() => own.checkInvariants()).toThrow("word 0 disagrees with its bit 0");
  wordBits[0] ^= 1;
  (own as unknown as { usedBlocks: number }).usedBlocks++;
  expect(() => own.checkInvariants()).toThrow("1 blocks are in use but the count is 2");
});

/** What a test may tear of a table: its own counts and maps. */
interface Inside {
  readonly blockBits: Int32Array;
  readonly tables: Uint8Array;
  readonly huge: Uint8Array;
  readonly populated: Int16Array;
  readonly upperTables: Uint8Array;
  readonly spreadParts: Uint8Array;
  upperTableCount: number;
  tableCount: number;
}

describe("checkInvariants names", () => {
  const cases: [string, (inside: Inside) => void, string][] = [
    ["a block without its bit", ({ blockBits }) => blockBits.fill(0), "block 1 is in use but its bit is 0"],
    [
      "a bit without its block",
      ({ blockBits }) => blockBits.fill(2 ** 3 + 2, 0, 1),
      "block 3 is not in use but its bit is 1",
    ],
    [
      "a block without a table above it",
      ({ upperTables }) => upperTables.fill(0),
      "block 1 is in use without a table above",
    ],
    [
      "upper tables that are not counted",
      (inside) => void inside.upperTableCount++,
      "1 upper tables but the count is 2",
    ],
    ["tables that are not counted", (inside) => void inside.tableCount--, "1 tables but the count is 0"],
    [
      "a table beside a huge entry",
      ({ huge, populated }) => {
        huge[1] = HUGE_ENTRY;
        populated[1] = ENTRIES_PER_BLOCK;
      },
      "block 1 has a table and a huge entry",
    ],
  ];

  test.each(cases)("%s", (_, tear, rule) => {
    const own = new PageTable();
    own.set(ENTRIES_PER_BLOCK, 9);
    own.checkInvariants();
    tear(own as unknown as Inside);
    expect(() => own.checkInvariants()).toThrow(rule);
  });

  test("a copy of a huge entry that no bit tells of", () => {
    const own = new PageTable();
    own.setHuge(BLOCK, ENTRY);
    own.spread(BLOCK);
    (own as unknown as Inside).spreadParts[1] = 0;
    expect(() => own.checkInvariants()).toThrow(`page ${BLOCK} has a copy of its huge entry that no bit tells of`);
  });
});

/** The first page of the second block, and an entry whose frame is number 1024. */
const BLOCK = ENTRIES_PER_BLOCK;
const ENTRY = (1024 << PTE_FRAME_SHIFT) | PTE_READ;

describe("a huge entry", () => {
  function withHuge(check: () => void, kind?: number): void {
    table.setHuge(BLOCK, ENTRY, kind);
    try {
      check();
    } finally {
      if (table.isHuge(BLOCK)) table.clearHuge(BLOCK);
      for (let page = table.next(0, PAGE_COUNT); page < PAGE_COUNT; page = table.next(page, PAGE_COUNT)) {
        if (table.isHuge(page)) table.clearHuge(page);
        else table.set(page, 0);
      }
      table.freeTables(0, PAGE_COUNT);
      table.checkInvariants();
    }
  }

  test("is found by every page of its block, each with the frame that follows the last", () => {
    withHuge(() => {
      expect(table.entryOf(BLOCK + 7)).toBe(((1024 + 7) << PTE_FRAME_SHIFT) | PTE_READ);
      expect([table.next(0, PAGE_COUNT), table.count(0, PAGE_COUNT)]).toEqual([BLOCK, ENTRIES_PER_BLOCK]);
      table.checkInvariants();
    });
  });

  test.each([
    [HUGE_ENTRY, 1],
    [HUGE_ENTRY_WITHOUT_TABLE, 0],
  ])("of kind %d keeps %d page tables in reserve", (kind, tables) => {
    withHuge(() => expect(table.tableCount).toBe(tables), kind);
  });

  test("that is split leaves the same small entries, and a page table that stays when they go", () => {
    withHuge(() => {
      table.splitHuge(BLOCK);
      expect([table.isHuge(BLOCK), table.entries[BLOCK], table.tableCount]).toEqual([false, ENTRY, 1]);
      table.checkInvariants();
      for (let page = BLOCK; page < 2 * BLOCK; page++) table.set(page, 0);
      expect([table.isUntouched(BLOCK), table.isEmpty]).toEqual([false, false]);
    });
  });

  test("writes the entries of an eighth of its block only when it is spread there, and takes them back when it changes or goes", () => {
    const at = (index: number): number => ENTRY + (index << PTE_FRAME_SHIFT);
    const shown = () => [0, 63, 64, 447, 448, 511, 512].map((index) => table.entries[BLOCK + index]);
    const none = [0, 0, 0, 0, 0, 0, 0];
    withHuge(() => {
      expect(shown()).toEqual(none);
      table.spread(BLOCK + 9);
      table.checkInvariants();
      expect(shown()).toEqual([ENTRY, at(63), 0, 0, 0, 0, 0]);
      table.spread(BLOCK + 500);
      expect(shown()).toEqual([ENTRY, at(63), 0, 0, at(448), at(511), 0]);
      table.checkInvariants();
      table.setHuge(BLOCK, ENTRY | PTE_WRITE);
      expect([...shown(), table.entryOf(BLOCK)]).toEqual([...none, ENTRY | PTE_WRITE]);
      for (let index = 0; index < 512; index += 64) table.spread(BLOCK + index);
      expect(shown().slice(0, 6)).not.toContain(0);
      table.clearHuge(BLOCK);
      expect([...shown(), table.entryOf(BLOCK + 9)]).toEqual([...none, 0]);
    });
  });

  test.each([false, true])("moves alike whether its block was spread or not: %s", (isSpread) => {
    withHuge(() => {
      if (isSpread) table.spread(BLOCK);
      table.moveBlock(BLOCK, 3 * BLOCK);
      expect([table.entryOf(BLOCK + 5), table.entryOf(3 * BLOCK + 5)]).toEqual([0, ENTRY + (5 << PTE_FRAME_SHIFT)]);
      table.checkInvariants();
    });
  });

  test("that goes leaves its block untouched", () => {
    table.setHuge(BLOCK, ENTRY);
    table.clearHuge(BLOCK);
    expect([table.isUntouched(BLOCK), table.isEmpty]).toEqual([true, true]);
  });

  test("moves to another block as it is", () => {
    withHuge(() => {
      table.moveBlock(BLOCK, 3 * BLOCK);
      expect([table.isUntouched(BLOCK), table.isHuge(3 * BLOCK), table.entryOf(3 * BLOCK)]).toEqual([
        true,
        true,
        ENTRY,
      ]);
      table.checkInvariants();
      table.clearHuge(3 * BLOCK);
    });
  });

  test("and a table move to other blocks with what they count", () => {
    const own = new PageTable();
    own.set(BLOCK + 5, 9);
    own.moveBlock(BLOCK, 3 * BLOCK);
    own.checkInvariants();
    expect([own.entryOf(3 * BLOCK + 5), own.entryOf(BLOCK + 5), own.isUntouched(BLOCK)]).toEqual([9, 0, true]);
    own.set(3 * BLOCK + 5, 0);
    own.freeTables(0, 4 * BLOCK);
    own.checkInvariants();
  });

  test("with an entry that does not follow the one before is found by checkInvariants", () => {
    withHuge(() => {
      table.spread(BLOCK);
      table.entries[BLOCK + 3] = ENTRY;
      expect(() => table.checkInvariants()).toThrow(`page ${BLOCK + 3} has the entry ${ENTRY}`);
    });
  });
});

describe("page tables without entries", () => {
  test("are freed where the whole block lies in the range", () => {
    for (const page of [5, BLOCK + 5, 2 * BLOCK + 5]) {
      table.set(page, 1);
      table.set(page, 0);
    }
    table.freeTables(1, 3 * BLOCK - 1);
    expect([0, BLOCK, 2 * BLOCK].map((page) => table.isUntouched(page))).toEqual([false, true, false]);
  });

  test("stay as long as an entry is left", () => {
    withPages([5], () => {
      table.freeTables(0, PAGE_COUNT);
      expect(table.isUsed(5)).toBe(true);
    });
  });
});

describe("tables above those of the blocks", () => {
  const GIB = PAGES_PER_UPPER_TABLE;

  test("are one for each GiB that was used, and stay when its blocks have lost theirs", () => {
    withPages([5, BLOCK + 5, GIB + 5], () => expect(table.upperTableCount).toBe(2));
    table.freeTables(0, PAGE_COUNT);
    expect([table.tableCount, table.upperTableCount]).toEqual([0, 2]);
    table.freeUpperTables(0, PAGE_COUNT);
    expect(table.upperTableCount).toBe(0);
  });

  test("are freed where the whole GiB lies in the range and nothing is below", () => {
    for (const page of [5, GIB + 5, 2 * GIB + 5]) table.makeUpperTable(page);
    table.freeUpperTables(1, 3 * GIB - 1);
    expect(table.upperTableCount).toBe(2);
    withPages([5], () => {
      table.freeUpperTables(0, PAGE_COUNT);
      expect(table.upperTableCount).toBe(1);
    });
  });
});
