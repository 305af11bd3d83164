// Allocation tags in bulk: ranges that a program tags granule by granule, and the tags of whole frames (the kernel's LDGM,
// STGM and STZGM). Single instructions are in mte.ts.

import { fillBytes } from "./array-methods.ts";
import type { Counters } from "./counters.ts";
import type { Address, ByteCount, FrameNumber, Tag } from "./integers.ts";
import {
  ACCESS_STORE,
  GRANULE_SHIFT,
  GRANULE_SIZE,
  GRANULES_PER_PAGE,
  OFFSET_MASK,
  PAGE_SIZE,
  TAG_UNIT,
} from "./layout.ts";
import type { Mmu } from "./mmu.ts";
import { type PhysicalMemory, TAG_BYTES_PER_FRAME } from "./physical-memory.ts";

/** Below this many bytes a loop beats a typed-array call. */
const SHORT = 32;

/** Gives granules [first, end) of a frame one tag. */
export function fillTagRange(ram: PhysicalMemory, frame: FrameNumber, first: number, end: number, tag: Tag): void {
  if (ram.tags.length === 0 || first >= end) return;
  if (end - first === GRANULES_PER_PAGE) {
    ram.fillTags(frame, tag);
    return;
  }
  ram.mayHaveTags[frame] = 1;
  if ((first & 1) === 1) ram.setTag(frame, first++, tag);
  if ((end & 1) === 1) ram.setTag(frame, --end, tag);
  const from = frame * TAG_BYTES_PER_FRAME + (first >> 1);
  const to = frame * TAG_BYTES_PER_FRAME + (end >> 1);
  if (to - from < SHORT) for (let i = from; i < to; i++) ram.tags[i] = tag * 0x11;
  else fillBytes(ram.tags, tag * 0x11, from, to);
}

/**
 * STG over every granule of [address, address + lengthBytes), both multiples of 16: they get the address's tag, their
 * bytes stay. Faults as the instruction does, page by page upwards.
 * @returns granules written, one STG each.
 */
export function tagRange(memory: Mmu, address: Address, lengthBytes: ByteCount): number {
  return sweep(memory, address, lengthBytes, false);
}

/**
 * As {@link tagRange}, and zeroes the bytes: STZG at the edges, DC GZVA for each whole block between (Scudo's storeTags).
 * @returns the end of the range, with the tag.
 */
export function tagAndZeroRange(memory: Mmu, address: Address, lengthBytes: ByteCount): number {
  sweep(memory, address, lengthBytes, true);
  return address + lengthBytes;
}

function sweep(memory: Mmu, address: Address, lengthBytes: ByteCount, zero: boolean): number {
  // By bits, since a remainder of large numbers is a call; an address with a fraction is refused when it is translated.
  if (((address | lengthBytes) & (GRANULE_SIZE - 1)) !== 0 || !(Number.isInteger(lengthBytes) && lengthBytes >= 0)) {
    throw new RangeError(`tagging ${lengthBytes} bytes at ${address}: both must be multiples of ${GRANULE_SIZE}`);
  }
  const tag = Math.floor(address / TAG_UNIT);
  const end = address + lengthBytes;
  for (let at = address; at < end; ) {
    const offset = at & OFFSET_MASK;
    const bytes = Math.min(PAGE_SIZE - offset, end - at);
    const position = memory.translateUnchecked(at, ACCESS_STORE);
    if (zero) zeroBytes(memory, position, offset, bytes);
    if (memory.tagged) {
      fillTagRange(memory.ram, memory.frame, offset >> GRANULE_SHIFT, (offset + bytes) >> GRANULE_SHIFT, tag);
    }
    at += bytes;
  }
  return lengthBytes >> GRANULE_SHIFT;
}

function zeroBytes(memory: Mmu, position: number, offset: number, bytes: ByteCount): void {
  const bank = memory.ram.banks[memory.bank];
  if (bytes <= SHORT) for (let i = 0; i < bytes; i++) bank[position + i] = 0;
  else fillBytes(bank, 0, position, position + bytes);
  const block = memory.ram.gzvaBlockBytes;
  const blocks = Math.floor((offset + bytes) / block) - Math.ceil(offset / block);
  if (blocks > 0) memory.counters.gzvaBlocks += blocks;
}

/**
 * Zeroes a frame and gives all its granules one tag, in one pass of DC GZVA as Linux's mte_zero_clear_page_tags and
 * R6's MTE_TAGGED kind do; the blocks are counted.
 */
export function zeroAndTagFrame(ram: PhysicalMemory, counters: Counters, frame: FrameNumber, tag: Tag): void {
  ram.fillFrame(frame, 0);
  ram.fillTags(frame, tag);
  counters.gzvaBlocks += PAGE_SIZE / ram.gzvaBlockBytes;
}

/** The tag that all granules of a frame have, or −1 if they differ. */
export function uniformTag(ram: PhysicalMemory, frame: FrameNumber): number {
  if (ram.tags.length === 0) return 0;
  const start = frame * TAG_BYTES_PER_FRAME;
  const pair = ram.tags[start];
  if ((pair & 15) !== pair >> 4) return -1;
  for (let i = 1; i < TAG_BYTES_PER_FRAME; i++) if (ram.tags[start + i] !== pair) return -1;
  return pair & 15;
}

/** A copy of a frame's tags, two a byte, as swap and core dumps keep them (mte_save_tags). */
export function saveFrameTags(ram: PhysicalMemory, frame: FrameNumber): Uint8Array {
  return ram.tags.slice(frame * TAG_BYTES_PER_FRAME, (frame + 1) * TAG_BYTES_PER_FRAME);
}
