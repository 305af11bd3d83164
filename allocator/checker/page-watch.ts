// The level "page": a load fault that finds a large chunk's page still clean is a read of bytes that nobody wrote.
// Such faults happen anyway, so that watching them costs nothing per load. Copies are no uses and are let pass.

import { PAGE_SIZE } from "../../platform/hardware/layout.ts";
import { zeroPage } from "../../platform/kernel/mm/frames.ts";
import { FOREIGN, LIVE, type TrackedAllocator } from "../tracking/tracked-allocator.ts";
import type { TrackedProgram } from "../tracking/tracked-program.ts";
import type { Judge } from "./judge.ts";

export function watchCleanPages(program: TrackedProgram, allocator: TrackedAllocator, judge: Judge): void {
  const { addressSpace } = program.process;
  addressSpace.cleanLoadObserver = (page) => {
    const isCopy = program.userMemory.copiedPage === page;
    program.userMemory.copiedPage = -1;
    if (program.isOwnFault || isCopy || judge.isReporting) return;
    // calloc's pages, and memory that is not the heap's, are zero pages or somebody else's.
    const { vmas } = addressSpace;
    if (vmas.cleanPages[vmas.lookup(page)] === zeroPage) return;
    const address = program.userMemory.faultAddress;
    const at = Math.floor(address / PAGE_SIZE) === page ? address : page * PAGE_SIZE;
    const place = allocator.lookUp(at);
    if (place === FOREIGN) return;
    if (place === LIVE) judge.report("uninitialised", "page load", at, 1, at);
    else judge.report("invalid-access", "page load", at, 1, null);
  };
}
