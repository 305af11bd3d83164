// Judges each access to undefined bytes that the hardware tells of: fine, a use of uninitialised memory, or an access to memory that
// is not the program's. The only state is which memory is known to be addressable; everything else is read from the heap.

import type { UseKind, ValidityObserver } from "../../platform/hardware/validity.ts";
import { USE_COMPARE, USE_COPY, USE_LOAD, USE_READ, USE_STORE, USE_STRING } from "../../platform/hardware/validity.ts";
import type { Allocator } from "../combined/combined.ts";
import { LIVE, NOT_LIVE, TrackedAllocator } from "../tracking/tracked-allocator.ts";
import type { Blocks } from "./blocks.ts";
import type { Block, Cause, FindingKind, Operation } from "./finding.ts";
import type { Findings } from "./findings.ts";
import type { Frame } from "./frames.ts";
import type { NoAccess } from "./no-access.ts";

export interface JudgeSources {
  readonly allocator: Allocator;
  readonly blocks: Blocks;
  readonly noAccess: NoAccess;
  readonly findings: Findings;
  /** Where the program stands. */
  here(): Frame[];
}

export class Judge implements ValidityObserver {
  addressableFrom = 0;
  addressableTo = 0;
  reportsLoads = true;
  private readonly sources: JudgeSources;
  private readonly tracked: TrackedAllocator | null;
  /** A report is being made: what its handler does is not judged. */
  private isBusy = false;

  get isReporting(): boolean {
    return this.isBusy;
  }

  constructor(sources: JudgeSources) {
    this.sources = sources;
    this.tracked = sources.allocator instanceof TrackedAllocator ? sources.allocator : null;
  }

  undefinedUse(kind: UseKind, address: number, size: number, firstUndefined: number): void {
    if (this.isBusy) return;
    if (!this.isAddressable(address, size)) {
      this.report("invalid-access", operationOf(kind), address, size, null);
      return;
    }
    if (!this.reportsLoads && (kind === USE_LOAD || kind === USE_READ)) return;
    this.report("uninitialised", operationOf(kind), address, size, firstUndefined);
  }

  mayAccess(kind: UseKind, address: number, size: number): boolean {
    if (this.isBusy) return true;
    if (this.isAddressable(address, size)) return true;
    this.report("invalid-access", operationOf(kind), address, size, null);
    return false;
  }

  /** Whether all of a range is the program's to access; the live chunk around it becomes the addressable range. */
  isAddressable(address: number, size: number): boolean {
    const { noAccess } = this.sources;
    if (noAccess.first(address, size) >= 0) return false;
    if (this.tracked === null) return true;
    const place = this.tracked.lookUp(address);
    if (place === NOT_LIVE) return false;
    // From outside the heap into it: nothing of the program's can lie at a region's or mapping's begin.
    if (place !== LIVE) return size <= 1 || this.tracked.lookUp(address + size - 1) !== NOT_LIVE;
    const { liveFrom, liveTo } = this.tracked;
    if (noAccess.isEmpty) {
      this.addressableFrom = liveFrom;
      this.addressableTo = liveTo;
    }
    return address + size <= liveTo;
  }

  /** Forgets what is known to be addressable, after the program changed it. */
  forget(): void {
    this.addressableFrom = 0;
    this.addressableTo = 0;
  }

  report(kind: FindingKind, operation: Operation, address: number, size: number, firstUndefined: number | null): void {
    this.isBusy = true;
    try {
      const block = this.sources.blocks.at(firstUndefined ?? address);
      this.sources.findings.add({
        kind,
        operation,
        cause: kind === "invalid-access" ? this.causeOf(address, size, block) : null,
        leakKind: null,
        address,
        size,
        firstUndefined,
        offset: block === null ? null : address - block.pointer,
        block,
        stack: this.sources.here(),
        count: 1,
        blocks: 0,
        bytes: 0,
      });
    } finally {
      this.isBusy = false;
    }
  }

  private causeOf(address: number, size: number, block: Block | null): Cause {
    const { noAccess } = this.sources;
    if (block?.state === "freed" && address >= block.pointer - size) return "use-after-free";
    if (noAccess.first(address, size) >= 0) return "no-access";
    return "out-of-bounds";
  }
}

function operationOf(kind: UseKind): Operation {
  if (kind === USE_LOAD) return "load";
  if (kind === USE_READ) return "read";
  if (kind === USE_COMPARE) return "compare";
  if (kind === USE_STRING) return "string";
  if (kind === USE_COPY) return "copy";
  return kind === USE_STORE ? "store" : "system call";
}
