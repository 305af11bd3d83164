// Random programs against a plain model, a Map of live chunks: no overlap, alignment, contents, usable size, fills, invariants.
// Every configuration and way of filling; at the end everything is freed and the resident set is small again.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { customConfig } from "../../allocator/config.ts";
import { Heap } from "../../allocator/heap.ts";
import type { HeapOptions } from "../../allocator/options.ts";
import { fixedSizeClassMap } from "../../allocator/size-class-map.ts";
import { createKernel } from "../../refpage/kernel.ts";

const tinyMap = fixedSizeClassMap({
  name: "tiny",
  numBits: 1,
  minSizeLog: 10,
  midSizeLog: 10,
  maxSizeLog: 13,
  sizeDelta: 0,
  maxCachedHint: 8,
  maxBytesCachedLog: 12,
});
/** Regions that 2 MiB fill, so that the primary overflows into larger classes and the secondary. */
const tinyConfig = customConfig({
  name: "tiny",
  primary: { sizeClassMap: tinyMap, regionSizeLog: 21, groupSizeLog: 20, contiguousRegions: false },
  secondaryCache: { entriesArraySize: 8, defaultMaxEntriesCount: 8, defaultMaxEntrySize: 2 ** 20 },
});

const settings: [string, HeapOptions][] = [
  ["default", {}],
  ["android, pattern by reference pages", { config: "android", fill: "pattern", pattern: [1, 2, 3, 4] }],
  ["fuchsia, zero", { config: "fuchsia", fill: "zero", largeFill: "memset" }],
  ["tiny regions, pattern as Scudo", { config: tinyConfig, fill: "pattern", largeFill: "none" }],
  ["pattern by memset, fill on free", { fill: "pattern", largeFill: "memset", fillOnFree: true }],
  ["quarantine", { quarantine: { sizeKb: 64, threadLocalSizeKb: 16, maxChunkSize: 4096 }, fill: "zero" }],
  [
    "no waiting to release, BSD checksum",
    { releaseToOsIntervalMs: 0, checksum: "bsd", fill: "pattern", fillOnFree: true },
  ],
];

/** A live chunk: its bytes are `seed`, `seed + 1`, … at the sampled places. */
interface Live {
  readonly pointer: number;
  size: number;
  seed: number;
}

/** Every byte of small chunks; of large ones the ends and a few in between. */
function sampled(size: number): number[] {
  if (size <= 512) return Array.from({ length: size }, (_, index) => index);
  const step = Math.max(1, Math.floor(size / 16));
  return [0, 1, 15, 16, 63, ...Array.from({ length: 16 }, (_, index) => index * step), size - 17, size - 16, size - 1];
}

class Model {
  readonly live: Live[] = [];
  private readonly heap: Heap;
  private readonly options: HeapOptions;
  private nextSeed = 1;

  constructor(heap: Heap, options: HeapOptions) {
    this.heap = heap;
    this.options = options;
  }

  add(pointer: number, size: number, alignment: number): void {
    expect(pointer % alignment).toBe(0);
    expect(this.heap.malloc_usable_size(pointer)).toBe(size);
    const overlapping = this.live.find((one) => one.pointer < pointer + size && pointer < one.pointer + one.size);
    expect(overlapping).toBeUndefined();
    const chunk = { pointer, size, seed: this.nextSeed++ };
    this.live.push(chunk);
    this.scribble(chunk);
  }

  scribble({ pointer, size, seed }: Live): void {
    for (const offset of sampled(size)) this.heap.memory.setUint8(pointer + offset, (seed + offset) & 0xff);
  }

  checkContents({ pointer, size, seed }: Live, limit = size): void {
    for (const offset of sampled(size)) {
      if (offset < limit) expect(this.heap.memory.getUint8(pointer + offset)).toBe((seed + offset) & 0xff);
    }
  }

  /** What the fill promises of fresh bytes `[from, size)`; Scudo's large pattern may also be zero. */
  checkFresh(pointer: number, from: number, size: number, isZeroed: boolean): void {
    const { fill = "none" } = this.options;
    const pattern = [this.options.pattern ?? 0xab].flat() as number[];
    for (const offset of sampled(size)) {
      if (offset < from) continue;
      const byte = this.heap.memory.getUint8(pointer + offset);
      if (isZeroed || fill === "zero") expect(byte).toBe(0);
      else if (fill === "pattern" && this.options.largeFill === "none") expect([0, 0xab]).toContain(byte);
      else if (fill === "pattern") expect(byte).toBe(pattern[offset % pattern.length]);
    }
  }
}

const size = fc.oneof(
  { weight: 6, arbitrary: fc.nat(600) },
  { weight: 3, arbitrary: fc.nat(9000) },
  { weight: 2, arbitrary: fc.nat(140_000) },
  { weight: 2, arbitrary: fc.integer({ min: 131_000, max: 700_000 }) },
);
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("malloc" as const), size }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("calloc" as const), size }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("memalign" as const), size, log: fc.nat(18) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("realloc" as const), size, pick: fc.nat() }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("free" as const), pick: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("release" as const), pick: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("thread" as const), pick: fc.nat(2) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function perform(heap: Heap, model: Model, one: Step): void {
  const { live } = model;
  if (one.kind === "malloc" || one.kind === "calloc") {
    const pointer = one.kind === "malloc" ? heap.malloc(one.size) : heap.calloc(1, one.size);
    expect(pointer).not.toBe(0);
    model.checkFresh(pointer, 0, one.size, one.kind === "calloc");
    model.add(pointer, one.size, 16);
  } else if (one.kind === "memalign") {
    const pointer = heap.memalign(2 ** one.log, one.size);
    model.checkFresh(pointer, 0, one.size, false);
    model.add(pointer, one.size, Math.max(16, 2 ** one.log));
  } else if (one.kind === "realloc" && live.length > 0) {
    const index = one.pick % live.length;
    const [old] = live.splice(index, 1);
    const newSize = Math.max(1, one.size);
    const pointer = heap.realloc(old.pointer, newSize);
    model.checkContents({ ...old, pointer }, Math.min(old.size, newSize));
    if (pointer !== old.pointer) model.checkFresh(pointer, old.size, newSize, false);
    model.add(pointer, newSize, 16);
  } else if (one.kind === "free" && live.length > 0) {
    const [chunk] = live.splice(one.pick % live.length, 1);
    model.checkContents(chunk);
    heap.free(chunk.pointer);
  } else if (one.kind === "release") {
    heap.releaseToOS((["normal", "force", "force-all"] as const)[one.pick]);
  }
}

describe.each(settings)("%s", (_, options) => {
  const kernel = createKernel({ memoryBytes: 2 ** 26 });

  test("a random program sees nothing but what malloc promises", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), fc.nat(0xffff), (steps, seed) => {
        const heap = new Heap({ ...options, kernel, seed });
        const threads = [heap.process.mainThread, heap.process.createThread(), heap.process.createThread()];
        const model = new Model(heap, options);
        let thread = threads[0];
        for (const one of steps) {
          if (one.kind === "thread") thread = threads[one.pick];
          heap.withThread(thread, () => perform(heap, model, one));
          const census = heap.checkInvariants();
          expect(census.allocatedChunks).toBe(model.live.length + census.quarantineBatches);
          expect(census.unreadableChunks).toBe(0);
        }
        for (const chunk of model.live) {
          model.checkContents(chunk);
          heap.free(chunk.pointer);
        }
        for (const ending of threads.slice(1)) heap.endThread(ending);
        heap.releaseToOS("force-all");
        expect(heap.checkInvariants().allocatedChunks).toBe(0);
        // Class 0, and the pages of caches that nobody drained.
        expect(heap.process.rssBytes).toBeLessThan(2 ** 20);
        heap.kernel.checkInvariants();
        heap[Symbol.dispose]();
      }),
      { numRuns: 25 },
    );
  });
});
