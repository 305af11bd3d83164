// The ring of the latest frees: pointer with the tag it had, size, threads (S24.5, S24.6). What a stale pointer is looked up in.
// Scudo maps it and fills it only with allocation stacks on; here it is a few typed arrays and always there with tagging.

import type { Address, ByteCount, Tag } from "../../platform/hardware/integers.ts";
import { TAG_UNIT } from "../../platform/hardware/layout.ts";
import { isEngineMemory } from "../../platform/state/engine-memory.ts";
import { keepClass } from "../../platform/state/kept.ts";

/** Of a row: pointer, size, thread. */
const ROW_BYTES = 8 + 8 + 4;
/** Where the rows are, from the begin of room that {@link FreedChunks.moveTo} is given; the next row and the total lie before them. */
export const FREED_NEXT = 0;
export const FREED_TOTAL = 8;
export const FREED_ROWS = 16;

/** Rows are overwritten from the oldest on. `pointer` 0: an empty row. */
export class FreedChunks {
  readonly capacity: number;
  private pointers: Float64Array;
  private sizes: Float64Array;
  private threads: Int32Array;
  private next: Int32Array = new Int32Array(1);
  private totals: Float64Array = new Float64Array(1);

  /** @param capacity rows, at least 1 */
  constructor(capacity: number) {
    this.capacity = capacity;
    this.pointers = new Float64Array(capacity);
    this.sizes = new Float64Array(capacity);
    this.threads = new Int32Array(capacity);
  }

  /** Frees noted since the heap was made. */
  get total(): number {
    return this.totals[0];
  }

  /** Room that {@link moveTo} needs. */
  get bytes(): ByteCount {
    return FREED_ROWS + this.capacity * ROW_BYTES;
  }

  /** Keeps its state there from now on, where a program that frees by itself notes that, too: pointers, sizes, threads, one after the other. */
  moveTo(buffer: ArrayBuffer, begin: number): void {
    const { capacity } = this;
    const rows = begin + FREED_ROWS;
    this.become({
      pointers: new Float64Array(buffer, rows, capacity),
      sizes: new Float64Array(buffer, rows + 8 * capacity, capacity),
      threads: new Int32Array(buffer, rows + 16 * capacity, capacity),
      next: new Int32Array(buffer, begin + FREED_NEXT, 1),
      totals: new Float64Array(buffer, begin + FREED_TOTAL, 1),
    });
  }

  /** Keeps its state in arrays of its own again. */
  moveHome(): void {
    this.become(new FreedChunks(this.capacity).arrays);
  }

  /** Its state in arrays of its own. */
  copy(): FreedChunks {
    const copy = new FreedChunks(this.capacity);
    copy.copyFrom(this);
    return copy;
  }

  private become(arrays: FreedArrays): void {
    copyRows(this.arrays, arrays);
    Object.assign(this, arrays);
  }

  private get arrays(): FreedArrays {
    const { pointers, sizes, threads, next, totals } = this;
    return { pointers, sizes, threads, next, totals };
  }

  /** @param plain address of the chunk; @param tag that it had; @param size requested bytes; @param thread id of the one that frees */
  note(plain: Address, tag: Tag, size: ByteCount, thread: number): void {
    const { next } = this;
    const row = next[0];
    this.pointers[row] = plain + tag * TAG_UNIT;
    this.sizes[row] = size;
    this.threads[row] = thread;
    next[0] = row + 1 === this.capacity ? 0 : row + 1;
    this.totals[0]++;
  }

  /** The row of the latest free whose bytes held `address`, tag and all, or −1. */
  find(address: Address): number {
    const rows = Math.min(this.total, this.capacity);
    for (let age = 1; age <= rows; age++) {
      const row = (this.next[0] - age + this.capacity) % this.capacity;
      const begin = this.pointers[row];
      if (address >= begin && address < begin + Math.max(1, this.sizes[row])) return row;
    }
    return -1;
  }

  pointerAt(row: number): Address {
    return this.pointers[row];
  }

  sizeAt(row: number): ByteCount {
    return this.sizes[row];
  }

  threadAt(row: number): number {
    return this.threads[row];
  }

  copyFrom(other: FreedChunks): void {
    copyRows(other.arrays, this.arrays);
  }

  /** The rows that are in use, by themselves: what room of the host memory says behind them is nothing. */
  static atRest(chunks: FreedChunks): FreedArrays {
    return isEngineMemory(chunks.totals.buffer) ? chunks.copy().arrays : chunks.arrays;
  }
}

interface FreedArrays {
  readonly pointers: Float64Array;
  readonly sizes: Float64Array;
  readonly threads: Int32Array;
  readonly next: Int32Array;
  readonly totals: Float64Array;
}

/** Copies what is in use, which is all there is to see. */
function copyRows(from: FreedArrays, to: FreedArrays): void {
  const rows = Math.min(from.totals[0], from.pointers.length);
  to.pointers.set(from.pointers.subarray(0, rows));
  to.sizes.set(from.sizes.subarray(0, rows));
  to.threads.set(from.threads.subarray(0, rows));
  to.next.set(from.next);
  to.totals.set(from.totals);
}

keepClass("FreedChunks", FreedChunks, { atRest: (chunks) => ({ ...FreedChunks.atRest(chunks) }) });
