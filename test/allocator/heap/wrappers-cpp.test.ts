// Scudo's tests of its C++ operators (S33, wrappers_cpp), mirrored: sizes, alignments, every mismatched pair, sized forms.
import { describe, expect, test } from "vitest";
import { HeapError } from "../../../allocator/common/heap-error.ts";
import { Heap } from "../../../allocator/heap/heap.ts";

const allocators = {
  malloc: (heap: Heap) => heap.malloc(100),
  new: (heap: Heap) => heap.operatorNew(100),
  "new[]": (heap: Heap) => heap.operatorNew(100, { array: true }),
  memalign: (heap: Heap) => heap.memalign(64, 100),
} as const;
const releases = {
  free: (heap: Heap, pointer: number) => heap.free(pointer),
  delete: (heap: Heap, pointer: number) => heap.operatorDelete(pointer),
  "delete[]": (heap: Heap, pointer: number) => heap.operatorDelete(pointer, { array: true }),
} as const;
const matching = new Set(["malloc / free", "memalign / free", "new / delete", "new[] / delete[]"]);
const pairs = Object.keys(allocators).flatMap((allocator) =>
  Object.keys(releases).map((release) => [allocator, release] as [keyof typeof allocators, keyof typeof releases]),
);

function kindOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof HeapError) return error.kind;
    throw error;
  }
  return "no report";
}

describe("new and delete", () => {
  test.each([1, 4, 1024, 2 ** 20])("of %d bytes give usable memory", (size) => {
    const heap = new Heap();
    for (const array of [false, true]) {
      const pointer = heap.operatorNew(size, { array });
      expect(heap.malloc_usable_size(pointer)).toBeGreaterThanOrEqual(size);
      heap.memory.fill(pointer, 0x42, size);
      heap.operatorDelete(pointer, { array, size });
    }
    expect(heap.stats().allocatedBytes).toBe(0);
  });

  test.each([16, 32, 64, 128, 1024, 4096, 8192])("of an alignment of %d are aligned to it", (alignment) => {
    const heap = new Heap({ deallocTypeMismatch: true });
    const pointer = heap.operatorNew(100, { alignment });
    expect(pointer % alignment).toBe(0);
    expect(heap.malloc_usable_size(pointer)).toBe(100);
    heap.operatorDelete(pointer, { alignment });
  });

  test("of SIZE_MAX are null, by each operator, and set no errno", () => {
    const heap = new Heap();
    expect(heap.operatorNew(2 ** 64)).toBe(0);
    expect(heap.errno).toBe(0);
  });

  test("delete of null does nothing", () => {
    new Heap().operatorDelete(0);
  });
});

describe("with dealloc_type_mismatch", () => {
  test.each(pairs)("%s / %s is a report unless the two belong together", (allocator, release) => {
    const heap = new Heap({ deallocTypeMismatch: true });
    const pointer = allocators[allocator](heap);
    const expected = matching.has(`${allocator} / ${release}`) ? "no report" : "type-mismatch";
    expect(kindOf(() => releases[release](heap, pointer))).toBe(expected);
  });

  test("off, every pair is fine", () => {
    const heap = new Heap();
    for (const [allocator, release] of pairs) releases[release](heap, allocators[allocator](heap));
    heap.checkInvariants();
  });

  test("realloc takes chunks of malloc only", () => {
    const heap = new Heap({ deallocTypeMismatch: true });
    expect(kindOf(() => heap.realloc(heap.operatorNew(10), 20))).toBe("type-mismatch");
    expect(kindOf(() => heap.realloc(heap.memalign(64, 10), 20))).toBe("type-mismatch");
    expect(kindOf(() => heap.realloc(heap.malloc(10), 20))).toBe("no report");
  });
});

describe("sized delete", () => {
  test("of another size is a report, and the chunk stays allocated", () => {
    const heap = new Heap();
    const pointer = heap.operatorNew(100);
    expect(kindOf(() => heap.operatorDelete(pointer, { size: 99 }))).toBe("size-mismatch");
    heap.operatorDelete(pointer, { size: 100 });
  });

  test("of size 0 is not checked, and none is with delete_size_mismatch off", () => {
    const heap = new Heap();
    heap.operatorDelete(heap.operatorNew(100), { size: 0 });
    const lax = new Heap({ deleteSizeMismatch: false });
    lax.operatorDelete(lax.operatorNew(100), { size: 5 });
  });
});

describe("threads", () => {
  test("32 of them allocate and delete one another's chunks", () => {
    const heap = new Heap({ seed: 3 });
    const threads = Array.from({ length: 32 }, () => heap.process.createThread());
    const chunks = threads.flatMap((thread, index) =>
      heap.withThread(thread, () =>
        Array.from({ length: 64 }, (_, n) => heap.operatorNew(16 * (1 + ((index + n) % 40)))),
      ),
    );
    expect(new Set(chunks).size).toBe(32 * 64);
    for (const [index, pointer] of chunks.entries()) {
      heap.withThread(threads[(index * 7) % 32]!, () => heap.operatorDelete(pointer));
    }
    for (const thread of threads) heap.endThread(thread);
    expect(heap.stats().allocatedBytes).toBe(0);
    heap.checkInvariants();
  });

  test("allocations work in a child after a fork", () => {
    const heap = new Heap();
    const pointer = heap.operatorNew(100);
    const child = heap.fork();
    child.operatorDelete(pointer);
    child.operatorDelete(child.operatorNew(1000));
    child.checkInvariants();
  });
});
