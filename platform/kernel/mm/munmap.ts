// Unmapping: cutting a range out of the areas and the page table (do_vmi_munmap).
// The entries themselves are taken away by zap.ts.

import type { Address, ByteCount, PageNumber } from "../../hardware/integers.ts";
import { PAGE_SIZE } from "../../hardware/layout.ts";
import { PAGES_PER_UPPER_TABLE } from "../../hardware/page-table.ts";
import { SystemError } from "../abi/errors.ts";
import type { AddressSpace } from "./address-space.ts";
import { ARCHITECTURE_TASK_SIZE_PAGES, TASK_SIZE_PAGES } from "./address-space.ts";
import { blockStart } from "./huge-entries.ts";
import { noteGap, pagesOf } from "./unmapped-area.ts";
import { VM_ACCOUNT, VM_LOCKED } from "./vm-flags.ts";
import { cutArea, removeAreas } from "./vma-merge.ts";
import { zapPages } from "./zap.ts";

/**
 * munmap(2) without its system-call shell.
 * @throws SystemError EINVAL: unaligned, empty, or beyond the address space. ENOMEM: a split would pass max_map_count.
 */
export function munmap(space: AddressSpace, address: Address, length: ByteCount, syscall: string): void {
  const pages = pagesOf(length);
  if (address % PAGE_SIZE !== 0) throw new SystemError("EINVAL", syscall, "unaligned address");
  const start = address / PAGE_SIZE;
  if (pages === 0 || start > ARCHITECTURE_TASK_SIZE_PAGES || pages > ARCHITECTURE_TASK_SIZE_PAGES - start) {
    throw new SystemError("EINVAL", syscall, `length ${length}`);
  }
  unmapRange(space, start, Math.min(start + pages, TASK_SIZE_PAGES), syscall);
}

/**
 * Cuts the areas at both ends of a range that is to be unmapped, so that whole areas lie in it (vms_gather_munmap_vmas).
 * @returns the first of them, or −1. @throws SystemError ENOMEM: a hole in one area would pass max_map_count; nothing is cut
 * then. Cuts elsewhere may pass it: what they cut off goes immediately.
 */
export function splitAtBorders(space: AddressSpace, start: PageNumber, end: PageNumber, syscall: string): number {
  const { vmas } = space;
  let first = start < end ? vmas.findIntersection(start, end) : -1;
  if (first === -1) return -1;
  if (start > vmas.startPage[first]) {
    if (end < vmas.endPage[first]) space.requireRoomForArea(syscall);
    first = cutArea(space, first, start);
  }
  const last = vmas.lookup(end);
  if (last !== -1 && vmas.startPage[last] < end) cutArea(space, last, end);
  return first;
}

/** Removes what lies in [start, end), pages; holes are no error. Cost: touched pages + areas in the range. */
export function unmapRange(space: AddressSpace, start: PageNumber, end: PageNumber, syscall: string): void {
  const { vmas } = space;
  let id = splitAtBorders(space, start, end, syscall);
  if (id === -1) return;
  const first = vmas.indexOf(id);
  let index = first;
  for (; index < vmas.count; index++) {
    id = vmas.at(index);
    if (vmas.startPage[id] >= end) break;
    const pages = vmas.endPage[id] - vmas.startPage[id];
    const flags = vmas.flags[id];
    zapPages(space, vmas.startPage[id], vmas.endPage[id], flags);
    space.account(flags, -pages);
    if ((flags & VM_LOCKED) !== 0) space.lockedPages -= pages;
    if ((flags & VM_ACCOUNT) !== 0) space.kernel.uncommit(pages);
  }
  removeAreas(space, first, index);
  space.freshMarks?.unmapped(start, end);
  freeTablesBetween(space, first, start, end);
  noteGap(space, end);
}

/** Frees the page tables of blocks in which no area is left (free_pgtables). `index`: of the first area behind the range. */
function freeTablesBetween(space: AddressSpace, index: number, start: PageNumber, end: PageNumber): void {
  const { vmas, pageTable } = space;
  const before = vmas.at(index - 1);
  const behind = vmas.at(index);
  const floor = before === -1 ? 0 : vmas.endPage[before];
  const ceiling = behind === -1 ? TASK_SIZE_PAGES : vmas.startPage[behind];
  pageTable.freeTables(Math.max(floor, blockStart(start)), Math.min(ceiling, pageTable.blockEnd(end - 1)));
  const upperStart = start - (start % PAGES_PER_UPPER_TABLE);
  const upperEnd = Math.ceil(end / PAGES_PER_UPPER_TABLE) * PAGES_PER_UPPER_TABLE;
  pageTable.freeUpperTables(Math.max(floor, upperStart), Math.min(ceiling, upperEnd));
}
