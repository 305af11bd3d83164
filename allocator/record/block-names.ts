// From the addresses that name blocks in a trace to dense block ids: an open-addressing hash of 64-bit names.
// An id is used again once its block is freed, so memory follows the blocks alive together, never the trace's length.

import { longer } from "../common/longer.ts";

const NO_SLOT = -1;
const FIRST_CAPACITY = 1024;

/**
 * Invariants: `capacity` is a power of two; a row is in use iff its `id` is not 0 (ids are stored plus one); rows that
 * hash alike follow one another without a gap (linear probing, deletion by backward shift), so `live` ≤ capacity / 2.
 */
export class BlockNames {
  private capacity = FIRST_CAPACITY;
  private low = new Uint32Array(FIRST_CAPACITY);
  private high = new Uint32Array(FIRST_CAPACITY);
  private idPlusOne = new Uint32Array(FIRST_CAPACITY);
  private freeIds = new Uint32Array(FIRST_CAPACITY);
  private freeIdCount = 0;
  private nextId = 0;
  live = 0;

  /** The block's id, or −1. */
  find(low: number, high: number): number {
    const row = this.rowOf(low, high);
    return row === NO_SLOT ? -1 : this.idPlusOne[row] - 1;
  }

  /** Gives a name that has none an id: the one freed last, or a new one. */
  add(low: number, high: number): number {
    const id = this.freeIdCount > 0 ? this.freeIds[--this.freeIdCount] : this.nextId++;
    this.insert(low, high, id);
    return id;
  }

  /** Forgets a name and answers its id, which is then used again; −1 if there is none. */
  remove(low: number, high: number): number {
    const id = this.detach(low, high);
    if (id >= 0) this.release(id);
    return id;
  }

  /** Forgets a name but keeps its id taken, for `attach`: a block on its way from one address to another. */
  detach(low: number, high: number): number {
    const row = this.rowOf(low, high);
    if (row === NO_SLOT) return -1;
    const id = this.idPlusOne[row] - 1;
    this.deleteRow(row);
    return id;
  }

  /** Gives a detached id a (new) name. */
  attach(low: number, high: number, id: number): void {
    this.insert(low, high, id);
  }

  /** Makes a detached id free to be used again. */
  release(id: number): void {
    if (this.freeIdCount === this.freeIds.length)
      this.freeIds = longer(Uint32Array, this.freeIds, this.freeIds.length * 2);
    this.freeIds[this.freeIdCount++] = id;
  }

  private insert(low: number, high: number, id: number): void {
    if (this.live * 2 >= this.capacity) this.grow();
    this.place(low, high, id + 1);
    this.live++;
  }

  private place(low: number, high: number, idPlusOne: number): void {
    const mask = this.capacity - 1;
    let row = hash(low, high) & mask;
    while (this.idPlusOne[row] !== 0) row = (row + 1) & mask;
    this.low[row] = low;
    this.high[row] = high;
    this.idPlusOne[row] = idPlusOne;
  }

  private rowOf(low: number, high: number): number {
    const mask = this.capacity - 1;
    for (let row = hash(low, high) & mask; this.idPlusOne[row] !== 0; row = (row + 1) & mask) {
      if (this.low[row] === low && this.high[row] === high) return row;
    }
    return NO_SLOT;
  }

  private deleteRow(row: number): void {
    const mask = this.capacity - 1;
    let hole = row;
    for (let next = (row + 1) & mask; this.idPlusOne[next] !== 0; next = (next + 1) & mask) {
      const home = hash(this.low[next], this.high[next]) & mask;
      // The row may move into the hole unless its home lies after the hole, cyclically.
      if (((next - home) & mask) < ((next - hole) & mask)) continue;
      this.low[hole] = this.low[next];
      this.high[hole] = this.high[next];
      this.idPlusOne[hole] = this.idPlusOne[next];
      hole = next;
    }
    this.idPlusOne[hole] = 0;
    this.live--;
  }

  private grow(): void {
    const { low, high, idPlusOne, capacity } = this;
    this.capacity = capacity * 2;
    this.low = new Uint32Array(this.capacity);
    this.high = new Uint32Array(this.capacity);
    this.idPlusOne = new Uint32Array(this.capacity);
    for (let row = 0; row < capacity; row++) {
      if (idPlusOne[row] !== 0) this.place(low[row], high[row], idPlusOne[row]);
    }
  }
}

/** Addresses differ in the middle bits: multiply by odd constants, fold the high half down. */
function hash(low: number, high: number): number {
  const mixed = Math.imul(low >>> 4, 0x9e3779b1) ^ Math.imul(low, 0x85ebca6b) ^ Math.imul(high, 0xc2b2ae35);
  return mixed ^ (mixed >>> 15);
}
