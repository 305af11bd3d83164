// The end of a heap, by disposal or with its process: what is given back, that every later call says so, and that nothing of it
// reaches whoever has its process's page table next.
import { describe, expect, test } from "vitest";
import { Checker } from "../../../allocator/checker/checker.ts";
import type { Checker as Face } from "../../../allocator/checker/face.ts";
import { HeapError } from "../../../allocator/common/heap-error.ts";
import { Heap } from "../../../allocator/heap/heap.ts";
import type { HeapOptions } from "../../../allocator/options/options.ts";
import { createKernel } from "../../../refpage/kernel.ts";
import { openHeap } from "../open-heap.ts";

const families: [string, HeapOptions][] = [
  ["plain", {}],
  ["tagged", { tagging: "sync" }],
  ["page", { uninitialised: "page" }],
  ["byte", { uninitialised: "byte" }],
  ["with hooks", { hooks: { allocate: () => {}, deallocate: () => {} } }],
  ["with stacks", { stacks: true }],
];

/** Every call of a heap that does something, on a chunk that it once had. */
const calls: [string, (heap: Heap, p: number) => unknown][] = [
  ["malloc", (heap) => heap.malloc(10)],
  ["malloc, large", (heap) => heap.malloc(300_000)],
  ["calloc", (heap) => heap.calloc(2, 10)],
  ["free", (heap, p) => heap.free(p)],
  ["free of null", (heap) => heap.free(0)],
  ["free_sized", (heap, p) => heap.free_sized(p, 100)],
  ["free_aligned_sized", (heap, p) => heap.free_aligned_sized(p, 16, 100)],
  ["realloc", (heap, p) => heap.realloc(p, 10)],
  ["realloc of null", (heap) => heap.realloc(0, 10)],
  ["reallocarray", (heap, p) => heap.reallocarray(p, 2, 10)],
  ["memalign", (heap) => heap.memalign(64, 10)],
  ["posix_memalign", (heap, p) => heap.posix_memalign(p, 64, 10)],
  ["aligned_alloc", (heap) => heap.aligned_alloc(64, 64)],
  ["valloc", (heap) => heap.valloc(10)],
  ["pvalloc", (heap) => heap.pvalloc(10)],
  ["malloc_usable_size", (heap, p) => heap.malloc_usable_size(p)],
  ["malloc_usable_size of null", (heap) => heap.malloc_usable_size(0)],
  ["operatorNew", (heap) => heap.operatorNew(10)],
  ["operatorDelete", (heap, p) => heap.operatorDelete(p)],
  ["memory", (heap, p) => heap.memory.getUint8(p)],
  ["setTagging", (heap) => heap.setTagging("off")],
  ["malloc_disable_memory_tagging", (heap) => heap.malloc_disable_memory_tagging()],
  ["withThread", (heap) => heap.withThread(heap.process.mainThread, () => {})],
  ["endThread", (heap) => heap.endThread(heap.process.mainThread)],
  ["fork", (heap) => heap.fork()],
  ["inProcess", (heap) => heap.inProcess(heap.process)],
  ["get fill", (heap) => heap.fill],
  [
    "set fill",
    (heap) => {
      heap.fill = "zero";
    },
  ],
  ["malloc_set_zero_contents", (heap) => heap.malloc_set_zero_contents(1)],
  ["malloc_set_pattern_fill_contents", (heap) => heap.malloc_set_pattern_fill_contents(1)],
  ["malloc_set_add_large_allocation_slack", (heap) => heap.malloc_set_add_large_allocation_slack(1)],
  ["malloc_set_track_allocation_stacks", (heap) => heap.malloc_set_track_allocation_stacks(1)],
  ["mallopt", (heap) => heap.mallopt(-101, 0)],
  ["releaseToOS", (heap) => heap.releaseToOS("force-all")],
  ["malloc_iterate", (heap) => heap.malloc_iterate(0, 1, () => {})],
  ["malloc_disable", (heap) => heap.malloc_disable()],
  ["malloc_enable", (heap) => heap.malloc_enable()],
  ["stats", (heap) => heap.stats()],
  ["print_stats", (heap) => heap.print_stats()],
  ["getStats", (heap, p) => heap.getStats(p, 10)],
  ["mallinfo", (heap) => heap.mallinfo()],
  ["mallinfo2", (heap) => heap.mallinfo2()],
  ["malloc_info", (heap) => heap.malloc_info(0, () => {})],
  ["explain", (heap, p) => heap.explain(p)],
  ["checkInvariants", (heap) => heap.checkInvariants()],
  ["view", (heap, p) => heap.view(p, 10)],
  ["view of a chunk", (heap, p) => heap.view(p)],
  ["pin", (heap, p) => heap.pin(p, 10)],
  ["string", (heap) => heap.string("text")],
  ["struct", (heap) => heap.struct({ x: "uint8" })],
  ["structAt", (heap, p) => heap.structAt({ x: "uint8" }, p)],
  ["record", (heap) => heap.record({ write: () => true })],
];

/** Every request to a checker that somebody has kept, except those that tell of what was found before. */
const requests: [string, (checker: Face, p: number) => unknown][] = [
  ["leakCheck", (checker) => checker.leakCheck()],
  ["liveBlocks", (checker) => checker.liveBlocks()],
  ["makeDefined", (checker, p) => checker.makeDefined(p, 1)],
  ["makeUndefined", (checker, p) => checker.makeUndefined(p, 1)],
  ["makeNoAccess", (checker, p) => checker.makeNoAccess(p, 1)],
  ["makeDefinedIfAddressable", (checker, p) => checker.makeDefinedIfAddressable(p, 1)],
  ["checkIsAddressable", (checker, p) => checker.checkIsAddressable(p, 1)],
  ["checkIsDefined", (checker, p) => checker.checkIsDefined(p, 1)],
  ["getValidityBits", (checker, p) => checker.getValidityBits(p, 1)],
  ["setValidityBits", (checker, p) => checker.setValidityBits(p, new Uint8Array(1))],
  ["createMempool", (checker, p) => checker.createMempool(p + 16)],
  ["destroyMempool", (checker, p) => checker.destroyMempool(p)],
  ["mempoolAlloc", (checker, p) => checker.mempoolAlloc(p, p, 16)],
  ["mempoolFree", (checker, p) => checker.mempoolFree(p, p)],
  ["mempoolTrim", (checker, p) => checker.mempoolTrim(p, p, 16)],
  ["moveMempool", (checker, p) => checker.moveMempool(p, p + 16)],
  ["mempoolChange", (checker, p) => checker.mempoolChange(p, p, p, 16)],
  ["mempoolExists", (checker, p) => checker.mempoolExists(p)],
];

interface Kept {
  readonly struct: { x: number };
  readonly owned: { x: number };
  readonly data: DataView;
  readonly bytes: Uint8Array;
}

/** What somebody has kept of a heap, in use. */
const kept: [string, (objects: Kept) => unknown][] = [
  ["load by structAt", ({ struct }) => struct.x],
  [
    "store by structAt",
    ({ struct }) => {
      struct.x = 1;
    },
  ],
  ["load by struct", ({ owned }) => owned.x],
  ["view", ({ data }) => data.getUint8(0)],
  ["bytes", ({ bytes }) => bytes[0]],
  ["bytes' fill", ({ bytes }) => bytes.fill(0)],
];

function endedKind(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return error instanceof HeapError ? `${error.kind}: ${error.message}` : String(error);
  }
  return "no report";
}

test("every request of a checker is in the list, but what tells of the past", () => {
  const past = [
    ["constructor", "findings", "reportOn", "onFinding", "addSuppressions", "toSuppressions", "countErrors", "clear"],
    ["countSuppressed", "disableErrorReporting", "enableErrorReporting", "forget", "toText", "toJSON", "toSarif"],
    // The library's own.
    ["scanForLeaks", "allocationOf", "leakFinding", "chunks", "quarantineBatches", "here", "watch", "chunkAllocated"],
    ["chunkFreed", "chunkResized", "isLarge", "freeRefused", "own", "tracksBytes", "define", "undefine", "forbid"],
    ["undefineByte", "shutRedzones", "endChunk", "requireChunk", "requirePool", "requireOwn", "requireAddressable"],
    ["begin", "allocationTrace", "describeEarlier"],
  ].flat();
  const known = new Set([...past, ...requests.map(([name]) => name)]);
  const prototypes = [Checker.prototype, Object.getPrototypeOf(Checker.prototype)];
  const missing = prototypes.flatMap((one) => Object.getOwnPropertyNames(one)).filter((name) => !known.has(name));
  expect(missing).toEqual([]);
});

test("every method of a heap is in the list of calls", () => {
  const names = new Set(
    calls.map(([name]) => name.split(/[ ,]/).at(name.startsWith("get ") || name.startsWith("set ") ? 1 : 0)),
  );
  const state = new Set([
    "constructor",
    "errno",
    "process",
    "kernel",
    "options",
    "checker",
    "tagging",
    "largeTags",
    "toJSON",
  ]);
  const missing = Object.getOwnPropertyNames(Heap.prototype).filter((name) => !names.has(name) && !state.has(name));
  expect(missing).toEqual([]);
});

describe.each(families)("a %s heap", (_name, options) => {
  const shadow = options.uninitialised === "byte";

  test("that was disposed of says so at every call, in its own process and in a guest's", () => {
    const own = openHeap(options);
    const guest = openHeap({ ...options, process: createKernel({ memoryBytes: 2 ** 27, shadow }).createProcess() });
    for (const heap of [own, guest]) {
      const p = heap.malloc(100);
      heap[Symbol.dispose]();
      for (const [name, call] of calls) {
        expect(
          endedKind(() => call(heap, p)),
          name,
        ).toBe("ended: the heap was disposed of");
      }
      for (const [name, request] of requests) {
        expect(
          endedKind(() => request(heap.checker, p)),
          name,
        ).toBe("ended: the heap was disposed of");
      }
      expect(() => heap[Symbol.dispose]()).not.toThrow();
    }
  });

  test.each([
    ["exits", (heap: Heap) => heap.process.exit(0)],
    ["is killed", (heap: Heap) => heap.process.kill(heap.process.pid, 9)],
    ["becomes another program", (heap: Heap) => heap.process.execve("other")],
  ])("whose process %s says so at every call, and leaves the next process alone", (_how, end) => {
    const kernel = createKernel({ memoryBytes: 2 ** 27, shadow });
    const heap = openHeap({ ...options, process: kernel.createProcess() });
    const p = heap.malloc(100);
    const { memory } = heap;
    const { checker } = heap;
    const struct = heap.structAt({ x: "uint8" }, p);
    const view = { struct, owned: heap.struct({ x: "uint8" }), data: heap.view(p, 10), bytes: heap.view(p, 10).bytes };
    checker.createMempool(p);
    end(heap);
    const next = openHeap({ ...options, process: kernel.createProcess() });
    const q = next.malloc(100);
    next.memory.fill(q, 7, 100);
    for (const [name, call] of calls) {
      expect(
        endedKind(() => call(heap, p)),
        name,
      ).toBe(`ended: the heap's process ${heap.process.pid} has ended`);
    }
    if (heap.process.exitStatus !== null)
      expect(() => memory.getUint8(p)).toThrow(`process ${heap.process.pid} has ended`);
    else expect(() => memory.getUint8(p)).toThrow(/SEGV/);
    for (const [name, use] of kept) {
      expect(
        endedKind(() => use(view)),
        name,
      ).toBe(`ended: the heap's process ${heap.process.pid} has ended`);
    }
    for (const [name, request] of requests) {
      expect(
        endedKind(() => request(checker, p)),
        name,
      ).toBe(`ended: the heap's process ${heap.process.pid} has ended`);
    }
    expect(checker.findings).toEqual([]);
    heap[Symbol.dispose]();
    expect([...next.memory.read(q, 100)]).toEqual(new Array(100).fill(7));
    next.checkInvariants();
    next.free(q);
    next[Symbol.dispose]();
    kernel.checkInvariants();
  });

  test("in a child that has exited ends quietly at the end of its block", () => {
    const heap = openHeap(options);
    {
      using child = heap.fork();
      child.process.exit(0);
    }
    heap.free(heap.malloc(10));
    heap[Symbol.dispose]();
    heap.kernel.checkInvariants();
  });

  test("refuses a thread that has ended, and goes on as the main thread", () => {
    const heap = openHeap(options);
    const thread = heap.process.createThread();
    const p = heap.withThread(thread, () => heap.malloc(100));
    thread.exit();
    expect(() => heap.withThread(thread, () => heap.free(p))).toThrow(`thread ${thread.tid} has ended`);
    heap.endThread(thread);
    heap.free(p);
    heap.checkInvariants();
  });

  test("refuses a thread that its process removed", () => {
    const heap = openHeap(options);
    const thread = heap.process.createThread();
    const { memory } = thread;
    heap.process.removeThread(thread);
    expect(thread.ended).toBe(true);
    expect(() => heap.withThread(thread, () => {})).toThrow(`thread ${thread.tid} has ended`);
    expect(() => memory.getUint8(heap.malloc(1))).toThrow(`thread ${thread.tid} has ended`);
    expect(heap.process.exitStatus).toBe(null);
  });

  test("comes back to the main thread when the work has ended the thread that it came from", () => {
    const heap = openHeap(options);
    const [outer, inner] = [heap.process.createThread(), heap.process.createThread()];
    heap.withThread(outer, () => heap.withThread(inner, () => outer.exit()));
    heap.free(heap.malloc(100));
    heap.checkInvariants();
  });
});

test("a work that ends the process leaves withThread without another error", () => {
  const heap = openHeap();
  const thread = heap.process.createThread();
  expect(heap.withThread(thread, () => heap.process.exit(3))).toBe(0);
  expect(endedKind(() => heap.malloc(1))).toMatch("has ended");
});

describe("an asynchronous mismatch that waits when the heap ends", () => {
  function mismatched(): { heap: Heap; reports: string[] } {
    const reports: string[] = [];
    const heap = openHeap({ tagging: "async", onReport: ({ kind }) => reports.push(kind) });
    const p = heap.malloc(100);
    heap.free(p);
    heap.memory.setUint8(p, 1);
    return { heap, reports };
  }

  test("is reported after everything was given back", () => {
    const { heap, reports } = mismatched();
    const free = heap.kernel.frames.freeFrames;
    expect(() => heap[Symbol.dispose]()).toThrow(/asynchronous/);
    expect(reports).toEqual(["tag-fault"]);
    expect(heap.process.exitStatus).toBe(0);
    expect(heap.kernel.frames.freeFrames).toBeGreaterThan(free);
    expect(() => heap[Symbol.dispose]()).not.toThrow();
  });

  test("in the user's process leaves no mapping and no handler", () => {
    const process = createKernel({ memoryBytes: 2 ** 27 }).createProcess();
    const heap = openHeap({ process, tagging: "async" });
    const p = heap.malloc(100);
    heap.free(p);
    heap.memory.setUint8(p, 1);
    expect(() => heap[Symbol.dispose]()).toThrow(/asynchronous/);
    expect(process.procfs("maps")).toBe("");
    expect(process.sigaction(11, null)).toBe("default");
  });
});

test("the end of a heap ends its recording, also when the sink fails then", () => {
  const heap = openHeap();
  let isFull = false;
  const recording = heap.record({
    write: () => {
      if (isFull) throw new Error("disk full");
      return true;
    },
  });
  heap.malloc(10);
  isFull = true;
  expect(() => heap[Symbol.dispose]()).toThrow("disk full");
  expect([recording.isRecording, heap.process.exitStatus]).toEqual([false, 0]);
});

test("a forked heap that was disposed of leaves nothing behind in its parent's process", () => {
  using heap = new Heap();
  for (let i = 0; i < 3; i++) heap.fork()[Symbol.dispose]();
  expect(() => heap.process.wait4()).toThrow(expect.objectContaining({ code: "ECHILD" }));
});
