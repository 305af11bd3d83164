// Larger pages by emulation: the machine's pages have 4 KiB, so a fault that makes one private here makes the whole group of
// 16 KiB, 64 KiB or 2 MiB private. What that costs is counted; what an allocator would lay out otherwise is not modelled.

import type { CounterSnapshot } from "../../../platform/hardware/counters.ts";
import { ACCESS_STORE, PAGE_SIZE, PTE_PRESENT, PTE_SPECIAL, PTE_WRITE } from "../../../platform/hardware/layout.ts";
import { zeroPage } from "../../../platform/kernel/mm/frames.ts";
import { VM_ACCESS_FLAGS, VM_SHARED } from "../../../platform/kernel/mm/vm-flags.ts";
import type { Process } from "../../../platform/kernel/process.ts";

/** 4 KiB pages of a group. `huge` is a transparent huge page, which an area must hold whole. */
const PAGES_PER_GROUP = { "4K": 1, "16K": 4, "64K": 16, huge: 512 } as const;
export type PageKind = keyof typeof PAGES_PER_GROUP;
export const PAGE_KINDS = Object.keys(PAGES_PER_GROUP) as PageKind[];

/**
 * Faults of the main thread, group by group. A group ends where its area ends. Huge pages are given only where an area
 * holds all 512 pages and its clean page is the zero page: areas of reference pages are not eligible (R10).
 */
export class LargerPages {
  /** Entries that were set for a group beyond the one that faulted. */
  private extraEntries = 0;
  private readonly process: Process;
  private readonly kind: PageKind;

  /** Takes over the process's faults. */
  constructor(process: Process, kind: PageKind) {
    this.process = process;
    this.kind = kind;
    const thread = process.mainThread;
    const handleFault = thread.handleFault.bind(thread);
    thread.handleFault = (address, access) => {
      handleFault(address, access);
      this.completeGroup(address, access, handleFault);
    };
  }

  /** The counters as they would be if a group had one entry: of those cleared, groups have the share that they have of those set. */
  settled(counters: CounterSnapshot): CounterSnapshot {
    const set = counters.ptesSet + this.extraEntries;
    const share = set === 0 ? 1 : counters.ptesSet / set;
    return { ...counters, ptesZapped: Math.round(counters.ptesZapped * share) };
  }

  private completeGroup(address: number, access: number, handleFault: (address: number, access: number) => void): void {
    const space = this.process.addressSpace;
    const { vmas, pageTable } = space;
    const page = Math.floor(address / PAGE_SIZE) % 2 ** 26;
    const id = vmas.find(page);
    if (id === -1 || vmas.anonymous[id] !== 1 || (vmas.flags[id] & VM_SHARED) !== 0) return;
    if ((vmas.flags[id] & VM_ACCESS_FLAGS) === 0) return;
    const pages = PAGES_PER_GROUP[this.kind];
    const groupStart = Math.floor(page / pages) * pages;
    const start = Math.max(groupStart, vmas.startPage[id]);
    const end = Math.min(groupStart + pages, vmas.endPage[id]);
    if (this.kind === "huge" && (end - start < pages || vmas.cleanPages[id] !== zeroPage)) return;
    const { counters } = space.kernel;
    const before = counters.snapshot();
    const faultsBefore = this.process.minorFaults;
    for (let other = start; other < end; other++) {
      if (isDone(pageTable.entries[other], access)) continue;
      handleFault(other * PAGE_SIZE, access);
      this.extraEntries++;
    }
    // It was one fault, and one entry.
    counters.minorFaults = before.minorFaults;
    counters.cleanReadFaults = before.cleanReadFaults;
    counters.anonymousWriteFaults = before.anonymousWriteFaults;
    counters.writeProtectFaults = before.writeProtectFaults;
    counters.ptesSet = before.ptesSet;
    this.process.minorFaults = faultsBefore;
  }
}

/** Whether a page needs nothing more for this access. */
function isDone(entry: number, access: number): boolean {
  if ((entry & PTE_PRESENT) === 0) return false;
  if (access !== ACCESS_STORE) return true;
  return (entry & PTE_SPECIAL) === 0 || (entry & PTE_WRITE) !== 0;
}
