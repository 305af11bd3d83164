// Heaps with memory tags: what is caught, what a program may rely on, modes, fallbacks, forks, bad input.
// The instructions and checks are tested in test/platform, reports in tag-fault.test.ts, random programs in tagged.model.test.ts.
import { describe, expect, test } from "vitest";
import type { Fill } from "../../../allocator/index.ts";
import { Heap, HeapError, M_MEMTAG_TUNING, M_MEMTAG_TUNING_BUFFER_OVERFLOW } from "../../../allocator/index.ts";
import { isCaught, LARGE, MEMORY, roundUp, tagged } from "../../../fuzz/tagging/tagged-heap.ts";
import { SegmentationFault } from "../../../platform/hardware/faults.ts";
import { tagOf, withoutTag, withTag } from "../../../platform/hardware/tags.ts";
import { SIGSEGV } from "../../../platform/kernel/signals.ts";
import { createKernel } from "../../../refpage/kernel.ts";

const sizes = [0, 1, 15, 16, 17, 100, 1000, 4096, 5000, 60_000, LARGE, 2 ** 20];

describe("a tagged chunk", () => {
  test.each(sizes)("of %i bytes has a tag from 1 to 15 and reads zero through its pointer", (size) => {
    const heap = tagged();
    for (let round = 0; round < 20; round++) {
      const p = heap.malloc(size);
      expect(tagOf(p)).toBeGreaterThan(0);
      for (const at of [0, size >> 1, size - 1]) if (at >= 0 && at < size) expect(heap.memory.getUint8(p + at)).toBe(0);
      heap.memory.fill(p, 0xff, size);
      expect(heap.malloc_usable_size(p)).toBe(size);
      heap.free(p);
    }
  });

  test.each(sizes)("of %i bytes is guarded by the byte before and the granule behind", (size) => {
    const heap = tagged();
    for (let round = 0; round < 20; round++) {
      const p = heap.malloc(size);
      expect(isCaught(() => heap.memory.getUint8(p - 1))).toBe(true);
      expect(isCaught(() => heap.memory.setUint8(p + roundUp(size), 1))).toBe(true);
    }
  });

  test.each([32, 64, 4096, 65536])("aligned to %i bytes is guarded as well", (alignment) => {
    const heap = tagged();
    for (const size of [1, 40, 4096, LARGE]) {
      const p = heap.memalign(alignment, size);
      expect(withoutTag(p) % alignment).toBe(0);
      heap.memory.fill(p, 1, size);
      expect(isCaught(() => heap.memory.getUint8(p - 1))).toBe(true);
      expect(isCaught(() => heap.memory.getUint8(p + roundUp(size)))).toBe(true);
      heap.free(p);
    }
  });

  test.each(sizes.filter((size) => size > 0))("of %i bytes cannot be used after free, nor freed again", (size) => {
    const heap = tagged();
    const p = heap.malloc(size);
    heap.free(p);
    expect(isCaught(() => heap.memory.getUint8(p))).toBe(true);
    expect(isCaught(() => heap.memory.setUint8(p + size - 1, 1))).toBe(true);
    if (size > 2 ** 19) return;
    expect(() => heap.free(p)).toThrow(HeapError);
    const q = heap.malloc(size);
    expect(withoutTag(q)).toBe(withoutTag(p));
    expect(isCaught(() => heap.memory.getUint8(p))).toBe(true);
    expect(() => heap.free(p)).toThrow(HeapError);
    expect(() => heap.realloc(p, 5)).toThrow(HeapError);
    heap.memory.setUint8(q, 1);
    heap.checkInvariants();
  });

  test("of a block used again has the bounds of its own size, not those of the last one's", () => {
    const heap = tagged();
    const places = new Set<number>();
    let reused = 0;
    for (let round = 0; round < 200; round++) {
      // All of the same class: 96 bytes with the header.
      const size = 49 + ((round * 37) % 32);
      const p = heap.malloc(size);
      if (places.has(withoutTag(p))) reused++;
      places.add(withoutTag(p));
      expect(heap.memory.read(p, roundUp(size)).every((byte) => byte === 0)).toBe(true);
      expect(isCaught(() => heap.memory.getUint8(p + roundUp(size)))).toBe(true);
      heap.memory.fill(p, 0xff, size);
      heap.free(p);
      expect(isCaught(() => heap.memory.getUint8(p))).toBe(true);
    }
    expect(reused).toBeGreaterThan(100);
  });

  test("keeps its tag while realloc has room, also to and from large", () => {
    const heap = tagged();
    let p = heap.malloc(10);
    for (const size of [12, 16, 15, 100, 60_000, LARGE, LARGE + 5, LARGE - 3000, 2 ** 20, 10 * 2 ** 20, 300_000, 20]) {
      heap.memory.setUint8(p, 77);
      p = heap.realloc(p, size);
      expect(heap.memory.getUint8(p)).toBe(77);
      heap.memory.fill(p + 1, 5, size - 1);
      expect(isCaught(() => heap.memory.getUint8(p + roundUp(size)))).toBe(true);
      expect(isCaught(() => heap.memory.getUint8(p - 1))).toBe(true);
      heap.checkInvariants();
    }
  });
});

describe("contents", () => {
  test("are zero in every fill mode, also where a page was given back or memory init was off", () => {
    for (const fill of ["none", "zero", "pattern"] as Fill[]) {
      const heap = tagged({ fill });
      const p = heap.malloc(60_000);
      heap.memory.fill(p, 0xee, 60_000);
      heap.free(p);
      heap.releaseToOS("force-all");
      const q = heap.malloc(60_000);
      expect(heap.memory.read(q, 60_000).every((byte) => byte === 0)).toBe(true);
    }
  });

  test("a thread without memory init keeps its bytes at free, and a later zeroing one does not see them", () => {
    const heap = tagged({ fill: "zero" });
    const p = heap.malloc(64);
    heap.memory.fill(p, 0xee, 64);
    heap.mallopt(-103, 1);
    heap.free(p);
    expect(heap.memory.getUint8(p)).toBe(0xee);
    heap.mallopt(-103, 0);
    const q = heap.malloc(64);
    expect(q).toBe(p);
    expect(heap.memory.read(q, 64).every((byte) => byte === 0)).toBe(true);
  });
});

describe("M_MEMTAG_TUNING", () => {
  test("gives neighbours tags of different parity", () => {
    const heap = tagged();
    expect(heap.mallopt(M_MEMTAG_TUNING, M_MEMTAG_TUNING_BUFFER_OVERFLOW)).toBe(1);
    const chunks = Array.from({ length: 200 }, () => heap.malloc(100)).sort((a, b) => withoutTag(a) - withoutTag(b));
    for (let i = 1; i < chunks.length; i++) {
      if (withoutTag(chunks[i]) - withoutTag(chunks[i - 1]) !== 112) continue;
      expect(tagOf(chunks[i]) % 2).not.toBe(tagOf(chunks[i - 1]) % 2);
    }
  });
});

describe("modes", () => {
  test("async reports at the next system call, asymm loads immediately", () => {
    const heap = tagged({ tagging: "async" });
    const p = heap.malloc(16);
    heap.memory.setUint8(p + 16, 1);
    expect(() => heap.process.prctl(56)).toThrow(expect.objectContaining({ kind: "tag-fault", code: "SEGV_MTEAERR" }));
    heap.setTagging("asymm");
    heap.memory.setUint8(p + 16, 1);
    expect(() => heap.process.prctl(56)).toThrow(HeapError);
    expect(() => heap.memory.getUint8(p + 16)).toThrow(expect.objectContaining({ code: "SEGV_MTESERR" }));
  });

  test("can be changed while the heap runs, in every thread; off is final and leaves old chunks usable", () => {
    const heap = tagged();
    const thread = heap.process.createThread();
    const [small, large] = [heap.malloc(40), heap.malloc(LARGE)];
    heap.free(heap.malloc(LARGE));
    heap.setTagging("async");
    expect(thread.memory.tagCheckMode).toBe(2);
    heap.malloc_disable_memory_tagging();
    expect(heap.tagging).toBe("off");
    expect(heap.memory.getUint8(withoutTag(small))).toBe(0);
    for (const p of [heap.malloc(40), heap.malloc(LARGE), heap.calloc(1, 5000)]) {
      expect(tagOf(p)).toBe(0);
      heap.memory.fill(p, 1, 40);
    }
    heap.free(small);
    expect(tagOf(heap.realloc(large, 2 * LARGE))).toBe(0);
    heap.checkInvariants();
    expect(() => heap.setTagging("sync")).toThrow(RangeError);
    expect(() => new Heap({ memoryBytes: MEMORY }).setTagging("sync")).toThrow(RangeError);
  });

  test("a fault outside the heap's memory stays a SegmentationFault, and goes to the handler that was there", () => {
    const kernel = createKernel({ memoryBytes: MEMORY });
    const process = kernel.createProcess();
    const seen: string[] = [];
    process.sigaction(SIGSEGV, { flags: 0, handler: ({ code }) => seen.push(code) });
    const heap = tagged({ memoryBytes: undefined, process });
    expect(() => heap.memory.getUint8(64)).toThrow(SegmentationFault);
    expect(seen).toEqual(["SEGV_MAPERR"]);
    expect(() => heap.memory.getUint8(heap.malloc(1) - 1)).toThrow(HeapError);
    expect(seen).toEqual(["SEGV_MAPERR"]);
  });
});

describe("fork", () => {
  test("a child has the chunks with their tags, and its own from then on", () => {
    const heap = tagged();
    const [p, large] = [heap.malloc(100), heap.malloc(LARGE)];
    heap.memory.setUint32(p, 5);
    heap.memory.setUint32(large + 50_000, 6);
    const child = heap.fork();
    expect([child.memory.getUint32(p), child.memory.getUint32(large + 50_000)]).toEqual([5, 6]);
    child.free(p);
    child.free(large);
    expect(isCaught(() => child.memory.getUint32(p))).toBe(true);
    expect(isCaught(() => child.memory.getUint32(large))).toBe(true);
    expect([heap.memory.getUint32(p), heap.memory.getUint32(large + 50_000)]).toEqual([5, 6]);
    heap.checkInvariants();
    child.checkInvariants();
    heap.kernel.checkInvariants();
  });

  test("two heaps in one process: both go on in the child, each with its own reports", () => {
    const process = createKernel({ memoryBytes: MEMORY }).createProcess();
    const first = tagged({ memoryBytes: undefined, process });
    const second = tagged({ memoryBytes: undefined, process, seed: 12 });
    const [p, q] = [first.malloc(64), second.malloc(64)];
    const child = process.fork();
    const [firstChild, secondChild] = [first.inProcess(child), second.inProcess(child)];
    for (const [heap, pointer] of [
      [first, p],
      [second, q],
      [firstChild, p],
      [secondChild, q],
    ] as const) {
      heap.memory.setUint8(pointer, 1);
      expect(() => heap.memory.getUint8(pointer + 64)).toThrow(expect.objectContaining({ kind: "tag-fault" }));
      heap.free(pointer);
      expect(() => heap.memory.getUint8(pointer)).toThrow(expect.objectContaining({ kind: "tag-fault" }));
      heap.checkInvariants();
    }
  });
});

describe("bad input", () => {
  test("posix_memalign stores its result as the program would: through a checked pointer", () => {
    const heap = tagged();
    const target = heap.malloc(16);
    expect(heap.posix_memalign(target, 64, 100)).toBe(0);
    expect(heap.memory.getUint32(target + 4) >>> 16).toBeGreaterThan(0);
    expect(isCaught(() => heap.posix_memalign(withoutTag(target), 64, 100))).toBe(true);
    heap.checkInvariants();
  });

  test("a machine without MTE, a configuration without tags, undefined bytes looked for as well", () => {
    expect(() => tagged({ uninitialised: "page" })).toThrow(/cannot be given together/);
    const kernel = createKernel({ memoryBytes: MEMORY, mte: false });
    expect(() => tagged({ memoryBytes: undefined, kernel })).toThrow(
      new RangeError('tagging: "sync" needs a machine with MTE (mte: true)'),
    );
    expect(() => tagged({ config: "fuchsia" })).toThrow(RangeError);
    expect(() => tagged({ tagging: "on" as "sync" })).toThrow(/tagging/);
  });

  test("a wild pointer, an untagged one, one into the middle, a value that is no number", () => {
    const heap = tagged();
    const p = heap.malloc(64);
    expect(isCaught(() => heap.memory.getUint8(withoutTag(p)))).toBe(true);
    expect(() => heap.free(withoutTag(p))).toThrow(HeapError);
    expect(() => heap.free(withTag(p, (tagOf(p) % 15) + 1))).toThrow(HeapError);
    expect(() => heap.free(p + 8)).toThrow(expect.objectContaining({ kind: "misaligned" }));
    expect(() => heap.free(p + 32)).toThrow(HeapError);
    expect(() => heap.free(2 ** 52)).toThrow(RangeError);
    heap.free(p);
    heap.checkInvariants();
  });
});
