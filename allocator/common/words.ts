// 64-bit words in simulated memory that hold an address or a length: two 32-bit halves, so that no BigInt is made.
// Values are whole numbers below 2^53. Chunk headers have their own form (chunk-header.ts).

import type { Address } from "../../platform/hardware/integers.ts";
import type { Memory } from "../../platform/hardware/memory.ts";

const WORD_HALF = 2 ** 32;

export function storeWord(memory: Memory, address: Address, value: number): void {
  memory.setInt32(address, value | 0);
  memory.setInt32(address + 4, Math.floor(value / WORD_HALF));
}

export function loadWord(memory: Memory, address: Address): number {
  return memory.getUint32(address) + memory.getUint32(address + 4) * WORD_HALF;
}
