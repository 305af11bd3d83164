// The tags of large mappings by address: those there now, in order, so that a new one can differ from its neighbours, and
// those that dangling pointers may still carry. Numbers only; who chooses a tag is tagged-secondary.ts.

const INITIAL_CAPACITY = 64;
/** Freed ranges remembered. A stale pointer to an older one is caught with the usual 14 in 15. */
const REMEMBERED = 256;

/**
 * Invariants: `base` ascends, mappings do not overlap, `count` rows are in use; `isLive` 0: the mapping is cached, nobody has a
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
  set(base: number, end: number, tag: number, state: "live" | "cached"): void {
    const row = this.rowFrom(base);
    if (row === this.count || this.base[row] !== base) this.insert(row, base);
    this.end[row] = end;
    this.tag[row] = tag;
    this.isLive[row] = state === "live" ? 1 : 0;
  }

  /** Whether the address lies in a mapping. */
  contains(address: number): boolean {
    const row = this.rowFrom(address + 1) - 1;
    return row >= 0 && address < this.end[row];
  }

  remove(base: number): void {
    const row = this.rowFrom(base);
    if (row === this.count || this.base[row] !== base) return;
    for (const column of [this.base, this.end, this.tag, this.isLive]) column.copyWithin(row, row + 1, this.count);
    this.count--;
  }

  /** Remembers that pointers with `tag` to [start, end) may outlive the chunk. */
  noteDangling(start: number, end: number, tag: number): void {
    if (tag === 0) return;
    this.deadStart[this.deadNext] = start;
    this.deadEnd[this.deadNext] = end;
    this.deadTag[this.deadNext] = tag;
    this.deadNext = (this.deadNext + 1) % REMEMBERED;
  }

  /** Tags, one bit each, that a chunk in [start, end) must not have: its neighbours', and of freed chunks that lay there. */
  excluded(start: number, end: number): number {
    let above = this.rowFrom(end);
    let below = this.rowFrom(start) - 1;
    // The mapping that holds the range itself is no neighbour.
    if (below >= 0 && this.end[below] > start) below--;
    let mask = 0;
    // On both sides up to the first that somebody has pointers to: what is cached between may get an owner, or go away.
    for (let live = false; !live && below >= 0; below--) {
      mask |= 1 << this.tag[below];
      live = this.isLive[below] === 1;
    }
    for (let live = false; !live && above < this.count; above++) {
      mask |= 1 << this.tag[above];
      live = this.isLive[above] === 1;
    }
    if ((mask | 1) === 0xffff) mask = 0;
    // The latest first, and never so many that no choice is left.
    for (let age = 1; age <= REMEMBERED; age++) {
      const row = (this.deadNext - age + REMEMBERED) % REMEMBERED;
      if (this.deadTag[row] === 0) break;
      if (this.deadStart[row] >= end || this.deadEnd[row] <= start) continue;
      const wider = mask | (1 << this.deadTag[row]);
      if ((wider | 1) === 0xffff) break;
      mask = wider;
    }
    return mask;
  }

  /** The first row whose base is at or above `address`. */
  private rowFrom(address: number): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.base[middle] < address) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private insert(row: number, base: number): void {
    if (this.count === this.base.length) this.grow();
    for (const column of [this.base, this.end, this.tag, this.isLive]) column.copyWithin(row + 1, row, this.count);
    this.base[row] = base;
    this.count++;
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
