// One list of quarantined chunks: batches of pointers in simulated memory, their number and bytes (S13.3, S13.4).
// Policy (when to drain, what to recycle) is quarantine.ts's.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import type { Memory } from "../../platform/hardware/memory.ts";
import { keepClass } from "../../platform/state/kept.ts";
import type { Program } from "../common/program.ts";
import { loadWord, storeWord } from "../common/words.ts";

/** A batch: next, bytes, count, then the pointers. */
const NEXT = 0;
const BYTES = 8;
const COUNT = 16;
const POINTERS = 24;
/** Chunks that a batch holds. */
export const BATCH_CAPACITY = 1019;
/** Bytes of a batch, without the header of the chunk that it lives in. */
export const BATCH_SIZE = POINTERS + BATCH_CAPACITY * 8;

/** Makes an empty batch of fresh memory. */
export function initialiseBatch(memory: Memory, batch: number): void {
  storeWord(memory, batch + NEXT, 0);
  storeWord(memory, batch + COUNT, 0);
  storeWord(memory, batch + BYTES, BATCH_SIZE);
}

export function batchCount(memory: Memory, batch: number): number {
  return memory.getUint32(batch + COUNT);
}

export function batchBytes(memory: Memory, batch: number): number {
  return loadWord(memory, batch + BYTES);
}

export function batchNext(memory: Memory, batch: number): number {
  return loadWord(memory, batch + NEXT);
}

export function batchPointer(memory: Memory, batch: number, index: number): number {
  return loadWord(memory, batch + POINTERS + index * 8);
}

/** Moves all pointers of `source` behind those of `target`; the caller has checked that they fit. */
export function mergeBatches(memory: Memory, target: Address, source: Address): void {
  const targetCount = batchCount(memory, target);
  const sourceCount = batchCount(memory, source);
  memory.copy(target + POINTERS + targetCount * 8, source + POINTERS, sourceCount * 8);
  storeWord(memory, target + COUNT, targetCount + sourceCount);
  storeWord(memory, target + BYTES, batchBytes(memory, target) + batchBytes(memory, source) - BATCH_SIZE);
  storeWord(memory, source + COUNT, 0);
  storeWord(memory, source + BYTES, BATCH_SIZE);
}

/** A FIFO list of batches. Invariants: `bytes` is the sum of the batches' bytes; `batches` their number; no cycle. */
export class QuarantineCache {
  first = 0;
  last = 0;
  batches = 0;
  bytes = 0;

  get overhead(): number {
    return this.batches * BATCH_SIZE;
  }

  /** Whether the next chunk needs another batch. */
  needsBatch(memory: Memory): boolean {
    return this.last === 0 || batchCount(memory, this.last) === BATCH_CAPACITY;
  }

  /** Makes sure that the next {@link pushChunk} cannot fail. @throws OutOfMemoryError */
  preparePush(program: Program): void {
    program.touch(this.last + BYTES);
    program.touch(this.last + COUNT);
    program.touch(this.last + POINTERS + batchCount(program.memory, this.last) * 8);
  }

  pushBatch(memory: Memory, batch: number): void {
    storeWord(memory, batch + NEXT, 0);
    if (this.last === 0) this.first = batch;
    else storeWord(memory, this.last + NEXT, batch);
    this.last = batch;
    this.batches++;
    this.bytes += batchBytes(memory, batch);
  }

  popBatch(memory: Memory): Address {
    const batch = this.first;
    this.first = batchNext(memory, batch);
    if (this.first === 0) this.last = 0;
    this.batches--;
    this.bytes -= batchBytes(memory, batch);
    return batch;
  }

  /** Adds a chunk of `size` requested bytes to the last batch, which has room. The count is stored last. */
  pushChunk(memory: Memory, pointer: Address, size: ByteCount): void {
    const count = batchCount(memory, this.last);
    storeWord(memory, this.last + POINTERS + count * 8, pointer);
    storeWord(memory, this.last + BYTES, batchBytes(memory, this.last) + size);
    storeWord(memory, this.last + COUNT, count + 1);
    this.bytes += size;
  }

  forEachBatch(memory: Memory, visit: (batch: number) => void): void {
    for (let batch = this.first; batch !== 0; batch = batchNext(memory, batch)) visit(batch);
  }

  /** Takes another list over, behind this one's. */
  transfer(memory: Memory, other: QuarantineCache): void {
    if (other.first === 0) return;
    if (this.last === 0) this.first = other.first;
    else storeWord(memory, this.last + NEXT, other.first);
    this.last = other.last;
    this.batches += other.batches;
    this.bytes += other.bytes;
    other.clear();
  }

  /**
   * Joins neighbouring batches whose chunks fit one; those left empty go to `emptied` (S13.6).
   * @throws OutOfMemoryError between two of them
   */
  merge(memory: Memory, emptied: QuarantineCache, program: Program): void {
    let batch = this.first;
    while (batch !== 0) {
      const next = batchNext(memory, batch);
      if (next === 0) return;
      if (batchCount(memory, batch) + batchCount(memory, next) > BATCH_CAPACITY) {
        batch = next;
        continue;
      }
      program.prepare(batch, BATCH_SIZE);
      program.prepare(next, POINTERS);
      if (emptied.last !== 0) program.touch(emptied.last);
      mergeBatches(memory, batch, next);
      storeWord(memory, batch + NEXT, batchNext(memory, next));
      if (this.last === next) this.last = batch;
      this.batches--;
      this.bytes -= BATCH_SIZE;
      emptied.pushBatch(memory, next);
    }
  }

  clear(): void {
    this.first = 0;
    this.last = 0;
    this.batches = 0;
    this.bytes = 0;
  }

  /** A copy for a forked process's heap; the batches are in memory, which fork copied. */
  copyFrom(other: QuarantineCache): void {
    this.first = other.first;
    this.last = other.last;
    this.batches = other.batches;
    this.bytes = other.bytes;
  }
}

keepClass("QuarantineCache", QuarantineCache);
