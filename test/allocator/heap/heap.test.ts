// A heap as an object: on a process of its own or the user's, with threads, through forks, to its end.
import { describe, expect, test } from "vitest";
import { Heap } from "../../../allocator/heap/heap.ts";
import { createKernel } from "../../../refpage/kernel.ts";
import { kindOf, openHeap } from "../open-heap.ts";

const SIZES = [0, 1, 16, 100, 1000, 5000, 60_000, 140_000, 600_000];

describe("a fork", () => {
  const options = { fill: "pattern", quarantine: { sizeKb: 64, threadLocalSizeKb: 32, maxChunkSize: 512 } } as const;

  test("gives the child every chunk, and afterwards neither sees the other's stores, frees or mallocs", () => {
    const heap = openHeap(options);
    const chunks = SIZES.map((size) => heap.malloc(size));
    for (const size of SIZES) heap.free(heap.malloc(size));
    const child = heap.fork();
    expect(child.checkInvariants()).toEqual(heap.checkInvariants());
    chunks.forEach((pointer, index) => {
      if (SIZES[index] > 0) child.memory.fill(pointer, index, SIZES[index]);
      child.free(pointer);
    });
    chunks.forEach((pointer, index) => {
      if (SIZES[index] > 0) expect(heap.memory.getUint8(pointer)).toBe(0xab);
      expect(heap.malloc_usable_size(pointer)).toBe(SIZES[index]);
    });
    const more = SIZES.map((size) => heap.malloc(size));
    for (const pointer of [...chunks, ...more]) heap.free(pointer);
    for (const one of [heap, child]) {
      one.releaseToOS("force-all");
      expect(one.checkInvariants().allocatedChunks).toBe(0);
    }
    heap.kernel.checkInvariants();
  });

  test("of a fork works, and ends in any order", () => {
    const heap = openHeap();
    const pointer = heap.malloc(300_000);
    heap.memory.setUint32(pointer, 1);
    const child = heap.fork();
    child.memory.setUint32(pointer, 2);
    const grandchild = child.fork();
    child[Symbol.dispose]();
    expect([heap.memory.getUint32(pointer), grandchild.memory.getUint32(pointer)]).toEqual([1, 2]);
    grandchild.free(pointer);
    heap[Symbol.dispose]();
    expect(grandchild.checkInvariants().allocatedChunks).toBe(0);
  });

  test("made by other means is joined by the heap in the child, and only there", () => {
    const heap = openHeap();
    const pointer = heap.malloc(100);
    const child = heap.inProcess(heap.process.fork());
    child.free(pointer);
    expect(heap.malloc_usable_size(pointer)).toBe(100);
    expect(() => heap.inProcess(heap.kernel.createProcess())).toThrow(/no child/);
  });

  test("leaves a process that others forked, and their heap in it, when it ends", () => {
    const first = openHeap();
    const second = openHeap({ process: first.process });
    const pointer = second.malloc(100);
    const child = first.process.fork();
    const [firstChild, secondChild] = [first.inProcess(child), second.inProcess(child)];
    firstChild[Symbol.dispose]();
    expect(child.exitStatus).toBeNull();
    expect(secondChild.malloc_usable_size(pointer)).toBe(100);
    secondChild[Symbol.dispose]();
    expect(child.procfs("maps")).toBe("");
  });

  test("ends quietly after its process", () => {
    const heap = openHeap();
    const guest = openHeap({ process: heap.process });
    guest.malloc(200_000);
    heap[Symbol.dispose]();
    expect(heap.process.exitStatus).toBe(0);
    expect(() => guest[Symbol.dispose]()).not.toThrow();
  });

  test("keeps what other threads had cached, though only the forking one goes on", () => {
    const heap = openHeap();
    const thread = heap.process.createThread();
    heap.withThread(thread, () => heap.free(heap.malloc(100)));
    const child = heap.fork();
    expect(child.mallinfo2()).toEqual(heap.mallinfo2());
    child.checkInvariants();
  });

  test("takes run-time settings along", () => {
    const heap = openHeap();
    heap.malloc_set_zero_contents(1);
    heap.mallopt(-100, 123);
    const child = heap.fork();
    expect([child.fill, child.stats().primary.releaseIntervalMs]).toEqual(["zero", 123]);
  });
});

describe("threads", () => {
  test("calls run as the thread named, nested ones too, and as the one before after an exception", () => {
    const heap = openHeap();
    const [first, second] = [heap.process.createThread(), heap.process.createThread()];
    heap.withThread(first, () => {
      expect(heap.memory).toBe(first.memory);
      expect(() =>
        heap.withThread(second, () => {
          expect(heap.memory).toBe(second.memory);
          throw new Error("out");
        }),
      ).toThrow("out");
      expect(heap.memory).toBe(first.memory);
    });
    expect(heap.memory).toBe(heap.process.mainThread.memory);
  });

  test("of another process are refused, and the main thread does not end", () => {
    const heap = openHeap();
    const stranger = heap.kernel.createProcess().mainThread;
    expect(() => heap.withThread(stranger, () => {})).toThrow(RangeError);
    expect(() => heap.endThread(heap.process.mainThread)).toThrow(RangeError);
  });

  test("one that has ended frees through the fallback", () => {
    const heap = openHeap();
    const thread = heap.process.createThread();
    const pointer = heap.withThread(thread, () => heap.malloc(100));
    heap.parts.registry.endThread(thread);
    heap.withThread(thread, () => heap.free(pointer));
    expect(heap.parts.registry.fallback.cache.counts[4]).toBe(1);
    heap.checkInvariants();
  });
});

describe("the end of a heap", () => {
  test("ends the process that was made for it", () => {
    const heap = new Heap({ memoryBytes: 2 ** 24 });
    {
      using scoped = heap;
      scoped.malloc(100);
    }
    expect(heap.process.exitStatus).toBe(0);
    expect(heap.kernel.frames.freeFrames).toBe(new Heap({ memoryBytes: 2 ** 24 }).kernel.frames.freeFrames);
  });

  test("in a process of the user's leaves it as it was", () => {
    const process = createKernel({ memoryBytes: 2 ** 26 }).createProcess();
    const maps = process.procfs("maps");
    const heap = new Heap({ process, fill: "pattern" });
    for (const size of SIZES) heap.malloc(size);
    for (const size of SIZES) heap.free(heap.malloc(size));
    heap[Symbol.dispose]();
    heap[Symbol.dispose]();
    expect([process.procfs("maps"), process.rssBytes, process.exitStatus]).toEqual([maps, 0, null]);
    expect(kindOf(() => heap.malloc(1))).toBe("ended");
    expect(new Heap({ process }).malloc(100)).not.toBe(0);
  });
});

test("a seed makes every address repeatable", () => {
  const run = (seed: number) => {
    const heap = openHeap({ seed });
    return SIZES.map((size) => heap.malloc(size));
  };
  expect(run(1)).toEqual(run(1));
  expect(run(1)).not.toEqual(run(2));
});

test("100,000 pairs of malloc and free make system calls only to begin with", () => {
  const heap = openHeap();
  heap.free(heap.malloc(64));
  const before = heap.kernel.counters.snapshot();
  for (let i = 0; i < 100_000; i++) heap.free(heap.malloc(64));
  const { minorFaults, framesAllocated } = heap.kernel.counters.since(before);
  expect([minorFaults, framesAllocated]).toEqual([0, 0]);
});

test("errno is a C int, text is a string: anything else is refused, and changes nothing", () => {
  const heap = new Heap();
  heap.errno = 22;
  for (const wrong of ["x", 0.5, Number.NaN, null, undefined, 2 ** 31, "12"]) {
    expect(() => {
      heap.errno = wrong as number;
    }, String(wrong)).toThrow(RangeError);
  }
  expect(heap.errno).toBe(22);
  for (const wrong of [5, null, undefined, {}]) expect(() => heap.string(wrong as string)).toThrow(TypeError);
  expect(heap.mallinfo().uordblks).toBe(0);
});
