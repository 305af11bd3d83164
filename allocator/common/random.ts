// Scudo's pseudo-random generator (xorshift32) and the shuffle built on it; both are deterministic for a given seed.
// Where seeds come from (the host or an option) is decided in heap.ts; nothing here keeps state of its own.
import { xorshift32 } from "../../platform/hardware/xorshift.ts";

/**
 * The next state of Scudo's 32-bit generator, as an unsigned number (S28.1). State 0 stays 0 for ever.
 * @param state an unsigned 32-bit number
 */
export function nextRandom(state: number): number {
  return xorshift32(state);
}

/**
 * Shuffles `entries[begin .. begin + count)` in place, last position first (S28.2).
 * @returns the generator's new state, for the caller to keep
 */
export function shuffle(entries: Int32Array | Float64Array, begin: number, count: number, state: number): number {
  let x = state;
  for (let i = count - 1; i > 0; i--) {
    x = nextRandom(x);
    const j = x % (i + 1);
    const entry = entries[begin + i];
    entries[begin + i] = entries[begin + j];
    entries[begin + j] = entry;
  }
  return x;
}
