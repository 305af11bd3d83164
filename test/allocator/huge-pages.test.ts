// The option hugePages: which advice a heap gives, and which memory becomes huge by it.
import { expect, test } from "vitest";
import { M_CACHE_SIZE_MAX } from "../../allocator/heap/mallopt.ts";
import { Heap, type HeapOptions } from "../../allocator/index.ts";
import { MADV_HUGEPAGE } from "../../platform/kernel/abi/mman.ts";
import { RLIMIT_AS } from "../../platform/kernel/abi/rlimit.ts";
import { Kernel, type KernelOptions } from "../../platform/kernel/kernel.ts";
import { createKernel } from "../../refpage/kernel.ts";

const MIB = 2 ** 20;
const LARGE = 8 * MIB;

/** KiB of huge pages after chunks were filled, and then perhaps collapsed, under a kernel with this setting. */
function hugeKib(options: HeapOptions, enabled: "always" | "madvise", bytes: number, chunks = 1, then = ""): number {
  const settings: KernelOptions = { hugePages: { enabled } };
  const heap = new Heap({ ...options, kernel: new Kernel({ memoryBytes: 128 * MIB, mte: false }, settings), seed: 1 });
  for (let at = 0; at < chunks; at++) heap.memory.fill(heap.malloc(bytes), 1, bytes);
  if (then === "collapse") heap.kernel.khugepaged(heap.process);
  return hugeKibOf(heap);
}

function hugeKibOf(heap: Heap): number {
  const lines = [...heap.process.procfs("smaps").matchAll(/^AnonHugePages: +(\d+) kB$/gm)];
  return lines.reduce((sum, [, kib]) => sum + Number(kib), 0);
}

function hugeHeap(options: HeapOptions): Heap {
  const kernel = new Kernel({ memoryBytes: 128 * MIB, mte: false }, { hugePages: { enabled: "madvise" } });
  return new Heap({ ...options, kernel, seed: 1 });
}

test("by itself a heap gives no advice, as Scudo: huge pages come only where the kernel needs none", () => {
  expect(hugeKib({}, "madvise", LARGE)).toBe(0);
  expect(hugeKib({}, "always", LARGE)).toBeGreaterThanOrEqual(6 * 1024);
});

test("never keeps all of a heap's memory small, under every setting of the kernel", () => {
  expect(hugeKib({ hugePages: "never" }, "always", LARGE)).toBe(0);
});

test("madvise makes large chunks huge, and nothing else", () => {
  expect(hugeKib({ hugePages: "madvise" }, "madvise", LARGE)).toBe(8 * 1024);
  expect(hugeKib({ hugePages: "madvise" }, "madvise", 1000, 8000)).toBe(0);
});

test("always advises the regions of small chunks as well: they grow in steps, so that khugepaged is what makes them huge", () => {
  expect(hugeKib({ hugePages: "always" }, "madvise", 1000, 8000)).toBe(0);
  expect(hugeKib({ hugePages: "always" }, "madvise", 1000, 8000, "collapse")).toBeGreaterThan(0);
  expect(hugeKib({ hugePages: "madvise" }, "madvise", 1000, 8000, "collapse")).toBe(0);
});

test.each(["madvise", "always"] as const)(
  "%s begins large mappings on a huge page, so that all of a chunk can be huge",
  (hugePages) => {
    for (const largeFill of ["refpage", "memset"] as const) {
      const heap = hugeHeap({ hugePages, fill: "pattern", largeFill });
      const p = heap.malloc(2 * MIB);
      heap.memory.fill(p, 1, 2 * MIB);
      expect(hugeKibOf(heap), largeFill).toBe(2048);
      heap.checkInvariants();
      heap.free(p);
    }
  },
);

/** Where the area with this address begins and ends. */
function areaOf(heap: Heap, address: number): [number, number] {
  for (const [, begin, end] of heap.process.procfs("maps").matchAll(/^([0-9a-f]+)-([0-9a-f]+) /gm)) {
    const [from, to] = [Number.parseInt(begin, 16), Number.parseInt(end, 16)];
    if (from <= address && address < to) return [from, to];
  }
  throw new Error(`no area at ${address}`);
}

test("a chunk that realloc moves is moved by whole huge pages, and what it gains can be huge", () => {
  const heap = hugeHeap({ hugePages: "madvise" });
  const p = heap.malloc(4 * MIB);
  heap.memory.fill(p, 7, 4 * MIB);
  const q = heap.realloc(p, 12 * MIB);
  expect(q).not.toBe(p);
  expect(hugeKibOf(heap)).toBe(4096);
  heap.memory.fill(q + 4 * MIB, 8, 8 * MIB);
  // The old mapping's last page, a small one, lies in the third huge page's place.
  expect(hugeKibOf(heap)).toBe(10 * 1024);
  expect([heap.memory.getUint8(q), heap.memory.getUint8(q + 4 * MIB - 1), heap.memory.getUint8(q + 4 * MIB)]).toEqual([
    7, 7, 8,
  ]);
  heap.checkInvariants();
});

test("where address space is short a large mapping begins where it can", () => {
  const heap = hugeHeap({ hugePages: "madvise" });
  const { process } = heap;
  heap.malloc(16);
  const mapped = Number(/VmSize:\s+(\d+)/.exec(process.procfs("status"))?.[1]) * 1024;
  process.setrlimit(RLIMIT_AS, mapped + 5 * MIB);
  const p = heap.malloc(4 * MIB);
  expect(p).not.toBe(0);
  heap.memory.fill(p, 1, 4 * MIB);
  heap.checkInvariants();
});

test("always gives back no part of a huge page that has blocks in use, and all of it when they are free", () => {
  for (const hugePages of ["always", "madvise"] as const) {
    const heap = hugeHeap({ hugePages });
    const chunks = Array.from({ length: 4000 }, () => heap.malloc(8000));
    for (const p of chunks) heap.memory.fill(p, 1, 8000);
    const [first, end] = areaOf(heap, chunks[0]);
    heap.process.madvise(first, end - first, MADV_HUGEPAGE);
    heap.kernel.khugepaged(heap.process);
    const before = hugeKibOf(heap);
    expect(before).toBeGreaterThan(8 * 1024);
    const kept = chunks.filter((_, index) => index % 8 === 0);
    for (const p of chunks) if (!kept.includes(p)) heap.free(p);
    heap.releaseToOS("force-all");
    if (hugePages === "always") expect(hugeKibOf(heap)).toBe(before);
    else expect(hugeKibOf(heap)).toBeLessThan(before);
    for (const p of kept) expect(heap.memory.getUint8(p + 7999)).toBe(1);
    for (const p of kept) heap.free(p);
    heap.releaseToOS("force-all");
    expect(hugeKibOf(heap)).toBe(0);
    heap.checkInvariants();
  }
});

const FILLS: readonly HeapOptions[] = [
  { fill: "zero" },
  { fill: "pattern", largeFill: "refpage" },
  { fill: "pattern", largeFill: "memset" },
];

const SCRUBBED = 6 * MIB - 5;

test.each(["duplicate", "huge-clean-small-dirty", "small"] as const)(
  "scrubbing a large chunk splits none of its huge pages, and leaves none of its bytes (reference pages %s)",
  (hugeReferencePages) => {
    for (const options of FILLS) {
      const heap = scrubbingHeap({ ...options, hugePages: "madvise" }, hugeReferencePages);
      const p = heap.malloc(SCRUBBED);
      heap.memory.fill(p, 1, SCRUBBED);
      const { hugeSplits } = heap.kernel.counters;
      const resident = heap.process.rssBytes;
      heap.free(p);
      expect(heap.kernel.counters.hugeSplits).toBe(hugeSplits);
      expect(heap.process.rssBytes).toBeLessThanOrEqual(resident);
      expectScrubbed(heap, p, SCRUBBED, options.fill === "pattern" ? 0xab : 0);
      heap.checkInvariants();
    }
  },
);

test("Scudo's own way gives back all pages but the first, and splits", () => {
  const heap = scrubbingHeap({ fill: "zero" }, "small");
  heap.kernel.hugePages.enabled = "always";
  const p = heap.memalign(2 * MIB, SCRUBBED);
  heap.memory.fill(p, 1, SCRUBBED);
  heap.free(p);
  expectScrubbed(heap, p, SCRUBBED);
  expect(heap.process.rssBytes).toBeLessThan(MIB);
});

test("after a fork, where a store would copy page by page, scrubbing gives back what it can", () => {
  const heap = scrubbingHeap({ fill: "zero", hugePages: "madvise" }, "small");
  const p = heap.malloc(SCRUBBED);
  heap.memory.fill(p, 1, SCRUBBED);
  const child = heap.fork();
  const { framesAllocated } = heap.kernel.counters;
  heap.free(p);
  // The page of the headers, and what lies before it.
  expect(heap.kernel.counters.framesAllocated - framesAllocated).toBeLessThan(5);
  expectScrubbed(heap, p, SCRUBBED);
  expect(child.memory.getUint8(p + 5000)).toBe(1);
});

test("the later cache gives back no surplus that is the beginning of a huge page", () => {
  const heap = hugeHeap({ hugePages: "madvise", secondaryCachePolicy: "lru" });
  heap.mallopt(M_CACHE_SIZE_MAX, 16 * MIB);
  const p = heap.malloc(4 * MIB - 100);
  heap.memory.fill(p, 1, 4 * MIB - 100);
  heap.free(p);
  const { hugeSplits } = heap.kernel.counters;
  const q = heap.malloc(4 * MIB - 100 - 6 * 4096);
  expect(q).toBe(p + 6 * 4096);
  expect(heap.kernel.counters.hugeSplits).toBe(hugeSplits);
});

/** A heap that scrubs what is freed, and keeps its mapping so that one can look. */
function scrubbingHeap(
  options: HeapOptions,
  hugeReferencePages: "duplicate" | "huge-clean-small-dirty" | "small",
): Heap {
  const settings = { hugePages: { enabled: "madvise" }, hugeReferencePages } as const;
  const kernel = createKernel({ memoryBytes: 128 * MIB, mte: false }, settings);
  const heap = new Heap({ ...options, fillOnFree: true, releaseToOSIntervalMs: -1, kernel, seed: 1 });
  heap.mallopt(M_CACHE_SIZE_MAX, 16 * MIB);
  return heap;
}

function expectScrubbed(heap: Heap, p: number, bytes: number, filled = 0): void {
  const found = heap.memory.read(p, bytes);
  expect(found.findIndex((byte) => byte !== filled)).toBe(-1);
}

test("a large chunk below 2 MiB is mapped as without advice, though all of the heap is advised", () => {
  const mapped = (hugePages: "always" | undefined) => {
    const heap = hugeHeap(hugePages === undefined ? {} : { hugePages });
    const before = heap.process.addressSpace.totalPages;
    heap.malloc(MIB);
    return heap.process.addressSpace.totalPages - before;
  };
  expect(mapped("always")).toBe(mapped(undefined));
});
