// The blocks that are alive, found by any address in them: small ones by page, large ones by a search in a sorted list.
// recorder.ts keeps what is known of a block.
import type { Address, ByteCount } from "../../platform/hardware/integers.ts";

const PAGE_BYTES = 4096;
/** Blocks of more bytes are in the sorted list: entering each of their pages would cost more than moving the list. */
const LARGEST_SMALL_BYTES = 16 * PAGE_BYTES;

export interface LiveBlock {
  readonly id: number;
  readonly start: number;
  readonly size: ByteCount;
  /** For each page that the block lies on, which kinds of touch were recorded. */
  readonly touched: Uint8Array;
}

export class LiveBlocks {
  private readonly byStart = new Map<number, LiveBlock>();
  private readonly small = new Map<number, LiveBlock[]>();
  /** Ascending by start. */
  private readonly large: LiveBlock[] = [];
  private last: LiveBlock | null = null;

  insert(block: LiveBlock): void {
    this.remove(block.start);
    this.byStart.set(block.start, block);
    if (isLarge(block)) this.large.splice(this.largeAfter(block.start), 0, block);
    else {
      for (let page = pageOf(block.start); page <= lastPage(block); page++) {
        const there = this.small.get(page);
        if (there === undefined) this.small.set(page, [block]);
        else there.push(block);
      }
    }
    this.last = block;
  }

  /** Forgets the block that starts here and answers it; null if none does. */
  remove(start: number): LiveBlock | null {
    const block = this.byStart.get(start);
    if (block === undefined) return null;
    this.byStart.delete(start);
    if (this.last === block) this.last = null;
    if (isLarge(block)) this.large.splice(this.largeAfter(start) - 1, 1);
    else {
      for (let page = pageOf(start); page <= lastPage(block); page++) {
        const there = this.small.get(page)!;
        if (there.length === 1) this.small.delete(page);
        else there.splice(there.lastIndexOf(block), 1);
      }
    }
    return block;
  }

  /** The block that holds this byte, or null. */
  at(address: Address): LiveBlock | null {
    if (this.last !== null && contains(this.last, address)) return this.last;
    const first = this.byStart.get(address);
    if (first !== undefined && contains(first, address)) return first;
    const block = this.small.get(pageOf(address))?.find((one) => contains(one, address)) ?? this.largeAt(address);
    if (block !== null) this.last = block;
    return block;
  }

  private largeAt(address: Address): LiveBlock | null {
    const index = this.largeAfter(address) - 1;
    return index >= 0 && contains(this.large[index], address) ? this.large[index] : null;
  }

  /** Index of the first large block that starts beyond `address`. */
  private largeAfter(address: Address): number {
    let low = 0;
    let high = this.large.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.large[middle].start <= address) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function isLarge({ size }: LiveBlock): boolean {
  return size > LARGEST_SMALL_BYTES;
}

function contains({ start, size }: LiveBlock, address: Address): boolean {
  return address >= start && address < start + size;
}

function pageOf(address: Address): number {
  return Math.floor(address / PAGE_BYTES);
}

function lastPage({ start, size }: LiveBlock): number {
  return pageOf(start + Math.max(size, 1) - 1);
}
