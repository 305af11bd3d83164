// The generator behind every repeatable random choice: Marsaglia's xorshift32. Seeds and states are their owners'.

/** The next state, an unsigned 32-bit number; state 0 stays 0 for ever. @param state 32 bits, signed or unsigned */
export function xorshift32(state: number): number {
  let x = state;
  x ^= x << 13;
  x ^= x >>> 17;
  x ^= x << 5;
  return x >>> 0;
}
