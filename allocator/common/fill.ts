// Fill modes, and filling small blocks by the program itself (S14). Large ones: large-fill.ts decides, secondary.ts maps.

import type { Memory } from "../../platform/hardware/memory.ts";

/** What fresh memory reads (S14.1): what was there; zero; the pattern, unless it is known to be zero already. */
export const FILL_NONE = 0;
export const FILL_ZERO = 1;
export const FILL_PATTERN = 2;

/**
 * Fills `[address, address + length)` with the mode's bytes. `address` is a multiple of 16, and so of the pattern, so that
 * a block filled in pieces looks as one filled whole.
 */
export function fillMemory(memory: Memory, address: number, length: number, mode: number, pattern: Uint8Array): void {
  if (mode === FILL_ZERO) memory.fill(address, 0, length);
  else if (pattern.length === 1) memory.fill(address, pattern[0], length);
  else memory.fillPattern(address, length, pattern);
}

/** The pattern as it goes on at an address that is no multiple of its length; answers the pattern itself where it is. */
export function rotatedPattern(pattern: Uint8Array, address: number): Uint8Array {
  const phase = address % pattern.length;
  if (phase === 0) return pattern;
  return Uint8Array.from(pattern, (_, index) => pattern[(index + phase) % pattern.length]);
}
