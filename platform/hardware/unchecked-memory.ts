// Memory as an allocator's own code uses it: never tag-checked, as with PSTATE.TCO always set, and with the tag instructions
// on one page in a few operations each. Everything else takes the slow paths of memory.ts, mte.ts and tag-store.ts.

import { keepClass } from "../state/kept.ts";
import { fillBytes } from "./array-methods.ts";
import type { Address, ByteCount, Tag } from "./integers.ts";
import {
  GRANULE_SHIFT,
  GRANULE_SIZE,
  OFFSET_MASK,
  PAGE_MASK,
  PAGE_SHIFT,
  PAGE_SIZE,
  PAGES_PER_BYTE,
  PTE_FRAME_MASK,
  PTE_FRAME_SHIFT,
  PTE_MTE,
  PTE_READ,
  PTE_WRITE,
  TAG_UNIT,
} from "./layout.ts";
import { Memory } from "./memory.ts";
import { granuleMask, PTE_BANK_MASK } from "./mmu.ts";
import * as mte from "./mte.ts";
import { fillTagRange, tagAndZeroRange, tagRange } from "./tag-store.ts";

/** Up to this many bytes a loop over words beats a typed-array call. */
const LONG = 1024;

const PER_4_GIB = 1 / 2 ** 32;
/** A position's distance to the place of its granule's tag: two granules a byte, frames in the same order. */
const PAIR_SHIFT = GRANULE_SHIFT + 1;

/** Addresses of the methods that override Memory's may have tags; those of the tag methods have none. */
export class UncheckedMemory extends Memory {
  override getInt32(address: Address, littleEndian = true): number {
    const pages = address * PAGES_PER_BYTE;
    const page = pages & PAGE_MASK;
    const offset = address & OFFSET_MASK;
    const entry = this.entries[page];
    if (
      (entry & (PTE_READ | PTE_BANK_MASK)) !== PTE_READ ||
      offset > 4092 ||
      pages - page !== offset * PAGES_PER_BYTE
    ) {
      return super.getInt32(address, littleEndian);
    }
    return this.view.getInt32(((entry & PTE_FRAME_MASK) << 2) | offset, littleEndian);
  }

  override setInt32(address: Address, value: number, littleEndian = true): void {
    const pages = address * PAGES_PER_BYTE;
    const page = pages & PAGE_MASK;
    const offset = address & OFFSET_MASK;
    const entry = this.entries[page];
    if (
      (entry & (PTE_WRITE | PTE_BANK_MASK)) !== PTE_WRITE ||
      offset > 4092 ||
      pages - page !== offset * PAGES_PER_BYTE
    ) {
      super.setInt32(address, value, littleEndian);
      return;
    }
    this.view.setInt32(((entry & PTE_FRAME_MASK) << 2) | offset, value, littleEndian);
  }

  override getUint32(address: Address, littleEndian = true): number {
    return this.getInt32(address, littleEndian) >>> 0;
  }

  override setUint32(address: Address, value: number, littleEndian = true): void {
    this.setInt32(address, value, littleEndian);
  }

  /** LDG: the tag of the granule at a plain address, 0 without PROT_MTE. */
  tagAt(address: Address): number {
    const page = (address * PAGES_PER_BYTE) & PAGE_MASK;
    const entry = this.entries[page];
    if ((entry & (PTE_READ | PTE_MTE)) !== (PTE_READ | PTE_MTE)) return mte.loadTag(this, address);
    return this.ram.getTag(entry >>> PTE_FRAME_SHIFT, (address & OFFSET_MASK) >> GRANULE_SHIFT);
  }

  /** STG of one granule; `address` is a multiple of 16. */
  setTagAt(address: Address, tag: Tag): void {
    const page = (address * PAGES_PER_BYTE) & PAGE_MASK;
    const entry = this.entries[page];
    if ((entry & (PTE_WRITE | PTE_MTE)) !== (PTE_WRITE | PTE_MTE)) mte.stg(this, address, tag * TAG_UNIT);
    else this.ram.setTag(entry >>> PTE_FRAME_SHIFT, (address & OFFSET_MASK) >> GRANULE_SHIFT, tag);
  }

  /**
   * The position in the first bank of [address, address + length), if it lies in one PROT_MTE page that may be loaded and
   * stored; −1 if anything is out of the ordinary. What the methods ending in "There" take, until the next system call.
   */
  positionOf(address: Address, length: ByteCount): number {
    const offset = address & OFFSET_MASK;
    const entry = this.entries[(address * PAGES_PER_BYTE) & PAGE_MASK];
    const needed = PTE_READ | PTE_WRITE | PTE_MTE;
    if ((entry & (needed | PTE_BANK_MASK)) !== needed || offset + length > PAGE_SIZE) return -1;
    return ((entry & PTE_FRAME_MASK) << 2) | offset;
  }

  wordThere(position: number): number {
    return this.view.getInt32(position, true);
  }

  setWordThere(position: number, value: number): void {
    this.view.setInt32(position, value, true);
  }

  /** 64 bits, from a whole number below 2^53. */
  setDoubleWordThere(position: number, value: number): void {
    this.view.setInt32(position, value | 0, true);
    this.view.setInt32(position + 4, value * PER_4_GIB, true);
  }

  /** LDG at a position. */
  tagThere(position: number): number {
    return (this.granuleTags[position >>> PAIR_SHIFT] >> ((position >> 2) & 4)) & 15;
  }

  /** STG of one granule with tag 0. */
  clearTagThere(position: number): void {
    this.granuleTags[position >>> PAIR_SHIFT] &= 0xf0 >> ((position >> 2) & 4);
  }

  /** As {@link tagAndZero}. */
  tagAndZeroThere(position: number, length: ByteCount, tag: Tag): void {
    if (length === 0) return;
    const end = position + length;
    if (length > LONG) fillBytes(this.bytes, 0, position, end);
    else {
      const { doubles } = this;
      for (let word = position >>> 3; word < end >>> 3; word += 2) {
        doubles[word] = 0;
        doubles[word + 1] = 0;
      }
    }
    const { granuleTags } = this;
    this.ram.mayHaveTags[position >>> PAGE_SHIFT] = 1;
    // A byte has two granules' tags: half a byte at either end, whole ones between.
    let pair = position >>> PAIR_SHIFT;
    const lastPair = end >>> PAIR_SHIFT;
    if ((position & GRANULE_SIZE) !== 0) {
      granuleTags[pair] = (granuleTags[pair] & 0x0f) | (tag << 4);
      pair++;
    }
    for (const both = tag * 0x11; pair < lastPair; pair++) granuleTags[pair] = both;
    if ((end & GRANULE_SIZE) !== 0) granuleTags[lastPair] = (granuleTags[lastPair] & 0xf0) | tag;
    this.countBlocks(position & OFFSET_MASK, length);
  }

  /** Gives [address, address + length), multiples of 16, a tag and zeroes it: STZG at the edges, DC GZVA for whole blocks. */
  tagAndZero(address: Address, length: ByteCount, tag: Tag): void {
    const position = this.positionOf(address, length);
    if (position >= 0) this.tagAndZeroThere(position, length, tag);
    else tagAndZeroRange(this, address + tag * TAG_UNIT, length);
  }

  /** Gives [address, address + length), multiples of 16, tag 0: STG for each granule. */
  clearTags(address: Address, length: ByteCount): void {
    const position = this.positionOf(address, length);
    const first = (address & OFFSET_MASK) >> GRANULE_SHIFT;
    if (position < 0) tagRange(this, address, length);
    else fillTagRange(this.ram, position >>> PAGE_SHIFT, first, first + (length >> GRANULE_SHIFT), 0);
  }

  private countBlocks(offset: number, length: ByteCount): void {
    const shift = this.blockShift;
    const blocks = ((offset + length) >> shift) - ((offset + (1 << shift) - 1) >> shift);
    if (blocks > 0) this.counters.gzvaBlocks += blocks;
  }

  /** Zeroes the granule at a position. */
  zeroGranuleThere(position: number): void {
    const word = position >>> 3;
    this.doubles[word] = 0;
    this.doubles[word + 1] = 0;
  }

  private readonly granuleTags = this.ram.tags;
  private readonly blockShift = 31 - Math.clz32(this.ram.gzvaBlockBytes);
  /** An allocator's own accesses are never checked: frames of the first bank are all alike. */
  protected override readonly granuleMask = granuleMask(PTE_BANK_MASK);

  /** Zeroes one granule; `address` is a multiple of 16. */
  zeroGranule(address: Address): void {
    const page = (address * PAGES_PER_BYTE) & PAGE_MASK;
    const entry = this.entries[page];
    if ((entry & (PTE_WRITE | PTE_BANK_MASK)) !== PTE_WRITE) {
      this.fill(address, 0, GRANULE_SIZE);
      return;
    }
    const word = (((entry & PTE_FRAME_MASK) << 2) | (address & OFFSET_MASK)) >>> 3;
    this.doubles[word] = 0;
    this.doubles[word + 1] = 0;
  }
}

keepClass("UncheckedMemory", UncheckedMemory, {
  // Where compiled code reaches it, the word is a part of the machine's host memory, which others get in turn.
  atRest: (memory) => ({ randomTags: Int32Array.of(memory.randomTagState) }),
});
