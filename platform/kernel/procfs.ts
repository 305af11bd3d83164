// /proc/PID: maps, smaps, smaps_rollup, status, statm and pagemap, with Linux's layout to the column (fs/proc/task_mmu.c).
// Only reads; costs touched pages and areas.
import {
  PAGE_SIZE,
  PTE_ANON,
  PTE_CLEAN,
  PTE_FRAME_SHIFT,
  PTE_GUARD,
  PTE_PRESENT,
  PTE_SPECIAL,
} from "../hardware/layout.ts";
import type { AddressSpace } from "./address-space.ts";
import type { Process } from "./process.ts";
import {
  VM_ACCOUNT,
  VM_DONTCOPY,
  VM_DONTDUMP,
  VM_EXEC,
  VM_GROWSDOWN,
  VM_LOCKED,
  VM_LOCKONFAULT,
  VM_MAYBE_GUARD,
  VM_MAYEXEC,
  VM_MAYREAD,
  VM_MAYSHARE,
  VM_MAYWRITE,
  VM_MTE,
  VM_NORESERVE,
  VM_RAND_READ,
  VM_READ,
  VM_SEQ_READ,
  VM_SHARED,
  VM_SYNC,
  VM_UFFD_MISSING,
  VM_WIPEONFORK,
  VM_WRITE,
} from "./vm-flags.ts";

export type ProcFile = "maps" | "smaps" | "smaps_rollup" | "status" | "statm";

/** VmFlags in the order in which smaps lists them: by bit (show_smap_vma_flags). */
const FLAG_NAMES: readonly (readonly [number, string])[] = [
  [VM_READ, "rd"],
  [VM_WRITE, "wr"],
  [VM_EXEC, "ex"],
  [VM_SHARED, "sh"],
  [VM_MAYREAD, "mr"],
  [VM_MAYWRITE, "mw"],
  [VM_MAYEXEC, "me"],
  [VM_MAYSHARE, "ms"],
  [VM_GROWSDOWN, "gd"],
  [VM_UFFD_MISSING, "um"],
  [VM_MAYBE_GUARD, "gu"],
  [VM_LOCKED, "lo"],
  [VM_SEQ_READ, "sr"],
  [VM_RAND_READ, "rr"],
  [VM_DONTCOPY, "dc"],
  [VM_LOCKONFAULT, "lf"],
  [VM_ACCOUNT, "ac"],
  [VM_NORESERVE, "nr"],
  [VM_SYNC, "sf"],
  [VM_WIPEONFORK, "wf"],
  [VM_DONTDUMP, "dd"],
  [VM_MTE, "mt"],
];
/** Column at which the path begins in maps. */
const NAME_COLUMN = 73;

/** Names of an area's flags, separated by blanks, as in smaps. */
export function vmFlagNames(flags: number): string {
  return FLAG_NAMES.filter(([bit]) => (flags & bit) !== 0)
    .map(([, name]) => name)
    .join(" ");
}

/** `rw-p` and its like. */
export function permissionText(flags: number): string {
  const letter = (bit: number, name: string) => ((flags & bit) !== 0 ? name : "-");
  return (
    letter(VM_READ, "r") + letter(VM_WRITE, "w") + letter(VM_EXEC, "x") + ((flags & VM_MAYSHARE) !== 0 ? "s" : "p")
  );
}

/** Fractions of a byte in which Pss is added up (PSS_SHIFT); a page's share is rounded down to one of these. */
const PSS_FRACTIONS = 2 ** 12;

/** What smaps adds up for one area, in pages; Pss in 1/4096 byte. */
export interface AreaUsage {
  rss: number;
  pss: number;
  sharedClean: number;
  sharedDirty: number;
  privateClean: number;
  privateDirty: number;
  anonymous: number;
}

/** Walks the entries of an area (smaps_pte_range). Special pages are not counted. */
export function areaUsage(space: AddressSpace, id: number): AreaUsage {
  const { vmas, pageTable, kernel } = space;
  const usage: AreaUsage = {
    rss: 0,
    pss: 0,
    sharedClean: 0,
    sharedDirty: 0,
    privateClean: 0,
    privateDirty: 0,
    anonymous: 0,
  };
  const end = vmas.endPage[id];
  for (let page = pageTable.next(vmas.startPage[id], end); page < end; page = pageTable.next(page + 1, end)) {
    const entry = pageTable.entries[page];
    if ((entry & PTE_PRESENT) === 0 || (entry & PTE_SPECIAL) !== 0) continue;
    const mapped = kernel.frames.mapCounts[entry >>> PTE_FRAME_SHIFT];
    usage.rss++;
    usage.pss += Math.floor((PAGE_SIZE * PSS_FRACTIONS) / mapped);
    if ((entry & PTE_ANON) !== 0) usage.anonymous++;
    // Pages of files in RAM count as dirty: they have no other place.
    const clean = (entry & PTE_CLEAN) !== 0 && kernel.frames.dirty[entry >>> PTE_FRAME_SHIFT] === 0;
    if (mapped > 1) usage[clean ? "sharedClean" : "sharedDirty"]++;
    else usage[clean ? "privateClean" : "privateDirty"]++;
  }
  return usage;
}

export function procFile(process: Process, file: ProcFile): string {
  switch (file) {
    case "maps":
      return mapsText(process.addressSpace);
    case "smaps":
      return smapsText(process.addressSpace);
    case "smaps_rollup":
      return rollupText(process.addressSpace);
    case "status":
      return statusText(process);
    case "statm":
      return statmText(process.addressSpace);
  }
}

function hexadecimal(value: number, width: number): string {
  return value.toString(16).padStart(width, "0");
}

function headerLine(space: AddressSpace, id: number): string {
  const { vmas } = space;
  const file = vmas.files[id];
  const range = `${hexadecimal(vmas.startPage[id] * PAGE_SIZE, 8)}-${hexadecimal(vmas.endPage[id] * PAGE_SIZE, 8)}`;
  const offset = file === null ? 0 : vmas.pageOffset[id] * PAGE_SIZE;
  const line = `${range} ${permissionText(vmas.flags[id])} ${hexadecimal(offset, 8)} 00:01 ${file?.inode?.number ?? 0}`;
  const name = file?.operations.path ?? heapName(space, id);
  return name === "" ? `${line} ` : `${line} `.padEnd(NAME_COLUMN) + name;
}

/** `[heap]` for the break's area. */
function heapName(space: AddressSpace, id: number): string {
  const { vmas } = space;
  const inHeap = vmas.startPage[id] * PAGE_SIZE < space.brk && vmas.endPage[id] * PAGE_SIZE > space.startBrk;
  return inHeap ? "[heap]" : "";
}

function forEachArea(space: AddressSpace, visit: (id: number) => void): void {
  for (let index = 0; index < space.vmas.count; index++) visit(space.vmas.at(index));
}

function mapsText(space: AddressSpace): string {
  const lines: string[] = [];
  forEachArea(space, (id) => lines.push(`${headerLine(space, id)}\n`));
  return lines.join("");
}

function kilobytes(name: string, value: number): string {
  return `${`${name}:`.padEnd(16)}${String(value).padStart(8)} kB\n`;
}

const KIB_PER_PAGE = PAGE_SIZE / 1024;

function usageLines(usage: AreaUsage, lockedPages: number): string {
  const pss = Math.floor(usage.pss / (1024 * PSS_FRACTIONS));
  return (
    kilobytes("Rss", usage.rss * KIB_PER_PAGE) +
    kilobytes("Pss", pss) +
    kilobytes("Pss_Dirty", pss) +
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
    kilobytes("Locked", lockedPages)
  );
}

/** "Locked" of an area: its Pss if it is locked. */
function lockedKib(space: AddressSpace, id: number, usage: AreaUsage): number {
  return (space.vmas.flags[id] & VM_LOCKED) !== 0 ? Math.floor(usage.pss / (1024 * PSS_FRACTIONS)) : 0;
}

const PAGE_SIZE_LINES = kilobytes("KernelPageSize", KIB_PER_PAGE) + kilobytes("MMUPageSize", KIB_PER_PAGE);
const THP_LINE = `${"THPeligible:".padEnd(16)}${"0".padStart(8)}\n`;

/** Most areas of a program with many have no page in memory and the flags of others: their lines are made once. */
function smapsText(space: AddressSpace): string {
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
      lines = PAGE_SIZE_LINES + usageLines(usage, lockedKib(space, id, usage)) + THP_LINE;
      if (usage.rss === 0) untouchedLines = lines;
    }
    const size = (vmas.endPage[id] - vmas.startPage[id]) * KIB_PER_PAGE;
    parts.push(headerLine(space, id), "\n", kilobytes("Size", size), lines, flagLine);
  });
  return parts.join("");
}

function rollupText(space: AddressSpace): string {
  const total: AreaUsage = {
    rss: 0,
    pss: 0,
    sharedClean: 0,
    sharedDirty: 0,
    privateClean: 0,
    privateDirty: 0,
    anonymous: 0,
  };
  let locked = 0;
  let start = 0;
  let end = 0;
  forEachArea(space, (id) => {
    const usage = areaUsage(space, id);
    for (const key of Object.keys(total) as (keyof AreaUsage)[]) total[key] += usage[key];
    locked += lockedKib(space, id, usage);
    if (end === 0) start = space.vmas.startPage[id] * PAGE_SIZE;
    end = space.vmas.endPage[id] * PAGE_SIZE;
  });
  const header = `${hexadecimal(start, 8)}-${hexadecimal(end, 8)} ---p 00000000 00:00 0 `.padEnd(NAME_COLUMN);
  return `${header}[rollup]\n${usageLines(total, locked)}`;
}

function statusText(process: Process): string {
  const space = process.addressSpace;
  space.noteRss();
  const kib = (name: string, pages: number) => `${name}:\t${String(pages * KIB_PER_PAGE).padStart(8)} kB\n`;
  return (
    `Name:\t${process.name}\n` +
    `State:\tR (running)\n` +
    `Tgid:\t${process.pid}\n` +
    `Pid:\t${process.pid}\n` +
    `PPid:\t${process.parent?.pid ?? 0}\n` +
    `FDSize:\t${Math.max(64, 2 ** Math.ceil(Math.log2(process.fds.count + 1)))}\n` +
    kib("VmPeak", space.peakTotal) +
    kib("VmSize", space.totalPages) +
    kib("VmLck", space.lockedPages) +
    kib("VmPin", 0) +
    kib("VmHWM", space.peakRss) +
    kib("VmRSS", space.rssPages) +
    kib("RssAnon", space.rssAnonymous) +
    kib("RssFile", 0) +
    kib("RssShmem", space.rssFile) +
    kib("VmData", space.dataPages) +
    kib("VmStk", space.stackPages) +
    kib("VmExe", 0) +
    kib("VmLib", space.execPages) +
    kib("VmPTE", pageTablePages(space)) +
    kib("VmSwap", 0) +
    `Threads:\t${process.threads.length}\n`
  );
}

/** Page-table pages that Linux would have: one for each touched 2 MiB, and those above. */
export function pageTablePages(space: AddressSpace): number {
  const blocks = space.pageTable.populatedBlocks;
  return blocks === 0 ? 0 : blocks + Math.ceil(blocks / 512) + 2;
}

function statmText(space: AddressSpace): string {
  return `${space.totalPages} ${space.rssPages} ${space.rssFile} 0 0 ${space.dataPages + space.stackPages} 0\n`;
}

const PM_PRESENT = 1n << 63n;
const PM_FILE = 1n << 61n;
const PM_GUARD_REGION = 1n << 58n;
const PM_MMAP_EXCLUSIVE = 1n << 56n;

/** One word a page as /proc/PID/pagemap has it: frame number in the low 55 bits, present, file, guard, exclusively mapped. */
export function pagemap(space: AddressSpace, address: number, length: number): BigUint64Array {
  if (!Number.isInteger(address) || !Number.isInteger(length) || address < 0 || length < 0) {
    throw new RangeError(`pagemap: [${address}, ${address} + ${length}) is not a range of whole bytes`);
  }
  const first = Math.floor(address / PAGE_SIZE);
  const words = new BigUint64Array(Math.ceil((address + length) / PAGE_SIZE) - first);
  const { pageTable, kernel } = space;
  const end = first + words.length;
  for (let page = pageTable.next(first, end); page < end; page = pageTable.next(page + 1, end)) {
    const entry = pageTable.entries[page];
    let word = 0n;
    if ((entry & PTE_GUARD) !== 0) word = PM_GUARD_REGION;
    else if ((entry & PTE_PRESENT) !== 0) {
      const frame = entry >>> PTE_FRAME_SHIFT;
      word = PM_PRESENT | BigInt(frame);
      if ((entry & (PTE_ANON | PTE_SPECIAL)) === 0) word |= PM_FILE;
      if ((entry & PTE_SPECIAL) === 0 && kernel.frames.mapCounts[frame] === 1) word |= PM_MMAP_EXCLUSIVE;
    }
    words[page - first] = word;
  }
  return words;
}
