// Rows of tables about the addresses that came last: a row each, the oldest one's for a new one when all are taken. What is in a row
// is the owner's. A Map in order of insertion would do the same, but finding its oldest key costs all keys deleted before it.

import type { Address } from "../../platform/hardware/integers.ts";
import { keepClass } from "../../platform/state/kept.ts";
import { longer } from "./longer.ts";

const NONE = -1;
const FIRST_ROWS = 64;
/** 2^32 divided by the golden ratio, odd: spreads addresses that differ in few bits. */
const SPREAD = 0x9e3779b1;

/**
 * A chain's links carry a few bits of the address's hash beside the row. They show for nearly every address that is not there that it
 * is not, without a look at rows that were not used for long and come from the host's memory.
 *
 * ```text
 *  link   31              log2(limit)+1    0
 *        │ bits of the hash │ row + 1; 0: none │
 * ```
 *
 * Invariants: `rows` is a power of two; each row that holds an address is in the chain of its bucket once, and once in the list from
 * `oldest` to `newest`; the other rows that were ever used are in the list from `spare`, by `newer`.
 */
export class RecentRows {
  private readonly limit: number;
  /** The bits of a link that are the row's. */
  private readonly rowMask: number;
  private rows = 0;
  private used = 0;
  private addresses = new Float64Array(0);
  /** First link of each bucket, and the next one behind each row. */
  private buckets = new Int32Array(0);
  private chained = new Int32Array(0);
  private newer = new Int32Array(0);
  private older = new Int32Array(0);
  private newest = NONE;
  private oldest = NONE;
  private spare = NONE;

  /** @param limit rows at most: a power of two, 64 or more */
  constructor(limit: number) {
    this.limit = limit;
    this.rowMask = limit * 2 - 1;
    this.grow(FIRST_ROWS);
  }

  /** The row of an address, or −1. */
  find(address: Address): number {
    const { chained, rowMask } = this;
    const hash = hashOf(address);
    const bits = this.bitsOf(hash);
    for (let link = this.buckets[this.bucketOf(hash)]; link !== 0; link = chained[(link & rowMask) - 1])
      if ((link & ~rowMask) === bits && this.addresses[(link & rowMask) - 1] === address) return (link & rowMask) - 1;
    return NONE;
  }

  /** A row for an address, which is the newest now: its own, a free one, or the oldest address's, which is forgotten. */
  add(address: Address): number {
    if (this.newest !== NONE && this.addresses[this.newest] === address) return this.newest;
    this.remove(address);
    if (this.spare === NONE && this.used === this.limit) this.remove(this.addresses[this.oldest]);
    const row = this.takeRow();
    this.addresses[row] = address;
    this.chain(row, address);
    this.older[row] = this.newest;
    this.newer[row] = NONE;
    if (this.newest === NONE) this.oldest = row;
    else this.newer[this.newest] = row;
    this.newest = row;
    return row;
  }

  /** @returns the row that the address had, or −1 */
  remove(address: Address): number {
    const { chained, newer, older, buckets, rowMask } = this;
    const hash = hashOf(address);
    const bucket = this.bucketOf(hash);
    const bits = this.bitsOf(hash);
    let before = NONE;
    let link = buckets[bucket];
    while (link !== 0) {
      const row = (link & rowMask) - 1;
      if ((link & ~rowMask) === bits && this.addresses[row] === address) break;
      before = row;
      link = chained[row];
    }
    if (link === 0) return NONE;
    const row = (link & rowMask) - 1;
    if (before === NONE) buckets[bucket] = chained[row];
    else chained[before] = chained[row];
    if (older[row] === NONE) this.oldest = newer[row];
    else newer[older[row]] = newer[row];
    if (newer[row] === NONE) this.newest = older[row];
    else older[newer[row]] = older[row];
    newer[row] = this.spare;
    this.spare = row;
    return row;
  }

  addressOf(row: number): Address {
    return this.addresses[row];
  }

  /** Every row that holds an address, the oldest address's first. */
  *all(): Generator<number> {
    for (let row = this.oldest; row !== NONE; row = this.newer[row]) yield row;
  }

  private takeRow(): number {
    const { spare } = this;
    if (spare !== NONE) {
      this.spare = this.newer[spare];
      return spare;
    }
    if (this.used === this.rows) this.grow(this.rows * 2);
    return this.used++;
  }

  /** Puts a row before the others of its bucket. */
  private chain(row: number, address: Address): void {
    const hash = hashOf(address);
    const bucket = this.bucketOf(hash);
    this.chained[row] = this.buckets[bucket];
    this.buckets[bucket] = this.bitsOf(hash) | (row + 1);
  }

  private bucketOf(hash: number): number {
    return (hash >>> 8) & (this.buckets.length - 1);
  }

  /** What a link has of a hash: its bits around those of the bucket, in the place that the row leaves. */
  private bitsOf(hash: number): number {
    return ((hash << 24) | (hash >>> 8)) & ~this.rowMask;
  }

  private grow(rows: number): void {
    this.rows = rows;
    this.addresses = longer(Float64Array, this.addresses, rows);
    this.newer = longer(Int32Array, this.newer, rows);
    this.older = longer(Int32Array, this.older, rows);
    this.chained = new Int32Array(rows);
    this.buckets = new Int32Array(rows * 2);
    for (let row = this.oldest; row !== NONE; row = this.newer[row]) this.chain(row, this.addresses[row]);
  }
}

function hashOf(address: Address): number {
  return Math.imul(address / 16, SPREAD);
}

keepClass("RecentRows", RecentRows);
