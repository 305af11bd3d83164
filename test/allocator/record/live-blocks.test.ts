// Finding a block by any of its addresses, small and large blocks mixed, held to a plain list.
import fc from "fast-check";
import { expect, test } from "vitest";
import { type LiveBlock, LiveBlocks } from "../../../allocator/record/live-blocks.ts";

const SLOT_BYTES = 2 ** 18;

test("the block at an address is the one that a walk over all of them finds", () => {
  const step = fc.record({
    slot: fc.nat(9),
    shift: fc.constantFrom(0, 16, 4080, 5000),
    size: fc.oneof(fc.nat(64), fc.nat(9000), fc.integer({ min: 65_000, max: 200_000 })),
    probe: fc.integer({ min: -1, max: 200_000 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const blocks = new LiveBlocks();
      const model = new Map<number, LiveBlock>();
      for (const [id, { slot, shift, size, probe }] of steps.entries()) {
        const known = model.get(slot);
        if (known !== undefined) {
          expect(blocks.remove(known.start)).toBe(known);
          model.delete(slot);
        } else {
          const block = { id, start: slot * SLOT_BYTES + shift, size, touched: new Uint8Array(0) };
          model.set(slot, block);
          blocks.insert(block);
        }
        // Half of the time right behind the block's end, or right before it.
        const address = slot * SLOT_BYTES + (probe % 2 === 0 ? probe : shift + size - (probe % 4 === 1 ? 0 : 1));
        const found = [...model.values()].find((one) => address >= one.start && address < one.start + one.size);
        expect(blocks.at(address)).toBe(found ?? null);
        expect(blocks.remove(address - 1_000_000_000)).toBe(null);
      }
    }),
    { numRuns: 200 },
  );
});
