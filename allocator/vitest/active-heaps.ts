// The heaps of the tests that run now: what `expect(function)` looks at when no heap is named.

import type { Heap } from "../heap/heap.ts";

const heaps = new Set<Heap>();

/** Matchers over functions look at this heap, too, until it is unwatched: for a heap that is not the fixture's. */
export function watchHeap(heap: Heap): void {
  heaps.add(heap);
}

export function unwatchHeap(heap: Heap): void {
  heaps.delete(heap);
}

export function activeHeaps(): readonly Heap[] {
  return [...heaps];
}
