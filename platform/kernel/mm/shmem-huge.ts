// Huge pages of files in RAM: when a fault makes or maps one, and how holes and truncation take one apart (mm/shmem.c, do_set_pmd).
// Small pages of files are fault.ts and shmem.ts; private copies of them never become huge.
import type { AreaId, FilePage, FrameNumber, PageNumber } from "../../hardware/integers.ts";
import { PAGE_SIZE } from "../../hardware/layout.ts";
import type { AddressSpace } from "./address-space.ts";
import { NO_FRAME, zeroPage } from "./frames.ts";
import { HUGE_FRAMES, HUGE_ORDER } from "./free-frames.ts";
import { mayHaveSharedHuge, mayMapHuge } from "./huge-eligibility.ts";
import { blockStart, installHugeFile } from "./huge-entries.ts";
import type { Inode } from "./inode.ts";
import { installEntry, makeFileEntry } from "./pte.ts";
import { VM_LOCKED, VM_UFFD_MISSING } from "./vm-flags.ts";
import { unmapFilePages } from "./zap.ts";

/** Whether pages are mapped for a store, which makes them dirty. */
interface Access {
  readonly dirty: boolean;
}

/** Page index of the file at `page` of an area. */
function indexOf(space: AddressSpace, id: AreaId, page: PageNumber): number {
  return space.vmas.pageOffset[id] + (page - space.vmas.startPage[id]);
}

/** Whether the block of `page` lies in the area and shows an aligned range of the file (thp_vma_suitable_order). */
function isSuitable(space: AddressSpace, id: AreaId, page: PageNumber): boolean {
  const { vmas } = space;
  const start = blockStart(page);
  if (start < vmas.startPage[id] || start + HUGE_FRAMES > vmas.endPage[id]) return false;
  return indexOf(space, id, start) % HUGE_FRAMES === 0;
}

/** The frame of a page of the file for a fault: as part of a new huge page if the area may have one and the range is empty. */
export function pageForFault(space: AddressSpace, id: AreaId, page: PageNumber, inode: Inode): number {
  const index = indexOf(space, id, page);
  if (inode.pages.has(index) || !mayHaveSharedHuge(space, id) || !isSuitable(space, id, page))
    return inode.page(index, space.cgroup);
  const first = index - (index % HUGE_FRAMES);
  for (let at = first; at < first + HUGE_FRAMES; at++) if (inode.pages.has(at)) return inode.page(index, space.cgroup);
  const head = space.kernel.frames.allocateFolio(HUGE_ORDER, zeroPage, space.cgroup);
  if (head === NO_FRAME) {
    space.kernel.counters.hugeFallbacks++;
    return inode.page(index, space.cgroup);
  }
  cacheFolio(space, inode, first, head);
  return head + (index - first);
}

/** Puts a new huge page into the page cache; each of its pages holds it. */
export function cacheFolio(space: AddressSpace, inode: Inode, first: number, head: number): void {
  const { frames } = space.kernel;
  for (let at = 0; at < HUGE_FRAMES; at++) {
    if (at > 0) frames.get(head + at);
    inode.pages.set(first + at, head + at);
  }
}

/**
 * Maps a page of the file by a huge entry if it is one of a huge page, and the block is untouched (do_set_pmd). @returns whether it
 * did: `page` itself is mapped then.
 */
export function mapHugeFile(
  space: AddressSpace,
  id: AreaId,
  page: PageNumber,
  frame: FrameNumber,
  access: Access,
): boolean {
  const { frames } = space.kernel;
  const flags = space.vmas.flags[id];
  if (!frames.isInFolio(frame) || !space.pageTable.isUntouched(page)) return false;
  const head = frames.headOf(frame);
  if (frames.folios.order[head] !== HUGE_ORDER || !isSuitable(space, id, page)) return false;
  if (!mayMapHuge(space, flags) || (flags & VM_UFFD_MISSING) !== 0) return false;
  frames.get(head);
  installHugeFile(space, blockStart(page), makeFileEntry(space, head, flags, access));
  return true;
}

/**
 * Maps all of the large folio that `page` belongs to, page by page, if it fits into area and page table and nothing is there yet;
 * else `page` alone (finish_fault).
 */
export function mapFolioOf(
  space: AddressSpace,
  id: AreaId,
  page: PageNumber,
  frame: FrameNumber,
  access: Access,
): void {
  const { vmas, pageTable, kernel } = space;
  const { frames } = kernel;
  const flags = vmas.flags[id];
  let first = page;
  let count = 1;
  if (frames.isInFolio(frame)) {
    const head = frames.headOf(frame);
    const start = page - (frame - head);
    const size = frames.folios.sizeOf(head);
    const fits = start >= vmas.startPage[id] && start + size <= vmas.endPage[id];
    const inTable = start >= blockStart(page) && start + size <= pageTable.blockEnd(page);
    if (fits && inTable && pageTable.next(start, start + size) === start + size) {
      first = start;
      count = size;
    }
  }
  for (let at = first; at < first + count; at++) {
    const mapped = frame + (at - page);
    frames.get(mapped);
    installEntry(space, at, makeFileEntry(space, mapped, flags, access));
    if ((flags & VM_LOCKED) !== 0) frames.batch(mapped);
  }
}

/**
 * Drops a file's pages [first, end), which nothing maps any more (shmem_undo_range). Folios that lie in the range in part are taken
 * apart before; of one that is held the part is cleared instead, so that who holds it goes on seeing what the file has.
 */
export function dropFilePages(inode: Inode, first: FilePage, end: FilePage): void {
  const heldAtFirst = splitAround(inode, first, first, end);
  const from = heldAtFirst === NOT_HELD ? first : heldAtFirst + folioSizeAt(inode, heldAtFirst);
  const heldAtEnd = splitAround(inode, end, from, end);
  inode.dropPages(from, heldAtEnd === NOT_HELD ? end : heldAtEnd);
}

const NOT_HELD = -1;

function folioSizeAt({ frames, pages }: Inode, index: FilePage): number {
  return frames.folios.sizeOf(pages.get(index) as number);
}

/** Takes the folio apart that has a page at `index`, unless it lies in [first, end). @returns where it begins if it is held and so stays whole. */
function splitAround(inode: Inode, index: FilePage, first: FilePage, end: FilePage): number {
  const frame = inode.pages.get(index);
  if (frame === undefined) return NOT_HELD;
  const { frames } = inode;
  if (!frames.isInFolio(frame)) return NOT_HELD;
  const head = frames.headOf(frame);
  const from = index - (frame - head);
  const size = frames.folios.sizeOf(head);
  if (from >= first && from + size <= end) return NOT_HELD;
  // Whoever maps the folio finds its pages again by faults.
  unmapFilePages(inode, from, from + size, { privateCopies: "keep" });
  if (frames.splitCached(head, frame)) return NOT_HELD;
  inode.zeroRange(Math.max(from, first) * PAGE_SIZE, Math.min(from + size, end) * PAGE_SIZE);
  return from;
}
