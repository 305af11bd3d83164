// The level "page": a load fault that finds a large chunk's page still clean is a read of unwritten bytes.
// Such faults happen anyway, so that watching them costs nothing per load. Copying is not a use and is not reported.

import type { PageNumber } from "../../platform/hardware/integers.ts";
import { PAGE_SIZE } from "../../platform/hardware/layout.ts";
import type { AddressSpace } from "../../platform/kernel/mm/address-space.ts";
import { zeroPage } from "../../platform/kernel/mm/frames.ts";
import { keepMaker, keepTable } from "../../platform/state/kept.ts";
import { FOREIGN, NOT_LIVE, type TrackedAllocator } from "../tracking/tracked-allocator.ts";
import type { TrackedProgram } from "../tracking/tracked-program.ts";
import type { Judge } from "./judge.ts";

/** What of one heap a clean page's load is held against. */
interface PageWatcher {
  readonly program: TrackedProgram;
  readonly allocator: TrackedAllocator;
  readonly judge: Judge;
}

/** The heaps that watch an address space. */
const watchers = keepTable("checker.pageWatchers", new WeakMap<AddressSpace, PageWatcher[]>());

/** Watches the pages of one heap; others of the process may do so as well. @returns what ends that */
export function watchCleanPages(program: TrackedProgram, allocator: TrackedAllocator, judge: Judge): () => void {
  const { addressSpace } = program.process;
  const all = watchers.get(addressSpace) ?? [];
  watchers.set(addressSpace, all);
  const watcher = { program, allocator, judge };
  all.push(watcher);
  addressSpace.cleanLoadObserver = seeLoads(all, addressSpace);
  return stopSeeing(all, watcher, addressSpace);
}

const seeLoads = keepMaker(
  "checker.seeLoads",
  (all: readonly PageWatcher[], addressSpace: AddressSpace) => (page: PageNumber) => {
    for (const each of all) seeLoad(each, addressSpace, page);
  },
);

const stopSeeing = keepMaker(
  "checker.stopSeeing",
  (all: PageWatcher[], watcher: PageWatcher, addressSpace: AddressSpace) => () => {
    all.splice(all.indexOf(watcher), 1);
    if (all.length === 0) addressSpace.cleanLoadObserver = null;
  },
);

function seeLoad({ program, allocator, judge }: PageWatcher, addressSpace: AddressSpace, page: PageNumber): void {
  const isCopy = program.userMemory.copiedPage === page;
  if (program.isOwnFault || judge.isReporting) return;
  // calloc's pages, and memory that is not the heap's, are zero pages or somebody else's.
  const { vmas } = addressSpace;
  if (vmas.cleanPages[vmas.lookup(page)] === zeroPage) return;
  const address = program.userMemory.faultAddress;
  const at = Math.floor(address / PAGE_SIZE) === page ? address : page * PAGE_SIZE;
  const place = allocator.lookUp(at);
  if (place === FOREIGN) return;
  if (place !== NOT_LIVE && isCopy) return;
  const kind = place === NOT_LIVE ? "invalid-access" : "uninitialised";
  program.userMemory.reportLoad(at, at !== address, () => judge.report(kind, "page load", at, 1, at));
}
