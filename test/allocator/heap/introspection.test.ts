// What a heap tells of itself, what can be changed while it runs, and what a program may hang on to it.
import { describe, expect, test } from "vitest";
import { HeapError } from "../../../allocator/common/heap-error.ts";
import { Heap } from "../../../allocator/heap/heap.ts";
import { M_LOG_STATS, M_PURGE_ALL } from "../../../allocator/heap/mallopt.ts";
import type { HeapOptions } from "../../../allocator/options/options.ts";

const MIB = 2 ** 20;

/** A heap and the text it wrote. */
function createHeap(options: HeapOptions = {}): { heap: Heap; text: () => string } {
  let text = "";
  const heap = new Heap({
    seed: 1,
    write: (part) => {
      text += part;
    },
    ...options,
  });
  return { heap, text: () => text };
}

describe("stats", () => {
  test("count what is allocated by class and committed size, and come back to nothing", () => {
    const { heap } = createHeap();
    const small = heap.malloc(100);
    const large = heap.malloc(200_000);
    expect(heap.stats()).toMatchObject({
      allocatedBytes: 128 + 200_704,
      secondary: { allocations: 1, frees: 0, allocatedBytes: 200_704, largestBytes: 200_704, fragmentedBytes: 8192 },
    });
    heap.free(small);
    heap.free(large);
    expect(heap.stats()).toMatchObject({ allocatedBytes: 0, secondary: { frees: 1, cache: { entries: [{}] } } });
  });

  test("tell what was freed since the last page release, and what that gave back", () => {
    const { heap } = createHeap({ releaseToOSIntervalMs: -1 });
    const pointers = Array.from({ length: 512 }, () => heap.malloc(4080));
    for (const pointer of pointers) heap.free(pointer);
    const ofClass = () => heap.stats().primary.classes.find((one) => one.blockSize === 4096);
    expect(ofClass()).toMatchObject({ latestPushedBytes: 510 * 4096, releasedRanges: 0, inUseBlocks: 2 });
    heap.mallopt(M_PURGE_ALL, 0);
    expect(ofClass()).toMatchObject({ latestPushedBytes: 0, releasedRanges: 1, lastReleasedBytes: 512 * 4096 });
  });

  test("are summed over threads, and keep what a thread counted that has ended", () => {
    const { heap } = createHeap();
    const thread = heap.process.createThread();
    const pointer = heap.withThread(thread, () => heap.malloc(100));
    expect(heap.stats()).toMatchObject({ allocatedBytes: 128, threads: { model: "exclusive", inUse: 1 } });
    heap.endThread(thread);
    expect(heap.stats()).toMatchObject({ allocatedBytes: 128, threads: { inUse: 0 } });
    heap.free(pointer);
    expect(heap.stats().allocatedBytes).toBe(0);
  });

  test("show the quarantine, reference pages, and the fall-back from them", () => {
    const { heap } = createHeap({
      fill: "pattern",
      quarantine: { sizeKb: 64, threadLocalSizeKb: 1, maxChunkSize: 1000 },
    });
    for (let count = 0; count < 5; count++) heap.free(heap.malloc(100));
    expect(heap.stats().quarantine).toMatchObject({ batches: 5, chunks: 5, userBytes: 500, globalLimitBytes: 65_536 });
    heap.malloc(MIB);
    expect(heap.stats().fills).toEqual({ refpageMappings: 1, refpages: 1, refpageFallbacks: 0, unfilledFrees: 0 });
  });
});

describe("print_stats", () => {
  test("writes Scudo's headings, in order", () => {
    const { heap, text } = createHeap();
    heap.malloc(10);
    heap.print_stats();
    const headings = ["Stats: SizeClassAllocator64", "Stats: MapAllocator", "Stats: Quarantine"];
    const places = headings.map((heading) => text().indexOf(heading));
    expect(places.every((place) => place >= 0)).toBe(true);
    expect(places).toEqual(places.toSorted((a, b) => a - b));
  });

  test("of a shared registry lists its caches, and of a configuration without one no secondary cache", () => {
    const { heap, text } = createHeap({ config: "fuchsia" });
    heap.malloc(10);
    heap.print_stats();
    expect(text()).toContain("Stats: SharedTSDs: 4 available; total 8\n  Shared TSD[0]:\n");
    expect(text()).toContain("Secondary Cache Disabled\n");
  });

  test("is followed by the fragmentation in M_LOG_STATS", () => {
    const { heap, text } = createHeap();
    heap.malloc(4080);
    heap.mallopt(M_LOG_STATS, 0);
    expect(text()).toContain("Fragmentation Stats: SizeClassAllocator64: page size = 4096 bytes\n  01 (    32):");
    expect(text()).toMatch(/ {2}24 \( {2}4096\): inuse\/total blocks: {6}1\/ {5}8 inuse\/total pages: {6}1\/ {5}8 /);
  });

  test("getStats writes it to simulated memory, cut to what there is room for", () => {
    const { heap } = createHeap();
    const buffer = heap.malloc(100);
    const needed = heap.getStats(buffer, 20);
    expect(needed).toBeGreaterThan(500);
    expect(heap.memory.readString(buffer)).toBe("Stats: SizeClassAll");
    expect(heap.getStats(buffer, 0)).toBe(needed);
  });
});

describe("setters", () => {
  test("change what fresh memory reads, and a large chunk's slack", () => {
    const { heap } = createHeap();
    const fresh = (): number => heap.memory.getUint8(heap.malloc(10));
    heap.malloc_set_pattern_fill_contents(1);
    expect(fresh()).toBe(0xab);
    heap.malloc_set_zero_contents(1);
    expect([fresh(), heap.fill]).toEqual([0, "zero"]);
    heap.malloc_set_zero_contents(0);
    expect(heap.fill).toBe("none");
    heap.malloc_set_add_large_allocation_slack(1);
    const pointer = heap.malloc(200_000);
    heap.memory.setUint8(pointer + 200_015, 1);
    expect(heap.malloc_usable_size(pointer)).toBe(200_000);
  });
});

describe("malloc_set_track_allocation_stacks", () => {
  test("keeps the stacks of what is allocated while it is on", () => {
    const { heap } = createHeap();
    const before = heap.malloc(10);
    heap.malloc_set_track_allocation_stacks(1);
    const during = heap.malloc(10);
    heap.malloc_set_track_allocation_stacks(0);
    const after = heap.malloc(10);
    const known = [before, during, after].map((pointer) => heap.explain(pointer).stacks !== null);
    expect(known).toEqual([false, true, false]);
  });

  test("switched off, it forgets a chunk whose place another one takes, and keeps those that stay", () => {
    const { heap } = createHeap();
    heap.malloc_set_track_allocation_stacks(1);
    const first = () => heap.malloc(40);
    const [stays, goes] = [first(), first()];
    heap.malloc_set_track_allocation_stacks(0);
    heap.free(goes);
    expect(heap.explain(goes).stacks).toMatchObject({ allocation: expect.stringContaining("first"), free: null });
    const later: number[] = [];
    while (!later.includes(goes)) later.push(heap.malloc(40));
    expect(heap.explain(goes).stacks).toBeNull();
    heap.free(goes);
    expect(heap.explain(goes).stacks).toBeNull();
    expect(heap.explain(stays).stacks?.allocation).toContain("first");
  });

  test("does nothing when the ring buffer has no entries", () => {
    const { heap } = createHeap({ allocationRingBufferSize: 0 });
    heap.malloc_set_track_allocation_stacks(1);
    expect(heap.explain(heap.malloc(10)).stacks).toBeNull();
  });
});

describe("hooks", () => {
  /** Everything the hooks were told, in order. */
  function record(options: { readonly realloc: boolean }): { heap: Heap; told: unknown[][] } {
    const told: unknown[][] = [];
    const hooks = {
      allocate: (pointer: number, size: number) => told.push(["allocate", pointer, size]),
      deallocate: (pointer: number) => told.push(["deallocate", pointer]),
    };
    const reallocHooks = {
      reallocDeallocate: (old: number) => told.push(["reallocDeallocate", old]),
      reallocAllocate: (old: number, fresh: number, size: number) => told.push(["reallocAllocate", old, fresh, size]),
    };
    const { heap } = createHeap({ hooks: options.realloc ? { ...hooks, ...reallocHooks } : hooks });
    return { heap, told };
  }

  test("see every call with its pointer and size", () => {
    const { heap, told } = record({ realloc: true });
    const place = 8;
    const a = heap.malloc(10);
    const b = heap.calloc(3, 7);
    const c = heap.pvalloc(1);
    const d = heap.aligned_alloc(64, 64);
    const e = heap.operatorNew(5);
    const f = heap.memalign(64, place);
    expect(told.splice(0)).toEqual([
      ["allocate", a, 10],
      ["allocate", b, 21],
      ["allocate", c, 4096],
      ["allocate", d, 64],
      ["allocate", e, 5],
      ["allocate", f, place],
    ]);
    heap.free(a);
    heap.operatorDelete(e);
    heap.free(0);
    expect(told).toEqual([
      ["deallocate", a],
      ["deallocate", e],
      ["deallocate", 0],
    ]);
  });

  test("see a realloc in two halves, around it", () => {
    const { heap, told } = record({ realloc: true });
    const old = heap.malloc(10);
    const moved = heap.realloc(old, 5000);
    expect(told.slice(1)).toEqual([
      ["reallocDeallocate", old],
      ["reallocAllocate", old, moved, 5000],
    ]);
  });

  test("for realloc stand in for each other, and a failed one announces the old pointer again", () => {
    const { heap, told } = record({ realloc: false });
    const old = heap.realloc(0, 10);
    const moved = heap.realloc(old, 5000);
    expect(heap.realloc(moved, 2 ** 64)).toBe(0);
    heap.realloc(moved, 0);
    expect(told).toEqual([
      ["allocate", old, 10],
      ["deallocate", old],
      ["allocate", moved, 5000],
      ["deallocate", moved],
      ["allocate", moved, 5000],
      ["deallocate", moved],
    ]);
  });

  test("see no allocation that failed", () => {
    const { heap, told } = record({ realloc: true });
    expect(heap.malloc(2 ** 64)).toBe(0);
    expect(told).toEqual([]);
  });
});

describe("limits on resident memory", () => {
  test("soft: malloc answers null above it, and again below it memory", () => {
    const { heap } = createHeap({ softRssLimitBytes: 8 * MIB });
    const pointer = heap.malloc(16 * MIB);
    heap.memory.fill(pointer, 1, 16 * MIB);
    expect(heap.malloc(10)).toBe(0);
    expect(heap.errno).toBe(12);
    heap.free(pointer);
    expect(heap.malloc(10)).not.toBe(0);
  });

  test("hard: the next malloc is a report", () => {
    const { heap } = createHeap({ hardRssLimitBytes: 8 * MIB });
    const pointer = heap.malloc(16 * MIB);
    heap.memory.fill(pointer, 1, 16 * MIB);
    expect(() => heap.malloc(10)).toThrow("hard RSS limit exhausted (8Mb vs 16Mb)");
    heap.free(pointer);
    expect(heap.malloc(10)).not.toBe(0);
  });
});

describe("reports of a heap", () => {
  test("end with the chunk's stacks, user's frames first", () => {
    const { heap } = createHeap({ stacks: true });
    const pointer = heap.malloc(10);
    heap.free(pointer);
    const report = (() => {
      try {
        heap.free(pointer);
      } catch (error) {
        return (error as HeapError).report;
      }
      return "";
    })();
    expect(report).toMatch(
      /^Scudo ERROR: invalid chunk state when deallocating address 0x[0-9a-f]{12}\nallocated at:\n/,
    );
    expect(report.split("\n")[2]).toContain("introspection.test.ts");
    expect(report).toContain("freed at:\n");
  });

  test("reach onReport before they are thrown", () => {
    const told: string[] = [];
    const { heap } = createHeap({ onReport: (error) => told.push(error.kind) });
    expect(() => heap.free(heap.malloc(1) + 1)).toThrow(HeapError);
    expect(told).toEqual(["misaligned"]);
  });

  test("of a header whose page is gone say so, with later versions' texts", () => {
    const { heap } = createHeap({ headerReport: "later", releaseToOSIntervalMs: -1 });
    const pointer = heap.malloc(8000);
    heap.free(pointer);
    heap.mallopt(M_PURGE_ALL, 0);
    expect(() => heap.free(pointer)).toThrow(
      /: chunk header is zero and might indicate memory corruption or a double free$/,
    );
  });
});

describe("objects in simulated memory", () => {
  test("a struct is zeroed, and freed by using", () => {
    const { heap } = createHeap({ fill: "pattern" });
    let pointer = 0;
    {
      using point = heap.struct({ x: "float64", count: "uint16" });
      pointer = point.pointer;
      expect([point.x, point.count]).toEqual([0, 0]);
      expect(heap.malloc_usable_size(pointer)).toBe(16);
    }
    expect(() => heap.free(pointer)).toThrow(HeapError);
  });

  test("a struct at a place one has is a view only", () => {
    const { heap } = createHeap();
    const pointer = heap.calloc(1, 16);
    heap.structAt({ a: "uint32", b: "uint32" }, pointer).b = 5;
    expect(heap.memory.getUint32(pointer + 4)).toBe(5);
    heap.free(pointer);
  });

  test("a string has its bytes and a NUL", () => {
    const { heap } = createHeap({ fill: "pattern" });
    const pointer = heap.string("déjà");
    expect(heap.malloc_usable_size(pointer)).toBe(7);
    expect(heap.memory.readString(pointer)).toBe("déjà");
  });

  test("a pinned large chunk of a reference page is private memory, byte for byte", () => {
    const { heap } = createHeap({ fill: "pattern", pattern: [1, 2, 3, 4] });
    const pointer = heap.malloc(MIB);
    const before = heap.process.rssBytes;
    using pinned = heap.pin(pointer, 8192);
    expect([...pinned.views[0]!.subarray(0, 4)]).toEqual([...heap.memory.read(pointer, 4)]);
    pinned.views[0]![0] = 99;
    expect(heap.memory.getUint8(pointer)).toBe(99);
    expect(heap.process.rssBytes - before).toBeGreaterThanOrEqual(4096);
  });
});

test("a disposed heap ends the process that was made for it", () => {
  let process: Heap["process"];
  {
    using heap = new Heap();
    heap.malloc(100);
    process = heap.process;
  }
  expect(process.exitStatus).toBe(0);
  process.kernel.checkInvariants();
});

test("what is asked of a disposed heap says that it was disposed of, and changes nothing", () => {
  const heap = new Heap();
  heap[Symbol.dispose]();
  heap[Symbol.dispose]();
  expect(() => heap.malloc(100)).toThrow("the heap was disposed of");
  expect(() => heap.malloc(2 ** 20)).toThrow("the heap was disposed of");
  expect(() => heap.releaseToOS()).toThrow("the heap was disposed of");
  expect(() => heap.fork()).toThrow("the heap was disposed of");
  heap.kernel.checkInvariants();
});

describe("a free that is refused", () => {
  const refusals: [string, ...((heap: Heap, p: number) => unknown)[]][] = [
    ["a double free", (heap, p) => heap.free(p), (heap, p) => heap.free(p)],
    ["a misaligned pointer", (heap, p) => heap.free(p + 8)],
    ["a pointer into a chunk", (heap, p) => heap.free(p + 16)],
    ["another origin", (heap, p) => heap.operatorDelete(p)],
    ["another size", (heap, p) => heap.free_sized(p, 99)],
    ["another alignment", (heap, p) => heap.free_aligned_sized(p, 2 ** 20, 100)],
    ["a disabled heap", (heap) => heap.malloc_disable(), (heap, p) => heap.free(p)],
    ["realloc of a freed chunk", (heap, p) => heap.free(p), (heap, p) => heap.realloc(p, 10)],
    ["realloc to nothing of a freed chunk", (heap, p) => heap.free(p), (heap, p) => heap.realloc(p, 0)],
  ];

  test.each(refusals)("for %s reaches no hook and no kept stack", (name, ...acts) => {
    const told: number[] = [];
    const heap = new Heap({
      seed: 1,
      stacks: true,
      deallocTypeMismatch: true,
      memoryBytes: 2 ** 27,
      hooks: { deallocate: (pointer) => told.push(pointer), reallocDeallocate: (pointer) => told.push(pointer) },
    });
    const p = heap.malloc(100);
    heap.memory.fill(p, 0, 100);
    const refused = acts.pop();
    for (const act of acts) act(heap, p);
    expect(() => refused?.(heap, p)).toThrow(HeapError);
    const wasFreed = /double|freed/.test(name);
    expect(told).toEqual(wasFreed ? [p] : []);
    if (!wasFreed) expect(heap.explain(p).stacks?.free ?? null).toBeNull();
  });
});
