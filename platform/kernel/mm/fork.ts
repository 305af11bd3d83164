// The address-space part of fork(2): a copy of the areas, and page-table entries shared until somebody writes (dup_mmap, copy_page_range).
// Processes and descriptors are process.ts. Cost: touched pages and areas.
import type { AreaFlags, AreaId, PageNumber, PageTableEntry } from "../../hardware/integers.ts";
import {
  PTE_ANON,
  PTE_DBM,
  PTE_FRAME_SHIFT,
  PTE_GUARD,
  PTE_PRESENT,
  PTE_SPECIAL,
  PTE_WRITE,
} from "../../hardware/layout.ts";
import { SystemError } from "../abi/errors.ts";
import { ResourceLimits } from "../abi/rlimit.ts";
import { AddressSpace } from "./address-space.ts";
import { exitMmap } from "./exit-mmap.ts";
import { NO_FRAME } from "./frames.ts";
import { copyHuge } from "./huge-entries.ts";
import { OldPages } from "./old-pages.ts";
import { installEntry, makeEntry, undirtiedEntry } from "./pte.ts";
import {
  isCowMapping,
  VM_ACCOUNT,
  VM_DONTCOPY,
  VM_LOCKED_MASK,
  VM_MAYBE_GUARD,
  VM_UFFD_MISSING,
  VM_WIPEONFORK,
} from "./vm-flags.ts";
import { holdFile } from "./vma-merge.ts";

/**
 * A copy of `parent`. Pages are shared and copied at the first store; pinned pages are copied now.
 * @throws SystemError ENOMEM: overcommit, no frame for a pinned page, or pages that are at home; no copy remains then.
 */
export function forkAddressSpace(parent: AddressSpace): AddressSpace {
  if (parent.homes !== null) throw new SystemError("ENOMEM", "fork", "each page has one frame, which is not shared");
  const child = new AddressSpace(parent.kernel, new ResourceLimits(parent.limits), parent.cgroup);
  child.startBrk = parent.startBrk;
  child.brk = parent.brk;
  child.thpDisable = parent.thpDisable;
  child.oldPages = new OldPages();
  child.freshMarks = parent.freshMarks?.forked() ?? null;
  try {
    const { vmas } = parent;
    for (let index = 0; index < vmas.count; index++) {
      const id = vmas.at(index);
      if ((vmas.flags[id] & VM_DONTCOPY) === 0) forkArea(parent, child, id);
      else child.freshMarks?.unmapped(vmas.startPage[id], vmas.endPage[id]);
    }
  } catch (error) {
    exitMmap(child);
    throw error;
  }
  return child;
}

function forkArea(parent: AddressSpace, child: AddressSpace, id: AreaId): void {
  const { vmas, kernel } = parent;
  const flags = vmas.flags[id] & ~(VM_LOCKED_MASK | VM_UFFD_MISSING);
  const start = vmas.startPage[id];
  const end = vmas.endPage[id];
  if ((flags & VM_ACCOUNT) !== 0 && !kernel.commit(end - start, parent))
    throw new SystemError("ENOMEM", "fork", "overcommit");
  const file = vmas.files[id];
  const copy = child.vmas.insert({
    start,
    end,
    flags,
    pageOffset: vmas.pageOffset[id],
    anonymous: vmas.anonymous[id] === 1,
    file,
    cleanPage: vmas.cleanPages[id],
  });
  holdFile(child, file, vmas.anonymous[id] === 0);
  child.account(flags, end - start);
  if ((flags & VM_WIPEONFORK) !== 0) {
    child.freshMarks?.emptied(start, end);
    return;
  }
  const hasAnonVma = vmas.anonVma[id] !== 0;
  // What a fault could not restore must be copied: private pages and guard markers (vma_needs_copy). MREMAP_DONTUNMAP takes
  // an area's anon_vma and leaves it its mark of guards.
  if (!hasAnonVma && (flags & VM_MAYBE_GUARD) === 0) return;
  if (hasAnonVma) {
    // The child's area has an anon_vma of its own behind its parent's (anon_vma_fork).
    child.vmas.setAnonVma(copy, kernel.nextAnonVma(), vmas.anonChain[id] + 1);
  }
  copyEntries(parent, child, start, end, flags);
}

function copyEntries(
  parent: AddressSpace,
  child: AddressSpace,
  start: PageNumber,
  end: PageNumber,
  flags: AreaFlags,
): void {
  const { pageTable } = parent;
  for (let block = pageTable.nextUsedBlock(start, end); block < end; ) {
    if (!pageTable.isHuge(block) || !copyHuge(parent, child, block)) {
      // An empty page table is copied as well (copy_pte_range).
      child.pageTable.makeTable(block);
      copyBlock(parent, child, Math.max(start, block), Math.min(end, pageTable.blockEnd(block)), flags);
    }
    block = pageTable.nextUsedBlock(pageTable.blockEnd(block), end);
  }
}

function copyBlock(
  parent: AddressSpace,
  child: AddressSpace,
  start: PageNumber,
  end: PageNumber,
  flags: AreaFlags,
): void {
  const { pageTable } = parent;
  const cow = isCowMapping(flags);
  for (let page = pageTable.next(start, end); page < end; page = pageTable.next(page + 1, end)) {
    const entry = pageTable.entryOf(page);
    if ((entry & PTE_GUARD) !== 0) {
      child.pageTable.set(page, entry);
      continue;
    }
    if ((entry & PTE_PRESENT) === 0) continue;
    copyEntry(parent, child, page, entry, flags, cow);
  }
}

function copyEntry(
  parent: AddressSpace,
  child: AddressSpace,
  page: PageNumber,
  entry: PageTableEntry,
  flags: AreaFlags,
  cow: boolean,
): void {
  const { frames } = parent.kernel;
  const frame = entry >>> PTE_FRAME_SHIFT;
  if ((entry & PTE_SPECIAL) !== 0) {
    installEntry(child, page, entry);
    return;
  }
  if ((entry & PTE_ANON) !== 0 && frames.pins[frames.headOf(frame)] > 0) {
    // Somebody outside holds the parent's page: it must stay the parent's, so the child's copy is made now (copy_present_page).
    const copy = frames.allocateCopy(frame, child.cgroup);
    if (copy === NO_FRAME) throw new SystemError("ENOMEM", "fork", "no frame for a pinned page");
    frames.exclusive[copy] = 1;
    installEntry(child, page, makeEntry(child, copy, flags, PTE_ANON, true));
    return;
  }
  // The child has not stored to a file's page, whoever has.
  let shared = (entry & PTE_ANON) === 0 ? undirtiedEntry(entry) : entry;
  if (cow) {
    shared &= ~(PTE_WRITE | PTE_DBM);
    parent.pageTable.entries[page] = entry & ~(PTE_WRITE | PTE_DBM);
    if ((entry & PTE_ANON) !== 0) {
      if (parent.oldPages !== null && frames.exclusive[frame] === 1) parent.oldPages.delete(page);
      frames.exclusive[frame] = 0;
      child.oldPages?.add(page);
    }
  }
  frames.get(frame);
  installEntry(child, page, shared);
}
