// The flat page table of one address space: an Int32Array indexed by page number that serves as its own TLB.
// Bitmaps over blocks of 512 entries let munmap, fork and smaps skip what was never touched. Who maps what is the kernel's business.
import { PAGE_COUNT } from "./layout.ts";

/** Entries in a block: what one page-table page of Linux holds (2 MiB of addresses). */
export const ENTRIES_PER_BLOCK = 512;
const BLOCK_SHIFT = 9;
const BLOCK_COUNT = PAGE_COUNT / ENTRIES_PER_BLOCK;

/**
 * Invariants: `populated[b]` is the number of non-zero entries of block b; bit b of `blockBits` is set exactly if it is
 * not 0; bit w of `wordBits` is set exactly if word w of `blockBits` is not 0.
 */
export class PageTable {
  readonly entries = new Int32Array(PAGE_COUNT);
  readonly populated = new Uint16Array(BLOCK_COUNT);
  private readonly blockBits = new Int32Array(BLOCK_COUNT / 32);
  private readonly wordBits = new Int32Array(BLOCK_COUNT / 1024);
  /** Blocks with at least one entry; Linux would have this many page-table pages at the lowest level. */
  populatedBlocks = 0;

  set(page: number, entry: number): void {
    const before = this.entries[page];
    this.entries[page] = entry;
    if (before === 0 && entry !== 0) this.grow(page >> BLOCK_SHIFT);
    else if (before !== 0 && entry === 0) this.shrink(page >> BLOCK_SHIFT);
  }

  /** Puts an entry where none was. */
  install(page: number, entry: number): void {
    this.entries[page] = entry;
    this.grow(page >> BLOCK_SHIFT);
  }

  /**
   * The first page in [page, endPage) whose entry is not 0, or endPage. Cost: the entries of touched blocks only,
   * so that a walk over a range is O(touched pages), not O(reserved).
   */
  next(page: number, endPage: number): number {
    while (page < endPage) {
      const block = page >> BLOCK_SHIFT;
      if (this.populated[block] === 0) {
        page = this.nextBlock(block + 1) * ENTRIES_PER_BLOCK;
        continue;
      }
      const stop = Math.min(endPage, (block + 1) * ENTRIES_PER_BLOCK);
      for (; page < stop; page++) if (this.entries[page] !== 0) return page;
    }
    return endPage;
  }

  /** The first page behind the block of `page`. */
  blockEnd(page: number): number {
    return (page | (ENTRIES_PER_BLOCK - 1)) + 1;
  }

  /** Number of non-zero entries in the block of `page`. */
  entriesInBlock(page: number): number {
    return this.populated[page >> BLOCK_SHIFT];
  }

  /** Tells that `count` entries of the block of `page` have been cleared in `entries` itself. */
  noteCleared(page: number, count: number): void {
    if (count === 0) return;
    const block = page >> BLOCK_SHIFT;
    this.populated[block] -= count - 1;
    this.shrink(block);
  }

  /** Number of non-zero entries in [page, endPage). */
  count(page: number, endPage: number): number {
    let found = 0;
    for (page = this.next(page, endPage); page < endPage; page = this.next(page + 1, endPage)) found++;
    return found;
  }

  /** The first populated block at or after `block`, or BLOCK_COUNT. */
  private nextBlock(block: number): number {
    if (block >= BLOCK_COUNT) return BLOCK_COUNT;
    let word = block >> 5;
    let bits = this.blockBits[word] & (-1 << (block & 31));
    if (bits === 0) {
      word = this.nextWord(word + 1);
      if (word === this.blockBits.length) return BLOCK_COUNT;
      bits = this.blockBits[word];
    }
    return word * 32 + trailingZeros(bits);
  }

  private nextWord(word: number): number {
    const end = this.blockBits.length;
    if (word >= end) return end;
    let group = word >> 5;
    let bits = this.wordBits[group] & (-1 << (word & 31));
    while (bits === 0) {
      if (++group === this.wordBits.length) return end;
      bits = this.wordBits[group];
    }
    return group * 32 + trailingZeros(bits);
  }

  private grow(block: number): void {
    if (this.populated[block]++ !== 0) return;
    this.populatedBlocks++;
    this.blockBits[block >> 5] |= 1 << (block & 31);
    this.wordBits[block >> 10] |= 1 << ((block >> 5) & 31);
  }

  private shrink(block: number): void {
    if (--this.populated[block] !== 0) return;
    this.populatedBlocks--;
    const word = block >> 5;
    this.blockBits[word] &= ~(1 << (block & 31));
    if (this.blockBits[word] === 0) this.wordBits[word >> 5] &= ~(1 << (word & 31));
  }

  /** @throws Error naming the broken invariant. */
  checkInvariants(): void {
    let blocks = 0;
    for (let block = 0; block < BLOCK_COUNT; block++) {
      const bit = (this.blockBits[block >> 5] >>> (block & 31)) & 1;
      if ((this.populated[block] !== 0) !== (bit === 1)) {
        throw new Error(`page table: block ${block} has ${this.populated[block]} entries but its bit is ${bit}`);
      }
      if (bit === 0) continue;
      blocks++;
      let found = 0;
      for (let page = block * ENTRIES_PER_BLOCK; page < (block + 1) * ENTRIES_PER_BLOCK; page++) {
        if (this.entries[page] !== 0) found++;
      }
      if (found !== this.populated[block]) {
        throw new Error(`page table: block ${block} holds ${found} entries but counts ${this.populated[block]}`);
      }
    }
    for (let word = 0; word < this.blockBits.length; word++) {
      const bit = (this.wordBits[word >> 5] >>> (word & 31)) & 1;
      if ((this.blockBits[word] !== 0) !== (bit === 1))
        throw new Error(`page table: word ${word} disagrees with its bit ${bit}`);
    }
    if (blocks !== this.populatedBlocks) {
      throw new Error(`page table: ${blocks} populated blocks but the count is ${this.populatedBlocks}`);
    }
  }
}

function trailingZeros(bits: number): number {
  return 31 - Math.clz32(bits & -bits);
}
