// The table of areas against a plain sorted list, and what a search in 60,000 areas costs in steps.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { zeroPage } from "../../../../platform/kernel/mm/frames.ts";
import { type AreaDescription, VmaTable } from "../../../../platform/kernel/mm/vma.ts";

const PAGES = 64;

function area(start: number, end: number, flags = 0): AreaDescription {
  return { start, end, flags, pageOffset: start, anonymous: true, file: null, cleanPage: zeroPage };
}

/** Areas in order, as [start, end, flags]. */
function rows(table: VmaTable): number[][] {
  return Array.from({ length: table.count }, (_, index) => {
    const id = table.at(index);
    return [table.startPage[id], table.endPage[id], table.flags[id]];
  });
}

interface Plain {
  start: number;
  end: number;
  flags: number;
  id: number;
}

test("after any inserts, removals and moved borders each search agrees with a plain list", () => {
  const operation = fc.record({
    kind: fc.constantFrom("insert", "insert", "remove", "shrink", "grow"),
    page: fc.nat(PAGES - 1),
    pages: fc.integer({ min: 1, max: 6 }),
  });
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 80 }), (operations) => {
      const table = new VmaTable();
      const plain: Plain[] = [];
      let serial = 0;
      for (const { kind, page, pages } of operations) {
        const at = plain.findIndex(({ start, end }) => start <= page && page < end);
        if (kind === "insert") {
          if (plain.some(({ start, end }) => start < page + pages && page < end)) continue;
          const flags = ++serial;
          const id = table.insert(area(page, page + pages, flags));
          plain.push({ start: page, end: page + pages, flags, id });
          plain.sort((a, b) => a.start - b.start);
        } else if (at === -1) continue;
        else if (kind === "remove") {
          const end = Math.min(plain.length, at + pages);
          table.removeBetween(at, end);
          plain.splice(at, end - at);
        } else {
          const row = plain[at];
          const limit = plain[at + 1]?.start ?? PAGES + 8;
          if (kind === "shrink") row.end = Math.max(row.start + 1, row.end - pages);
          else row.end = Math.min(limit, row.end + pages);
          table.setRange(row.id, row.start, row.end, row.start);
        }
        table.checkInvariants();
      }
      expect(rows(table)).toEqual(plain.map(({ start, end, flags }) => [start, end, flags]));
      for (let page = 0; page < PAGES + 8; page++) {
        const next = plain.find(({ end }) => end > page);
        expect(table.find(page)).toBe(next?.id ?? -1);
        expect(table.lookup(page)).toBe(next !== undefined && next.start <= page ? next.id : -1);
        expect(table.findIntersection(page, page + 3)).toBe(next !== undefined && next.start < page + 3 ? next.id : -1);
      }
      plain.forEach(({ id }, index) => {
        expect(table.indexOf(id)).toBe(index);
        expect(table.previous(id)).toBe(plain[index - 1]?.id ?? -1);
        expect(table.next(id)).toBe(plain[index + 1]?.id ?? -1);
      });
    }),
    { numRuns: 150 },
  );
});

test("an area keeps its id while neighbours come and go", () => {
  const table = new VmaTable();
  const id = table.insert(area(50, 60, 7));
  const ids = Array.from({ length: 100 }, (_, i) => table.insert(area(1000 + 2 * i, 1001 + 2 * i)));
  table.insert(area(10, 20));
  for (const other of ids) table.removeBetween(table.indexOf(other), table.indexOf(other) + 1);
  expect(table.lookup(55)).toBe(id);
  expect(table.flags[id]).toBe(7);
});

test("a duplicate has all that its area has, but its pages", () => {
  const table = new VmaTable();
  const id = table.insert(area(10, 20, 3));
  table.anonVma[id] = 9;
  table.anonChain[id] = 2;
  const copy = table.duplicate(id, 30, 35, 12);
  expect([table.flags[copy], table.anonymous[copy], table.anonVma[copy], table.anonChain[copy]]).toEqual([3, 1, 9, 2]);
  expect(table.cleanPages[copy]).toBe(zeroPage);
  expect(table.pageOffset[copy]).toBe(12);
  expect(rows(table)).toEqual([
    [10, 20, 3],
    [30, 35, 3],
  ]);
});

test("a row that is used again has nothing of the area that had it before", () => {
  const table = new VmaTable();
  const id = table.insert(area(10, 20));
  table.anonVma[id] = 9;
  table.anonChain[id] = 3;
  table.removeBetween(0, 1);
  const again = table.insert(area(30, 40));
  expect(again).toBe(id);
  expect([table.anonVma[again], table.anonChain[again]]).toEqual([0, 0]);
});

test("finding one of 60,000 areas looks at no more than 20 of them", () => {
  const table = new VmaTable();
  const count = 60_000;
  for (let i = 0; i < count; i++) table.insert(area(2 * i, 2 * i + 1));
  let looks = 0;
  const starts = Reflect.get(table, "starts") as Int32Array;
  const counted = new Proxy(starts, {
    get(target, key) {
      looks++;
      return Reflect.get(target, key) as unknown;
    },
  });
  Reflect.set(table, "starts", counted);
  for (let i = 0; i < 100; i++) {
    const index = (i * 7919) % count;
    looks = 0;
    expect(table.lookup(2 * index)).toBe(table.at(index));
    expect(looks).toBeLessThanOrEqual(20);
  }
});

describe("checkInvariants names", () => {
  test("areas that overlap", () => {
    const table = new VmaTable();
    const id = table.insert(area(10, 20));
    table.insert(area(30, 40));
    table.endPage[id] = 35;
    expect(() => table.checkInvariants()).toThrow("starts at page 30, before the end 35 of its neighbour");
  });

  test("an area that is empty, but none that begins where its neighbour ends", () => {
    const table = new VmaTable();
    const id = table.insert(area(10, 20));
    table.insert(area(20, 30));
    table.checkInvariants();
    table.endPage[id] = 10;
    expect(() => table.checkInvariants()).toThrow(`area ${id} is empty: pages 10 to 10`);
  });

  test("an index that disagrees with its row", () => {
    const table = new VmaTable();
    const id = table.insert(area(10, 20));
    table.startPage[id] = 11;
    expect(() => table.checkInvariants()).toThrow("the index says page 10, its row 11");
  });
});
