// Memory that the program itself declared out of bounds (make-noaccess, pools): a bitmap for each page that has some.
// What the heap's own state rules out, freed chunks and headers, is not here: that is read from the heap.

import type { Address, ByteCount, FrameNumber, PageNumber } from "../../platform/hardware/integers.ts";
import { PAGE_SIZE } from "../../platform/hardware/layout.ts";
import type { PhysicalMemory } from "../../platform/hardware/physical-memory.ts";
import { markUndefined } from "../../platform/hardware/validity.ts";
import { keepClass } from "../../platform/state/kept.ts";

/** Stands for a page all of whose bytes are out of bounds: large ranges need no bitmaps of their own. */
const WHOLE = "whole";

/** An access to such bytes is seen by their bits, which are undefined: untouched pages get these with their first frame. */
export class NoAccess {
  private readonly ram: PhysicalMemory;
  /** One bit a byte, by page number; pages without such bytes have no entry. */
  private readonly pages = new Map<number, Uint8Array | typeof WHOLE>();

  /** Nothing is out of bounds, as in nearly every program. */
  isEmpty = true;

  constructor(ram: PhysicalMemory) {
    this.ram = ram;
  }

  has(page: PageNumber): boolean {
    return this.pages.has(page);
  }

  /** Makes those of a page's bytes undefined in `frame`. */
  markFrame(page: PageNumber, frame: FrameNumber): void {
    const start = page * PAGE_SIZE;
    for (let at = this.first(start, PAGE_SIZE); at >= 0; ) {
      const bytes = this.runFrom(at, start + PAGE_SIZE - at);
      markUndefined(this.ram, frame * PAGE_SIZE + (at - start), bytes);
      at = this.first(at + bytes, start + PAGE_SIZE - at - bytes);
    }
  }

  /** The same marks, which change apart from these. */
  copy(): NoAccess {
    const copy = new NoAccess(this.ram);
    for (const [page, bits] of this.pages) copy.pages.set(page, bits === WHOLE ? WHOLE : bits.slice());
    copy.isEmpty = this.isEmpty;
    return copy;
  }

  /** Bytes of bookkeeping. */
  get memoryBytes(): number {
    let bytes = 0;
    for (const bits of this.pages.values()) if (bits !== WHOLE) bytes += bits.length;
    return bytes;
  }

  forbid(address: Address, length: ByteCount): void {
    const end = address + length;
    for (let page = Math.floor(address / PAGE_SIZE); page * PAGE_SIZE < end; page++) {
      const from = Math.max(0, address - page * PAGE_SIZE);
      const to = Math.min(PAGE_SIZE, end - page * PAGE_SIZE);
      if (to - from === PAGE_SIZE) this.pages.set(page, WHOLE);
      else if (to > from) setBits(this.ownBits(page), from, to);
    }
    this.isEmpty = this.pages.size === 0;
  }

  /** Cost: the pages of the range, or all that have such bytes if those are fewer. */
  allow(address: Address, length: ByteCount): void {
    if (this.isEmpty) return;
    const end = address + length;
    forEachMarked(this.pages, Math.floor(address / PAGE_SIZE), Math.ceil(end / PAGE_SIZE), (page) => {
      const from = Math.max(0, address - page * PAGE_SIZE);
      const to = Math.min(PAGE_SIZE, end - page * PAGE_SIZE);
      if (to - from < PAGE_SIZE) {
        const bits = this.ownBits(page);
        for (let bit = from; bit < to; bit++) bits[bit >> 3] &= ~(1 << (bit & 7));
        if (bits.some((byte) => byte !== 0)) return;
      }
      this.pages.delete(page);
    });
    this.isEmpty = this.pages.size === 0;
  }

  /** The first byte of a range that is out of bounds, or −1. */
  first(address: Address, length: ByteCount): number {
    return this.isEmpty ? -1 : this.find(address, address + length, 1);
  }

  /** How many of the `length` bytes from `address` on, the first of which is out of bounds, are so without a gap. */
  runFrom(address: Address, length: ByteCount): number {
    const next = this.find(address, address + length, 0);
    return next < 0 ? length : next - address;
  }

  /** Bytes that were copied keep what was said of them: `to`, of which nothing is, gets the marks of `from`, which has none any more. */
  move(to: Address, from: Address, length: ByteCount): void {
    if (this.isEmpty || to === from) return;
    const stretches: { distance: number; bytes: ByteCount }[] = [];
    for (let at = this.first(from, length); at >= 0; at = this.first(at, from + length - at)) {
      const bytes = this.runFrom(at, from + length - at);
      stretches.push({ distance: at - from, bytes });
      at += bytes;
    }
    this.allow(from, length);
    for (const { distance, bytes } of stretches) this.forbid(to + distance, bytes);
  }

  private find(address: Address, end: Address, wanted: 0 | 1): number {
    for (let at = address; at < end; at++) {
      const bits = this.pages.get(Math.floor(at / PAGE_SIZE));
      const bit = at % PAGE_SIZE;
      const uniform = bits === undefined ? 0 : bits === WHOLE ? 1 : null;
      if (uniform === wanted) return at;
      if (bits === undefined || bits === WHOLE) at += PAGE_SIZE - bit - 1;
      else if (((bits[bit >> 3] >> (bit & 7)) & 1) === wanted) return at;
    }
    return -1;
  }

  /** The bitmap of a page, made if there is none. */
  private ownBits(page: PageNumber): Uint8Array {
    let bits = this.pages.get(page);
    if (bits === undefined || bits === WHOLE) {
      bits = new Uint8Array(PAGE_SIZE / 8).fill(bits === WHOLE ? 0xff : 0);
      this.pages.set(page, bits);
    }
    return bits;
  }
}

/** The pages of [first, end) that a map has, in any order; `visit` may delete its page. Cost: the range, or the map if that is smaller. */
export function forEachMarked(
  pages: ReadonlyMap<number, unknown>,
  first: number,
  end: number,
  visit: (page: number) => void,
): void {
  if (end - first > pages.size) {
    for (const page of [...pages.keys()]) if (page >= first && page < end) visit(page);
  } else for (let page = first; page < end; page++) if (pages.has(page)) visit(page);
}

function setBits(bits: Uint8Array, from: number, to: number): void {
  for (let bit = from; bit < to; bit++) bits[bit >> 3] |= 1 << (bit & 7);
}

keepClass("NoAccess", NoAccess);
