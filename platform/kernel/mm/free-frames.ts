// Which frames of RAM are free: single ones on a stack, whole blocks of 2^9 beside it, and the blocks that smaller orders are cut from.
// Reference counts, owners and contents are frames.ts; nothing here knows what a frame is used for.

import type { FrameNumber } from "../../hardware/integers.ts";
import { keepClass } from "../../state/kept.ts";

/** Order of a block of 2 MiB, what a huge page needs (HPAGE_PMD_ORDER). */
export const HUGE_ORDER = 9;
export const HUGE_FRAMES = 1 << HUGE_ORDER;

/** No frame could be had. */
export const NONE_FREE = -1;

/** `references` of a frame whose large folio is counted as one (folios.ts); far below 0, so that a step up or down shows. */
export const IN_FOLIO = -(2 ** 30);

/**
 * A frame is free exactly if `references[frame]` is 0, or it lies in a whole free block or in the rest of a block that is being
 * cut up: those carry IN_FOLIO, so that what the stack still says of their frames is passed over.
 *
 * Invariants: every frame with count 0 below `firstUnused` is on the stack at least once; an entry of the stack whose frame has
 * another count is stale.
 */
export class FreeFrames {
  private readonly frameCount: number;
  private readonly references: Int32Array;
  /** Freed frames, the latest on top, so that the host's cache is warm. Twice as long as needed: stale entries stay a while. */
  readonly stack: Int32Array;
  /** Entries of the stack that count. */
  top = 0;
  /** Frames below are not the allocator's to give. */
  private readonly firstFrame: number;
  private firstUnused: number;
  /** First frames of whole free blocks of order 9. */
  private readonly whole: number[] = [];
  /** By order: the next piece of the block that is cut into pieces of this order, and the block's end. */
  private readonly cutNext = new Int32Array(HUGE_ORDER);
  private readonly cutEnd = new Int32Array(HUGE_ORDER);
  /** A frame of each block of order 9 that was in use when a search last met the block: most searches need no other. */
  private readonly obstacle: Int32Array;
  /** By order: whether nothing was freed since a search found nothing. */
  private readonly searchedInVain = new Uint8Array(HUGE_ORDER + 1);
  private freedSinceSearch = false;

  constructor(frameCount: number, references: Int32Array, firstFrame: number) {
    this.frameCount = frameCount;
    this.references = references;
    this.firstFrame = firstFrame;
    this.firstUnused = firstFrame;
    this.stack = new Int32Array(2 * frameCount);
    this.obstacle = new Int32Array(Math.ceil(frameCount / HUGE_FRAMES));
  }

  /** Frames from the first one on that were ever handed out: those behind them are as the machine was made. */
  get everUsed(): number {
    return this.firstUnused;
  }

  /** As at the begin. Counts are the owner's to clear. */
  reset(): void {
    this.obstacle.fill(0, 0, Math.ceil(this.firstUnused / HUGE_FRAMES));
    this.top = 0;
    this.firstUnused = this.firstFrame;
    this.whole.length = 0;
    this.cutNext.fill(0);
    this.cutEnd.fill(0);
    this.searchedInVain.fill(0);
    this.freedSinceSearch = false;
  }

  /** A free frame, or NONE_FREE. The caller gives it a count. */
  pop(): number {
    while (this.top > 0) {
      const frame = this.stack[--this.top];
      if (this.references[frame] === 0) return frame;
    }
    if (this.firstUnused < this.frameCount) return this.firstUnused++;
    return this.breakBlock() ? this.pop() : NONE_FREE;
  }

  /** As pop(), of what lies on top or was never used; NONE_FREE where that needs more, or from the frame `end` on. */
  popStraight(end: FrameNumber): number {
    const { top } = this;
    if (top > 0) {
      const frame = this.stack[top - 1];
      if (frame >= end || this.references[frame] !== 0) return NONE_FREE;
      this.top = top - 1;
      return frame;
    }
    const frame = this.firstUnused;
    if (frame >= end || frame >= this.frameCount) return NONE_FREE;
    this.firstUnused = frame + 1;
    return frame;
  }

  /** Takes a frame back whose count is 0. */
  push(frame: FrameNumber): void {
    if (this.top === this.stack.length) this.dropStale();
    this.stack[this.top++] = frame;
    this.freedSinceSearch = true;
  }

  /** `count` frames were put on the stack, all of whose counts are 0. */
  pushed(count: number): void {
    this.top += count;
    this.freedSinceSearch = true;
  }

  /**
   * 2^order neighbouring free frames (order 1 to 9), aligned to their number, each with the count IN_FOLIO; or NONE_FREE.
   * Cost: a step for each block of the RAM at worst, and none while nothing was freed since that found nothing.
   */
  takeBlock(order: number): number {
    if (order === HUGE_ORDER) return this.takeHuge();
    const size = 1 << order;
    if (this.cutNext[order] === this.cutEnd[order]) {
      const block = this.takeHuge();
      if (block === NONE_FREE) return this.searchSmall(order);
      this.cutNext[order] = block;
      this.cutEnd[order] = block + HUGE_FRAMES;
    }
    const first = this.cutNext[order];
    this.cutNext[order] += size;
    return first;
  }

  /** Takes back what takeBlock gave. Whole blocks stay whole until single frames run out. */
  giveBlock(first: number, order: number): void {
    this.freedSinceSearch = true;
    if (order === HUGE_ORDER) this.whole.push(first);
    else this.scatter(first, first + (1 << order));
  }

  private takeHuge(): number {
    const freed = this.whole.pop();
    if (freed !== undefined) return freed;
    const first = Math.ceil(this.firstUnused / HUGE_FRAMES) * HUGE_FRAMES;
    if (first + HUGE_FRAMES <= this.frameCount) {
      while (this.firstUnused < first) this.push(this.firstUnused++);
      this.firstUnused = first + HUGE_FRAMES;
      this.references.fill(IN_FOLIO, first, first + HUGE_FRAMES);
      return first;
    }
    return this.searchHuge();
  }

  /** A block all of whose frames were freed one by one. */
  private searchHuge(): number {
    if (!this.worthSearching(HUGE_ORDER)) return NONE_FREE;
    for (let pass = 0; pass < 2; pass++) {
      for (let first = 0; first + HUGE_FRAMES <= this.frameCount; first += HUGE_FRAMES) {
        if (this.isFreeBlock(first)) {
          this.references.fill(IN_FOLIO, first, first + HUGE_FRAMES);
          return first;
        }
      }
      if (!this.scatterCut()) break;
    }
    this.searchedInVain[HUGE_ORDER] = 1;
    return NONE_FREE;
  }

  private isFreeBlock(first: number): boolean {
    const block = first / HUGE_FRAMES;
    const known = this.obstacle[block];
    if (known >= first && this.isUsed(known)) return false;
    for (let frame = first; frame < first + HUGE_FRAMES; frame++) {
      if (!this.isUsed(frame)) continue;
      this.obstacle[block] = frame;
      return false;
    }
    return true;
  }

  private isUsed(frame: FrameNumber): boolean {
    return this.references[frame] !== 0 || frame >= this.firstUnused || frame < this.firstFrame;
  }

  private searchSmall(order: number): number {
    if (!this.worthSearching(order)) return NONE_FREE;
    const size = 1 << order;
    for (let first = Math.ceil(this.firstFrame / size) * size; first + size <= this.frameCount; first += size) {
      let free = 0;
      while (free < size && this.references[first + free] === 0) free++;
      if (free < size) continue;
      // Frames that were never used lie behind all others; those among them stop being so.
      while (this.firstUnused < first + size) this.push(this.firstUnused++);
      this.references.fill(IN_FOLIO, first, first + size);
      return first;
    }
    this.searchedInVain[order] = 1;
    return NONE_FREE;
  }

  private worthSearching(order: number): boolean {
    if (this.freedSinceSearch) {
      this.freedSinceSearch = false;
      this.searchedInVain.fill(0);
    }
    return this.searchedInVain[order] === 0;
  }

  /** Makes single frames of what is left of blocks that are being cut, or else of a whole one. @returns whether there was any. */
  private breakBlock(): boolean {
    if (this.scatterCut()) return true;
    const first = this.whole.pop();
    if (first === undefined) return false;
    this.scatter(first, first + HUGE_FRAMES);
    return true;
  }

  private scatterCut(): boolean {
    let any = false;
    for (let order = 1; order < HUGE_ORDER; order++) {
      if (this.cutNext[order] === this.cutEnd[order]) continue;
      any = true;
      this.scatter(this.cutNext[order], this.cutEnd[order]);
      this.cutNext[order] = this.cutEnd[order];
    }
    return any;
  }

  private scatter(first: number, end: number): void {
    this.references.fill(0, first, end);
    for (let frame = end - 1; frame >= first; frame--) this.push(frame);
  }

  /** Leaves each free frame on the stack once. Cost: its length, each time that many entries were put on it. */
  private dropStale(): void {
    const { stack, references } = this;
    const seen = IN_FOLIO - 1;
    let kept = 0;
    for (let i = 0; i < this.top; i++) {
      const frame = stack[i];
      if (references[frame] !== 0) continue;
      references[frame] = seen;
      stack[kept++] = frame;
    }
    for (let i = 0; i < kept; i++) references[stack[i]] = 0;
    this.top = kept;
  }

  /** Frames that are free, counted one by one. @throws Error naming the broken invariant. */
  countFree(): number {
    const listed = new Uint8Array(this.frameCount);
    for (let i = 0; i < this.top; i++) listed[this.stack[i]] = 1;
    let free = this.frameCount - this.firstUnused + this.whole.length * HUGE_FRAMES;
    for (let order = 1; order < HUGE_ORDER; order++) free += this.cutEnd[order] - this.cutNext[order];
    for (let frame = this.firstFrame; frame < this.firstUnused; frame++) {
      if (this.references[frame] !== 0) continue;
      if (listed[frame] === 0) throw new Error(`free frame ${frame} is not on the stack`);
      free++;
    }
    for (let frame = this.firstUnused; frame < this.frameCount; frame++) {
      if (this.references[frame] !== 0)
        throw new Error(`frame ${frame} was never had but has reference count ${this.references[frame]}`);
    }
    return free;
  }
}

keepClass("FreeFrames", FreeFrames);
