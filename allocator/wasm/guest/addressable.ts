// Which bytes of a guest's address space are the program's, and the shadow that says so to the inlined checks: the image (static data,
// stack, what memory.grow added) and the live chunks of the heap. A shadow byte also says whether the page is there.
//
// Invariants: a granule's count of bytes (SHADOW_COUNT, or 8 for the two plain values) is right wherever it is painted; it is painted
// for every chunk's bytes outside whole pages of large chunks and, once the page was touched, there and in the image. What a shadow
// says of a page's presence may lag behind the page table on the safe side: it may say less than is there.

import type { Address, ByteCount, PageNumber } from "../../../platform/hardware/integers.ts";
import { PAGE_SIZE, PTE_CHECKED, PTE_PRESENT, PTE_READ, PTE_WRITE } from "../../../platform/hardware/layout.ts";
import type { PageTable } from "../../../platform/hardware/page-table.ts";
import { keepClass } from "../../../platform/state/kept.ts";
import {
  GRANULE,
  type Layout,
  SHADOW_ABSENT,
  SHADOW_CLEAN,
  SHADOW_COUNT,
  SHADOW_READABLE,
  SHADOW_WRITABLE,
} from "../rewriting/layout.ts";

/** Chunks above this are not painted but for their ends: their pages are when they are touched. */
const LARGE = 32768;
const GRANULES_PER_PAGE = PAGE_SIZE / GRANULE;
const NOTHING = 0;

export class Addressable {
  private readonly bytes: Uint8Array;
  private readonly shadow: number;
  private readonly pageTable: PageTable;
  /** 1 for each page of which it is known that it can be loaded and stored with no fault: the module itself may write headers there. */
  private readonly ready: Uint8Array;
  /** The large chunk that covers all of a page, by page; 0: none. */
  private readonly largeOfPage: Uint32Array;
  /**
   * Each block's pages look absent until the guest itself comes to them, so that its first load and store of each are seen,
   * whoever had the page before. The image is as ever.
   */
  watchesTouches = false;
  /** The image is [imageStart, imageEnd): below it are null pointers. */
  readonly imageStart: number;
  imageEnd: number;

  constructor(
    memory: Uint8Array,
    layout: Layout,
    pageTable: PageTable,
    image: { readonly start: Address; readonly end: Address },
  ) {
    this.bytes = memory;
    this.shadow = layout.shadowBase;
    this.ready = memory.subarray(layout.readyBase, layout.readyBase + layout.limitBytes / PAGE_SIZE);
    this.pageTable = pageTable;
    this.largeOfPage = new Uint32Array(layout.limitBytes / PAGE_SIZE);
    this.imageStart = image.start;
    this.imageEnd = image.end;
  }

  chunkAllocated(pointer: Address, size: ByteCount): void {
    const end = pointer + size;
    if (size <= LARGE) {
      this.paint(pointer, end);
      return;
    }
    const first = Math.ceil(pointer / PAGE_SIZE);
    const last = Math.floor(end / PAGE_SIZE);
    this.paint(pointer, first * PAGE_SIZE);
    this.paint(last * PAGE_SIZE, end);
    this.largeOfPage.fill(pointer, first, last);
    const { pageTable } = this;
    for (let page = pageTable.next(first, last); page < last; page = pageTable.next(page + 1, last)) this.repaint(page);
  }

  /** A chunk ends whose block had `room` bytes for it: how many of them were the program's does not matter. */
  chunkFreed(pointer: Address, room: ByteCount): void {
    const end = pointer + room;
    const first = Math.ceil(pointer / PAGE_SIZE);
    const last = Math.floor(end / PAGE_SIZE);
    if (room <= 2 * LARGE) {
      this.erase(pointer, end);
      if (room > LARGE) this.largeOfPage.fill(0, first, last);
      return;
    }
    this.erase(pointer, first * PAGE_SIZE);
    this.erase(last * PAGE_SIZE, end);
    this.largeOfPage.fill(0, first, last);
    const { pageTable } = this;
    for (let page = pageTable.next(first, last); page < last; page = pageTable.next(page + 1, last)) {
      this.erase(page * PAGE_SIZE, (page + 1) * PAGE_SIZE);
    }
  }

  /** A page may be there, and have taken a store. */
  noteReady(page: PageNumber): void {
    this.ready[page] = readiness(this.pageTable.entries[page]);
  }

  /** The first of `size` bytes at `address` that is not the program's, or −1. */
  firstForeign(address: Address, size: ByteCount): number {
    const end = address + size;
    if (address < this.imageEnd) {
      if (address < this.imageStart) return address;
      return end <= this.imageEnd ? -1 : this.imageEnd;
    }
    for (let at = address; at < end; ) {
      const page = Math.floor(at / PAGE_SIZE);
      if (page >= this.largeOfPage.length) return at;
      if (this.largeOfPage[page] !== 0) {
        at = (page + 1) * PAGE_SIZE;
        continue;
      }
      const granule = Math.floor(at / GRANULE);
      const usable = granule * GRANULE + countOf(this.bytes[this.shadow + granule]);
      if (usable <= at) return at;
      if (usable < (granule + 1) * GRANULE && usable < end) return usable;
      at = (granule + 1) * GRANULE;
    }
    return -1;
  }

  /** Brings the shadow of a page in line with its page-table entry. Cost: 512 bytes. */
  repaint(page: PageNumber): void {
    this.repaintAs(page, this.shownEntry(page));
  }

  /** What the shadow of a page says that its entry is. */
  private shownEntry(page: PageNumber): number {
    return this.watchesTouches && page * PAGE_SIZE >= this.imageEnd ? 0 : this.pageTable.entries[page];
  }

  /** The guest comes to a page that is there: of the block at `address` it is shown, to loads only if this is one. */
  reveal(page: PageNumber, address: Address, isStore: boolean): void {
    if (!this.watchesTouches || page * PAGE_SIZE < this.imageEnd) {
      this.repaint(page);
      return;
    }
    const { bytes } = this;
    const entry = this.pageTable.entries[page] & (isStore ? -1 : ~PTE_WRITE);
    const first = this.shadow + page * GRANULES_PER_PAGE;
    const end = first + GRANULES_PER_PAGE;
    const whole = wholeState(entry);
    if (this.largeOfPage[page] !== 0) {
      bytes.fill(whole, first, end);
      return;
    }
    // Between blocks lie headers, which are not the program's.
    const at = this.shadow + Math.floor(address / GRANULE);
    let from = at;
    let to = at;
    while (from > first && countOf(bytes[from - 1]) === GRANULE) from--;
    while (to < end && countOf(bytes[to]) === GRANULE) to++;
    bytes.fill(whole, from, to);
    if (to < end && countOf(bytes[to]) !== 0) bytes[to] = partState(entry) | countOf(bytes[to]);
  }

  /** The page's entry is about to go. */
  lose(page: PageNumber): void {
    this.repaintAs(page, 0);
  }

  private repaintAs(page: PageNumber, entry: number): void {
    const { bytes } = this;
    this.ready[page] = readiness(entry);
    const from = this.shadow + page * GRANULES_PER_PAGE;
    const to = from + GRANULES_PER_PAGE;
    const whole = wholeState(entry);
    const begin = page * PAGE_SIZE;
    if (begin < this.imageEnd) {
      const skipped = Math.min(Math.max(0, Math.floor((this.imageStart - begin) / GRANULE)), GRANULES_PER_PAGE);
      bytes.fill(NOTHING, from, from + skipped);
      bytes.fill(whole, from + skipped, to);
    } else if (this.largeOfPage[page] !== 0) bytes.fill(whole, from, to);
    else {
      const part = partState(entry);
      for (let at = from; at < to; at++) {
        const count = countOf(bytes[at]);
        if (count !== 0) bytes[at] = count === GRANULE ? whole : part | count;
      }
    }
  }

  /** Makes [from, to) the program's; `from` is a multiple of 8. */
  private paint(from: Address, to: Address): void {
    const { bytes, shadow } = this;
    for (let at = from; at < to; ) {
      const page = Math.floor(at / PAGE_SIZE);
      const stop = Math.min(to, (page + 1) * PAGE_SIZE);
      const entry = this.shownEntry(page);
      const first = shadow + at / GRANULE;
      const last = shadow + Math.floor(stop / GRANULE);
      const whole = wholeState(entry);
      if (last - first < 32) for (let i = first; i < last; i++) bytes[i] = whole;
      else bytes.fill(whole, first, last);
      const rest = stop % GRANULE;
      if (rest !== 0) bytes[last] = partState(entry) | rest;
      at = stop;
    }
  }

  private erase(from: Address, to: Address): void {
    const first = this.shadow + from / GRANULE;
    const last = this.shadow + Math.ceil(to / GRANULE);
    if (last - first < 32) for (let i = first; i < last; i++) this.bytes[i] = NOTHING;
    else this.bytes.fill(NOTHING, first, last);
  }

  /**
   * @param chunks the live ones
   * @throws Error naming the broken invariant: a chunk that is not all the program's, or a shadow that says too much
   */
  checkInvariants(chunks: Iterable<{ readonly pointer: Address; readonly size: ByteCount }>): void {
    for (const { pointer, size } of chunks) {
      const foreign = this.firstForeign(pointer, size);
      if (foreign >= 0) throw new Error(`chunk ${pointer} of ${size} bytes is not the program's at ${foreign}`);
      this.checkPresence(pointer, pointer + size);
    }
    this.checkPresence(this.imageStart, this.imageEnd);
    for (let page = this.ready.indexOf(1); page !== -1; page = this.ready.indexOf(1, page + 1)) {
      const entry = this.pageTable.entries[page];
      if (readiness(entry) === 0) throw new Error(`page ${page} is said to be ready, its entry is ${entry}`);
    }
  }

  /** One granule of each page of [from, to). */
  private checkPresence(from: Address, to: Address): void {
    for (let at = from; at < to; at = (Math.floor(at / PAGE_SIZE) + 1) * PAGE_SIZE) {
      const page = Math.floor(at / PAGE_SIZE);
      const state = this.bytes[this.shadow + Math.floor(at / GRANULE)];
      if (state === NOTHING || (state & SHADOW_ABSENT && state < SHADOW_READABLE)) continue;
      const entry = this.pageTable.entries[page];
      const isClean = state === SHADOW_READABLE || (state < SHADOW_READABLE && (state & SHADOW_CLEAN) !== 0);
      if ((entry & (isClean ? PTE_READ : PTE_WRITE)) === 0)
        throw new Error(`shadow ${state} of page ${page} says more than its entry ${entry}`);
    }
  }
}

function readiness(entry: number): number {
  return (entry & (PTE_READ | PTE_WRITE | PTE_CHECKED)) === (PTE_READ | PTE_WRITE) ? 1 : 0;
}

function countOf(state: number): number {
  return state >= SHADOW_READABLE ? GRANULE : state & SHADOW_COUNT;
}

function wholeState(entry: number): number {
  if ((entry & PTE_PRESENT) === 0) return SHADOW_ABSENT | GRANULE;
  if ((entry & PTE_WRITE) !== 0) return SHADOW_WRITABLE;
  return (entry & PTE_READ) !== 0 ? SHADOW_READABLE : SHADOW_ABSENT | GRANULE;
}

function partState(entry: number): number {
  if ((entry & PTE_PRESENT) === 0) return SHADOW_ABSENT;
  if ((entry & PTE_WRITE) !== 0) return 0;
  return (entry & PTE_READ) !== 0 ? SHADOW_CLEAN : SHADOW_ABSENT;
}

keepClass("GuestAddressable", Addressable);
