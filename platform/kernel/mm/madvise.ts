// madvise(2): dropping pages, flags for fork and core dumps, population, guard markers (mm/madvise.c).
// EINVAL for every advice that is not simulated.
import type { Address, AreaId, ByteCount, PageNumber } from "../../hardware/integers.ts";
import { ACCESS_LOAD, ACCESS_STORE, PAGE_SIZE, PTE_GUARD } from "../../hardware/layout.ts";
import { SystemError } from "../abi/errors.ts";
import * as advices from "../abi/mman.ts";
import type { AddressSpace, FaultAccount } from "./address-space.ts";
import { type AdviceHookOfArea, adviseExtended } from "./advice-extension.ts";
import { collapseRange } from "./collapse.ts";
import { FAULT_DONE } from "./fault.ts";
import { freeLazily, splitPartialFolios } from "./lazy-free.ts";
import { ensurePage, errnoOfFault } from "./populate.ts";
import { punchHole } from "./shmem.ts";
import { pagesOf } from "./unmapped-area.ts";
import {
  VM_ACCESS_FLAGS,
  VM_DONTCOPY,
  VM_DONTDUMP,
  VM_DROPPABLE,
  VM_HUGEPAGE,
  VM_LOCKED,
  VM_MAYBE_GUARD,
  VM_MAYWRITE,
  VM_NOHUGEPAGE,
  VM_RAND_READ,
  VM_READ,
  VM_SEQ_READ,
  VM_SHARED,
  VM_WIPEONFORK,
  VM_WRITE,
} from "./vm-flags.ts";
import { modifyFlags, prepareAnonVma } from "./vma-merge.ts";
import { dropPages, zapPages } from "./zap.ts";

/** Every advice that is simulated. */
const KNOWN_ADVICE: ReadonlySet<number> = new Set([
  advices.MADV_NORMAL,
  advices.MADV_RANDOM,
  advices.MADV_SEQUENTIAL,
  advices.MADV_WILLNEED,
  advices.MADV_DONTNEED,
  advices.MADV_FREE,
  advices.MADV_REMOVE,
  advices.MADV_DONTFORK,
  advices.MADV_DOFORK,
  advices.MADV_HUGEPAGE,
  advices.MADV_NOHUGEPAGE,
  advices.MADV_COLLAPSE,
  advices.MADV_DONTDUMP,
  advices.MADV_DODUMP,
  advices.MADV_WIPEONFORK,
  advices.MADV_KEEPONFORK,
  advices.MADV_COLD,
  advices.MADV_PAGEOUT,
  advices.MADV_POPULATE_READ,
  advices.MADV_POPULATE_WRITE,
  advices.MADV_DONTNEED_LOCKED,
  advices.MADV_GUARD_INSTALL,
  advices.MADV_GUARD_REMOVE,
]);

/** Numbers that Linux has, simulated or not (MADV_MERGEABLE, MADV_UNMERGEABLE, MADV_HWPOISON, MADV_SOFT_OFFLINE beside those above). */
export const LINUX_ADVICE: ReadonlySet<number> = new Set([...KNOWN_ADVICE, 12, 13, 100, 101]);

/**
 * madvise(2). Holes are passed over and reported at the end.
 * @throws SystemError EINVAL: unknown advice, unaligned, or advice that an area refuses (what lies before it is done).
 * ENOMEM: a hole. EAGAIN: a split would pass max_map_count. EACCES, EFAULT as the manual page says.
 */
export function madvise(
  space: AddressSpace,
  charged: FaultAccount,
  address: Address,
  length: ByteCount,
  advice: number,
  extension: AdviceHookOfArea | null = null,
): void {
  if (extension === null && !KNOWN_ADVICE.has(advice)) throw new SystemError("EINVAL", "madvise", `advice ${advice}`);
  if (address % PAGE_SIZE !== 0) throw new SystemError("EINVAL", "madvise", "unaligned address");
  const pages = pagesOf(length);
  if (length !== 0 && pages === 0) throw new SystemError("EINVAL", "madvise", `length ${length}`);
  const start = address / PAGE_SIZE;
  const end = start + pages;
  if (end * PAGE_SIZE >= 2 ** 64) throw new SystemError("EINVAL", "madvise", "the range wraps");
  if (pages === 0) return;
  if (advice === advices.MADV_POPULATE_READ || advice === advices.MADV_POPULATE_WRITE) {
    populate(space, charged, start, end, advice);
    return;
  }
  let hole = false;
  for (let page = start; page < end; ) {
    const id = space.vmas.find(page);
    if (id === -1) throw new SystemError("ENOMEM", "madvise", "a hole in the range");
    if (space.vmas.startPage[id] > page) {
      hole = true;
      page = space.vmas.startPage[id];
      if (page >= end) break;
    }
    const stop = Math.min(end, space.vmas.endPage[id]);
    if (extension === null) adviseArea(space, id, page, stop, advice);
    else adviseExtended(space, id, page, stop, extension);
    page = stop;
  }
  if (hole) throw new SystemError("ENOMEM", "madvise", "a hole in the range");
}

function adviseArea(space: AddressSpace, id: AreaId, start: PageNumber, end: PageNumber, advice: number): void {
  const flags = space.vmas.flags[id];
  switch (advice) {
    case advices.MADV_WILLNEED:
      return;
    case advices.MADV_COLD:
    case advices.MADV_PAGEOUT:
      // Nothing is ever swapped here, so that the advice only splits large folios of which it is given part.
      if ((flags & VM_LOCKED) !== 0) throw new SystemError("EINVAL", "madvise", "locked memory");
      space.kernel.frames.drainBatches();
      splitPartialFolios(space, start, end);
      return;
    case advices.MADV_COLLAPSE:
      collapseRange(space, id, start, end);
      return;
    case advices.MADV_DONTNEED:
    case advices.MADV_FREE:
      if ((flags & VM_LOCKED) !== 0) throw new SystemError("EINVAL", "madvise", "locked memory");
      if (advice === advices.MADV_DONTNEED) dropPages(space, start, end);
      else if (space.vmas.anonymous[id] === 0)
        throw new SystemError("EINVAL", "madvise", "MADV_FREE is for anonymous memory");
      else freeLazily(space, start, end);
      return;
    case advices.MADV_DONTNEED_LOCKED:
      dropPages(space, start, end);
      return;
    case advices.MADV_REMOVE:
      removePages(space, id, start, end);
      return;
    case advices.MADV_GUARD_INSTALL:
      installGuards(space, id, start, end);
      return;
    case advices.MADV_GUARD_REMOVE:
      removeGuards(space, start, end);
      return;
    default:
      setFlags(space, id, start, end, newFlags(space, id, advice));
  }
}

/** What the advice makes of an area's flags (madvise_vma_behavior). */
function newFlags(space: AddressSpace, id: AreaId, advice: number): number {
  const flags = space.vmas.flags[id];
  switch (advice) {
    case advices.MADV_NORMAL:
      return flags & ~(VM_RAND_READ | VM_SEQ_READ);
    case advices.MADV_SEQUENTIAL:
      return (flags & ~VM_RAND_READ) | VM_SEQ_READ;
    case advices.MADV_RANDOM:
      return (flags & ~VM_SEQ_READ) | VM_RAND_READ;
    case advices.MADV_HUGEPAGE:
      return (flags & ~VM_NOHUGEPAGE) | VM_HUGEPAGE;
    case advices.MADV_NOHUGEPAGE:
      return (flags & ~VM_HUGEPAGE) | VM_NOHUGEPAGE;
    case advices.MADV_DONTFORK:
      return flags | VM_DONTCOPY;
    case advices.MADV_DOFORK:
      return flags & ~VM_DONTCOPY;
    case advices.MADV_DONTDUMP:
      return flags | VM_DONTDUMP;
    case advices.MADV_DODUMP:
      refuseDroppable(flags);
      return flags & ~VM_DONTDUMP;
    case advices.MADV_WIPEONFORK:
      if (space.vmas.files[id] !== null || (flags & VM_SHARED) !== 0) {
        throw new SystemError("EINVAL", "madvise", "MADV_WIPEONFORK is for private anonymous memory");
      }
      return flags | VM_WIPEONFORK;
    default:
      refuseDroppable(flags);
      return flags & ~VM_WIPEONFORK;
  }
}

function refuseDroppable(flags: number): void {
  if ((flags & VM_DROPPABLE) !== 0) throw new SystemError("EINVAL", "madvise", "droppable memory");
}

function setFlags(space: AddressSpace, id: AreaId, start: PageNumber, end: PageNumber, flags: number): void {
  if (flags === space.vmas.flags[id]) return;
  const area = modifyForAdvice(space, id, start, end, flags);
  space.vmas.setFlags(area, flags | (space.vmas.flags[area] & VM_MAYBE_GUARD));
}

/** What runs out for the moment is EAGAIN in madvise, not ENOMEM (madvise_vma_behavior). */
function modifyForAdvice(space: AddressSpace, id: AreaId, start: PageNumber, end: PageNumber, flags: number): number {
  try {
    return modifyFlags(space, id, start, end, flags, "madvise");
  } catch (error) {
    if (error instanceof SystemError && error.code === "ENOMEM") throw new SystemError("EAGAIN", "madvise", "mappings");
    throw error;
  }
}

function removePages(space: AddressSpace, id: AreaId, start: PageNumber, end: PageNumber): void {
  const { vmas } = space;
  const flags = vmas.flags[id];
  if ((flags & VM_LOCKED) !== 0) throw new SystemError("EINVAL", "madvise", "locked memory");
  const file = vmas.files[id];
  if (file === null) throw new SystemError("EINVAL", "madvise", "MADV_REMOVE needs a file");
  if ((flags & (VM_SHARED | VM_MAYWRITE)) !== (VM_SHARED | VM_MAYWRITE)) throw new SystemError("EACCES", "madvise");
  const { inode } = file;
  if (inode === null) throw new SystemError("EINVAL", "madvise", "MADV_REMOVE needs a file with pages");
  const from = (vmas.pageOffset[id] + (start - vmas.startPage[id])) * PAGE_SIZE;
  punchHole(inode, from, from + (end - start) * PAGE_SIZE);
}

/** Guard markers take the place of pages; the area is not split (madvise_guard_install). */
function installGuards(space: AddressSpace, id: AreaId, start: PageNumber, end: PageNumber): void {
  if ((space.vmas.flags[id] & VM_LOCKED) !== 0) throw new SystemError("EINVAL", "madvise", "locked memory");
  if (space.vmas.anonymous[id] === 1) prepareAnonVma(space, id);
  space.vmas.setFlags(id, space.vmas.flags[id] | VM_MAYBE_GUARD);
  zapPages(space, start, end, space.vmas.flags[id]);
  for (let page = start; page < end; page++) space.pageTable.set(page, PTE_GUARD);
}

function removeGuards(space: AddressSpace, start: PageNumber, end: PageNumber): void {
  const { pageTable } = space;
  for (let page = pageTable.next(start, end); page < end; page = pageTable.next(page + 1, end)) {
    if ((pageTable.entries[page] & PTE_GUARD) !== 0) pageTable.set(page, 0);
  }
}

/** MADV_POPULATE_READ and _WRITE: faults as loads or stores would, stopping at what they could not do (madvise_populate). */
function populate(
  space: AddressSpace,
  charged: FaultAccount,
  start: PageNumber,
  end: PageNumber,
  advice: number,
): void {
  try {
    populatePages(space, charged, start, end, advice === advices.MADV_POPULATE_WRITE);
  } finally {
    space.kernel.frames.drainBatches();
  }
}

function populatePages(
  space: AddressSpace,
  charged: FaultAccount,
  start: PageNumber,
  end: PageNumber,
  write: boolean,
): void {
  for (let page = start; page < end; ) {
    const id = space.vmas.lookup(page);
    if (id === -1) throw new SystemError("ENOMEM", "madvise", "a hole in the range");
    const needed = write ? VM_WRITE : VM_READ;
    if ((space.vmas.flags[id] & VM_ACCESS_FLAGS & needed) === 0)
      throw new SystemError("EINVAL", "madvise", "protection");
    const stop = Math.min(end, space.vmas.endPage[id]);
    for (; page < stop; page++) {
      const result = ensurePage(space, charged, id, page, write ? ACCESS_STORE : ACCESS_LOAD);
      if (result !== FAULT_DONE) throw new SystemError(errnoOfFault(result), "madvise");
    }
  }
}
