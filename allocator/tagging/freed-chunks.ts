// The ring of the latest frees: pointer with the tag it had, size, threads (S24.5, S24.6). What a stale pointer is looked up in.
// Scudo maps it and fills it only with allocation stacks on; here it is a few typed arrays and always there with tagging.

import type { Address, ByteCount, Tag } from "../../platform/hardware/integers.ts";
import { TAG_UNIT } from "../../platform/hardware/layout.ts";
import { keepClass } from "../../platform/state/kept.ts";

/** Rows are overwritten from the oldest on. `pointer` 0: an empty row. */
export class FreedChunks {
  readonly capacity: number;
  private readonly pointers: Float64Array;
  private readonly sizes: Float64Array;
  private readonly threads: Int32Array;
  private next = 0;
  /** Frees noted since the heap was made. */
  total = 0;

  /** @param capacity rows, at least 1 */
  constructor(capacity: number) {
    this.capacity = capacity;
    this.pointers = new Float64Array(capacity);
    this.sizes = new Float64Array(capacity);
    this.threads = new Int32Array(capacity);
  }

  /** @param plain address of the chunk; @param tag that it had; @param size requested bytes; @param thread id of the one that frees */
  note(plain: Address, tag: Tag, size: ByteCount, thread: number): void {
    const row = this.next;
    this.pointers[row] = plain + tag * TAG_UNIT;
    this.sizes[row] = size;
    this.threads[row] = thread;
    this.next = row + 1 === this.capacity ? 0 : row + 1;
    this.total++;
  }

  /** The row of the latest free whose bytes held `address`, tag and all, or −1. */
  find(address: Address): number {
    const rows = Math.min(this.total, this.capacity);
    for (let age = 1; age <= rows; age++) {
      const row = (this.next - age + this.capacity) % this.capacity;
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
    this.pointers.set(other.pointers);
    this.sizes.set(other.sizes);
    this.threads.set(other.threads);
    this.next = other.next;
    this.total = other.total;
  }
}

keepClass("FreedChunks", FreedChunks);
