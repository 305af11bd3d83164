// The flat page table of one address space: an Int32Array indexed by page number that serves as its own TLB.
// Bitmaps over blocks of 512 entries let munmap, fork and smaps skip what was never touched. Who maps what is up to the kernel.

import { keepClass } from "../state/kept.ts";
import { makeSparse } from "../state/sparse.ts";
import type { EntryBlock, PageNumber, PageTableEntry } from "./integers.ts";
import { PAGE_COUNT, PTE_FRAME_SHIFT } from "./layout.ts";
import { hideFields, outline } from "./outline.ts";

/** Entries in a block: what one page-table page of Linux holds (2 MiB of addresses). */
export const ENTRIES_PER_BLOCK = 512;
const BLOCK_SHIFT = 9;
const BLOCK_COUNT = PAGE_COUNT / ENTRIES_PER_BLOCK;
/** Pages that a table of the level above is for (1 GiB): 512 blocks. */
export const PAGES_PER_UPPER_TABLE = ENTRIES_PER_BLOCK * ENTRIES_PER_BLOCK;
/** Entries of a huge block that one access copies: a dense program misses 8 times a block, a sparse one has little to clear. */
const PART_SHIFT = 6;
const ENTRIES_PER_PART = 1 << PART_SHIFT;
const PARTS_PER_BLOCK = ENTRIES_PER_BLOCK / ENTRIES_PER_PART;
const ALL_PARTS = (1 << PARTS_PER_BLOCK) - 1;
/** What entries of neighbouring frames differ by. */
const FRAME_STEP = 1 << PTE_FRAME_SHIFT;

/** Bytes of all entries together. */
export const TABLE_BYTES = PAGE_COUNT * 4;

/** In `huge`: the block is mapped by its small entries, by one huge entry, or by one that keeps no page table in reserve. */
export const HUGE_NONE = 0;
export const HUGE_ENTRY = 1;
export const HUGE_ENTRY_WITHOUT_TABLE = 2;

/** Names the method that takes a page table away from who reads it: the kernel's alone, so that no program can call it. */
export const DETACH: unique symbol = Symbol("detach");

/** Whoever reads a page table by itself: a load/store unit. From [DETACH] on it reads the given one, which is empty. */
export interface TableReader {
  [DETACH](empty: PageTable): void;
}

/**
 * A load or a store looks up the same array for pages of every kind. `huge` says beside it which blocks one huge entry maps, and
 * `hugeEntries` keeps that entry; the block's 512 entries are copies of it that accesses make, an eighth of the block each (`spread`),
 * and until then they are 0. So what is done to a huge page costs a step, and copies are made and cleared only where it was used.
 * Whoever asks what maps a page asks `entryOf`; `entries` alone may be read of blocks that are known not to be huge.
 *
 * Invariants: the entries of each eighth of a huge block are all 0, or all what its huge entry says, with ascending frame numbers, and its
 * bit of `spreadParts` is set then; `populated[b]` is the number of non-zero entries of block b; `tables[b]` is 1 if Linux would
 * have a page table there: from the first small entry on until the kernel frees it, empty or not; no block has a table and a huge entry;
 * bit b of `blockBits` is set exactly if it has either; bit w of `wordBits` is set exactly if word w of `blockBits` is not 0.
 */
export class PageTable {
  readonly entries: Int32Array;
  readonly populated = new Uint16Array(BLOCK_COUNT);
  readonly huge = new Uint8Array(BLOCK_COUNT);
  /** By block: the huge entry, as that of the block's first page. Only where `huge` says so. */
  private readonly hugeEntries = new Int32Array(BLOCK_COUNT);
  /** By block: a bit for each eighth of it that may have copies of the huge entry. */
  private readonly spreadParts = new Uint8Array(BLOCK_COUNT);
  readonly tables = new Uint8Array(BLOCK_COUNT);
  private readonly blockBits = new Int32Array(BLOCK_COUNT / 32);
  private readonly wordBits = new Int32Array(BLOCK_COUNT / 1024);
  /** Page-table pages that Linux would have at the lowest level; a huge entry keeps one in reserve. */
  tableCount = 0;
  /** By GiB: 1 where Linux would have a table above those of the blocks, from the first of them on until the kernel frees it. */
  private readonly upperTables = new Uint8Array(BLOCK_COUNT / ENTRIES_PER_BLOCK);
  upperTableCount = 0;
  /** Blocks that have a page table or a huge entry. */
  private usedBlocks = 0;
  /** Who reads this table, so that none of them sees the entries of the process that gets it next. */
  private readonly readers = new Set<TableReader>();

  /** @param entries where the entries lie, all 0; absent: in memory of their own */
  constructor(entries = new Int32Array(makeSparse(TABLE_BYTES))) {
    this.entries = entries;
    hideFields(this);
  }

  get isEmpty(): boolean {
    return this.usedBlocks === 0;
  }

  addReader(reader: TableReader): void {
    this.readers.add(reader);
  }

  removeReader(reader: TableReader): void {
    this.readers.delete(reader);
  }

  /** Takes the table away from all its readers. */
  detachReaders(empty: PageTable): void {
    for (const reader of [...this.readers]) reader[DETACH](empty);
  }

  set(page: PageNumber, entry: PageTableEntry): void {
    const before = this.entries[page];
    this.entries[page] = entry;
    if (before === 0 && entry !== 0) this.grow(page >> BLOCK_SHIFT);
    else if (before !== 0 && entry === 0) this.populated[page >> BLOCK_SHIFT]--;
  }

  /** Puts an entry where none was. */
  install(page: PageNumber, entry: PageTableEntry): void {
    this.entries[page] = entry;
    this.grow(page >> BLOCK_SHIFT);
  }

  /**
   * The first page in [page, endPage) whose entry is not 0, or endPage. Cost: the entries of touched blocks only,
   * so that a walk over a range is O(touched pages), not O(reserved).
   */
  next(page: PageNumber, endPage: PageNumber): PageNumber {
    while (page < endPage) {
      const block = page >> BLOCK_SHIFT;
      if (this.populated[block] === 0) {
        page = this.nextBlock(block + 1, endPage >> BLOCK_SHIFT) * ENTRIES_PER_BLOCK;
        continue;
      }
      if (this.populated[block] === ENTRIES_PER_BLOCK) return page;
      const stop = Math.min(endPage, (block + 1) * ENTRIES_PER_BLOCK);
      for (; page < stop; page++) if (this.entries[page] !== 0) return page;
    }
    return endPage;
  }

  /** Whether nothing small was ever mapped in the block of `page` since it was last without a page table, and nothing huge is. */
  isUntouched(page: PageNumber): boolean {
    const block = page >> BLOCK_SHIFT;
    return this.tables[block] === 0 && this.huge[block] === HUGE_NONE;
  }

  /** Whether the block of `page` has entries, or a page table without any. */
  isUsed(page: PageNumber): boolean {
    return !this.isUntouched(page);
  }

  /** Whether a huge entry maps `page`. */
  isHuge(page: PageNumber): boolean {
    return this.huge[page >> BLOCK_SHIFT] !== HUGE_NONE;
  }

  /** Maps the block that starts at `page` by one huge entry; `entry` is that of its first page. It may replace another huge entry. */
  setHuge(page: PageNumber, entry: PageTableEntry, kind: number = HUGE_ENTRY): void {
    const block = page >> BLOCK_SHIFT;
    this.hugeEntries[block] = entry;
    if (this.huge[block] !== HUGE_NONE) {
      this.dropSpread(page);
      return;
    }
    this.huge[block] = kind;
    this.populated[block] = ENTRIES_PER_BLOCK;
    if (kind === HUGE_ENTRY) this.tableCount++;
    this.use(block);
  }

  /** Takes the huge entry of the block that starts at `page` away, with the table in reserve. */
  clearHuge(page: PageNumber): void {
    const block = page >> BLOCK_SHIFT;
    this.dropSpread(page);
    if (this.huge[block] === HUGE_ENTRY) this.tableCount--;
    this.huge[block] = HUGE_NONE;
    this.hugeEntries[block] = 0;
    this.populated[block] = 0;
    this.unuse(block);
  }

  /** The entry that maps `page`, be it small or its share of a huge one; 0: none. */
  entryOf(page: PageNumber): PageTableEntry {
    const entry = this.entries[page];
    if (entry !== 0 || this.huge[page >> BLOCK_SHIFT] === HUGE_NONE) return entry;
    return (this.hugeEntries[page >> BLOCK_SHIFT] + (page & (ENTRIES_PER_BLOCK - 1)) * FRAME_STEP) | 0;
  }

  /** Writes the entries around `page`, which a huge entry maps, so that accesses find them. */
  spread(page: PageNumber): void {
    const { entries } = this;
    const block = page >> BLOCK_SHIFT;
    const first = page & -ENTRIES_PER_PART;
    const inBlock = first & (ENTRIES_PER_BLOCK - 1);
    let entry = (this.hugeEntries[block] + inBlock * FRAME_STEP) | 0;
    if (entries[first] === entry) return;
    this.spreadParts[block] |= 1 << (inBlock >> PART_SHIFT);
    for (let at = first; at < first + ENTRIES_PER_PART; at++) {
      entries[at] = entry;
      entry = (entry + FRAME_STEP) | 0;
    }
  }

  private dropSpread(first: PageNumber): void {
    const block = first >> BLOCK_SHIFT;
    const parts = this.spreadParts[block];
    if (parts === 0) return;
    this.spreadParts[block] = 0;
    if (parts === ALL_PARTS) this.entries.fill(0, first, first + ENTRIES_PER_BLOCK);
    else
      for (let left = parts; left !== 0; left &= left - 1)
        this.clearPart(first + trailingZeros(left) * ENTRIES_PER_PART);
  }

  private clearPart(first: PageNumber): void {
    this.entries.fill(0, first, first + ENTRIES_PER_PART);
  }

  /** Makes 512 small entries of a huge one; what they say stays as it is. */
  splitHuge(page: PageNumber): void {
    const block = page >> BLOCK_SHIFT;
    for (let part = 0; part < PARTS_PER_BLOCK; part++) this.spread(page + part * ENTRIES_PER_PART);
    this.spreadParts[block] = 0;
    if (this.huge[block] === HUGE_ENTRY_WITHOUT_TABLE) this.tableCount++;
    this.huge[block] = HUGE_NONE;
    this.hugeEntries[block] = 0;
    this.tables[block] = 1;
  }

  /** Moves all that a block maps, huge entry or page table, to one that has neither. Both are named by their first page. */
  moveBlock(from: PageNumber, to: PageNumber): void {
    const source = from >> BLOCK_SHIFT;
    const target = to >> BLOCK_SHIFT;
    if (this.huge[source] === HUGE_NONE) {
      this.entries.copyWithin(to, from, from + ENTRIES_PER_BLOCK);
      this.entries.fill(0, from, from + ENTRIES_PER_BLOCK);
    } else this.dropSpread(from);
    this.hugeEntries[target] = this.hugeEntries[source];
    this.hugeEntries[source] = 0;
    this.populated[target] = this.populated[source];
    this.huge[target] = this.huge[source];
    this.tables[target] = this.tables[source];
    this.populated[source] = 0;
    this.huge[source] = HUGE_NONE;
    this.tables[source] = 0;
    this.unuse(source);
    this.use(target);
  }

  /** Gives the block of `page` a page table, if it has none yet. */
  makeTable(page: PageNumber): void {
    const block = page >> BLOCK_SHIFT;
    if (this.tables[block] === 1) return;
    this.tables[block] = 1;
    this.tableCount++;
    this.use(block);
  }

  /** Gives the GiB of `page` the table above those of its blocks, if it has none yet. */
  makeUpperTable(page: PageNumber): void {
    const upper = Math.floor(page / PAGES_PER_UPPER_TABLE);
    if (this.upperTables[upper] === 1) return;
    this.upperTables[upper] = 1;
    this.upperTableCount++;
  }

  /** Frees the page tables without entries of the blocks that lie wholly in [page, endPage). Cost: the blocks with one. */
  freeTables(page: PageNumber, endPage: PageNumber): void {
    const end = endPage >> BLOCK_SHIFT;
    for (
      let block = this.nextBlock((page + ENTRIES_PER_BLOCK - 1) >> BLOCK_SHIFT, end);
      block < end;
      block = this.nextBlock(block + 1, end)
    ) {
      if (this.populated[block] !== 0) continue;
      this.tables[block] = 0;
      this.tableCount--;
      this.unuse(block);
    }
  }

  /** Frees the tables above that lie wholly in [page, endPage) and have nothing below them. Cost: the GiBs of the range. */
  freeUpperTables(page: PageNumber, endPage: PageNumber): void {
    const end = Math.floor(endPage / PAGES_PER_UPPER_TABLE);
    for (let upper = Math.ceil(page / PAGES_PER_UPPER_TABLE); upper < end; upper++) {
      if (this.upperTables[upper] === 0) continue;
      const first = upper * ENTRIES_PER_BLOCK;
      if (this.nextBlock(first, first + ENTRIES_PER_BLOCK - 1) < first + ENTRIES_PER_BLOCK) continue;
      this.upperTables[upper] = 0;
      this.upperTableCount--;
    }
  }

  /** Where the first block begins, from that of `page` on, that has a page table or a huge entry; endPage if it lies behind that. */
  nextUsedBlock(page: PageNumber, endPage: PageNumber): number {
    return Math.min(endPage, this.nextBlock(page >> BLOCK_SHIFT, endPage >> BLOCK_SHIFT) * ENTRIES_PER_BLOCK);
  }

  /** The first page behind the block of `page`. */
  blockEnd(page: PageNumber): PageNumber {
    return (page | (ENTRIES_PER_BLOCK - 1)) + 1;
  }

  /** Number of non-zero entries in the block of `page`. */
  entriesInBlock(page: PageNumber): number {
    return this.populated[page >> BLOCK_SHIFT];
  }

  /** Tells that `count` entries of the block of `page` have been cleared in `entries` itself. */
  noteCleared(page: PageNumber, count: number): void {
    this.populated[page >> BLOCK_SHIFT] -= count;
  }

  /** Number of non-zero entries in [page, endPage). */
  count(page: PageNumber, endPage: PageNumber): number {
    let found = 0;
    for (page = this.next(page, endPage); page < endPage; page = this.next(page + 1, endPage)) found++;
    return found;
  }

  /** The first block with a page table or a huge entry at or after `block`; any behind `last`: there is none up to that. */
  private nextBlock(block: EntryBlock, last: EntryBlock): number {
    if (block > last) return BLOCK_COUNT;
    let word = block >> 5;
    let bits = this.blockBits[word] & (-1 << (block & 31));
    if (bits === 0) {
      word = this.nextWord(word + 1, last >> 5);
      if (word === this.blockBits.length) return BLOCK_COUNT;
      bits = this.blockBits[word];
    }
    return word * 32 + trailingZeros(bits);
  }

  /** The first word that is not 0 at or after `word`; the length of `blockBits`: there is none up to `last`. */
  private nextWord(word: number, last: number): number {
    const end = this.blockBits.length;
    if (word > last || word >= end) return end;
    let group = word >> 5;
    let bits = this.wordBits[group] & (-1 << (word & 31));
    while (bits === 0) {
      if (++group > last >> 5 || group === this.wordBits.length) return end;
      bits = this.wordBits[group];
    }
    return group * 32 + trailingZeros(bits);
  }

  private grow(block: EntryBlock): void {
    if (this.populated[block]++ !== 0 || this.tables[block] === 1) return;
    this.tables[block] = 1;
    this.tableCount++;
    this.use(block);
  }

  private use(block: EntryBlock): void {
    this.usedBlocks++;
    if (this.upperTables[block >> BLOCK_SHIFT] === 0) this.makeUpperTable(block * ENTRIES_PER_BLOCK);
    this.blockBits[block >> 5] |= 1 << (block & 31);
    this.wordBits[block >> 10] |= 1 << ((block >> 5) & 31);
  }

  private unuse(block: EntryBlock): void {
    this.usedBlocks--;
    const word = block >> 5;
    this.blockBits[word] &= ~(1 << (block & 31));
    if (this.blockBits[word] === 0) this.wordBits[word >> 5] &= ~(1 << (word & 31));
  }

  /** @throws Error naming the broken invariant. */
  checkInvariants(): void {
    let used = 0;
    let tables = 0;
    for (let block = 0; block < BLOCK_COUNT; block++) {
      const bit = (this.blockBits[block >> 5] >>> (block & 31)) & 1;
      const isUsed = this.tables[block] === 1 || this.huge[block] !== HUGE_NONE;
      if (isUsed !== (bit === 1))
        throw new Error(`page table: block ${block} is${isUsed ? "" : " not"} in use but its bit is ${bit}`);
      if (bit === 0) continue;
      if (this.upperTables[block >> BLOCK_SHIFT] === 0)
        throw new Error(`page table: block ${block} is in use without a table above it`);
      used++;
      if (this.huge[block] !== HUGE_ENTRY_WITHOUT_TABLE) tables++;
      this.checkBlock(block);
    }
    for (let word = 0; word < this.blockBits.length; word++) {
      const bit = (this.wordBits[word >> 5] >>> (word & 31)) & 1;
      if ((this.blockBits[word] !== 0) !== (bit === 1))
        throw new Error(`page table: word ${word} disagrees with its bit ${bit}`);
    }
    if (used !== this.usedBlocks)
      throw new Error(`page table: ${used} blocks are in use but the count is ${this.usedBlocks}`);
    const uppers = this.upperTables.reduce((sum, table) => sum + table, 0);
    if (uppers !== this.upperTableCount)
      throw new Error(`page table: ${uppers} upper tables but the count is ${this.upperTableCount}`);
    if (tables !== this.tableCount) throw new Error(`page table: ${tables} tables but the count is ${this.tableCount}`);
  }

  private checkBlock(block: EntryBlock): void {
    let found = 0;
    const first = block * ENTRIES_PER_BLOCK;
    for (let page = first; page < first + ENTRIES_PER_BLOCK; page++) if (this.entryOf(page) !== 0) found++;
    if (found !== this.populated[block])
      throw new Error(`page table: block ${block} holds ${found} entries but counts ${this.populated[block]}`);
    if (this.huge[block] === HUGE_NONE) return;
    if (this.tables[block] === 1) throw new Error(`page table: block ${block} has a table and a huge entry`);
    for (let page = first; page < first + ENTRIES_PER_BLOCK; page++) {
      const isSpread = this.entries[page & -ENTRIES_PER_PART] !== 0;
      const expected = isSpread ? (this.hugeEntries[block] + (page - first) * FRAME_STEP) | 0 : 0;
      if (isSpread && ((this.spreadParts[block] >> ((page - first) >> PART_SHIFT)) & 1) === 0)
        throw new Error(`page table: page ${page} has a copy of its huge entry that no bit tells of`);
      if (this.entries[page] !== expected)
        throw new Error(
          `page table: page ${page} has the entry ${this.entries[page]}, not ${expected} of its huge entry`,
        );
    }
  }
}

function trailingZeros(bits: number): number {
  return 31 - Math.clz32(bits & -bits);
}

outline(PageTable, ({ tableCount }) => ({ tableCount }));

keepClass("PageTable", PageTable, {
  *extents(table) {
    const { entries, populated, huge } = table;
    const blockBytes = ENTRIES_PER_BLOCK * entries.BYTES_PER_ELEMENT;
    for (let block = 0; block < populated.length; block++) {
      // Of a huge entry there is no need to keep the copies.
      if (populated[block] === 0 || huge[block] !== HUGE_NONE) continue;
      yield [entries, block * blockBytes, (block + 1) * blockBytes];
    }
    // None at all is said as well: a table without entries is not looked through.
    yield [entries, 0, 0];
  },
});
