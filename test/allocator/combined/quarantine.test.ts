// The quarantine: batches in simulated memory, merging, draining and recycling, and corruption found late (S13).

import { describe, expect, test } from "vitest";
import {
  BATCH_CAPACITY,
  BATCH_SIZE,
  batchBytes,
  batchCount,
  initialiseBatch,
  mergeBatches,
  QuarantineCache,
} from "../../../allocator/combined/quarantine-cache.ts";
import { HeapError } from "../../../allocator/common/heap-error.ts";
import { Program } from "../../../allocator/common/program.ts";
import { type Heap, partsOf } from "../../../allocator/heap/heap.ts";
import { customConfig } from "../../../allocator/options/config.ts";
import { fixedSizeClassMap } from "../../../allocator/options/size-class-map.ts";
import { MAP_ANONYMOUS, MAP_PRIVATE } from "../../../platform/kernel/abi/mman.ts";
import { createKernel } from "../../../refpage/kernel.ts";
import { kindOf, openHeap } from "../open-heap.ts";

const process = createKernel({ memoryBytes: 2 ** 26 }).createProcess();
const { memory } = process;

function newBatch(): number {
  const batch = process.mmap(0, 8192, 3, MAP_PRIVATE | MAP_ANONYMOUS);
  initialiseBatch(memory, batch);
  return batch;
}

/** A list of batches with the given numbers of 16-byte chunks. */
function listOf(counts: number[]): QuarantineCache {
  const list = new QuarantineCache();
  counts.forEach((count, index) => {
    list.pushBatch(memory, newBatch());
    for (let i = 0; i < count; i++) list.pushChunk(memory, (index + 1) * 0x100000 + i * 16, 16);
  });
  return list;
}

function merged(counts: number[]): { list: QuarantineCache; emptied: QuarantineCache } {
  const list = listOf(counts);
  const emptied = new QuarantineCache();
  list.merge(memory, emptied, new Program(process));
  return { list, emptied };
}

describe("batches", () => {
  test("are 8176 bytes, themselves included", () => {
    expect(BATCH_SIZE).toBe(8176);
    const list = listOf([3]);
    expect(list.bytes).toBe(8176 + 48);
    expect(list.overhead).toBe(8176);
    expect(batchBytes(memory, list.first)).toBe(list.bytes);
  });

  test("merge into one with all chunks; the source is empty", () => {
    const [target, source] = [listOf([2]).first, listOf([3]).first];
    mergeBatches(memory, target, source);
    expect([batchCount(memory, target), batchBytes(memory, target)]).toEqual([5, 8176 + 80]);
    expect([batchCount(memory, source), batchBytes(memory, source)]).toEqual([0, 8176]);
  });

  test("hold 1019 chunks, then another is needed", () => {
    const list = listOf([BATCH_CAPACITY - 1]);
    expect(list.needsBatch(memory)).toBe(false);
    list.pushChunk(memory, 16, 16);
    expect(list.needsBatch(memory)).toBe(true);
  });
});

describe("merging a list", () => {
  test.each<[string, number[], number, number]>([
    ["that is empty does nothing", [], 0, 0],
    ["of one batch does nothing", [1], 1, 0],
    ["of two small batches frees one", [1, 1], 1, 1],
    ["of two that do not fit one does nothing", [1018, 1018], 2, 0],
    ["keeps neighbours that fit together", [1000, 19, 19, 1000], 2, 2],
  ])("%s", (_, counts, left, freed) => {
    const { list, emptied } = merged(counts);
    expect([list.batches, emptied.batches]).toEqual([left, freed]);
    expect(list.bytes).toBe(left * 8176 + counts.reduce((sum, count) => sum + count * 16, 0));
  });

  test("of 3057 single chunks leaves 3 full batches", () => {
    const { list, emptied } = merged(new Array<number>(3 * BATCH_CAPACITY).fill(1));
    expect([list.batches, emptied.batches]).toEqual([3, 3054]);
    expect(batchCount(memory, list.last)).toBe(BATCH_CAPACITY);
  });
});

const small = { sizeKb: 256, threadLocalSizeKb: 64, maxChunkSize: 2048 };

describe("a heap with a quarantine", () => {
  test("keeps a freed chunk from its next malloc, its contents as they were", () => {
    const heap = openHeap({ quarantine: small });
    const pointer = heap.malloc(100);
    heap.memory.fill(pointer, 0x5a, 100);
    heap.free(pointer);
    expect(heap.checkInvariants().quarantinedChunks).toBe(1);
    expect(heap.memory.read(pointer, 100)).toEqual(new Uint8Array(100).fill(0x5a));
    expect(heap.malloc(100)).not.toBe(pointer);
  });

  test("lets chunks of size 0, too large ones and secondary ones pass", () => {
    const heap = openHeap({ quarantine: small });
    for (const size of [0, 2049, 200_000]) heap.free(heap.malloc(size));
    expect(heap.checkInvariants().quarantinedChunks).toBe(0);
    heap.free(heap.malloc(2048));
    expect(heap.checkInvariants().quarantinedChunks).toBe(1);
  });

  test("reports a double free of a quarantined chunk", () => {
    const heap = openHeap({ quarantine: small });
    const pointer = heap.malloc(100);
    heap.free(pointer);
    expect(kindOf(() => heap.free(pointer))).toBe("invalid-state");
  });

  test("recycles before it passes its size, and a chunk comes back within some thousands of mallocs", () => {
    const heap = openHeap({ quarantine: small });
    const first = heap.malloc(100);
    heap.free(first);
    let mallocs = 0;
    for (let pointer = 0; pointer !== first; mallocs++) {
      pointer = heap.malloc(100);
      heap.free(pointer);
      expect(heap.parts.quarantine.global.bytes).toBeLessThanOrEqual(256 * 1024);
      if (mallocs > 20_000) throw new Error("never recycled");
    }
    expect(mallocs).toBeGreaterThan(500);
    heap.checkInvariants();
  });

  test("drains a thread's list when it passes the thread's size, not when it reaches it", () => {
    const heap = openHeap({ quarantine: { sizeKb: 256, threadLocalSizeKb: 8, maxChunkSize: 2048 } });
    const { quarantine } = heap.parts;
    heap.free(heap.malloc(8 * 1024 - BATCH_SIZE));
    expect(quarantine.global.batches).toBe(0);
    heap.free(heap.malloc(16));
    expect(quarantine.global.bytes).toBe(8 * 1024 + 16);
  });

  test("force-all empties it", () => {
    const heap = openHeap({ quarantine: small });
    for (let i = 0; i < 50; i++) heap.free(heap.malloc(100));
    heap.releaseToOS("force-all");
    const census = heap.checkInvariants();
    expect([census.quarantinedChunks, census.quarantineBatches, census.allocatedChunks]).toEqual([0, 0, 0]);
  });

  test("128 chunks of 16 KiB through 1 MiB are drained on the way", () => {
    const heap = openHeap({ quarantine: { sizeKb: 1024, threadLocalSizeKb: 256, maxChunkSize: 16384 } });
    let drains = 0;
    for (let i = 0; i < 128; i++) {
      const before = heap.parts.quarantine.global.batches;
      heap.free(heap.malloc(16384));
      if (heap.parts.quarantine.global.batches !== before) drains++;
    }
    expect(drains).toBeGreaterThan(0);
  });

  test("merges batches that are mostly empty instead of recycling them", () => {
    const heap = openHeap({ quarantine: { sizeKb: 64, threadLocalSizeKb: 4, maxChunkSize: 2048 } });
    for (let i = 0; i < 100; i++) heap.free(heap.malloc(16));
    expect(heap.checkInvariants().quarantinedChunks).toBe(100);
    expect(heap.parts.quarantine.global.batches).toBeLessThan(8);
  });

  test("delays nothing when its sizes are below one batch", () => {
    const heap = openHeap({ quarantine: { sizeKb: 0, threadLocalSizeKb: 4, maxChunkSize: 2048 } });
    const pointer = heap.malloc(100);
    heap.free(pointer);
    expect(heap.malloc(100)).toBe(pointer);
  });

  test("finds a damaged header when the chunk is recycled, loses that chunk and goes on", () => {
    const heap = openHeap({ quarantine: small });
    const pointers = Array.from({ length: 20 }, () => heap.malloc(100));
    for (const pointer of pointers) heap.free(pointer);
    heap.memory.setUint8(pointers[7] - 16, 0xff);
    expect(kindOf(() => heap.releaseToOS("force-all"))).toBe("corrupted-header");
    heap.releaseToOS("force-all");
    const census = heap.checkInvariants();
    expect([census.quarantinedChunks, census.unreadableChunks]).toEqual([0, 1]);
  });

  test.each(["off", "sync"] as const)(
    "a report from within realloc says where the chunk went, to its catcher and to the hooks, tagging %s",
    (tagging) => {
      let announced = 0;
      const heap = openHeap({
        quarantine: small,
        tagging,
        hooks: {
          reallocAllocate: (_old, moved) => {
            announced = moved;
          },
        },
      });
      const damaged = heap.malloc(100);
      heap.free(damaged);
      heap.memory.setUint8((damaged % 2 ** 48) - 16, 0xff);
      let pointer = 0;
      let found: HeapError | null = null;
      // Only the realloc puts anything into the quarantine: 3000 bytes are too large for it.
      for (let tries = 0; found === null && tries < 1000; tries++) {
        pointer = heap.malloc(2000);
        heap.memory.setUint32(pointer, 77);
        try {
          heap.free(heap.realloc(pointer, 3000));
        } catch (error) {
          if (!(error instanceof HeapError)) throw error;
          found = error;
        }
      }
      if (found === null) throw new Error("never recycled");
      expect(found.kind).toBe("corrupted-header");
      if (found.movedTo === null) throw new Error("the chunk is nowhere");
      expect(found.movedTo).not.toBe(pointer);
      expect(announced).toBe(found.movedTo);
      expect(heap.memory.getUint32(found.movedTo)).toBe(77);
      heap.free(found.movedTo);
      heap.releaseToOS("force-all"); // batches are chunks too
      expect(heap.checkInvariants().allocatedChunks).toBe(0);
    },
  );

  test("finds a chunk that was freed behind its back", () => {
    const heap = openHeap({ quarantine: small });
    const pointer = heap.malloc(100);
    heap.free(pointer);
    const { headers } = heap.parts;
    const low = headers.load(heap.process.memory, pointer);
    headers.store(heap.process.memory, pointer, low & ~0x300, 0);
    expect(kindOf(() => heap.releaseToOS("force-all"))).toBe("invalid-state");
  });

  test("hands what a thread holds to the global list when the thread ends", () => {
    const heap = openHeap({ quarantine: small });
    const thread = heap.process.createThread();
    heap.withThread(thread, () => heap.free(heap.malloc(100)));
    heap.endThread(thread);
    expect(heap.parts.quarantine.globalChunks()).toBe(1);
    heap.checkInvariants();
  });

  test("needs blocks that a batch fits", () => {
    const sizeClassMap = fixedSizeClassMap({
      name: "small",
      numBits: 1,
      minSizeLog: 5,
      midSizeLog: 5,
      maxSizeLog: 10,
      sizeDelta: 0,
      maxCachedHint: 8,
      maxBytesCachedLog: 10,
    });
    const config = customConfig({ primary: { sizeClassMap, regionSizeLog: 21 } });
    expect(() => openHeap({ config, quarantine: small })).toThrow(/8192/);
  });
});

test("a fork's child goes on with its parent's quarantine: the same bytes wait in it, and it drains at the same one", () => {
  const heap = openHeap({ quarantine: { sizeKb: 64, threadLocalSizeKb: 16, maxChunkSize: 2048 } });
  for (let i = 0; i < 20; i++) heap.free(heap.malloc(100));
  const listOf = (own: Heap) => partsOf(own).allocator.registry.all()[0].quarantine;
  const child = heap.fork();
  const { first, last, batches, bytes, overhead } = listOf(heap);
  expect(bytes).toBeGreaterThan(20 * 100);
  expect(listOf(child)).toMatchObject({ first, last, batches, bytes, overhead });
  child.checkInvariants();
});

test("a block that leaves the quarantine stays in the thread's cache, which has room", () => {
  const heap = openHeap({ quarantine: { sizeKb: 64, threadLocalSizeKb: 16, maxChunkSize: 2048 } });
  const pointers = Array.from({ length: 3 }, () => heap.malloc(100));
  const [tsd] = heap.parts.registry.all();
  const { cache } = tsd;
  const { freeLists } = heap.parts.primary;
  const classId = cache.counts.findIndex((count, id) => id > 0 && count > 0);
  const listed = freeLists.blocksInGroup(freeLists.firstGroup[classId], freeLists.capacity);
  const held = cache.counts[classId];
  for (const pointer of pointers) heap.free(pointer);
  expect(cache.counts[classId]).toBe(held);
  heap.parts.quarantine.drainAndRecycle(tsd);
  expect(cache.counts[classId]).toBe(held + 3);
  expect(freeLists.blocksInGroup(freeLists.firstGroup[classId], freeLists.capacity)).toBe(listed);
});
