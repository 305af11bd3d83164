// The quarantine: freed chunks wait, first in a thread's list, then in the global one, before their blocks are reused (S13).
// Lists and batches are quarantine-cache.ts; what a chunk's header must be is checked by the owner (combined.ts).

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import type { Memory } from "../../platform/hardware/memory.ts";
import { OutOfMemoryError } from "../../platform/kernel/abi/errors.ts";
import { keepClass } from "../../platform/state/kept.ts";
import type { Program } from "../common/program.ts";
import { shuffle } from "../common/random.ts";
import { HEADER_SIZE } from "./chunk-header.ts";
import {
  BATCH_CAPACITY,
  batchCount,
  batchNext,
  batchPointer,
  initialiseBatch,
  QuarantineCache,
} from "./quarantine-cache.ts";
import type { Tsd } from "./tsd.ts";

/** What the quarantine asks of the allocator. All memory it uses comes through the running thread's cache. */
export interface QuarantineOwner {
  readonly memory: Memory;
  readonly program: Program;
  /** A chunk of {@link BATCH_SIZE} bytes; never 0 (R-oom is fatal, S13.3). */
  allocateBatch(tsd: Tsd): Address;
  deallocateBatch(tsd: Tsd, batch: number): void;
  /** Ends a chunk's quarantine: its block is free from now on. May report corruption; the chunk is then lost. */
  recycleChunk(tsd: Tsd, pointer: Address): void;
  /** Whether the chunk is still in quarantine, or the batch allocated: what was stopped before it began can be tried again. */
  isQuarantined(pointer: Address): boolean;
  isAllocated(pointer: Address): boolean;
}

export class Quarantine {
  readonly global = new QuarantineCache();
  /** Bytes of the global list above which it is recycled, and down to which (S13.1). */
  readonly maxBytes: number;
  readonly minBytes: number;
  readonly threadMaxBytes: number;
  private readonly owner: QuarantineOwner;
  /** Batches taken out to be recycled. Empty between calls, unless something stopped a recycling. */
  private readonly toDo = new QuarantineCache();
  /** The pointers of the batch being recycled, shuffled, and how many are left; `pendingBatch` 0: none. */
  private readonly pending = new Float64Array(BATCH_CAPACITY);
  private pendingCount = 0;
  private pendingBatch = 0;

  /** Sizes in bytes. */
  constructor(owner: QuarantineOwner, sizes: { maxBytes: number; threadMaxBytes: number }) {
    this.owner = owner;
    this.maxBytes = sizes.maxBytes;
    this.minBytes = Math.floor(sizes.maxBytes / 10) * 9;
    this.threadMaxBytes = sizes.threadMaxBytes;
  }

  /** Makes sure that the next {@link put} needs no memory, so that it cannot fail once the chunk's state has changed. */
  prepare(tsd: Tsd): void {
    const { memory, program } = this.owner;
    if (tsd.quarantine.needsBatch(memory)) {
      const batch = this.owner.allocateBatch(tsd);
      try {
        initialiseBatch(memory, batch);
        tsd.quarantine.pushBatch(memory, batch);
      } catch (error) {
        this.owner.deallocateBatch(tsd, batch);
        throw error;
      }
    }
    tsd.quarantine.preparePush(program);
  }

  /** Adds a chunk of `size` requested bytes to the thread's list; {@link prepare} came before. */
  put(tsd: Tsd, pointer: Address, size: ByteCount): void {
    tsd.quarantine.pushChunk(this.owner.memory, pointer, size);
  }

  /** Drains the thread's list if it has grown too large (S13.5); after the put, since recycling may report. */
  settle(tsd: Tsd): void {
    if (tsd.quarantine.bytes <= this.threadMaxBytes) return;
    try {
      this.drain(tsd);
    } catch (error) {
      if (!(error instanceof OutOfMemoryError)) throw error;
    }
  }

  /**
   * Moves the thread's list to the global one, and recycles if that is too large now.
   * @throws OutOfMemoryError: the thread's list is as it was
   */
  drain(tsd: Tsd): void {
    this.global.transfer(this.owner.memory, tsd.quarantine);
    if (this.global.bytes > this.maxBytes) this.recycleWhatCanBe(tsd, this.minBytes);
  }

  /** Empties the thread's list and the global one (S13.8), as far as there are frames for the headers that change. */
  drainAndRecycle(tsd: Tsd): void {
    try {
      this.global.transfer(this.owner.memory, tsd.quarantine);
    } catch (error) {
      if (!(error instanceof OutOfMemoryError)) throw error;
    }
    this.recycleWhatCanBe(tsd, 0);
  }

  /** After a fork each header written takes a frame. Where there is none, the rest waits for the next time. */
  private recycleWhatCanBe(tsd: Tsd, minBytes: number): void {
    try {
      this.recycle(tsd, minBytes);
    } catch (error) {
      if (!(error instanceof OutOfMemoryError)) throw error;
    }
  }

  /** S13.6. What stops it leaves every chunk in one of the lists, or in `pending`. */
  private recycle(tsd: Tsd, minBytes: number): void {
    const { memory, program } = this.owner;
    const { global, toDo } = this;
    // Merging pays when more than half of the list is the batches themselves.
    if (global.bytes > global.overhead && global.overhead * 200 > global.bytes * 100) {
      global.merge(memory, toDo, program);
    }
    while (global.bytes > minBytes) {
      program.touch(global.first);
      if (toDo.last !== 0) program.touch(toDo.last);
      toDo.pushBatch(memory, global.popBatch(memory));
    }
    this.finishBatch(tsd);
    while (toDo.first !== 0) {
      this.startBatch(toDo.popBatch(memory));
      this.finishBatch(tsd);
    }
  }

  private startBatch(batch: number): void {
    const { memory } = this.owner;
    const count = batchCount(memory, batch);
    for (let i = 0; i < count; i++) this.pending[i] = batchPointer(memory, batch, i);
    lookAhead(memory, this.pending, count);
    shuffle(this.pending, 0, count, Math.floor(batch / 16) >>> 0);
    this.pendingCount = count;
    this.pendingBatch = batch;
  }

  /** Recycles what is left of the current batch. A chunk that was reported is lost; one that lacked a frame stays on the list. */
  private finishBatch(tsd: Tsd): void {
    if (this.pendingBatch === 0) return;
    while (this.pendingCount > 0) {
      const pointer = this.pending[this.pendingCount - 1];
      try {
        this.owner.recycleChunk(tsd, pointer);
      } catch (error) {
        if (!this.owner.isQuarantined(pointer)) this.pendingCount--;
        throw error;
      }
      this.pendingCount--;
    }
    try {
      this.owner.deallocateBatch(tsd, this.pendingBatch);
    } catch (error) {
      if (!this.owner.isAllocated(this.pendingBatch)) this.pendingBatch = 0;
      throw error;
    }
    this.pendingBatch = 0;
  }

  /** Chunks in the global list (S19.4). */
  globalChunks(): number {
    const { memory } = this.owner;
    let chunks = 0;
    for (let batch = this.global.first; batch !== 0; batch = batchNext(memory, batch))
      chunks += batchCount(memory, batch);
    return chunks;
  }

  /** Calls back with every batch that is in no thread's list. */
  forEachBatch(visit: (batch: number) => void): void {
    const { memory } = this.owner;
    this.global.forEachBatch(memory, visit);
    this.toDo.forEachBatch(memory, visit);
    if (this.pendingBatch !== 0) visit(this.pendingBatch);
  }

  /** Batches whose recycling was stopped. */
  get interruptedBatches(): number {
    return this.toDo.batches + (this.pendingBatch === 0 ? 0 : 1);
  }

  /** Chunks that a report, or a frame that was missing, has left between the list and their blocks. */
  get interruptedChunks(): number {
    const { memory } = this.owner;
    let chunks = this.pendingCount;
    for (let batch = this.toDo.first; batch !== 0; batch = batchNext(memory, batch))
      chunks += batchCount(memory, batch);
    return chunks;
  }

  copyFrom(other: Quarantine): void {
    this.global.copyFrom(other.global);
    this.toDo.copyFrom(other.toDo);
    this.pending.set(other.pending);
    this.pendingCount = other.pendingCount;
    this.pendingBatch = other.pendingBatch;
  }
}

/** Where {@link lookAhead} leaves what it loaded: the engine leaves out loads whose result nothing uses. */
const seen = new Int32Array(1);

/**
 * Loads the headers of chunks that nothing has used for long: loads that depend on nothing wait for the host's memory together,
 * where recycling waits for each of them alone.
 */
function lookAhead(memory: Memory, pointers: Float64Array, count: number): void {
  const { words } = memory;
  let sum = 0;
  for (let i = 0; i < count; i++) {
    const word = memory.granuleWord(pointers[i] - HEADER_SIZE);
    if (word >= 0) sum ^= words[word];
  }
  seen[0] = sum;
}

keepClass("Quarantine", Quarantine);
