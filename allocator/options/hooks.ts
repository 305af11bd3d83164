// Hooks on allocation and free (S26.1): which there are, and in which order they are called.
// The calls are in heap/observed.ts; a heap without hooks pays one comparison a call.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";

/**
 * Functions that a heap calls, each optional.
 * A hook may read the heap; what it throws goes to the caller of malloc or free.
 */
export interface HeapHooks {
  /** After a successful allocation: the pointer and the size asked for (calloc: the product; pvalloc: rounded up). */
  allocate?: (pointer: Address, size: ByteCount) => void;
  /** Before each free that is not refused, free(0) included. One that lack of memory interrupts is taken back by a call of `allocate`. */
  deallocate?: (pointer: Address) => void;
  /** Before a realloc of a non-null pointer to a non-zero size; without it `deallocate` is called instead. */
  reallocDeallocate?: (oldPointer: number) => void;
  /** After such a realloc; without it `allocate` is called. On failure the old pointer is announced again with its old size. */
  reallocAllocate?: (oldPointer: number, newPointer: number, newSize: number) => void;
}

export const HOOK_NAMES = ["allocate", "deallocate", "reallocDeallocate", "reallocAllocate"] as const;
