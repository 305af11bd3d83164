// What a free and a change of size do to a tagged heap at its edges: no frame for the tags that they write, tagging that was switched
// off, chunks of no bytes, and caches with room. The rules of tags are tagging.test.ts, random programs tagged.model.test.ts.
import { describe, expect, test } from "vitest";
import { type Heap, partsOf } from "../../../allocator/heap/heap.ts";
import { TagFaultError } from "../../../allocator/tagging/tag-fault.ts";
import { isCaught, LARGE, MEMORY, tagged } from "../../../fuzz/tagging/tagged-heap.ts";
import { loadTag } from "../../../platform/hardware/mte.ts";
import { tagOf, withoutTag } from "../../../platform/hardware/tags.ts";
import { Kernel } from "../../../platform/kernel/kernel.ts";
import { failFrame, isLackOfMemory } from "../inject-failures.ts";

/** Bytes of a chunk's first `size` bytes, tags of these and those behind them, and the size that its header says. */
function contents(heap: Heap, p: number, size: number): { bytes: number[]; tags: number[]; usable: number } {
  const { memory } = heap.process;
  // Behind a large chunk's last page nothing is mapped.
  const end = size < LARGE - 3000 ? p + size + 3200 : Math.ceil((p + size) / 4096) * 4096;
  return {
    usable: heap.malloc_usable_size(p),
    bytes: Array.from({ length: size }, (_, i) => memory.getUint8(p + i)),
    tags: Array.from({ length: (end - p) / 16 }, (_, i) => loadTag(memory, p + 16 * i)),
  };
}

describe("without a frame for the pages that it writes, in a fork that shares them all,", () => {
  const nothing = (): void => {};
  const own = (heap: Heap, p: number): void => heap.memory.setUint8(p, heap.memory.getUint8(p));
  const cases: [string, number, (heap: Heap, p: number) => unknown, (heap: Heap, p: number) => unknown][] = [
    ["a free of a chunk over two pages", 6000, (heap, p) => heap.free(p), nothing],
    ["a free of a chunk whose first page is the child's own", 6000, (heap, p) => heap.free(p), own],
    ["a free of a chunk over many pages", 60_000, (heap, p) => heap.free(p), nothing],
    ["a free of many pages whose first is the child's own", 60_000, (heap, p) => heap.free(p), own],
    ["a chunk that shrinks by pages", 60_000, (heap, p) => heap.realloc(p, 58_000), nothing],
    ["a chunk that shrinks, its first page the child's own", 60_000, (heap, p) => heap.realloc(p, 58_000), own],
    ["a chunk that shrinks by a granule", 6000, (heap, p) => heap.realloc(p, 5984), nothing],
    ["a chunk that shrank and grows over a page's border", 57_000, (heap, p) => heap.realloc(p, 60_000), own],
    ["a chunk that grows by a granule", 5960, (heap, p) => heap.realloc(p, 6000), own],
    ["a large chunk that shrinks", LARGE, (heap, p) => heap.realloc(p, LARGE - 100), nothing],
    [
      "a large chunk that shrinks, its first page the child's own",
      LARGE,
      (heap, p) => heap.realloc(p, LARGE - 100),
      own,
    ],
  ];

  test.each(cases)("%s is refused with nothing changed, and works the next time", (_, size, act, prepare) => {
    const heap = tagged();
    const p = heap.realloc(heap.malloc(Math.ceil(size / 3000) * 3000), size);
    heap.memory.fill(p, 0x5a, size);
    heap.free(heap.malloc(size));
    let refused = 0;
    for (let n = 1; ; n++) {
      const child = heap.fork();
      prepare(child, p);
      const before = contents(child, p, size);
      const disarm = failFrame(n)(child);
      let error: unknown = null;
      try {
        act(child, p);
      } catch (thrown) {
        error = thrown;
      }
      const cameToIt = disarm();
      if (error !== null) {
        refused++;
        expect(isLackOfMemory(error)).toBe(true);
        expect(contents(child, p, size)).toEqual(before);
        act(child, p);
      }
      child.checkInvariants();
      child.kernel.checkInvariants();
      child[Symbol.dispose]();
      if (!cameToIt || n > 40) break;
    }
    expect(refused).toBeGreaterThan(0);
  });
});

describe("after tagging was switched off", () => {
  test("a free leaves the bytes as they are, and pointers with tags go on", () => {
    const heap = tagged();
    const [p, q] = [heap.malloc(100), heap.malloc(100)];
    heap.memory.fill(p, 0x5a, 100);
    heap.setTagging("off");
    heap.free(p);
    expect(heap.process.memory.getUint8(withoutTag(p) + 50)).toBe(0x5a);
    heap.memory.setUint8(q, 1);
    heap.free(heap.realloc(q, 90));
    expect(tagOf(heap.malloc(100))).toBe(0);
    heap.checkInvariants();
  });
});

test("a chunk of no bytes that was freed is the cause of what still uses it, by the tag that it had", () => {
  const heap = tagged();
  const p = heap.malloc(0);
  heap.free(p);
  let error: unknown = null;
  try {
    heap.memory.getUint8(p);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(TagFaultError);
  expect((error as TagFaultError).causes[0]).toMatchObject({ kind: "use-after-free", size: 0, offset: 0 });
});

test("a free that finds room in the thread's cache moves no block to the free list and releases nothing", () => {
  const heap = tagged();
  const { primary, primaryRelease, registry } = partsOf(heap).allocator;
  const pointers = Array.from({ length: 40 }, () => heap.malloc(100));
  const { cache } = registry.all()[0];
  const classId = cache.counts.findIndex((_, id) => id > 0 && primary.regions.popped[id] > 0);
  const most = primary.shape.maxCounts[classId];
  let releases = 0;
  const release = primaryRelease.release.bind(primaryRelease);
  Object.assign(primaryRelease, {
    release: (...given: Parameters<typeof release>) => {
      releases++;
      return release(...given);
    },
  });
  for (const p of pointers) {
    const held = cache.counts[classId];
    const before = releases;
    heap.free(p);
    expect(releases - before).toBe(held === most ? 1 : 0);
    if (held < most) expect(cache.counts[classId]).toBe(held + 1);
    else expect(cache.counts[classId]).toBeLessThan(most);
  }
  expect(releases).toBeGreaterThan(0);
});

describe("on a kernel without reference pages a large chunk has no tag, and", () => {
  const plain = (maxMapCount?: number) =>
    tagged({ memoryBytes: undefined, kernel: new Kernel({ memoryBytes: MEMORY }, { maxMapCount }), write: () => {} });

  test("comes from the cache with all of its bytes to load and store, and headers that are guarded", () => {
    const heap = plain();
    const p = heap.malloc(LARGE);
    heap.memory.fill(p, 1, LARGE);
    heap.free(p);
    let unmapped = 0;
    heap.process.munmap = () => {
      unmapped++;
      return 0;
    };
    const q = heap.malloc(LARGE - 5000);
    expect(Math.abs(withoutTag(q) - withoutTag(p))).toBeLessThan(8192);
    expect(unmapped).toBe(0);
    heap.memory.fill(q, 2, LARGE - 5000);
    expect([heap.memory.getUint8(q), heap.memory.getUint8(q + LARGE - 5001)]).toEqual([2, 2]);
    for (const distance of [1, 17, 40]) expect(isCaught(() => heap.memory.getUint8(q - distance))).toBe(true);
    heap.checkInvariants();
  });

  test("has headers that are not guarded where no mapping can be split any more, and works", () => {
    const heap = plain();
    heap.free(heap.malloc(100));
    const { program } = partsOf(heap).allocator;
    const protect = program.protect.bind(program);
    Object.assign(program, { protect: () => false });
    const p = heap.malloc(LARGE);
    Object.assign(program, { protect });
    heap.memory.fill(p, 1, LARGE);
    expect(loadTag(heap.process.memory, p - 16)).toBe(0);
    heap.free(p);
    heap.checkInvariants();
  });
});
