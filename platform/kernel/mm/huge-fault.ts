// Faults that map more than a page: huge pages and huge clean pages (do_huge_pmd_anonymous_page, do_huge_pmd_wp_page), and large
// folios below 2 MiB (alloc_anon_folio). What is not done here is done page by page in fault.ts.
import type { AreaFlags, AreaId, PageNumber } from "../../hardware/integers.ts";
import {
  ACCESS_STORE,
  PTE_ANON,
  PTE_FRAME_SHIFT,
  PTE_NOT_DIRTY,
  PTE_READ,
  PTE_SPECIAL,
  PTE_WRITE,
} from "../../hardware/layout.ts";
import type { AddressSpace } from "./address-space.ts";
import { NO_FRAME, zeroPage } from "./frames.ts";
import { HUGE_FRAMES, HUGE_ORDER } from "./free-frames.ts";
import { allowedOrders, hugeCleanPage } from "./huge-eligibility.ts";
import { blockStart, installHuge, splitHuge } from "./huge-entries.ts";
import { HUGE_ORDER_BIT } from "./huge-settings.ts";
import { countTaggedZeroing, installEntry, makeEntry } from "./pte.ts";
import { VM_MTE, VM_UFFD_MISSING, VM_WRITE } from "./vm-flags.ts";
import { prepareAnonVma } from "./vma-merge.ts";

/**
 * A fault in a block without page table: maps all of it, if the area holds it and may have huge pages, and if there is a block of
 * frames. @returns whether it did; if not, a small page is to be had.
 */
export function hugeFault(space: AddressSpace, id: AreaId, page: PageNumber, access: number): boolean {
  const { vmas, kernel } = space;
  const flags = vmas.flags[id];
  const start = blockStart(page);
  if (start < vmas.startPage[id] || start + HUGE_FRAMES > vmas.endPage[id]) return false;
  if ((allowedOrders(space, flags) & HUGE_ORDER_BIT) === 0) return false;
  if ((flags & VM_UFFD_MISSING) !== 0) return false;
  const clean = hugeCleanPage(space, id);
  if (clean === null) return false;
  const isStore = access === ACCESS_STORE;
  if (isStore && clean.stores === "small") return false;
  // A load prepares one as well, though it brings no private page: that is why fork copies the huge zero page.
  prepareAnonVma(space, id);
  const avoidsClean = vmas.cleanPages[id] === zeroPage && !kernel.hugePages.useZeroPage;
  if (isStore || avoidsClean) return storeHuge(space, id, start);
  const head = clean.frame();
  if (head === NO_FRAME) {
    kernel.counters.hugeFallbacks++;
    return false;
  }
  installHuge(space, start, makeEntry(space, head, flags, PTE_SPECIAL, false));
  kernel.counters.cleanReadFaults++;
  kernel.counters.hugeCleanFaults++;
  space.cleanLoadObserver?.(page);
  return true;
}

/** Maps a new huge page that starts as the area's clean page. @returns false if no block of frames could be had. */
function storeHuge(space: AddressSpace, id: AreaId, start: PageNumber): boolean {
  const head = allocateHuge(space, id);
  if (head === NO_FRAME) return false;
  installHuge(space, start, makeEntry(space, head, space.vmas.flags[id], PTE_ANON, true));
  space.kernel.counters.anonymousWriteFaults++;
  return true;
}

function allocateHuge(space: AddressSpace, id: AreaId): number {
  const { vmas, kernel } = space;
  const { frames, counters } = kernel;
  const head = frames.allocateFolio(HUGE_ORDER, vmas.cleanPages[id], space.cgroup);
  if (head === NO_FRAME) {
    counters.hugeFallbacks++;
    return NO_FRAME;
  }
  if ((vmas.flags[id] & VM_MTE) !== 0) countTaggedZeroing(space, id, HUGE_FRAMES);
  frames.exclusive[head] = 1;
  counters.hugeWriteFaults++;
  return head;
}

/**
 * A store to a block that a huge entry maps read-only: the huge clean page makes way for a huge page, without asking again
 * whether the area may have one; a huge page that has one owner becomes writable. Of any other the entry is split.
 * @returns whether the store may go on; if not, the page is to be copied by itself.
 */
export function storeToHuge(space: AddressSpace, id: AreaId, page: PageNumber): boolean {
  const { pageTable } = space;
  const start = blockStart(page);
  const entry = pageTable.entryOf(start);
  const flags = space.vmas.flags[id];
  if ((entry & PTE_SPECIAL) !== 0) {
    const head = hugeCleanPage(space, id)?.stores === "huge" ? allocateHuge(space, id) : NO_FRAME;
    if (head === NO_FRAME) {
      splitHuge(space, start);
      return false;
    }
    space.kernel.counters.hugeReplaceFaults++;
    installHuge(space, start, makeEntry(space, head, flags, PTE_ANON, true));
    return true;
  }
  const head = entry >>> PTE_FRAME_SHIFT;
  if ((entry & PTE_ANON) === 0 || !takeOverHuge(space, head)) {
    splitHuge(space, start);
    return false;
  }
  const permission = (flags & VM_WRITE) !== 0 ? PTE_READ | PTE_WRITE : PTE_READ;
  pageTable.setHuge(start, (entry & ~PTE_NOT_DIRTY) | permission);
  return true;
}

/** Makes a huge page its only owner's alone, if it has but one. */
export function takeOverHuge(space: AddressSpace, head: number): boolean {
  const { frames, counters } = space.kernel;
  if (frames.exclusive[head] === 0) {
    if (frames.folios.references(head) !== 1) return false;
    frames.exclusive[head] = 1;
  }
  counters.reuseFaults++;
  return true;
}

/**
 * A store to an untouched page of an area that may have large folios below 2 MiB: maps the largest whose aligned range lies in
 * the area and is empty. @returns whether it did.
 */
export function folioFault(space: AddressSpace, id: AreaId, page: PageNumber): boolean {
  const { vmas, kernel, pageTable } = space;
  const { frames, counters } = kernel;
  const flags = vmas.flags[id];
  const orders = allowedOrders(space, flags) & (HUGE_ORDER_BIT - 1);
  if (orders === 0 || (flags & VM_UFFD_MISSING) !== 0 || hugeCleanPage(space, id)?.stores !== "huge") return false;
  for (let order = 31 - Math.clz32(orders); order > 0; order--) {
    if (((orders >> order) & 1) === 0) continue;
    const size = 1 << order;
    const start = page & -size;
    const end = start + size;
    if (start < vmas.startPage[id] || end > vmas.endPage[id] || pageTable.next(start, end) !== end) continue;
    const head = frames.allocateFolio(order, vmas.cleanPages[id], space.cgroup);
    if (head === NO_FRAME) {
      counters.hugeFallbacks++;
      continue;
    }
    prepareAnonVma(space, id);
    if ((flags & VM_MTE) !== 0) countTaggedZeroing(space, id, size);
    mapFolio(space, start, head, size, flags);
    counters.folioFaults++;
    counters.anonymousWriteFaults++;
    return true;
  }
  return false;
}

function mapFolio(space: AddressSpace, start: PageNumber, head: number, size: number, flags: AreaFlags): void {
  const { frames } = space.kernel;
  frames.exclusive.fill(1, head, head + size);
  for (let index = 0; index < size; index++) {
    // Each mapping holds the folio; the allocation brought the first reference.
    if (index > 0) frames.get(head);
    installEntry(space, start + index, makeEntry(space, head + index, flags, PTE_ANON, true));
  }
}
