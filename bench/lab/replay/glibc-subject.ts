// The policy `glibc` for a replay: the model of glibc's malloc (glibc-heap.ts) in a process of a simulated kernel.
import type { CounterSnapshot } from "../../../platform/hardware/counters.ts";
import type { Memory } from "../../../platform/hardware/memory.ts";
import type { Kernel } from "../../../platform/kernel/kernel.ts";
import type { Process } from "../../../platform/kernel/process.ts";
import { GlibcHeap } from "./glibc-heap.ts";
import type { ReplaySubject } from "./subject.ts";

/** DEFAULT_MMAP_THRESHOLD: larger blocks begin with a mapping of their own. */
const LARGEST_SMALL = 131072;

export class GlibcSubject implements ReplaySubject {
  readonly process: Process;
  readonly memory: Memory;
  readonly largestSmall = LARGEST_SMALL;
  readonly taggedGranules = 0;
  readonly gvaBlocks = 0;
  readonly faultMessages = 0;
  private readonly heap: GlibcHeap;

  constructor(kernel: Kernel) {
    this.process = kernel.createProcess({ name: "glibc" });
    this.memory = this.process.memory;
    this.heap = new GlibcHeap(this.process);
  }

  malloc(size: number): number {
    return this.heap.malloc(size);
  }

  calloc(count: number, size: number): number {
    return this.heap.calloc(count, size);
  }

  memalign(alignment: number, size: number): number {
    return this.heap.memalign(alignment, size);
  }

  realloc(address: number, size: number, oldSize: number): number {
    return this.heap.realloc(address, size, oldSize);
  }

  free(address: number): void {
    this.heap.free(address);
  }

  /** Nothing in this heap waits for time to pass. */
  tick(): void {}

  counters(): CounterSnapshot {
    return this.process.kernel.counters.snapshot();
  }
}
