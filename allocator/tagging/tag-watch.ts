// The heap's signal handler for tag faults: what lies in the heap's memory becomes a report, everything else is passed on.
// Finding out what a fault means is tag-fault.ts.

import * as mte from "../../platform/hardware/mte.ts";
import type { Process } from "../../platform/kernel/process.ts";
import {
  SA_EXPOSE_TAGBITS,
  SA_SIGINFO,
  SIGSEGV,
  type SignalDisposition,
  type SignalInfo,
} from "../../platform/kernel/signals.ts";
import type { ChunkStacks, HeapError } from "../common/heap-error.ts";
import { type FaultingAccess, findCauses, TagFaultError } from "./tag-fault.ts";
import type { TaggedAllocator } from "./tagged-allocator.ts";
import { TAG_UNIT } from "./tagging.ts";

/** What watching needs of a heap. */
export interface TagWatchSources {
  readonly process: Process;
  readonly allocator: TaggedAllocator;
  /** Stacks by a chunk's pointer, tag and all. */
  stacksOf(pointer: number): ChunkStacks | null;
  /** One sentence about an address. */
  placeOf(address: number): string;
  onReport(error: HeapError): void;
}

/** Turns tag faults in a heap's memory into {@link TagFaultError}s, until stopped. */
export class TagWatch {
  private readonly sources: TagWatchSources;
  private readonly previous: SignalDisposition;

  constructor(sources: TagWatchSources) {
    this.sources = sources;
    this.previous = sources.process.sigaction(SIGSEGV, {
      flags: SA_SIGINFO | SA_EXPOSE_TAGBITS,
      handler: (info) => this.handle(info),
    });
    sources.allocator.reportStalePointer = (pointer, action) => this.report(pointer, action, "SEGV_MTESERR");
  }

  /** Gives the signal back to who had it before. */
  stop(): void {
    this.sources.process.sigaction(SIGSEGV, this.previous);
    this.sources.allocator.reportStalePointer = null;
  }

  private handle(info: SignalInfo): void {
    const { allocator } = this.sources;
    if (info.code === "SEGV_MTEAERR") this.report(0, "loading or storing", "SEGV_MTEAERR");
    if (info.code === "SEGV_MTESERR" && allocator.ownsAddress(allocator.untag(info.address))) {
      this.report(info.address, info.access === "store" ? "storing to" : "loading from", "SEGV_MTESERR");
    }
    if (typeof this.previous === "object") this.previous.handler(info);
  }

  private report(pointer: number, action: string, code: FaultingAccess["code"]): never {
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
