// /proc/PID/smaps and smaps_rollup: what of each area is resident, and how much of it is this process's share
// (fs/proc/task_mmu.c, smaps_account). Costs touched pages and areas.
import { PAGE_SIZE, PTE_ANON, PTE_CLEAN, PTE_FRAME_SHIFT, PTE_PRESENT, PTE_SPECIAL } from "../../hardware/layout.ts";
import type { AddressSpace } from "../mm/address-space.ts";
import { VM_LOCKED } from "../mm/vm-flags.ts";
import { forEachArea, headerLine, headerPrefix, vmFlagNames, withName } from "./procfs-maps.ts";

/** Fractions of a byte in which Pss is added up (PSS_SHIFT); a page's share is rounded down to one of these. */
const PSS_FRACTIONS = 2 ** 12;
const KIB_PER_PAGE = PAGE_SIZE / 1024;

/** What smaps adds up (mem_size_stats): pages, but all that is Pss in 1/4096 byte. */
export interface AreaUsage {
  rss: number;
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
}

function noUsage(): AreaUsage {
  return {
    rss: 0,
    pss: 0,
    pssDirty: 0,
    pssAnonymous: 0,
    pssLocked: 0,
    sharedClean: 0,
    sharedDirty: 0,
    privateClean: 0,
    privateDirty: 0,
    anonymous: 0,
  };
}

/** Walks the entries of an area (smaps_pte_range) and adds them to `usage`. Special pages are not counted. */
export function areaUsage(space: AddressSpace, id: number, usage: AreaUsage = noUsage()): AreaUsage {
  const { vmas, pageTable, kernel } = space;
  const end = vmas.endPage[id];
  const locked = (vmas.flags[id] & VM_LOCKED) !== 0;
  for (let page = pageTable.next(vmas.startPage[id], end); page < end; page = pageTable.next(page + 1, end)) {
    const entry = pageTable.entries[page];
    if ((entry & PTE_PRESENT) === 0 || (entry & PTE_SPECIAL) !== 0) continue;
    const mapped = kernel.frames.mapCounts[entry >>> PTE_FRAME_SHIFT];
    const share = Math.floor((PAGE_SIZE * PSS_FRACTIONS) / mapped);
    usage.rss++;
    usage.pss += share;
    if (locked) usage.pssLocked += share;
    if ((entry & PTE_ANON) !== 0) {
      usage.anonymous++;
      usage.pssAnonymous += share;
    }
    // Pages of files in RAM count as dirty: they have no other place.
    const clean = (entry & PTE_CLEAN) !== 0 && kernel.frames.dirty[entry >>> PTE_FRAME_SHIFT] === 0;
    if (!clean) usage.pssDirty += share;
    if (mapped > 1) usage[clean ? "sharedClean" : "sharedDirty"]++;
    else usage[clean ? "privateClean" : "privateDirty"]++;
  }
  return usage;
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
    kilobytes("Referenced", usage.rss * KIB_PER_PAGE) +
    kilobytes("Anonymous", usage.anonymous * KIB_PER_PAGE) +
    kilobytes("KSM", 0) +
    kilobytes("LazyFree", 0) +
    kilobytes("AnonHugePages", 0) +
    kilobytes("ShmemPmdMapped", 0) +
    kilobytes("FilePmdMapped", 0) +
    kilobytes("Shared_Hugetlb", 0) +
    kilobytes("Private_Hugetlb", 0) +
    kilobytes("Swap", 0) +
    kilobytes("SwapPss", 0) +
    shareLine("Locked", usage.pssLocked)
  );
}

const PAGE_SIZE_LINES = kilobytes("KernelPageSize", KIB_PER_PAGE) + kilobytes("MMUPageSize", KIB_PER_PAGE);
const THP_LINE = `${"THPeligible:".padEnd(16)}${"0".padStart(8)}\n`;

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
      lines = PAGE_SIZE_LINES + usageLines(usage, { rollup: false }) + THP_LINE;
      if (usage.rss === 0) untouchedLines = lines;
    }
    const size = (vmas.endPage[id] - vmas.startPage[id]) * KIB_PER_PAGE;
    parts.push(headerLine(space, id), "\n", kilobytes("Size", size), lines, flagLine);
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
  const header = withName(headerPrefix(start, end, "---p", 0, "00:00", 0), "[rollup]");
  return `${header}\n${usageLines(total, { rollup: true })}`;
}
