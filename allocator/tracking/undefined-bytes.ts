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
  PTE_PRESENT,
  PTE_SPECIAL,
  PTE_WRITE,
} from "../../platform/hardware/layout.ts";
import type { Memory } from "../../platform/hardware/memory.ts";
import { findUndefined, markDefined, markUndefined, markUndefinedInFrame } from "../../platform/hardware/validity.ts";
import type { AddressSpace } from "../../platform/kernel/mm/address-space.ts";
import { resetFresh } from "./address-marks.ts";

/** How untouched pages are treated: left as their clean page is, or made pages of the program's own first. */
type Untouched = "leave" | "touch";

/**
 * Marks all of `[address, address + length)` undefined: untouched pages become the process's own first, and those that a fork left
 * shared, since bits belong to frames.
 */
export function markAllUndefined(memory: Memory, address: Address, length: ByteCount): void {
  forEachFrame(memory, address, length, "touch", (position, bytes) => markUndefined(memory.ram, position, bytes));
}

/** The same for the pages that are there; untouched ones are as their clean pages are, also where a program has said otherwise. */
export function markRangeUndefined(memory: Memory, space: AddressSpace, address: Address, length: ByteCount): void {
  resetFresh(space, address, length);
  forEachFrame(memory, address, length, "leave", (position, bytes) => markUndefined(memory.ram, position, bytes));
}

/** As {@link markRangeUndefined}, defined. */
export function markRangeDefined(memory: Memory, space: AddressSpace, address: Address, length: ByteCount): void {
  resetFresh(space, address, length);
  forEachFrame(memory, address, length, "leave", (position, bytes) => markDefined(memory.ram, position, bytes));
}

/** Makes pages of the range that are there the process's own, so that marking them cannot fail. @throws OutOfMemoryError */
export function ownPages(memory: Memory, address: Address, length: ByteCount): void {
  const { entries } = memory.pageTable;
  const page = (address * PAGES_PER_BYTE) & PAGE_MASK;
  const isOwn = (address & OFFSET_MASK) + length <= PAGE_SIZE && (entries[page] & PTE_WRITE) !== 0;
  if (!isOwn) forEachFrame(memory, address, length, "leave", () => {});
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

/** As {@link markRangeUndefined}, for a short range on a page of the process's own: a free, nearly always. */
export function markShortUndefined(memory: Memory, space: AddressSpace, address: Address, length: ByteCount): void {
  const page = (address * PAGES_PER_BYTE) & PAGE_MASK;
  const offset = address & OFFSET_MASK;
  const entry = memory.pageTable.entryOf(page);
  if (offset + length > PAGE_SIZE || (entry & PTE_WRITE) === 0) markRangeUndefined(memory, space, address, length);
  else if (length > 0) markUndefinedInFrame(memory.ram, entry >>> PTE_FRAME_SHIFT, offset, length);
}
