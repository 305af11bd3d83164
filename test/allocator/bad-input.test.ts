// Bad input: what C has no word for is a RangeError or TypeError before anything changes, the rest is Scudo's report; and after
// each of them the heap is whole.
import { describe, expect, test } from "vitest";
import { HeapError } from "../../allocator/common/heap-error.ts";
import { Heap } from "../../allocator/heap/heap.ts";

const unconvertible = Object.create(null);
const notNumbers = ["100", null, undefined, {}, 10n, true, Symbol("10"), unconvertible] as unknown as number[];
/** Our message, not the host's of a conversion that failed on the way. */
const OURS = expect.stringMatching(/is not a (number|pointer)/);
const notSizes = [Number.NaN, -1, 0.5, Number.POSITIVE_INFINITY, -Infinity];

const sizeCalls: [string, (heap: Heap, size: number) => unknown][] = [
  ["malloc", (heap, size) => heap.malloc(size)],
  ["calloc, count", (heap, size) => heap.calloc(size, 1)],
  ["calloc, size", (heap, size) => heap.calloc(1, size)],
  ["realloc", (heap, size) => heap.realloc(0, size)],
  ["reallocarray", (heap, size) => heap.reallocarray(0, 1, size)],
  ["memalign, alignment", (heap, size) => heap.memalign(size, 1)],
  ["memalign, size", (heap, size) => heap.memalign(16, size)],
  ["posix_memalign", (heap, size) => heap.posix_memalign(4096, 16, size)],
  ["aligned_alloc", (heap, size) => heap.aligned_alloc(16, size)],
  ["valloc", (heap, size) => heap.valloc(size)],
  ["pvalloc", (heap, size) => heap.pvalloc(size)],
  ["operator new", (heap, size) => heap.operatorNew(size)],
  ["free_sized", (heap, size) => heap.free_sized(0, size)],
];

const pointerCalls: [string, (heap: Heap, pointer: number) => unknown][] = [
  ["free", (heap, pointer) => heap.free(pointer)],
  ["realloc", (heap, pointer) => heap.realloc(pointer, 10)],
  ["malloc_usable_size", (heap, pointer) => heap.malloc_usable_size(pointer)],
  ["operator delete", (heap, pointer) => heap.operatorDelete(pointer)],
  ["free_sized", (heap, pointer) => heap.free_sized(pointer, 10)],
];

describe.each(sizeCalls)("the size of %s", (_name, call) => {
  test.each(notSizes)("of %d is a RangeError and changes nothing", (size) => {
    const heap = new Heap();
    heap.malloc(1);
    const chunks = heap.checkInvariants();
    expect(() => call(heap, size)).toThrow(RangeError);
    expect(heap.checkInvariants()).toEqual(chunks);
  });

  test.each(notNumbers)("of something that is no number is a TypeError", (size) => {
    expect(() => call(new Heap(), size)).toThrow(expect.objectContaining({ name: "TypeError", message: OURS }));
  });
});

describe.each(pointerCalls)("the pointer of %s", (_name, call) => {
  test.each([...notSizes, 2 ** 52, 2 ** 64])("%d is a RangeError", (pointer) => {
    expect(() => call(new Heap(), pointer)).toThrow(RangeError);
  });

  test.each(notNumbers)("of something that is no number is a TypeError", (pointer) => {
    expect(() => call(new Heap(), pointer)).toThrow(expect.objectContaining({ name: "TypeError", message: OURS }));
  });
});

describe("a pointer that is not the heap's", () => {
  function kindOf(act: () => unknown): string {
    try {
      act();
    } catch (error) {
      return error instanceof HeapError ? error.kind : (error as Error).name;
    }
    return "no report";
  }

  test("of another heap, inside a chunk, with a tag, or of nothing at all is a report, and the heap goes on", () => {
    const heap = new Heap({ seed: 1 });
    const other = new Heap({ process: heap.process, seed: 2 });
    const pointer = heap.malloc(100);
    heap.memory.fill(pointer, 0, 100);
    const kinds = [
      kindOf(() => heap.free(other.malloc(100))),
      kindOf(() => heap.free(pointer + 16)),
      kindOf(() => heap.free(pointer + 1)),
      kindOf(() => heap.free(pointer + 3 * 2 ** 48)),
      kindOf(() => heap.realloc(pointer + 32, 10)),
      kindOf(() => heap.malloc_usable_size(pointer + 32)),
      kindOf(() => heap.free(4096)),
    ];
    expect(kinds).toEqual([
      "corrupted-header",
      "corrupted-header",
      "misaligned",
      "corrupted-header",
      "corrupted-header",
      "corrupted-header",
      "SegmentationFault",
    ]);
    heap.checkInvariants();
    heap.free(pointer);
  });
});

test("sizes from 2^38 to SIZE_MAX are null with ENOMEM", () => {
  const heap = new Heap();
  for (const size of [2 ** 38, 2 ** 40 - 1, 2 ** 40, 2 ** 53, 2 ** 63, 2 ** 64]) {
    heap.errno = 0;
    expect([heap.malloc(size), heap.errno]).toEqual([0, 12]);
  }
  heap.checkInvariants();
});
