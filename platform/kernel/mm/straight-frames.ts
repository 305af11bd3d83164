// How a frame is taken and given back in one step where nothing about it is unusual: what the straight path of first stores
// (first-stores.ts) and of zapping (zap.ts) goes by. All other ways are frames.ts.
import type { Counters } from "../../hardware/counters.ts";
import type { FrameNumber, PageNumber } from "../../hardware/integers.ts";
import { PTE_ANON, PTE_FRAME_SHIFT, PTE_PRESENT, PTE_SPECIAL } from "../../hardware/layout.ts";
import { FrameCounts } from "./frame-counts.ts";
import { type FreeFrames, NONE_FREE } from "./free-frames.ts";

export abstract class StraightFrames extends FrameCounts {
  abstract readonly counters: Counters;
  abstract readonly firstChecked: number;
  abstract readonly homeFrames: number;
  protected abstract readonly cgroupIds: Uint16Array;
  protected abstract readonly free: FreeFrames;
  protected abstract usedFrames: number;
  protected abstract failureCountdown: number;

  /** A frame that one entry maps, uncharged, its content to come (first-stores.ts); NONE_FREE: `allocate` has to be asked. */
  takeStraight(): FrameNumber {
    if (this.failureCountdown >= 0) return NONE_FREE;
    const frame = this.free.popStraight(this.firstChecked);
    if (frame === NONE_FREE) return NONE_FREE;
    this.references[frame] = 1;
    this.exclusive[frame] = 1;
    this.mapCounts[frame] = 1;
    this.usedFrames++;
    return frame;
  }

  /**
   * Clears entries of small pages from `page` on, and does to each frame what unmap() does, as long as an entry is the only reference
   * to an anonymous page that no cgroup pays. What entries count is the caller's. @returns the first page left as it was, or `end`
   */
  zapStraight(entries: Int32Array, page: PageNumber, end: PageNumber): PageNumber {
    const { references, mapCounts, exclusive, dirty, batchedIn, lazyFree, cgroupIds } = this;
    const { stack, top } = this.free;
    const stop = this.homeFrames === 0 ? Math.min(end, page + stack.length - top) : page;
    let at = page;
    for (; at < stop; at++) {
      const entry = entries[at];
      if ((entry & (PTE_PRESENT | PTE_SPECIAL | PTE_ANON)) !== (PTE_PRESENT | PTE_ANON)) break;
      const frame = entry >>> PTE_FRAME_SHIFT;
      if (references[frame] !== 1 || cgroupIds[frame] !== 0) break;
      entries[at] = 0;
      references[frame] = 0;
      mapCounts[frame] = 0;
      exclusive[frame] = 0;
      dirty[frame] = 0;
      batchedIn[frame] = 0;
      lazyFree[frame] = 0;
      stack[top + at - page] = frame;
    }
    const count = at - page;
    if (count > 0) this.free.pushed(count);
    this.usedFrames -= count;
    this.counters.framesFreed += count;
    return at;
  }
}
