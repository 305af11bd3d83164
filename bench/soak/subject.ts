// One heap of the soak, and a program that never ends: small and large chunks come and go, children are forked, threads come and go,
// mistakes are made on purpose and must be reported. What it should have, it counts itself.

import { Heap } from "../../allocator/heap/heap.ts";
import type { HeapOptions } from "../../allocator/options/options.ts";
import { xorshift32 } from "../../platform/hardware/xorshift.ts";
import { createKernel } from "../../refpage/kernel.ts";

const SLOTS = 5000;
const MEMORY_BYTES = 2 ** 28;
/** Steps between two forks, threads, mistakes. */
const RARE = 65_536;

/** What a subject has done, by its own count. */
export interface Tally {
  operations: number;
  allocations: number;
  frees: number;
  forks: number;
  threads: number;
  /** Mistakes that were made, and reports that came. */
  mistakes: number;
  reports: number;
  /** Bytes that were not as stored, and chunks that were not to be had. */
  lost: number;
}

export const NO_TALLY: Tally = {
  operations: 0,
  allocations: 0,
  frees: 0,
  forks: 0,
  threads: 0,
  mistakes: 0,
  reports: 0,
  lost: 0,
};

export class Subject {
  readonly name: string;
  readonly heap: Heap;
  readonly tally: Tally = { ...NO_TALLY };
  private readonly pointers = new Float64Array(SLOTS);
  private readonly sizes = new Int32Array(SLOTS);
  private readonly tracksBytes: boolean;
  private state: number;
  private time = 0;

  constructor(name: string, options: HeapOptions, seed: number) {
    this.name = name;
    this.tracksBytes = options.uninitialised === "byte";
    // A clock of its own: caches and releases depend on time, and a soak is to repeat.
    const clock = (): number => (this.time += 1000);
    const kernel = createKernel({ memoryBytes: MEMORY_BYTES, shadow: this.tracksBytes }, { clock });
    this.heap = new Heap({ kernel, seed, write: () => {}, ...options });
    this.state = seed;
  }

  private random(): number {
    this.state = xorshift32(this.state);
    return this.state;
  }

  /** Makes this many steps, each of an allocation or a free with a store or a load. */
  run(steps: number): void {
    for (let i = 0; i < steps; i++) {
      this.step();
      if (this.tally.allocations % RARE === RARE - 1) this.rareThings();
    }
  }

  private step(): void {
    const { heap, pointers, sizes, tally } = this;
    const random = this.random();
    const slot = random % SLOTS;
    const pointer = pointers[slot];
    if (pointer === 0) {
      this.fill(slot, sizeOf(random >>> 13));
      return;
    }
    if (heap.memory.getUint8(pointer) !== (slot & 255)) tally.lost++;
    if (heap.memory.getUint8(pointer + sizes[slot] - 1) !== (slot & 255)) tally.lost++;
    if (random >>> 28 === 0) {
      const size = sizeOf(random >>> 11);
      pointers[slot] = heap.realloc(pointer, size);
      if (pointers[slot] === 0 || (size < sizes[slot] ? heap.memory.getUint8(pointers[slot]) !== (slot & 255) : false))
        tally.lost++;
      sizes[slot] = size;
      heap.memory.setUint8(pointers[slot], slot);
      heap.memory.setUint8(pointers[slot] + size - 1, slot);
      tally.operations += 5;
      return;
    }
    heap.free(pointer);
    pointers[slot] = 0;
    tally.frees++;
    tally.operations += 3;
  }

  private fill(slot: number, size: number): void {
    const { heap, tally } = this;
    const pointer = heap.malloc(size);
    if (pointer === 0) {
      tally.lost++;
      return;
    }
    this.pointers[slot] = pointer;
    this.sizes[slot] = size;
    heap.memory.setUint8(pointer, slot);
    heap.memory.setUint8(pointer + size - 1, slot);
    tally.allocations++;
    tally.operations += 3;
  }

  private rareThings(): void {
    this.fork();
    this.work();
    this.mistake();
    // Away from this count, so that it does not happen twice.
    let slot = 0;
    while (this.pointers[slot] !== 0 && slot < SLOTS - 1) slot++;
    if (this.pointers[slot] !== 0) {
      this.heap.free(this.pointers[slot]);
      this.tally.frees++;
    }
    this.fill(slot, 100);
  }

  /** A child writes over everything; here nothing of it is to be seen. */
  private fork(): void {
    const child = this.heap.fork();
    for (let slot = 0; slot < SLOTS; slot += 7) {
      const pointer = this.pointers[slot];
      if (pointer === 0) continue;
      child.memory.setUint8(pointer, ~slot);
      child.free(pointer);
      this.tally.operations += 2;
    }
    child.free(child.malloc(200_000));
    child[Symbol.dispose]();
    this.tally.forks++;
    this.tally.operations += 3;
  }

  private work(): void {
    const { heap, tally } = this;
    const thread = heap.process.createThread();
    heap.withThread(thread, () => {
      const pointers = Array.from({ length: 500 }, (_, i) => heap.malloc(i + 1));
      for (const pointer of pointers) heap.free(pointer);
    });
    heap.endThread(thread);
    tally.threads++;
    tally.operations += 1000;
  }

  private mistake(): void {
    const { heap, tally } = this;
    const pointer = heap.malloc(64);
    tally.mistakes++;
    heap.free(pointer);
    try {
      heap.free(pointer);
    } catch {
      tally.reports++;
    }
    if (this.tracksBytes) {
      const other = heap.malloc(32);
      tally.mistakes++;
      const before = heap.checker.countErrors();
      heap.memory.getUint8(other + 3);
      if (heap.checker.countErrors() > before) tally.reports++;
      heap.free(other);
    }
    heap.checker.clear();
    tally.operations += 5;
  }

  /** Frees everything. @returns live chunks that the heap still counts: none, if nothing was lost */
  settle(): number {
    const { heap, pointers, tally } = this;
    for (let slot = 0; slot < SLOTS; slot++) {
      if (pointers[slot] === 0) continue;
      heap.free(pointers[slot]);
      pointers[slot] = 0;
      tally.frees++;
      tally.operations++;
    }
    const { allocatedChunks, quarantineBatches } = heap.checkInvariants();
    return allocatedChunks - quarantineBatches;
  }
}

/** Nearly all small; one in 1,024 large. */
function sizeOf(random: number): number {
  if ((random & 1023) === 0) return 70_000 + (random % 200_000);
  return 1 + (random % ((random & 16) === 0 ? 64 : 1024));
}
