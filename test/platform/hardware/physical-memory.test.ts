// RAM: frames over banks of 4 GiB, their tags and validity bits; each operation changes its frame and no other.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Counters } from "../../../platform/hardware/counters.ts";
import { PAGE_SIZE } from "../../../platform/hardware/layout.ts";
import { PhysicalMemory } from "../../../platform/hardware/physical-memory.ts";
import { saveFrameTags, uniformTag, zeroAndTagFrame } from "../../../platform/hardware/tag-store.ts";

const GIB = 2 ** 30;
const ram = new PhysicalMemory({ memoryBytes: 16 * 2 ** 20, mte: true, shadow: true, gzvaBlockBytes: 64 });
/** More than one bank; the host commits only what the tests write. */
const large = new PhysicalMemory({ memoryBytes: 5 * GIB, mte: true, shadow: false, gzvaBlockBytes: 64 });
const BANK_FRAMES = (4 * GIB) / PAGE_SIZE;
const LAST_FRAME = (5 * GIB) / PAGE_SIZE - 1;

function bytesOf(memory: PhysicalMemory, frame: number): Uint8Array {
  const position = memory.positionOf(frame);
  return memory.bankOf(frame).slice(position, position + PAGE_SIZE);
}

function tagsOf(memory: PhysicalMemory, frame: number): number[] {
  return Array.from({ length: 256 }, (_, granule) => memory.getTag(frame, granule));
}

describe("banks", () => {
  test("5 GiB are a bank of 4 GiB and one of 1 GiB", () => {
    expect(large.banks).toHaveLength(2);
    expect([large.bankOf(0).length, large.bankOf(LAST_FRAME).length]).toEqual([4 * GIB, GIB]);
    expect(large.frameCount).toBe(LAST_FRAME + 1);
  });

  test("the last frame of the first bank and the first of the second are different memory", () => {
    large.fillFrame(BANK_FRAMES - 1, 0x11);
    large.fillFrame(BANK_FRAMES, 0x22);
    expect(new Set(bytesOf(large, BANK_FRAMES - 1))).toEqual(new Set([0x11]));
    expect(new Set(bytesOf(large, BANK_FRAMES))).toEqual(new Set([0x22]));
    expect(large.positionOf(BANK_FRAMES)).toBe(0);
    expect(large.positionOf(BANK_FRAMES - 1)).toBe(4 * GIB - PAGE_SIZE);
  });

  test("the last frame of all can be written", () => {
    large.fillFrame(LAST_FRAME, 0x33);
    expect(large.viewOf(LAST_FRAME).getUint32(GIB - 4, true)).toBe(0x33333333);
  });

  test("a frame is copied from one bank to the other, both ways", () => {
    large.fillFrame(3, 0x44);
    large.copyFrame(LAST_FRAME, 3);
    expect(bytesOf(large, LAST_FRAME)).toEqual(bytesOf(large, 3));
    large.fillFrame(LAST_FRAME, 0x55);
    large.copyFrame(3, LAST_FRAME);
    expect(bytesOf(large, 3)).toEqual(bytesOf(large, LAST_FRAME));
  });

  test("tags of frames in the second bank are their own", () => {
    large.fillTags(LAST_FRAME, 9);
    expect(large.getTag(LAST_FRAME, 255)).toBe(9);
    expect(large.getTag(LAST_FRAME - 1, 255)).toBe(0);
    large.copyTags(4, LAST_FRAME);
    expect(large.getTag(4, 0)).toBe(9);
  });
});

test.each([1, 2, 4, 8, 16, 64, 512, 2048])(
  "replicate repeats the first %d bytes over the frame and stops at its end",
  (size) => {
    ram.fillFrame(20, 0xee);
    ram.fillFrame(21, 0xdd);
    const start = ram.positionOf(20);
    for (let i = 0; i < size; i++) ram.bankOf(20)[start + i] = (i * 7 + 1) & 0xff;
    ram.replicate(20, size);
    expect([...bytesOf(ram, 20)]).toEqual(Array.from({ length: PAGE_SIZE }, (_, i) => ((i % size) * 7 + 1) & 0xff));
    expect(new Set(bytesOf(ram, 21))).toEqual(new Set([0xdd]));
  },
);

test("the tags of frames agree with a plain array after any order of setTag, fillTags and copyTags", () => {
  const operation = fc.record({
    kind: fc.constantFrom("set", "set", "fill", "copy"),
    frame: fc.nat(3),
    other: fc.nat(3),
    granule: fc.nat(255),
    tag: fc.nat(15),
  });
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 40 }), (operations) => {
      const plain = [0, 1, 2, 3].map(() => new Array<number>(256).fill(0));
      for (let frame = 0; frame < 4; frame++) ram.fillTags(frame, 0);
      for (const { kind, frame, other, granule, tag } of operations) {
        if (kind === "set") {
          ram.setTag(frame, granule, tag);
          plain[frame][granule] = tag;
        } else if (kind === "fill") {
          ram.fillTags(frame, tag);
          plain[frame].fill(tag);
        } else {
          ram.copyTags(frame, other);
          plain[frame] = plain[other].slice();
        }
      }
      for (let frame = 0; frame < 4; frame++) expect(tagsOf(ram, frame)).toEqual(plain[frame]);
    }),
    { numRuns: 100 },
  );
});

test("validity bits are set, cleared and copied for one frame at a time", () => {
  const undefinedBytes = (frame: number) =>
    ram.undefinedBits.slice(frame * 512, (frame + 1) * 512).every((b) => b === 0xff);
  ram.fillValidity(30, 0xff);
  expect([29, 30, 31].map(undefinedBytes)).toEqual([false, true, false]);
  ram.copyValidity(31, 30);
  ram.fillValidity(30, 0);
  expect([29, 30, 31].map(undefinedBytes)).toEqual([false, false, true]);
  ram.fillValidity(31, 0);
});

test("a machine without MTE has no tag storage; its tags read as 0 and cannot be set", () => {
  const plain = new PhysicalMemory({ memoryBytes: 16 * 2 ** 20, mte: false, shadow: false, gzvaBlockBytes: 64 });
  plain.setTag(1, 1, 5);
  plain.fillTags(1, 5);
  plain.copyTags(2, 1);
  expect(plain.tags.length).toBe(0);
  expect(plain.getTag(1, 1)).toBe(0);
});

test("a frame is zero if each of its bytes is, and its neighbours may have others", () => {
  const ram = new PhysicalMemory({ memoryBytes: 2 ** 20, mte: false, shadow: false, gzvaBlockBytes: 64 });
  ram.fillFrames(4, 3, 0xff);
  ram.fillFrame(5, 0);
  expect([ram.isZero(4), ram.isZero(5), ram.isZero(6)]).toEqual([false, true, false]);
  for (const offset of [0, 1, 3, 4, 2048, PAGE_SIZE - 4, PAGE_SIZE - 1]) {
    ram.bankOf(5)[ram.positionOf(5) + offset] = 1;
    expect(ram.isZero(5)).toBe(false);
    ram.bankOf(5)[ram.positionOf(5) + offset] = 0;
  }
  expect(ram.isZero(5)).toBe(true);
});

test.each([64, 128, 256])("the block of DC GZVA is the one that the machine is given: %i bytes", (gzvaBlockBytes) => {
  const ram = new PhysicalMemory({ memoryBytes: 2 ** 20, mte: true, shadow: false, gzvaBlockBytes });
  const counters = new Counters();
  zeroAndTagFrame(ram, counters, 3, 5);
  expect([ram.gzvaBlockBytes, counters.gzvaBlocks]).toEqual([gzvaBlockBytes, PAGE_SIZE / gzvaBlockBytes]);
  expect([uniformTag(ram, 3), uniformTag(ram, 2)]).toEqual([5, 0]);
});

test("a frame's one tag is found, or that there are several, at each granule", () => {
  const ram = new PhysicalMemory({ memoryBytes: 2 ** 20, mte: true, shadow: false, gzvaBlockBytes: 64 });
  ram.fillTags(6, 9);
  ram.fillTags(7, 4);
  for (const granule of [0, 1, 2, 127, 128, 254, 255]) {
    expect(uniformTag(ram, 6)).toBe(9);
    ram.setTag(6, granule, 8);
    expect(uniformTag(ram, 6)).toBe(-1);
    ram.setTag(6, granule, 9);
  }
  expect(saveFrameTags(ram, 7)).toEqual(new Uint8Array(128).fill(0x44));
});
