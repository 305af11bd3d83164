// Where a new mapping goes: hints, fixed addresses, and the search for a gap from the top down (get_unmapped_area).
// Only chooses; what happens to mappings that are there already is mmap.ts.
import type { Address, AreaId, ByteCount, PageCount, PageNumber } from "../../hardware/integers.ts";
import { PAGE_SIZE } from "../../hardware/layout.ts";
import { SystemError } from "../abi/errors.ts";
import { MAP_FIXED } from "../abi/mman.ts";
import { type AddressSpace, MMAP_MIN_PAGE, TASK_SIZE_PAGES } from "./address-space.ts";
import type { OpenFile } from "./file.ts";
import { HUGE_FRAMES } from "./free-frames.ts";
import { STACK_GUARD_GAP_PAGES } from "./stack.ts";
import { VM_GROWSDOWN } from "./vm-flags.ts";

/** Whether mappings of a file, or of none, are placed as anonymous memory. */
export function isPlacedAsAnonymous(file: OpenFile | null): boolean {
  return file === null || file.operations.placedAsAnonymous === true;
}

/** Start of an area with the gap that must stay free below it if it grows (vm_start_gap). */
export function startWithGap(space: AddressSpace, id: AreaId): PageNumber {
  const { vmas } = space;
  const gap = (vmas.flags[id] & VM_GROWSDOWN) !== 0 ? STACK_GUARD_GAP_PAGES : 0;
  return Math.max(0, vmas.startPage[id] - gap);
}

/**
 * The page at which `pages` pages go. A hint is rounded down to a page and taken if nothing is in the way. Without one, private
 * anonymous memory whose length is a multiple of 2 MiB is put at such a multiple.
 * @throws SystemError ENOMEM: no room, or beyond the address space. EINVAL: an unaligned fixed address. EPERM: too low.
 */
export function getUnmappedArea(
  space: AddressSpace,
  address: Address,
  pages: PageCount,
  mapFlags: number,
  syscall: string,
  isPrivateAnonymous: boolean,
): PageNumber {
  if (pages > TASK_SIZE_PAGES) throw new SystemError("ENOMEM", syscall, `${pages} pages exceed the address space`);
  if ((mapFlags & MAP_FIXED) !== 0) {
    if (address > TASK_SIZE_PAGES * PAGE_SIZE - pages * PAGE_SIZE)
      throw new SystemError("ENOMEM", syscall, "beyond the address space");
    if (address % PAGE_SIZE !== 0) throw new SystemError("EINVAL", syscall, "unaligned fixed address");
    return permitted(space, address / PAGE_SIZE, syscall);
  }
  if (address >= PAGE_SIZE) {
    const hint = Math.floor(address / PAGE_SIZE);
    if (hint + pages <= TASK_SIZE_PAGES) {
      const id = space.vmas.find(hint);
      if (id === -1 || hint + pages <= startWithGap(space, id)) return permitted(space, hint, syscall);
    }
  }
  if (address === 0 && isPrivateAnonymous && pages % HUGE_FRAMES === 0) {
    const aligned = findAlignedGap(space, pages);
    if (aligned !== -1) return aligned;
  }
  const found = findGapTopDown(space, pages);
  if (found === -1) throw new SystemError("ENOMEM", syscall, `no gap of ${pages} pages`);
  return found;
}

/**
 * Where a huge page may start, in the highest gap that holds `pages` pages and 2 MiB more; −1 if there is none
 * (__thp_get_unmapped_area). Whether huge pages are enabled makes no difference.
 */
function findAlignedGap(space: AddressSpace, pages: PageCount): number {
  const found = findGapTopDown(space, pages + HUGE_FRAMES);
  return found === -1 ? -1 : found - (found % HUGE_FRAMES) + HUGE_FRAMES;
}

/** @throws SystemError EPERM: an ordinary user maps nothing below vm.mmap_min_addr (security_mmap_addr). */
function permitted(space: AddressSpace, page: PageNumber, syscall: string): PageNumber {
  if (page < space.kernel.mmapMinPage) throw new SystemError("EPERM", syscall, "below vm.mmap_min_addr");
  return page;
}

/**
 * The highest gap below the mmap base that holds `pages` pages, or −1 (unmapped_area_topdown). A gap that is wide enough but
 * for the guard gap of a stack above it keeps the search below that guard gap from then on, as Linux's retry does.
 *
 * `gapCeiling` is where the gap ends that an earlier search came down to, and `gapLargest` the widest that it passed over, so
 * that most searches end immediately.
 */
function findGapTopDown(space: AddressSpace, pages: PageCount): PageNumber {
  const { vmas } = space;
  if (pages <= space.gapLargest) {
    space.gapCeiling = space.mmapBase;
    space.gapLargest = 0;
  }
  let limit = space.mmapBase;
  let below = vmas.findIndex(space.gapCeiling - 1);
  if (below === vmas.count || vmas.startPage[vmas.at(below)] >= space.gapCeiling) below--;
  for (; ; below--) {
    const above = vmas.at(below + 1);
    const floor = below === -1 ? MMAP_MIN_PAGE : vmas.endPage[vmas.at(below)];
    const ceiling = above === -1 ? limit : Math.min(limit, vmas.startPage[above]);
    if (ceiling - floor >= pages) {
      if (above !== -1) limit = Math.min(limit, startWithGap(space, above));
      const start = Math.min(limit, ceiling) - pages;
      if (start >= floor) {
        space.gapCeiling = above === -1 ? space.mmapBase : Math.min(space.mmapBase, vmas.startPage[above]);
        return start;
      }
    }
    if (below === -1) return -1;
    // Its whole width: a later search may not be held below the guard gap that narrowed it for this one.
    const end = above === -1 ? space.mmapBase : Math.min(space.mmapBase, vmas.startPage[above]);
    space.gapLargest = Math.max(space.gapLargest, end - floor);
  }
}

/** Notes that a gap opened with its end at `end`: later searches must look there again. */
export function noteGap(space: AddressSpace, end: PageNumber): void {
  if (end <= space.gapCeiling) return;
  const next = space.vmas.find(end);
  space.gapCeiling = next === -1 ? space.mmapBase : Math.min(space.mmapBase, space.vmas.startPage[next]);
}

/** Rounds a length up to whole pages (PAGE_ALIGN); lengths near 2^64 wrap to 0 as in C. */
export function pagesOf(length: ByteCount): PageCount {
  const pages = Math.ceil(length / PAGE_SIZE);
  return pages >= 2 ** 52 ? 0 : pages;
}
