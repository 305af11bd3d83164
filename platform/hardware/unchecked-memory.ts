// Loads and stores that leave validity bits alone, for an allocator's own words: on a machine with such bits every page is marked for
// closer checks, which these accesses do not need. Pages with tags, faults and page borders take Memory's own way.
import { OFFSET_MASK, PAGE_MASK, PAGES_PER_BYTE, PTE_FRAME_MASK, PTE_MTE, PTE_READ, PTE_WRITE } from "./layout.ts";
import { Memory } from "./memory.ts";
import { PTE_BANK_SHIFT } from "./mmu.ts";

/** Frames beyond the first bank and tagged pages are left to Memory. */
const UNCHECKED_LOAD = PTE_READ | PTE_MTE | (-1 << PTE_BANK_SHIFT);
const UNCHECKED_STORE = PTE_WRITE | PTE_MTE | (-1 << PTE_BANK_SHIFT);

export class UncheckedMemory extends Memory {
  override ignoresValidity = true;

  override getInt32(address: number): number {
    const pages = address * PAGES_PER_BYTE;
    const page = pages & PAGE_MASK;
    const offset = address & OFFSET_MASK;
    const entry = this.entries[page];
    if ((entry & UNCHECKED_LOAD) !== PTE_READ || offset > 4092 || pages - page !== offset * PAGES_PER_BYTE) {
      return super.getInt32(address);
    }
    return this.view.getInt32((((entry & PTE_FRAME_MASK) << 2) | offset) >>> 0, true);
  }

  override setInt32(address: number, value: number): void {
    const pages = address * PAGES_PER_BYTE;
    const page = pages & PAGE_MASK;
    const offset = address & OFFSET_MASK;
    const entry = this.entries[page];
    if ((entry & UNCHECKED_STORE) !== PTE_WRITE || offset > 4092 || pages - page !== offset * PAGES_PER_BYTE) {
      super.setInt32(address, value);
      return;
    }
    this.view.setInt32((((entry & PTE_FRAME_MASK) << 2) | offset) >>> 0, value, true);
  }

  override getUint32(address: number): number {
    return this.getInt32(address) >>> 0;
  }

  override setUint32(address: number, value: number): void {
    this.setInt32(address, value);
  }
}
