// The room that compiled ways take in the host memory of a machine: each heap's and each thread's, until they end.
import { describe, expect, test } from "vitest";
import { Heap } from "../../../allocator/heap/heap.ts";
import type { HeapOptions } from "../../../allocator/options/options.ts";
import { countCompiledCalls } from "../../../fuzz/heap/compiled-calls.ts";
import type { Kernel } from "../../../platform/kernel/kernel.ts";
import { createKernel } from "../../../refpage/kernel.ts";

const MEMORY = 2 ** 26;

function use(heap: Heap): void {
  for (let left = 4; left > 0; left--) heap.free(heap.malloc(40));
}

/** Bytes that are free in a machine's room, as far as they are in one piece. */
function freeRoom({ machine }: Kernel): number {
  const { hostMemory } = machine;
  if (hostMemory === null) return 0;
  let bytes = 0;
  for (let step = 2 ** 26; step >= 64; step /= 2) {
    const begin = hostMemory.takeRoom(bytes + step);
    if (begin === 0) continue;
    hostMemory.giveRoom(begin);
    bytes += step;
  }
  return bytes;
}

/** Takes all the room of a machine, but for less than 64 bytes. */
function takeAll(kernel: Kernel): void {
  for (let bytes = 2 ** 26; bytes >= 64; bytes /= 2) while (kernel.machine.hostMemory?.takeRoom(bytes) !== 0) {}
}

describe.each<HeapOptions>([{}, { tagging: "sync" }])("the room of a heap with %j", (options) => {
  test("is given back when it ends, with its process and before it", () => {
    const kernel = createKernel({ memoryBytes: MEMORY });
    const before = freeRoom(kernel);
    const process = kernel.createProcess();
    const ends: readonly ((heap: Heap) => void)[] = [
      (heap) => heap[Symbol.dispose](),
      (heap) => void heap.process.execve("next"),
      (heap) => void heap.process.exit(0),
    ];
    for (const end of ends) {
      const heap = new Heap({ ...options, process, seed: 1 });
      use(heap);
      expect(freeRoom(kernel)).toBeLessThan(before);
      end(heap);
      expect(freeRoom(kernel)).toBe(before);
    }
  });

  test("is given back when its kernel shuts down", () => {
    const kernel = createKernel({ memoryBytes: MEMORY });
    const before = freeRoom(kernel);
    use(new Heap({ ...options, kernel }));
    kernel.shutDown();
    expect(freeRoom(kernel)).toBe(before);
  });

  test("is no more after threads have ended than before they began", () => {
    const heap = new Heap({ ...options, memoryBytes: MEMORY });
    use(heap);
    const { kernel } = heap;
    const before = freeRoom(kernel);
    for (let round = 0; round < 20; round++) {
      const thread = heap.process.createThread();
      heap.withThread(thread, () => use(heap));
      heap.endThread(thread);
      use(heap);
    }
    // Of a tagged heap each thread's generator stays, 64 bytes, and the first of them are where a cache was.
    expect(before - freeRoom(kernel)).toBeLessThanOrEqual(options.tagging === undefined ? 0 : 20 * 64 + 8192);
  });

  test("is not there: the heap works without, and with it from when there is some", () => {
    const kernel = createKernel({ memoryBytes: MEMORY });
    const first = new Heap({ ...options, process: kernel.createProcess(), seed: 1 });
    expect(countCompiledCalls(() => use(first))).toBeGreaterThan(0);
    const twin = new Heap({ ...options, memoryBytes: MEMORY, seed: 1 });
    use(twin);
    takeAll(kernel);
    const second = new Heap({ ...options, process: first.process, seed: 2 });
    expect(countCompiledCalls(() => use(second))).toBe(0);
    const pointers = [first, twin].map((heap) => {
      const thread = heap.process.createThread();
      return heap.withThread(thread, () => Array.from({ length: 20 }, () => heap.malloc(40)));
    });
    expect(pointers[0]).toEqual(pointers[1]);
    first[Symbol.dispose]();
    expect(
      countCompiledCalls(() => {
        use(second);
        second.malloc(100);
        use(second);
      }),
    ).toBeGreaterThan(0);
    second.checkInvariants();
  });

  test("is each heap's own, of several in one process and on one machine", () => {
    const kernel = createKernel({ memoryBytes: MEMORY });
    const process = kernel.createProcess();
    const heaps = [1, 2, 3].map((seed) => new Heap({ ...options, process, seed }));
    const alone = [1, 2, 3].map(
      (seed) => new Heap({ ...options, kernel: createKernel({ memoryBytes: MEMORY }), seed }),
    );
    for (const heap of [...heaps, ...alone]) use(heap);
    const made = heaps.map(() => [] as number[]);
    for (let round = 0; round < 50; round++)
      for (const [index, heap] of heaps.entries()) made[index].push(heap.malloc(40));
    expect(new Set(made.flat()).size).toBe(150);
    for (const [index, heap] of heaps.entries()) {
      for (const pointer of made[index]) heap.free(pointer);
      expect(heap.checkInvariants().allocatedChunks).toBe(0);
      heap[Symbol.dispose]();
    }
  });
});

test("a heap on a machine that one memory does not hold works as any other", () => {
  const heap = new Heap({ memoryBytes: 2 ** 34 });
  expect(countCompiledCalls(() => use(heap))).toBe(0);
  heap.checkInvariants();
});

describe("an ended heap", () => {
  const calls: readonly (readonly [string, (heap: Heap, p: number) => unknown])[] = [
    ["malloc", (heap) => heap.malloc(40)],
    ["calloc", (heap) => heap.calloc(1, 40)],
    ["free", (heap, p) => heap.free(p)],
    ["realloc", (heap, p) => heap.realloc(p, 40)],
    ["operatorNew", (heap) => heap.operatorNew(40)],
    ["operatorDelete", (heap, p) => heap.operatorDelete(p)],
    ["memalign", (heap) => heap.memalign(64, 40)],
    ["malloc_usable_size", (heap, p) => heap.malloc_usable_size(p)],
  ];

  test.each(calls)("refuses each %s, also where another heap's chunks lie in its place", (_name, call) => {
    const kernel = createKernel({ memoryBytes: MEMORY });
    const process = kernel.createProcess();
    const heap = new Heap({ process, seed: 1 });
    use(heap);
    const p = heap.malloc(40);
    heap[Symbol.dispose]();
    // The same seed: its regions are where those of the first one were.
    const next = new Heap({ process, seed: 1 });
    use(next);
    const live = Array.from({ length: 100 }, () => next.malloc(40));
    const before = freeRoom(kernel);
    for (let left = 5; left > 0; left--) expect(() => call(heap, p)).toThrow("the heap was disposed of");
    expect(freeRoom(kernel)).toBe(before);
    expect(next.checkInvariants().allocatedChunks).toBe(live.length);
  });
});
