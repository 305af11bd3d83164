// The memory management unit of one thread: from a virtual address to a byte of RAM, with faults taken and tags checked.
// This is the slow path that all accesses share; the fast paths are in memory.ts, what a fault does is the kernel's.

import type { Counters } from "./counters.ts";
import { SegmentationFault } from "./faults.ts";
import {
  ACCESS_LOAD,
  ADDRESS_LIMIT,
  OFFSET_MASK,
  PAGE_SIZE,
  PAGES_PER_BYTE,
  PTE_FRAME_MASK,
  PTE_FRAME_SHIFT,
  PTE_MTE,
  PTE_READ,
  PTE_WRITE,
  TAG_UNIT,
} from "./layout.ts";
import type { PageTable } from "./page-table.ts";
import type { PhysicalMemory } from "./physical-memory.ts";
import { faultsSynchronously, findTagMismatch, TAG_CHECK_NONE, type TagCheckMode } from "./tag-check.ts";

/** The kernel's side of a fault: makes the access at `address` (without tag) possible, or throws what the program gets. */
export interface FaultHandler {
  handleFault(address: number, access: number): void;
}

/** An entry's bank of 4 GiB is in its top bits. */
export const PTE_BANK_SHIFT = 30;
const TAGS_PER_BYTE = 1 / TAG_UNIT;

export class Mmu {
  readonly ram: PhysicalMemory;
  readonly counters: Counters;
  readonly pageTable: PageTable;
  protected readonly entries: Int32Array;
  private readonly faults: FaultHandler;

  /** Tag checks of this thread (PSTATE.TCO suppresses them), and the flag that asynchronous mismatches set (TFSRE0_EL1). */
  tagCheckMode: TagCheckMode = TAG_CHECK_NONE;
  tagCheckOverride = false;
  asyncTagFault = false;

  /** Results of {@link translate}: the bank and the frame of the byte that was asked for. */
  bank = 0;
  frame = 0;

  constructor(ram: PhysicalMemory, counters: Counters, pageTable: PageTable, faults: FaultHandler) {
    this.ram = ram;
    this.counters = counters;
    this.pageTable = pageTable;
    this.entries = pageTable.entries;
    this.faults = faults;
  }

  /**
   * The byte position of `address` inside its bank, once its page permits the access and its tags match; sets `bank` and
   * `frame`. The access must not leave the page. This is the slow path of every access: it strips the tag, takes the
   * faults and makes the checks, in the architecture's order (DDI 0487: permission before tag).
   */
  translate(address: number, size: number, access: number): number {
    const tag = (address * TAGS_PER_BYTE) | 0;
    const plain = address - tag * TAG_UNIT;
    if (!(plain >= 0 && plain < ADDRESS_LIMIT && tag < 16)) this.refuse(address, access);
    const page = (plain * PAGES_PER_BYTE) | 0;
    const offset = plain - page * PAGE_SIZE;
    if (offset !== (offset | 0)) this.refuse(address, access);
    const permission = access === ACCESS_LOAD ? PTE_READ : PTE_WRITE;
    let entry = this.entries[page];
    while ((entry & permission) === 0) {
      this.faults.handleFault(plain, access);
      entry = this.entries[page];
    }
    if ((entry & PTE_MTE) !== 0 && this.tagCheckMode !== TAG_CHECK_NONE && !this.tagCheckOverride) {
      this.checkTags(plain, tag, entry >>> PTE_FRAME_SHIFT, size, access);
    }
    this.bank = entry >>> PTE_BANK_SHIFT;
    this.frame = entry >>> PTE_FRAME_SHIFT;
    return (((entry & PTE_FRAME_MASK) << 2) | offset) >>> 0;
  }

  private checkTags(address: number, tag: number, frame: number, size: number, access: number): void {
    const offset = address & OFFSET_MASK;
    const mismatch = findTagMismatch(this.ram, frame, offset, size, tag);
    if (mismatch === PAGE_SIZE) return;
    if (!faultsSynchronously(this.tagCheckMode, access)) {
      this.asyncTagFault = true;
      return;
    }
    this.counters.segmentationFaults++;
    throw new SegmentationFault(
      "SEGV_MTESERR",
      address - offset + mismatch,
      access === ACCESS_LOAD ? "load" : "store",
      tag,
    );
  }

  private refuse(address: number, access: number): never {
    if (!Number.isInteger(address))
      throw new RangeError(`address ${address} is not a whole number of bytes (0 to 2^38 − 1)`);
    this.counters.segmentationFaults++;
    throw new SegmentationFault("SEGV_MAPERR", address, access === ACCESS_LOAD ? "load" : "store");
  }
}
