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
 * Invariants: `rows` is a power of two; each row that holds an address is in the chain of its bucket once, and once in the list from
 * `oldest` to `newest`; the other rows that were ever used are in the list from `spare`, by `newer`.
 */
export class RecentRows {
  private readonly limit: number;
  private rows = 0;
  private used = 0;
  private addresses = new Float64Array(0);
  /** First row of each bucket, and the next one in a row's bucket. */
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
    this.grow(FIRST_ROWS);
  }

  /** The row of an address, or −1. */
  find(address: Address): number {
    for (let row = this.buckets[this.bucketOf(address)]; row !== NONE; row = this.chained[row])
      if (this.addresses[row] === address) return row;
    return NONE;
  }

  /** A row for an address, which is the newest now: its own, a free one, or the oldest address's, which is forgotten. */
  add(address: Address): number {
    this.remove(address);
    if (this.spare === NONE && this.used === this.limit) this.remove(this.addresses[this.oldest]);
    const row = this.takeRow();
    const bucket = this.bucketOf(address);
    this.addresses[row] = address;
    this.chained[row] = this.buckets[bucket];
    this.buckets[bucket] = row;
    this.older[row] = this.newest;
    this.newer[row] = NONE;
    if (this.newest === NONE) this.oldest = row;
    else this.newer[this.newest] = row;
    this.newest = row;
    return row;
  }

  /** @returns the row that the address had, or −1 */
  remove(address: Address): number {
    const { chained, newer, older, buckets } = this;
    const bucket = this.bucketOf(address);
    let before = NONE;
    let row = buckets[bucket];
    while (row !== NONE && this.addresses[row] !== address) {
      before = row;
      row = chained[row];
    }
    if (row === NONE) return NONE;
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

  private bucketOf(address: Address): number {
    return (Math.imul(address / 16, SPREAD) >>> 8) & (this.rows - 1);
  }

  private grow(rows: number): void {
    this.rows = rows;
    this.addresses = longer(Float64Array, this.addresses, rows);
    this.newer = longer(Int32Array, this.newer, rows);
    this.older = longer(Int32Array, this.older, rows);
    this.chained = new Int32Array(rows);
    this.buckets = new Int32Array(rows).fill(NONE);
    for (let row = this.oldest; row !== NONE; row = this.newer[row]) {
      const bucket = this.bucketOf(this.addresses[row]);
      this.chained[row] = this.buckets[bucket];
      this.buckets[bucket] = row;
    }
  }
}

keepClass("RecentRows", RecentRows);
