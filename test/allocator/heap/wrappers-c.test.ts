// Scudo's tests of its C wrappers (S33, wrappers_c), mirrored on the heap's C functions; sizes run to 65536 as there.
import { describe, expect, test } from "vitest";
import { HeapError } from "../../../allocator/common/heap-error.ts";
import { Heap } from "../../../allocator/heap/heap.ts";
import type { HeapOptions } from "../../../allocator/options/options.ts";

const SIZE_MAX = 2 ** 64;
const PAGE = 4096;
const EINVAL = 22;
const ENOMEM = 12;
const powersOfTwo = Array.from({ length: 17 }, (_, log) => 2 ** log);

function createHeap(options: HeapOptions = {}): Heap {
  return new Heap({ seed: 1, ...options });
}

/** The kind of the report that `act` ends in. */
function kindOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof HeapError) return error.kind;
    throw error;
  }
  return "no report";
}

describe("malloc", () => {
  test("gives at least the size, aligned to 16; misaligned and double frees are reports", () => {
    const heap = createHeap();
    const pointer = heap.malloc(100);
    expect(pointer % 16).toBe(0);
    expect(heap.malloc_usable_size(pointer)).toBeGreaterThanOrEqual(100);
    expect(kindOf(() => heap.free(pointer + 1))).toBe("misaligned");
    heap.free(pointer);
    expect(kindOf(() => heap.free(pointer))).toBe("invalid-state");
  });

  test("of 0 gives a pointer that can be freed", () => {
    const heap = createHeap();
    const pointer = heap.malloc(0);
    expect(pointer).not.toBe(0);
    heap.free(pointer);
  });

  test("of SIZE_MAX is null with ENOMEM", () => {
    const heap = createHeap();
    expect(heap.malloc(SIZE_MAX)).toBe(0);
    expect(heap.errno).toBe(ENOMEM);
  });
});

describe("calloc", () => {
  test("zeroes", () => {
    const heap = createHeap({ fill: "pattern" });
    const pointer = heap.calloc(1, 100);
    expect(heap.memory.read(pointer, 100)).toEqual(new Uint8Array(100));
  });

  test.each([
    [1, 0],
    [0, 1],
  ])("of (%d, %d) gives a pointer", (count, size) => {
    expect(createHeap().calloc(count, size)).not.toBe(0);
  });

  test.each([
    [SIZE_MAX, SIZE_MAX],
    [SIZE_MAX / 2 + 4096, 2],
    [2, SIZE_MAX],
  ])("whose product overflows (%d, %d) is null with ENOMEM", (count, size) => {
    const heap = createHeap();
    expect(heap.calloc(count, size)).toBe(0);
    expect(heap.errno).toBe(ENOMEM);
  });
});

describe("memalign, posix_memalign, aligned_alloc", () => {
  test("memalign of every power of two up to 65536 and every size", () => {
    const heap = createHeap();
    for (const alignment of powersOfTwo) {
      for (const size of powersOfTwo) {
        const pointer = heap.memalign(alignment, size);
        expect(pointer % Math.max(alignment, 16)).toBe(0);
        expect(heap.malloc_usable_size(pointer)).toBeGreaterThanOrEqual(size);
        heap.free(pointer);
      }
    }
  });

  test.each([0, 4, 15, 24])(
    "posix_memalign of alignment %i is EINVAL, and a report where null may not be returned",
    (alignment) => {
      const strict = new Heap({ mayReturnNull: false, memoryBytes: 2 ** 26, seed: 1 });
      const at = strict.malloc(8);
      expect(() => strict.posix_memalign(at, alignment, 100)).toThrow(/invalid alignment requested in posix_memalign/);
      expect(new Heap({ memoryBytes: 2 ** 26 }).posix_memalign(0, alignment, 100)).toBe(EINVAL);
    },
  );

  test("posix_memalign of every alignment from 8 to 262144", () => {
    const heap = createHeap();
    const place = heap.malloc(8);
    for (let alignment = 8; alignment <= 2 ** 18; alignment *= 2) {
      expect(heap.posix_memalign(place, alignment, 100)).toBe(0);
      const pointer = Number(heap.memory.getBigUint64(place));
      expect(pointer % alignment).toBe(0);
      heap.free(pointer);
    }
  });

  test("refuse what is no power of two, and what there is no memory for", () => {
    const heap = createHeap();
    const place = heap.malloc(8);
    expect(heap.memalign(15, 100)).toBe(0);
    expect(heap.errno).toBe(EINVAL);
    expect(heap.posix_memalign(place, 15, 100)).toBe(EINVAL);
    expect(heap.posix_memalign(place, PAGE, SIZE_MAX)).toBe(ENOMEM);
    expect(heap.memalign(PAGE, SIZE_MAX)).toBe(0);
  });

  test("of Android take alignments that are no powers of two, rounded up", () => {
    const heap = createHeap({ config: "android" });
    for (let alignment = 0; alignment <= 128; alignment++) {
      const pointer = heap.memalign(alignment, 100);
      expect(pointer).not.toBe(0);
      heap.free(pointer);
    }
  });

  test("aligned_alloc wants a size that is a multiple of its alignment", () => {
    const heap = createHeap();
    expect(heap.aligned_alloc(PAGE, 16 * PAGE) % PAGE).toBe(0);
    expect(heap.aligned_alloc(PAGE, 100)).toBe(0);
    expect(heap.errno).toBe(EINVAL);
    expect(heap.aligned_alloc(3, 3)).toBe(0);
  });
});

describe("realloc", () => {
  test("of null allocates, to 0 frees and answers null", () => {
    const heap = createHeap();
    const pointer = heap.realloc(0, 100);
    expect(pointer).not.toBe(0);
    expect(heap.realloc(pointer, 0)).toBe(0);
    expect(kindOf(() => heap.free(pointer))).toBe("invalid-state");
  });

  test("keeps contents, growing and shrinking", () => {
    const heap = createHeap();
    let pointer = heap.malloc(100);
    heap.memory.fill(pointer, 0x42, 100);
    pointer = heap.realloc(pointer, 20_000);
    expect(heap.memory.read(pointer, 100).every((byte) => byte === 0x42)).toBe(true);
    pointer = heap.realloc(pointer, 50);
    expect(heap.memory.read(pointer, 50).every((byte) => byte === 0x42)).toBe(true);
    expect(heap.malloc_usable_size(pointer)).toBe(50);
  });

  test("doubling from 16 bytes to four times the largest class keeps every byte", () => {
    const heap = createHeap();
    let size = 16;
    let pointer = heap.malloc(size);
    heap.memory.fill(pointer, 0xab, size);
    for (; size <= 4 * 131_072; size *= 2) {
      pointer = heap.realloc(pointer, size * 2);
      expect(heap.memory.read(pointer, size).every((byte) => byte === 0xab)).toBe(true);
      heap.memory.fill(pointer + size, 0xab, size);
    }
  });

  test("halving from twice the largest class to 1 byte keeps what fits", () => {
    const heap = createHeap();
    let size = 2 * 131_072;
    let pointer = heap.malloc(size);
    heap.memory.fill(pointer, 0xab, 2048);
    for (; size > 1; size /= 2) {
      pointer = heap.realloc(pointer, size / 2);
      const kept = Math.min(2048, size / 2);
      expect(heap.memory.read(pointer, kept).every((byte) => byte === 0xab)).toBe(true);
    }
  });

  test("of a freed chunk is a report", () => {
    const heap = createHeap();
    const pointer = heap.malloc(100);
    heap.free(pointer);
    expect(kindOf(() => heap.realloc(pointer, 200))).toBe("invalid-state");
  });

  test("to SIZE_MAX is null with ENOMEM, and the old chunk is still good", () => {
    const heap = createHeap();
    const pointer = heap.malloc(100);
    heap.memory.setUint8(pointer + 99, 7);
    expect(heap.realloc(pointer, SIZE_MAX)).toBe(0);
    expect(heap.errno).toBe(ENOMEM);
    expect(heap.memory.getUint8(pointer + 99)).toBe(7);
    heap.free(pointer);
  });

  test("of Android takes memalign's chunks", () => {
    const heap = createHeap({ config: "android" });
    const pointer = heap.realloc(heap.memalign(64, 100), 5000);
    expect(heap.malloc_usable_size(pointer)).toBe(5000);
  });
});

describe("valloc and pvalloc", () => {
  test("align to a page, and pvalloc rounds the size up to whole pages", () => {
    const heap = createHeap();
    for (const pointer of [heap.valloc(1), heap.pvalloc(0), heap.pvalloc(PAGE + 1)]) expect(pointer % PAGE).toBe(0);
    expect([0, 1, PAGE, PAGE + 1].map((size) => heap.malloc_usable_size(heap.pvalloc(size)))).toEqual([
      PAGE,
      PAGE,
      PAGE,
      2 * PAGE,
    ]);
    expect(heap.pvalloc(SIZE_MAX)).toBe(0);
    expect(heap.errno).toBe(ENOMEM);
  });
});

describe("free_sized and free_aligned_sized", () => {
  test("check the size and the alignment", () => {
    const heap = createHeap();
    const pointer = heap.malloc(100);
    expect(kindOf(() => heap.free_sized(pointer, 99))).toBe("size-mismatch");
    heap.free_sized(pointer, 100);
    const aligned = heap.aligned_alloc(64, 128);
    expect(kindOf(() => heap.free_aligned_sized(aligned, 2 ** 20, 128))).not.toBe("no report");
    heap.free_aligned_sized(aligned, 64, 128);
  });
});

describe("mallopt", () => {
  test("answers 0 for an unknown code and leaves errno alone", () => {
    const heap = createHeap();
    heap.errno = 0;
    expect(heap.mallopt(-1000, 1)).toBe(0);
    expect(heap.errno).toBe(0);
  });

  test("purges, and takes decay times", () => {
    const heap = createHeap();
    expect([heap.mallopt(-101, 0), heap.mallopt(-104, 0), heap.mallopt(-100, 1), heap.mallopt(-100, 0)]).toEqual([
      1, 1, 1, 1,
    ]);
  });

  test("of Android takes its cache's limits and thread caches, and only -1, 0 and 1 as a decay time", () => {
    const heap = createHeap({ config: "android" });
    expect([heap.mallopt(-200, 100), heap.mallopt(-201, 2 ** 20), heap.mallopt(-202, 4)]).toEqual([1, 1, 1]);
    expect([-1, 0, 1].map((value) => heap.mallopt(-100, value))).toEqual([1, 1, 1]);
    expect(kindOf(() => heap.mallopt(-100, 2))).toBe("check-failed");
  });
});

describe("mallinfo and mallinfo2", () => {
  test("move by what is allocated", () => {
    const heap = createHeap();
    const before = [heap.mallinfo().uordblks, heap.mallinfo2().uordblks];
    const pointer = heap.malloc(1024);
    expect(heap.mallinfo().uordblks - before[0]!).toBeGreaterThanOrEqual(1024);
    expect(heap.mallinfo2().uordblks - before[1]!).toBeGreaterThanOrEqual(1024);
    heap.free(pointer);
    expect(heap.mallinfo2().uordblks).toBe(before[1]);
  });
});

describe("malloc_iterate", () => {
  test("counts a chunk at the border of two adjacent ranges once", () => {
    const heap = createHeap();
    const pointers = Array.from({ length: 64 }, () => heap.malloc(PAGE - 64));
    const middle = pointers[20]! - 16;
    const seen: number[] = [];
    heap.malloc_disable();
    heap.malloc_iterate(0, middle, (pointer) => seen.push(pointer));
    heap.malloc_iterate(middle, 2 ** 38 - middle, (pointer) => seen.push(pointer));
    heap.malloc_enable();
    expect(seen.toSorted((a, b) => a - b)).toEqual(pointers.toSorted((a, b) => a - b));
  });

  test("visits large chunks in order of allocation, with their sizes", () => {
    const heap = createHeap();
    const first = heap.malloc(200_000);
    const second = heap.malloc(300_001);
    const seen: number[][] = [];
    heap.malloc_disable();
    heap.malloc_iterate(0, 2 ** 38, (pointer, size) => seen.push([pointer, size]));
    heap.malloc_enable();
    expect(seen).toEqual([
      [first, 200_000],
      [second, 300_001],
    ]);
  });

  test("wants a disabled heap", () => {
    expect(() => createHeap().malloc_iterate(0, 1, () => {})).toThrow("malloc_disable");
  });
});

describe("between malloc_disable and malloc_enable", () => {
  test.each([
    ["malloc", (heap: Heap, _pointer: number) => heap.malloc(10)],
    ["a large malloc", (heap: Heap) => heap.malloc(500_000)],
    ["free", (heap: Heap, pointer: number) => heap.free(pointer)],
    ["realloc", (heap: Heap, pointer: number) => heap.realloc(pointer, 100_000)],
  ])("%s would wait for ever, which is a report", (_name, act) => {
    const heap = createHeap();
    const pointer = heap.malloc(10);
    heap.malloc_disable();
    expect(kindOf(() => act(heap, pointer))).toBe("deadlock");
    heap.malloc_enable();
    heap.free(pointer);
    heap.checkInvariants();
  });
});

describe("malloc_info", () => {
  test("has the version and the sizes of live chunks", () => {
    const heap = createHeap();
    const pointers = [heap.malloc(1234), heap.malloc(4321), heap.malloc(200_000)];
    let text = "";
    expect(
      heap.malloc_info(0, (part) => {
        text += part;
      }),
    ).toBe(0);
    expect(text).toContain('<malloc version="scudo-1">');
    expect(text).toContain('<alloc size="1234" count="1"/>');
    expect(text).toContain('<alloc size="4321" count="1"/>');
    expect(text).not.toContain("200000");
    for (const pointer of pointers) heap.free(pointer);
  });
});

describe("fork", () => {
  test("gives the child a heap that works, and both keep their own memory", () => {
    const heap = createHeap({ fill: "pattern" });
    const chunks = [64, 4096, 300_000].map((size) => heap.malloc(size));
    for (const pointer of chunks) heap.memory.setUint32(pointer, 1);
    const child = heap.fork();
    for (const pointer of chunks) {
      child.memory.setUint32(pointer, 2);
      child.free(pointer);
      expect(heap.memory.getUint32(pointer)).toBe(1);
    }
    expect(child.malloc(64)).not.toBe(0);
    child.checkInvariants();
    heap.checkInvariants();
  });

  test("while the heap is disabled stalls, which is a report", () => {
    const heap = createHeap();
    heap.malloc_disable();
    expect(kindOf(() => heap.fork())).toBe("deadlock");
    heap.malloc_enable();
    expect(heap.fork().malloc(1)).not.toBe(0);
  });
});
