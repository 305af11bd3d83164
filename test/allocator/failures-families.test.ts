// Calls of plain, tagged and tracked heaps, before and after a fork, with the n-th frame or mapping call missing, for every n: a call that fails
// has changed nothing, one that succeeds has all it promises, and the heap knows no chunk more or less than its program.
// After a fork each page that is written is a copy and so takes a frame, headers and batches of the quarantine too.
import { describe, expect, test } from "vitest";
import type { HeapOptions } from "../../allocator/options/options.ts";
import { Kernel } from "../../platform/kernel/kernel.ts";
import { createKernel } from "../../refpage/kernel.ts";
import { type Arm, failFrame, failMappingCall, isLackOfMemory } from "./inject-failures.ts";
import { type OpenHeap, openHeap } from "./open-heap.ts";

const PAGE = 4096;
const RAM = { memoryBytes: 2 ** 26 };
const quarantine = { sizeKb: 16, threadLocalSizeKb: 4, maxChunkSize: 8192 };

const families: Record<string, HeapOptions & { readonly make: () => Kernel }> = {
  plain: { fill: "pattern", make: () => createKernel(RAM) },
  tagged: { tagging: "sync", write: () => {}, make: () => createKernel(RAM) },
  "tagged, pattern, asynchronous": {
    tagging: "async",
    fill: "pattern",
    write: () => {},
    make: () => createKernel(RAM),
  },
  "tagged, on Linux as it is": { tagging: "sync", write: () => {}, make: () => new Kernel(RAM) },
  "tagged by the program": { tagging: "sync", onTagFailure: "user-tags", write: () => {}, make: () => new Kernel(RAM) },
  "by pages": { uninitialised: "page", make: () => createKernel(RAM) },
  "by bytes": { uninitialised: "byte", make: () => createKernel({ ...RAM, shadow: true }) },
  "by bytes, on Linux as it is": { uninitialised: "byte", make: () => new Kernel({ ...RAM, shadow: true }) },
};

interface Chunk {
  readonly pointer: number;
  readonly size: number;
  readonly mark: number;
}

interface Call {
  /** Bytes of the subject; 0: there is none. */
  readonly from: number;
  /** The chunk that the call makes, 0 for none, "freed" if it has ended the subject. */
  readonly act: (heap: OpenHeap, subject: number) => number | "freed" | "done";
  readonly to?: number;
}

function realloc(from: number, to: number): Call {
  return { from, to, act: (heap, subject) => heap.realloc(subject, to) };
}

function free(from: number): Call {
  return {
    from,
    act: (heap, subject) => {
      heap.free(subject);
      return "freed";
    },
  };
}

const calls: Record<string, Call> = {
  "realloc in its block": realloc(5000, 5100),
  "realloc over a page in its block": realloc(36_000, 38_000),
  "realloc to less of its block": realloc(60_000, 57_000),
  "realloc to another class": realloc(4000, 6000),
  "realloc from small to large": realloc(2000, 132_000),
  "realloc of a large chunk by a page": realloc(132_000, 150_000),
  "realloc of a large chunk to twice": realloc(200_000, 400_000),
  "realloc of a large chunk to less": realloc(200_000, 133_333),
  "realloc of a large chunk on its last page": realloc(200_000, 199_000),
  "realloc from large to small": realloc(140_000, 3000),
  "free of a small chunk": free(100),
  "free of a chunk of several pages": free(60_000),
  "free of a chunk in quarantine": free(5000),
  "free of a large chunk": free(140_000),
  "malloc of several pages": { from: 0, to: 60_000, act: (heap) => heap.malloc(60_000) },
  "malloc of a large chunk": { from: 0, to: 140_000, act: (heap) => heap.malloc(140_000) },
  "calloc of a large chunk": { from: 0, to: 140_001, act: (heap) => heap.calloc(1, 140_001) },
  memalign: { from: 0, to: 6000, act: (heap) => heap.memalign(PAGE, 6000) },
  "a release of everything": {
    from: 0,
    act: (heap) => {
      heap.releaseToOS("force-all");
      return "done";
    },
  },
};

function places(size: number): number[] {
  const at = size === 0 ? [] : [0, size - 1];
  for (let place = 1000; place < size; place += 8000) at.push(place);
  return at;
}

function newChunk(heap: OpenHeap, size: number, mark: number): Chunk {
  const pointer = heap.malloc(size);
  heap.memory.fill(pointer, mark, size);
  return { pointer, size, mark };
}

function expectContents(heap: OpenHeap, { pointer, size, mark }: Chunk): void {
  expect(heap.malloc_usable_size(pointer)).toBe(size);
  for (const place of places(size)) expect(heap.memory.getUint8(pointer + place)).toBe(mark);
}

/** The call's answer; 0 too where it was refused for lack of memory. */
function attempt(heap: OpenHeap, call: Call, subject: number): ReturnType<Call["act"]> {
  try {
    return call.act(heap, subject);
  } catch (error) {
    if (!isLackOfMemory(error)) throw error;
    return 0;
  }
}

function expectKnown(heap: OpenHeap, known: number): void {
  const { allocatedChunks, quarantineBatches, unreadableChunks } = heap.checkInvariants();
  expect({ known: allocatedChunks - quarantineBatches, unreadableChunks }).toEqual({ known, unreadableChunks: 0 });
}

/** @returns whether the failure was reached */
function once(options: HeapOptions, kernel: Kernel, call: Call, isForked: boolean, arm: Arm): boolean {
  const parent = openHeap({ ...options, process: kernel.createProcess() });
  const others = [700, 30_000, 150_000].map((size, index) => newChunk(parent, size, index + 1));
  for (let i = 0; i < 3; i++) parent.free(parent.malloc(900));
  parent.free(parent.malloc(160_000));
  const subject = call.from === 0 ? null : newChunk(parent, call.from, 0x55);
  const later = newChunk(parent, 145_000, 9);
  const known = [...others, later];
  const heap = isForked ? (parent.fork() as OpenHeap) : parent;
  const disarm = arm(heap);
  const answer = attempt(heap, call, subject?.pointer ?? 0);
  const wasReached = disarm();
  for (const chunk of known) expectContents(heap, chunk);
  if (answer === 0 && subject !== null) expectContents(heap, subject);
  if (typeof answer === "number" && answer !== 0) {
    const kept = Math.min(call.from, call.to ?? 0);
    for (const place of places(kept)) expect(heap.memory.getUint8(answer + place)).toBe(0x55);
    heap.memory.fill(answer, 7, call.to ?? 0);
    expect(heap.malloc_usable_size(answer)).toBe(call.to);
  }
  const isLeft = subject !== null && (answer === 0 || answer === "done");
  expectKnown(heap, known.length + (isLeft ? 1 : 0) + (typeof answer === "number" && answer !== 0 ? 1 : 0));
  if (isLeft) heap.free(subject.pointer);
  if (typeof answer === "number" && answer !== 0) heap.free(answer);
  for (const chunk of known) heap.free(chunk.pointer);
  heap.releaseToOS("force-all");
  expectKnown(heap, 0);
  expect(heap.checkInvariants().quarantinedChunks).toBe(0);
  if (isForked) {
    for (const chunk of known) expectContents(parent, chunk);
    if (subject !== null) expectContents(parent, subject);
  }
  heap.process.exit(0);
  if (isForked) parent.process.exit(0);
  return wasReached;
}

describe.each(Object.entries(families))("%s", (_, { make, ...options }) => {
  const kernel = make();

  test.each(Object.entries(calls))("%s", (name, call) => {
    for (const isForked of [false, true]) {
      for (const more of [{}, { quarantine }]) {
        for (const failure of [failFrame, failMappingCall]) {
          for (let n = 1; once({ ...options, ...more }, kernel, call, isForked, failure(n)); n++) {
            if (n > 200) throw new Error(`${name}: more than 200 failures`);
          }
        }
      }
    }
    kernel.checkInvariants();
  });
});
