// The secondary cache of later Scudo versions: recency decides what is kept and what is tried first.
import { describe, expect, test } from "vitest";
import { Heap } from "../../../allocator/heap/heap.ts";
import type { HeapOptions } from "../../../allocator/options/options.ts";

const PAGE = 4096;

function createHeap(options: HeapOptions = {}): Heap {
  return new Heap({ seed: 1, secondaryCachePolicy: "lru", releaseToOSIntervalMs: -1, ...options });
}

/** Allocates one chunk of each size, and frees them in this order. */
function freeInOrder(heap: Heap, sizes: readonly number[]): number[] {
  const pointers = sizes.map((size) => heap.malloc(size));
  for (const pointer of pointers) heap.free(pointer);
  return pointers;
}

function entrySizes(heap: Heap): number[] {
  return heap.stats().secondary.cache!.entries.map(({ begin, end }) => end - begin);
}

describe("a cache by recency", () => {
  test("lists the newest entry first", () => {
    const heap = createHeap();
    freeInOrder(heap, [200_000, 300_000, 400_000]);
    expect(entrySizes(heap)).toEqual([401_408, 303_104, 200_704]);
  });

  test("gives up its oldest entry when it is full, and never all of them", () => {
    const heap = createHeap();
    heap.mallopt(-200, 3);
    freeInOrder(heap, [150_000, 200_000, 250_000, 300_000, 350_000, 400_000, 450_000, 500_000, 510_000]);
    expect(entrySizes(heap)).toEqual([512_000, 503_808, 450_560]);
    heap.checkInvariants();
  });

  test("keeps its order when an entry in the middle was taken", () => {
    const heap = createHeap();
    freeInOrder(heap, [200_000, 300_000, 400_000]);
    const middle = heap.malloc(300_000);
    freeInOrder(heap, [500_000]);
    expect(entrySizes(heap)).toEqual([503_808, 401_408, 200_704]);
    heap.free(middle);
    expect(entrySizes(heap)).toEqual([303_104, 503_808, 401_408, 200_704]);
  });

  test("takes the most recent of entries that fit equally well", () => {
    const heap = createHeap();
    const [, newest] = freeInOrder(heap, [200_000, 200_000]);
    expect(heap.malloc(200_000)).toBe(newest);
  });

  test("takes an entry with up to eight pages of waste, and gives those beyond four back", () => {
    const heap = createHeap({ fill: "none" });
    const [pointer] = freeInOrder(heap, [200_000]);
    expect(heap.malloc(200_000)).toBe(pointer);
    heap.memory.fill(pointer!, 1, 200_000);
    heap.free(pointer!);
    const before = heap.process.rssBytes;
    const smaller = heap.malloc(200_000 - 7 * PAGE);
    expect(heap.stats().secondary.cache!.hits).toBe(2);
    expect(before - heap.process.rssBytes).toBe(3 * PAGE);
    expect(heap.memory.getUint8(smaller)).toBe(1);
    heap.free(smaller);
    heap.malloc(200_000 - 9 * PAGE);
    expect(heap.stats().secondary.cache!.hits).toBe(2);
  });

  test("heads its entries in the statistics", () => {
    let text = "";
    const heap = createHeap({
      write: (part) => {
        text += part;
      },
    });
    freeInOrder(heap, [200_000]);
    heap.print_stats();
    expect(text).toMatch(/\nCache Entry Info \(Most Recent -> Least Recent\):\n {2}StartBlockAddress: 0x/);
  });
});
