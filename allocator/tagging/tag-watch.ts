// A heap's part in the handling of tag faults: what lies in the heap's memory becomes a report, everything else is let pass.
// Finding out what a fault means is tag-fault.ts.

import type { Address } from "../../platform/hardware/integers.ts";
import { TAG_UNIT } from "../../platform/hardware/layout.ts";
import * as mte from "../../platform/hardware/mte.ts";
import type { SignalInfo } from "../../platform/kernel/signals.ts";
import { keepClass, keepMaker } from "../../platform/state/kept.ts";
import type { ChunkStacks, HeapError } from "../common/heap-error.ts";
import { type FaultingAccess, findCauses, TagFaultError } from "./tag-fault.ts";
import type { StalePointerReport, TaggedAllocator } from "./tagged-allocator.ts";

/** What watching needs of a heap. */
export interface TagWatchSources {
  readonly allocator: TaggedAllocator;
  /** Stacks by a chunk's pointer, tag and all. */
  stacksOf(pointer: Address): ChunkStacks | null;
  /** One sentence about an address. */
  placeOf(address: Address): string;
  onReport(error: HeapError): void;
}

/** Turns tag faults in a heap's memory into {@link TagFaultError}s. Which heap of a process is asked, is process-tags.ts. */
export class TagWatch {
  private readonly sources: TagWatchSources;

  constructor(sources: TagWatchSources) {
    this.sources = sources;
    sources.allocator.reportStalePointer = reportTo(this);
  }

  stop(): void {
    this.sources.allocator.reportStalePointer = null;
  }

  /** @throws TagFaultError: the fault is in the heap's memory, or at an address that nothing tells */
  reportFault(info: SignalInfo): void {
    const { allocator } = this.sources;
    if (info.code === "SEGV_MTEAERR") this.report(0, "loading or storing", "SEGV_MTEAERR");
    if (info.code === "SEGV_MTESERR" && allocator.ownsAddress(allocator.untag(info.address))) {
      this.report(info.address, info.access === "store" ? "storing to" : "loading from", "SEGV_MTESERR");
    }
  }

  /** @throws TagFaultError: what is known of a pointer that does not match its memory */
  report(pointer: Address, action: string, code: FaultingAccess["code"]): never {
    const { allocator, stacksOf, placeOf, onReport } = this.sources;
    const address = allocator.untag(pointer);
    const tag = (pointer - address) / TAG_UNIT;
    const isKnown = code === "SEGV_MTESERR";
    const memoryTag = isKnown ? mte.loadTag(allocator.memory, address) : 0;
    const causes = isKnown ? findCauses(allocator, address, tag, stacksOf) : [];
    const place = isKnown ? placeOf(address) : "";
    const error = new TagFaultError({ address, tag, memoryTag, action, code }, causes, place);
    onReport(error);
    throw error;
  }
}

keepClass("TagWatch", TagWatch);

const reportTo = keepMaker(
  "tags.reportTo",
  (watch: TagWatch): StalePointerReport =>
    (pointer, action) =>
      watch.report(pointer, action, "SEGV_MTESERR"),
);
