// The file around a reference page: [refpage], whose only operations are mmap and release (R3, R4).
// It hands its page to the kernel as the clean page of the mapping; the fault path does the rest.

import type { Counters } from "../platform/hardware/counters.ts";
import type { FrameNumber } from "../platform/hardware/integers.ts";
import type { PhysicalMemory } from "../platform/hardware/physical-memory.ts";
import type { FileOperations, MapRequest, OpenFile } from "../platform/kernel/mm/file.ts";
import type { CleanPage } from "../platform/kernel/mm/frames.ts";
import { VM_MTE_ALLOWED } from "../platform/kernel/mm/vm-flags.ts";
import { keepClass, keepMaker } from "../platform/state/kept.ts";
import { type Content, copyContent, copyContentToFrames } from "./content.ts";
import type { HugeReferencePage } from "./huge.ts";

/** A reference page as the clean page of areas. Equal contents may share one of these (R12). */
export class ReferencePage implements CleanPage {
  readonly frame: FrameNumber;
  readonly content: Content;
  /** The huge form, of pages of the second ABI under a policy that has one (R16). */
  huge?: HugeReferencePage;
  /** Files that hold the page. */
  holders = 1;
  private readonly gzvaBlockBytes: number;

  constructor(frame: FrameNumber, content: Content, gzvaBlockBytes: number) {
    this.frame = frame;
    this.content = content;
    this.gzvaBlockBytes = gzvaBlockBytes;
  }

  initialise(ram: PhysicalMemory, counters: Counters, frame: FrameNumber): void {
    copyContent(ram, counters, this.content, this.frame, frame, this.gzvaBlockBytes);
  }

  byteOf(ram: PhysicalMemory): number {
    const { kind, period, tag } = this.content;
    return kind === "pattern" && period === 1 && tag === 0 ? ram.bankOf(this.frame)[ram.positionOf(this.frame)] : -1;
  }

  initialiseFrames(ram: PhysicalMemory, counters: Counters, first: number, count: number): void {
    copyContentToFrames(ram, counters, this.content, this.frame, first, count, this.gzvaBlockBytes);
  }
}

/** The operations of one anon_inode:[refpage] file; `release` gives its page back when the last descriptor and mapping are gone. */
export const referencePageFile = keepMaker(
  "refpage.file",
  (page: ReferencePage, release: (page: ReferencePage) => void): FileOperations => ({
    path: "anon_inode:[refpage]",
    seekable: false,
    // Memory like any other, so placed where a huge page may start, if it can have one.
    get placedAsAnonymous(): boolean {
      return page.huge !== undefined;
    },
    mmap(_file: OpenFile, request: MapRequest): void {
      request.anonymous = true;
      request.cleanPage = page;
      request.flags |= VM_MTE_ALLOWED;
    },
    release: () => release(page),
  }),
);

keepClass("ReferencePage", ReferencePage);
