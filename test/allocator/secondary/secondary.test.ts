// The secondary: layout of a large block, alignment, guard pages, the tail that must fit the header, damage (S11).
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { customConfig, defaultConfig } from "../../../allocator/options/config.ts";
import { SegmentationFault } from "../../../platform/hardware/faults.ts";
import { type OpenHeap, openHeap } from "../open-heap.ts";

const PAGE = 4096;
const uncached = customConfig({ primary: defaultConfig.primary });
const half = customConfig({
  primary: defaultConfig.primary,
  secondaryCache: { entriesArraySize: 128, defaultMaxEntriesCount: 64, defaultMaxEntrySize: 2 ** 20 },
});

function layout(heap: OpenHeap, pointer: number) {
  const { secondary } = heap.parts;
  const block = pointer - 16;
  const commitBase = secondary.commitBase(block);
  return { commitBase, commitSize: secondary.blockEnd(block) - commitBase, inFront: pointer - commitBase };
}

test("sizes of committed memory, tail and front are the real library's", () => {
  const file = new URL("../../golden/scudo/sizes.jsonl", import.meta.url);
  const records = readFileSync(file, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  const large = records.filter((record) => record.class === 0 && record.large_header_commit_size !== undefined);
  expect(large.length).toBeGreaterThan(5);
  for (const record of large) {
    const heap = openHeap({ memoryBytes: 2 ** 24 });
    const pointer = heap.malloc(record.size);
    const { commitSize, inFront } = layout(heap, pointer);
    expect([record.size, commitSize, inFront]).toEqual([
      record.size,
      record.large_header_commit_size,
      record.ptr_minus_commit,
    ]);
    heap[Symbol.dispose]();
  }
});

test.each([
  [131_057, 16, 135_168],
  [2 ** 20, 16, 1_052_672],
])("%i bytes at alignment %i commit %i", (size, alignment, committed) => {
  const heap = openHeap();
  expect(layout(heap, heap.memalign(alignment, size)).commitSize).toBe(committed);
});

describe.each([
  ["no cache", uncached],
  ["Scudo's cache", "default"],
  ["a cache of 64 of 128", half],
] as const)("with %s", (_, config) => {
  test("a block can be written to its end, and freed", () => {
    const heap = openHeap({ config });
    const pointer = heap.malloc(2 ** 18);
    heap.memory.fill(pointer, 0x41, 2 ** 18);
    expect(layout(heap, pointer).commitSize).toBeGreaterThanOrEqual(2 ** 18);
    heap.free(pointer);
    expect(heap.checkInvariants().allocatedChunks).toBe(0);
  });

  test("blocks of many sizes and alignments are aligned and whole", () => {
    const heap = openHeap({ config });
    for (let log = 17; log <= 20; log++) {
      for (let alignment = 16; alignment <= 65_536; alignment *= 4) {
        for (const delta of [-128, -1, 0, 1, 128]) {
          const size = 2 ** log + delta;
          const pointer = heap.parts.secondary.allocate(size, alignment, 0)!.block + 16;
          expect(pointer % alignment).toBe(0);
          const { inFront, commitSize } = layout(heap, pointer);
          expect(inFront).toBeGreaterThanOrEqual(64);
          expect(commitSize - inFront).toBeGreaterThanOrEqual(size);
          heap.memory.setUint8(pointer + size - 1, 1);
          heap.parts.secondary.deallocate(pointer - 16);
        }
      }
    }
  });

  test("32 blocks are freed in any order, and listed in that of allocation", () => {
    const heap = openHeap({ config });
    const pointers = Array.from({ length: 32 }, (_, index) => heap.malloc(140_000 + 1000 * index));
    const listed: number[] = [];
    heap.malloc_disable();
    heap.malloc_iterate(0, 2 ** 38, (pointer) => listed.push(pointer));
    heap.malloc_enable();
    expect(listed).toEqual(pointers);
    for (let step = 0; step < 32; step++) {
      heap.free(pointers[(step * 13) % 32]);
      heap.checkInvariants();
    }
  });
});

describe("guard pages", () => {
  test("lie on both sides, and an overflow meets one within the alignment", () => {
    const heap = openHeap();
    const pointer = heap.malloc(200_000);
    const { commitBase, commitSize } = layout(heap, pointer);
    expect(() => heap.memory.getUint8(commitBase - 1)).toThrow(SegmentationFault);
    expect(() => heap.memory.getUint8(commitBase + commitSize)).toThrow(SegmentationFault);
    expect(() => heap.memory.setUint8(pointer + 200_000, 1)).toThrow(SegmentationFault);
  });

  test("memory that was freed without a cache faults", () => {
    const heap = openHeap({ config: uncached });
    const pointer = heap.malloc(200_000);
    heap.free(pointer);
    expect(() => heap.memory.getUint8(pointer)).toThrow(SegmentationFault);
  });
});

describe("the tail behind a chunk", () => {
  test("of memalign(2^24, 0) fits the header: the usable size is 0, where Scudo says 15728640", () => {
    const heap = openHeap();
    for (const size of [0, 1, 100, 200_000]) {
      const pointer = heap.memalign(2 ** 24, size);
      expect(pointer % 2 ** 24).toBe(0);
      expect(heap.malloc_usable_size(pointer)).toBe(size);
      heap.free_sized(pointer, size);
    }
  });

  test("is not mapped where it would be too long", () => {
    const heap = openHeap();
    const pointer = heap.memalign(2 ** 22, 100);
    const { commitBase, commitSize } = layout(heap, pointer);
    expect(commitBase + commitSize).toBe(pointer + PAGE);
  });
});

test("counters are of committed bytes, and fragmentation is what a mapping has beyond them", () => {
  const heap = openHeap({ config: uncached });
  const { secondary } = heap.parts;
  const pointers = [heap.malloc(200_000), heap.malloc(300_000)];
  heap.free(pointers[0]);
  expect([secondary.allocations, secondary.frees]).toEqual([2, 1]);
  expect([secondary.allocatedBytes, secondary.freedBytes]).toEqual([200_704 + 303_104, 200_704]);
  expect([secondary.fragmentedBytes, secondary.largestBytes]).toEqual([2 * PAGE, 303_104]);
});

test("a large-block header has no checksum: a damaged link is a fault when the block is freed, before anything changes", () => {
  const heap = openHeap({ config: uncached });
  const [first, second] = [heap.malloc(200_000), heap.malloc(200_000)];
  heap.memory.setUint32(second - 16 - 48, 0x12345670);
  expect(() => heap.free(second)).toThrow(SegmentationFault);
  expect(heap.memory.getUint8(first)).toBe(0);
  expect(heap.parts.secondary.frees).toBe(0);
});
