// Thread-specific data: who gets which cache, exclusive and shared; contention; threads that end (S30, S25.4).
import { describe, expect, test } from "vitest";
import { partsOf } from "../../../allocator/heap/heap.ts";
import { M_TSDS_COUNT_MAX } from "../../../allocator/heap/mallopt.ts";
import { customConfig, type TsdConfig } from "../../../allocator/options/config.ts";
import { defaultSizeClassMap } from "../../../allocator/options/size-class-map.ts";
import { Kernel } from "../../../platform/kernel/kernel.ts";
import type { Thread } from "../../../platform/kernel/thread.ts";
import { kindOf, type OpenHeap, openHeap } from "../open-heap.ts";

function heapWith(tsd: TsdConfig): OpenHeap {
  const config = customConfig({
    primary: { sizeClassMap: defaultSizeClassMap, regionSizeLog: 28, groupSizeLog: 21 },
    tsd,
  });
  return openHeap({ config });
}

const shared = (arraySize: number, defaultCount: number) => heapWith({ model: "shared", arraySize, defaultCount });

/** Threads of the heap's process, the main one first, each of which has allocated once. */
function threads(heap: OpenHeap, count: number): Thread[] {
  const all = [heap.process.mainThread];
  while (all.length < count) all.push(heap.process.createThread());
  for (const thread of all) heap.withThread(thread, () => heap.free(heap.malloc(16)));
  return all;
}

describe("an exclusive registry", () => {
  test("gives each thread a cache that no other has", () => {
    const heap = openHeap();
    const tsds = threads(heap, 32).map((thread) => heap.parts.registry.tsdOf(thread));
    expect(new Set(tsds).size).toBe(32);
    expect(tsds).not.toContain(null);
  });

  test("a block freed by one thread is the next of that thread, not of another", () => {
    const heap = openHeap();
    const [first, second] = threads(heap, 2);
    const pointer = heap.malloc(100);
    heap.withThread(second, () => heap.free(pointer));
    expect(heap.withThread(first, () => heap.malloc(100))).not.toBe(pointer);
    expect(heap.withThread(second, () => heap.malloc(100))).toBe(pointer);
  });

  test("a thread whose first operation is a free gets no cache of its own by it", () => {
    const heap = openHeap();
    const pointer = heap.malloc(100);
    const thread = heap.process.createThread();
    heap.withThread(thread, () => heap.free(pointer));
    expect(heap.parts.registry.tsdOf(thread)).toBeNull();
    expect(heap.parts.registry.fallback.cache.counts[4]).toBe(1);
    heap.checkInvariants();
  });

  test("a thread that ends gives its blocks back, and its statistics stay in the sums", () => {
    const heap = openHeap();
    const thread = heap.process.createThread();
    const kept = heap.withThread(thread, () => {
      const pointers = Array.from({ length: 20 }, () => heap.malloc(100));
      for (const pointer of pointers.slice(1)) heap.free(pointer);
      return pointers[0];
    });
    const before = heap.mallinfo2();
    heap.endThread(thread);
    expect(thread.ended).toBe(true);
    expect(heap.mallinfo2()).toEqual(before);
    expect(heap.parts.registry.count).toBe(0);
    const { regions } = heap.parts.primary;
    expect(regions.popped[4] - regions.pushed[4]).toBe(1);
    heap.checkInvariants();
    heap.free(kept);
    expect(heap.checkInvariants().allocatedChunks).toBe(0);
  });

  test("has no number to raise", () => {
    expect(openHeap().parts.registry.setCount(4)).toBe(false);
  });
});

describe("a shared registry", () => {
  test("hands its caches out in turn", () => {
    const heap = shared(16, 8);
    const indices = threads(heap, 10).map((thread) => heap.parts.registry.tsdOf(thread)?.index);
    expect(indices).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 0, 1]);
  });

  test("with 8 in use 32 threads see at most 8; raised to 16, exactly 16", () => {
    const heap = shared(16, 8);
    const seen = () => new Set(threads(heap, 32).map((thread) => heap.parts.registry.tsdOf(thread)));
    expect(seen().size).toBe(8);
    expect(heap.parts.registry.setCount(16)).toBe(true);
    expect(seen().size).toBe(16);
  });

  test("its number is never lowered, and clamped to the array", () => {
    const { registry } = shared(8, 4).parts;
    expect(registry.setCount(3)).toBe(false);
    expect(registry.setCount(100)).toBe(true);
    expect(registry.count).toBe(8);
  });

  test("a thread that finds its cache taken moves to a free one, and stays there", () => {
    const heap = shared(8, 4);
    const all = threads(heap, 5);
    const { registry } = heap.parts;
    expect(registry.tsdOf(all[4])).toBe(registry.tsdOf(all[0]));
    registry.hold(all[0]);
    heap.withThread(all[4], () => heap.malloc(16));
    const moved = registry.tsdOf(all[4]);
    expect(moved).not.toBe(registry.tsdOf(all[0]));
    registry.releaseHold(all[0]);
    heap.withThread(all[4], () => heap.malloc(16));
    expect(registry.tsdOf(all[4])).toBe(moved);
    expect(registry.tsdOf(all[0])?.precedence).toBeGreaterThan(0);
  });

  test("a thread finds a cache by a clock of fractions of nanoseconds, as the host's is now and then", () => {
    let time = 1000.25;
    const kernel = new Kernel({ memoryBytes: 2 ** 27 }, { clock: () => (time += 0.7) });
    const config = customConfig({
      primary: { sizeClassMap: defaultSizeClassMap, regionSizeLog: 28, groupSizeLog: 21 },
      tsd: { model: "shared", arraySize: 8, defaultCount: 4 },
    });
    const heap = openHeap({ kernel, config });
    const all = threads(heap, 5);
    for (const holder of all.slice(0, 4)) {
      heap.parts.registry.hold(holder);
      for (const thread of all) heap.withThread(thread, () => heap.free(heap.malloc(16)));
      heap.parts.registry.releaseHold(holder);
    }
    heap.checkInvariants();
  });

  test("with every cache taken, it waits for the one contended longest", () => {
    const heap = shared(2, 2);
    const [first, second, third] = threads(heap, 3);
    const { registry } = heap.parts;
    registry.hold(first);
    registry.hold(second);
    const [a, b] = [registry.tsdOf(first), registry.tsdOf(second)];
    if (a === null || b === null) throw new Error("threads without caches");
    a.precedence = 2000;
    b.precedence = 1000;
    heap.withThread(third, () => heap.malloc(16));
    expect(registry.tsdOf(third)).toBe(b);
  });

  test("a cache that is free again counts as not contended", () => {
    const heap = shared(2, 1);
    const [first, second] = threads(heap, 2);
    const { registry } = heap.parts;
    registry.hold(first);
    heap.withThread(second, () => heap.malloc(16));
    heap.withThread(second, () => heap.malloc(16));
    expect(registry.tsdOf(second)?.isHeld).toBe(false);
    heap.checkInvariants();
  });
});

describe.each([
  ["exclusive", { model: "exclusive" }],
  ["shared 16/8", { model: "shared", arraySize: 16, defaultCount: 8 }],
  ["one shared", { model: "shared", arraySize: 1, defaultCount: 1 }],
] as const)("%s", (_, config) => {
  test("32 threads allocate and free one another's chunks, end, and leave a whole heap", () => {
    const heap = heapWith(config);
    const all = threads(heap, 32);
    const chunks = all.map((thread, index) => heap.withThread(thread, () => heap.malloc(index * 100)));
    all.forEach((thread, index) => {
      heap.withThread(thread, () => heap.free(chunks[(index + 7) % 32]));
    });
    for (const thread of all.slice(1)) heap.endThread(thread);
    expect(heap.checkInvariants().allocatedChunks).toBe(0);
  });

  test("between disable and enable a call is a report, and afterwards all is well", () => {
    const heap = heapWith(config);
    const small = heap.malloc(10);
    const large = heap.malloc(200_000);
    heap.malloc_disable();
    for (const act of [
      () => heap.malloc(1),
      () => heap.free(small),
      () => heap.free(large),
      () => heap.malloc(200_000),
    ]) {
      expect(kindOf(act)).toBe("deadlock");
    }
    heap.malloc_enable();
    heap.free(small);
    heap.free(large);
    expect(heap.checkInvariants().allocatedChunks).toBe(0);
  });
});

test("a fork's child shares as many caches as its parent did", () => {
  const heap = shared(8, 2);
  expect(heap.mallopt(M_TSDS_COUNT_MAX, 5)).toBe(1);
  const child = heap.fork() as OpenHeap;
  expect([partsOf(child).allocator.registry.count, heap.parts.registry.count]).toEqual([5, 5]);
  threads(child, 9);
  child.checkInvariants();
});
