// A thread without a kernel whose pages lie in given frames, for tests of loads and stores in scattered and in high memory.
// Faults are only reported; bare-thread.ts is the simpler kind with consecutive frames.
import { Counters } from "../../../platform/hardware/counters.ts";
import { SegmentationFault } from "../../../platform/hardware/faults.ts";
import {
  ACCESS_LOAD,
  PAGE_SIZE,
  PTE_ANON,
  PTE_CHECKED,
  PTE_FRAME_SHIFT,
  PTE_PRESENT,
  PTE_READ,
  PTE_WRITE,
} from "../../../platform/hardware/layout.ts";
import { Memory } from "../../../platform/hardware/memory.ts";
import { PageTable } from "../../../platform/hardware/page-table.ts";
import type { PhysicalMemory } from "../../../platform/hardware/physical-memory.ts";

export const RW = PTE_READ | PTE_WRITE;
const FIRST_BANK_FRAMES = 2 ** 20;

const pageTable = new PageTable();
let mapped: number[] = [];

export interface Paged {
  readonly memory: Memory;
  readonly counters: Counters;
}

/** A page as a test wants it. */
export interface PageAt {
  /** Page number, 0 to 2^26 − 1. */
  readonly page: number;
  readonly frame: number;
  /** PTE flags; default readable and writable. */
  readonly flags?: number;
}

/** A thread that sees `pages` and nothing else. Earlier paged threads lose theirs. */
export function pagedThread(ram: PhysicalMemory, pages: readonly PageAt[]): Paged {
  for (const page of mapped) pageTable.set(page, 0);
  mapped = pages.map(({ page }) => page);
  for (const { page, frame, flags = RW } of pages) {
    const checked = frame >= FIRST_BANK_FRAMES || ram.undefinedBits.length > 0 ? PTE_CHECKED : 0;
    pageTable.set(page, flags | checked | PTE_PRESENT | PTE_ANON | (frame << PTE_FRAME_SHIFT));
  }
  const counters = new Counters();
  const memory = new Memory(ram, counters, pageTable, {
    handleFault(address, access) {
      const code = pageTable.entries[Math.floor(address / PAGE_SIZE)] === 0 ? "SEGV_MAPERR" : "SEGV_ACCERR";
      throw new SegmentationFault(code, address, access === ACCESS_LOAD ? "load" : "store");
    },
  });
  return { memory, counters };
}
