// Marks ranges of virtual memory defined or undefined: from a program's addresses to the validity bits of its frames.
// The bits themselves are platform/hardware/validity.ts; which ranges are marked when is tracked-allocator.ts's.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import {
  ACCESS_STORE,
  OFFSET_MASK,
  PAGE_MASK,
  PAGE_SIZE,
  PAGES_PER_BYTE,
  PTE_FRAME_SHIFT,
  PTE_GUARD,
  PTE_PRESENT,
  PTE_SPECIAL,
  PTE_WRITE,
} from "../../platform/hardware/layout.ts";
import type { Memory } from "../../platform/hardware/memory.ts";
import { findUndefined, markDefined, markUndefined, markUndefinedInFrame } from "../../platform/hardware/validity.ts";
import type { AddressSpace } from "../../platform/kernel/mm/address-space.ts";
import { removeEntry } from "../../platform/kernel/mm/pte.ts";
import { VM_UFFD_MISSING } from "../../platform/kernel/mm/vm-flags.ts";

/** How untouched pages are treated: left as their clean page is, or made pages of the program's own first. */
export type Untouched = "leave" | "touch";

/**
 * Marks `[address, address + length)` undefined. Pages that a fork left shared become the process's own first, since bits
 * belong to frames. Cost: the pages that are there, or all of them with `"touch"`.
 */
export function markRangeUndefined(memory: Memory, address: Address, length: ByteCount, untouched: Untouched): void {
  forEachFrame(memory, address, length, untouched, (position, bytes) => markUndefined(memory.ram, position, bytes));
}

export function markRangeDefined(memory: Memory, address: Address, length: ByteCount, untouched: Untouched): void {
  forEachFrame(memory, address, length, untouched, (position, bytes) => markDefined(memory.ram, position, bytes));
}

/** Makes pages of the range that are there the process's own, so that marking them cannot fail. @throws OutOfMemoryError */
export function ownPages(memory: Memory, address: Address, length: ByteCount): void {
  const { entries } = memory.pageTable;
  const page = (address * PAGES_PER_BYTE) & PAGE_MASK;
  const isOwn = (address & OFFSET_MASK) + length <= PAGE_SIZE && (entries[page] & PTE_WRITE) !== 0;
  if (!isOwn) forEachFrame(memory, address, length, "leave", () => {});
}

/**
 * As {@link markRangeUndefined}, but of private pages only those that were stored to: a clean page that was loaded is taken away,
 * so that the next access is a fault. Cost: the pages that are there, and all of files.
 */
export function markTouchedUndefined(memory: Memory, space: AddressSpace, address: Address, length: ByteCount): void {
  const end = address + length;
  const endPage = Math.ceil(end / PAGE_SIZE);
  const { pageTable } = memory;
  const { vmas } = space;
  for (let page = Math.floor(address / PAGE_SIZE); page < endPage; page++) {
    const area = vmas.lookup(page);
    if (vmas.anonymous[area] === 1 && (vmas.flags[area] & VM_UFFD_MISSING) === 0) {
      page = pageTable.next(page, Math.min(endPage, vmas.endPage[area]));
      if (page >= Math.min(endPage, vmas.endPage[area])) {
        page--;
        continue;
      }
      const entry = pageTable.entryOf(page);
      if ((entry & PTE_GUARD) !== 0) continue;
      if ((entry & PTE_SPECIAL) !== 0 && !pageTable.isHuge(page)) {
        removeEntry(space, page, vmas.flags[area]);
        continue;
      }
    }
    const from = Math.max(address, page * PAGE_SIZE);
    markRangeUndefined(memory, from, Math.min(end, (page + 1) * PAGE_SIZE) - from, "touch");
  }
}

/** Address of the first undefined byte of a range, or −1. Untouched pages are loaded. */
export function firstUndefined(memory: Memory, address: Address, length: ByteCount): number {
  for (let at = address; at < address + length; ) {
    const bytes = Math.min(address + length - at, PAGE_SIZE - (at % PAGE_SIZE));
    memory.translateUnchecked(at, 0);
    const found = findUndefined(memory.ram, memory.frame * PAGE_SIZE + (at % PAGE_SIZE), bytes);
    if (found >= 0) return at + found;
    at += bytes;
  }
  return -1;
}

function forEachFrame(
  memory: Memory,
  address: Address,
  length: ByteCount,
  untouched: Untouched,
  mark: (position: number, bytes: ByteCount) => void,
): void {
  const end = address + length;
  const endPage = Math.ceil(end / PAGE_SIZE);
  const { pageTable } = memory;
  for (let page = Math.floor(address / PAGE_SIZE); page < endPage; page++) {
    if (untouched === "leave") {
      page = pageTable.next(page, endPage);
      if (page === endPage) return;
      if ((pageTable.entryOf(page) & (PTE_PRESENT | PTE_SPECIAL)) !== PTE_PRESENT) continue;
    }
    const from = Math.max(address, page * PAGE_SIZE);
    memory.translateUnchecked(from, ACCESS_STORE);
    mark(memory.frame * PAGE_SIZE + (from % PAGE_SIZE), Math.min(end, (page + 1) * PAGE_SIZE) - from);
  }
}

/** As {@link markRangeUndefined} with `"leave"`, for a short range on a page of the process's own: a free, nearly always. */
export function markShortUndefined(memory: Memory, address: Address, length: ByteCount): void {
  const page = (address * PAGES_PER_BYTE) & PAGE_MASK;
  const offset = address & OFFSET_MASK;
  const entry = memory.pageTable.entryOf(page);
  if (offset + length > PAGE_SIZE || (entry & PTE_WRITE) === 0) markRangeUndefined(memory, address, length, "leave");
  else if (length > 0) markUndefinedInFrame(memory.ram, entry >>> PTE_FRAME_SHIFT, offset, length);
}
