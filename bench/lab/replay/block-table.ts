// The blocks of a trace that live now: address and size by the trace's block id, in typed arrays.
// Ids are dense in traces that we convert, but a trace may use any: large ones go through a hash.
import { BlockNames } from "../../../allocator/record/block-names.ts";

/** Ids below this index the arrays; memory for them follows the largest seen. */
const DIRECT_IDS = 2 ** 22;
const FIRST_CAPACITY = 1024;

/** No block has this id now. */
export const DEAD = 0;
/** The call that should have made the block failed in the replay. */
export const FAILED = -1;

/** Slots are rows of the arrays; a slot is an id's until `forget`. */
export class BlockTable {
  address = new Float64Array(FIRST_CAPACITY);
  size = new Float64Array(FIRST_CAPACITY);
  /** Differs from block to block: what the block's contents are made of when a replay verifies. */
  generation = new Uint32Array(FIRST_CAPACITY);
  liveCount = 0;
  liveBytes = 0;
  private readonly sparse = new BlockNames();
  private nextGeneration = 1;

  /** The slot of an id, whether or not a block lives there. */
  slot(id: number): number {
    const slot = id < DIRECT_IDS ? id : this.sparseSlot(id);
    if (slot >= this.address.length) this.grow(slot);
    return slot;
  }

  born(slot: number, address: number, size: number): void {
    this.address[slot] = address;
    this.size[slot] = size;
    this.generation[slot] = this.nextGeneration++;
    this.liveCount++;
    this.liveBytes += size;
  }

  moved(slot: number, address: number, size: number): void {
    this.liveBytes += size - this.size[slot];
    this.address[slot] = address;
    this.size[slot] = size;
  }

  died(slot: number, id: number): void {
    this.liveCount--;
    this.liveBytes -= this.size[slot];
    this.forget(slot, id);
  }

  failed(slot: number): void {
    this.address[slot] = FAILED;
    this.size[slot] = 0;
  }

  forget(slot: number, id: number): void {
    this.address[slot] = DEAD;
    this.size[slot] = 0;
    if (id >= DIRECT_IDS) this.sparse.remove(id, 0);
  }

  private sparseSlot(id: number): number {
    const known = this.sparse.find(id, 0);
    return DIRECT_IDS + (known >= 0 ? known : this.sparse.add(id, 0));
  }

  private grow(slot: number): void {
    let capacity = this.address.length;
    while (capacity <= slot) capacity *= 2;
    this.address = larger(this.address, new Float64Array(capacity));
    this.size = larger(this.size, new Float64Array(capacity));
    this.generation = larger(this.generation, new Uint32Array(capacity));
  }
}

function larger<T extends Float64Array | Uint32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
