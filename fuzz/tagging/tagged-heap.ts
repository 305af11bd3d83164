// What the tests of tagged heaps share: a small heap with synchronous tags, and whether an access is caught. No tests here.
import { Heap, HeapError, type HeapOptions } from "../../allocator/index.ts";
import { SegmentationFault } from "../../platform/hardware/faults.ts";

/** More than the primary takes. */
export const LARGE = 200_000;
export const MEMORY = 2 ** 26;

export function tagged(options: HeapOptions = {}): Heap {
  return new Heap({ tagging: "sync", seed: 11, memoryBytes: MEMORY, ...options });
}

/** Whether the access is refused: by a tag, or by a guard page. */
export function isCaught(access: () => unknown): boolean {
  try {
    access();
    return false;
  } catch (error) {
    if (error instanceof HeapError && error.kind === "tag-fault") return true;
    if (error instanceof SegmentationFault) return true;
    throw error;
  }
}

export function roundUp(size: number): number {
  return Math.ceil(size / 16) * 16;
}
