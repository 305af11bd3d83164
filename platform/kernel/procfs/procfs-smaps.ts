// /proc/PID/smaps and smaps_rollup: what of each area is resident, and how much of it is this process's share
// (fs/proc/task_mmu.c, smaps_account). Costs touched pages and areas.
import type { AreaId, PageCount, PageNumber, PageTableEntry } from "../../hardware/integers.ts";
import {
  PAGE_SIZE,
  PTE_ANON,
  PTE_DBM,
  PTE_FRAME_SHIFT,
  PTE_NOT_DIRTY,
  PTE_PRESENT,
  PTE_SPECIAL,
} from "../../hardware/layout.ts";
import type { AddressSpace } from "../mm/address-space.ts";
import { HUGE_FRAMES } from "../mm/free-frames.ts";
import { isHugeEligible } from "../mm/huge-eligibility.ts";
import { VM_LOCKED } from "../mm/vm-flags.ts";
import { forEachArea, headerLine, headerPrefix, vmFlagNames, withName } from "./procfs-maps.ts";

/** Fractions of a byte in which Pss is added up (PSS_SHIFT); a page's share is rounded down to one of these. */
const PSS_FRACTIONS = 2 ** 12;
const KIB_PER_PAGE = PAGE_SIZE / 1024;

/** What smaps adds up (mem_size_stats): pages, but all that is Pss in 1/4096 byte. */
export interface AreaUsage {
  rss: number;
  /** Pages that neither fork nor MADV_FREE has made old; and pages that MADV_FREE gave up. */
  referenced: number;
  lazyFree: number;
  pss: number;
  pssDirty: number;
  pssAnonymous: number;
  /** The share of locked areas. */
  pssLocked: number;
  sharedClean: number;
  sharedDirty: number;
  privateClean: number;
  privateDirty: number;
  anonymous: number;
  /** Pages that huge entries map: of anonymous memory, and of shared memory. */
  anonymousHuge: number;
  sharedHuge: number;
}

function noUsage(): AreaUsage {
  return {
    rss: 0,
    referenced: 0,
    lazyFree: 0,
    pss: 0,
    pssDirty: 0,
    pssAnonymous: 0,
    pssLocked: 0,
    sharedClean: 0,
    sharedDirty: 0,
    privateClean: 0,
    privateDirty: 0,
    anonymous: 0,
    anonymousHuge: 0,
    sharedHuge: 0,
  };
}

/** Walks the entries of an area (smaps_pte_range) and adds them to `usage`. Special pages are not counted. */
export function areaUsage(space: AddressSpace, id: AreaId, usage: AreaUsage = noUsage()): AreaUsage {
  const { vmas, pageTable } = space;
  const end = vmas.endPage[id];
  const before = usage.pss;
  for (let page = pageTable.next(vmas.startPage[id], end); page < end; page = pageTable.next(page + 1, end)) {
    const entry = pageTable.entryOf(page);
    const isCounted = (entry & (PTE_PRESENT | PTE_SPECIAL)) === PTE_PRESENT;
    if (pageTable.isHuge(page)) {
      if (isCounted) addHuge(space, usage, page, entry);
      page = pageTable.blockEnd(page) - 1;
    } else if (isCounted) {
      addPages(space, usage, entry, space.kernel.frames.mapCountOf(entry >>> PTE_FRAME_SHIFT), 1);
      if (isReferenced(space, page, entry)) usage.referenced++;
    }
  }
  if ((vmas.flags[id] & VM_LOCKED) !== 0) usage.pssLocked += usage.pss - before;
  return usage;
}

/** A huge entry. What nothing else maps or holds is mapped once in all its pages; else each is looked at (smaps_account). */
function addHuge(space: AddressSpace, usage: AreaUsage, page: PageNumber, entry: PageTableEntry): void {
  const { frames } = space.kernel;
  const head = entry >>> PTE_FRAME_SHIFT;
  if (isReferenced(space, page, entry)) usage.referenced += HUGE_FRAMES;
  usage[(entry & PTE_ANON) !== 0 ? "anonymousHuge" : "sharedHuge"] += HUGE_FRAMES;
  if (frames.folios.references(head) === 1) {
    addPages(space, usage, entry, 1, HUGE_FRAMES);
    return;
  }
  for (let frame = head; frame < head + HUGE_FRAMES; frame++)
    addPages(space, usage, entry, frames.mapCountOf(frame), 1);
}

/** `pages` pages that are mapped `mapped` times each, with the entry of one of them (smaps_page_accumulate). */
function addPages(
  space: AddressSpace,
  usage: AreaUsage,
  entry: PageTableEntry,
  mapped: number,
  pages: PageCount,
): void {
  const share = Math.floor((PAGE_SIZE * PSS_FRACTIONS) / mapped) * pages;
  usage.rss += pages;
  usage.pss += share;
  if ((entry & PTE_ANON) !== 0) {
    usage.anonymous += pages;
    usage.pssAnonymous += share;
  }
  const clean = (entry & PTE_NOT_DIRTY) !== 0 && !space.kernel.frames.isDirty(entry >>> PTE_FRAME_SHIFT);
  if (!clean) usage.pssDirty += share;
  if (clean && space.kernel.frames.isGivenUp(entry >>> PTE_FRAME_SHIFT)) usage.lazyFree += pages;
  if (mapped > 1) usage[clean ? "sharedClean" : "sharedDirty"] += pages;
  else usage[clean ? "privateClean" : "privateDirty"] += pages;
}

/**
 * Whether the page was accessed since fork or MADV_FREE made it old. There is no accessed bit: only a store tells, by its fault, and
 * what fork shared is the process's alone after one.
 */
function isReferenced({ kernel, oldPages }: AddressSpace, page: PageNumber, entry: PageTableEntry): boolean {
  if ((entry & PTE_ANON) === 0) return true;
  if ((entry & (PTE_NOT_DIRTY | PTE_DBM)) === (PTE_NOT_DIRTY | PTE_DBM)) return false;
  if (oldPages === null) return true;
  return kernel.frames.exclusive[entry >>> PTE_FRAME_SHIFT] === 1 || !oldPages.has(page);
}

function kilobytes(name: string, value: number): string {
  return `${`${name}:`.padEnd(16)}${String(value).padStart(8)} kB\n`;
}

function shareLine(name: string, pss: number): string {
  return kilobytes(name, Math.floor(pss / (1024 * PSS_FRACTIONS)));
}

/** The lines that both files have (__show_smap). Only the rollup splits Pss by what the pages are: files are all in RAM here. */
function usageLines(usage: AreaUsage, { rollup }: { readonly rollup: boolean }): string {
  const kinds =
    shareLine("Pss_Anon", usage.pssAnonymous) +
    shareLine("Pss_File", 0) +
    shareLine("Pss_Shmem", usage.pss - usage.pssAnonymous);
  return (
    kilobytes("Rss", usage.rss * KIB_PER_PAGE) +
    shareLine("Pss", usage.pss) +
    shareLine("Pss_Dirty", usage.pssDirty) +
    (rollup ? kinds : "") +
    kilobytes("Shared_Clean", usage.sharedClean * KIB_PER_PAGE) +
    kilobytes("Shared_Dirty", usage.sharedDirty * KIB_PER_PAGE) +
    kilobytes("Private_Clean", usage.privateClean * KIB_PER_PAGE) +
    kilobytes("Private_Dirty", usage.privateDirty * KIB_PER_PAGE) +
    kilobytes("Referenced", usage.referenced * KIB_PER_PAGE) +
    kilobytes("Anonymous", usage.anonymous * KIB_PER_PAGE) +
    kilobytes("KSM", 0) +
    kilobytes("LazyFree", usage.lazyFree * KIB_PER_PAGE) +
    kilobytes("AnonHugePages", usage.anonymousHuge * KIB_PER_PAGE) +
    kilobytes("ShmemPmdMapped", usage.sharedHuge * KIB_PER_PAGE) +
    kilobytes("FilePmdMapped", 0) +
    kilobytes("Shared_Hugetlb", 0) +
    kilobytes("Private_Hugetlb", 0) +
    kilobytes("Swap", 0) +
    kilobytes("SwapPss", 0) +
    shareLine("Locked", usage.pssLocked)
  );
}

const PAGE_SIZE_LINES = kilobytes("KernelPageSize", KIB_PER_PAGE) + kilobytes("MMUPageSize", KIB_PER_PAGE);

function eligibleLine(eligible: boolean): string {
  return `${"THPeligible:".padEnd(16)}${(eligible ? "1" : "0").padStart(8)}\n`;
}

/**
 * The text of /proc/PID/smaps. Most areas of a program with many have no page in memory and the flags of others: their
 * lines are made once.
 */
export function smapsText(space: AddressSpace): string {
  const { vmas } = space;
  const flagLines = new Map<number, string>();
  let untouchedLines = "";
  const parts: string[] = [];
  forEachArea(space, (id) => {
    const flags = vmas.flags[id];
    let flagLine = flagLines.get(flags);
    if (flagLine === undefined) {
      flagLine = `VmFlags: ${vmFlagNames(flags)} \n`;
      flagLines.set(flags, flagLine);
    }
    const usage = areaUsage(space, id);
    let lines = untouchedLines;
    if (usage.rss > 0 || untouchedLines === "") {
      lines = PAGE_SIZE_LINES + usageLines(usage, { rollup: false });
      if (usage.rss === 0) untouchedLines = lines;
    }
    const size = (vmas.endPage[id] - vmas.startPage[id]) * KIB_PER_PAGE;
    parts.push(
      headerLine(space, id),
      "\n",
      kilobytes("Size", size),
      lines,
      eligibleLine(isHugeEligible(space, id)),
      flagLine,
    );
  });
  return parts.join("");
}

/** The text of /proc/PID/smaps_rollup: all areas as one, each share rounded only after it is added up. */
export function rollupText(space: AddressSpace): string {
  const { vmas } = space;
  const total = noUsage();
  forEachArea(space, (id) => areaUsage(space, id, total));
  const start = vmas.count === 0 ? 0 : vmas.startPage[vmas.at(0)] * PAGE_SIZE;
  const end = vmas.count === 0 ? 0 : vmas.endPage[vmas.at(vmas.count - 1)] * PAGE_SIZE;
  const header = withName(
    headerPrefix({ start, end, permissions: "---p", offset: 0, device: "00:00", inode: 0 }),
    "[rollup]",
  );
  return `${header}\n${usageLines(total, { rollup: true })}`;
}
