// What a replay drives: the calls of a heap, and what it must be able to see of the process around it.
// The heap of the project behind this interface is made in heap-subject.ts.

import type { Memory } from "../../../allocator/common/memory.ts";
import type { CounterSnapshot } from "../../../platform/hardware/counters.ts";
import type { Process } from "../../../platform/kernel/process.ts";

/** Addresses are those that free and realloc take; null (0) is a failed call, as in C. Sizes in bytes. */
export interface ReplaySubject {
  malloc(size: number): number;
  calloc(count: number, size: number): number;
  /** On failure null, and the old block lives on. `oldSize` is what the program had asked for. */
  realloc(address: number, size: number, oldSize: number): number;
  memalign(alignment: number, size: number): number;
  free(address: number): void;
  /** The most bytes that a block may have and still share its pages. */
  readonly largestSmall: number;
  /** Loads and stores of the program. */
  readonly memory: Memory;
  readonly process: Process;
  /** Called once an event, before it: simulated time goes on. */
  tick(): void;
  /** What the machine counted so far. */
  counters(): CounterSnapshot;
  /** Granules that the program tagged one by one so far. */
  readonly taggedGranules: number;
  /** Blocks that the program tagged by DC GVA so far. */
  readonly gvaBlocks: number;
  /** Faults that a userfaultfd handler answered so far. */
  readonly faultMessages: number;
}
