// Reallocation: recorded moves of the real library, contents, and large chunks that move without being copied (S5).
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, test, vi } from "vitest";
import { OutOfMemoryError } from "../../../platform/kernel/abi/errors.ts";
import { openHeap } from "../open-heap.ts";

const LARGEST = 131_072;

test("every recorded realloc stays or moves as the real library's, and keeps its contents", () => {
  const file = new URL("../../golden/scudo/realloc.jsonl.gz", import.meta.url);
  const records = gunzipSync(readFileSync(file))
    .toString("utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  for (const record of records) {
    const heap = openHeap({ memoryBytes: 2 ** 25 });
    const old = heap.malloc(record.from);
    const kept = Math.min(record.from, record.to);
    heap.memory.fill(old, 0x5a, record.from);
    const pointer = heap.realloc(old, record.to);
    expect([record, pointer === old]).toEqual([record, record.in_place]);
    expect(heap.malloc_usable_size(pointer)).toBe(record.usable);
    expect(heap.memory.read(pointer, kept).every((byte) => byte === 0x5a)).toBe(true);
    heap.checkInvariants();
    heap[Symbol.dispose]();
  }
});

test.each([
  ["doubling from 16 to four times the largest class", Array.from({ length: 16 }, (_, log) => 16 * 2 ** log)],
  ["halving from twice the largest class to 2048", Array.from({ length: 8 }, (_, log) => (2 * LARGEST) / 2 ** log)],
])("%s keeps what fits", (_, sizes) => {
  const heap = openHeap();
  let pointer = heap.malloc(sizes[0]);
  const kept = Math.min(...sizes);
  for (let i = 0; i < kept; i++) heap.memory.setUint8(pointer + i, i % 251);
  for (const size of sizes) {
    pointer = heap.realloc(pointer, size);
    for (let i = 0; i < kept; i++) expect(heap.memory.getUint8(pointer + i)).toBe(i % 251);
  }
  expect(heap.checkInvariants().allocatedChunks).toBe(1);
});

test("around a size with room on both sides it stays in place, and what it gives up is filled", () => {
  const heap = openHeap({ fill: "pattern" });
  const pointer = heap.malloc(LARGEST - 64);
  const unit = LARGEST - 64;
  heap.memory.fill(pointer, 0x44, unit);
  for (let delta = -32; delta <= 32; delta += 8) {
    expect(heap.realloc(pointer, unit + delta)).toBe(pointer);
    expect(heap.memory.getUint8(pointer + unit - 33)).toBe(0x44);
  }
  for (let i = unit - 32; i < unit + 32; i++) expect(heap.memory.getUint8(pointer + i)).toBe(0xab);
});

test("10000 times one byte to and from the end of a block costs nothing and moves nothing", () => {
  const heap = openHeap();
  for (let i = 1; i < 32; i++) {
    const pointer = heap.malloc(16 * i - 1);
    for (let round = 0; round < 300; round++) {
      expect(heap.realloc(pointer, 16 * i)).toBe(pointer);
      expect(heap.realloc(pointer, 16 * i - 1)).toBe(pointer);
    }
  }
});

describe("a large chunk", () => {
  test("grows by moving its pages: nothing is copied, and it stays as sparse as it was", () => {
    const heap = openHeap({ fill: "pattern" });
    const old = heap.malloc(2 ** 30);
    heap.memory.setUint32(old + 2 ** 29, 12345);
    const { counters } = heap.kernel;
    const before = counters.snapshot();
    const pointer = heap.realloc(old, 2 ** 31);
    const { framesAllocated, bytesCopied, userBytesFilled } = counters.since(before);
    expect([framesAllocated, bytesCopied]).toEqual([0, 0]);
    expect(userBytesFilled).toBeLessThan(4096);
    expect(heap.memory.getUint32(pointer + 2 ** 29)).toBe(12345);
    expect(heap.memory.getUint8(pointer + 2 ** 30)).toBe(0xab);
    expect(heap.memory.getUint8(pointer + 2 ** 31 - 1)).toBe(0xab);
    expect(heap.malloc_usable_size(pointer)).toBe(2 ** 31);
    expect(heap.parts.secondary.moves).toBe(1);
    heap.checkInvariants();
  });

  test("shrinks by moving what it keeps; the rest goes back to the kernel", () => {
    const heap = openHeap();
    const old = heap.malloc(2 ** 24);
    for (let offset = 0; offset < 2 ** 24; offset += 4096) heap.memory.setUint8(old + offset, 9);
    const before = heap.process.rssBytes;
    const pointer = heap.realloc(old, 2 ** 20);
    expect(before - heap.process.rssBytes).toBeGreaterThan(14 * 2 ** 20);
    expect(heap.memory.getUint8(pointer + 2 ** 20 - 4096)).toBe(9);
    heap.checkInvariants();
  });

  test("shrinks without asking the kernel for more than to move what is kept, which fails whole or not at all", () => {
    const heap = openHeap();
    const mremap = vi.spyOn(heap.process, "mremap");
    heap.realloc(heap.malloc(2 ** 24), 2 ** 20);
    const [, oldLength, newLength] = mremap.mock.calls[0];
    expect(oldLength).toBe(newLength);
  });

  test("is copied where new pages must read otherwise than its own do", () => {
    const heap = openHeap({ fill: "pattern" });
    const old = heap.calloc(1, 300_000);
    const pointer = heap.realloc(old, 600_000);
    expect(heap.memory.getUint8(pointer + 299_999)).toBe(0);
    expect(heap.memory.getUint8(pointer + 300_000)).toBe(0xab);
    expect(heap.parts.secondary.moves).toBe(0);
  });

  test("becomes a small one, and a small one large", () => {
    const heap = openHeap();
    let pointer = heap.malloc(200_000);
    heap.memory.setUint32(pointer, 77);
    pointer = heap.realloc(pointer, 100);
    expect(heap.parts.secondary.blocksInUse).toBe(0);
    pointer = heap.realloc(pointer, 200_000);
    expect(heap.memory.getUint32(pointer)).toBe(77);
    heap.checkInvariants();
  });

  test("stays as it is when there is no room to grow", () => {
    const heap = openHeap();
    const pointer = heap.malloc(200_000);
    heap.memory.setUint8(pointer, 5);
    expect(heap.realloc(pointer, 2 ** 38)).toBe(0);
    expect([heap.memory.getUint8(pointer), heap.malloc_usable_size(pointer)]).toEqual([5, 200_000]);
    heap.checkInvariants();
  });
});

test("a copy that finds no frame leaves the old chunk, and no new one", () => {
  const heap = openHeap();
  const pointer = heap.malloc(20_000);
  heap.memory.fill(pointer, 7, 20_000);
  heap.kernel.frames.failAt(4);
  expect(() => heap.realloc(pointer, 50_000)).toThrow(OutOfMemoryError);
  heap.kernel.frames.failAt(-1);
  expect(heap.memory.getUint8(pointer + 19_999)).toBe(7);
  expect(heap.checkInvariants().allocatedChunks).toBe(1);
});
