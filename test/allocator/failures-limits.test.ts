// Limits that a process, its cgroup, its kernel or its machine may have: what the heap answers when it reaches each, that it is
// usable after it, and that nothing is left behind. The n-th failure of single calls is failures-operations.test.ts.
import { describe, expect, test } from "vitest";
import type { Heap } from "../../allocator/heap/heap.ts";
import type { HeapOptions } from "../../allocator/options/options.ts";
import { OutOfMemoryError } from "../../platform/kernel/abi/errors.ts";
import { RLIMIT_AS, RLIMIT_DATA, RLIMIT_NOFILE } from "../../platform/kernel/abi/rlimit.ts";
import { Kernel } from "../../platform/kernel/kernel.ts";
import { createKernel } from "../../refpage/kernel.ts";
import { type OpenHeap, openHeap } from "./open-heap.ts";

const MIB = 2 ** 20;
const LARGE = 200_000;
const ENOMEM = 12;
const RAM = { memoryBytes: 2 ** 25 };

/** Allocates until there is no more, writing to each chunk if asked to. @returns the chunks, and how it ended */
function exhaust(heap: OpenHeap, size: number, act: { writes: boolean }): { chunks: number[]; end: string } {
  const chunks: number[] = [];
  for (;;) {
    try {
      heap.errno = 0;
      const pointer = heap.malloc(size);
      if (pointer === 0) return { chunks, end: `errno ${heap.errno}` };
      chunks.push(pointer);
      if (act.writes) heap.memory.fill(pointer, 0x5a, size);
    } catch (error) {
      if (!(error instanceof OutOfMemoryError)) throw error;
      return { chunks, end: "out of memory" };
    }
  }
}

/** Frees all; then the heap must be as good as new. A primary that has mapped all it may keeps it, and so `sizes` must fit that. */
function expectRecovery(heap: OpenHeap, chunks: readonly number[], sizes = [100, 20_000, LARGE]): void {
  expect(heap.checkInvariants().unreadableChunks).toBe(0);
  for (const pointer of chunks) heap.free(pointer);
  heap.releaseToOS("force-all");
  for (const size of sizes) {
    const pointer = heap.malloc(size);
    expect(pointer).not.toBe(0);
    heap.memory.fill(pointer, 1, size);
    heap.free(pointer);
  }
  expect(heap.checkInvariants().allocatedChunks).toBe(0);
  heap[Symbol.dispose]();
  expect(heap.process.rssBytes).toBe(0);
  heap.kernel.checkInvariants();
}

const sizes = [
  ["small", 3000],
  ["large", LARGE],
] as const;

describe.each(sizes)("%s chunks until a limit", (_, size) => {
  test("on address space: null with ENOMEM, and room again after frees", () => {
    const heap = openHeap({ kernel: createKernel(RAM), fill: "pattern" });
    heap.free(heap.malloc(100));
    const { rssBytes } = heap.process;
    const mapped = Number(/VmSize:\s+(\d+)/.exec(heap.process.procfs("status"))?.[1]) * 1024;
    heap.process.setrlimit(RLIMIT_AS, mapped + 4 * MIB);
    const { chunks, end } = exhaust(heap, size, { writes: false });
    // Small chunks have their regions already: only memory ends them.
    expect(end).toBe(size === LARGE ? `errno ${ENOMEM}` : "out of memory");
    expect(chunks.length).toBeGreaterThan(10);
    expect(heap.process.rssBytes).toBeGreaterThan(rssBytes);
    expectRecovery(heap, chunks);
  });

  test("on private writable memory: null with ENOMEM before a frame is missing", () => {
    const heap = openHeap({ kernel: createKernel(RAM), fill: "pattern" });
    heap.process.setrlimit(RLIMIT_DATA, 6 * MIB);
    const { chunks, end } = exhaust(heap, size, { writes: true });
    expect(end).toBe(`errno ${ENOMEM}`);
    // Linux counts nothing for a mapping over a reservation, so that one gets past the limit.
    expect((chunks.length - 1) * size).toBeLessThanOrEqual(6 * MIB);
    expect(chunks.length).toBeGreaterThan(10);
    expectRecovery(heap, chunks, [size]);
  });

  test("of a cgroup: the process is out of memory, another one is not", () => {
    const kernel = createKernel(RAM);
    const cgroup = kernel.createCgroup({ name: "small", limitBytes: 6 * MIB });
    const process = kernel.createProcess({ cgroup });
    const heap = openHeap({ process });
    const { chunks, end } = exhaust(heap, size, { writes: true });
    expect(end).toBe("out of memory");
    expect(process.rssBytes).toBeLessThanOrEqual(6 * MIB);
    const other = openHeap({ kernel });
    other.memory.fill(other.malloc(8 * MIB), 1, 8 * MIB);
    expectRecovery(heap, chunks);
    expect(cgroup.chargedFrames).toBe(0);
  });

  test("of the machine: out of memory, and all of it again when the process ends", () => {
    const kernel = createKernel(RAM);
    const { freeFrames } = kernel.frames;
    const heap = openHeap({ kernel, fill: "pattern", largeFill: "memset" });
    const { chunks, end } = exhaust(heap, size, { writes: true });
    expect(end).toBe("out of memory");
    // A large chunk whose fill was interrupted has given its frames back.
    expect(kernel.frames.freeFrames).toBeLessThanOrEqual(size === LARGE ? LARGE / 4096 : 0);
    expectRecovery(heap, chunks);
    expect(kernel.frames.freeFrames).toBe(freeFrames);
  });

  test("of strict accounting: null with ENOMEM, never a process without a frame", () => {
    const heap = openHeap({ kernel: createKernel(RAM, { overcommit: 2 }), fill: "pattern" });
    const { chunks, end } = exhaust(heap, size, { writes: true });
    expect(end).toBe(`errno ${ENOMEM}`);
    expect(chunks.length).toBeGreaterThan(10);
    expectRecovery(heap, chunks, [size]);
  });

  test("on the number of mappings: null with ENOMEM, or small chunks to the end of memory", () => {
    const heap = openHeap({ kernel: createKernel(RAM, { maxMapCount: 100 }), fill: "pattern" });
    const { chunks, end } = exhaust(heap, size, { writes: true });
    expect(end).toBe(size === LARGE ? `errno ${ENOMEM}` : "out of memory");
    // Linux compares before it adds: one more than the limit.
    expect(heap.process.procfs("maps").trim().split("\n").length).toBeLessThanOrEqual(101);
    expectRecovery(heap, chunks);
  });
});

describe("reference pages", () => {
  const situations: [string, () => OpenHeap, string][] = [
    ["the descriptor table is full", () => full({}), "EMFILE"],
    ["the system has no file left", () => pattern({ kernel: createKernel(RAM, { fileMax: 3 }) }), "ENFILE"],
    ["the kernel has no such call", () => pattern({ kernel: new Kernel(RAM) }), "ENOSYS"],
  ];

  function pattern(options: HeapOptions): OpenHeap {
    return openHeap({ fill: "pattern", pattern: [1, 2, 3, 4], fillOnFree: true, releaseToOSIntervalMs: 0, ...options });
  }

  function full(options: HeapOptions): OpenHeap {
    const heap = pattern({ kernel: createKernel(RAM), ...options });
    heap.process.setrlimit(RLIMIT_NOFILE, 3);
    return heap;
  }

  function expectPattern(heap: Heap, pointer: number, size: number): void {
    for (const at of [0, 4096, size >> 1, size - 4]) {
      expect(heap.memory.getUint32(pointer + (at & ~3))).toBe(0x04030201);
    }
  }

  test.each(situations)("where %s, every large operation fills by memset", (_, make, code) => {
    const heap = make();
    const chunks = [heap.malloc(LARGE), heap.memalign(MIB, LARGE)];
    for (const chunk of chunks) expectPattern(heap, chunk, LARGE);
    const grown = heap.realloc(chunks[0], 2 * LARGE);
    expectPattern(heap, grown, 2 * LARGE);
    const zeroed = heap.calloc(1, LARGE);
    expect([0, 5000, LARGE - 1].map((at) => heap.memory.getUint8(zeroed + at))).toEqual([0, 0, 0]);
    heap.free(chunks[1]);
    expectPattern(heap, heap.malloc(LARGE), LARGE);
    const child = heap.fork();
    expectPattern(child, child.malloc(LARGE), LARGE);
    expect(heap.stats().fills).toMatchObject({ refpageMappings: 0 });
    expect(heap.parts.secondary.referencePages.lastFailure).toBe(code);
    heap.checkInvariants();
    child.checkInvariants();
    heap.kernel.checkInvariants();
  });

  test("a fill by memset that is interrupted leaves no bytes of it in the cache's clean pages", () => {
    const heap = full({});
    heap.free(heap.malloc(LARGE));
    heap.kernel.frames.failAt(10);
    expect(() => heap.malloc(LARGE)).toThrow(OutOfMemoryError);
    heap.kernel.frames.failAt(-1);
    const zeroed = heap.calloc(1, LARGE);
    for (let at = 0; at < LARGE; at += 4096) expect(heap.memory.getUint8(zeroed + at)).toBe(0);
  });
});
