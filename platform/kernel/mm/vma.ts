// Virtual memory areas of one address space: a sorted index over a structure of arrays.
// Splitting and merging by Linux's rules is in vma-merge.ts; page tables and faults live elsewhere, nothing here touches a frame.

import type { AreaFlags, AreaId, PageNumber } from "../../hardware/integers.ts";
import { keepClass } from "../../state/kept.ts";
import type { OpenFile } from "./file.ts";
import { type CleanPage, zeroPage } from "./frames.ts";

const FIRST_CAPACITY = 64;
/** Up to this many positions are moved by a loop, which beats two typed-array calls. */
const FEW = 32;

/** What an area is made of; areas that differ in `anonymous`, `file` or `cleanPage` never merge. */
export interface AreaDescription {
  readonly start: PageNumber;
  readonly end: PageNumber;
  readonly flags: number;
  readonly pageOffset: number;
  readonly anonymous: boolean;
  readonly file: OpenFile | null;
  readonly cleanPage: CleanPage;
}

/**
 * An area is named by its id (a row of the arrays), which stays the same while neighbours come and go; its index in
 * `order` changes. Pages, not bytes.
 *
 * Invariants: `starts[i]` is `startPage[order[i]]`; areas ascend and never overlap; start < end; `count` rows are in use.
 */
export class VmaTable {
  count = 0;
  private starts = new Int32Array(FIRST_CAPACITY);
  private order = new Int32Array(FIRST_CAPACITY);
  startPage = new Int32Array(FIRST_CAPACITY);
  endPage = new Int32Array(FIRST_CAPACITY);
  /** VM_… flags. */
  flags = new Int32Array(FIRST_CAPACITY);
  /** vm_pgoff: of a file the page offset of the start; of anonymous memory the page where it was first mapped. */
  pageOffset = new Float64Array(FIRST_CAPACITY);
  /** 1: pages are anonymous (Linux vma_is_anonymous), 0: pages come from the file's page cache. */
  anonymous = new Uint8Array(FIRST_CAPACITY);
  /** anon_vma: 0 until the area has had a private page; areas with different ones do not merge. */
  anonVma = new Int32Array(FIRST_CAPACITY);
  /** Length of the anon_vma_chain: above 1 in areas inherited by fork. */
  anonChain = new Int32Array(FIRST_CAPACITY);
  readonly files: (OpenFile | null)[] = [];
  readonly cleanPages: CleanPage[] = [];
  private readonly freeIds: number[] = [];
  private idCount = 0;
  /** Index of the last area found: most faults hit it again. */
  private lastIndex = 0;
  /** Another number after each change of an area that there was, its end included. A new area changes no other. */
  changes = 0;

  /** Index of the first area that ends after `page` (find_vma), or `count`. O(log n). */
  findIndex(page: PageNumber): number {
    const last = this.lastIndex;
    if (last < this.count && this.starts[last] <= page && page < this.endPage[this.order[last]]) return last;
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.starts[middle] <= page) low = middle + 1;
      else high = middle;
    }
    // `low` is the first area that starts after the page; the one before it may still contain it.
    if (low > 0 && this.endPage[this.order[low - 1]] > page) low--;
    if (low < this.count) this.lastIndex = low;
    return low;
  }

  /** Id of the area that contains `page` (vma_lookup), or −1. */
  lookup(page: PageNumber): AreaId {
    const index = this.findIndex(page);
    if (index === this.count) return -1;
    const id = this.order[index];
    return this.startPage[id] <= page ? id : -1;
  }

  /** Id of the first area that ends after `page` (find_vma), or −1. */
  find(page: PageNumber): AreaId {
    const index = this.findIndex(page);
    return index === this.count ? -1 : this.order[index];
  }

  /** Id of the first area that meets [start, end) (find_vma_intersection), or −1. */
  findIntersection(start: PageNumber, end: PageNumber): AreaId {
    const id = this.find(start);
    return id !== -1 && this.startPage[id] < end ? id : -1;
  }

  /** Id at a position in address order. */
  at(index: number): AreaId {
    return index >= 0 && index < this.count ? this.order[index] : -1;
  }

  indexOf(id: AreaId): number {
    return this.findIndex(this.startPage[id]);
  }

  /** The areas before and after one, or −1. */
  previous(id: AreaId): AreaId {
    return this.at(this.indexOf(id) - 1);
  }

  next(id: AreaId): AreaId {
    return this.at(this.indexOf(id) + 1);
  }

  insert(area: AreaDescription): AreaId {
    const id = this.takeId();
    this.startPage[id] = area.start;
    this.endPage[id] = area.end;
    this.flags[id] = area.flags;
    this.pageOffset[id] = area.pageOffset;
    this.anonymous[id] = area.anonymous ? 1 : 0;
    this.anonVma[id] = 0;
    this.anonChain[id] = 0;
    this.files[id] = area.file;
    this.cleanPages[id] = area.cleanPage;
    this.link(id);
    return id;
  }

  /** A new area like `id`, over other pages; anon_vma and its chain are taken over (vm_area_dup, anon_vma_clone). */
  duplicate(id: AreaId, start: PageNumber, end: PageNumber, pageOffset: number): AreaId {
    const copy = this.takeId();
    this.startPage[copy] = start;
    this.endPage[copy] = end;
    this.flags[copy] = this.flags[id];
    this.pageOffset[copy] = pageOffset;
    this.anonymous[copy] = this.anonymous[id];
    this.anonVma[copy] = this.anonVma[id];
    this.anonChain[copy] = this.anonChain[id];
    this.files[copy] = this.files[id];
    this.cleanPages[copy] = this.cleanPages[id];
    this.link(copy);
    return copy;
  }

  /** Takes the areas at positions [first, end) out, all in one move of those behind them. */
  removeBetween(first: number, end: PageNumber): void {
    for (let index = first; index < end; index++) {
      const id = this.order[index];
      this.files[id] = null;
      this.cleanPages[id] = zeroPage;
      this.freeIds.push(id);
    }
    this.shift(end, first);
    this.count -= end - first;
    this.noteChange();
  }

  /** Moves the borders of an area; it must stay between its neighbours. */
  setRange(id: AreaId, start: PageNumber, end: PageNumber, pageOffset: number): void {
    const index = this.indexOf(id);
    this.starts[index] = start;
    this.startPage[id] = start;
    this.endPage[id] = end;
    this.pageOffset[id] = pageOffset;
    this.noteChange();
  }

  setFlags(id: AreaId, flags: AreaFlags): void {
    this.flags[id] = flags;
    this.noteChange();
  }

  setCleanPage(id: AreaId, clean: CleanPage): void {
    this.cleanPages[id] = clean;
    this.noteChange();
  }

  /** Gives an area an anon_vma and the length of its chain; 0: it has had no private page. */
  setAnonVma(id: AreaId, anonVma: number, chain: number): void {
    this.anonVma[id] = anonVma;
    this.anonChain[id] = chain;
    this.noteChange();
  }

  /** What changes an area that there was ends here. */
  private noteChange(): void {
    this.changes = (this.changes + 1) | 0;
  }

  private link(id: AreaId): void {
    const start = this.startPage[id];
    let index = this.findIndex(start);
    if (index < this.count && this.starts[index] < start) index++;
    this.shift(index, index + 1);
    this.order[index] = id;
    this.starts[index] = start;
    this.count++;
  }

  /** Moves the positions from `from` on to where they begin with `to`. */
  private shift(from: number, to: number): void {
    const { order, starts, count } = this;
    if (count - from > FEW) {
      order.copyWithin(to, from, count);
      starts.copyWithin(to, from, count);
    } else if (to < from) {
      for (let index = from; index < count; index++) {
        order[to + index - from] = order[index];
        starts[to + index - from] = starts[index];
      }
    } else {
      for (let index = count - 1; index >= from; index--) {
        order[to + index - from] = order[index];
        starts[to + index - from] = starts[index];
      }
    }
  }

  private takeId(): AreaId {
    const free = this.freeIds.pop();
    if (free !== undefined) return free;
    if (this.idCount === this.startPage.length) this.grow();
    return this.idCount++;
  }

  private grow(): void {
    const capacity = this.startPage.length * 2;
    this.starts = grown(this.starts, capacity);
    this.order = grown(this.order, capacity);
    this.startPage = grown(this.startPage, capacity);
    this.endPage = grown(this.endPage, capacity);
    this.flags = grown(this.flags, capacity);
    this.anonVma = grown(this.anonVma, capacity);
    this.anonChain = grown(this.anonChain, capacity);
    const offsets = new Float64Array(capacity);
    offsets.set(this.pageOffset);
    this.pageOffset = offsets;
    const anonymous = new Uint8Array(capacity);
    anonymous.set(this.anonymous);
    this.anonymous = anonymous;
  }

  /** @throws Error naming the broken invariant. */
  checkInvariants(): void {
    let before = 0;
    for (let i = 0; i < this.count; i++) {
      const id = this.order[i];
      const start = this.startPage[id];
      if (this.starts[i] !== start)
        throw new Error(`area ${id}: the index says page ${this.starts[i]}, its row ${start}`);
      if (start < before)
        throw new Error(`area ${id} starts at page ${start}, before the end ${before} of its neighbour`);
      if (this.endPage[id] <= start) throw new Error(`area ${id} is empty: pages ${start} to ${this.endPage[id]}`);
      before = this.endPage[id];
    }
  }
}

function grown(array: Int32Array<ArrayBuffer>, capacity: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(capacity);
  larger.set(array);
  return larger;
}

keepClass("VmaTable", VmaTable, { atRest: () => ({ changes: 0 }) });
