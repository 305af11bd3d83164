// Which areas may have huge pages, and in which sizes: by the settings, by advice and prctl, by their borders and by their clean page
// (__thp_vma_allowable_orders). What a fault makes of that is huge-fault.ts.
import type { AreaFlags, AreaId, PageNumber } from "../../hardware/integers.ts";
import type { AddressSpace } from "./address-space.ts";
import { type HugeCleanPage, zeroPage } from "./frames.ts";
import { HUGE_FRAMES, HUGE_ORDER } from "./free-frames.ts";
import { VM_HUGEPAGE, VM_NOHUGEPAGE } from "./vm-flags.ts";

/** Whether neither MADV_NOHUGEPAGE nor the prctl forbids huge pages in an area with these flags (vma_thp_disabled). */
export function mayMapHuge(space: AddressSpace, flags: AreaFlags): boolean {
  // Pages with a frame of their own have it one by one.
  if (space.kernel.frames.homeFrames !== 0) return false;
  if ((flags & VM_NOHUGEPAGE) !== 0 || space.thpDisable === "all") return false;
  return space.thpDisable === "no" || (flags & VM_HUGEPAGE) !== 0;
}

/** Whether faults in a mapping of a file in RAM may make a huge page of the file (shmem_allowable_huge_orders). */
export function mayHaveSharedHuge(space: AddressSpace, id: AreaId): boolean {
  const { vmas, kernel } = space;
  if (kernel.hugePages.shmem === "never" || vmas.anonymous[id] === 1 || (vmas.flags[id] & VM_HUGEPAGE) === 0)
    return false;
  return mayMapHuge(space, vmas.flags[id]);
}

/** Whether an area holds a block that shows an aligned range of its file. */
export function holdsAlignedFile(space: AddressSpace, id: AreaId): boolean {
  const { vmas } = space;
  const start = vmas.startPage[id];
  return (vmas.pageOffset[id] - start) % HUGE_FRAMES === 0 && holdsAligned(start, vmas.endPage[id], HUGE_ORDER);
}

/** The orders that faults of an area with these flags may use, before its borders are looked at. */
export function allowedOrders(space: AddressSpace, flags: AreaFlags): number {
  const { hugePages } = space.kernel;
  // Fresh marks are given page by page.
  if (!mayMapHuge(space, flags) || space.freshMarks?.isEmpty === false) return 0;
  const advised = (flags & VM_HUGEPAGE) !== 0;
  if (hugePages.enabled === "never" || (hugePages.enabled === "madvise" && !advised)) return 0;
  return hugePages.orders;
}

/** Whether an aligned range of 2^order pages lies wholly in [start, end), pages. */
export function holdsAligned(start: PageNumber, end: PageNumber, order: number): boolean {
  const size = 1 << order;
  return (Math.floor(start / size) + (start % size === 0 ? 0 : 1)) * size + size <= end;
}

/** How an area takes part in huge pages by its clean page; null: it does not. */
export function hugeCleanPage(space: AddressSpace, id: AreaId): HugeCleanPage | null {
  const clean = space.vmas.cleanPages[id];
  return clean === zeroPage ? space.kernel.hugeZeroPage : (clean.huge ?? null);
}

/** THPeligible of smaps: whether some size is enabled for the area and fits into it. It says nothing of what is mapped there. */
export function isHugeEligible(space: AddressSpace, id: AreaId): boolean {
  const { vmas } = space;
  if (vmas.anonymous[id] === 0) return mayHaveSharedHuge(space, id) && holdsAlignedFile(space, id);
  if (hugeCleanPage(space, id) === null) return false;
  const orders = allowedOrders(space, vmas.flags[id]);
  for (let order = HUGE_ORDER; order > 0; order--) {
    if (((orders >> order) & 1) === 1 && holdsAligned(vmas.startPage[id], vmas.endPage[id], order)) return true;
  }
  return false;
}
