// Finding a block by any of its addresses, small and large blocks mixed, and its touched pages, held to a plain list.
import fc from "fast-check";
import { expect, test } from "vitest";
import { LiveBlocks, NONE, READ_BIT, WRITE_BIT } from "../../../allocator/record/live-blocks.ts";

const SLOT_BYTES = 2 ** 18;
const PAGE_BYTES = 4096;
/** Beyond 32 bits, as addresses of programs are. */
const BASE = 0x5581_0000_0000;

interface ModelBlock {
  readonly id: number;
  readonly start: number;
  readonly size: number;
  readonly touched: Set<string>;
}

function pagesOf({ start, size }: ModelBlock): number {
  return Math.floor((start + Math.max(size, 1) - 1) / PAGE_BYTES) - Math.floor(start / PAGE_BYTES) + 1;
}

/** A block as it is after a move: what was touched stays so, as far as there are pages. */
function moved(block: ModelBlock, start: number, size: number): ModelBlock {
  const next = { ...block, start, size };
  const pages = Math.min(pagesOf(block), pagesOf(next));
  return { ...next, touched: new Set([...block.touched].filter((touch) => Number(touch.split(" ")[0]) < pages)) };
}

test("the block at an address, and which of its pages were touched, are those of a walk over all blocks", () => {
  const step = fc.record({
    slot: fc.nat(9),
    shift: fc.constantFrom(0, 16, 4080, 5000),
    size: fc.oneof(fc.nat(64), fc.nat(9000), fc.integer({ min: 60_000, max: 200_000 })),
    probe: fc.integer({ min: -1, max: 200_000 }),
    bit: fc.constantFrom(READ_BIT, WRITE_BIT),
    moves: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const blocks = new LiveBlocks();
      const model = new Map<number, ModelBlock>();
      for (const { slot, shift, size, probe, bit, moves } of steps) {
        const known = model.get(slot);
        const start = BASE + slot * SLOT_BYTES + shift;
        if (known !== undefined && moves) {
          expect(blocks.move(known.start, start, size)).toBe(known.id);
          model.set(slot, moved(known, start, size));
        } else if (known !== undefined) {
          expect(blocks.remove(known.start)).toBe(known.id);
          model.delete(slot);
        } else {
          const id = blocks.add(start, size);
          expect([...model.values()].map((one) => one.id)).not.toContain(id);
          model.set(slot, { id, start, size, touched: new Set() });
        }
        // Half of the time right behind the block's end, or right before it.
        const address = BASE + slot * SLOT_BYTES + (probe % 2 === 0 ? probe : shift + size - (probe % 4 === 1 ? 0 : 1));
        const found = [...model.values()].find((one) => address >= one.start && address < one.start + one.size);
        const block = blocks.at(address);
        expect(block).toBe(found?.id ?? NONE);
        if (found !== undefined) {
          expect([blocks.startOf(block), blocks.endOf(block)]).toEqual([found.start, found.start + found.size]);
          const page = Math.floor(address / PAGE_BYTES) - Math.floor(found.start / PAGE_BYTES);
          expect(blocks.touch(block, page, bit)).toBe(!found.touched.has(`${page} ${bit}`));
          found.touched.add(`${page} ${bit}`);
        }
        expect(blocks.remove(address - 1_000_000_000)).toBe(NONE);
      }
    }),
    { numRuns: 200 },
  );
});
