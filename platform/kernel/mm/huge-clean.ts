// The huge zero page: what a load of an untouched block maps where huge pages are allowed. Modules bring other huge clean pages
// (CleanPage.huge); what a fault does with one is huge-fault.ts.
import { keepClass } from "../../state/kept.ts";
import { type FrameAllocator, type HugeCleanPage, NO_FRAME, zeroPage } from "./frames.ts";
import { HUGE_ORDER } from "./free-frames.ts";

/** The huge zero page: made at the first use and kept; no cgroup pays for it (get_huge_zero_folio). */
export class HugeZeroPage implements HugeCleanPage {
  readonly stores = "huge";
  private readonly frames: FrameAllocator;
  private head = NO_FRAME;

  constructor(frames: FrameAllocator) {
    this.frames = frames;
  }

  frame(): number {
    if (this.head === NO_FRAME) this.head = this.frames.allocateFolio(HUGE_ORDER, zeroPage, null);
    return this.head;
  }

  /** The frame that is held, for checkInvariants. */
  *holder(): Iterable<number> {
    if (this.head !== NO_FRAME) yield this.head;
  }
}

keepClass("HugeZeroPage", HugeZeroPage);
