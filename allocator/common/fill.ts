// Fill modes, and filling small blocks by the program itself (S14). Large ones: large-fill.ts decides, secondary.ts maps.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { OFFSET_MASK, PAGE_SIZE } from "../../platform/hardware/layout.ts";
import type { Memory } from "../../platform/hardware/memory.ts";

/** What fresh memory reads (S14.1): what was there; zero; the pattern, unless it is known to be zero already. */
export const FILL_NONE = 0;
export const FILL_ZERO = 1;
export const FILL_PATTERN = 2;

const MANY_BYTES = -1;
/** Up to this many bytes a loop over doubles beats a typed array's own fill, which is a call out of the compiled code. */
const SHORT = 512;
/** By byte: the double all of whose bytes it is. That of 0xff is no number, whose bits an engine may change. */
const DOUBLES = new Float64Array(Uint8Array.from({ length: 2048 }, (_, index) => index >> 3).buffer);
const NOT_A_NUMBER = 0xff;

const WORDS_PER_PAGE = PAGE_SIZE / 4;

/** The one byte that a mode fills with, or −1: a pattern has more of them. */
export function fillByteOf(mode: number, pattern: Uint8Array): number {
  return mode === FILL_ZERO ? 0 : pattern.length === 1 ? pattern[0] : MANY_BYTES;
}

/**
 * Fills a short block inside one page, from the place `word` in `memory.words`, that needs neither a fault nor a check.
 * @param byte what to fill with, or −1
 * @returns false, with nothing done: it is another kind of block, or of byte
 */
export function fillShort(memory: Memory, word: number, length: ByteCount, byte: number): boolean {
  const words = length >> 2;
  const isShort = length <= SHORT && (length & 15) === 0 && (word & (WORDS_PER_PAGE - 1)) + words <= WORDS_PER_PAGE;
  if (!isShort || byte === MANY_BYTES || byte === NOT_A_NUMBER) return false;
  const { doubles } = memory;
  const value = DOUBLES[byte];
  const end = (word + words) >> 1;
  for (let at = word >> 1; at < end; at += 2) {
    doubles[at] = value;
    doubles[at + 1] = value;
  }
  memory.counters.userBytesFilled += length;
  return true;
}

/**
 * As {@link fillShort}, by one call of the host's fill, blocks of any length that begin at `address`, if their pages' frames are neighbours.
 * @param word the place of `address` in `memory.words`
 */
export function fillDirectly(memory: Memory, word: number, address: Address, length: ByteCount, byte: number): boolean {
  if (byte === MANY_BYTES || (length & 15) !== 0) return false;
  for (let at = PAGE_SIZE - (address & OFFSET_MASK); at < length; at += PAGE_SIZE)
    if (memory.granuleWord(address + at) !== word + (at >> 2)) return false;
  const position = (word << 2) >>> 0;
  memory.bytes.fill(byte, position, position + length);
  memory.counters.userBytesFilled += length;
  return true;
}

/**
 * Fills `[address, address + length)` with the mode's bytes. `address` is a multiple of 16, and so of the pattern, so that
 * a block filled in pieces looks as one filled whole.
 */
export function fillMemory(
  memory: Memory,
  address: Address,
  length: ByteCount,
  mode: number,
  pattern: Uint8Array,
): void {
  const word = memory.granuleWord(address);
  const byte = fillByteOf(mode, pattern);
  if (word >= 0 && (fillShort(memory, word, length, byte) || fillDirectly(memory, word, address, length, byte))) return;
  if (mode === FILL_ZERO) memory.fill(address, 0, length);
  else if (pattern.length === 1) memory.fill(address, pattern[0], length);
  else memory.fillPattern(address, length, pattern);
}

/** The pattern as it goes on at an address that is no multiple of its length; answers the pattern itself where it is. */
export function rotatedPattern(pattern: Uint8Array, address: Address): Uint8Array {
  const phase = address % pattern.length;
  if (phase === 0) return pattern;
  return Uint8Array.from(pattern, (_, index) => pattern[(index + phase) % pattern.length]);
}
