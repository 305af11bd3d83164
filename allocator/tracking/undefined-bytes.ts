// Marks ranges of virtual memory defined or undefined: from a program's addresses to the validity bits of its frames.
// The bits themselves are platform/hardware/validity.ts; which ranges are marked when is tracked-allocator.ts's.

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

/** How untouched pages are treated: left as their clean page is, or made pages of the program's own first. */
export type Untouched = "leave" | "touch";

/**
 * Marks `[address, address + length)` undefined. Pages that a fork left shared become the process's own first, since bits
 * belong to frames. Cost: the pages that are there, or all of them with `"touch"`.
 */
export function markRangeUndefined(memory: Memory, address: number, length: number, untouched: Untouched): void {
  forEachFrame(memory, address, length, untouched, (position, bytes) => markUndefined(memory.ram, position, bytes));
}

export function markRangeDefined(memory: Memory, address: number, length: number, untouched: Untouched): void {
  forEachFrame(memory, address, length, untouched, (position, bytes) => markDefined(memory.ram, position, bytes));
}

/** Makes pages of the range that are there the process's own, so that marking them cannot fail. @throws OutOfMemoryError */
export function ownPages(memory: Memory, address: number, length: number): void {
  const { entries } = memory.pageTable;
  const page = (address * PAGES_PER_BYTE) & PAGE_MASK;
  const isOwn = (address & OFFSET_MASK) + length <= PAGE_SIZE && (entries[page] & PTE_WRITE) !== 0;
  if (!isOwn) forEachFrame(memory, address, length, "leave", () => {});
}

/**
 * As {@link markRangeUndefined}, but a page that nobody touched and whose clean page is undefined in all its bytes is left
 * alone: it reads as undefined already. Cost: the pages that are there or have defined bytes, and the others' number.
 */
export function markUndefinedWhereDefined(memory: Memory, space: AddressSpace, address: number, length: number): void {
  const end = address + length;
  const endPage = Math.ceil(end / PAGE_SIZE);
  const { pageTable } = memory;
  const { vmas } = space;
  for (let page = Math.floor(address / PAGE_SIZE); page < endPage; ) {
    const entry = pageTable.entryOf(page);
    const area = vmas.lookup(page);
    const clean = area === -1 ? -1 : vmas.cleanPages[area].frame;
    const isClean = entry === 0 || (entry & PTE_SPECIAL) !== 0;
    if (isClean && clean >= 0 && isWhollyUndefined(memory, clean)) {
      page = Math.min(entry === 0 ? pageTable.next(page + 1, endPage) : page + 1, vmas.endPage[area]);
      continue;
    }
    const from = Math.max(address, page * PAGE_SIZE);
    markRangeUndefined(memory, from, Math.min(end, (page + 1) * PAGE_SIZE) - from, "touch");
    page++;
  }
}

function isWhollyUndefined({ ram }: Memory, frame: number): boolean {
  if (ram.mayBeUndefined[frame] === 0) return false;
  const first = (frame * PAGE_SIZE) / 32;
  for (let word = first; word < first + PAGE_SIZE / 32; word++) if (ram.undefinedWords[word] !== -1) return false;
  return true;
}

/** Address of the first undefined byte of a range, or −1. Untouched pages are loaded. */
export function firstUndefined(memory: Memory, address: number, length: number): number {
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
  address: number,
  length: number,
  untouched: Untouched,
  mark: (position: number, bytes: number) => void,
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
export function markShortUndefined(memory: Memory, address: number, length: number): void {
  const page = (address * PAGES_PER_BYTE) & PAGE_MASK;
  const offset = address & OFFSET_MASK;
  const entry = memory.pageTable.entryOf(page);
  if (offset + length > PAGE_SIZE || (entry & PTE_WRITE) === 0) markRangeUndefined(memory, address, length, "leave");
  else if (length > 0) markUndefinedInFrame(memory.ram, entry >>> PTE_FRAME_SHIFT, offset, length);
}
