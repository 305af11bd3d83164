// Making and changing page-table entries: what an area's flags allow, and the counts that go with each entry.
// When an entry is made is decided by the fault path and the calls; nothing here allocates.
import type { AreaFlags, AreaId, FrameNumber, PageCount, PageNumber, PageTableEntry } from "../../hardware/integers.ts";
import {
  PAGE_SIZE,
  PTE_ANON,
  PTE_CHECKED,
  PTE_DBM,
  PTE_FRAME_SHIFT,
  PTE_MTE,
  PTE_NOT_DIRTY,
  PTE_PRESENT,
  PTE_READ,
  PTE_SPECIAL,
  PTE_WRITE,
} from "../../hardware/layout.ts";
import type { AddressSpace } from "./address-space.ts";
import { zeroPage } from "./frames.ts";
import { VM_ACCESS_FLAGS, VM_LOCKED, VM_MTE, VM_SHARED, VM_WRITE } from "./vm-flags.ts";

/** Permission bits of an entry: any accessible page can be read (x86 has no write-only or execute-only pages). */
export function permissionBits(flags: AreaFlags, writable: boolean): number {
  if ((flags & VM_ACCESS_FLAGS) === 0) return 0;
  return writable && (flags & VM_WRITE) !== 0 ? PTE_READ | PTE_WRITE : PTE_READ;
}

/** An entry for `frame` in an area with `flags`; `kind` is PTE_SPECIAL, PTE_ANON or 0 for a page of a file. */
export function makeEntry(
  space: AddressSpace,
  frame: FrameNumber,
  flags: AreaFlags,
  kind: number,
  writable: boolean,
): PageTableEntry {
  let entry = (frame << PTE_FRAME_SHIFT) | PTE_PRESENT | kind | permissionBits(flags, writable);
  if ((flags & VM_MTE) !== 0) entry |= PTE_MTE | PTE_CHECKED;
  if (frame >= space.kernel.frames.firstChecked) entry |= PTE_CHECKED;
  return entry;
}

/**
 * An entry for a page of a file. A load's is clean: in a shared mapping the processor makes it dirty at the first store, of which the file
 * hears only when the entry goes (set_pte_range).
 */
export function makeFileEntry(
  space: AddressSpace,
  frame: FrameNumber,
  flags: AreaFlags,
  { dirty }: { readonly dirty: boolean },
): PageTableEntry {
  const entry = makeEntry(space, frame, flags, 0, (flags & VM_SHARED) !== 0);
  return dirty ? entry : undirtiedEntry(entry);
}

/** Before an entry of a file's page goes: what was stored through it is the file's to keep (zap_present_folio_ptes). */
export function keepDirty(space: AddressSpace, entry: PageTableEntry): void {
  if ((entry & PTE_NOT_DIRTY) === 0) space.kernel.frames.markDirty(entry >>> PTE_FRAME_SHIFT);
}

/** Puts a counted entry where none was: the frame's map count and the address space's RSS go up. The caller brings the reference. */
export function installEntry(space: AddressSpace, page: PageNumber, entry: PageTableEntry): void {
  space.pageTable.set(page, entry);
  space.kernel.counters.ptesSet++;
  if ((entry & PTE_SPECIAL) !== 0) return;
  space.kernel.frames.map(entry >>> PTE_FRAME_SHIFT, space.id);
  if ((entry & PTE_ANON) !== 0) space.rssAnonymous++;
  else space.rssFile++;
}

/** Clears an entry of an area with `flags` and gives back what it counted: map count, RSS and the frame's reference. */
export function removeEntry(space: AddressSpace, page: PageNumber, flags: AreaFlags): void {
  const entry = space.pageTable.entries[page];
  space.pageTable.set(page, 0);
  space.kernel.counters.ptesZapped++;
  if ((entry & PTE_PRESENT) === 0 || (entry & PTE_SPECIAL) !== 0) return;
  if ((entry & PTE_ANON) !== 0) space.rssAnonymous--;
  else {
    space.rssFile--;
    keepDirty(space, entry);
  }
  if ((flags & VM_LOCKED) !== 0) space.kernel.frames.batch(entry >>> PTE_FRAME_SHIFT);
  space.kernel.frames.unmap(entry >>> PTE_FRAME_SHIFT, space.id);
}

/** The entry of a page that the next store must make dirty; if it permits stores it goes on doing so. */
export function undirtiedEntry(entry: PageTableEntry): PageTableEntry {
  const permits = (entry & PTE_WRITE) !== 0 ? PTE_DBM : 0;
  return (entry & ~PTE_WRITE) | PTE_NOT_DIRTY | permits;
}

/** Whether a present entry may become writable without a fault (can_change_pte_writable). */
export function canBecomeWritable(space: AddressSpace, entry: PageTableEntry, flags: AreaFlags): boolean {
  if ((flags & VM_WRITE) === 0) return false;
  if ((flags & VM_SHARED) !== 0) return true;
  return (entry & PTE_ANON) !== 0 && space.kernel.frames.exclusive[entry >>> PTE_FRAME_SHIFT] === 1;
}

/** Memory with tags is zeroed by DC GZVA, tags in the same pass (__GFP_ZEROTAGS, mte_zero_clear_page_tags). */
export function countTaggedZeroing(space: AddressSpace, id: AreaId, pages: PageCount): void {
  const { machine, counters } = space.kernel;
  if (space.vmas.cleanPages[id] === zeroPage) counters.gzvaBlocks += (pages * PAGE_SIZE) / machine.gzvaBlockBytes;
}
