// Bytes of untouched pages that were made defined or undefined: the bits that their first frame gets instead of its clean page's.
// Pages that have a frame carry their bits in it (platform/hardware/validity.ts); memory without access is no-access.ts.

import type { Address, ByteCount, FrameNumber, PageCount, PageNumber } from "../../platform/hardware/integers.ts";
import { PAGE_SIZE } from "../../platform/hardware/layout.ts";
import { type PhysicalMemory, VALIDITY_BYTES_PER_FRAME } from "../../platform/hardware/physical-memory.ts";
import type { AddressSpace } from "../../platform/kernel/mm/address-space.ts";
import { keepClass } from "../../platform/state/kept.ts";
import { forEachMarked } from "./no-access.ts";

/** All bytes of a page defined, or all undefined. */
export type Uniform = 0 | 0xff;

/** Only pages that differ from their clean page are here: a page is here until it has a frame, or its memory goes. */
export class FreshBytes {
  private readonly ram: PhysicalMemory;
  /** By page number: one bit a byte, 1 = undefined, or all of the page. */
  private readonly pages = new Map<number, Uint8Array | Uniform>();

  constructor(ram: PhysicalMemory) {
    this.ram = ram;
  }

  get isEmpty(): boolean {
    return this.pages.size === 0;
  }

  has(page: PageNumber): boolean {
    return this.pages.has(page);
  }

  /** The page has a frame now, which gets its bits and keeps them. */
  markFrame(page: PageNumber, frame: FrameNumber): void {
    const bits = this.pages.get(page);
    if (bits === undefined) return;
    this.pages.delete(page);
    if (typeof bits === "number") this.ram.fillValidity(frame, bits);
    else {
      this.ram.undefinedBits.set(bits, frame * VALIDITY_BYTES_PER_FRAME);
      this.ram.mayBeUndefined[frame] = 1;
    }
  }

  /** The bytes of [address, address + length), which lie in one area and on untouched pages, become what `value` says. */
  set(space: AddressSpace, address: Address, length: ByteCount, value: Uniform): void {
    const end = address + length;
    const cleanFrame = this.cleanFrameAt(space, address);
    const clean = this.uniformOf(cleanFrame);
    for (let page = Math.floor(address / PAGE_SIZE); page * PAGE_SIZE < end; page++) {
      const from = Math.max(0, address - page * PAGE_SIZE);
      const to = Math.min(PAGE_SIZE, end - page * PAGE_SIZE);
      if (to - from === PAGE_SIZE) this.put(page, value, clean);
      else this.setPart(page, cleanFrame, from, to, value);
    }
  }

  private setPart(page: PageNumber, cleanFrame: number, from: number, to: number, value: Uniform): void {
    const bits = this.bitsOf(page, cleanFrame);
    for (let bit = from; bit < to; bit++) {
      if (value === 0) bits[bit >> 3] &= ~(1 << (bit & 7));
      else bits[bit >> 3] |= 1 << (bit & 7);
    }
    this.put(page, bits, this.uniformOf(cleanFrame));
  }

  /** The bytes of a range read as their clean page again. Cost: the pages of the range, or all that are here if those are fewer. */
  reset(space: AddressSpace, address: Address, length: ByteCount): void {
    if (this.isEmpty) return;
    const end = address + length;
    forEachMarked(this.pages, Math.floor(address / PAGE_SIZE), Math.ceil(end / PAGE_SIZE), (page) => {
      const from = Math.max(0, address - page * PAGE_SIZE);
      const to = Math.min(PAGE_SIZE, end - page * PAGE_SIZE);
      const clean = this.uniformOf(this.cleanFrameAt(space, page * PAGE_SIZE));
      if (to - from < PAGE_SIZE && clean !== null)
        this.setPart(page, this.cleanFrameAt(space, page * PAGE_SIZE), from, to, clean);
      else this.pages.delete(page);
    });
  }

  /** Pages of a range begin as their clean page again, or are not there any more. */
  drop(start: PageNumber, end: PageNumber): void {
    if (!this.isEmpty) forEachMarked(this.pages, start, end, (page) => this.pages.delete(page));
  }

  move(from: PageNumber, to: PageNumber, pages: PageCount): void {
    if (this.isEmpty) return;
    forEachMarked(this.pages, from, from + pages, (page) => {
      const bits = this.pages.get(page) ?? 0;
      this.pages.delete(page);
      this.pages.set(to + (page - from), bits);
    });
  }

  /** The same marks, which change apart from these. */
  copy(): FreshBytes {
    const copy = new FreshBytes(this.ram);
    for (const [page, bits] of this.pages) copy.pages.set(page, typeof bits === "number" ? bits : bits.slice());
    return copy;
  }

  private put(page: PageNumber, bits: Uint8Array | Uniform, clean: Uniform | null): void {
    const uniform = typeof bits === "number" ? bits : uniformBits(bits);
    if (uniform !== null && uniform === clean) this.pages.delete(page);
    else this.pages.set(page, uniform ?? bits);
  }

  /** A page's bits, to be changed: its own, or its clean page's. */
  private bitsOf(page: PageNumber, cleanFrame: number): Uint8Array {
    const own = this.pages.get(page);
    if (typeof own === "object") return own;
    if (own !== undefined) return new Uint8Array(VALIDITY_BYTES_PER_FRAME).fill(own);
    return this.frameBits(cleanFrame).slice();
  }

  private cleanFrameAt({ vmas, kernel }: AddressSpace, address: Address): number {
    const page = Math.floor(address / PAGE_SIZE);
    return kernel.frames.cleanFrame(vmas.cleanPages[vmas.lookup(page)], page);
  }

  private frameBits(frame: FrameNumber): Uint8Array {
    const start = frame * VALIDITY_BYTES_PER_FRAME;
    return this.ram.undefinedBits.subarray(start, start + VALIDITY_BYTES_PER_FRAME);
  }

  private uniformOf(frame: FrameNumber): Uniform | null {
    return this.ram.mayBeUndefined[frame] === 0 ? 0 : uniformBits(this.frameBits(frame));
  }
}

function uniformBits(bits: Uint8Array): Uniform | null {
  const [first] = bits;
  return (first === 0 || first === 0xff) && bits.every((byte) => byte === first) ? first : null;
}

keepClass("FreshBytes", FreshBytes);
