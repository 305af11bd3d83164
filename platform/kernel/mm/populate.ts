// Faulting pages in on the kernel's behalf: MAP_POPULATE, mlock, MADV_POPULATE and get_user_pages (mm/gup.c).
// What a fault does is fault.ts; who may ask for it, and what a failure becomes, is the caller's.
import type { AreaId, PageNumber, PageTableEntry } from "../../hardware/integers.ts";
import {
  ACCESS_LOAD,
  ACCESS_STORE,
  PTE_DBM,
  PTE_FRAME_SHIFT,
  PTE_GUARD,
  PTE_NOT_DIRTY,
  PTE_PRESENT,
  PTE_READ,
  PTE_WRITE,
} from "../../hardware/layout.ts";
import type { ErrnoCode } from "../abi/errors.ts";
import type { AddressSpace, FaultAccount } from "./address-space.ts";
import { FAULT_DONE, FAULT_OUT_OF_MEMORY, type FaultResult, faultIn } from "./fault.ts";
import { VM_ACCESS_FLAGS, VM_LOCKONFAULT, VM_SHARED, VM_WRITE } from "./vm-flags.ts";

/** Makes one page of an area present for `access`, under any protection. */
export function ensurePage(
  space: AddressSpace,
  charged: FaultAccount,
  id: AreaId,
  page: PageNumber,
  access: number,
): FaultResult {
  const entry = space.pageTable.entryOf(page);
  if ((entry & PTE_PRESENT) !== 0 && (access === ACCESS_LOAD || (entry & (PTE_WRITE | PTE_DBM)) !== 0)) {
    if (access === ACCESS_STORE) touchForStore(space, entry);
    return FAULT_DONE;
  }
  return faultIn(space, charged, id, page, access);
}

/** Looking a clean page up for a store makes its frame dirty rather than its entry (follow_page_pte with FOLL_WRITE). */
function touchForStore(space: AddressSpace, entry: PageTableEntry): void {
  if ((entry & PTE_NOT_DIRTY) !== 0) space.kernel.frames.markDirty(entry >>> PTE_FRAME_SHIFT);
}

/** The errno of a fault that could not be resolved for the kernel. */
export function errnoOfFault(result: FaultResult): ErrnoCode {
  return result === FAULT_OUT_OF_MEMORY ? "ENOMEM" : "EFAULT";
}

/**
 * Faults in [start, end) of one area: writable private pages by a store, so that they are copied now, others by a load
 * (populate_vma_page_range), and drains the batch of pages. @returns null, or the errno of the page that failed.
 */
export function populateArea(
  space: AddressSpace,
  charged: FaultAccount,
  id: AreaId,
  start: PageNumber,
  end: PageNumber,
): ErrnoCode | null {
  const flags = space.vmas.flags[id];
  if ((flags & VM_LOCKONFAULT) !== 0) return null;
  const errno = (flags & VM_ACCESS_FLAGS) === 0 ? "EFAULT" : populatePages(space, charged, id, start, end);
  space.kernel.frames.drainBatches();
  return errno;
}

function populatePages(
  space: AddressSpace,
  charged: FaultAccount,
  id: AreaId,
  start: PageNumber,
  end: PageNumber,
): ErrnoCode | null {
  const flags = space.vmas.flags[id];
  const access = (flags & (VM_WRITE | VM_SHARED)) === VM_WRITE ? ACCESS_STORE : ACCESS_LOAD;
  for (let page = start; page < end; page++) {
    const result = ensurePage(space, charged, id, page, access);
    if (result !== FAULT_DONE) return errnoOfFault(result);
  }
  return null;
}

/** What to do with an area that cannot be populated: go on with the next (mmap), or stop (mlock). */
export interface PopulateOptions {
  readonly errors: "ignore" | "stop";
}

/** Populates every area in [start, end) (__mm_populate). @returns null, or the errno at which it stopped. */
export function populateRange(
  space: AddressSpace,
  charged: FaultAccount,
  start: PageNumber,
  end: PageNumber,
  { errors }: PopulateOptions,
): ErrnoCode | null {
  const { vmas } = space;
  for (let page = start; page < end; ) {
    const id = vmas.findIntersection(page, end);
    if (id === -1) break;
    const stop = Math.min(end, vmas.endPage[id]);
    const errno = populateArea(space, charged, id, Math.max(page, vmas.startPage[id]), stop);
    if (errno !== null && errors === "stop") return errno;
    page = stop;
  }
  return null;
}

/** Whether `access` takes no fault: as isAccessible, or the processor by itself makes the page dirty. */
export function takesNoFault(entry: PageTableEntry, access: number): boolean {
  return isAccessible(entry, access) || (access === ACCESS_STORE && (entry & PTE_DBM) !== 0);
}

/** Whether a page can be used for `access` as it is: present, permitted, no guard. */
export function isAccessible(entry: PageTableEntry, access: number): boolean {
  return (entry & PTE_GUARD) === 0 && (entry & (access === ACCESS_STORE ? PTE_WRITE : PTE_READ)) !== 0;
}
