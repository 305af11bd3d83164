// The blocks that are alive: by their start, by any address in them, and which of their pages were touched how.
// Rows of typed arrays, for a program makes millions; recorder.ts says what becomes of a touch.
import type { Address, ByteCount, PageNumber } from "../../platform/hardware/integers.ts";
import { longer } from "../common/longer.ts";
import { BlockNames } from "./block-names.ts";

const PAGE_BYTES = 4096;
/** Blocks on more pages are in the sorted list: entering each of their pages would cost more than moving the list. */
const MOST_SMALL_PAGES = 16;
const FIRST_CAPACITY = 1024;

/** No block, or no node of a page's list. */
export const NONE = -1;
export const READ_BIT = 1;
export const WRITE_BIT = 2;

/**
 * A block is a number, which is used again once it has been freed. Invariants: a small block is in the list of each page that it
 * lies on; a page without a block has no list; `large` ascends by start.
 */
export class LiveBlocks {
  private readonly names = new BlockNames();
  private start = new Float64Array(FIRST_CAPACITY);
  private size = new Float64Array(FIRST_CAPACITY);
  /** Of a small block, two bits a page. */
  private touched = new Uint32Array(FIRST_CAPACITY);
  private readonly large: number[] = [];
  /** Of a large block, a byte a page. */
  private readonly largeTouched = new Map<number, Uint8Array>();
  /** Pages by their numbers, and the first node of each one's list. */
  private readonly pages = new BlockNames();
  private first = new Int32Array(FIRST_CAPACITY);
  private nodeBlock = new Int32Array(FIRST_CAPACITY);
  private nodeNext = new Int32Array(FIRST_CAPACITY);
  private nodeCount = 0;
  private freeNode = NONE;
  private last = NONE;

  /** The block that starts here, or NONE. */
  find(start: Address): number {
    return this.names.find(start >>> 0, highWord(start));
  }

  startOf(block: number): number {
    return this.start[block];
  }

  endOf(block: number): number {
    return this.start[block] + this.size[block];
  }

  /** A block that no page of was touched yet. No other may start there. */
  add(start: Address, size: ByteCount): number {
    const block = this.names.add(start >>> 0, highWord(start));
    this.enter(block, start, size);
    return block;
  }

  /** Forgets the block that starts here and answers it; NONE if none does. */
  remove(start: Address): number {
    const block = this.names.remove(start >>> 0, highWord(start));
    if (block !== NONE) this.leave(block);
    return block;
  }

  /** Gives the block at `oldStart` another place and size; what was touched stays so. NONE if there is no such block. */
  move(oldStart: Address, start: Address, size: ByteCount): number {
    const block = this.names.detach(oldStart >>> 0, highWord(oldStart));
    if (block === NONE) return NONE;
    const pages = Math.min(pagesOf(oldStart, this.size[block]), pagesOf(start, size));
    const bits = Array.from({ length: pages }, (_, page) => this.bitsOf(block, page));
    this.leave(block);
    this.names.attach(start >>> 0, highWord(start), block);
    this.enter(block, start, size);
    for (let page = 0; page < pages; page++) this.addBits(block, page, bits[page]);
    return block;
  }

  /** Notes a touch of the block's page with this number from 0 on. Whether it is the first of its kind there. */
  touch(block: number, page: number, bit: typeof READ_BIT | typeof WRITE_BIT): boolean {
    if ((this.bitsOf(block, page) & bit) !== 0) return false;
    this.addBits(block, page, bit);
    return true;
  }

  /** The block that holds this byte, or NONE. */
  at(address: Address): number {
    if (this.last !== NONE && this.holds(this.last, address)) return this.last;
    const block = this.lookUp(address);
    if (block !== NONE) this.last = block;
    return block;
  }

  private lookUp(address: Address): number {
    const named = this.find(address);
    if (named !== NONE && this.holds(named, address)) return named;
    const page = Math.floor(address / PAGE_BYTES);
    const row = this.pages.find(page >>> 0, highWord(page));
    for (let node = row < 0 ? NONE : this.first[row]; node !== NONE; node = this.nodeNext[node]) {
      if (this.holds(this.nodeBlock[node], address)) return this.nodeBlock[node];
    }
    const index = this.largeAfter(address) - 1;
    return index >= 0 && this.holds(this.large[index], address) ? this.large[index] : NONE;
  }

  private holds(block: number, address: Address): boolean {
    return address >= this.start[block] && address < this.start[block] + this.size[block];
  }

  private enter(block: number, start: Address, size: ByteCount): void {
    if (block >= this.start.length) this.growBlocks();
    this.start[block] = start;
    this.size[block] = size;
    this.touched[block] = 0;
    this.last = block;
    const pages = pagesOf(start, size);
    if (pages > MOST_SMALL_PAGES) {
      this.large.splice(this.largeAfter(start), 0, block);
      this.largeTouched.set(block, new Uint8Array(pages));
      return;
    }
    const firstPage = Math.floor(start / PAGE_BYTES);
    for (let page = firstPage; page < firstPage + pages; page++) this.enterPage(block, page);
  }

  private leave(block: number): void {
    if (this.last === block) this.last = NONE;
    const start = this.start[block];
    const pages = pagesOf(start, this.size[block]);
    if (pages > MOST_SMALL_PAGES) {
      this.large.splice(this.largeAfter(start) - 1, 1);
      this.largeTouched.delete(block);
      return;
    }
    const firstPage = Math.floor(start / PAGE_BYTES);
    for (let page = firstPage; page < firstPage + pages; page++) this.leavePage(block, page);
  }

  private enterPage(block: number, page: PageNumber): void {
    let row = this.pages.find(page >>> 0, highWord(page));
    if (row < 0) {
      row = this.pages.add(page >>> 0, highWord(page));
      if (row >= this.first.length) this.first = longer(Int32Array, this.first, this.first.length * 2);
      this.first[row] = NONE;
    }
    const node = this.takeNode();
    this.nodeBlock[node] = block;
    this.nodeNext[node] = this.first[row];
    this.first[row] = node;
  }

  private leavePage(block: number, page: PageNumber): void {
    const row = this.pages.find(page >>> 0, highWord(page));
    let before = NONE;
    let node = this.first[row];
    while (this.nodeBlock[node] !== block) {
      before = node;
      node = this.nodeNext[node];
    }
    const next = this.nodeNext[node];
    if (before === NONE) this.first[row] = next;
    else this.nodeNext[before] = next;
    this.nodeNext[node] = this.freeNode;
    this.freeNode = node;
    if (this.first[row] === NONE) this.pages.remove(page >>> 0, highWord(page));
  }

  private takeNode(): number {
    const node = this.freeNode;
    if (node !== NONE) {
      this.freeNode = this.nodeNext[node];
      return node;
    }
    if (this.nodeCount === this.nodeBlock.length) {
      const length = this.nodeCount * 2;
      this.nodeBlock = longer(Int32Array, this.nodeBlock, length);
      this.nodeNext = longer(Int32Array, this.nodeNext, length);
    }
    return this.nodeCount++;
  }

  private bitsOf(block: number, page: number): number {
    const bytes = this.isLarge(block) ? this.largeTouched.get(block) : undefined;
    return bytes === undefined ? (this.touched[block] >>> (2 * page)) & 3 : bytes[page];
  }

  private addBits(block: number, page: number, bits: number): void {
    const bytes = this.isLarge(block) ? this.largeTouched.get(block) : undefined;
    if (bytes === undefined) this.touched[block] |= bits << (2 * page);
    else bytes[page] |= bits;
  }

  private isLarge(block: number): boolean {
    return pagesOf(this.start[block], this.size[block]) > MOST_SMALL_PAGES;
  }

  /** Index of the first large block that starts beyond `address`. */
  private largeAfter(address: Address): number {
    let low = 0;
    let high = this.large.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.start[this.large[middle]] <= address) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private growBlocks(): void {
    const length = this.start.length * 2;
    this.start = longer(Float64Array, this.start, length);
    this.size = longer(Float64Array, this.size, length);
    this.touched = longer(Uint32Array, this.touched, length);
  }
}

/** Pages that a block lies on; one of no bytes has a byte all the same. */
function pagesOf(start: Address, size: ByteCount): number {
  return Math.floor((start + Math.max(size, 1) - 1) / PAGE_BYTES) - Math.floor(start / PAGE_BYTES) + 1;
}

function highWord(value: number): number {
  return Math.floor(value / 2 ** 32);
}
