// Large chunks and reference pages: one descriptor a pattern, contents without a pass over the bytes, falling back, fork (S14.7, R15).
import { describe, expect, test } from "vitest";
import type { HeapOptions } from "../../../allocator/options/options.ts";
import { RLIMIT_NOFILE } from "../../../platform/kernel/abi/rlimit.ts";
import { Kernel } from "../../../platform/kernel/kernel.ts";
import { createKernel } from "../../../refpage/kernel.ts";
import { type OpenHeap, openHeap } from "../open-heap.ts";

const SIZE = 1_000_000;
const CACHED = 200_000;

function filled(options: HeapOptions = {}): OpenHeap {
  return openHeap({ fill: "pattern", ...options });
}

/** Whether the bytes from the chunk's begin repeat `pattern`. */
function repeats(heap: OpenHeap, pointer: number, size: number, pattern: readonly number[]): boolean {
  return heap.memory.read(pointer, size).every((byte, index) => byte === pattern[index % pattern.length]);
}

describe("a large chunk in pattern mode", () => {
  test.each([
    [[0xab]],
    [[1, 2]],
    [[1, 2, 3, 4]],
    [[1, 2, 3, 4, 5, 6, 7, 8]],
    [Array.from({ length: 16 }, (_, i) => i)],
  ])("reads the pattern %j everywhere", (pattern) => {
    const heap = filled({ pattern });
    const pointer = heap.malloc(SIZE);
    expect(repeats(heap, pointer, SIZE, pattern)).toBe(true);
    expect(heap.parts.secondary.memsetFills).toBe(0);
  });

  test("costs one frame for its headers, at every size", () => {
    const heap = filled();
    heap.malloc(SIZE);
    const { counters } = heap.kernel;
    for (const size of [SIZE, 2 ** 26, 2 ** 30, 2 ** 34]) {
      const before = counters.snapshot();
      expect(heap.malloc(size)).not.toBe(0);
      const { framesAllocated, userBytesFilled } = counters.since(before);
      expect([framesAllocated, userBytesFilled]).toEqual([1, 0]);
    }
  });

  test("comes back clean from the cache by giving its pages back", () => {
    const heap = filled();
    const pointer = heap.malloc(CACHED);
    heap.memory.fill(pointer, 0x11, CACHED);
    heap.free(pointer);
    const before = heap.kernel.counters.snapshot();
    expect(heap.malloc(CACHED)).toBe(pointer);
    expect(heap.kernel.counters.since(before).userBytesFilled).toBe(0);
    expect(repeats(heap, pointer, CACHED, [0xab])).toBe(true);
  });

  test("is filled by the program with memset, and by Scudo only if it comes from the cache", () => {
    for (const [largeFill, fresh] of [
      ["memset", 0xab],
      ["scudo", 0],
    ] as const) {
      const heap = filled({ largeFill });
      const pointer = heap.malloc(CACHED);
      expect(repeats(heap, pointer, CACHED, [fresh])).toBe(true);
      heap.memory.fill(pointer, 0x11, CACHED);
      heap.free(pointer);
      expect(repeats(heap, heap.malloc(CACHED), CACHED, [0xab])).toBe(true);
    }
  });
});

describe("a large calloc", () => {
  test("maps zero pages and fills nothing", () => {
    const heap = filled();
    const before = heap.kernel.counters.snapshot();
    const pointer = heap.calloc(1, 2 ** 28);
    const { framesAllocated, userBytesFilled } = heap.kernel.counters.since(before);
    expect([framesAllocated, userBytesFilled]).toEqual([1, 0]);
    expect(heap.memory.getUint8(pointer + 2 ** 27)).toBe(0);
  });

  test("of a cached mapping of the pattern maps zero pages over it, and the pattern over that again", () => {
    const heap = filled();
    const pointer = heap.malloc(CACHED);
    heap.memory.fill(pointer, 0x11, CACHED);
    heap.free(pointer);
    const before = heap.kernel.counters.snapshot();
    expect(heap.calloc(1, CACHED)).toBe(pointer);
    expect(repeats(heap, pointer, CACHED, [0])).toBe(true);
    heap.free(pointer);
    expect(heap.malloc(CACHED)).toBe(pointer);
    expect(repeats(heap, pointer, CACHED, [0xab])).toBe(true);
    expect(heap.kernel.counters.since(before).userBytesFilled).toBe(0);
    heap.checkInvariants();
  });
});

describe("the descriptor", () => {
  test("is one a heap, made on first use and kept", () => {
    const heap = filled();
    const { referencePages } = heap.parts.secondary;
    heap.malloc(100);
    expect(referencePages.count).toBe(0);
    for (let i = 0; i < 10; i++) heap.free(heap.malloc(SIZE));
    expect(referencePages.count).toBe(1);
    expect(heap.kernel.counters.systemCalls.get("refpage_create2")).toBe(1);
  });

  test("survives a fork: the child maps it without making another", () => {
    const heap = filled();
    const inherited = heap.malloc(SIZE);
    const child = heap.fork();
    const pointer = child.malloc(SIZE);
    expect(child.memory.getUint8(pointer + SIZE - 1)).toBe(0xab);
    expect(child.memory.getUint8(inherited + 5000)).toBe(0xab);
    expect(heap.kernel.counters.systemCalls.get("refpage_create2")).toBe(1);
    child.memory.setUint8(inherited, 1);
    expect(heap.memory.getUint8(inherited)).toBe(0xab);
    child.free(inherited);
    child.checkInvariants();
    heap.checkInvariants();
  });

  test("is the older call's where the kernel has only that", () => {
    const heap = filled({ kernel: createKernel({ memoryBytes: 2 ** 26 }, { abi: 1 }), pattern: [1, 2, 3, 4] });
    const pointer = heap.malloc(SIZE);
    expect(repeats(heap, pointer, SIZE, [1, 2, 3, 4])).toBe(true);
    expect(heap.kernel.counters.systemCalls.get("refpage_create")).toBe(1);
  });

  test("is closed with the heap, not before", () => {
    const process = createKernel({ memoryBytes: 2 ** 26 }).createProcess();
    const heap = filled({ process });
    heap.malloc(SIZE);
    const descriptor = process.dup(0) - 1;
    heap[Symbol.dispose]();
    expect(() => process.fcntl(descriptor, 1, 0)).toThrow(/EBADF/);
  });
});

describe("without a reference page", () => {
  test("on a kernel without the call, chunks are filled by memset, counted, and the call is not tried again", () => {
    const heap = filled({ kernel: new Kernel({ memoryBytes: 2 ** 26 }) });
    for (let i = 0; i < 3; i++) {
      const pointer = heap.malloc(SIZE);
      expect(repeats(heap, pointer, SIZE, [0xab])).toBe(true);
    }
    const { referencePages, memsetFills } = heap.parts.secondary;
    expect([referencePages.fallbacks, referencePages.lastFailure, memsetFills]).toEqual([3, "ENOSYS", 3]);
  });

  test("with the descriptor table full, chunks are filled by memset until there is room", () => {
    const heap = filled();
    heap.process.setrlimit(RLIMIT_NOFILE, 3);
    const first = heap.malloc(CACHED);
    expect(repeats(heap, first, CACHED, [0xab])).toBe(true);
    expect(heap.parts.secondary.referencePages.lastFailure).toBe("EMFILE");
    heap.process.setrlimit(RLIMIT_NOFILE, 64);
    heap.malloc(SIZE);
    expect(heap.parts.secondary.referencePages.count).toBe(1);
    expect(heap.parts.secondary.memsetFills).toBe(1);
    heap.free(first);
    expect(repeats(heap, heap.malloc(CACHED), CACHED, [0xab])).toBe(true);
  });

  test("with no file left in the system it is the same", () => {
    const heap = filled({ kernel: createKernel({ memoryBytes: 2 ** 26 }, { fileMax: 3 }) });
    expect(repeats(heap, heap.malloc(CACHED), CACHED, [0xab])).toBe(true);
    expect(heap.parts.secondary.referencePages.lastFailure).toBe("ENFILE");
  });
});
