// A small seeded generator for the laboratory's own choices: the same numbers for a seed on every machine.
// Heaps and kernels have generators of their own; this one never feeds them.

import { nextRandom } from "../../../allocator/common/random.ts";

/** xorshift32 on a state scrambled from the seed, so that neighbouring seeds do not begin alike. */
export class SeededRandom {
  private state: number;

  /** @param seed any 32-bit number */
  constructor(seed: number) {
    let mixed = (seed ^ 0x9e3779b9) >>> 0;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    this.state = (mixed ^ (mixed >>> 16)) >>> 0 || 1;
  }

  /** An unsigned 32-bit number, never 0. */
  next(): number {
    this.state = nextRandom(this.state);
    return this.state;
  }

  /** From 0 (inclusive) to 1 (exclusive). */
  fraction(): number {
    return (this.next() - 1) / 0xffffffff;
  }
}
