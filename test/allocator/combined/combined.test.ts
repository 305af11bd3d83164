// Scudo's tests of its combined allocator (S33, combined), mirrored for the Default, Android and Fuchsia configurations.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { packLow, STATE_ALLOCATED } from "../../../allocator/combined/chunk-header.ts";
import { gatherStatistics } from "../../../allocator/inspection/gather-statistics.ts";
import { kindOf, openHeap, tinyConfig } from "../open-heap.ts";

describe.each(["default", "android", "fuchsia"] as const)("with the %s configuration", (config) => {
  test("memory that is no chunk's is not owned, and unharmed", () => {
    const heap = openHeap({ config });
    const place = heap.process.mmap(0, 4096, 3, 0x22);
    heap.memory.fill(place, 0x42, 4096);
    for (let offset = 0; offset < 4096; offset += 16) expect(heap.parts.isOwned(place + offset)).toBe(false);
    expect(heap.parts.isOwned(0)).toBe(false);
    expect(heap.parts.isOwned(12_345)).toBe(false);
    expect(heap.memory.read(place, 4096).every((byte) => byte === 0x42)).toBe(true);
  });

  test("sizes of 2^0 to 2^20, a little more and less, at alignments of 16 to 65536", () => {
    const heap = openHeap({ config });
    for (let log = 0; log <= 20; log += 2) {
      for (let alignment = 16; alignment <= 65_536; alignment *= 4) {
        for (const delta of [-32, -16, -1, 0, 1, 16, 32]) {
          const size = Math.max(0, 2 ** log + delta);
          const pointer = heap.memalign(alignment, size);
          expect(pointer % alignment).toBe(0);
          expect(heap.parts.isOwned(pointer)).toBe(true);
          expect(heap.malloc_usable_size(pointer)).toBe(size);
          heap.memory.fill(pointer, 0xaa, Math.min(size, 4096));
          heap.free(pointer);
        }
      }
    }
    expect(heap.checkInvariants().allocatedChunks).toBe(0);
  });

  test.each([
    ["zero", 0],
    ["pattern", 0xab],
  ] as const)("with fill %s every byte of a used block reads so", (fill, expected) => {
    const heap = openHeap({ config, fill });
    for (const size of [1, 16, 100, 1000, 5000, 60_000, 100_000, 200_000, 1_000_000]) {
      for (let round = 0; round < 3; round++) {
        const pointer = heap.malloc(size);
        expect(heap.memory.read(pointer, size).every((byte) => byte === expected)).toBe(true);
        heap.memory.fill(pointer, 0x77, size);
        heap.free(pointer);
      }
    }
  });

  test("calloc is zero after the block was used", () => {
    const heap = openHeap({ config, fill: "pattern" });
    for (const size of [1, 100, 5000, 200_000]) {
      const used = heap.malloc(size);
      heap.memory.fill(used, 0x77, size);
      heap.free(used);
      const pointer = heap.calloc(1, size);
      expect(heap.memory.read(pointer, size).every((byte) => byte === 0)).toBe(true);
    }
  });

  test("a chunk of 1024 bytes is used again soon", () => {
    const heap = openHeap({ config });
    const first = heap.malloc(1024);
    heap.free(first);
    let found = false;
    for (let i = 0; i < 1024 && !found; i++) found = heap.malloc(1024) === first;
    expect(found).toBe(true);
  });

  test("iteration sees the chunks allocated, and only those", () => {
    const heap = openHeap({ config });
    const sizes = new Map(Array.from({ length: 64 }, (_, i) => [heap.malloc(i * 997), i * 997] as const));
    for (const size of [100, 50_000]) heap.free(heap.malloc(size));
    const seen = new Map<number, number>();
    heap.malloc_disable();
    heap.malloc_iterate(0, 2 ** 38, (pointer, size) => seen.set(pointer, size));
    heap.malloc_enable();
    expect(seen).toEqual(sizes);
  });

  test("damage to a header, misaligned and repeated frees are reports; the heap goes on", () => {
    const heap = openHeap({ config });
    for (const size of [100, 200_000]) {
      const pointer = heap.malloc(size);
      for (const byte of [0, 3, 7]) {
        heap.memory.setUint8(pointer - 16 + byte, heap.memory.getUint8(pointer - 16 + byte) ^ 1);
        for (const act of [
          () => heap.free(pointer),
          () => heap.realloc(pointer, 10),
          () => heap.malloc_usable_size(pointer),
        ]) {
          expect(kindOf(act)).toBe("corrupted-header");
        }
        heap.memory.setUint8(pointer - 16 + byte, heap.memory.getUint8(pointer - 16 + byte) ^ 1);
      }
      expect(kindOf(() => heap.free(pointer + 8))).toBe("misaligned");
      expect(kindOf(() => heap.realloc(pointer + 1, 10))).toBe("misaligned");
      expect(kindOf(() => heap.free_sized(pointer, size + 1))).toBe("size-mismatch");
      heap.free(pointer);
    }
    const freed = heap.malloc(100);
    heap.free(freed);
    expect(kindOf(() => heap.free(freed))).toBe("invalid-state");
    expect(kindOf(() => heap.realloc(freed, 10))).toBe("invalid-state");
    expect(kindOf(() => heap.malloc_usable_size(freed))).toBe("invalid-state");
    expect(heap.checkInvariants().allocatedChunks).toBe(0);
  });

  test("force-all empties caches and quarantine", () => {
    const heap = openHeap({ config, quarantine: { sizeKb: 64, threadLocalSizeKb: 32, maxChunkSize: 1024 } });
    for (let size = 0; size < 3000; size += 50) heap.free(heap.malloc(size));
    heap.releaseToOS("force-all");
    const { primary } = gatherStatistics(heap.parts);
    for (const one of primary.classes)
      if (one.classId !== 0) expect([one.classId, one.inUseBlocks]).toEqual([one.classId, 0]);
  });

  test("a thread without memory init gets what was there, but its calloc is zero", () => {
    const heap = openHeap({ config, fill: "pattern" });
    heap.parts.registry.setMemoryInitDisabled(true);
    // Fuchsia caches no large mappings: a new one is always zero.
    for (const size of config === "fuchsia" ? [16, 100, 1000] : [16, 100, 1000, 200_000]) {
      const used = heap.malloc(size);
      heap.memory.fill(used, 0x77, size);
      heap.free(used);
      const again = heap.malloc(size);
      expect(again).toBe(used);
      expect(heap.memory.getUint8(again + size - 1)).toBe(0x77);
      heap.free(again);
      expect(heap.memory.getUint8(heap.calloc(1, size) + size - 1)).toBe(0);
    }
  });
});

test("mallinfo after each step moves as the real library's does", () => {
  const lines = readFileSync(new URL("../../golden/scudo/mallinfo.jsonl", import.meta.url), "utf8")
    .trim()
    .split("\n");
  const recorded = lines.map((line) => JSON.parse(line)).filter((line) => line.after !== undefined);
  const heap = openHeap({ largeRealloc: "copy" });
  heap.malloc(72_704);
  heap.free(heap.malloc(1));
  const found = [heap.mallinfo2()];
  const chunk = new Map<string, number>();
  const allocate = (name: string, size: number) => chunk.set(name, heap.malloc(size));
  const free = (name: string) => heap.free(chunk.get(name) ?? 0);
  const steps = [
    () => allocate("a", 100),
    () => allocate("b", 1000),
    () => free("a"),
    () => allocate("c", 200_000),
    () => allocate("d", 1_048_576),
    () => free("c"),
    () => allocate("c", 200_000),
    () => free("d"),
    () => chunk.set("c", heap.realloc(chunk.get("c") ?? 0, 200_050)),
    () => {
      free("b");
      free("c");
    },
    () => heap.releaseToOS("force-all"),
  ];
  for (const step of steps) {
    step();
    found.push(heap.mallinfo2());
  }
  expect(found.map(({ hblkhd, uordblks, fordblks }) => ({ hblkhd, uordblks, fordblks }))).toEqual(
    recorded.map(({ hblkhd, uordblks, fordblks }) => ({ hblkhd, uordblks, fordblks })),
  );
});

test("a heap that may not return null reports what it cannot give, after its statistics", () => {
  const written: string[] = [];
  const heap = openHeap({ mayReturnNull: false, write: (text) => written.push(text) });
  expect(kindOf(() => heap.malloc(2 ** 39))).toBe("out-of-memory");
  expect(written.join("")).toContain("Stats: SizeClassAllocator64");
  expect(kindOf(() => heap.malloc(2 ** 40))).toBe("size-too-big");
  expect(kindOf(() => heap.memalign(2 ** 25, 1))).toBe("alignment-too-big");
});

test("a pointer of another heap is a corrupted chunk to this one", () => {
  const heap = openHeap({ process: openHeap().process, seed: 2 });
  const other = openHeap({ process: heap.process, seed: 3 });
  expect(kindOf(() => heap.free(other.malloc(100)))).toBe("corrupted-header");
});

test("a header that names a class that there is not is a corrupted one, with a right checksum, too", () => {
  const heap = openHeap();
  const { headers, primary, program } = heap.parts;
  for (const classId of [primary.shape.classCount, 100, 200, 255]) {
    const p = heap.malloc(100);
    headers.store(program.memory, p, packLow(classId, STATE_ALLOCATED, 0, 100), 0);
    for (const act of [() => heap.free(p), () => heap.realloc(p, 5000), () => heap.malloc_usable_size(p)])
      expect(kindOf(act), `class ${classId}`).toBe("corrupted-header");
  }
});

test("numbers that C could not express are refused before anything changes", () => {
  const heap = openHeap({ config: tinyConfig });
  for (const bad of [Number.NaN, -1, 1.5, Number.POSITIVE_INFINITY, 2 ** 65]) {
    for (const act of [
      () => heap.malloc(bad),
      () => heap.calloc(bad, 1),
      () => heap.realloc(0, bad),
      () => heap.memalign(16, bad),
      () => heap.free(bad),
      () => heap.malloc_usable_size(bad),
    ]) {
      expect(act).toThrow(RangeError);
    }
  }
  expect(() => heap.malloc("100" as unknown as number)).toThrow(TypeError);
  expect(() => heap.free(null as unknown as number)).toThrow(TypeError);
  heap.free(0);
  expect(heap.checkInvariants().allocatedChunks).toBe(0);
});
