// Huge page-table entries: making, taking away and splitting them, with the counts that go with each (mm/huge_memory.c).
// When a fault gets one is huge-fault.ts; small entries are pte.ts.
import type { PageNumber, PageTableEntry } from "../../hardware/integers.ts";
import { PTE_ANON, PTE_DBM, PTE_FRAME_SHIFT, PTE_NOT_DIRTY, PTE_SPECIAL, PTE_WRITE } from "../../hardware/layout.ts";
import { ENTRIES_PER_BLOCK, HUGE_ENTRY_WITHOUT_TABLE } from "../../hardware/page-table.ts";
import type { AddressSpace } from "./address-space.ts";
import { HUGE_FRAMES } from "./free-frames.ts";
import { keepDirty, makeEntry } from "./pte.ts";

/** The first page of the block of `page`. */
export function blockStart(page: PageNumber): number {
  return page & -ENTRIES_PER_BLOCK;
}

/** Maps a block where nothing is mapped. `entry` is that of its first page; the caller brings the folio's reference. */
export function installHuge(space: AddressSpace, page: PageNumber, entry: PageTableEntry): void {
  space.pageTable.setHuge(page, entry);
  space.kernel.counters.ptesSet++;
  if ((entry & PTE_SPECIAL) !== 0) return;
  space.kernel.frames.mapHuge(entry >>> PTE_FRAME_SHIFT, space.id);
  space.rssAnonymous += HUGE_FRAMES;
}

/** As installHuge, of a huge page of a file: it keeps no page table in reserve, for it is never split. */
export function installHugeFile(space: AddressSpace, page: PageNumber, entry: PageTableEntry): void {
  space.pageTable.setHuge(page, entry, HUGE_ENTRY_WITHOUT_TABLE);
  space.kernel.counters.ptesSet++;
  space.kernel.frames.mapHuge(entry >>> PTE_FRAME_SHIFT, space.id);
  space.rssFile += HUGE_FRAMES;
}

/** Clears the huge entry of the block that starts at `page` and gives back what it counted (zap_huge_pmd). */
export function zapHuge(space: AddressSpace, page: PageNumber): void {
  const entry = space.pageTable.entryOf(page);
  space.pageTable.clearHuge(page);
  space.kernel.counters.ptesZapped++;
  space.kernel.counters.hugeEntriesZapped++;
  if ((entry & PTE_SPECIAL) !== 0) return;
  if ((entry & PTE_ANON) !== 0) space.rssAnonymous -= HUGE_FRAMES;
  else {
    space.rssFile -= HUGE_FRAMES;
    keepDirty(space, entry);
  }
  space.kernel.frames.unmapHuge(entry >>> PTE_FRAME_SHIFT, space.id);
}

/**
 * Makes small entries of the huge one of the block that starts at `page`: the same pages with the same permissions, so that no
 * fault follows. The folio stays whole (__split_huge_pmd). A huge clean page becomes the small one.
 */
export function splitHuge(space: AddressSpace, page: PageNumber): void {
  const { pageTable, vmas, kernel } = space;
  const entry = pageTable.entryOf(page);
  kernel.counters.hugeSplits++;
  if ((entry & PTE_SPECIAL) !== 0) {
    const id = vmas.lookup(page);
    const small = makeEntry(space, vmas.cleanPages[id].frame, vmas.flags[id], PTE_SPECIAL, false);
    pageTable.splitHuge(page);
    pageTable.entries.fill(small, page, page + ENTRIES_PER_BLOCK);
    return;
  }
  if ((entry & PTE_ANON) === 0) {
    // Pages of files are found again by later faults.
    zapHuge(space, page);
    return;
  }
  kernel.frames.splitHugeMapping(entry >>> PTE_FRAME_SHIFT, space.id, (entry & PTE_NOT_DIRTY) === 0);
  pageTable.splitHuge(page);
}

/** What a border of an area at `page` does to a huge entry around it (vma_adjust_trans_huge). */
export function splitHugeAt(space: AddressSpace, page: PageNumber): void {
  const start = blockStart(page);
  if (page !== start && space.pageTable.isHuge(page)) splitHuge(space, start);
}

/**
 * fork of the block that starts at `page`, mapped huge in `parent`: both map the folio read-only; a file's the child finds again by its
 * faults (copy_huge_pmd). @returns false if the pages are pinned: the parent's entry has been split then, and each page is to be copied.
 */
export function copyHuge(parent: AddressSpace, child: AddressSpace, page: PageNumber): boolean {
  const { frames } = parent.kernel;
  const entry = parent.pageTable.entryOf(page);
  if ((entry & (PTE_SPECIAL | PTE_ANON)) === 0) {
    child.pageTable.makeUpperTable(page);
    return true;
  }
  if ((entry & PTE_SPECIAL) === 0) {
    const head = entry >>> PTE_FRAME_SHIFT;
    if (frames.pins[head] > 0) {
      splitHuge(parent, page);
      return false;
    }
    parent.pageTable.setHuge(page, entry & ~(PTE_WRITE | PTE_DBM));
    if (parent.oldPages !== null && frames.exclusive[head] === 1) parent.oldPages.deleteBlock(page);
    frames.exclusive[head] = 0;
    child.oldPages?.addBlock(page);
    frames.folios.addReferences(head, 1);
  }
  installHuge(child, page, entry & ~(PTE_WRITE | PTE_DBM));
  return true;
}

/** Moves the huge entry of a block to another block where nothing is mapped (move_huge_pmd), or all of a page table (move_normal_pmd). */
export function moveBlock(space: AddressSpace, from: PageNumber, to: PageNumber): void {
  space.pageTable.freeTables(to, to + ENTRIES_PER_BLOCK);
  space.pageTable.moveBlock(from, to);
}
