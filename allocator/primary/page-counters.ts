// Counters of free blocks a page, packed into words, and the search for runs of pages that no used block touches (S9.5, S9.6).
// Scratch for one release: nothing here knows a free list or calls the kernel (primary-release.ts does).

import type { ByteCount } from "../../platform/hardware/integers.ts";
import { PAGE_SIZE } from "../../platform/hardware/layout.ts";
import { keepClass } from "../../platform/state/kept.ts";

/**
 * One counter a page of `[releaseOffset, releaseOffset + size)` of a region whose blocks of `blockSize` begin at offset 0.
 * Offsets are in bytes from the region's usable begin. A counter of all ones means "every block of this page is free".
 * One object serves release after release ({@link start}), so that a free that releases allocates nothing.
 * Invariant: a counter never passes the number of blocks that touch its page.
 */
export class PageCounters {
  blockSize = 0;
  pageCount = 0;
  /** Page number, from the region's usable begin, of counter 0. */
  firstPage = 0;
  /** 64-bit words that the counters take, as Scudo sizes its buffers. */
  wordCount = 0;
  /** The most blocks that touch a page. */
  fullCount = 0;
  /** The run that {@link nextFreeRange} found: first page, relative to `firstPage`, and pages. */
  rangePage = 0;
  rangePages = 0;
  /** Whether every page is touched by `fullCount` blocks. */
  private isUniform = false;
  private mask = 0;
  private perWordLog = 0;
  private bitsLog = 0;
  private words = new Uint32Array(1024);
  /** Where the search for free runs stands: the next page, and the end of the last block counted for the pages before. */
  private cursor = 0;
  private boundary = 0;

  /** Bits of a counter: a power of two. */
  get counterBits(): number {
    return 1 << this.bitsLog;
  }

  /** Clears everything for another range. */
  start(blockSize: ByteCount, size: ByteCount, releaseOffset: number): void {
    this.blockSize = blockSize;
    this.pageCount = Math.ceil(size / PAGE_SIZE);
    this.firstPage = Math.floor(releaseOffset / PAGE_SIZE);
    this.setBlocksPerPage(blockSize);
    this.bitsLog = Math.ceil(Math.log2(32 - Math.clz32(this.fullCount)));
    this.mask = this.counterBits === 32 ? 0xffffffff : 2 ** this.counterBits - 1;
    this.perWordLog = 5 - this.bitsLog;
    this.wordCount = Math.ceil((this.pageCount * this.counterBits) / 64);
    if (this.words.length < 2 * this.wordCount) this.words = new Uint32Array(2 * this.wordCount);
    else this.words.fill(0, 0, 2 * this.wordCount);
    this.cursor = 0;
    this.boundary = Math.ceil((this.firstPage * PAGE_SIZE) / blockSize) * blockSize;
  }

  /** How many blocks touch a page at most, and whether that is so for every page. */
  private setBlocksPerPage(blockSize: ByteCount): void {
    const rest = PAGE_SIZE % blockSize;
    if (blockSize > PAGE_SIZE) {
      this.isUniform = blockSize % PAGE_SIZE === 0;
      this.fullCount = this.isUniform ? 1 : 2;
      return;
    }
    const whole = Math.floor(PAGE_SIZE / blockSize);
    // Blocks may cross page borders and still cut every page alike.
    this.isUniform = rest === 0 || blockSize % rest === 0;
    this.fullCount = rest === 0 ? whole : this.isUniform ? whole + 1 : whole + 2;
  }

  pageOf(offset: number): number {
    return Math.floor(offset / PAGE_SIZE) - this.firstPage;
  }

  get(page: number): number {
    const shift = (page & ((1 << this.perWordLog) - 1)) << this.bitsLog;
    return (this.words[page >>> this.perWordLog] >>> shift) & this.mask;
  }

  private set(page: number, value: number): void {
    const word = page >>> this.perWordLog;
    const shift = (page & ((1 << this.perWordLog) - 1)) << this.bitsLog;
    this.words[word] = (this.words[word] & ~(this.mask << shift)) | (value << shift);
  }

  add(page: number, count: number): void {
    const word = page >>> this.perWordLog;
    const shift = (page & ((1 << this.perWordLog) - 1)) << this.bitsLog;
    this.words[word] += count << shift;
  }

  isAllFree(page: number): boolean {
    return this.get(page) === this.mask;
  }

  /** One more free block: counts on each page that it touches. `offset` is that of the block. */
  addBlock(offset: number): void {
    const last = this.pageOf(offset + this.blockSize - 1);
    for (let page = this.pageOf(offset); page <= last; page++) this.add(page, 1);
  }

  /** Marks all blocks inside `[from, to)` free, page by page. `from` and `to` are page-aligned, but `to` may be the region's end. */
  markRangeFree(from: number, to: number, regionEnd: number): void {
    const { blockSize } = this;
    const firstBlock = Math.ceil(from / blockSize) * blockSize;
    // One block lies across the whole range.
    if (firstBlock >= to) return;
    // The first block may begin some pages into the range.
    let markFrom = Math.floor(firstBlock / PAGE_SIZE) * PAGE_SIZE;
    if (firstBlock !== markFrom) {
      // A block from before the range reaches into this page: only the others are known to be free.
      this.add(this.pageOf(markFrom), Math.ceil((markFrom + PAGE_SIZE - firstBlock) / blockSize));
      markFrom += PAGE_SIZE;
    }
    let markTo = to;
    const lastEnd = Math.ceil(to / blockSize) * blockSize;
    if (lastEnd === regionEnd) {
      markTo = regionEnd;
    } else if (lastEnd !== to) {
      // The last block reaches into the pages after the range.
      for (let page = this.pageOf(to); page <= this.pageOf(lastEnd - 1); page++) this.add(page, 1);
    }
    for (let page = this.pageOf(markFrom); markFrom < markTo && page <= this.pageOf(markTo - 1); page++) {
      this.set(page, this.mask);
    }
  }

  /** Counts the blocks that would follow the region's last one on its last page as free: they do not exist. */
  addTrailingBlocks(regionEnd: number): void {
    const lastEnd = Math.floor(regionEnd / this.blockSize) * this.blockSize;
    const missing = Math.ceil((Math.ceil(regionEnd / PAGE_SIZE) * PAGE_SIZE - lastEnd) / this.blockSize);
    if (missing > 0) this.add(this.pageOf(lastEnd), missing);
  }

  /**
   * Finds the next maximal run of pages all of whose blocks are free, ascending, into `rangePage` and `rangePages`.
   * @returns false: there is none left
   */
  nextFreeRange(): boolean {
    this.rangePages = 0;
    while (this.cursor < this.pageCount) {
      const page = this.cursor++;
      const count = this.get(page);
      const isFree = count === this.blocksOnPage(page) || count === this.mask;
      if (isFree && this.rangePages++ === 0) this.rangePage = page;
      if (!isFree && this.rangePages > 0) return true;
    }
    return this.rangePages > 0;
  }

  /** Blocks that touch `page`; to be asked page after page, for block sizes that cut pages differently. */
  private blocksOnPage(page: number): number {
    if (this.isUniform) return this.fullCount;
    const pageBegin = (this.firstPage + page) * PAGE_SIZE;
    const pageEnd = pageBegin + PAGE_SIZE;
    let blocks = this.boundary > pageBegin ? 1 : 0;
    if (this.boundary < pageEnd) {
      const begun = Math.ceil((pageEnd - this.boundary) / this.blockSize);
      blocks += begun;
      this.boundary += begun * this.blockSize;
    }
    return blocks;
  }
}

keepClass("PageCounters", PageCounters);
