// Whose memory it is at the peak: shares of sizes and call sites, against a plain model of blocks with sets of pages.
import fc from "fast-check";
import { expect, test } from "vitest";
import { Attribution } from "../../../../bench/lab/replay/attribution.ts";

const SITES = ["", "main", "parse"];
const LARGE = 65536;

test("a large block is untouched until its pages are stored to; a small one never counts as untouched", () => {
  const attribution = new Attribution(LARGE);
  attribution.born(0, 100_000, 1);
  attribution.born(1, 500, 2);
  attribution.storedTo(0, 0);
  attribution.storedTo(0, 4095);
  attribution.storedTo(0, 99_999);
  attribution.peak(7);
  attribution.died(0);
  const { operation, total, sizes, sites, sitesOfMost } = attribution.result(SITES);
  const untouchedBytes = 100_000 - 4096 - (100_000 % 4096);
  expect({ operation, total }).toEqual({ operation: 7, total: { blocks: 2, bytes: 100_500, untouchedBytes } });
  expect(sizes).toEqual([
    { atMost: 4096, blocks: 1, bytes: 500, untouchedBytes: 0 },
    { atMost: 262144, blocks: 1, bytes: 100_000, untouchedBytes },
  ]);
  expect(sites.map(({ site }) => site)).toEqual(["main", "parse"]);
  expect(sitesOfMost).toBe(1);
});

test("a block that moves keeps its touched pages, and has its new size and site", () => {
  const attribution = new Attribution(LARGE);
  attribution.born(3, 100_000, 1);
  attribution.storedTo(3, 50_000);
  attribution.moved(3, 200_000, 2);
  attribution.peak(1);
  const { sites } = attribution.result(SITES);
  expect(sites).toEqual([{ site: "parse", blocks: 1, bytes: 200_000, untouchedBytes: 200_000 - 4096 }]);
});

test("any sequence gives the sums that a plain model gives", () => {
  const step = fc.record({
    what: fc.constantFrom("born", "died", "moved", "stored"),
    slot: fc.nat(5),
    size: fc.integer({ min: 1, max: 300_000 }),
    site: fc.nat(2),
    part: fc.double({ min: 0, max: 0.999, noNaN: true }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const attribution = new Attribution(LARGE);
      const model = new Map<number, { size: number; site: number; pages: Set<number> }>();
      for (const { what, slot, size, site, part } of steps) {
        const block = model.get(slot);
        if (what === "born" && block === undefined) {
          model.set(slot, { size, site, pages: new Set() });
          attribution.born(slot, size, site);
        } else if (what === "died" && block !== undefined) {
          model.delete(slot);
          attribution.died(slot);
        } else if (what === "moved" && block !== undefined) {
          const kept = [...block.pages].filter((page) => page < Math.ceil(size / 4096));
          model.set(slot, { size, site, pages: block.size > LARGE ? new Set(kept) : new Set([0]) });
          attribution.moved(slot, size, site);
        } else if (what === "stored" && block !== undefined) {
          const offset = Math.floor(part * block.size);
          block.pages.add(Math.floor(offset / 4096));
          attribution.storedTo(slot, offset);
        }
      }
      attribution.peak(1);
      const blocks = [...model.values()];
      const untouched = blocks.map(({ size, pages }) => {
        const stored = [...pages].reduce((sum, page) => sum + Math.min(4096, size - page * 4096), 0);
        return size > LARGE ? size - stored : 0;
      });
      const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);
      expect(attribution.result(SITES).total).toEqual({
        blocks: blocks.length,
        bytes: sum(blocks.map(({ size }) => size)),
        untouchedBytes: sum(untouched),
      });
    }),
  );
});
