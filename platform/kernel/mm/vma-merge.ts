// Splitting and merging of areas by Linux's rules (mm/vma.c): which neighbours become one, and what happens to their anon_vmas.
// Only the table of areas changes here; page tables, accounting and locks are the callers'.
import type { AreaFlags, AreaId, PageNumber } from "../../hardware/integers.ts";
import type { AddressSpace } from "./address-space.ts";
import type { OpenFile } from "./file.ts";
import type { CleanPage } from "./frames.ts";
import { splitHugeAt } from "./huge-entries.ts";
import { VM_STICKY } from "./vm-flags.ts";

/** A range that looks for neighbours to join: the vma_merge_struct of Linux, reused to avoid an object a call. */
export interface MergeRange {
  start: PageNumber;
  end: PageNumber;
  flags: AreaFlags;
  pageOffset: number;
  anonymous: boolean;
  file: OpenFile | null;
  cleanPage: CleanPage;
  anonVma: number;
  /** The area that mremap copies to this range, whose anon_vma goes along (vmg->copied_from); −1 for all other calls. */
  copiedFrom: number;
}

function differ(space: AddressSpace, id: AreaId, range: MergeRange): boolean {
  const { vmas } = space;
  return (
    ((vmas.flags[id] ^ range.flags) & ~VM_STICKY) !== 0 ||
    vmas.files[id] !== range.file ||
    vmas.cleanPages[id] !== range.cleanPage ||
    (vmas.anonymous[id] === 1) !== range.anonymous
  );
}

/** Whether an area came by fork and so may share pages with its parent's: such a one does not lend its anon_vma. */
function isForkChild({ vmas }: AddressSpace, id: AreaId): boolean {
  return id !== -1 && vmas.anonVma[id] !== 0 && vmas.anonChain[id] > 1;
}

/**
 * Whether the range's anon_vma and a neighbour's can be one (is_mergeable_anon_vma). `middle` is the area that the range is
 * part of, −1 for a new range.
 */
function anonVmaFits(space: AddressSpace, target: AreaId, range: MergeRange, middle: number): boolean {
  const targetAnon = space.vmas.anonVma[target];
  if (targetAnon === 0 && range.anonVma !== 0)
    return !isForkChild(space, middle) && !isForkChild(space, range.copiedFrom);
  if (targetAnon !== 0 && range.anonVma === 0) return !isForkChild(space, target);
  return targetAnon === range.anonVma;
}

function fitsAfter(space: AddressSpace, previous: number, range: MergeRange, middle: number): boolean {
  const { vmas } = space;
  return (
    vmas.endPage[previous] === range.start &&
    !differ(space, previous, range) &&
    vmas.pageOffset[previous] + (vmas.endPage[previous] - vmas.startPage[previous]) === range.pageOffset &&
    anonVmaFits(space, previous, range, middle)
  );
}

function fitsBefore(space: AddressSpace, next: number, range: MergeRange, middle: number): boolean {
  const { vmas } = space;
  return (
    vmas.startPage[next] === range.end &&
    !differ(space, next, range) &&
    vmas.pageOffset[next] === range.pageOffset + (range.end - range.start) &&
    anonVmaFits(space, next, range, middle)
  );
}

function anonVmasCompatible(space: AddressSpace, a: number, b: number): boolean {
  const { anonVma } = space.vmas;
  return anonVma[a] === 0 || anonVma[b] === 0 || anonVma[a] === anonVma[b];
}

/** Gives `target` the anon_vma of `source` if it has none, since it takes over pages of it (dup_anon_vma). */
function duplicateAnonVma(space: AddressSpace, target: AreaId, source: AreaId): void {
  const { vmas } = space;
  if (source === -1) return;
  if (vmas.anonVma[source] !== 0 && vmas.anonVma[target] === 0)
    vmas.setAnonVma(target, vmas.anonVma[source], vmas.anonChain[source]);
}

/** Takes an area out of the table and gives its file back. */
function removeArea(space: AddressSpace, id: AreaId): void {
  const index = space.vmas.indexOf(id);
  removeAreas(space, index, index + 1);
}

/** Takes the areas at positions [first, end) out of the table and gives their files back. */
export function removeAreas(space: AddressSpace, first: number, end: PageNumber): void {
  const { vmas } = space;
  for (let index = first; index < end; index++) {
    const id = vmas.at(index);
    const file = vmas.files[id];
    if (file === null) continue;
    if (vmas.anonymous[id] === 0) file.inode?.removeMapper(space);
    file.put();
  }
  vmas.removeBetween(first, end);
}

/** Counts one more area that holds `file`. */
export function holdFile(space: AddressSpace, file: OpenFile | null, mapsPages: boolean): void {
  if (file === null) return;
  file.get();
  if (mapsPages) file.inode?.addMapper(space);
}

/**
 * Joins a range where nothing is mapped with its neighbours (vma_merge_new_range).
 * @returns the area that now covers it, or −1 if it needs one of its own.
 */
export function mergeNewRange(space: AddressSpace, range: MergeRange): AreaId {
  const { vmas } = space;
  const index = vmas.findIndex(range.start);
  const previous = vmas.at(index - 1);
  const next = vmas.at(index);
  const left = previous !== -1 && fitsAfter(space, previous, range, -1);
  const right =
    next !== -1 && fitsBefore(space, next, range, -1) && (!left || anonVmasCompatible(space, previous, next));
  const sticky = range.flags & VM_STICKY;
  if (left && right) {
    duplicateAnonVma(space, previous, next);
    duplicateAnonVma(space, previous, range.copiedFrom);
    vmas.setFlags(previous, vmas.flags[previous] | (sticky | (vmas.flags[next] & VM_STICKY)));
    const end = vmas.endPage[next];
    removeArea(space, next);
    vmas.setRange(previous, vmas.startPage[previous], end, vmas.pageOffset[previous]);
    return previous;
  }
  if (left) {
    duplicateAnonVma(space, previous, range.copiedFrom);
    vmas.setFlags(previous, vmas.flags[previous] | sticky);
    vmas.setRange(previous, vmas.startPage[previous], range.end, vmas.pageOffset[previous]);
    return previous;
  }
  if (right) {
    duplicateAnonVma(space, next, range.copiedFrom);
    vmas.setFlags(next, vmas.flags[next] | sticky);
    vmas.setRange(next, range.start, vmas.endPage[next], range.pageOffset);
    return next;
  }
  return -1;
}

/** As cutArea. @throws SystemError ENOMEM: one more area would pass max_map_count (split_vma). */
function splitArea(space: AddressSpace, id: AreaId, page: PageNumber, syscall: string): AreaId {
  space.requireRoomForArea(syscall);
  return cutArea(space, id, page);
}

/** Cuts an area in two at `page`; both parts keep file and anon_vma (__split_vma). @returns the new, upper part. */
export function cutArea(space: AddressSpace, id: AreaId, page: PageNumber): AreaId {
  const { vmas } = space;
  const { startPage, endPage } = vmas;
  const start = startPage[id];
  const end = endPage[id];
  const offset = vmas.pageOffset[id];
  splitHugeAt(space, page);
  holdFile(space, vmas.files[id], vmas.anonymous[id] === 0);
  vmas.setRange(id, start, page, offset);
  return vmas.duplicate(id, page, end, offset + (page - start));
}

/**
 * Gives [start, end) inside area `id` new flags: joins it with neighbours that have them already, else splits it off
 * (vma_modify). @returns the area that covers the range afterwards, its flags not yet set.
 * @throws SystemError ENOMEM: a split would pass max_map_count; the one before it stays.
 */
export function modifyFlags(
  space: AddressSpace,
  id: AreaId,
  start: PageNumber,
  end: PageNumber,
  flags: AreaFlags,
  syscall: string,
): AreaId {
  const { vmas } = space;
  const merged = mergeExistingRange(space, id, start, end, flags);
  if (merged !== -1) return merged;
  // As on Linux, the first split stays if there is no room for the second.
  let area = id;
  if (start > vmas.startPage[area]) area = splitArea(space, area, start, syscall);
  if (end < vmas.endPage[area]) splitArea(space, area, end, syscall);
  return area;
}

/** Joins part of an area, which is to get `flags`, with its neighbours (vma_merge_existing_range); −1 if none fits. */
function mergeExistingRange(
  space: AddressSpace,
  middle: number,
  start: PageNumber,
  end: PageNumber,
  flags: AreaFlags,
): AreaId {
  const { vmas } = space;
  const leftSide = start === vmas.startPage[middle];
  const rightSide = end === vmas.endPage[middle];
  if (!leftSide && !rightSide) return -1;
  const range: MergeRange = {
    start,
    end,
    flags,
    pageOffset: vmas.pageOffset[middle] + (start - vmas.startPage[middle]),
    anonymous: vmas.anonymous[middle] === 1,
    file: vmas.files[middle],
    cleanPage: vmas.cleanPages[middle],
    anonVma: vmas.anonVma[middle],
    copiedFrom: -1,
  };
  const previous = leftSide ? vmas.previous(middle) : -1;
  const next = rightSide ? vmas.next(middle) : -1;
  const left = previous !== -1 && fitsAfter(space, previous, range, middle);
  const right =
    next !== -1 && fitsBefore(space, next, range, middle) && (!left || anonVmasCompatible(space, previous, next));
  if (!left && !right) return -1;
  const sticky = (flags | vmas.flags[middle]) & VM_STICKY;
  if (left) {
    vmas.setFlags(previous, vmas.flags[previous] | sticky);
    duplicateAnonVma(space, previous, right && vmas.anonVma[next] !== 0 ? next : middle);
    let newEnd = end;
    if (right) {
      newEnd = vmas.endPage[next];
      vmas.setFlags(previous, vmas.flags[previous] | (vmas.flags[next] & VM_STICKY));
      removeArea(space, next);
    }
    if (!rightSide) splitHugeAt(space, end);
    shrinkOrRemove(space, middle, end, vmas.endPage[middle]);
    vmas.setRange(previous, vmas.startPage[previous], newEnd, vmas.pageOffset[previous]);
    return previous;
  }
  vmas.setFlags(next, vmas.flags[next] | sticky);
  duplicateAnonVma(space, next, middle);
  if (!leftSide) splitHugeAt(space, start);
  shrinkOrRemove(space, middle, vmas.startPage[middle], start);
  vmas.setRange(next, start, vmas.endPage[next], range.pageOffset);
  return next;
}

/** Leaves `id` only [start, end), or nothing. */
function shrinkOrRemove(space: AddressSpace, id: AreaId, start: PageNumber, end: PageNumber): void {
  const { vmas } = space;
  if (start >= end) removeArea(space, id);
  else vmas.setRange(id, start, end, vmas.pageOffset[id] + (start - vmas.startPage[id]));
}

/** Gives an area that is about to get its first private page an anon_vma, a neighbour's if that fits (anon_vma_prepare). */
export function prepareAnonVma(space: AddressSpace, id: AreaId): void {
  const { vmas } = space;
  if (vmas.anonVma[id] !== 0) return;
  const index = vmas.indexOf(id);
  const next = vmas.at(index + 1);
  const previous = vmas.at(index - 1);
  let anonVma = 0;
  if (next !== -1) anonVma = reusableAnonVma(space, next, id, next);
  if (anonVma === 0 && previous !== -1) anonVma = reusableAnonVma(space, previous, previous, id);
  vmas.setAnonVma(id, anonVma !== 0 ? anonVma : space.kernel.nextAnonVma(), 1);
}

/** The anon_vma of `old` if areas a and b (a before b) could be one but for their permissions (reusable_anon_vma). */
function reusableAnonVma(space: AddressSpace, old: number, a: number, b: number): number {
  const { vmas } = space;
  const compatible =
    vmas.endPage[a] === vmas.startPage[b] &&
    vmas.files[a] === vmas.files[b] &&
    vmas.cleanPages[a] === vmas.cleanPages[b] &&
    ((vmas.flags[a] ^ vmas.flags[b]) & ~(0x7 | VM_STICKY)) === 0 &&
    vmas.pageOffset[b] === vmas.pageOffset[a] + (vmas.startPage[b] - vmas.startPage[a]);
  return compatible && vmas.anonChain[old] === 1 ? vmas.anonVma[old] : 0;
}
