// The page-fault path (mm/memory.c): what a load or store to a page without a usable entry makes of it.
// Every area has a clean page, zero page or other, so reference pages need no case of their own. Signals are raised by thread.ts.
import type { AreaId, FrameNumber, PageNumber, PageTableEntry } from "../../hardware/integers.ts";
import {
  ACCESS_STORE,
  PTE_ANON,
  PTE_CHECKED,
  PTE_DBM,
  PTE_FRAME_SHIFT,
  PTE_GUARD,
  PTE_MTE,
  PTE_NOT_DIRTY,
  PTE_PRESENT,
  PTE_READ,
  PTE_SPECIAL,
  PTE_WRITE,
} from "../../hardware/layout.ts";
import { ENTRIES_PER_BLOCK } from "../../hardware/page-table.ts";
import type { AddressSpace, FaultAccount } from "./address-space.ts";
import { NO_FRAME } from "./frames.ts";
import { blockStart, splitHuge } from "./huge-entries.ts";
import { folioFault, hugeFault, storeToHuge, takeOverHuge } from "./huge-fault.ts";
import { countTaggedZeroing, installEntry, makeEntry, makeFileEntry, permissionBits } from "./pte.ts";
import { mapFolioOf, mapHugeFile, pageForFault } from "./shmem-huge.ts";
import { growStack } from "./stack.ts";
import { VM_ACCESS_FLAGS, VM_LOCKED, VM_MTE, VM_SHARED, VM_UFFD_MISSING, VM_WRITE } from "./vm-flags.ts";
import { prepareAnonVma } from "./vma-merge.ts";

/** Outcomes of a fault, numbers so that none is allocated. */
export const FAULT_DONE = 0;
/** No area there: SEGV_MAPERR. */
export const FAULT_NOT_MAPPED = 1;
/** The area forbids it: SEGV_ACCERR. */
export const FAULT_FORBIDDEN = 2;
/** Past the end of the file: SIGBUS. */
export const FAULT_PAST_END = 3;
/** No frame. */
export const FAULT_OUT_OF_MEMORY = 4;
/** A guard marker: SIGSEGV as for memory that is not mapped. */
const FAULT_GUARD = 5;
export type FaultResult = 0 | 1 | 2 | 3 | 4 | 5;

/** How pages of a file are mapped; constants, so that no fault makes an object. */
const FOR_STORE = { dirty: true } as const;
const FOR_LOAD = { dirty: false } as const;

/** Pages of a file that one load fault maps if they are cached (fault_around_bytes = 64 KiB). */
const FAULT_AROUND_PAGES = 16;

/**
 * Resolves a fault at `page`, counting it to `charged` (the process that runs, not always the one whose memory it is).
 * With FAULT_DONE the entry permits the access; with any other result no entry of this page has changed.
 */
export function handlePageFault(
  space: AddressSpace,
  charged: FaultAccount,
  page: PageNumber,
  access: number,
): FaultResult {
  const { vmas } = space;
  let id = vmas.find(page);
  if (id === -1 || vmas.startPage[id] > page) {
    id = growStack(space, page);
    if (id === -1) return FAULT_NOT_MAPPED;
  }
  const flags = vmas.flags[id];
  if (access === ACCESS_STORE ? (flags & VM_WRITE) === 0 : (flags & VM_ACCESS_FLAGS) === 0) return FAULT_FORBIDDEN;
  return faultIn(space, charged, id, page, access);
}

/** The part behind the permission check: also get_user_pages' way in, which may look at what the program may not (FOLL_FORCE). */
export function faultIn(
  space: AddressSpace,
  charged: FaultAccount,
  id: AreaId,
  page: PageNumber,
  access: number,
): FaultResult {
  const entry = space.pageTable.entryOf(page);
  let result: FaultResult;
  if ((entry & PTE_GUARD) !== 0) return FAULT_GUARD;
  if ((entry & PTE_PRESENT) !== 0) {
    if (space.pageTable.isHuge(page) && fillsHuge(space, page, entry, access)) return FAULT_DONE;
    if (access === ACCESS_STORE && (entry & PTE_DBM) !== 0) {
      // What a processor with a dirty bit does by itself: no fault that anybody counts.
      makeDirty(space, page, entry);
      return FAULT_DONE;
    }
    result = access === ACCESS_STORE ? writeProtectFault(space, id, page, entry) : spuriousFault(space);
  } else if (space.vmas.anonymous[id] === 1) {
    const supplied = (space.vmas.flags[id] & VM_UFFD_MISSING) !== 0 && space.kernel.missingPage?.(space, page) === true;
    if (supplied) result = suppliedFault(space, page, access);
    else if (space.freshMarks?.has(page) === true) result = markedFault(space, id, page);
    else if (space.pageTable.isUntouched(page) && hugeFault(space, id, page, access)) result = FAULT_DONE;
    else if (access === ACCESS_STORE) result = anonymousWriteFault(space, id, page);
    else result = cleanReadFault(space, id, page);
  } else {
    result = fileFault(space, id, page, access);
    // Linux makes the tables above before it looks into the file, and keeps them if there is no page (__handle_mm_fault).
    if (result !== FAULT_DONE) space.pageTable.makeUpperTable(page);
  }
  if (result === FAULT_DONE) {
    if (space.pageTable.isHuge(page)) space.pageTable.spread(page);
    charged.minorFaults++;
    space.kernel.counters.minorFaults++;
  }
  return result;
}

/**
 * What a processor does when its TLB misses a huge entry: the block's entries are written for accesses to find. @returns whether
 * that was all, so that there is no fault to count.
 */
function fillsHuge(space: AddressSpace, page: PageNumber, entry: PageTableEntry, access: number): boolean {
  const isMiss = space.pageTable.entries[page] === 0;
  space.pageTable.spread(page);
  return isMiss && (entry & (access === ACCESS_STORE ? PTE_WRITE : PTE_READ)) !== 0;
}

/** The first store to a clean page that permits stores. */
function makeDirty(space: AddressSpace, page: PageNumber, entry: PageTableEntry): void {
  const { pageTable } = space;
  const dirty = (entry & ~(PTE_DBM | PTE_NOT_DIRTY)) | PTE_WRITE;
  if (!pageTable.isHuge(page)) {
    pageTable.entries[page] = dirty;
    return;
  }
  const start = blockStart(page);
  pageTable.setHuge(start, (pageTable.entryOf(start) & ~(PTE_DBM | PTE_NOT_DIRTY)) | PTE_WRITE);
  pageTable.spread(page);
}

/** A userfaultfd's handler supplied the page, and may have changed the areas: the access is tried again. */
function suppliedFault(space: AddressSpace, page: PageNumber, access: number): FaultResult {
  const entry = space.pageTable.entryOf(page);
  if (access !== ACCESS_STORE || (entry & PTE_WRITE) !== 0) return FAULT_DONE;
  return writeProtectFault(space, space.vmas.lookup(page), page, entry);
}

function spuriousFault(space: AddressSpace): FaultResult {
  space.kernel.counters.spuriousFaults++;
  return FAULT_DONE;
}

/** A load of an untouched page: the area's clean page, read-only and special (do_anonymous_page, R4). */
function cleanReadFault(space: AddressSpace, id: AreaId, page: PageNumber): FaultResult {
  const { vmas } = space;
  const frame = space.kernel.frames.cleanFrame(vmas.cleanPages[id], page);
  installEntry(space, page, makeEntry(space, frame, vmas.flags[id], PTE_SPECIAL, false));
  space.kernel.counters.cleanReadFaults++;
  space.cleanLoadObserver?.(page);
  return FAULT_DONE;
}

/** An access to an untouched page that is marked: also for a load it gets a frame of its own, which carries the marks. */
function markedFault(space: AddressSpace, id: AreaId, page: PageNumber): FaultResult {
  const result = anonymousWriteFault(space, id, page);
  if (result !== FAULT_DONE) return result;
  space.freshMarks?.markFresh(page, space.pageTable.entryOf(page) >>> PTE_FRAME_SHIFT);
  return result;
}

/** A store to an untouched page: a private page that starts as the clean page (do_anonymous_page, R5). */
function anonymousWriteFault(space: AddressSpace, id: AreaId, page: PageNumber): FaultResult {
  const { vmas, kernel } = space;
  const { frames } = kernel;
  if (kernel.hugePages.hasFolioSizes && folioFault(space, id, page)) return FAULT_DONE;
  const frame = frames.allocate(vmas.cleanPages[id], space.cgroup, page);
  if (frame === NO_FRAME) return FAULT_OUT_OF_MEMORY;
  const flags = vmas.flags[id];
  if ((flags & VM_MTE) !== 0) countTaggedZeroing(space, id, 1);
  if (vmas.anonVma[id] === 0) prepareAnonVma(space, id);
  // makeEntry() and installEntry() for this one kind, the commonest: V8 would not inline all that into the fault.
  let entry = (frame << PTE_FRAME_SHIFT) | PTE_PRESENT | PTE_ANON | permissionBits(flags, true);
  if ((flags & VM_MTE) !== 0) entry |= PTE_MTE | PTE_CHECKED;
  if (frame >= frames.firstChecked) entry |= PTE_CHECKED;
  space.pageTable.install(page, entry);
  frames.exclusive[frame] = 1;
  frames.mapCounts[frame] = 1;
  space.rssAnonymous++;
  if ((flags & VM_LOCKED) !== 0) frames.batch(frame);
  kernel.counters.ptesSet++;
  kernel.counters.anonymousWriteFaults++;
  space.firstStores.note(id);
  return FAULT_DONE;
}

/** A store to a present page without write permission: copy it, or take it over if no other process has it (do_wp_page). */
function writeProtectFault(space: AddressSpace, id: AreaId, page: PageNumber, presentEntry: number): FaultResult {
  if ((presentEntry & PTE_WRITE) !== 0) return spuriousFault(space);
  let entry = presentEntry;
  const { vmas, kernel } = space;
  const { frames } = kernel;
  const flags = vmas.flags[id];
  kernel.counters.writeProtectFaults++;
  if ((flags & VM_SHARED) !== 0) {
    makeDirty(space, page, entry | PTE_READ);
    frames.markDirty(entry >>> PTE_FRAME_SHIFT);
    return FAULT_DONE;
  }
  if (space.pageTable.isHuge(page)) {
    if (storeToHuge(space, id, page)) return FAULT_DONE;
    entry = space.pageTable.entryOf(page);
    // A huge page of a file is gone from this mapping now: the copy is made as for a page that was never mapped.
    if (entry === 0) return fileFault(space, id, page, ACCESS_STORE);
  }
  const frame = entry >>> PTE_FRAME_SHIFT;
  if ((entry & PTE_ANON) !== 0 && (frames.exclusive[frame] === 1 || frames.isLastReference(frame))) {
    frames.exclusive[frame] = 1;
    kernel.counters.reuseFaults++;
    space.pageTable.entries[page] = (entry & ~PTE_NOT_DIRTY) | PTE_READ | ((flags & VM_WRITE) !== 0 ? PTE_WRITE : 0);
    return FAULT_DONE;
  }
  const special = (entry & PTE_SPECIAL) !== 0;
  const copy = special
    ? frames.allocate(vmas.cleanPages[id], space.cgroup, page)
    : frames.allocateCopy(frame, space.cgroup);
  if (copy === NO_FRAME) return FAULT_OUT_OF_MEMORY;
  if (special && (flags & VM_MTE) !== 0) countTaggedZeroing(space, id, 1);
  if (vmas.anonVma[id] === 0) prepareAnonVma(space, id);
  if ((flags & VM_LOCKED) !== 0) batchReplaced(space, copy, frame, entry);
  if (!special) {
    // Uncount the old page before counting its copy: the highest RSS must never count both.
    if ((entry & PTE_ANON) !== 0) space.rssAnonymous--;
    else space.rssFile--;
    frames.unmap(frame, space.id);
  }
  frames.exclusive[copy] = 1;
  installEntry(space, page, makeEntry(space, copy, flags, PTE_ANON, true) | (entry & PTE_MTE));
  return FAULT_DONE;
}

/** A locked area's page is replaced by a copy: both go into the batch, but a clean page never does. */
function batchReplaced({ kernel }: AddressSpace, copy: number, frame: FrameNumber, entry: PageTableEntry): void {
  kernel.frames.batch(copy);
  if ((entry & PTE_SPECIAL) === 0) kernel.frames.batch(frame);
}

/**
 * Before a page is pinned for reading: an anonymous page that others may share becomes this process's alone, so that what
 * the pin sees stays what the process sees (FAULT_FLAG_UNSHARE). The page stays read-only, and a copy is not dirty.
 */
export function unsharePage(space: AddressSpace, charged: FaultAccount, id: AreaId, page: PageNumber): FaultResult {
  const { counters } = space.kernel;
  const result = isHugeUnshared(space, page) ? FAULT_DONE : unshareSmallPage(space, id, page);
  if (result !== FAULT_DONE) return result;
  counters.writeProtectFaults++;
  counters.minorFaults++;
  charged.minorFaults++;
  return FAULT_DONE;
}

/** Whether a huge entry maps the page and is its folio's only user; any other huge entry is split. */
function isHugeUnshared(space: AddressSpace, page: PageNumber): boolean {
  if (!space.pageTable.isHuge(page)) return false;
  const start = blockStart(page);
  if (takeOverHuge(space, space.pageTable.entryOf(start) >>> PTE_FRAME_SHIFT)) return true;
  splitHuge(space, start);
  return false;
}

function unshareSmallPage(space: AddressSpace, id: AreaId, page: PageNumber): FaultResult {
  const { frames, counters } = space.kernel;
  const entry = space.pageTable.entryOf(page);
  const frame = entry >>> PTE_FRAME_SHIFT;
  if (frames.exclusive[frame] === 1) return FAULT_DONE;
  if (frames.isLastReference(frame)) {
    frames.exclusive[frame] = 1;
    counters.reuseFaults++;
    return FAULT_DONE;
  }
  const copy = frames.allocateCopy(frame, space.cgroup);
  if (copy === NO_FRAME) return FAULT_OUT_OF_MEMORY;
  if ((space.vmas.flags[id] & VM_LOCKED) !== 0) batchReplaced(space, copy, frame, entry);
  space.rssAnonymous--;
  frames.unmap(frame, space.id);
  frames.exclusive[copy] = 1;
  const kept = (entry & PTE_MTE) | PTE_NOT_DIRTY;
  installEntry(space, page, makeEntry(space, copy, space.vmas.flags[id], PTE_ANON, false) | kept);
  return FAULT_DONE;
}

/** A page of a file that is not mapped yet (do_read_fault, do_cow_fault, do_shared_fault). */
function fileFault(space: AddressSpace, id: AreaId, page: PageNumber, access: number): FaultResult {
  const { vmas, kernel } = space;
  const { frames } = kernel;
  const inode = vmas.files[id]?.inode;
  const flags = vmas.flags[id];
  const index = vmas.pageOffset[id] + (page - vmas.startPage[id]);
  if (inode === null || inode === undefined) return FAULT_PAST_END;
  const isShared = (flags & VM_SHARED) !== 0;
  // What comes before the page itself stays even if that turns out to lie past the end: mapped neighbours, an anon_vma.
  if (access !== ACCESS_STORE) {
    if (mapCachedNeighbours(space, id, page)) {
      kernel.counters.fileFaults++;
      return FAULT_DONE;
    }
  } else if (!isShared && vmas.anonVma[id] === 0) prepareAnonVma(space, id);
  if (index >= inode.pageCount) return FAULT_PAST_END;
  const frame = pageForFault(space, id, page, inode);
  if (frame === NO_FRAME) return FAULT_OUT_OF_MEMORY;
  if (access === ACCESS_STORE && !isShared) {
    const copy = frames.allocateCopy(frame, space.cgroup);
    if (copy === NO_FRAME) return FAULT_OUT_OF_MEMORY;
    frames.exclusive[copy] = 1;
    installEntry(space, page, makeEntry(space, copy, flags, PTE_ANON, true));
    if ((flags & VM_LOCKED) !== 0) frames.batch(copy);
  } else {
    const how = access === ACCESS_STORE ? FOR_STORE : FOR_LOAD;
    if (!mapHugeFile(space, id, page, frame, how)) mapFolioOf(space, id, page, frame, how);
    // Of a store the file hears (fault_dirty_shared_page).
    if (how.dirty) frames.markDirty(frame);
  }
  kernel.counters.fileFaults++;
  return FAULT_DONE;
}

/**
 * Maps what the page cache has near `page`, within area, block of the page table and aligned window (do_fault_around). @returns
 * whether a large folio was mapped, and `page` with it.
 */
function mapCachedNeighbours(space: AddressSpace, id: AreaId, page: PageNumber): boolean {
  const { vmas, pageTable, kernel } = space;
  const inode = vmas.files[id]?.inode;
  if (inode === null || inode === undefined) return false;
  const flags = vmas.flags[id];
  // The window is aligned unless the area starts inside it: then it begins there, and is as long all the same.
  const from = Math.max(page - (page % FAULT_AROUND_PAGES), vmas.startPage[id]);
  const blockEnd = page - (page % ENTRIES_PER_BLOCK) + ENTRIES_PER_BLOCK;
  const to = Math.min(from + FAULT_AROUND_PAGES, blockEnd, vmas.endPage[id]);
  const ownIndex = vmas.pageOffset[id] + (page - vmas.startPage[id]);
  const own = ownIndex < inode.pageCount ? inode.pages.get(ownIndex) : undefined;
  if (own !== undefined && kernel.frames.isInFolio(own)) {
    // A large folio that holds the page itself is mapped as a whole, however far it reaches.
    if (!mapHugeFile(space, id, page, own, FOR_LOAD)) mapFolioOf(space, id, page, own, FOR_LOAD);
  }
  for (let near = from; near < to; near++) {
    if (near === page || pageTable.entryOf(near) !== 0) continue;
    const index = vmas.pageOffset[id] + (near - vmas.startPage[id]);
    const frame = index < inode.pageCount ? inode.pages.get(index) : undefined;
    if (frame === undefined) continue;
    if (mapHugeFile(space, id, near, frame, FOR_LOAD)) return true;
    kernel.frames.get(frame);
    installEntry(space, near, makeFileEntry(space, frame, flags, FOR_LOAD));
    if ((flags & VM_LOCKED) !== 0) kernel.frames.batch(frame);
  }
  return pageTable.entryOf(page) !== 0;
}
