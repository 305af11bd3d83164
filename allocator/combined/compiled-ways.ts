// The direct ways of malloc and free as code that the engine compiled from WebAssembly, for heaps whose machine lies in such code's reach.
// What it is to those who call it stands here; what it is made of is compiled/.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";

/** Where a heap's tables begin, in the host memory of its machine. */
export type TablePlace = number;

export interface CompiledWays {
  readonly area: TablePlace;
  /** malloc of a chunk with nothing unusual about it. `size`: any 32 bits. @returns 0, with nothing done, for all others */
  readonly allocate: (area: TablePlace, size: ByteCount) => Address;
  /** As {@link allocate}, and the chunk reads zero, as calloc's do. */
  readonly allocateZeroed: (area: TablePlace, size: ByteCount) => Address;
  /** free of such a chunk. @returns 1; 0, with nothing done, for all others */
  readonly free: (area: TablePlace, pointer: Address) => number;
  /**
   * Something was unusual: opens the gate again if it was closed, and nothing speaks against it.
   * @returns false: the heap has changed so that it has no such ways any more
   */
  settle(): boolean;
  /** A thread has ended: what of it is in the host memory goes back to its owner. */
  threadEnded(): void;
  /** The heap ends: what is in the host memory goes back to its owner. */
  end(): void;
}
