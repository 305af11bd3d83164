// /proc/PID/pagemap: one 64-bit word a page (pte_to_pagemap_entry). Only reads; costs touched pages.

import type { Address, ByteCount } from "../../hardware/integers.ts";
import {
  PAGE_COUNT,
  PAGE_SIZE,
  PTE_ANON,
  PTE_FRAME_SHIFT,
  PTE_GUARD,
  PTE_PRESENT,
  PTE_SPECIAL,
} from "../../hardware/layout.ts";
import { named } from "../abi/arguments.ts";
import type { AddressSpace } from "../mm/address-space.ts";

const PM_PRESENT = 1n << 63n;
const PM_FILE = 1n << 61n;
const PM_GUARD_REGION = 1n << 58n;
const PM_MMAP_EXCLUSIVE = 1n << 56n;

/**
 * One word a page as /proc/PID/pagemap has it: frame number in the low 55 bits, present, file, guard, exclusively mapped.
 * The file ends with the user addresses, so that a range beyond them is read short.
 */
export function pagemap(space: AddressSpace, address: Address, length: ByteCount): BigUint64Array {
  if (!Number.isInteger(address) || !Number.isInteger(length) || address < 0 || length < 0) {
    throw new RangeError(
      `pagemap: [${named(address)}, ${named(address)} + ${named(length)}) is not a range of whole bytes`,
    );
  }
  const first = Math.floor(address / PAGE_SIZE);
  const end = Math.max(first, Math.min(Math.ceil((address + length) / PAGE_SIZE), PAGE_COUNT));
  const words = new BigUint64Array(end - first);
  const { pageTable, kernel } = space;
  for (let page = first < end ? pageTable.next(first, end) : end; page < end; page = pageTable.next(page + 1, end)) {
    const entry = pageTable.entryOf(page);
    let word = 0n;
    if ((entry & PTE_GUARD) !== 0) word = PM_GUARD_REGION;
    else if ((entry & PTE_PRESENT) !== 0) {
      const frame = entry >>> PTE_FRAME_SHIFT;
      word = PM_PRESENT | BigInt(frame);
      if ((entry & (PTE_ANON | PTE_SPECIAL)) === 0) word |= PM_FILE;
      // Of a huge entry only the first page is asked how often it is mapped (pagemap_pmd_range).
      const asked = pageTable.isHuge(page) ? kernel.frames.headOf(frame) : frame;
      if ((entry & PTE_SPECIAL) === 0 && kernel.frames.mapCountOf(asked) === 1) word |= PM_MMAP_EXCLUSIVE;
    }
    words[page - first] = word;
  }
  return words;
}
