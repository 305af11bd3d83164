// mincore(2) and msync(2): what is resident, and the flush that memory without a disk does not need.
import type { Address, ByteCount } from "../../hardware/integers.ts";
import { PAGE_SIZE, PTE_PRESENT } from "../../hardware/layout.ts";
import { SystemError } from "../abi/errors.ts";
import { MS_ASYNC, MS_INVALIDATE, MS_SYNC } from "../abi/mman.ts";
import { type AddressSpace, TASK_SIZE_PAGES } from "./address-space.ts";
import { pagesOf } from "./unmapped-area.ts";
import { VM_LOCKED } from "./vm-flags.ts";

/**
 * mincore(2): one byte a page, 1 = resident. @throws SystemError EINVAL: unaligned. ENOMEM: a hole, or beyond the address space.
 */
export function mincore(space: AddressSpace, address: Address, length: ByteCount): Uint8Array {
  if (address % PAGE_SIZE !== 0) throw new SystemError("EINVAL", "mincore", "unaligned address");
  const start = address / PAGE_SIZE;
  const pages = Math.ceil(length / PAGE_SIZE);
  if (start + pages > TASK_SIZE_PAGES) throw new SystemError("ENOMEM", "mincore", "beyond the address space");
  const vector = new Uint8Array(pages);
  const { vmas, pageTable } = space;
  for (let page = start; page < start + pages; ) {
    const id = vmas.lookup(page);
    if (id === -1) throw new SystemError("ENOMEM", "mincore", "a hole in the range");
    const stop = Math.min(start + pages, vmas.endPage[id]);
    const inode = vmas.anonymous[id] === 1 ? null : vmas.files[id]?.inode;
    for (; page < stop; page++) {
      const index = vmas.pageOffset[id] + (page - vmas.startPage[id]);
      const cached = inode?.pages.has(index) === true;
      vector[page - start] = (pageTable.entryOf(page) & PTE_PRESENT) !== 0 || cached ? 1 : 0;
    }
  }
  return vector;
}

/**
 * msync(2). @throws SystemError EINVAL: unaligned, unknown flags, or both ASYNC and SYNC. ENOMEM: a hole. EBUSY: MS_INVALIDATE of
 * locked memory.
 */
export function msync(space: AddressSpace, address: Address, length: ByteCount, flags: number): void {
  if ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) !== 0) throw new SystemError("EINVAL", "msync", `flags ${flags}`);
  if (address % PAGE_SIZE !== 0) throw new SystemError("EINVAL", "msync", "unaligned address");
  if ((flags & MS_ASYNC) !== 0 && (flags & MS_SYNC) !== 0)
    throw new SystemError("EINVAL", "msync", "MS_ASYNC and MS_SYNC");
  const start = address / PAGE_SIZE;
  const end = start + pagesOf(length);
  if (end * PAGE_SIZE >= 2 ** 64) throw new SystemError("ENOMEM", "msync", "the range wraps");
  let hole = false;
  for (let page = start; page < end; ) {
    const id = space.vmas.find(page);
    if (id === -1) throw new SystemError("ENOMEM", "msync", "a hole in the range");
    if (space.vmas.startPage[id] > page) {
      if (flags === MS_ASYNC) throw new SystemError("ENOMEM", "msync", "a hole in the range");
      page = space.vmas.startPage[id];
      if (page >= end) throw new SystemError("ENOMEM", "msync", "a hole in the range");
      hole = true;
    }
    if ((flags & MS_INVALIDATE) !== 0 && (space.vmas.flags[id] & VM_LOCKED) !== 0)
      throw new SystemError("EBUSY", "msync");
    page = space.vmas.endPage[id];
  }
  if (hole) throw new SystemError("ENOMEM", "msync", "a hole in the range");
}
