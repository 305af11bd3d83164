// Making huge pages of small ones: MADV_COLLAPSE, and the step of khugepaged that a program asks for (mm/khugepaged.c). There is
// no thread in the background, so that programs repeat exactly. Faults that bring huge pages by themselves are huge-fault.ts.
import { PTE_ANON, PTE_FRAME_SHIFT, PTE_GUARD, PTE_PRESENT, PTE_SPECIAL } from "../../hardware/layout.ts";
import { type ErrnoCode, SystemError } from "../abi/errors.ts";
import type { AddressSpace } from "./address-space.ts";
import { NO_FRAME } from "./frames.ts";
import { HUGE_FRAMES, HUGE_ORDER } from "./free-frames.ts";
import { allowedOrders, holdsAligned, hugeCleanPage } from "./huge-eligibility.ts";
import { installHuge } from "./huge-entries.ts";
import { HUGE_ORDER_BIT } from "./huge-settings.ts";
import { makeEntry, removeEntry } from "./pte.ts";
import { VM_NOHUGEPAGE, VM_UFFD_MISSING } from "./vm-flags.ts";

/** What became of one block: huge (now, or before), or the reason why not. */
const COLLAPSED = 0;
const NOTHING_THERE = 1;
/** Pages that something other than page tables holds: another time it may do. */
const HELD = 2;
/** These end a call of MADV_COLLAPSE; the ones before only count. */
const REFUSED = 3;
const NO_MEMORY = 4;
const CGROUP_FULL = 5;

function errnoOf(result: number): ErrnoCode {
  if (result === HELD) return "EAGAIN";
  if (result === NO_MEMORY) return "ENOMEM";
  return result === CGROUP_FULL ? "EBUSY" : "EINVAL";
}

/**
 * Whether collapsing is allowed in an area by advice and prctl; settings do not count (TVA_FORCED_COLLAPSE). An area that never had
 * a private page has nothing to collapse.
 */
function mayCollapse(space: AddressSpace, id: number): boolean {
  const { vmas } = space;
  if ((vmas.flags[id] & VM_NOHUGEPAGE) !== 0 || space.thpDisable === "all") return false;
  if (space.kernel.frames.homeFrames !== 0) return false;
  return vmas.anonymous[id] === 1 && vmas.anonVma[id] !== 0 && hugeCleanPage(space, id)?.stores === "huge";
}

/**
 * MADV_COLLAPSE of [start, end) inside one area: every block that lies in it as a whole becomes huge.
 * @throws SystemError EINVAL: the area may not have huge pages, holds no block, or a block has nothing to collapse. EAGAIN: pages are
 * held. ENOMEM, EBUSY: no block of frames, or none for the cgroup. Blocks before the one that ended the call are done.
 */
export function collapseRange(space: AddressSpace, id: number, start: number, end: number): void {
  const { vmas } = space;
  if (!mayCollapse(space, id) || !holdsAligned(vmas.startPage[id], vmas.endPage[id], HUGE_ORDER))
    throw new SystemError("EINVAL", "madvise", "no huge page may be here");
  space.kernel.frames.drainBatches();
  const first = Math.ceil(start / HUGE_FRAMES) * HUGE_FRAMES;
  const last = Math.floor(end / HUGE_FRAMES) * HUGE_FRAMES;
  // A range inside one block ends before it begins once rounded, and Linux then takes it for a failure.
  let failure = last < first ? REFUSED : COLLAPSED;
  for (let block = first; block < last; block += HUGE_FRAMES) {
    const result = collapseBlock(space, id, block);
    if (result !== COLLAPSED) failure = result;
    if (result >= REFUSED) break;
  }
  if (failure !== COLLAPSED) throw new SystemError(errnoOf(failure), "madvise", "not every block could be collapsed");
}

/** One block, whole inside its area (hpage_collapse_scan_pmd, collapse_huge_page). Cost: what is copied and filled. */
function collapseBlock(space: AddressSpace, id: number, block: number): number {
  const { pageTable, vmas, kernel } = space;
  const { frames } = kernel;
  if (pageTable.isHuge(block)) return COLLAPSED;
  if (!pageTable.isUsed(block)) return NOTHING_THERE;
  const scanned = scan(space, block);
  if (scanned !== COLLAPSED) return scanned;
  const failures = space.cgroup?.failures;
  const head = frames.allocateFolio(HUGE_ORDER, null, space.cgroup);
  if (head === NO_FRAME) return space.cgroup?.failures !== failures ? CGROUP_FULL : NO_MEMORY;
  gather(space, id, block, head);
  frames.exclusive.fill(1, head, head + HUGE_FRAMES);
  pageTable.freeTables(block, block + HUGE_FRAMES);
  installHuge(space, block, makeEntry(space, head, vmas.flags[id], PTE_ANON, true));
  kernel.counters.hugeCollapses++;
  return COLLAPSED;
}

/** Whether every entry of a block can be collapsed. */
function scan(space: AddressSpace, block: number): number {
  const { pageTable, kernel } = space;
  for (let page = block; page < block + HUGE_FRAMES; page++) {
    const entry = pageTable.entries[page];
    if ((entry & PTE_GUARD) !== 0) return REFUSED;
    if ((entry & PTE_PRESENT) === 0 || (entry & PTE_SPECIAL) !== 0) continue;
    if ((entry & PTE_ANON) === 0) return REFUSED;
    if (kernel.frames.isHeld(entry >>> PTE_FRAME_SHIFT)) return HELD;
  }
  return COLLAPSED;
}

/** Fills a folio with what the block's pages hold, and takes their entries away. */
function gather(space: AddressSpace, id: number, block: number, head: number): void {
  const { pageTable, vmas, kernel } = space;
  const { frames } = kernel;
  space.noteRss();
  for (let index = 0; index < HUGE_FRAMES; index++) {
    const entry = pageTable.entries[block + index];
    if ((entry & (PTE_PRESENT | PTE_SPECIAL)) === PTE_PRESENT) frames.copyInto(head + index, entry >>> PTE_FRAME_SHIFT);
    else vmas.cleanPages[id].initialise(frames.ram, frames.counters, head + index);
    if (entry !== 0) removeEntry(space, block + index, vmas.flags[id]);
  }
}

/**
 * One step of khugepaged: collapses up to `limit` blocks of the address space that are mapped by small pages, have at least
 * `smallestPages` of them, and lie in areas which the settings allow huge pages. @returns how many it made huge.
 */
export function khugepagedStep(space: AddressSpace, smallestPages: number, limit: number): number {
  const { vmas } = space;
  let collapsed = 0;
  for (let index = 0; index < vmas.count && collapsed < limit; index++) {
    const id = vmas.at(index);
    const flags = vmas.flags[id];
    if ((allowedOrders(space, flags) & HUGE_ORDER_BIT) === 0 || (flags & VM_UFFD_MISSING) !== 0) continue;
    if (!mayCollapse(space, id)) continue;
    collapsed += collapseArea(space, id, smallestPages, limit - collapsed);
  }
  return collapsed;
}

function collapseArea(space: AddressSpace, id: number, smallestPages: number, limit: number): number {
  const { pageTable, vmas } = space;
  const end = Math.floor(vmas.endPage[id] / HUGE_FRAMES) * HUGE_FRAMES;
  let collapsed = 0;
  for (
    let block = pageTable.nextUsedBlock(Math.ceil(vmas.startPage[id] / HUGE_FRAMES) * HUGE_FRAMES, end);
    block < end;
  ) {
    if (!pageTable.isHuge(block) && countOwn(space, block) >= smallestPages) {
      if (collapseBlock(space, id, block) === COLLAPSED) collapsed++;
      if (collapsed === limit) break;
    }
    block = pageTable.nextUsedBlock(block + HUGE_FRAMES, end);
  }
  return collapsed;
}

/** Private pages of a block. */
function countOwn(space: AddressSpace, block: number): number {
  const { entries } = space.pageTable;
  let count = 0;
  for (let page = block; page < block + HUGE_FRAMES; page++) if ((entries[page] & PTE_ANON) !== 0) count++;
  return count;
}
