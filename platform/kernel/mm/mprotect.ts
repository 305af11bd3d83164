// mprotect(2): new protections for areas and for the entries that are there (mm/mprotect.c).
// Splitting and merging is vma-merge.ts.
import type { Address, AreaId, ByteCount, PageNumber } from "../../hardware/integers.ts";
import {
  PAGE_SIZE,
  PTE_CHECKED,
  PTE_DBM,
  PTE_MTE,
  PTE_NOT_DIRTY,
  PTE_PRESENT,
  PTE_READ,
  PTE_SPECIAL,
  PTE_WRITE,
} from "../../hardware/layout.ts";
import { SystemError } from "../abi/errors.ts";
import { PROT_EXEC, PROT_GROWSDOWN, PROT_GROWSUP, PROT_MTE, PROT_READ, PROT_SEM, PROT_WRITE } from "../abi/mman.ts";
import { type AddressSpace, type FaultAccount, TASK_SIZE_PAGES } from "./address-space.ts";
import { protectionFlags } from "./mmap.ts";
import { populateArea } from "./populate.ts";
import { canBecomeWritable, permissionBits, undirtiedEntry } from "./pte.ts";
import { pagesOf } from "./unmapped-area.ts";
import {
  VM_ACCESS_FLAGS,
  VM_ACCOUNT,
  VM_GROWSDOWN,
  VM_LOCKED,
  VM_MTE,
  VM_MTE_ALLOWED,
  VM_NORESERVE,
  VM_SHARED,
  VM_WRITE,
} from "./vm-flags.ts";
import { modifyFlags } from "./vma-merge.ts";

const KNOWN_PROTECTION = PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM;

/**
 * mprotect(2). What lies before a hole or a refusal is changed, as on Linux.
 * @throws SystemError EINVAL: unaligned, unknown bits, both GROWS flags, PROT_MTE where there are no tags. EACCES: more than
 * the file was opened for. ENOMEM: a hole, a wrapped length, or a limit.
 */
export function mprotect(
  space: AddressSpace,
  charged: FaultAccount,
  address: Address,
  length: ByteCount,
  prot: number,
): void {
  const grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
  const wanted = prot & ~(PROT_GROWSDOWN | PROT_GROWSUP);
  if (grows === (PROT_GROWSDOWN | PROT_GROWSUP)) throw new SystemError("EINVAL", "mprotect", "grows both ways");
  if (address % PAGE_SIZE !== 0) throw new SystemError("EINVAL", "mprotect", "unaligned address");
  if (length === 0) return;
  const pages = pagesOf(length);
  let start = address / PAGE_SIZE;
  let end = start + pages;
  if (pages === 0 || end * PAGE_SIZE >= 2 ** 64) throw new SystemError("ENOMEM", "mprotect", `length ${length}`);
  const known = space.kernel.machine.mte ? KNOWN_PROTECTION | PROT_MTE : KNOWN_PROTECTION;
  if ((wanted & ~known) !== 0) throw new SystemError("EINVAL", "mprotect", `protection ${prot}`);
  end = Math.min(end, TASK_SIZE_PAGES + 1);
  const { vmas } = space;
  let id = vmas.findIntersection(start, end);
  if (id === -1) throw new SystemError("ENOMEM", "mprotect", "nothing is mapped there");
  if ((grows & PROT_GROWSDOWN) !== 0) {
    if ((vmas.flags[id] & VM_GROWSDOWN) === 0)
      throw new SystemError("EINVAL", "mprotect", "the area does not grow down");
    start = vmas.startPage[id];
  } else {
    if (vmas.startPage[id] > start) throw new SystemError("ENOMEM", "mprotect", "nothing is mapped at the start");
    if ((grows & PROT_GROWSUP) !== 0) throw new SystemError("EINVAL", "mprotect", "the area does not grow up");
  }
  const newAccess = protectionFlags(space, wanted);
  while (start < end) {
    id = vmas.lookup(start);
    if (id === -1) throw new SystemError("ENOMEM", "mprotect", "a hole in the range");
    const stop = Math.min(end, vmas.endPage[id]);
    // PROT_MTE is never taken away (memory-tagging-extension.rst), so the old bit stays.
    const flags = newAccess | (vmas.flags[id] & ~VM_ACCESS_FLAGS);
    if ((flags & ~(flags >> 4) & VM_ACCESS_FLAGS) !== 0) throw new SystemError("EACCES", "mprotect");
    if ((flags & VM_MTE) !== 0 && (flags & VM_MTE_ALLOWED) === 0)
      throw new SystemError("EINVAL", "mprotect", "PROT_MTE on a file");
    protectArea(space, charged, id, start, stop, flags);
    start = stop;
  }
}

/** Changes one area or part of it (mprotect_fixup). */
function protectArea(
  space: AddressSpace,
  charged: FaultAccount,
  id: AreaId,
  start: PageNumber,
  end: PageNumber,
  newFlags: number,
): void {
  const { vmas, kernel } = space;
  const oldFlags = vmas.flags[id];
  let flags = newFlags;
  if (flags === oldFlags) return;
  const pages = end - start;
  let charge = 0;
  if ((flags & VM_WRITE) !== 0) {
    if (!space.mayExpand(flags, pages) && space.mayExpand(oldFlags, pages))
      throw new SystemError("ENOMEM", "mprotect", "RLIMIT_DATA");
    if ((oldFlags & (VM_ACCOUNT | VM_WRITE | VM_SHARED | VM_NORESERVE)) === 0) {
      charge = pages;
      if (!kernel.commit(charge, space)) throw new SystemError("ENOMEM", "mprotect", "overcommit");
      flags |= VM_ACCOUNT;
    }
  } else if ((oldFlags & VM_ACCOUNT) !== 0 && vmas.anonymous[id] === 1 && vmas.anonVma[id] === 0) {
    flags &= ~VM_ACCOUNT;
  }
  let area: number;
  try {
    area = modifyFlags(space, id, start, end, flags, "mprotect");
  } catch (error) {
    kernel.uncommit(charge);
    throw error;
  }
  vmas.setFlags(area, flags | (vmas.flags[area] & ~(VM_ACCESS_FLAGS | VM_ACCOUNT)));
  changeEntries(space, area, start, end);
  if ((oldFlags & VM_ACCOUNT) !== 0 && (flags & VM_ACCOUNT) === 0) kernel.uncommit(pages);
  // A private locked area that becomes writable has its pages copied now rather than at the first store.
  if ((oldFlags & (VM_WRITE | VM_SHARED | VM_LOCKED)) === VM_LOCKED && (flags & VM_WRITE) !== 0) {
    populateArea(space, charged, area, start, end);
  }
  space.account(oldFlags, -pages);
  space.account(flags, pages);
}

/** Brings the entries of [start, end) in line with their area's flags (change_protection). Cost: touched pages. */
function changeEntries(space: AddressSpace, id: AreaId, start: PageNumber, end: PageNumber): void {
  const { pageTable } = space;
  const flags = space.vmas.flags[id];
  for (let page = pageTable.next(start, end); page < end; page = pageTable.next(page + 1, end)) {
    const entry = pageTable.entryOf(page);
    if ((entry & PTE_PRESENT) === 0) continue;
    const keepsWrite = (entry & (PTE_WRITE | PTE_DBM)) !== 0 && (flags & VM_WRITE) !== 0;
    const writable = keepsWrite || ((entry & PTE_SPECIAL) === 0 && canBecomeWritable(space, entry, flags));
    let changed = (entry & ~(PTE_READ | PTE_WRITE | PTE_DBM)) | permissionBits(flags, writable);
    if ((changed & PTE_NOT_DIRTY) !== 0) changed = undirtiedEntry(changed);
    if ((flags & VM_MTE) !== 0) changed |= PTE_MTE | PTE_CHECKED;
    if (pageTable.isHuge(page)) {
      // The area's borders do not cut a huge entry, so that all of it is in the range (change_huge_pmd).
      pageTable.setHuge(page, changed);
      page = pageTable.blockEnd(page) - 1;
    } else pageTable.entries[page] = changed;
  }
  space.homes?.changed(start, end);
}
