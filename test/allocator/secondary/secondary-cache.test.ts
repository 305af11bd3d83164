// The cache of large mappings: what is kept, found, cleaned and given back; recorded hits of the real library (S12).
import { describe, expect, test } from "vitest";
import { customConfig, defaultConfig } from "../../../allocator/options/config.ts";
import type { HeapOptions } from "../../../allocator/options/options.ts";
import { createKernel } from "../../../refpage/kernel.ts";
import { type OpenHeap, openHeap } from "../open-heap.ts";

const SIZE = 200_000;

/** A heap on a kernel whose clock the test moves. */
function clockedHeap(options: HeapOptions = {}): { heap: OpenHeap; clock: { seconds: number } } {
  const clock = { seconds: 1000 };
  const kernel = createKernel({ memoryBytes: 2 ** 26 }, { clock: () => clock.seconds * 1e9 });
  return { heap: openHeap({ kernel, ...options }), clock };
}

function cacheOf(heap: OpenHeap) {
  const { cache } = heap.parts.secondary;
  if (cache === null) throw new Error("no cache");
  return cache;
}

/** Frees `count` blocks that are all live together. */
function freeMany(heap: OpenHeap, count: number, size = SIZE): void {
  const pointers = Array.from({ length: count }, () => heap.malloc(size));
  for (const pointer of pointers) heap.free(pointer);
}

describe("a freed mapping", () => {
  test("serves the next request of its size, with the contents it had", () => {
    const heap = openHeap();
    const pointer = heap.malloc(SIZE);
    heap.memory.fill(pointer, 0x11, SIZE);
    heap.free(pointer);
    expect(heap.malloc(SIZE)).toBe(pointer);
    expect(heap.memory.getUint8(pointer + SIZE - 1)).toBe(0x11);
  });

  test("above 512 KiB committed is unmapped immediately", () => {
    const heap = openHeap();
    heap.free(heap.malloc(524_224));
    heap.free(heap.malloc(524_225));
    expect(cacheOf(heap).entriesCount).toBe(1);
  });

  // Recorded: freed size, wanted size, whether it was a hit.
  test.each([
    [200_000, 200_600, true],
    [200_000, 204_800, false],
    [200_000, 180_000, false],
    [524_224, 524_224, true],
    [500_000, 490_000, true],
    [500_000, 487_424, true],
    [500_000, 487_408, false],
    [500_000, 480_000, false],
    [140_000, 131_057, true],
  ])("of %i bytes, wanted %i: hit %s", (freed, wanted, isHit) => {
    const heap = openHeap();
    heap.free(heap.malloc(freed));
    heap.malloc(wanted);
    const cache = cacheOf(heap);
    expect([cache.successfulRetrievals, cache.retrievals]).toEqual([isHit ? 1 : 0, 2]);
  });

  test("does not serve alignments of a page and more", () => {
    const heap = openHeap();
    heap.free(heap.malloc(SIZE));
    heap.memalign(4096, SIZE);
    expect(cacheOf(heap).entriesCount).toBe(1);
  });
});

describe("a full cache", () => {
  test("unmaps what comes, and empties itself at the fifth", () => {
    const heap = openHeap();
    freeMany(heap, 36);
    expect(cacheOf(heap).entriesCount).toBe(32);
    freeMany(heap, 33);
    expect(cacheOf(heap).entriesCount).toBe(0);
  });

  test("341 blocks freed leave 8: it empties at every 37th", () => {
    const heap = openHeap({ memoryBytes: 2 ** 28 });
    freeMany(heap, 341, 196_608);
    expect(cacheOf(heap).entriesCount).toBe(8);
    heap.checkInvariants();
  });
});

describe("options", () => {
  test("the number is clamped to the array, a negative one refused, 0 turns the cache off", () => {
    const cache = cacheOf(openHeap());
    expect(cache.setMaxEntriesCount(4096)).toBe(true);
    expect(cache.maxEntriesCount).toBe(32);
    expect(cache.setMaxEntriesCount(-1)).toBe(false);
    expect(cache.canCache(2 ** 18)).toBe(true);
    expect(cache.setMaxEntriesCount(0)).toBe(true);
    expect(cache.canCache(2 ** 18)).toBe(false);
  });

  test("the size decides what can be cached", () => {
    const cache = cacheOf(openHeap());
    for (const limit of [2 ** 16, 2 ** 18]) {
      cache.setMaxEntrySize(limit);
      expect([cache.canCache(limit), cache.canCache(limit + 1)]).toEqual([true, false]);
    }
  });

  test("the interval is clamped to the configuration's range", () => {
    const cache = cacheOf(openHeap({ config: "android" }));
    for (const [given, taken] of [
      [5000, 1000],
      [-1, 0],
      [500, 500],
    ]) {
      cache.setReleaseInterval(given);
      expect(cache.releaseIntervalMs).toBe(taken);
    }
  });

  test("lowering the number makes entries above it unreachable, not lost", () => {
    const heap = openHeap();
    freeMany(heap, 4);
    cacheOf(heap).setMaxEntriesCount(1);
    for (let i = 0; i < 3; i++) heap.malloc(SIZE);
    expect([cacheOf(heap).successfulRetrievals, cacheOf(heap).entriesCount]).toEqual([1, 3]);
    heap.checkInvariants();
  });
});

describe("pages", () => {
  test("go back immediately with interval 0, and then read zero", () => {
    const { heap } = clockedHeap({ releaseToOSIntervalMs: 0 });
    const pointer = heap.malloc(SIZE);
    heap.memory.fill(pointer, 0x11, SIZE);
    const before = heap.process.rssBytes;
    heap.free(pointer);
    expect(before - heap.process.rssBytes).toBeGreaterThan(SIZE - 4096);
    expect(heap.malloc(SIZE)).toBe(pointer);
    expect(heap.memory.getUint8(pointer + 1000)).toBe(0);
  });

  test("go back when another mapping is stored after the interval, not before", () => {
    const { heap, clock } = clockedHeap({ releaseToOSIntervalMs: 5000 });
    const pointers = [heap.malloc(SIZE), heap.malloc(SIZE), heap.malloc(SIZE)];
    for (const pointer of pointers) heap.memory.fill(pointer, 1, SIZE);
    const released = () =>
      [...cacheOf(heap).time].filter((time, slot) => time === 0 && cacheOf(heap).commitBase[slot] !== 0);
    heap.free(pointers[0]);
    clock.seconds += 4;
    heap.free(pointers[1]);
    expect(released()).toHaveLength(0);
    clock.seconds += 2;
    heap.free(pointers[2]);
    expect(released()).toHaveLength(1);
    clock.seconds += 1;
    heap.releaseToOS();
    expect(released()).toHaveLength(3);
  });

  test("stay in the first seconds of a machine's clock, too", () => {
    const { heap, clock } = clockedHeap();
    clock.seconds = 1;
    freeMany(heap, 3);
    expect([...cacheOf(heap).time.subarray(0, 3)]).not.toContain(0);
  });

  test("never go back with a negative interval, but on request", () => {
    const { heap, clock } = clockedHeap({ releaseToOSIntervalMs: -1 });
    for (let i = 0; i < 3; i++) {
      freeMany(heap, 2);
      clock.seconds += 1000;
    }
    expect(cacheOf(heap).time[0]).toBeGreaterThan(0);
    heap.releaseToOS("normal");
    expect(cacheOf(heap).time[0]).toBe(0);
  });
});

test("a configuration without a cache unmaps immediately", () => {
  const heap = openHeap({ config: customConfig({ primary: defaultConfig.primary }) });
  const before = heap.process.procfs("maps");
  heap.free(heap.malloc(SIZE));
  expect(heap.process.procfs("maps")).toBe(before);
});
