// The tags of large mappings by address: those there now, in order, so that a new one can differ from its neighbours, and
// those that dangling pointers may still carry. Numbers only; who chooses a tag is tagged-secondary.ts.

import type { Address, Tag } from "../../platform/hardware/integers.ts";
import { countAllowedTags } from "../../platform/hardware/tags.ts";
import { keepClass } from "../../platform/state/kept.ts";

const INITIAL_CAPACITY = 64;
/** Freed ranges remembered, a power of two. A stale pointer to an older one is caught with the usual 14 in 15. */
const REMEMBERED = 256;
/**
 * The last so many chunks at one address get different tags: a stale pointer is caught for certain for as many reuses, and in 12 of
 * 13 cases on average, for any number here.
 */
const MOST_EXCLUDED = 9;
/** Choices that must be left. */
const LEAST_CHOICE = 3;
/** Tags, 0 included, that the neighbours must leave. */
const FEWEST_CHOICES = 8;

/**
 * Invariants: `base` ascends, mappings do not overlap, `count` rows are in use; `isLive` 0: the mapping is cached, the program has no
 * pointer to it. `deadTag` 0: the row is empty; rows are overwritten from the oldest on.
 */
export class MappingTags {
  private base = new Float64Array(INITIAL_CAPACITY);
  private end = new Float64Array(INITIAL_CAPACITY);
  private tag = new Uint8Array(INITIAL_CAPACITY);
  private isLive = new Uint8Array(INITIAL_CAPACITY);
  count = 0;
  private readonly deadStart = new Float64Array(REMEMBERED);
  private readonly deadEnd = new Float64Array(REMEMBERED);
  private readonly deadTag = new Uint8Array(REMEMBERED);
  private deadNext = 0;

  /** Sets the tag of the mapping at `base`, which may be new. */
  set(base: Address, end: Address, tag: Tag, state: "live" | "cached"): void {
    const row = this.rowFrom(base);
    if (row === this.count || this.base[row] !== base) this.insert(row, base);
    this.end[row] = end;
    this.tag[row] = tag;
    this.isLive[row] = state === "live" ? 1 : 0;
  }

  /** Whether the address lies in a mapping. */
  contains(address: Address): boolean {
    const row = this.rowFrom(address + 1) - 1;
    return row >= 0 && address < this.end[row];
  }

  remove(base: Address): void {
    const row = this.rowFrom(base);
    if (row === this.count || this.base[row] !== base) return;
    this.count--;
    for (let to = row; to < this.count; to++) this.moveRow(to, to + 1);
  }

  /** Remembers that pointers with `tag` to [start, end) may outlive the chunk. */
  noteDangling(start: Address, end: Address, tag: Tag): void {
    if (tag === 0) return;
    this.deadStart[this.deadNext] = start;
    this.deadEnd[this.deadNext] = end;
    this.deadTag[this.deadNext] = tag;
    this.deadNext = (this.deadNext + 1) % REMEMBERED;
  }

  /** Tags, one bit each, that a chunk in [start, end) must not have: its neighbours', and of freed chunks that lay there. */
  excluded(start: Address, end: Address): number {
    let mask = this.neighbourTags(start, end, { past: "cached" });
    // A long row of cached mappings could have nearly every tag; then only what lies right beside the range counts.
    if (countAllowedTags(mask) < FEWEST_CHOICES) mask = this.neighbourTags(start, end, { past: "none" });
    let choices = countAllowedTags(mask | 1);
    let row = this.deadNext;
    for (let age = 1, found = 0; age <= REMEMBERED && found < MOST_EXCLUDED; age++) {
      row = (row - 1) & (REMEMBERED - 1);
      const tag = this.deadTag[row];
      if (tag === 0) break;
      if (this.deadStart[row] >= end || this.deadEnd[row] <= start) continue;
      found++;
      if (((mask >> tag) & 1) !== 0) continue;
      if (--choices < LEAST_CHOICE) break;
      mask |= 1 << tag;
    }
    return mask;
  }

  /** Tags on both sides, up to the first mapping that somebody has pointers to: cached ones between may get an owner, or go. */
  private neighbourTags(start: Address, end: Address, { past }: { readonly past: "cached" | "none" }): number {
    let mask = 0;
    let below = this.rowFrom(start) - 1;
    // The mapping that holds the range itself is no neighbour.
    if (below >= 0 && this.end[below] > start) below--;
    for (let goOn = true; goOn && below >= 0; below--) {
      mask |= 1 << this.tag[below];
      goOn = past === "cached" && this.isLive[below] === 0;
    }
    let above = this.rowFrom(end);
    for (let goOn = true; goOn && above < this.count; above++) {
      mask |= 1 << this.tag[above];
      goOn = past === "cached" && this.isLive[above] === 0;
    }
    return mask;
  }

  /** The first row whose base is at or above `address`. */
  private rowFrom(address: Address): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.base[middle] < address) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private insert(row: number, base: Address): void {
    if (this.count === this.base.length) this.grow();
    for (let to = this.count; to > row; to--) this.moveRow(to, to - 1);
    this.base[row] = base;
    this.count++;
  }

  private moveRow(to: number, from: number): void {
    this.base[to] = this.base[from];
    this.end[to] = this.end[from];
    this.tag[to] = this.tag[from];
    this.isLive[to] = this.isLive[from];
  }

  private grow(): void {
    const capacity = this.base.length * 2;
    const [base, end, tag] = [new Float64Array(capacity), new Float64Array(capacity), new Uint8Array(capacity)];
    const isLive = new Uint8Array(capacity);
    base.set(this.base);
    end.set(this.end);
    tag.set(this.tag);
    isLive.set(this.isLive);
    [this.base, this.end, this.tag, this.isLive] = [base, end, tag, isLive];
  }

  copyFrom(other: MappingTags): void {
    this.base = other.base.slice();
    this.end = other.end.slice();
    this.tag = other.tag.slice();
    this.isLive = other.isLive.slice();
    this.count = other.count;
    this.deadStart.set(other.deadStart);
    this.deadEnd.set(other.deadEnd);
    this.deadTag.set(other.deadTag);
    this.deadNext = other.deadNext;
  }
}

keepClass("MappingTags", MappingTags);
