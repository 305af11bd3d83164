// Taking page-table entries away: for munmap, MADV_DONTNEED, truncation and exit (zap_page_range, unmap_mapping_range).
// Cost: the pages that were touched, never the range's length. Areas stay as they are; that is munmap.ts.
import type { AreaFlags, PageNumber } from "../../hardware/integers.ts";
import { PTE_ANON, PTE_FRAME_SHIFT, PTE_GUARD, PTE_PRESENT, PTE_SPECIAL } from "../../hardware/layout.ts";
import { ENTRIES_PER_BLOCK } from "../../hardware/page-table.ts";
import type { AddressSpace } from "./address-space.ts";
import { zeroPage } from "./frames.ts";
import { blockStart, splitHuge, zapHuge } from "./huge-entries.ts";
import type { Inode } from "./inode.ts";
import { keepDirty, removeEntry } from "./pte.ts";
import { VM_LOCKED } from "./vm-flags.ts";

/**
 * Clears every entry of [page, endPage) in an area with `flags`, guard markers too. As removeEntry() for each, but block by block of the page table
 * with the counts made at the end: half of what munmap of touched memory costs is here.
 */
export function zapPages(space: AddressSpace, page: PageNumber, endPage: PageNumber, flags: AreaFlags): void {
  const locked = (flags & VM_LOCKED) !== 0;
  space.noteRss();
  space.homes?.emptied(page, endPage, zeroPage);
  space.freshMarks?.emptied(page, endPage);
  const { pageTable, kernel } = space;
  const { frames } = kernel;
  const { entries } = pageTable;
  const isStraight = !locked && space.cgroup === null;
  let zapped = 0;
  let anonymousPages = 0;
  let filePages = 0;
  while (page < endPage) {
    const block = pageTable.nextUsedBlock(page, endPage);
    if (block >= endPage) break;
    page = Math.max(page, block);
    const stop = Math.min(pageTable.blockEnd(page), endPage);
    if (pageTable.isHuge(page) && zapWholeHuge(space, page, stop)) {
      page = stop;
      continue;
    }
    const before = zapped;
    const last = before + pageTable.entriesInBlock(page);
    for (let at = page; at < stop && zapped < last; at++) {
      const entry = entries[at];
      if (entry === 0) {
        // Where nothing was touched, eight at a time: most of a range that shares its block with others is such.
        while (at + 8 < stop && isEmpty(entries, at + 1)) at += 8;
        continue;
      }
      if (isStraight && (entry & PTE_ANON) !== 0) {
        const left = frames.zapStraight(entries, at, stop);
        if (left > at) {
          zapped += left - at;
          anonymousPages += left - at;
          at = left - 1;
          continue;
        }
      }
      entries[at] = 0;
      zapped++;
      if ((entry & (PTE_PRESENT | PTE_SPECIAL)) !== PTE_PRESENT) continue;
      if ((entry & PTE_ANON) !== 0) anonymousPages++;
      else {
        filePages++;
        keepDirty(space, entry);
      }
      if (locked) frames.batch(entry >>> PTE_FRAME_SHIFT);
      frames.unmap(entry >>> PTE_FRAME_SHIFT, space.id);
    }
    pageTable.noteCleared(page, zapped - before);
    page = stop;
  }
  space.rssAnonymous -= anonymousPages;
  space.rssFile -= filePages;
  kernel.counters.ptesZapped += zapped;
}

/** Whether eight entries from `page` on are all 0. */
function isEmpty(entries: Int32Array, page: PageNumber): boolean {
  return (
    (entries[page] |
      entries[page + 1] |
      entries[page + 2] |
      entries[page + 3] |
      entries[page + 4] |
      entries[page + 5] |
      entries[page + 6] |
      entries[page + 7]) ===
    0
  );
}

/** Takes the huge entry at `page` away if [page, stop) is all of its block; splits it if not. @returns whether it is gone. */
function zapWholeHuge(space: AddressSpace, page: PageNumber, stop: number): boolean {
  if (stop - page === ENTRIES_PER_BLOCK) {
    zapHuge(space, page);
    return true;
  }
  splitHuge(space, blockStart(page));
  return !space.pageTable.isUsed(page);
}

/**
 * MADV_DONTNEED in part of one area: as zapPages, but guard markers stay. A block that lies in the range as a whole, and is
 * empty after it, loses its page table (PT_RECLAIM).
 */
export function dropPages(space: AddressSpace, start: PageNumber, end: PageNumber): void {
  space.noteRss();
  const { pageTable, vmas, kernel } = space;
  const id = vmas.lookup(start);
  const flags = vmas.flags[id];
  const isStraight = (flags & VM_LOCKED) === 0 && space.cgroup === null;
  space.homes?.emptied(start, end, vmas.cleanPages[id]);
  space.freshMarks?.emptied(start, end);
  for (let page = pageTable.next(start, end); page < end; page = pageTable.next(page + 1, end)) {
    if (pageTable.isHuge(page)) {
      const stop = Math.min(pageTable.blockEnd(page), end);
      if (zapWholeHuge(space, page, stop)) {
        page = stop - 1;
        continue;
      }
    }
    const entry = pageTable.entries[page];
    if (isStraight && (entry & PTE_ANON) !== 0) {
      const stop = Math.min(pageTable.blockEnd(page), end);
      const zapped = kernel.frames.zapStraight(pageTable.entries, page, stop) - page;
      if (zapped > 0) {
        pageTable.noteCleared(page, zapped);
        space.rssAnonymous -= zapped;
        kernel.counters.ptesZapped += zapped;
        page += zapped - 1;
        continue;
      }
    }
    if ((entry & PTE_GUARD) === 0) removeEntry(space, page, flags);
  }
  pageTable.freeTables(start, end);
}

/** Which pages of a file's mappings go: all, or only those that are the file's own and not private copies. */
export interface UnmapFileOptions {
  readonly privateCopies: "drop" | "keep";
}

/** Clears the entries of all mappings of the inode's pages [first, end), in every address space (unmap_mapping_range). */
export function unmapFilePages(
  inode: Inode,
  first: number,
  end: PageNumber,
  { privateCopies }: UnmapFileOptions,
): void {
  for (const space of inode.mappers.keys()) {
    const { vmas, pageTable } = space;
    for (let index = 0; index < vmas.count; index++) {
      const id = vmas.at(index);
      if (vmas.anonymous[id] === 1 || vmas.files[id]?.inode !== inode) continue;
      const shift = vmas.startPage[id] - vmas.pageOffset[id];
      const from = Math.max(vmas.startPage[id], first + shift);
      const to = Math.min(vmas.endPage[id], end + shift);
      space.noteRss();
      for (let page = pageTable.next(from, to); page < to; page = pageTable.next(page + 1, to)) {
        const entry = pageTable.entryOf(page);
        if ((entry & PTE_GUARD) !== 0) continue;
        if (pageTable.isHuge(page)) {
          // Part of it or all: what is left is found again by faults.
          zapHuge(space, blockStart(page));
          page = pageTable.blockEnd(page) - 1;
          continue;
        }
        if (privateCopies === "drop" || (entry & PTE_ANON) === 0) removeEntry(space, page, vmas.flags[id]);
      }
    }
  }
}
