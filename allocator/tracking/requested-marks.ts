// What a program's requests make of a range of its memory: defined, undefined, or without access. Private pages that were not
// stored to stay so and get their marks with their first frame; how the heap marks its own chunks is undefined-bytes.ts.

import type { Address, ByteCount, PageNumber } from "../../platform/hardware/integers.ts";
import {
  ACCESS_LOAD,
  ACCESS_STORE,
  PAGE_SIZE,
  PTE_ANON,
  PTE_FRAME_SHIFT,
  PTE_GUARD,
  PTE_PRESENT,
  PTE_SPECIAL,
  PTE_WRITE,
} from "../../platform/hardware/layout.ts";
import { markDefined, markUndefined } from "../../platform/hardware/validity.ts";
import { OutOfMemoryError } from "../../platform/kernel/abi/errors.ts";
import { FAULT_DONE, FAULT_OUT_OF_MEMORY, faultIn } from "../../platform/kernel/mm/fault.ts";
import { removeEntry } from "../../platform/kernel/mm/pte.ts";
import { VM_SHARED, VM_UFFD_MISSING } from "../../platform/kernel/mm/vm-flags.ts";
import type { Process } from "../../platform/kernel/process.ts";
import { type AddressMarks, marksOf } from "./address-marks.ts";
import type { Uniform } from "./fresh-bytes.ts";

/** What bytes become. */
export type Wanted = "defined" | "undefined" | "no access";

const NO_FRAME = -1;

/**
 * Marks mapped memory, also where the program may not store. Cost: the pages that are there, and all of files.
 * @throws OutOfMemoryError: no frame for a page that others share, or of a file; what precedes it is marked
 */
export function markRequested(process: Process, address: Address, length: ByteCount, wanted: Wanted): void {
  const { vmas } = process.addressSpace;
  const marks = marksOf(process.addressSpace);
  if (wanted !== "no access") marks.noAccess.allow(address, length);
  const end = address + length;
  for (let at = address; at < end; ) {
    const area = vmas.lookup(Math.floor(at / PAGE_SIZE));
    const stop = Math.min(end, vmas.endPage[area] * PAGE_SIZE);
    if (vmas.anonymous[area] === 1 && (vmas.flags[area] & VM_UFFD_MISSING) === 0)
      markAnonymous(process, marks, at, stop, wanted);
    else markAll(process, at, stop, wanted);
    at = stop;
  }
  if (wanted === "no access") marks.noAccess.forbid(address, length);
}

/** A range of one private area that fills its own pages. */
function markAnonymous(process: Process, marks: AddressMarks, address: Address, end: Address, wanted: Wanted): void {
  const space = process.addressSpace;
  const { pageTable, vmas } = space;
  const endPage = Math.ceil(end / PAGE_SIZE);
  const value: Uniform = wanted === "defined" ? 0 : 0xff;
  const wait = (from: number, to: number) => {
    if (wanted !== "no access" && to > from) marks.fresh.set(space, from, to - from, value);
  };
  for (let at = address; at < end; ) {
    const page = pageTable.next(Math.floor(at / PAGE_SIZE), endPage);
    const from = Math.max(at, Math.min(end, page * PAGE_SIZE));
    wait(at, from);
    if (from >= end) return;
    at = Math.min(end, (page + 1) * PAGE_SIZE);
    const entry = pageTable.entryOf(page);
    if ((entry & PTE_GUARD) !== 0) continue;
    if ((entry & PTE_SPECIAL) !== 0 && !pageTable.isHuge(page)) {
      // A clean page that was loaded: the next access is a fault again.
      removeEntry(space, page, vmas.flags[vmas.lookup(page)]);
      wait(from, at);
    } else markPage(process, from, at - from, wanted);
  }
}

function markAll(process: Process, address: Address, end: Address, wanted: Wanted): void {
  for (let at = address; at < end; ) {
    const bytes = Math.min(end - at, PAGE_SIZE - (at % PAGE_SIZE));
    markPage(process, at, bytes, wanted);
    at += bytes;
  }
}

/** Marks bytes of one page in a frame that is the process's own, or the file's where the mapping shares it. */
function markPage(process: Process, address: Address, bytes: ByteCount, wanted: Wanted): void {
  const frame = ownFrame(process, Math.floor(address / PAGE_SIZE));
  if (frame === NO_FRAME) return;
  const position = frame * PAGE_SIZE + (address % PAGE_SIZE);
  if (wanted === "defined") markDefined(process.kernel.machine.ram, position, bytes);
  else markUndefined(process.kernel.machine.ram, position, bytes);
}

/** @returns NO_FRAME: there is none, behind a file's end. @throws OutOfMemoryError */
function ownFrame(process: Process, page: PageNumber): number {
  const space = process.addressSpace;
  for (;;) {
    const area = space.vmas.lookup(page);
    const isShared = (space.vmas.flags[area] & VM_SHARED) !== 0;
    const entry = space.pageTable.entryOf(page);
    if ((entry & PTE_PRESENT) !== 0 && (isShared || isOwn(process, entry))) return entry >>> PTE_FRAME_SHIFT;
    const result = faultIn(space, process, area, page, isShared ? ACCESS_LOAD : ACCESS_STORE);
    if (result === FAULT_OUT_OF_MEMORY) throw new OutOfMemoryError(process.pid, page * PAGE_SIZE);
    if (result !== FAULT_DONE) return NO_FRAME;
  }
}

function isOwn({ kernel }: Process, entry: number): boolean {
  if ((entry & PTE_WRITE) !== 0) return true;
  return (entry & PTE_ANON) !== 0 && kernel.frames.exclusive[entry >>> PTE_FRAME_SHIFT] === 1;
}
