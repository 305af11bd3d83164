// Huge reference pages (R16): the 2 MiB form of a reference page, made at the first use, and what the policies say of it.
// What a fault does with it is the kernel's (platform/kernel/mm/huge-fault.ts); contents are content.ts.

import type { MemoryCgroup } from "../platform/kernel/mm/cgroup.ts";
import { type CleanPage, type FrameAllocator, type HugeCleanPage, NO_FRAME } from "../platform/kernel/mm/frames.ts";
import { HUGE_ORDER } from "../platform/kernel/mm/free-frames.ts";
import { keepClass } from "../platform/state/kept.ts";

/**
 * What becomes of mappings of a reference page where huge pages are allowed (R16). `small`: nothing is huge, as in v4. `duplicate`:
 * loads map a huge reference page, and a store makes a huge page of its own. `huge-clean-small-dirty`: loads map a huge reference
 * page, and stores make small pages.
 */
export type HugeReferencePages = "small" | "duplicate" | "huge-clean-small-dirty";
export const HUGE_REFERENCE_PAGES: readonly HugeReferencePages[] = ["small", "duplicate", "huge-clean-small-dirty"];

/** The huge form of one reference page. Its frames are charged to the creator of the page, from the first use to the page's end. */
export class HugeReferencePage implements HugeCleanPage {
  readonly stores: "huge" | "small";
  private readonly frames: FrameAllocator;
  private readonly page: CleanPage;
  private readonly cgroup: MemoryCgroup | null;
  private head = NO_FRAME;

  constructor(frames: FrameAllocator, page: CleanPage, policy: HugeReferencePages, cgroup: MemoryCgroup | null) {
    this.frames = frames;
    this.page = page;
    this.stores = policy === "duplicate" ? "huge" : "small";
    this.cgroup = cgroup;
  }

  frame(): number {
    if (this.head === NO_FRAME) this.head = this.frames.allocateFolio(HUGE_ORDER, this.page, this.cgroup);
    return this.head;
  }

  /** The first frame, if the huge form was made; for checkInvariants. */
  get held(): readonly number[] {
    return this.head === NO_FRAME ? [] : [this.head];
  }

  /** The page has ended, and this with it. */
  release(): void {
    if (this.head !== NO_FRAME) this.frames.put(this.head);
  }
}

keepClass("HugeReferencePage", HugeReferencePage);
