// An allocator's own memory: its short ways leave what the instructions would, and tags are never compared.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Counters } from "../../../platform/hardware/counters.ts";
import { SegmentationFault } from "../../../platform/hardware/faults.ts";
import { ACCESS_LOAD, PAGE_SIZE } from "../../../platform/hardware/layout.ts";
import * as mte from "../../../platform/hardware/mte.ts";
import { TAG_CHECK_SYNC } from "../../../platform/hardware/tag-check.ts";
import { withTag } from "../../../platform/hardware/tags.ts";
import { UncheckedMemory } from "../../../platform/hardware/unchecked-memory.ts";
import { BASE, type BareThread, bareThread, READ_MTE, RW, RW_MTE } from "./bare-thread.ts";

/** The heap's memory over a bare thread's pages. */
function unchecked({ memory, ram }: BareThread): UncheckedMemory {
  return new UncheckedMemory(ram, new Counters(), memory.pageTable, {
    handleFault(address, access) {
      throw new SegmentationFault("SEGV_ACCERR", address, access === ACCESS_LOAD ? "load" : "store");
    },
  });
}

/** Two pages, and any range of whole granules in them. */
const PAGES = 2;
const GRANULES = (PAGES * PAGE_SIZE) / 16;
const range = fc
  .tuple(fc.nat(GRANULES - 1), fc.oneof(fc.nat(40), fc.nat(GRANULES)))
  .map(([first, count]) => ({ first, count: Math.min(count, GRANULES - first) }));
const operation = fc.record({
  kind: fc.constantFrom("tag and zero", "clear tags", "clear one", "zero one", "words"),
  range,
  tag: fc.nat(15),
});

test("any sequence leaves the bytes and tags that single instructions leave", () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 20 }), (operations) => {
      const thread = bareThread([RW_MTE, RW_MTE]);
      const own = unchecked(thread);
      const bytes = new Uint8Array(PAGES * PAGE_SIZE).fill(0xee);
      const tags = new Array<number>(GRANULES).fill(0);
      thread.memory.write(BASE, bytes);
      for (const { kind, range, tag } of operations) {
        const address = BASE + range.first * 16;
        const length = range.count * 16;
        const place = own.positionOf(address, 16);
        expect(place).toBeGreaterThanOrEqual(0);
        if (kind === "tag and zero") {
          own.tagAndZero(address, length, tag);
          tags.fill(tag, range.first, range.first + range.count);
          bytes.fill(0, address - BASE, address - BASE + length);
        } else if (kind === "clear tags") {
          own.clearTags(address, length);
          tags.fill(0, range.first, range.first + range.count);
        } else if (kind === "clear one") {
          own.clearTagThere(place);
          tags[range.first] = 0;
        } else if (kind === "zero one") {
          own.zeroGranuleThere(place);
          bytes.fill(0, address - BASE, address - BASE + 16);
        } else {
          own.setWordThere(place, tag - 8);
          own.setDoubleWordThere(place + 8, 2 ** 40 + tag);
          const view = new DataView(bytes.buffer, address - BASE);
          view.setInt32(0, tag - 8, true);
          view.setBigUint64(8, 2n ** 40n + BigInt(tag), true);
          expect(own.wordThere(place)).toBe(tag - 8);
        }
        expect(own.tagThere(place)).toBe(tags[range.first]);
      }
      expect(own.read(BASE, bytes.length)).toEqual(bytes);
      expect(tags.map((_, granule) => mte.loadTag(thread.memory, BASE + granule * 16))).toEqual(tags);
    }),
  );
});

describe("a position", () => {
  test("is there for one PROT_MTE page that may be loaded and stored, and for nothing else", () => {
    const own = unchecked(bareThread([RW_MTE, READ_MTE, RW, RW_MTE, RW_MTE]));
    expect(own.positionOf(BASE, PAGE_SIZE)).toBe(PAGE_SIZE);
    expect(own.positionOf(BASE + 16, PAGE_SIZE)).toBe(-1);
    expect(own.positionOf(BASE + PAGE_SIZE, 16)).toBe(-1);
    expect(own.positionOf(BASE + 2 * PAGE_SIZE, 16)).toBe(-1);
    expect(own.positionOf(BASE + 3 * PAGE_SIZE + 4080, 32)).toBe(-1);
    expect(own.positionOf(BASE + 5 * PAGE_SIZE, 16)).toBe(-1);
  });
});

test.each([
  [0, 64, 1],
  [0, 48, 0],
  [16, 64, 0],
  [16, 112, 1],
  [48, 160, 2],
  [64, 4032, 63],
  [4080, 16, 0],
])("tagging and zeroing from offset %i on, %i bytes, takes %i whole blocks of DC GZVA", (offset, length, blocks) => {
  const { memory, ram } = bareThread([RW_MTE]);
  const counters = new Counters();
  const own = new UncheckedMemory(ram, counters, memory.pageTable, { handleFault: () => {} });
  own.tagAndZeroThere(own.positionOf(BASE + offset, length), length, 3);
  expect(counters.gzvaBlocks).toBe(blocks);
});

test("tags are stored and loaded, but never compared", () => {
  const own = unchecked(bareThread([RW_MTE]));
  own.tagCheckMode = TAG_CHECK_SYNC;
  own.tagAndZero(BASE, 64, 5);
  own.setInt32(BASE + 4, 7);
  own.setUint32(withTag(BASE + 8, 0), 8);
  expect([own.getInt32(BASE + 4), own.getUint32(BASE + 8), own.tagAt(BASE)]).toEqual([7, 8, 5]);
});

test("what is out of the ordinary faults as the instruction does", () => {
  const own = unchecked(bareThread([RW_MTE, READ_MTE]));
  const faults = expect.objectContaining({ code: "SEGV_ACCERR", address: BASE + PAGE_SIZE, access: "store" });
  expect(() => own.tagAndZero(BASE + 4080, 32, 3)).toThrow(faults);
  expect(() => own.clearTags(BASE + PAGE_SIZE, 16)).toThrow(faults);
  expect(own.tagAt(BASE + 4080)).toBe(3);
});
