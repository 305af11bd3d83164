// mremap(2): growing, shrinking and moving mappings with their pages (mm/mremap.c of Linux 6.18).
// Page-table entries are moved, never copied; areas are split and joined by vma-merge.ts.
import type { Address, AreaId, ByteCount, PageCount, PageNumber } from "../../hardware/integers.ts";
import { PAGE_SIZE } from "../../hardware/layout.ts";
import { ENTRIES_PER_BLOCK } from "../../hardware/page-table.ts";
import { SystemError } from "../abi/errors.ts";
import { MAP_FIXED, MREMAP_DONTUNMAP, MREMAP_FIXED, MREMAP_MAYMOVE } from "../abi/mman.ts";
import {
  type AddressSpace,
  ARCHITECTURE_TASK_SIZE_PAGES,
  type FaultAccount,
  TASK_SIZE_PAGES,
} from "./address-space.ts";
import { blockStart, moveBlock, splitHuge } from "./huge-entries.ts";
import { munmap, unmapRange } from "./munmap.ts";
import { populateRange } from "./populate.ts";
import { getUnmappedArea, isPlacedAsAnonymous, pagesOf } from "./unmapped-area.ts";
import { VM_ACCOUNT, VM_LOCKED, VM_LOCKED_MASK, VM_MAYSHARE, VM_SHARED, VM_UFFD_MISSING } from "./vm-flags.ts";
import { holdFile, mergeNewRange } from "./vma-merge.ts";

const KNOWN_FLAGS = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;

/** One call on its way (vma_remap_struct). Pages, not bytes; `target` is in pages too, or a hint. */
interface Remap {
  start: PageNumber;
  oldPages: number;
  newPages: number;
  target: number;
  readonly flags: number;
}

function impliesTarget(flags: number): boolean {
  return (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) !== 0;
}

/**
 * mremap(2). @returns the new address.
 * @throws SystemError EINVAL: arguments that exclude one another, overlap, unaligned. EFAULT: nothing (or not one area) at the
 * old range. ENOMEM: no room, or a limit. EAGAIN: RLIMIT_MEMLOCK.
 */
export function mremap(
  space: AddressSpace,
  charged: FaultAccount,
  oldAddress: Address,
  oldLength: ByteCount,
  newLength: ByteCount,
  flags: number,
  newAddress: Address,
): Address {
  const remap: Remap = {
    start: oldAddress / PAGE_SIZE,
    oldPages: pagesOf(oldLength),
    newPages: pagesOf(newLength),
    target: newAddress / PAGE_SIZE,
    flags,
  };
  checkArguments(space, remap);
  const { oldPages, newPages } = remap;
  if ((flags & MREMAP_FIXED) !== 0 && oldPages === newPages) return moveRange(space, remap) * PAGE_SIZE;
  const id = space.vmas.lookup(remap.start);
  checkArea(space, remap, id);
  const locked = (space.vmas.flags[id] & VM_LOCKED) !== 0;
  const result = impliesTarget(flags) ? moveTo(space, remap) : resizeAt(space, remap, id);
  if (locked && newPages > oldPages) {
    populateRange(space, charged, result + oldPages, result + newPages, { errors: "ignore" });
  }
  return result * PAGE_SIZE;
}

/** What can be refused without looking at any area (check_mremap_params). */
function checkArguments(space: AddressSpace, { start, oldPages, newPages, target, flags }: Remap): void {
  const refuse = (detail: string): never => {
    throw new SystemError("EINVAL", "mremap", detail);
  };
  if ((flags & ~KNOWN_FLAGS) !== 0) refuse(`flags ${flags}`);
  if (space.homes !== null) throw new SystemError("ENOMEM", "mremap", "each page has one frame, which does not move");
  if (!Number.isInteger(start)) refuse("unaligned old address");
  if (newPages === 0 || newPages > ARCHITECTURE_TASK_SIZE_PAGES) refuse("new length");
  if (!impliesTarget(flags)) return;
  if (target > ARCHITECTURE_TASK_SIZE_PAGES - newPages) refuse("new address beyond the address space");
  if (!Number.isInteger(target)) refuse("unaligned new address");
  if ((flags & MREMAP_MAYMOVE) === 0) refuse("a new address needs MREMAP_MAYMOVE");
  if ((flags & MREMAP_DONTUNMAP) !== 0 && oldPages !== newPages) refuse("MREMAP_DONTUNMAP does not resize");
  // The end of the old range may wrap, as in 64-bit arithmetic; what is wrong with it is found later.
  if ((start + oldPages) % 2 ** 52 > target && target + newPages > start) refuse("old and new range overlap");
  if (space.vmas.count + 2 >= space.kernel.maxMapCount - 3)
    throw new SystemError("ENOMEM", "mremap", "too many mappings");
}

/** What the area at the old address must allow (check_prep_vma). @throws SystemError */
function checkArea(space: AddressSpace, { start, oldPages, newPages, flags }: Remap, id: AreaId): void {
  if (id === -1) throw new SystemError("EFAULT", "mremap", "nothing is mapped at the old address");
  const { vmas } = space;
  const areaFlags = vmas.flags[id];
  if (!impliesTarget(flags) && newPages <= oldPages) return;
  if (oldPages === 0 && (areaFlags & (VM_SHARED | VM_MAYSHARE)) === 0) {
    throw new SystemError("EINVAL", "mremap", "old length 0 of private memory");
  }
  // A range that shrinks may cross areas: what is cut off is unmapped before anything moves.
  if (Math.min(oldPages, newPages) > vmas.endPage[id] - start)
    throw new SystemError("EFAULT", "mremap", "the old range leaves its area");
  if (newPages <= oldPages) return;
  const more = newPages - oldPages;
  if (!space.mayLock(areaFlags, more)) throw new SystemError("EAGAIN", "mremap", "RLIMIT_MEMLOCK");
  if (!space.mayExpand(areaFlags, more)) throw new SystemError("ENOMEM", "mremap", "RLIMIT_AS or RLIMIT_DATA");
}

/** Without a new address: nothing, a shorter tail, or growth (mremap_at). */
function resizeAt(space: AddressSpace, remap: Remap, id: AreaId): number {
  const { start, oldPages, newPages, flags } = remap;
  if (newPages < oldPages) cutTail(space, remap);
  if (newPages <= oldPages) return start;
  if (canGrowInPlace(space, id, start + oldPages, newPages - oldPages)) {
    return growInPlace(space, remap, id);
  }
  if ((flags & MREMAP_MAYMOVE) === 0) throw new SystemError("ENOMEM", "mremap", "no room to grow");
  remap.target = getUnmappedArea(space, 0, newPages, 0, "mremap", isPlacedAsAnonymous(space.vmas.files[id]));
  return moveArea(space, remap, id);
}

/** Unmaps what a shorter length leaves over (shrink_vma). @throws SystemError EINVAL: it reaches beyond the address space. */
function cutTail(space: AddressSpace, { start, oldPages, newPages }: Remap): void {
  munmap(space, (start + newPages) * PAGE_SIZE, (oldPages - newPages) * PAGE_SIZE, "mremap");
}

function canGrowInPlace(space: AddressSpace, id: AreaId, end: PageNumber, more: number): boolean {
  const { vmas } = space;
  if (vmas.endPage[id] !== end || end + more > TASK_SIZE_PAGES) return false;
  return vmas.findIntersection(end, end + more) === -1;
}

function growInPlace(space: AddressSpace, { start, oldPages, newPages }: Remap, id: AreaId): number {
  const { vmas, kernel } = space;
  const flags = vmas.flags[id];
  const more = newPages - oldPages;
  if ((flags & VM_ACCOUNT) !== 0 && !kernel.commit(more, space))
    throw new SystemError("ENOMEM", "mremap", "overcommit");
  const end = start + oldPages;
  // The new part is like a range of its own that joins this area, and perhaps the next one (vma_merge_extend).
  mergeNewRange(space, {
    start: end,
    end: end + more,
    flags,
    pageOffset: vmas.pageOffset[id] + (end - vmas.startPage[id]),
    anonymous: vmas.anonymous[id] === 1,
    file: vmas.files[id],
    cleanPage: vmas.cleanPages[id],
    anonVma: vmas.anonVma[id],
    copiedFrom: -1,
  });
  space.account(flags, more);
  if ((flags & VM_LOCKED) !== 0) space.lockedPages += more;
  return start;
}

/** MREMAP_FIXED without a change of length: every area of the range moves, holes and all (remap_move, since 6.17). */
function moveRange(space: AddressSpace, { start, oldPages, target, flags }: Remap): number {
  const { vmas } = space;
  const end = start + oldPages;
  let result = -1;
  let previousEnd = 0;
  let nextTarget = target;
  for (let page = start; page < end; ) {
    const id = vmas.findIntersection(page, end);
    if (id === -1) break;
    const from = Math.max(vmas.startPage[id], start);
    const areaEnd = vmas.endPage[id];
    if (result === -1 && from > start)
      throw new SystemError("EFAULT", "mremap", "nothing is mapped at the old address");
    // A userfaultfd gets an event for each move, so an area that has one cannot be part of a batch.
    const single = (vmas.flags[id] & VM_UFFD_MISSING) !== 0;
    if (single && (result !== -1 || areaEnd < end))
      throw new SystemError("EFAULT", "mremap", "an area with a userfaultfd");
    const pages = Math.min(end, areaEnd) - from;
    const offset = result === -1 ? 0 : vmas.startPage[id] - previousEnd;
    const remap: Remap = { start: from, oldPages: pages, newPages: pages, target: nextTarget + offset, flags };
    checkArea(space, remap, id);
    const moved = moveTo(space, remap);
    if (result === -1) result = moved;
    previousEnd = areaEnd;
    nextTarget = moved + pages;
    page = areaEnd;
  }
  if (result === -1) throw new SystemError("EFAULT", "mremap", "nothing is mapped at the old address");
  return result;
}

/** To a given or hinted address; a target of MREMAP_FIXED is unmapped first (mremap_to). */
function moveTo(space: AddressSpace, remap: Remap): number {
  const { flags } = remap;
  if ((flags & MREMAP_FIXED) !== 0) unmapRange(space, remap.target, remap.target + remap.newPages, "mremap");
  if (space.vmas.lookup(remap.start) === -1)
    throw new SystemError("EFAULT", "mremap", "nothing is mapped at the old address");
  if (remap.newPages < remap.oldPages) {
    cutTail(space, remap);
    remap.oldPages = remap.newPages;
  }
  const id = space.vmas.lookup(remap.start);
  if ((flags & MREMAP_DONTUNMAP) !== 0 && !space.mayExpand(space.vmas.flags[id], remap.oldPages)) {
    throw new SystemError("ENOMEM", "mremap", "RLIMIT_AS or RLIMIT_DATA");
  }
  const mapFlags = (flags & MREMAP_FIXED) !== 0 ? MAP_FIXED : 0;
  const isPrivateAnonymous = isPlacedAsAnonymous(space.vmas.files[id]);
  const hint = remap.target * PAGE_SIZE;
  remap.target = getUnmappedArea(space, hint, remap.newPages, mapFlags, "mremap", isPrivateAnonymous);
  return moveArea(space, remap, id);
}

/** Moves area `id`'s part of the range: a new area, its entries, and the old one's end (move_vma). */
function moveArea(space: AddressSpace, { start, oldPages, newPages, target, flags }: Remap, id: AreaId): number {
  const { vmas, kernel } = space;
  if (vmas.count >= kernel.maxMapCount - 3) throw new SystemError("ENOMEM", "mremap", "too many mappings");
  const areaFlags = vmas.flags[id];
  const keepsOld = (flags & MREMAP_DONTUNMAP) !== 0;
  const charge = (areaFlags & VM_ACCOUNT) === 0 ? 0 : keepsOld ? newPages : newPages - oldPages;
  if ((areaFlags & VM_ACCOUNT) !== 0 && !kernel.commit(charge, space))
    throw new SystemError("ENOMEM", "mremap", "overcommit");
  const moved = copyArea(space, id, start, target, newPages);
  // A userfaultfd that does not ask for events of remaps loses what moves (mremap_userfaultfd_prep).
  vmas.setFlags(moved, vmas.flags[moved] & ~VM_UFFD_MISSING);
  moveEntries(space, start, target, oldPages, moved);
  space.freshMarks?.moved(start, target, oldPages);
  space.account(areaFlags, newPages);
  if ((areaFlags & VM_LOCKED) !== 0) space.lockedPages += newPages;
  if (keepsOld) keepOldArea(space, start, oldPages, moved);
  else {
    // The pages were charged once and live on at the new place: unmapping the old one must not give them back.
    if ((areaFlags & VM_ACCOUNT) !== 0) kernel.committedPages += oldPages;
    unmapRange(space, start, start + oldPages, "mremap");
  }
  return target;
}

/** An area like `id` at `target`, joined with its neighbours there if they fit (copy_vma). */
function copyArea(space: AddressSpace, id: AreaId, start: PageNumber, target: PageNumber, pages: PageCount): AreaId {
  const { vmas } = space;
  const untouched = vmas.anonymous[id] === 1 && vmas.anonVma[id] === 0;
  // Memory that was never touched takes the offset of its new place, and so may join neighbours there.
  const pageOffset = untouched ? target : vmas.pageOffset[id] + (start - vmas.startPage[id]);
  const merged = mergeNewRange(space, {
    start: target,
    end: target + pages,
    flags: vmas.flags[id],
    pageOffset,
    anonymous: vmas.anonymous[id] === 1,
    file: vmas.files[id],
    cleanPage: vmas.cleanPages[id],
    anonVma: vmas.anonVma[id],
    copiedFrom: id,
  });
  if (merged !== -1) return merged;
  holdFile(space, vmas.files[id], vmas.anonymous[id] === 0);
  return vmas.duplicate(id, target, target + pages, pageOffset);
}

/**
 * Moves the entries of `pages` pages (move_page_tables). Blocks that are moved as a whole by a multiple of their size keep their
 * huge entry, and take their page table along; any other huge entry is split. Cost: touched blocks and pages.
 */
function moveEntries(
  space: AddressSpace,
  start: PageNumber,
  target: PageNumber,
  pages: PageCount,
  moved: number,
): void {
  const { pageTable } = space;
  // A length of 0 makes a second mapping of shared memory, and moves nothing.
  if (pages === 0) return;
  const end = start + pages;
  const isAligned = (target - start) % ENTRIES_PER_BLOCK === 0;
  const from = isAligned ? realigned(space, start, target, pages, moved) : start;
  for (let block = pageTable.nextUsedBlock(start, end); block < end; ) {
    const next = pageTable.blockEnd(block);
    if (isAligned && block >= from && next <= end) moveBlock(space, block, target + (block - start));
    else moveSmallEntries(space, Math.max(block, start), Math.min(next, end), target - start);
    block = pageTable.nextUsedBlock(next, end);
  }
}

/** Moves the entries of a range inside one block; where they go there is a page table from now on, if there was one here. */
function moveSmallEntries(space: AddressSpace, start: PageNumber, end: PageNumber, distance: number): void {
  const { pageTable } = space;
  if (pageTable.isHuge(start)) splitHuge(space, blockStart(start));
  pageTable.makeTable(start + distance);
  pageTable.makeTable(end - 1 + distance);
  for (let page = pageTable.next(start, end); page < end; page = pageTable.next(page + 1, end)) {
    const entry = pageTable.entries[page];
    pageTable.set(page, 0);
    pageTable.set(page + distance, entry);
  }
}

/**
 * From which page on whole blocks are moved: from before the start if nothing else lies in its block, at either place, and both
 * areas begin there (can_realign_addr).
 */
function realigned(
  space: AddressSpace,
  start: PageNumber,
  target: PageNumber,
  pages: PageCount,
  moved: number,
): number {
  const { vmas } = space;
  const before = start % ENTRIES_PER_BLOCK;
  if (before === 0 || pages < ENTRIES_PER_BLOCK - before) return start;
  const beginsHere = vmas.startPage[vmas.lookup(start)] === start && vmas.startPage[moved] === target;
  if (!beginsHere || vmas.findIntersection(start - before, start) !== -1) return start;
  return vmas.findIntersection(target - before, target) === -1 ? start - before : start;
}

/** MREMAP_DONTUNMAP: the old range stays as an area without pages, unlocked in its flags but not in the count. */
function keepOldArea(space: AddressSpace, start: PageNumber, pages: PageCount, moved: number): void {
  const { vmas } = space;
  const old = vmas.lookup(start);
  vmas.setFlags(old, vmas.flags[old] & ~VM_LOCKED_MASK);
  if (old !== moved && vmas.startPage[old] === start && vmas.endPage[old] === start + pages) vmas.setAnonVma(old, 0, 0);
}
