// A heap whose parts tests may look at, and Scudo-like configurations that regions fill quickly. No test in here.
import type { Allocator } from "../../allocator/combined/combined.ts";
import { HeapError } from "../../allocator/common/heap-error.ts";
import { Heap, partsOf } from "../../allocator/heap/heap.ts";
import { customConfig } from "../../allocator/options/config.ts";
import type { HeapOptions } from "../../allocator/options/options.ts";
import { fixedSizeClassMap } from "../../allocator/options/size-class-map.ts";

export class OpenHeap extends Heap {
  get parts(): Allocator {
    return partsOf(this).allocator;
  }
}

/** A small machine, and the same random choices every time. */
export function openHeap(options: HeapOptions = {}): OpenHeap {
  const machine = options.kernel === undefined && options.process === undefined ? { memoryBytes: 2 ** 27 } : {};
  return new OpenHeap({ ...machine, seed: 1, ...options });
}

/** The kind of the report that `act` ends in, or "no report". */
export function kindOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof HeapError) return error.kind;
    throw error;
  }
  return "no report";
}

/** Classes of 1024, 2048, 4096 and 8192 bytes (S6.8). */
export const coarseMap = fixedSizeClassMap({
  name: "coarse",
  numBits: 1,
  minSizeLog: 10,
  midSizeLog: 10,
  maxSizeLog: 13,
  sizeDelta: 0,
  maxCachedHint: 8,
  maxBytesCachedLog: 12,
});

/** Regions of 2 MiB. */
export const tinyConfig = customConfig({
  name: "tiny",
  primary: { sizeClassMap: coarseMap, regionSizeLog: 21, groupSizeLog: 20 },
});
