// What must hold between areas, page tables, frames, cgroups and counts, checked after operations in tests.
// Each broken rule is named with its numbers; nothing is mended here.
import type { AreaId, PageNumber, PageTableEntry } from "../hardware/integers.ts";
import {
  PTE_ANON,
  PTE_CHECKED,
  PTE_DBM,
  PTE_FRAME_SHIFT,
  PTE_GUARD,
  PTE_NOT_DIRTY,
  PTE_PRESENT,
  PTE_SPECIAL,
  PTE_WRITE,
} from "../hardware/layout.ts";
import { checkFiles } from "./invariants-files.ts";
import { checkFolios } from "./invariants-folios.ts";
import type { Kernel } from "./kernel.ts";
import type { AddressSpace } from "./mm/address-space.ts";
import { NO_FRAME } from "./mm/frames.ts";
import { HUGE_FRAMES } from "./mm/free-frames.ts";
import { hugeCleanPage } from "./mm/huge-eligibility.ts";
import { isDataMapping, VM_ACCOUNT, VM_SHARED, VM_WRITE } from "./mm/vm-flags.ts";
import type { Process } from "./process.ts";

/** @throws Error naming the first broken rule. */
export function checkKernelInvariants(kernel: Kernel): void {
  kernel.frames.checkInvariants();
  const mapCounts = new Int32Array(kernel.frames.frameCount);
  const hugeCounts = new Map<number, number>();
  let accounted = 0;
  for (const process of kernel.processes.values()) {
    checkSpace(process, mapCounts, hugeCounts);
    accounted += accountedPages(process.addressSpace);
  }
  const references = mapCounts.slice();
  // A plain loop: Int32Array.from() with a function took most of what a recorded script costs.
  for (let frame = 0; frame < references.length; frame++) references[frame] += kernel.frames.pins[frame];
  references[kernel.frames.reservedFrame]++;
  accounted += checkFiles(kernel, references);
  for (const holder of kernel.frameHolders) for (const frame of holder()) references[frame]++;
  if (accounted !== kernel.committedPages) {
    throw new Error(`areas and files promise ${accounted} pages but ${kernel.committedPages} are committed`);
  }
  for (let frame = 0; frame < mapCounts.length; frame++) {
    if (mapCounts[frame] !== kernel.frames.mapCounts[frame]) {
      throw new Error(
        `frame ${frame} is mapped ${mapCounts[frame]} times but has map count ${kernel.frames.mapCounts[frame]}`,
      );
    }
    if (kernel.frames.isInFolio(frame)) continue;
    if (references[frame] !== kernel.frames.references[frame]) {
      throw new Error(
        `frame ${frame} is mapped, cached, pinned or held ${references[frame]} times but has reference count ${kernel.frames.references[frame]}`,
      );
    }
    if (kernel.frames.exclusive[frame] === 1 && mapCounts[frame] > 1) {
      throw new Error(`frame ${frame} is exclusive but mapped ${mapCounts[frame]} times`);
    }
  }
  checkFolios(kernel.frames, mapCounts, hugeCounts, references);
}

function accountedPages(space: AddressSpace): number {
  const { vmas } = space;
  let pages = 0;
  for (let index = 0; index < vmas.count; index++) {
    const id = vmas.at(index);
    if ((vmas.flags[id] & VM_ACCOUNT) !== 0) pages += vmas.endPage[id] - vmas.startPage[id];
  }
  return pages;
}

function checkSpace(process: Process, mapCounts: Int32Array, hugeCounts: Map<number, number>): void {
  const space = process.addressSpace;
  const { vmas, pageTable } = space;
  const who = `process ${process.pid}`;
  vmas.checkInvariants();
  pageTable.checkInvariants();
  let total = 0;
  let data = 0;
  let anonymous = 0;
  let file = 0;
  let covered = 0;
  for (let index = 0; index < vmas.count; index++) {
    const id = vmas.at(index);
    const start = vmas.startPage[id];
    const end = vmas.endPage[id];
    total += end - start;
    if (isDataMapping(vmas.flags[id])) data += end - start;
    for (let page = pageTable.next(start, end); page < end; page = pageTable.next(page + 1, end)) {
      const entry = pageTable.entryOf(page);
      covered++;
      checkEntry(space, id, page, entry, who);
      if ((entry & PTE_PRESENT) === 0 || (entry & PTE_SPECIAL) !== 0) continue;
      const frame = entry >>> PTE_FRAME_SHIFT;
      if (!pageTable.isHuge(page)) mapCounts[frame]++;
      else if (page === pageTable.blockEnd(page) - HUGE_FRAMES) hugeCounts.set(frame, (hugeCounts.get(frame) ?? 0) + 1);
      if ((entry & PTE_ANON) !== 0) anonymous++;
      else file++;
    }
  }
  const entries = pageTable.count(0, pageTable.entries.length);
  if (entries !== covered) throw new Error(`${who}: ${entries} page-table entries but ${covered} lie inside areas`);
  const counts: readonly (readonly [string, number, number])[] = [
    ["total pages", total, space.totalPages],
    ["data pages", data, space.dataPages],
    ["anonymous RSS", anonymous, space.rssAnonymous],
    ["file RSS", file, space.rssFile],
  ];
  for (const [name, found, counted] of counts) {
    if (found !== counted) throw new Error(`${who}: ${name} is ${found} but counted as ${counted}`);
  }
  space.firstStores.checkInvariants();
}

function checkEntry(space: AddressSpace, id: AreaId, page: PageNumber, entry: PageTableEntry, who: string): void {
  const { vmas } = space;
  if ((entry & PTE_GUARD) !== 0) {
    if ((entry & ~PTE_GUARD) !== 0)
      throw new Error(`${who}: page ${page} has a guard marker with other bits: ${entry}`);
    return;
  }
  if ((entry & PTE_PRESENT) === 0)
    throw new Error(`${who}: page ${page} has an entry ${entry} that is neither present nor a guard`);
  const frame = entry >>> PTE_FRAME_SHIFT;
  if ((entry & PTE_WRITE) !== 0 && (vmas.flags[id] & VM_WRITE) === 0) {
    throw new Error(`${who}: page ${page} is writable but its area is not`);
  }
  if ((entry & PTE_ANON) !== 0 && vmas.anonVma[id] === 0)
    throw new Error(`${who}: page ${page} is private but its area ${id} has no anon_vma: a fork would not copy it`);
  if ((entry & PTE_DBM) !== 0 && (entry & (PTE_SPECIAL | PTE_NOT_DIRTY | PTE_WRITE)) !== PTE_NOT_DIRTY) {
    throw new Error(
      `${who}: page ${page} waits for a store to make it dirty, but is no clean page of its own: ${entry}`,
    );
  }
  if ((entry & PTE_DBM) !== 0 && (entry & PTE_ANON) === 0 && (vmas.flags[id] & VM_SHARED) === 0)
    throw new Error(`${who}: page ${page} of a file would take a store of a private mapping: ${entry}`);
  if ((entry & PTE_DBM) !== 0 && (vmas.flags[id] & VM_WRITE) === 0) {
    throw new Error(`${who}: page ${page} would take a store but its area would not`);
  }
  const cleanFrame = space.pageTable.isHuge(page)
    ? hugeCleanFrame(space, id, page)
    : space.kernel.frames.cleanFrame(vmas.cleanPages[id], page);
  if ((entry & PTE_SPECIAL) !== 0 && frame !== cleanFrame)
    throw new Error(`${who}: page ${page} is special with frame ${frame}, but the clean page is ${cleanFrame}`);
  if ((entry & PTE_ANON) !== 0 && page < space.kernel.frames.homeFrames && frame !== page)
    throw new Error(`${who}: page ${page} has frame ${frame} and is not at home`);
  if ((entry & (PTE_SPECIAL | PTE_WRITE)) === (PTE_SPECIAL | PTE_WRITE))
    throw new Error(`${who}: clean page ${page} is writable`);
  const owner = space.pageTable.isHuge(page) ? space.kernel.frames.headOf(frame) : frame;
  const takesStores = (entry & (PTE_WRITE | PTE_DBM)) !== 0;
  if ((entry & PTE_ANON) !== 0 && takesStores && space.kernel.frames.exclusive[owner] === 0) {
    throw new Error(`${who}: page ${page} is writable but frame ${frame} is not exclusive`);
  }
  if (space.kernel.machine.shadow && (entry & PTE_CHECKED) === 0)
    throw new Error(`${who}: page ${page} escapes the validity checks`);
}

/** The frame that a huge clean page has for `page`. */
function hugeCleanFrame(space: AddressSpace, id: AreaId, page: PageNumber): number {
  return (hugeCleanPage(space, id)?.frame() ?? NO_FRAME) + (page & (HUGE_FRAMES - 1));
}
