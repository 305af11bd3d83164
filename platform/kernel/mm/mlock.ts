// mlock(2) and its relatives: areas that must stay resident, their count against RLIMIT_MEMLOCK, and population (mm/mlock.c).
import type { Address, AreaId, ByteCount, PageNumber } from "../../hardware/integers.ts";
import { PAGE_SIZE } from "../../hardware/layout.ts";
import { SystemError } from "../abi/errors.ts";
import { MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT, MLOCK_ONFAULT } from "../abi/mman.ts";
import { RLIMIT_MEMLOCK } from "../abi/rlimit.ts";
import { type AddressSpace, type FaultAccount, TASK_SIZE_PAGES } from "./address-space.ts";
import { populateRange } from "./populate.ts";
import { VM_DROPPABLE, VM_LOCKED, VM_LOCKED_MASK, VM_LOCKONFAULT } from "./vm-flags.ts";
import { modifyFlags } from "./vma-merge.ts";

/** [start, end) in pages of a byte range that need not be aligned; a range that wraps has its end before its start. */
function pageRange(address: Address, length: ByteCount): { start: PageNumber; end: PageNumber } {
  const start = Math.floor(address / PAGE_SIZE);
  // Whole pages apart from the rest: the sum of both may not fit a double exactly. Nor does the length −1, which has become 2^64.
  const isLargest = length === 2 ** 64;
  const wholePages = isLargest ? 2 ** 52 - 1 : Math.floor(length / PAGE_SIZE);
  const rest = (isLargest ? PAGE_SIZE - 1 : length % PAGE_SIZE) + (address % PAGE_SIZE);
  const pages = (wholePages + Math.ceil(rest / PAGE_SIZE)) % 2 ** 52;
  return { start, end: start + pages };
}

/**
 * mlock(2), mlock2(2). @throws SystemError EPERM: RLIMIT_MEMLOCK is 0. ENOMEM: a hole (what lies before it is locked), the
 * limit, or a page that cannot be faulted in (the areas are locked). EAGAIN: no frame. EINVAL: unknown flags, a range that wraps.
 */
export function mlock(
  space: AddressSpace,
  charged: FaultAccount,
  address: Address,
  length: ByteCount,
  flags: number,
  syscall: string,
): void {
  if ((flags & ~MLOCK_ONFAULT) !== 0) throw new SystemError("EINVAL", syscall, `flags ${flags}`);
  if (!space.canLock) throw new SystemError("EPERM", syscall, "RLIMIT_MEMLOCK is 0");
  const { start, end } = pageRange(address, length);
  const limit = Math.floor(space.limits.soft(RLIMIT_MEMLOCK) / PAGE_SIZE);
  let wanted = end - start + space.lockedPages;
  if (wanted > limit) wanted -= countLocked(space, start, end);
  if (wanted > limit && !space.kernel.capabilities.ipcLock) throw new SystemError("ENOMEM", syscall, "RLIMIT_MEMLOCK");
  lockAreas(space, start, end, VM_LOCKED | (flags & MLOCK_ONFAULT ? VM_LOCKONFAULT : 0), syscall);
  const errno = populateRange(space, charged, start, end, { errors: "stop" });
  if (errno !== null)
    throw new SystemError(errno === "ENOMEM" ? "EAGAIN" : "ENOMEM", syscall, "not all pages could be had");
}

/** munlock(2). @throws SystemError ENOMEM: a hole; what lies before it is unlocked. */
export function munlock(space: AddressSpace, address: Address, length: ByteCount): void {
  const { start, end } = pageRange(address, length);
  lockAreas(space, start, end, 0, "munlock");
}

/** mlockall(2). @throws SystemError EINVAL: flags; EPERM and ENOMEM: RLIMIT_MEMLOCK. */
export function mlockall(space: AddressSpace, charged: FaultAccount, flags: number): 0 {
  if (flags === 0 || (flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) !== 0 || flags === MCL_ONFAULT) {
    throw new SystemError("EINVAL", "mlockall", `flags ${flags}`);
  }
  if (!space.canLock) throw new SystemError("EPERM", "mlockall", "RLIMIT_MEMLOCK is 0");
  const limit = Math.floor(space.limits.soft(RLIMIT_MEMLOCK) / PAGE_SIZE);
  if ((flags & MCL_CURRENT) !== 0 && space.totalPages > limit && !space.kernel.capabilities.ipcLock) {
    throw new SystemError("ENOMEM", "mlockall", "RLIMIT_MEMLOCK");
  }
  const locked = VM_LOCKED | ((flags & MCL_ONFAULT) !== 0 ? VM_LOCKONFAULT : 0);
  space.defaultFlags = (flags & MCL_FUTURE) !== 0 ? locked : 0;
  if ((flags & MCL_CURRENT) === 0) return 0;
  relockAll(space, locked);
  populateRange(space, charged, 0, TASK_SIZE_PAGES, { errors: "ignore" });
  return 0;
}

/** munlockall(2). */
export function munlockall(space: AddressSpace): 0 {
  space.defaultFlags = 0;
  relockAll(space, 0);
  return 0;
}

function relockAll(space: AddressSpace, locked: number): void {
  const { vmas } = space;
  for (let id = vmas.find(0); id !== -1; ) {
    const end = vmas.endPage[id];
    lockArea(space, id, vmas.startPage[id], end, locked, "mlockall");
    id = vmas.find(end);
  }
}

/** Gives every area of [start, end) the lock flags (apply_vma_lock_flags). */
function lockAreas(space: AddressSpace, start: PageNumber, end: PageNumber, locked: number, syscall: string): void {
  if (end * PAGE_SIZE >= 2 ** 64) throw new SystemError("EINVAL", syscall, "the range wraps");
  for (let page = start; page < end; ) {
    const id = space.vmas.lookup(page);
    if (id === -1) throw new SystemError("ENOMEM", syscall, "a hole in the range");
    const stop = Math.min(end, space.vmas.endPage[id]);
    lockArea(space, id, page, stop, locked, syscall);
    page = stop;
  }
}

/** One area or part of it (mlock_fixup). */
function lockArea(
  space: AddressSpace,
  id: AreaId,
  start: PageNumber,
  end: PageNumber,
  locked: number,
  syscall: string,
): void {
  const { vmas } = space;
  const oldFlags = vmas.flags[id];
  const flags = (oldFlags & ~VM_LOCKED_MASK) | locked;
  // Droppable memory is passed over: it can't be locked.
  if (flags === oldFlags || (oldFlags & VM_DROPPABLE) !== 0) return;
  const area = modifyFlags(space, id, start, end, flags, syscall);
  vmas.setFlags(area, flags | (vmas.flags[area] & ~VM_LOCKED_MASK));
  const wasLocked = (oldFlags & VM_LOCKED) !== 0;
  if (wasLocked !== (locked !== 0)) space.kernel.frames.drainBatches();
  if (locked === 0) space.lockedPages -= wasLocked ? end - start : 0;
  else if (!wasLocked) space.lockedPages += end - start;
}

/** Pages of [start, end) that are locked already (count_mm_mlocked_page_nr). */
function countLocked(space: AddressSpace, start: PageNumber, end: PageNumber): number {
  const { vmas } = space;
  let pages = 0;
  for (let id = vmas.findIntersection(start, end); id !== -1 && vmas.startPage[id] < end; id = vmas.next(id)) {
    if ((vmas.flags[id] & VM_LOCKED) === 0) continue;
    pages += Math.min(end, vmas.endPage[id]) - Math.max(start, vmas.startPage[id]);
  }
  return pages;
}
