// Each heap operation by itself, with the n-th frame or the n-th mapping call failing, for every n: an answer of 0 with ENOMEM or
// a typed error, other chunks as they were, and in the end nothing left behind. Programs of many calls are failures.test.ts.
import { describe, expect, test } from "vitest";
import type { HeapOptions } from "../../allocator/options/options.ts";
import type { Kernel } from "../../platform/kernel/kernel.ts";
import { createKernel } from "../../refpage/kernel.ts";
import { type Arm, failFrame, failMappingCall, isLackOfMemory } from "./inject-failures.ts";
import { type OpenHeap, openHeap } from "./open-heap.ts";

const LARGE = 140_000;
const MIB = 2 ** 20;
const ENOMEM = 12;

/** What must be there before the call, and the call. `subject` is the chunk that it may end or move. */
interface Operation {
  readonly options?: HeapOptions;
  readonly prepare?: (heap: OpenHeap) => number;
  /** The new chunk, 0 for none, or nothing if the call gives no chunk. */
  readonly call: (heap: OpenHeap, subject: number) => number | undefined;
  /** Bytes of the chunk that `call` answers. */
  readonly size?: number;
  /** Whether the subject is gone once the call has succeeded. */
  readonly ends?: boolean;
  /** Chunks beside the subject that `prepare` leaves. */
  readonly leaves?: number;
  /** Scudo's memalign alone does not set errno when there is no memory (S16.7). */
  readonly isSilent?: boolean;
}

const pattern: HeapOptions = { fill: "pattern", fillOnFree: true };
const quarantine = { sizeKb: 8, threadLocalSizeKb: 4, maxChunkSize: 4096 };

const operations: Record<string, Operation> = {
  "malloc of a small chunk": { call: (heap) => heap.malloc(1000), size: 1000 },
  "malloc of a small chunk with a pattern": { options: pattern, call: (heap) => heap.malloc(20_000), size: 20_000 },
  "malloc of a large chunk": { call: (heap) => heap.malloc(LARGE), size: LARGE },
  "malloc by a first reference page": { options: pattern, call: (heap) => heap.malloc(LARGE), size: LARGE },
  "malloc by memset": {
    options: { fill: "pattern", largeFill: "memset" },
    call: (heap) => heap.malloc(LARGE),
    size: LARGE,
  },
  "malloc of a cached mapping": {
    options: pattern,
    prepare: (heap) => freed(heap, heap.malloc(LARGE)),
    call: (heap) => heap.malloc(LARGE),
    size: LARGE,
  },
  "calloc of a mapping that was cached with the pattern": {
    options: pattern,
    prepare: (heap) => freed(heap, heap.malloc(LARGE)),
    call: (heap) => heap.calloc(1, LARGE),
    size: LARGE,
  },
  "calloc of a small chunk": { call: (heap) => heap.calloc(3, 1000), size: 3000 },
  "calloc of a large chunk": { call: (heap) => heap.calloc(2, LARGE), size: 2 * LARGE },
  "realloc that grows a small chunk": {
    options: pattern,
    prepare: (heap) => heap.malloc(500),
    call: (heap, subject) => heap.realloc(subject, 5000),
    size: 5000,
    ends: true,
  },
  "realloc that makes a small chunk large": {
    options: pattern,
    prepare: (heap) => heap.malloc(500),
    call: (heap, subject) => heap.realloc(subject, LARGE),
    size: LARGE,
    ends: true,
  },
  "realloc that shrinks in place": {
    options: pattern,
    prepare: (heap) => heap.malloc(20_000),
    call: (heap, subject) => heap.realloc(subject, 17_000),
    size: 17_000,
    ends: true,
  },
  "realloc that moves a large chunk": {
    options: pattern,
    prepare: (heap) => heap.malloc(LARGE),
    call: (heap, subject) => heap.realloc(subject, 2 * LARGE),
    size: 2 * LARGE,
    ends: true,
  },
  "realloc that copies a large chunk": {
    options: { ...pattern, largeRealloc: "copy" },
    prepare: (heap) => heap.malloc(LARGE),
    call: (heap, subject) => heap.realloc(subject, 2 * LARGE),
    size: 2 * LARGE,
    ends: true,
  },
  "realloc that shrinks a large chunk": {
    options: pattern,
    prepare: (heap) => heap.malloc(LARGE),
    call: (heap, subject) => heap.realloc(subject, 2000),
    size: 2000,
    ends: true,
  },
  "memalign to 16 MiB": {
    options: pattern,
    call: (heap) => heap.memalign(16 * MIB, 5000),
    size: 5000,
    isSilent: true,
  },
  "memalign of a small chunk": { call: (heap) => heap.memalign(4096, 5000), size: 5000, isSilent: true },
  "free of a small chunk": {
    options: pattern,
    prepare: (heap) => heap.malloc(1000),
    call: (heap, subject) => heap.free(subject) ?? undefined,
    ends: true,
  },
  "free of a large chunk": {
    options: pattern,
    prepare: (heap) => heap.malloc(LARGE),
    call: (heap, subject) => heap.free(subject) ?? undefined,
    ends: true,
  },
  "free of a large chunk between others, nothing cached": {
    options: { config: "fuchsia" },
    prepare: (heap) => {
      const subject = heap.malloc(LARGE);
      expect(heap.malloc(LARGE)).not.toBe(0);
      return subject;
    },
    call: (heap, subject) => heap.free(subject) ?? undefined,
    ends: true,
    leaves: 1,
  },
  "free that empties the quarantine": {
    options: { quarantine },
    prepare: (heap) => {
      for (let i = 0; i < 9; i++) heap.free(heap.malloc(1000));
      return heap.malloc(1000);
    },
    call: (heap, subject) => heap.free(subject) ?? undefined,
    ends: true,
  },
  "release of everything": {
    options: { ...pattern, quarantine },
    prepare: (heap) => {
      const chunks = Array.from({ length: 300 }, () => heap.malloc(1000));
      for (const chunk of chunks) heap.free(chunk);
      return freed(heap, heap.malloc(LARGE));
    },
    call: (heap) => void heap.releaseToOS("force-all"),
  },
  "a walk over all chunks": {
    call: (heap) => {
      heap.malloc_disable();
      try {
        heap.malloc_iterate(0, 2 ** 38, () => {});
      } finally {
        heap.malloc_enable();
      }
      return undefined;
    },
  },
  "a fork, and a write to a large chunk in the child": {
    options: pattern,
    prepare: (heap) => heap.malloc(LARGE),
    call: (heap, subject) => {
      const child = heap.fork();
      try {
        child.free(subject);
        child.memory.fill(child.malloc(LARGE), 1, LARGE);
      } finally {
        child[Symbol.dispose]();
      }
      return undefined;
    },
  },
  "a pinned chunk": {
    options: pattern,
    prepare: (heap) => heap.malloc(LARGE),
    call: (heap, subject) => heap.pin(subject, LARGE).release() ?? undefined,
  },
  "a string": {
    prepare: (heap) => heap.malloc(20_000),
    call: (heap, subject) => void heap.memory.writeString(subject, "é".repeat(9000)),
  },
};

function freed(heap: OpenHeap, pointer: number): 0 {
  heap.free(pointer);
  return 0;
}

/** Neighbours of every kind, whose contents must not change. */
function bystanders(heap: OpenHeap): { pointer: number; size: number }[] {
  return [24, 1000, 20_000, LARGE].map((size, index) => {
    const pointer = heap.malloc(size);
    for (const at of [0, size >> 1, size - 1]) heap.memory.setUint8(pointer + at, index + 1);
    return { pointer, size };
  });
}

function checkBystanders(heap: OpenHeap, chunks: readonly { pointer: number; size: number }[]): void {
  for (const [index, { pointer, size }] of chunks.entries()) {
    for (const at of [0, size >> 1, size - 1]) expect(heap.memory.getUint8(pointer + at)).toBe(index + 1);
  }
}

interface Outcome {
  readonly isDone: boolean;
  readonly pointer: number;
}

/** Calls; every way of failing that is not an answer or a typed error fails the test. */
function attempt(heap: OpenHeap, operation: Operation, subject: number): Outcome {
  heap.errno = 0;
  try {
    const pointer = operation.call(heap, subject);
    if (pointer === 0) expect(heap.errno).toBe(operation.isSilent ? 0 : ENOMEM);
    return { isDone: pointer !== 0, pointer: pointer ?? 0 };
  } catch (error) {
    if (!isLackOfMemory(error)) throw error;
    return { isDone: false, pointer: 0 };
  }
}

/** Runs the operation once with a failure armed by `arm`. @returns whether the failure was reached */
function once(kernel: Kernel, operation: Operation, arm: Arm): boolean {
  const frames = kernel.frames.freeFrames;
  const process = kernel.createProcess();
  const heap = openHeap({ ...operation.options, process });
  const chunks = bystanders(heap);
  const subject = operation.prepare?.(heap) ?? 0;
  const disarm = arm(heap);
  const { isDone, pointer } = attempt(heap, operation, subject);
  const wasReached = disarm();
  expect(heap.checkInvariants().unreadableChunks).toBe(0);
  checkBystanders(heap, chunks);
  if (subject !== 0 && !(isDone && operation.ends)) heap.free(subject);
  if (pointer !== 0) {
    expect(heap.malloc_usable_size(pointer)).toBe(operation.size);
    heap.free(pointer);
  }
  // The same call, with nothing in its way.
  const again = operation.prepare?.(heap) ?? 0;
  const second = attempt(heap, operation, again);
  expect(second.isDone).toBe(true);
  if (again !== 0 && !operation.ends) heap.free(again);
  if (second.pointer !== 0) heap.free(second.pointer);
  for (const chunk of chunks) heap.free(chunk.pointer);
  heap.releaseToOS("force-all");
  expect(heap.checkInvariants().allocatedChunks).toBe(2 * (operation.leaves ?? 0));
  const { program } = heap.parts;
  heap[Symbol.dispose]();
  expect(process.rssBytes).toBe(0);
  expect(mappedBytes(process.procfs("maps"))).toBe(program.leakedBytes);
  process.exit(0);
  expect(kernel.frames.freeFrames).toBe(frames);
  kernel.checkInvariants();
  return wasReached;
}

function mappedBytes(maps: string): number {
  const ranges = [...maps.matchAll(/^([0-9a-f]+)-([0-9a-f]+)/gm)];
  return ranges.reduce((sum, [, begin, end]) => sum + Number.parseInt(end, 16) - Number.parseInt(begin, 16), 0);
}

describe.each(Object.entries(operations))("%s", (_, operation) => {
  const kernel = createKernel({ memoryBytes: 2 ** 26 });

  test("without the n-th frame, for every n", () => {
    for (let n = 1; once(kernel, operation, failFrame(n)); n++);
  });

  test("without the n-th mapping call, for every n", () => {
    for (let n = 1; once(kernel, operation, failMappingCall(n)); n++);
  });
});
