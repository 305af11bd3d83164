// Unmapping: cutting a range out of the areas and the page table (do_vmi_munmap).
// The entries themselves are taken away by zap.ts.

import { PAGE_SIZE } from "../hardware/layout.ts";
import type { AddressSpace } from "./address-space.ts";
import { TASK_SIZE_PAGES } from "./address-space.ts";
import { SystemError } from "./errors.ts";
import { noteGap, pagesOf } from "./unmapped-area.ts";
import { VM_ACCOUNT, VM_LOCKED } from "./vm-flags.ts";
import { removeAreas, splitArea } from "./vma-merge.ts";
import { zapPages } from "./zap.ts";

/**
 * munmap(2) without its system-call shell.
 * @throws SystemError EINVAL: unaligned, empty, or beyond the address space. ENOMEM: a split would pass max_map_count.
 */
export function munmap(space: AddressSpace, address: number, length: number, syscall: string): void {
  const pages = pagesOf(length);
  if (address % PAGE_SIZE !== 0) throw new SystemError("EINVAL", syscall, "unaligned address");
  const start = address / PAGE_SIZE;
  if (pages === 0 || start > TASK_SIZE_PAGES || pages > TASK_SIZE_PAGES - start) {
    throw new SystemError("EINVAL", syscall, `length ${length}`);
  }
  unmapRange(space, start, start + pages, syscall);
}

/** Checks that the splits which unmapping a range needs are possible, before anything is changed. */
export function requireUnmappable(space: AddressSpace, start: number, end: number, syscall: string): void {
  const { vmas } = space;
  const first = vmas.findIntersection(start, end);
  if (first === -1 || start <= vmas.startPage[first]) return;
  if (end < vmas.endPage[first]) space.requireRoomForArea(syscall);
}

/** Removes what lies in [start, end), pages; holes are no error. Cost: touched pages + areas in the range. */
export function unmapRange(space: AddressSpace, start: number, end: number, syscall: string): void {
  const { vmas } = space;
  let id = vmas.findIntersection(start, end);
  if (id === -1) return;
  requireUnmappable(space, start, end, syscall);
  if (vmas.startPage[id] < start) id = splitArea(space, id, start, syscall);
  const last = vmas.lookup(end);
  if (last !== -1 && vmas.startPage[last] < end) splitArea(space, last, end, syscall);
  const first = vmas.indexOf(id);
  let index = first;
  for (; index < vmas.count; index++) {
    id = vmas.at(index);
    if (vmas.startPage[id] >= end) break;
    const pages = vmas.endPage[id] - vmas.startPage[id];
    const flags = vmas.flags[id];
    zapPages(space, vmas.startPage[id], vmas.endPage[id]);
    space.account(flags, -pages);
    if ((flags & VM_LOCKED) !== 0) space.lockedPages -= pages;
    if ((flags & VM_ACCOUNT) !== 0) space.kernel.uncommit(pages);
  }
  removeAreas(space, first, index);
  noteGap(space, end);
}
