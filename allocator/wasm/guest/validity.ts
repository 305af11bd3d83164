// What of a guest's memory is undefined, as the host sees it: blocks of the heap begin undefined, and bytes that the host's own code
// wrote behind the checker's back are recognised. What guest code does to the shadow is definedness/'s.
//
// Recognition: fresh memory of the heap is filled with a pattern. A byte that is wholly undefined, no longer holds the pattern, and was
// not stored by the guest with undefined bits, was written by the host, and counts as defined. A byte that the host wrote with the
// pattern's own value is missed: 1 in 256 for random bytes, and none for text, since the pattern is no byte of UTF-8's common ones.

import type { Address, ByteCount, PageNumber } from "../../../platform/hardware/integers.ts";
import { PAGE_SIZE, PTE_PRESENT } from "../../../platform/hardware/layout.ts";
import type { PageTable } from "../../../platform/hardware/page-table.ts";
import { ORIGIN_CELL } from "../definedness/origin-code.ts";
import { type Layout, PATTERN } from "../rewriting/layout.ts";

/** Of blocks above this, pages that are not there yet become undefined when they are touched. */
const LARGE = 32768;
const UNDEFINED = 0xff;

/** What was known of a range. */
export interface SavedValidity {
  readonly shadow: Uint8Array;
  readonly stored: Uint8Array;
  readonly origins: Uint32Array | null;
}

export class Validity {
  private readonly bytes: Uint8Array;
  /** Shadow of the guest's memory: a bit is 1 where the guest's is undefined. */
  private readonly shadow: Uint8Array;
  private readonly entries: PageTable["entries"];
  /** A bit for each byte that the guest stored undefined bits to. */
  private readonly stored: Uint8Array;
  /** Pages that become undefined when they are touched. */
  private readonly pending: Uint8Array;
  /** Where undefined bits are from, a number for each four bytes; null: that is not followed. */
  private readonly origins: Uint32Array | null;
  /** Origins of pages that become undefined when they are touched. */
  private readonly pendingOrigins: Uint32Array;

  /** Memory below was never filled with the pattern by the host: the image. */
  private readonly heapStart: number;

  constructor(memory: Uint8Array, layout: Layout, pageTable: PageTable, heapStart: number) {
    this.heapStart = heapStart;
    this.bytes = memory;
    this.shadow = memory.subarray(layout.validityBase, layout.validityBase + layout.limitBytes);
    this.entries = pageTable.entries;
    this.stored = memory.subarray(layout.storedBase, layout.storedBase + layout.limitBytes / 8);
    this.pending = new Uint8Array(layout.limitBytes / PAGE_SIZE);
    const { originBase, limitBytes } = layout;
    const offset = memory.byteOffset + originBase;
    this.origins = originBase < 0 ? null : new Uint32Array(memory.buffer, offset, limitBytes / ORIGIN_CELL);
    this.pendingOrigins = new Uint32Array(originBase < 0 ? 0 : limitBytes / PAGE_SIZE);
  }

  define(address: Address, size: ByteCount): void {
    for (let page = Math.floor(address / PAGE_SIZE); page * PAGE_SIZE < address + size; page++) this.touched(page);
    this.shadow.fill(0, address, address + size);
  }

  /**
   * The bytes behind a block's end, up to a multiple of 8: loads of aligned words around the end may read them, as with Memcheck's
   * `--partial-loads-ok=yes`, and get undefined bits, of that origin.
   */
  blockEnds(end: Address, origin: number): void {
    const behind = Math.ceil(end / ORIGIN_CELL) * ORIGIN_CELL;
    this.setOrigin(behind, -behind & 7, origin);
    this.shadow.fill(UNDEFINED, end, Math.ceil(end / 8) * 8);
  }

  /**
   * Memory that the program was given and nothing is known of. Cost: the range, less a large one's pages that are not there.
   * `origin`: of its bits.
   */
  allocated(address: Address, size: ByteCount, origin: number): void {
    if (size <= LARGE) {
      this.makeFresh(address, address + size, origin);
      return;
    }
    const end = address + size;
    for (let at = address; at < end; ) {
      const page = Math.floor(at / PAGE_SIZE);
      const stop = Math.min(end, (page + 1) * PAGE_SIZE);
      if (stop - at < PAGE_SIZE || (this.entries[page] & PTE_PRESENT) !== 0) this.makeFresh(at, stop, origin);
      else {
        this.pending[page] = 1;
        if (this.origins !== null) this.pendingOrigins[page] = origin;
      }
      at = stop;
    }
  }

  /** A block is no more: what is read there is an invalid access, and not undefined besides. */
  freed(address: Address, size: ByteCount): void {
    const end = Math.ceil((address + size) / 8) * 8;
    if (size <= LARGE) {
      this.shadow.fill(0, address, end);
      return;
    }
    for (let at = address; at < end; ) {
      const page = Math.floor(at / PAGE_SIZE);
      const stop = Math.min(end, (page + 1) * PAGE_SIZE);
      if (this.pending[page] === 1) this.pending[page] = 0;
      else this.shadow.fill(0, at, stop);
      at = stop;
    }
  }

  /** A page of the guest's has a frame from now on. */
  touched(page: PageNumber): void {
    if (this.pending[page] === 0) return;
    this.pending[page] = 0;
    this.makeFresh(page * PAGE_SIZE, (page + 1) * PAGE_SIZE, this.pendingOrigins[page] ?? 0);
  }

  private makeFresh(from: Address, to: Address, origin: number): void {
    this.setOrigin(from, to - from, origin);
    this.shadow.fill(UNDEFINED, from, to);
    this.bytes.fill(PATTERN, from, to);
    this.stored.fill(0, from >>> 3, (to + 7) >>> 3);
  }

  /** What is known of a range, for {@link restore}. */
  save(address: Address, size: ByteCount): SavedValidity {
    for (let page = Math.ceil(address / PAGE_SIZE); (page + 1) * PAGE_SIZE <= address + size; page++)
      this.touched(page);
    return {
      shadow: this.shadow.slice(address, address + size),
      stored: this.stored.slice(address >>> 3, (address + size + 7) >>> 3),
      origins: this.origins?.slice(address / ORIGIN_CELL, Math.ceil((address + size) / ORIGIN_CELL)) ?? null,
    };
  }

  /** The first `size` bytes of what was saved. */
  first({ shadow, stored, origins }: SavedValidity, size: ByteCount): SavedValidity {
    return {
      shadow: shadow.subarray(0, size),
      stored: stored.subarray(0, (size + 7) >>> 3),
      origins: origins?.subarray(0, Math.ceil(size / ORIGIN_CELL)) ?? null,
    };
  }

  /** The saved range and this one begin at multiples of 8. */
  restore(address: Address, { shadow, stored, origins }: SavedValidity): void {
    const end = address + shadow.length;
    if (shadow.length > LARGE) this.pending.fill(0, Math.ceil(address / PAGE_SIZE), Math.floor(end / PAGE_SIZE));
    this.shadow.set(shadow, address);
    this.stored.set(stored, address >>> 3);
    if (origins !== null) this.origins?.set(origins, address / ORIGIN_CELL);
  }

  /** The first byte of a range with an undefined bit, or −1, after bytes that the host wrote were made defined. */
  firstUndefined(address: Address, size: ByteCount): number {
    const end = address + size;
    for (let at = address; at < end; at++) {
      if (this.shadow[at] !== 0 && !this.isWritten(at)) return at;
    }
    return -1;
  }

  private isWritten(at: number): boolean {
    if (at < this.heapStart || this.shadow[at] !== UNDEFINED || this.bytes[at] === PATTERN || this.isStored(at))
      return false;
    this.shadow[at] = 0;
    return true;
  }

  private isStored(at: number): boolean {
    return ((this.stored[at >>> 3] >>> (at & 7)) & 1) !== 0;
  }

  /** The guest loads undefined bits from the heap: those that the host wrote become defined. */
  loaded(address: Address, size: ByteCount): void {
    for (let at = address; at < address + size; at++) if (this.shadow[at] !== 0) this.isWritten(at);
  }

  /** The origin of undefined bits at `address`, or 0. */
  originAt(address: Address): number {
    return this.origins?.[Math.floor(address / ORIGIN_CELL)] ?? 0;
  }

  /** All bytes of a range have their undefined bits, if any, from `origin`. */
  setOrigin(address: Address, size: ByteCount, origin: number): void {
    if (size > 0)
      this.origins?.fill(origin, Math.floor(address / ORIGIN_CELL), Math.ceil((address + size) / ORIGIN_CELL));
  }

  /** Bytes were copied, with their shadows, and some are undefined: their origins follow. */
  copyOrigins(to: Address, from: Address, size: ByteCount): void {
    const { origins } = this;
    if (origins === null) return;
    const first = Math.floor(from / ORIGIN_CELL);
    const end = Math.ceil((from + size) / ORIGIN_CELL);
    if ((to - from) % ORIGIN_CELL === 0) {
      origins.copyWithin(Math.floor(to / ORIGIN_CELL), first, end);
      return;
    }
    const sources = origins.slice(first, end);
    for (let i = 0; i < size; i++) {
      if (this.shadow[to + i] !== 0)
        origins[Math.floor((to + i) / ORIGIN_CELL)] = sources[Math.floor((from + i) / ORIGIN_CELL) - first];
    }
  }

  /** The guest stored bytes to the heap, of which some have undefined bits. */
  noteStored(address: Address, size: ByteCount): void {
    for (let at = address; at < address + size; at++) {
      const bit = 1 << (at & 7);
      if (this.shadow[at] !== 0 && this.bytes[at] !== PATTERN) this.stored[at >>> 3] |= bit;
      else this.stored[at >>> 3] &= ~bit;
    }
  }

  /** Which of `size` bytes of the stack at `address` are as fresh as a new frame's. */
  freshBytes(address: Address, size: ByteCount): number[] {
    const fresh: number[] = [];
    for (let at = address; at < address + size; at++) {
      if (this.shadow[at] === UNDEFINED && this.bytes[at] === PATTERN) fresh.push(at);
    }
    return fresh;
  }

  /** Of bytes that were fresh before the host's code ran, those that it wrote become defined. */
  defineWritten(fresh: readonly number[]): void {
    for (const at of fresh) if (this.bytes[at] !== PATTERN) this.shadow[at] = 0;
  }
}
