// Fill modes, and filling small blocks by the program itself (S14). Large ones: large-fill.ts decides, secondary.ts maps.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { OFFSET_MASK, PAGE_SIZE } from "../../platform/hardware/layout.ts";
import type { Memory } from "../../platform/hardware/memory.ts";

/** What fresh memory reads (S14.1): what was there; zero; the pattern, unless it is known to be zero already. */
export const FILL_NONE = 0;
export const FILL_ZERO = 1;
export const FILL_PATTERN = 2;

const MANY_BYTES = -1;
/** Up to this many bytes a loop over words beats a typed array's own fill, which is a call out of the compiled code. */
const SHORT = 512;

/** Fills a short block inside one page that needs no fault and no check; false, with nothing done, for all others. */
function fillWords(memory: Memory, address: Address, length: ByteCount, byte: number): boolean {
  const word = memory.granuleWord(address);
  if (word < 0 || (address & OFFSET_MASK) + length > PAGE_SIZE || (length & 15) !== 0) return false;
  const { words } = memory;
  const value = byte * 0x01010101;
  for (let at = word; at < word + (length >> 2); at += 4) {
    words[at] = value;
    words[at + 1] = value;
    words[at + 2] = value;
    words[at + 3] = value;
  }
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
  const byte = mode === FILL_ZERO ? 0 : pattern.length === 1 ? pattern[0] : MANY_BYTES;
  if (byte !== MANY_BYTES && length <= SHORT && fillWords(memory, address, length, byte)) return;
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
