// What an attack is: a few calls, loads and stores that a faulty or hostile program makes on a heap, and what came of it. The
// techniques are in techniques-*.ts; how often each is tried, and beside what, is decided in attacks.ts.
import { HeapError } from "../../allocator/common/heap-error.ts";
import type { Heap } from "../../allocator/heap/heap.ts";
import { BusError, SegmentationFault } from "../../platform/hardware/faults.ts";

/** `works`: the program reached what it should not have. `harmless`: nothing was reported, and nothing gained. */
export type Outcome = "detected" | "works" | "harmless";

export interface Technique {
  readonly what: string;
  /** @param random whole numbers below a bound, from the trial's seed */
  readonly attack: (heap: Heap, random: (bound: number) => number) => "works" | "harmless";
}

/** What came of one trial; any report or fault is a detection. */
export function outcomeOf({ attack }: Technique, heap: Heap, random: (bound: number) => number): Outcome {
  try {
    return attack(heap, random);
  } catch (error) {
    if (error instanceof HeapError || error instanceof SegmentationFault || error instanceof BusError)
      return "detected";
    throw error;
  }
}

export const HEADER = 16;
/** More than the primary takes. */
export const LARGE = 200_000;
const MARK = 0x5a;

/** Chunks of one size, marked, so that some of them are neighbours in memory. */
export function chunksOf(heap: Heap, size: number, count = 64): number[] {
  return Array.from({ length: count }, () => {
    const pointer = heap.malloc(size);
    heap.memory.fill(pointer, MARK, size);
    return pointer;
  });
}

/** Address bits alone. */
export function bare(pointer: number): number {
  return pointer % 2 ** 48;
}

/** Two chunks with nothing between their blocks, and the bytes from one pointer to the other. */
export function neighbours(chunks: readonly number[]): readonly [first: number, second: number, distance: number] {
  const ordered = chunks.toSorted((a, b) => bare(a) - bare(b));
  let best = 1;
  for (let i = 2; i < ordered.length; i++) if (gap(ordered, i) < gap(ordered, best)) best = i;
  return [ordered[best - 1], ordered[best], gap(ordered, best)];
}

function gap(ordered: readonly number[], index: number): number {
  return bare(ordered[index]) - bare(ordered[index - 1]);
}

/** Frees each chunk, as the program does in the end: an altered header is seen then. */
export function freeAll(heap: Heap, chunks: readonly number[]): void {
  for (const pointer of chunks) heap.free(pointer);
}

/** Allocates until a chunk lies at the address of `wanted`. @returns its pointer, or 0 after `most` */
export function reuse(heap: Heap, wanted: number, size: number, most = 4000): number {
  for (let i = 0; i < most; i++) {
    const pointer = heap.malloc(size);
    if (bare(pointer) === bare(wanted)) return pointer;
  }
  return 0;
}
