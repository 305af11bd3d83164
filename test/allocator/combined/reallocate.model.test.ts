// Realloc of large chunks both ways: a heap that moves pages and one that copies bytes run the same calls, and every byte that a
// heap promises must read the same in both. In-place growth, shrinking, refills and odd sizes of pages come by chance.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Heap } from "../../../allocator/heap/heap.ts";
import type { HeapOptions } from "../../../allocator/options/options.ts";
import { Kernel } from "../../../platform/kernel/kernel.ts";
import { createKernel } from "../../../refpage/kernel.ts";
import { openHeap } from "../open-heap.ts";

const RAM = { memoryBytes: 2 ** 27 };
const largest = 400_000;

const settings: Record<string, HeapOptions> = {
  zero: { fill: "zero" },
  pattern: { fill: "pattern", pattern: [1, 2, 3, 4] },
  "pattern by memset": { fill: "pattern", largeFill: "memset" },
  "zero, all room usable": { fill: "zero", exactUsableSize: false },
  "no fill": {},
  "zero with tags": { fill: "zero", tagging: "sync" },
  "pattern with tags": { fill: "pattern", tagging: "async" },
  "zero with tags, on Linux as it is": { fill: "zero", tagging: "sync", kernel: new Kernel(RAM), write: () => {} },
  "zero with tags by the program": {
    fill: "zero",
    tagging: "sync",
    onTagFailure: "user-tags",
    kernel: new Kernel(RAM),
    write: () => {},
  },
  "zero by pages": { fill: "zero", uninitialised: "page" },
  "pattern by bytes": { fill: "pattern", uninitialised: "byte", kernel: createKernel({ ...RAM, shadow: true }) },
  "slack, zero": { fill: "zero", config: "android" },
};

const resize = fc.oneof(
  fc.record({ to: fc.integer({ min: 1, max: largest }), by: fc.constant(null) }),
  fc.record({ to: fc.constant(null), by: fc.integer({ min: -5000, max: 5000 }) }),
  fc.record({ to: fc.constant(null), by: fc.integer({ min: -100_000, max: 100 }) }),
);
/** A new size, and how much of the chunk is written afterwards; `room`: of all the room there is. */
const step = fc.record({ resize, written: fc.constantFrom("all", "some", "none"), room: fc.boolean() });

/** One of the two heaps with its chunk. */
class Side {
  readonly heap: Heap;
  pointer: number;

  constructor(heap: Heap, size: number) {
    this.heap = heap;
    this.pointer = heap.malloc(size);
    heap.memory.fill(this.pointer, 0x77, size);
  }

  bytes(length: number): Uint8Array {
    return this.heap.memory.read(this.pointer, length).slice();
  }
}

describe.each(Object.entries(settings))("%s", (name, { kernel: given, ...options }) => {
  test("moving shows the bytes that copying shows", () => {
    const isFilled = options.fill !== undefined;
    const program = fc.tuple(
      fc.integer({ min: 132_000, max: largest }),
      fc.array(step, { minLength: 3, maxLength: 10 }),
    );
    fc.assert(
      fc.property(program, ([first, steps]) => {
        const kernel = given ?? createKernel(RAM);
        const make = (largeRealloc: "mremap" | "copy"): Heap => {
          const heap = openHeap({ ...options, largeRealloc, process: kernel.createProcess() });
          if (name.startsWith("slack")) heap.malloc_set_add_large_allocation_slack(1);
          return heap;
        };
        const sides = [new Side(make("mremap"), first), new Side(make("copy"), first)];
        let size = first;
        // Without a fill only what the program has written is promised.
        let known = first;
        for (const { resize, written, room } of steps) {
          const before = size;
          size = Math.min(largest, Math.max(1, resize.to ?? before + (resize.by ?? 0)));
          for (const side of sides) side.pointer = side.heap.realloc(side.pointer, size);
          known = Math.min(known, size);
          const [moved, copied] = sides.map((side) => side.bytes(isFilled ? size : known));
          expect(firstDifference(moved, copied)).toBe(-1);
          for (const { heap, pointer } of sides) {
            const usable = room && options.exactUsableSize !== false ? heap.malloc_usable_size(pointer) : size;
            if (written === "all") heap.memory.fill(pointer, 0x99, usable);
            if (written === "some") heap.memory.fill(pointer + (size >> 1), 0x66, size - (size >> 1));
          }
          if (written === "all" || (written === "some" && known >= size >> 1)) known = size;
        }
        for (const { heap, pointer } of sides) {
          heap.free(pointer);
          heap.checkInvariants();
          heap.process.exit(0);
        }
      }),
      { numRuns: 40 },
    );
  });
});

function firstDifference(a: Uint8Array, b: Uint8Array): number {
  if (Buffer.from(a.buffer, a.byteOffset, a.length).equals(b)) return -1;
  return a.findIndex((byte, index) => byte !== b[index]);
}
