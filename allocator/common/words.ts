// 64-bit words in simulated memory that hold an address or a length: two 32-bit halves, so that no BigInt is made.
// Values are whole numbers below 2^53. Chunk headers have their own form (chunk-header.ts).

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { OFFSET_MASK, PAGE_SIZE } from "../../platform/hardware/layout.ts";
import type { Memory } from "../../platform/hardware/memory.ts";

const WORD_HALF = 2 ** 32;

export function storeWord(memory: Memory, address: Address, value: number): void {
  memory.setInt32(address, value | 0);
  memory.setInt32(address + 4, Math.floor(value / WORD_HALF));
}

export function loadWord(memory: Memory, address: Address): number {
  return memory.getUint32(address) + memory.getUint32(address + 4) * WORD_HALF;
}

/**
 * The place in `memory.words` of `length` bytes from `address`, a multiple of 16, if they lie in one page that needs neither a fault
 * nor a check; −1 if not. Good until the next fault or system call.
 */
export function wordsAt(memory: Memory, address: Address, length: ByteCount): number {
  return (address & OFFSET_MASK) + length <= PAGE_SIZE ? memory.granuleWord(address) : -1;
}

/** The 64-bit word at a place of `memory.words`. */
export function wordIn(words: Int32Array, place: number): number {
  return (words[place] >>> 0) + (words[place + 1] >>> 0) * WORD_HALF;
}

/** Stores a 64-bit word at a place of `memory.words`. */
export function putWord(words: Int32Array, place: number, value: number): void {
  words[place] = value;
  words[place + 1] = value / WORD_HALF;
}
