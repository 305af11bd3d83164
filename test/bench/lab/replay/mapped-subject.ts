// A heap as simple as can be for tests of the replayer: one mapping a block, and ways to break its promises on purpose.
import type { ReplaySubject } from "../../../../bench/lab/replay/subject.ts";
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE } from "../../../../platform/kernel/abi/mman.ts";
import { Kernel } from "../../../../platform/kernel/kernel.ts";

const PAGE = 4096;

export class MappedSubject implements ReplaySubject {
  readonly process = new Kernel({ memoryBytes: 2 ** 26, mte: false }).createProcess();
  readonly memory = this.process.memory;
  readonly taggedGranules = 0;
  readonly gvaBlocks = 0;
  readonly faultMessages = 0;
  ticks = 0;
  /** Sizes above this fail. */
  limit = Number.POSITIVE_INFINITY;
  /** Live blocks: pages mapped. */
  readonly pages = new Map<number, number>();

  /** Every block has pages of its own. */
  readonly largestSmall = 0;

  counters() {
    return this.process.kernel.counters.snapshot();
  }

  tick(): void {
    this.ticks++;
  }

  malloc(size: number): number {
    if (size > this.limit) return 0;
    const pages = Math.max(1, Math.ceil(size / PAGE));
    const address = this.process.mmap(0, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    this.pages.set(address, pages);
    return address;
  }

  calloc(count: number, size: number): number {
    return this.malloc(count * size);
  }

  memalign(_alignment: number, size: number): number {
    return this.malloc(size);
  }

  realloc(address: number, size: number, oldSize: number): number {
    const moved = this.malloc(size);
    if (moved === 0) return 0;
    this.memory.copy(moved, address, Math.min(size, oldSize));
    this.free(address);
    return moved;
  }

  free(address: number): void {
    const pages = this.pages.get(address);
    if (pages === undefined) throw new Error(`free of 0x${address.toString(16)}, which is no block`);
    this.pages.delete(address);
    this.process.munmap(address, pages * PAGE);
  }
}
