// MADV_FREE and MADV_COLD: advice about pages that stays advice here, since nothing is reclaimed or swapped; but of a large folio of
// which part is given, both make single pages (madvise_free_pte_range, madvise_cold_or_pageout_pte_range).
import type { PageNumber } from "../../hardware/integers.ts";
import { PTE_ANON, PTE_FRAME_SHIFT, PTE_PRESENT, PTE_SPECIAL } from "../../hardware/layout.ts";
import type { AddressSpace } from "./address-space.ts";
import { NO_FRAME, zeroPage } from "./frames.ts";
import { HUGE_FRAMES } from "./free-frames.ts";
import { blockStart, splitHuge } from "./huge-entries.ts";
import { installEntry, makeEntry, removeEntry, undirtiedEntry } from "./pte.ts";
import { VM_LOCKED, VM_MTE } from "./vm-flags.ts";

/**
 * MADV_FREE of [start, end): makes pages clean, to be dropped when memory is short. A page that the kernel has written to and others
 * map stays as it is, and so does a large folio that others may map.
 */
export function freeLazily(space: AddressSpace, start: PageNumber, end: PageNumber): void {
  const { pageTable } = space;
  const { frames } = space.kernel;
  frames.drainBatches();
  for (let page = pageTable.next(start, end); page < end; page = pageTable.next(page + 1, end)) {
    const untouched = splitIfPartial(space, page, end);
    if (untouched > 0) {
      page += untouched - 1;
      continue;
    }
    const entry = pageTable.entryOf(page);
    if ((entry & PTE_ANON) === 0) continue;
    const frame = entry >>> PTE_FRAME_SHIFT;
    if (frames.isInFolio(frame)) page += freeFolio(space, page, frames.headOf(frame)) - 1;
    else {
      if (frames.dirty[frame] === 1 && frames.mapCounts[frame] !== 1) continue;
      frames.dirty[frame] = 0;
      pageTable.entries[page] = undirtiedEntry(entry);
      frames.giveUp(frame);
    }
  }
}

/** MADV_FREE of all of a folio, from `page` on. @returns its pages. */
function freeFolio(space: AddressSpace, page: PageNumber, head: number): number {
  const { pageTable, kernel } = space;
  const { frames } = kernel;
  const size = frames.folios.sizeOf(head);
  if (pageTable.isHuge(page)) {
    frames.dirty[head] = 0;
    pageTable.setHuge(page, undirtiedEntry(pageTable.entryOf(page)));
    return size;
  }
  if (frames.dirty[head] === 1 && frames.folios.mappings(head) !== size) return size;
  frames.dirty[head] = 0;
  for (let at = page; at < page + size; at++) pageTable.entries[at] = undirtiedEntry(pageTable.entryOf(at));
  return size;
}

/** MADV_COLD of [start, end), as far as it shows. */
export function splitPartialFolios(space: AddressSpace, start: PageNumber, end: PageNumber): void {
  const { pageTable } = space;
  const { frames } = space.kernel;
  for (let page = pageTable.next(start, end); page < end; page = pageTable.next(page + 1, end)) {
    const untouched = splitIfPartial(space, page, end);
    const frame = pageTable.entryOf(page) >>> PTE_FRAME_SHIFT;
    if (untouched > 0) page += untouched - 1;
    else if (frames.isInFolio(frame)) page += frames.folios.sizeOf(frames.headOf(frame)) - 1;
  }
}

/**
 * What comes first for a page of a large folio: if [page, end) holds only part of the folio, it is split into single pages.
 * @returns the pages to pass over, since the folio may be shared, is held, or is a huge clean page; 0: go on.
 */
function splitIfPartial(space: AddressSpace, page: PageNumber, end: PageNumber): number {
  const { pageTable, kernel } = space;
  const { frames } = kernel;
  const entry = pageTable.entryOf(page);
  const isHuge = pageTable.isHuge(page);
  const rest = pageTable.blockEnd(page) - page;
  if ((entry & PTE_SPECIAL) !== 0) return isHuge ? rest : 1;
  if ((entry & PTE_PRESENT) === 0 || (entry & PTE_ANON) === 0) return isHuge ? rest : 0;
  const frame = entry >>> PTE_FRAME_SHIFT;
  if (!frames.isInFolio(frame)) return 0;
  const head = frames.headOf(frame);
  const count = isHuge ? Math.min(rest, end - page) : mappedInARow(space, page, end);
  if (isHuge ? count === HUGE_FRAMES : count === frames.folios.sizeOf(head)) {
    return isHuge && frames.folios.mayBeShared(head) ? rest : 0;
  }
  if (frames.folios.mayBeShared(head) || !frames.canSplit(head)) return count;
  if (isHuge) splitHuge(space, blockStart(page));
  const size = frames.folios.sizeOf(head);
  frames.splitFolio(head);
  mapZeroPages(space, head, size, page - (frame - head));
  return 0;
}

/** How many pages from `page` on, before `end` and in its block, map consecutive pages of the same folio (folio_pte_batch). */
function mappedInARow(space: AddressSpace, page: PageNumber, end: PageNumber): number {
  const { pageTable, kernel } = space;
  const first = pageTable.entryOf(page) >>> PTE_FRAME_SHIFT;
  const { folios } = kernel.frames;
  const head = folios.headOf(first);
  const longest = Math.min(head + folios.sizeOf(head) - first, end - page, pageTable.blockEnd(page) - page);
  let count = 1;
  while (count < longest) {
    const entry = pageTable.entryOf(page + count);
    if ((entry & PTE_PRESENT) === 0 || entry >>> PTE_FRAME_SHIFT !== first + count) break;
    count++;
  }
  return count;
}

/**
 * After a split: pages that hold nothing but zeroes give their frames back, and the zero page stands in for them
 * (try_to_map_unused_to_zeropage). Nearly always the folio's pages follow one another from `start` on; any that were moved away
 * are looked for in the whole address space.
 */
function mapZeroPages(space: AddressSpace, head: number, size: number, start: PageNumber): void {
  const { frames } = space.kernel;
  let wanted = 0;
  for (let frame = head; frame < head + size; frame++) {
    if (frames.mapCounts[frame] !== 1 || !frames.ram.isZero(frame)) continue;
    if (entryFrame(space, start + (frame - head)) === frame) mapZeroPage(space, start + (frame - head));
    else wanted++;
  }
  const { pageTable } = space;
  const end = pageTable.entries.length;
  for (let page = pageTable.next(0, end); page < end && wanted > 0; page = pageTable.next(page + 1, end)) {
    const frame = entryFrame(space, page);
    if (frame < head || frame >= head + size || !frames.ram.isZero(frame)) continue;
    mapZeroPage(space, page);
    wanted--;
  }
}

/** The frame of a private page that a small entry maps, or NO_FRAME. */
function entryFrame(space: AddressSpace, page: PageNumber): number {
  const { pageTable } = space;
  const entry = pageTable.entryOf(page);
  return (entry & PTE_ANON) !== 0 && !pageTable.isHuge(page) ? entry >>> PTE_FRAME_SHIFT : NO_FRAME;
}

function mapZeroPage(space: AddressSpace, page: PageNumber): void {
  const { vmas } = space;
  const id = vmas.lookup(page);
  const flags = vmas.flags[id];
  // Locked pages stay, pages with tags are more than zeroes, and a reference page is no zero page.
  if ((flags & (VM_LOCKED | VM_MTE)) !== 0 || vmas.cleanPages[id] !== zeroPage || vmas.anonymous[id] === 0) return;
  removeEntry(space, page, flags);
  installEntry(space, page, makeEntry(space, zeroPage.frame, flags, PTE_SPECIAL, false));
}
