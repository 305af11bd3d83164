// Large chunks with tags: by reference pages, within their limits, and what happens when none can be had.
// Chunks of every size are in tagging.test.ts.
import { describe, expect, test } from "vitest";
import { partsOf } from "../../../allocator/heap/heap.ts";
import { Heap, type HeapOptions } from "../../../allocator/index.ts";
import type { TaggedAllocator } from "../../../allocator/tagging/tagged-allocator.ts";
import { isCaught, LARGE, MEMORY, roundUp, tagged } from "../../../fuzz/tagging/tagged-heap.ts";
import { loadTag } from "../../../platform/hardware/mte.ts";
import { tagOf, withoutTag } from "../../../platform/hardware/tags.ts";
import { RLIMIT_NOFILE } from "../../../platform/kernel/abi/rlimit.ts";
import { Kernel } from "../../../platform/kernel/kernel.ts";

describe("large chunks", () => {
  test("get their tag from a reference page: nothing but the first page becomes resident", () => {
    const [plain, heap] = [new Heap({ memoryBytes: MEMORY, seed: 1 }), tagged()];
    const rssOf = (one: Heap): number => {
      const before = one.process.rssBytes;
      one.malloc(2 ** 30);
      return one.process.rssBytes - before;
    };
    heap.malloc(LARGE);
    expect(rssOf(heap)).toBe(rssOf(plain));
    expect(heap.largeTags).toMatchObject({ mapped: 2, failures: 0 });
  });

  test("take at most 15 descriptors for each fill", () => {
    const heap = tagged();
    const before = heap.process.fds.count;
    for (let round = 0; round < 300; round++) heap.free(heap.malloc(LARGE + round * 4096));
    expect(heap.process.fds.count - before).toBeLessThanOrEqual(15);
    heap.fill = "pattern";
    for (let round = 0; round < 300; round++) heap.free(heap.malloc(LARGE + round * 4096));
    expect(heap.process.fds.count - before).toBeLessThanOrEqual(30);
  });

  test("differ from their neighbours, and from what lay at their address before", () => {
    const heap = tagged();
    const chunks: number[] = [];
    const lastTag = new Map<number, number>();
    for (let round = 0; round < 500; round++) {
      if (chunks.length > 12) {
        const [gone] = chunks.splice((round * 7) % chunks.length, 1);
        lastTag.set(withoutTag(gone), tagOf(gone));
        heap.free(gone);
      }
      const p = heap.malloc(round % 3 === 0 ? 2 ** 20 : LARGE);
      if (lastTag.has(withoutTag(p))) expect(tagOf(p)).not.toBe(lastTag.get(withoutTag(p)));
      chunks.push(p);
      const inOrder = chunks.toSorted((a, b) => withoutTag(a) - withoutTag(b));
      const place = inOrder.indexOf(p);
      for (const neighbour of [inOrder[place - 1], inOrder[place + 1]]) {
        if (neighbour !== undefined) expect(tagOf(neighbour)).not.toBe(tagOf(p));
      }
    }
  });

  test("that come from the cache have another tag if a neighbour has theirs by now, in the same place", () => {
    const heap = tagged();
    const { secondary } = partsOf(heap).allocator as TaggedAllocator;
    const p = heap.malloc(LARGE);
    heap.free(p);
    const { mapBase, mapSize } = secondary.cache!;
    const end = mapBase[0] + mapSize[0];
    const cached = loadTag(heap.process.memory, withoutTag(p) + 50_000);
    expect(cached).toBeGreaterThan(0);
    secondary.tags.set(end, end + 4096, cached, "live");
    const q = heap.malloc(LARGE);
    expect(withoutTag(q)).toBe(withoutTag(p));
    expect(tagOf(q)).not.toBe(cached);
    heap.memory.fill(q, 1, LARGE);
    expect(isCaught(() => heap.memory.getUint8(p))).toBe(true);
    secondary.tags.remove(end);
    heap.checkInvariants();
  });

  test("that are freed into the cache get another reference page over their touched pages only", () => {
    const heap = tagged();
    const p = heap.malloc(LARGE);
    heap.memory.setUint8(p + 100_000, 1);
    // By now every tag has its reference page.
    for (let round = 1; round <= 100; round++) heap.free(heap.malloc(LARGE + round * 4096));
    const before = heap.kernel.counters.snapshot();
    heap.free(p);
    const { ptesZapped, bytesZeroed, bytesFilled } = heap.kernel.counters.since(before);
    expect(ptesZapped).toBe(2);
    expect(bytesZeroed + bytesFilled).toBeLessThanOrEqual(2 * 4096);
    expect(isCaught(() => heap.memory.getUint8(p + 150_000))).toBe(true);
  });

  test("have the pattern and the tag immediately", () => {
    const heap = tagged({ fill: "pattern", pattern: [1, 2, 3, 4] });
    const p = heap.malloc(2 ** 20);
    expect([...heap.memory.read(p + 4096 * 10, 6)]).toEqual([1, 2, 3, 4, 1, 2]);
    heap.memory.setUint8(p + 4096 * 20, 9);
    expect([...heap.memory.read(p + 4096 * 20, 6)]).toEqual([9, 2, 3, 4, 1, 2]);
    expect(isCaught(() => heap.memory.getUint8(withoutTag(p) + 4096 * 20 + 64))).toBe(true);
    expect(heap.calloc(1, 2 ** 20)).toSatisfy((zero: number) => heap.memory.getUint32(zero + 9000) === 0);
  });
});

describe("without reference pages", () => {
  const warnings: string[] = [];
  const write = (text: string): void => {
    warnings.push(text);
  };

  function exhausted(options: HeapOptions): Heap {
    warnings.length = 0;
    const heap = tagged({ ...options, write });
    heap.process.setrlimit(RLIMIT_NOFILE, heap.process.fds.count);
    return heap;
  }

  test("large chunks stay untagged, which is counted and said once", () => {
    const heap = exhausted({ onTagFailure: "untagged" });
    const [p, q] = [heap.malloc(LARGE), heap.malloc(LARGE)];
    expect([tagOf(p), tagOf(q)]).toEqual([0, 0]);
    heap.memory.fill(p, 1, LARGE);
    expect(isCaught(() => heap.memory.getUint8(p - 1))).toBe(true);
    expect(isCaught(() => heap.memory.getUint8(p - 17))).toBe(true);
    expect(tagOf(heap.malloc(100))).toBeGreaterThan(0);
    expect(heap.largeTags).toEqual({ mapped: 0, failures: 2, untagged: 2, userTagged: 0, lastFailure: "EMFILE" });
    expect(warnings).toEqual(["refheap WARNING: no tagged reference page (EMFILE): large chunks stay untagged\n"]);
    heap.free(heap.realloc(p, 2 * LARGE));
    heap.checkInvariants();
  });

  test("or are tagged by the program, with all of their guarantees", () => {
    const heap = exhausted({ onTagFailure: "user-tags" });
    let p = heap.malloc(LARGE);
    expect(tagOf(p)).toBeGreaterThan(0);
    expect(loadTag(heap.process.memory, p + LARGE - 1)).toBe(tagOf(p));
    expect(isCaught(() => heap.memory.getUint8(p - 1))).toBe(true);
    p = heap.realloc(p, 3 * LARGE);
    heap.memory.fill(p, 1, 3 * LARGE);
    expect(isCaught(() => heap.memory.getUint8(p + roundUp(3 * LARGE)))).toBe(true);
    const q = heap.malloc(LARGE);
    heap.free(q);
    expect(isCaught(() => heap.memory.getUint8(q))).toBe(true);
    expect(heap.largeTags).toMatchObject({ mapped: 0, untagged: 0, lastFailure: "EMFILE" });
    expect(warnings).toHaveLength(1);
    heap.checkInvariants();
  });

  test("the same on a kernel that has no such call", () => {
    const heap = tagged({ memoryBytes: undefined, kernel: new Kernel({ memoryBytes: MEMORY }), write });
    expect(tagOf(heap.malloc(LARGE))).toBe(0);
    expect(heap.largeTags?.lastFailure).toBe("ENOSYS");
  });
});
