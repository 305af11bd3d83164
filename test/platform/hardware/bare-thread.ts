// A thread without a kernel, for tests of the hardware: pages are put into the table by hand and faults are only reported.
import { Counters } from "../../../platform/hardware/counters.ts";
import { SegmentationFault } from "../../../platform/hardware/faults.ts";
import {
  ACCESS_LOAD,
  PAGE_SIZE,
  PAGES_PER_BYTE,
  PTE_ANON,
  PTE_CHECKED,
  PTE_FRAME_SHIFT,
  PTE_MTE,
  PTE_PRESENT,
  PTE_READ,
  PTE_WRITE,
} from "../../../platform/hardware/layout.ts";
import { Memory } from "../../../platform/hardware/memory.ts";
import { PageTable } from "../../../platform/hardware/page-table.ts";
import { PhysicalMemory } from "../../../platform/hardware/physical-memory.ts";

export const RW = PTE_READ | PTE_WRITE;
export const RW_MTE = RW | PTE_MTE | PTE_CHECKED;
export const READ_MTE = PTE_READ | PTE_MTE | PTE_CHECKED;

/** Addresses of the pages of a bare thread start here. */
export const BASE = 0x100000;

export interface BareThread {
  readonly memory: Memory;
  readonly ram: PhysicalMemory;
  /** Changes what page `index` permits: PTE flags, or 0 for nothing there. */
  setPage(index: number, flags: number): void;
}

const ram = new PhysicalMemory({ memoryBytes: 16 * 2 ** 20, mte: true, shadow: false, gzvaBlockBytes: 64 });
const pageTable = new PageTable();

/** A thread whose page i, at BASE + i * PAGE_SIZE, has `flags[i]`, zeroes and tag 0. Earlier bare threads lose theirs. */
export function bareThread(flags: readonly number[]): BareThread {
  const entries = pageTable.entries;
  const memory = new Memory(ram, new Counters(), pageTable, {
    handleFault(address, access) {
      const mapped = entries[address * PAGES_PER_BYTE] !== 0;
      throw new SegmentationFault(
        mapped ? "SEGV_ACCERR" : "SEGV_MAPERR",
        address,
        access === ACCESS_LOAD ? "load" : "store",
      );
    },
  });
  const setPage = (index: number, page: number): void => {
    const entry = page === 0 ? 0 : page | PTE_PRESENT | PTE_ANON | ((index + 1) << PTE_FRAME_SHIFT);
    pageTable.set(BASE / PAGE_SIZE + index, entry);
  };
  for (let index = 0; index < Math.max(flags.length, 16); index++) {
    ram.fillFrame(index + 1, 0);
    ram.fillTags(index + 1, 0);
    setPage(index, flags[index] ?? 0);
  }
  return { memory, ram, setPage };
}
