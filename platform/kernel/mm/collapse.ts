// Making huge pages of small ones: MADV_COLLAPSE, and the step of khugepaged that a program asks for (mm/khugepaged.c). There is
// no thread in the background, so that programs repeat exactly. Faults that bring huge pages by themselves are huge-fault.ts.
import type { AreaId, PageNumber } from "../../hardware/integers.ts";
import { PTE_ANON, PTE_FRAME_SHIFT, PTE_GUARD, PTE_PRESENT, PTE_SPECIAL } from "../../hardware/layout.ts";
import { type ErrnoCode, SystemError } from "../abi/errors.ts";
import type { AddressSpace } from "./address-space.ts";
import { NO_FRAME, zeroPage } from "./frames.ts";
import { HUGE_FRAMES, HUGE_ORDER } from "./free-frames.ts";
import { allowedOrders, holdsAligned, holdsAlignedFile, hugeCleanPage } from "./huge-eligibility.ts";
import { installHuge } from "./huge-entries.ts";
import { HUGE_ORDER_BIT } from "./huge-settings.ts";
import type { Inode } from "./inode.ts";
import { makeEntry, removeEntry } from "./pte.ts";
import { cacheFolio, mapHugeFile } from "./shmem-huge.ts";
import { VM_NOHUGEPAGE, VM_UFFD_MISSING } from "./vm-flags.ts";
import { unmapFilePages } from "./zap.ts";

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
function mayCollapse(space: AddressSpace, id: AreaId): boolean {
  const { vmas } = space;
  if ((vmas.flags[id] & VM_NOHUGEPAGE) !== 0 || space.thpDisable === "all") return false;
  if (space.kernel.frames.homeFrames !== 0 || space.freshMarks?.isEmpty === false) return false;
  if (vmas.anonymous[id] === 0) return vmas.files[id]?.inode != null;
  return vmas.anonVma[id] !== 0 && hugeCleanPage(space, id)?.stores === "huge";
}

/**
 * MADV_COLLAPSE of [start, end) inside one area: every block that lies in it as a whole becomes huge.
 * @throws SystemError EINVAL: the area may not have huge pages, holds no block, or a block has nothing to collapse. EAGAIN: pages are
 * held. ENOMEM, EBUSY: no block of frames, or none for the cgroup. Blocks before the one that ended the call are done.
 */
export function collapseRange(space: AddressSpace, id: AreaId, start: PageNumber, end: PageNumber): void {
  const { vmas } = space;
  const isFile = vmas.anonymous[id] === 0;
  const fits = isFile ? holdsAlignedFile(space, id) : holdsAligned(vmas.startPage[id], vmas.endPage[id], HUGE_ORDER);
  if (!mayCollapse(space, id) || !fits) throw new SystemError("EINVAL", "madvise", "no huge page may be here");
  space.kernel.frames.drainBatches();
  const first = Math.ceil(start / HUGE_FRAMES) * HUGE_FRAMES;
  const last = Math.floor(end / HUGE_FRAMES) * HUGE_FRAMES;
  // A range inside one block ends before it begins once rounded, and Linux then takes it for a failure.
  let failure = last < first ? REFUSED : COLLAPSED;
  for (let block = first; block < last; block += HUGE_FRAMES) {
    const result = isFile ? collapseFileBlock(space, id, block) : collapseBlock(space, id, block);
    if (result !== COLLAPSED) failure = result;
    if (result >= REFUSED) break;
  }
  if (failure !== COLLAPSED) throw new SystemError(errnoOf(failure), "madvise", "not every block could be collapsed");
}

/** One block, whole inside its area (hpage_collapse_scan_pmd, collapse_huge_page). Cost: what is copied and filled. */
function collapseBlock(space: AddressSpace, id: AreaId, block: PageNumber): number {
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
  frames.exclusive[head] = 1;
  pageTable.freeTables(block, block + HUGE_FRAMES);
  installHuge(space, block, makeEntry(space, head, vmas.flags[id], PTE_ANON, true));
  kernel.counters.hugeCollapses++;
  return COLLAPSED;
}

/** Whether every entry of a block can be collapsed. */
function scan(space: AddressSpace, block: PageNumber): number {
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

/**
 * A block of a mapping of a file: its range of the file becomes one huge page, whoever maps it, and is mapped huge here
 * (collapse_file, collapse_pte_mapped_thp).
 */
function collapseFileBlock(space: AddressSpace, id: AreaId, block: PageNumber): number {
  const { pageTable, vmas, kernel } = space;
  const inode = vmas.files[id]?.inode;
  if (inode === null || inode === undefined) return REFUSED;
  const first = vmas.pageOffset[id] + (block - vmas.startPage[id]);
  const cached = inode.pages.get(first);
  const isHuge =
    cached !== undefined && kernel.frames.isInFolio(cached) && kernel.frames.folios.sizeOf(cached) === HUGE_FRAMES;
  if (!isHuge) {
    const collapsed = collapseCache(space, inode, first);
    if (collapsed !== COLLAPSED) return collapsed;
  }
  if (pageTable.isHuge(block)) return COLLAPSED;
  const head = inode.pages.get(first) as number;
  for (let page = block; page < block + HUGE_FRAMES; page++) {
    const entry = pageTable.entries[page];
    if (entry !== 0 && entry >>> PTE_FRAME_SHIFT !== head + (page - block)) return REFUSED;
  }
  space.noteRss();
  for (let page = block; page < block + HUGE_FRAMES; page++)
    if (pageTable.entries[page] !== 0) removeEntry(space, page, vmas.flags[id]);
  pageTable.freeTables(block, block + HUGE_FRAMES);
  return mapHugeFile(space, id, block, head, { dirty: false }) ? COLLAPSED : REFUSED;
}

/** Makes one huge page of the 512 pages of a file from `first` on; holes read as zeroes (collapse_file). */
function collapseCache(space: AddressSpace, inode: Inode, first: number): number {
  const { frames, counters } = space.kernel;
  let present = 0;
  for (let at = first; at < first + HUGE_FRAMES; at++) {
    const frame = inode.pages.get(at);
    if (frame === undefined) continue;
    if (frames.isHeldBeyondCache(frame)) return HELD;
    present++;
  }
  if (present === 0) return REFUSED;
  const failures = space.cgroup?.failures;
  const head = frames.allocateFolio(HUGE_ORDER, null, space.cgroup);
  if (head === NO_FRAME) return space.cgroup?.failures !== failures ? CGROUP_FULL : NO_MEMORY;
  unmapFilePages(inode, first, first + HUGE_FRAMES, { privateCopies: "keep" });
  for (let at = 0; at < HUGE_FRAMES; at++) {
    const frame = inode.pages.get(first + at);
    if (frame === undefined) zeroPage.initialise(frames.ram, counters, head + at);
    else frames.copyInto(head + at, frame);
  }
  inode.dropPages(first, first + HUGE_FRAMES);
  cacheFolio(space, inode, first, head);
  frames.markDirty(head);
  freeFileTables(inode, first);
  counters.hugeCollapses++;
  return COLLAPSED;
}

/** Other mappings lose their page tables, so that they map the huge page by huge entries (retract_page_tables). */
function freeFileTables(inode: Inode, first: number): void {
  for (const { vmas, pageTable } of inode.mappers.keys()) {
    for (let index = 0; index < vmas.count; index++) {
      const id = vmas.at(index);
      if (vmas.anonymous[id] === 1 || vmas.files[id]?.inode !== inode || vmas.anonVma[id] !== 0) continue;
      const block = vmas.startPage[id] + (first - vmas.pageOffset[id]);
      if (block % HUGE_FRAMES !== 0 || block < vmas.startPage[id] || block + HUGE_FRAMES > vmas.endPage[id]) continue;
      pageTable.freeTables(block, block + HUGE_FRAMES);
    }
  }
}

/** Fills a folio with what the block's pages hold, and takes their entries away. */
function gather(space: AddressSpace, id: AreaId, block: PageNumber, head: number): void {
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
    if (vmas.anonymous[id] === 0 || !mayCollapse(space, id)) continue;
    collapsed += collapseArea(space, id, smallestPages, limit - collapsed);
  }
  return collapsed;
}

function collapseArea(space: AddressSpace, id: AreaId, smallestPages: number, limit: number): number {
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
function countOwn(space: AddressSpace, block: PageNumber): number {
  const { entries } = space.pageTable;
  let count = 0;
  for (let page = block; page < block + HUGE_FRAMES; page++) if ((entries[page] & PTE_ANON) !== 0) count++;
  return count;
}
