// The primary: regions, populate steps, shuffling, batches, exhaustion, several heaps in one process (S8, S10).
import { describe, expect, test } from "vitest";
import { customConfig } from "../../../allocator/options/config.ts";
import { MAP_ANONYMOUS, MAP_NORESERVE, MAP_PRIVATE } from "../../../platform/kernel/abi/mman.ts";
import { RLIMIT_AS } from "../../../platform/kernel/abi/rlimit.ts";
import { createKernel } from "../../../refpage/kernel.ts";
import { coarseMap, kindOf, type OpenHeap, openHeap, tinyConfig } from "../open-heap.ts";

function allocateMany(heap: OpenHeap, count: number, size: number): number[] {
  return Array.from({ length: count }, () => heap.malloc(size));
}

describe("regions", () => {
  test("the default configuration reserves 180 GiB together, and no page of it", () => {
    const heap = openHeap();
    expect(heap.process.rssBytes).toBe(0);
    expect(heap.parts.primary.regions.regionSize).toBe(2 ** 32);
    expect(heap.kernel.counters.systemCalls.get("mmap")).toBe(1);
  });

  test("lie 1 to 16 pages into slices that are dealt at random", () => {
    const { regions } = openHeap().parts.primary;
    const slices = [...regions.base].map((base) => (base - Math.min(...regions.base)) / 2 ** 32);
    expect([...slices].sort((a, b) => a - b)).toEqual(Array.from({ length: 45 }, (_, index) => index));
    expect(slices).not.toEqual([...slices].sort((a, b) => a - b));
    for (let classId = 0; classId < 45; classId++) {
      const pages = (regions.begin[classId] - regions.base[classId]) / 4096;
      expect(pages).toBeGreaterThanOrEqual(1);
      expect(pages).toBeLessThanOrEqual(16);
      expect(Number.isInteger(pages)).toBe(true);
    }
  });

  test("are where the seed says, and elsewhere with another", () => {
    const begins = (seed: number) => [...openHeap({ seed }).parts.primary.regions.begin];
    expect(begins(5)).toEqual(begins(5));
    expect(begins(5)).not.toEqual(begins(6));
  });

  test("are halved until they fit when a process has several heaps", () => {
    const process = createKernel({ memoryBytes: 2 ** 26 }).createProcess();
    const heaps = Array.from({ length: 3 }, (_, seed) => openHeap({ process, seed }));
    const sizes = heaps.map((heap) => heap.parts.primary.regions.regionSize);
    expect(sizes[0]).toBe(2 ** 32);
    expect(sizes[1]).toBeLessThan(2 ** 32);
    const pointers = heaps.map((heap) => heap.malloc(100));
    expect(new Set(pointers).size).toBe(3);
    heaps.forEach((heap, index) => {
      heap.free(pointers[index]);
      heap.checkInvariants();
      heap[Symbol.dispose]();
    });
    expect(process.procfs("maps")).not.toContain("---p");
  });

  test("are 1 MiB at the least: with less address space there is no heap", () => {
    const config = customConfig({ primary: { sizeClassMap: coarseMap, regionSizeLog: 28, groupSizeLog: 18 } });
    const sizes = new Set<number>();
    let refused = 0;
    for (let mib = 64; mib >= 1; mib = Math.floor(mib * 0.8)) {
      const process = createKernel({ memoryBytes: 2 ** 24 }).createProcess();
      process.setrlimit(RLIMIT_AS, mib * 2 ** 20);
      const kind = kindOf(() => sizes.add(openHeap({ process, config }).parts.primary.regions.regionSize));
      if (kind === "map-failed") refused++;
      else expect(kind).toBe("no report");
    }
    expect(Math.min(...sizes)).toBe(2 ** 20);
    expect(refused).toBeGreaterThan(0);
  });

  test("without room for the smallest are a report", () => {
    const process = createKernel({ memoryBytes: 2 ** 24 }).createProcess();
    const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    for (let log = 37; log >= 20; log--) {
      try {
        for (;;) process.mmap(0, 2 ** log, 0, flags);
      } catch {}
    }
    expect(() => openHeap({ process })).toThrow(/internal map failure.*requesting 188743680KB/);
  });

  test("are reserved on first use where they are not contiguous", () => {
    const primary = { ...tinyConfig.primary, contiguousRegions: false };
    const heap = openHeap({ config: customConfig({ primary }) });
    expect(heap.parts.primary.regions.base[1]).toBe(0);
    heap.malloc(100);
    expect(heap.parts.primary.regions.base[1]).not.toBe(0);
    expect(heap.parts.primary.regions.base[2]).toBe(0);
    heap.checkInvariants();
  });
});

describe("a populate step", () => {
  test("maps 256 KiB, carves 8 hints of blocks and takes nodes of class 0 in eights", () => {
    const heap = openHeap();
    heap.malloc(72_704);
    heap.malloc(100);
    heap.malloc(100);
    heap.malloc(3000);
    const { regions } = heap.parts.primary;
    const row = (classId: number) => [regions.mapped[classId], regions.carved[classId], regions.popped[classId]];
    expect(row(0)).toEqual([2 ** 18, 64 * 128, 16]);
    expect(row(4)).toEqual([2 ** 18, 64 * 128, 8]);
    expect(row(22)).toEqual([2 ** 18, 8 * 3072, 1]);
    expect(row(41)).toEqual([2 ** 18, 3 * 81_920, 1]);
  });

  test.each([
    [16, 112, 3552],
    [16, 224, 7136],
    [80, 80, 7584],
    [1000, 8, 7168],
    [1000, 16, 15_360],
    [4000, 8, 28_672],
    [60_000, 8, 458_752],
  ])("chunks of %i: the first %i span %i bytes, in random order", (size, count, span) => {
    const pointers = allocateMany(openHeap(), count, size);
    expect(Math.max(...pointers) - Math.min(...pointers)).toBe(span);
    expect(pointers).not.toEqual([...pointers].sort((a, b) => a - b));
  });

  test("Android carves half as many", () => {
    const heap = openHeap({ config: "android" });
    heap.malloc(16);
    expect(heap.parts.primary.regions.carved[1]).toBe(4 * 13 * 32);
    expect(heap.parts.primary.blockSizes[0]).toBe(64);
  });
});

describe("a thread's cache", () => {
  test("gives the block freed last first", () => {
    const heap = openHeap();
    const pointers = allocateMany(heap, 6, 100);
    for (const pointer of pointers) heap.free(pointer);
    expect(allocateMany(heap, 6, 100)).toEqual(pointers.reverse());
  });

  test("drains its oldest half when it is full", () => {
    const heap = openHeap();
    const pointers = allocateMany(heap, 64, 100);
    const { regions, shape } = heap.parts.primary;
    const cached = () => heap.parts.registry.acquire().cache.counts[4];
    while (cached() < shape.maxCounts[4]) heap.free(pointers.pop() as number);
    const pushed = regions.pushed[4];
    heap.free(pointers.pop() as number);
    expect(regions.pushed[4] - pushed).toBe(8);
    expect(cached()).toBe(9);
    heap.checkInvariants();
  });

  test("drained to the last block gives all of them back, class 0 too", () => {
    const heap = openHeap();
    for (const size of [16, 100, 1000, 10_000]) for (const p of allocateMany(heap, 50, size)) heap.free(p);
    heap.releaseToOS("force-all");
    const { regions, classCount } = heap.parts.primary;
    for (let classId = 1; classId < classCount; classId++)
      expect(regions.popped[classId]).toBe(regions.pushed[classId]);
    heap.checkInvariants();
  });
});

describe("groups", () => {
  test("blocks freed in random order come back group by group", () => {
    const groupSizeLog = 20;
    const heap = openHeap({
      config: customConfig({ primary: { ...tinyConfig.primary, regionSizeLog: 24, groupSizeLog } }),
    });
    const pointers = allocateMany(heap, 4 * 1024, 1000);
    const groups = (chunks: number[]) =>
      new Set(chunks.map((pointer) => Math.floor((pointer - heap.parts.primary.regions.begin[1]) / 2 ** groupSizeLog)));
    expect(groups(pointers).size).toBe(4);
    let state = 1;
    for (let left = pointers.length; left > 0; left--) {
      state = (state * 48271) % 0x7fffffff;
      const [pointer] = pointers.splice(state % left, 1);
      heap.free(pointer);
    }
    heap.releaseToOS("force-all");
    expect(groups(allocateMany(heap, 1024, 1000)).size).toBeLessThanOrEqual(2);
  });
});

describe("a full region", () => {
  test("overflows into larger classes, then into the secondary, and the rest goes on", () => {
    const heap = openHeap({ config: tinyConfig, write: () => {} });
    const pointers = allocateMany(heap, 6000, 1000);
    expect(pointers).not.toContain(0);
    expect([...heap.parts.primary.regions.exhausted]).toEqual([0, 1, 1, 1, 1]);
    expect(heap.parts.secondary.blocksInUse).toBeGreaterThan(0);
    expect(heap.checkInvariants().allocatedChunks).toBe(6000);
    for (const pointer of pointers) heap.free(pointer);
    expect(heap.checkInvariants().allocatedChunks).toBe(0);
    expect(allocateMany(heap, 1000, 1000)).not.toContain(0);
  });

  test("says so once for each class", () => {
    const texts: string[] = [];
    const heap = openHeap({ config: tinyConfig, write: (text) => texts.push(text) });
    allocateMany(heap, 6000, 1000);
    expect(texts).toEqual(
      [1024, 2048, 4096, 8192].map((size) => `Can't populate more pages for size class ${size}.\n`),
    );
  });

  test("of class 0 is a report, and chunks can still be used", () => {
    const heap = openHeap({ config: tinyConfig });
    const pointer = heap.malloc(1000);
    const { primary, registry } = heap.parts;
    const { cache } = registry.acquire();
    const takeAll = () => {
      for (;;) primary.takeNode(cache);
    };
    expect(kindOf(takeAll)).toBe("batch-class-exhausted");
    heap.memory.setUint8(pointer, 7);
    heap.free(pointer);
    expect(heap.malloc(1000)).toBe(pointer);
  });
});

test("32 blocks of every size from 1 to 65536 can be written and freed", () => {
  const heap = openHeap();
  for (let log = 0; log <= 16; log++) {
    const pointers = allocateMany(heap, 32, 2 ** log);
    for (const pointer of pointers) heap.memory.fill(pointer, 0x41, 2 ** log);
    for (const pointer of pointers) heap.free(pointer);
  }
  expect(heap.checkInvariants().allocatedChunks).toBe(0);
});

test("release before any allocation does nothing", () => {
  expect(openHeap().releaseToOS("force-all")).toBe(0);
});
