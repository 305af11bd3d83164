// Kinds of pages that a policy may ask for. Huge pages and large folios are the kernel's own; base pages of 16 and 64 KiB are an
// emulation: the machine's pages have 4 KiB, so a fault that makes one private here makes its whole group private.

import type { CounterSnapshot } from "../../../platform/hardware/counters.ts";
import { ACCESS_STORE, PAGE_SIZE, PTE_PRESENT, PTE_SPECIAL, PTE_WRITE } from "../../../platform/hardware/layout.ts";
import type { HugePageOptions } from "../../../platform/kernel/mm/huge-settings.ts";
import { VM_ACCESS_FLAGS, VM_SHARED } from "../../../platform/kernel/mm/vm-flags.ts";
import type { Process } from "../../../platform/kernel/process.ts";

/** Base pages that are emulated, in pages of 4 KiB. */
const PAGES_PER_GROUP = { "16K": 4, "64K": 16 } as const;
export type EmulatedPages = keyof typeof PAGES_PER_GROUP;
/** `huge`: transparent huge pages of 2 MiB everywhere (enabled=always). `64K-folios`: large folios of 64 KiB instead. */
export type PageKind = "4K" | EmulatedPages | "64K-folios" | "huge";
export const PAGE_KINDS: readonly PageKind[] = ["4K", "16K", "64K", "64K-folios", "huge"];

/** The kernel's settings for a kind of pages. */
export function hugePageOptions(kind: PageKind): HugePageOptions {
  if (kind === "huge") return { enabled: "always" };
  return kind === "64K-folios" ? { enabled: "always", sizes: [64] } : { enabled: "never" };
}

export function isEmulated(kind: PageKind): kind is EmulatedPages {
  return Object.hasOwn(PAGES_PER_GROUP, kind);
}

/** Faults of the main thread, group by group. A group ends where its area ends. */
export class LargerPages {
  /** Entries that were set for a group beyond the one that faulted. */
  private extraEntries = 0;
  private readonly process: Process;
  private readonly kind: EmulatedPages;

  /** Takes over the process's faults. */
  constructor(process: Process, kind: EmulatedPages) {
    this.process = process;
    this.kind = kind;
    const thread = process.mainThread;
    const handleFault = thread.handleFault.bind(thread);
    thread.handleFault = (address, access) => {
      handleFault(address, access);
      this.completeGroup(address, access, handleFault);
    };
    // No fault may go past it by the straight path.
    thread.storeFirst = () => 0;
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
    const { counters } = space.kernel;
    const before = counters.snapshot();
    const faultsBefore = this.process.minorFaults;
    for (let other = start; other < end; other++) {
      if (isDone(pageTable.entryOf(other), access)) continue;
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
