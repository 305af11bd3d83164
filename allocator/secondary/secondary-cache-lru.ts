// The secondary cache of Scudo's later versions (S31): ordered by recency, a full one gives up its oldest entry.
// What an entry is, and the release of its pages by age, are those of the reference version (secondary-cache.ts).

import type { ByteCount } from "../../platform/hardware/integers.ts";
import { PAGE_SIZE } from "../../platform/hardware/layout.ts";
import { keepClass } from "../../platform/state/kept.ts";
import { SecondaryCache } from "./secondary-cache.ts";

/** Unused pages in front of a retrieved chunk's headers that may stay, and that may be given back to make it so. */
const MAX_WASTE_PAGES = 4;
const MAX_RELEASED_PAGES = 4;

/** Invariant: occupied slots come in the order of their storing, the newest first; free ones may lie between. */
export class LruSecondaryCache extends SecondaryCache {
  /** Unmaps the entry that was stored longest ago. */
  protected override makeRoom(): boolean {
    if (this.entriesCount === 0) return false;
    let oldest = this.commitBase.length - 1;
    while (this.commitBase[oldest] === 0) oldest--;
    this.program.discard(this.mapBase[oldest], this.mapSize[oldest]);
    this.take(oldest);
    return true;
  }

  /** Moves the entries before the first free slot up by one, so that slot 0 is free. */
  protected override freeSlot(): number {
    let slot = super.freeSlot();
    for (; slot > 0; slot--) this.moveSlot(slot - 1, slot);
    return 0;
  }

  /**
   * From the most recent entry on: the one that wastes the fewest whole pages, the first of equals. The search ends at one that wastes at most a tenth.
   * Pages of waste beyond the limit are given back, if they are few.
   */
  override find(size: ByteCount, alignment: number): number {
    this.retrievals++;
    let best = -1;
    let leastPages = MAX_WASTE_PAGES + MAX_RELEASED_PAGES + 1;
    for (let slot = 0; slot < this.maxEntriesCount; slot++) {
      const begin = this.commitBase[slot];
      if (begin === 0) continue;
      const end = begin + this.commitSize[slot];
      const header = Math.floor((end - size) / alignment) * alignment - this.headersSize;
      if (header < begin) continue;
      const pages = Math.floor((header - begin) / PAGE_SIZE);
      if (pages >= leastPages) continue;
      best = slot;
      leastPages = pages;
      if (pages * PAGE_SIZE <= Math.floor((end - header) / 10)) break;
    }
    if (best < 0) return best;
    const surplusBytes = (leastPages - MAX_WASTE_PAGES) * PAGE_SIZE;
    if (surplusBytes > 0) this.giveBackSurplus(best, surplusBytes);
    this.successfulRetrievals++;
    return best;
  }

  /** The entry's first pages, unless they are the beginning of a huge page that was asked for: then it stays whole. */
  private giveBackSurplus(slot: number, bytes: ByteCount): void {
    const begin = this.commitBase[slot];
    if (!this.program.wouldSplitHuge(begin + bytes, this.commitSize[slot])) this.program.releasePages(begin, bytes);
  }
}

keepClass("LruSecondaryCache", LruSecondaryCache);
