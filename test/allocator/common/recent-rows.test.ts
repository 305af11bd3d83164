// Rows of the addresses that came last, against a Map in order of insertion (allocator/common/recent-rows.ts).

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RecentRows } from "../../../allocator/common/recent-rows.ts";

const LIMIT = 64;

/** A Map in order of insertion, whose values are the rows that were answered. */
function addTo(model: Map<number, number>, address: number, row: number): void {
  model.delete(address);
  if (model.size === LIMIT) model.delete([...model.keys()][0]);
  model.set(address, row);
}

describe("rows of the addresses that came last", () => {
  test("each address kept has a row of its own, the oldest one's is given away when all are taken", () => {
    const address = fc.integer({ min: 1, max: 150 }).map((n) => n * 2 ** 33 + 16 * n);
    const steps = fc.array(fc.record({ address, isRemoval: fc.boolean() }), { minLength: 100, maxLength: 600 });
    fc.assert(
      fc.property(steps, (operations) => {
        const rows = new RecentRows(LIMIT);
        const model = new Map<number, number>();
        for (const { address, isRemoval } of operations) {
          if (isRemoval) {
            expect(rows.remove(address)).toBe(model.get(address) ?? -1);
            model.delete(address);
          } else addTo(model, address, rows.add(address));
          expect(new Set(model.values()).size).toBe(model.size);
        }
        expect([...rows.all()].map((row) => rows.addressOf(row))).toEqual([...model.keys()]);
        for (let n = 1; n <= 150; n++) {
          const address = n * 2 ** 33 + 16 * n;
          expect(rows.find(address)).toBe(model.get(address) ?? -1);
        }
      }),
    );
  });

  test("tables grow with what is kept", () => {
    const rows = new RecentRows(4096);
    for (let i = 0; i < 3000; i++) expect(rows.add(16 * i)).toBe(i);
    for (let i = 0; i < 3000; i++) expect(rows.find(16 * i)).toBe(i);
    expect(rows.find(16 * 3000)).toBe(-1);
  });
});
