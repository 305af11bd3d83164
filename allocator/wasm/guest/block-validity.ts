// What the heap's functions do to definedness: malloc's block is undefined, calloc's is not, realloc keeps what was and adds undefined
// bytes. Memory outside blocks always counts as defined: to touch it is another error.

import type { Address, ByteCount } from "../../../platform/hardware/integers.ts";
import { type HeapRole, TLSF_HEADER } from "./heap-functions.ts";
import type { Origins } from "./origins.ts";
import type { Validity } from "./validity.ts";

const ZEROED: ReadonlySet<HeapRole> = new Set(["calloc", "rust_alloc_zeroed"]);
/** Roles whose first argument is a block, and how far behind the block's begin the guest's pointer is. */
const RESIZING: ReadonlyMap<HeapRole, number> = new Map([
  ["realloc", 0],
  ["reallocarray", 0],
  ["rust_realloc", 0],
  ["tlsf_realloc", TLSF_HEADER],
]);

/** Live blocks, as far as they are asked for here: the size by the pointer, −1 where none begins. */
interface LiveBlocks {
  sizeOf(pointer: Address): number;
}

export class BlockValidity {
  private readonly validity: Validity;
  private readonly blocks: LiveBlocks;
  private readonly origins: Origins | null;
  private allocated = 0;

  /** @param origins null: where bits are from is not followed */
  constructor(validity: Validity, blocks: LiveBlocks, origins: Origins | null) {
    this.validity = validity;
    this.blocks = blocks;
    this.origins = origins;
  }

  noteAllocation(pointer: Address, size: ByteCount): void {
    this.allocated = pointer;
    this.validity.blockEnds(pointer + size, 0);
  }

  noteFree(pointer: Address, size: ByteCount): void {
    this.validity.freed(pointer, size);
  }

  /** `run` is a call of a heap function by the guest, `first` its first argument. */
  around(role: HeapRole, first: number, run: () => number): number {
    const { validity, blocks } = this;
    this.allocated = 0;
    const old = (first >>> 0) - (RESIZING.get(role) ?? 0);
    const oldSize = RESIZING.has(role) ? blocks.sizeOf(old) : 0;
    const saved = oldSize > 0 ? validity.save(old, oldSize) : null;
    const result = run();
    if (saved === null) {
      const size = blocks.sizeOf(this.allocated);
      // What the allocator itself wrote in front of the guest's pointer stays.
      const front = role === "tlsf_alloc" || role === "tlsf_realloc" ? TLSF_HEADER : 0;
      if (size < 0) return result;
      const origin = this.originOf(this.allocated, size);
      if (!ZEROED.has(role)) validity.allocated(this.allocated + front, size - front, origin);
      validity.blockEnds(this.allocated + size, origin);
      return result;
    }
    if (result === 0) return result;
    const now = this.allocated === 0 ? old : this.allocated;
    const size = Math.max(0, blocks.sizeOf(now));
    const kept = Math.min(size, oldSize);
    validity.restore(now, kept === oldSize ? saved : validity.first(saved, kept));
    const origin = this.originOf(now, size);
    if (size > kept) validity.allocated(now + kept, size - kept, origin);
    validity.blockEnds(now + size, origin);
    return result;
  }

  private originOf(pointer: Address, size: ByteCount): number {
    return this.origins?.allocated(pointer, size) ?? 0;
  }
}
