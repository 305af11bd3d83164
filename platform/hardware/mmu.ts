// The memory management unit of one thread: from a virtual address to a byte of RAM, with faults taken and tags checked.
// This is the slow path that all accesses share; the fast paths are in memory.ts, what a fault does is the kernel's.

import { atProgram } from "../host/stack.ts";
import type { Counters } from "./counters.ts";
import { type BusError, type IllegalInstruction, SegmentationFault } from "./faults.ts";
import type { Address, ByteCount, FrameNumber, PageNumber, PageTableEntry } from "./integers.ts";
import {
  ACCESS_LOAD,
  ACCESS_STORE,
  ADDRESS_LIMIT,
  OFFSET_MASK,
  PAGE_MASK,
  PAGE_SIZE,
  PAGES_PER_BYTE,
  PTE_CHECKED,
  PTE_FRAME_MASK,
  PTE_FRAME_SHIFT,
  PTE_MTE,
  PTE_READ,
  PTE_WRITE,
  TAG_UNIT,
} from "./layout.ts";
import { DETACH, type PageTable, type TableReader } from "./page-table.ts";
import { type PhysicalMemory, TAG_BYTES_PER_FRAME } from "./physical-memory.ts";
import { faultsSynchronously, findTagMismatch } from "./tag-check.ts";
import { TagState } from "./tag-state.ts";
import {
  copyBits,
  findUndefined,
  markDefined,
  USE_COPY,
  USE_LOAD,
  USE_STORE,
  USE_SYSTEM_CALL,
  type UseKind,
  type ValidityObserver,
} from "./validity.ts";

/** The kernel's side of a fault: makes the access at `address` (without tag) possible, or throws what the program gets. */
export interface FaultHandler {
  handleFault(address: Address, access: number, by?: Mmu): void;
  /** The commonest fault, a store to a page without an entry, if nothing about it is unusual. @returns the entry; 0: not done */
  storeFirst?(page: PageNumber): PageTableEntry;
  /** Called with a fault that the CPU itself found (tag check, alignment, illegal instruction) before it is thrown. */
  raise?(fault: SegmentationFault | BusError | IllegalInstruction): void;
}

/** An entry's bank of 4 GiB is in its top bits. */
export const PTE_BANK_SHIFT = 30;
export const PTE_BANK_MASK = -1 << PTE_BANK_SHIFT;
/** Shifts an entry's frame bits to the frame's place in the tag storage. */
const TAG_POSITION_SHIFT = PTE_FRAME_SHIFT - Math.log2(TAG_BYTES_PER_FRAME);
/** No entry has all these bits: with validity bits every access takes a slower path. */
const NEVER = -1;
const TAGS_PER_BYTE = 1 / TAG_UNIT;
/** An entry that permits both, in {@link Mmu.granuleWord}. */
const LOAD_AND_STORE = PTE_READ | PTE_WRITE;
/** Words of the host have the machine's byte order; on other hosts words are put together by DataViews. */
const IS_LITTLE_ENDIAN = new Uint8Array(Int32Array.of(1).buffer)[0] === 1;

/** @param refused bits of an entry that an access which is to go by {@link Mmu.granuleWord} must not have */
export function granuleMask(refused: number): number {
  return IS_LITTLE_ENDIAN ? LOAD_AND_STORE | refused : NEVER;
}

export class Mmu extends TagState implements TableReader {
  /** The machine's RAM. */
  readonly ram: PhysicalMemory;
  /** The machine's counters. */
  readonly counters: Counters;
  /** The page table of the process that runs. */
  pageTable: PageTable;
  protected entries: Int32Array;
  private readonly faults: FaultHandler;

  /** Results of {@link translate}: the bank and frame of the byte that was asked for, and whether its page has PROT_MTE. */
  bank = 0;
  /** Frame of the last address that was looked up. */
  frame = 0;
  /** Whether that address's tag is checked. */
  tagged = false;

  /** The tag of the pointer whose access faults, while handleFault() runs. */
  faultTag = 0;
  /** The address of the last fault, without its tag. */
  faultAddress = 0;
  /** The first bank of RAM, one hop away for what needs no check: by bytes. */
  readonly bytes: Uint8Array;
  /** The same bank, for numbers at any place. */
  readonly view: DataView;
  /** The first bank by 32-bit words: what {@link granuleWord} answers is a place in it. */
  readonly words: Int32Array;
  /** The first bank by doubles. */
  readonly doubles: Float64Array;
  /** Which bits of an entry say that an access needs neither a fault nor a check; none on hosts of the other byte order. */
  protected readonly granuleMask: number = granuleMask(PTE_CHECKED);

  private readonly tags: Uint8Array;
  /** What an entry must have for {@link matchedPosition}; while tags are not checked, none has it. */
  protected matchedLoad = NEVER;
  protected matchedStore = NEVER;
  /** Whether RAM has validity bits. */
  readonly hasShadow: boolean;
  /** This thread's accesses leave validity bits alone, all but copies: for an allocator's own work on its blocks. */
  ignoresValidity = false;
  /** Who is called when this thread uses undefined bytes. Bits are kept in step without one, too. */
  validityObserver: ValidityObserver | null = null;

  /** The page that a copy reads from now: its load faults are a copy's, which uses no values. */
  copiedPage = -1;

  /** The access that runs now, for reports: its kind, its bytes, and the second range of a copy or a comparison. */
  private accessKind: UseKind = USE_LOAD;
  private accessAddress = 0;
  private accessTarget = 0;
  protected accessSize = 0;
  /** Whether the access's first range, or its second, was reported: one access is one finding. */
  private isLoadReported = false;
  private isStoreReported = false;

  constructor(ram: PhysicalMemory, counters: Counters, pageTable: PageTable, faults: FaultHandler) {
    super();
    this.ram = ram;
    this.counters = counters;
    this.pageTable = pageTable;
    this.entries = pageTable.entries;
    pageTable.addReader(this);
    this.faults = faults;
    this.hasShadow = ram.undefinedBits.length > 0;
    this.tags = ram.tags;
    this.bytes = ram.banks[0];
    this.view = ram.views[0];
    this.words = new Int32Array(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length / 4);
    this.doubles = new Float64Array(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length / 8);
  }

  /** Takes the page table away from a thread or process that has ended: all accesses fault from now on. */
  [DETACH](empty: PageTable): void {
    this.pageTable.removeReader(this);
    this.pageTable = empty;
    this.entries = empty.entries;
  }

  protected override update(): void {
    super.update();
    this.matchedLoad = this.checksTags && !this.hasShadow ? PTE_READ | PTE_MTE : NEVER;
    this.matchedStore = this.checksTags && !this.hasShadow ? PTE_WRITE | PTE_MTE : NEVER;
  }

  /**
   * The byte position of `address` inside its bank, once its page permits the access and its tags match; sets `bank`,
   * `frame` and `tagged`. The access must not leave the page. This is the slow path of every access: it strips the tag,
   * takes the faults and makes the checks, in the architecture's order (DDI 0487: permission before tag).
   */
  translate(address: Address, size: ByteCount, access: number): number {
    const position = this.translateUnchecked(address, access);
    if (this.tagged && this.checksTags) this.checkTags(address, size, access);
    return position;
  }

  /**
   * The second tier, for an access inside one granule of a PROT_MTE area while tags are checked: its position in the first
   * bank, or −1 if anything is out of the ordinary. Comparing the address with the tag that memory has put back on checks
   * the pointer's tag and the address's range in one step.
   */
  protected matchedPosition(address: Address, size: ByteCount, wanted: number): number {
    const page = (address * PAGES_PER_BYTE) & PAGE_MASK;
    const offset = address & OFFSET_MASK;
    const entry = this.entries[page];
    if ((entry & (wanted | PTE_BANK_MASK)) !== wanted || (offset & 15) > 16 - size) return -1;
    const index = ((entry & PTE_FRAME_MASK) >>> TAG_POSITION_SHIFT) + (offset >> 5);
    const tag = (this.tags[index] >> ((offset >> 2) & 4)) & 15;
    if (page * PAGE_SIZE + offset + tag * TAG_UNIT !== address) return -1;
    return ((entry & PTE_FRAME_MASK) << 2) | offset;
  }

  /** As {@link matchedPosition}, for a store; a first store to a page is made here if the kernel's straight way is open to it. */
  protected storePosition(address: Address, size: ByteCount): number {
    const page = (address * PAGES_PER_BYTE) & PAGE_MASK;
    const offset = address & OFFSET_MASK;
    const entry = this.entries[page];
    const wanted = this.matchedStore;
    if ((entry & (wanted | PTE_BANK_MASK)) !== wanted || (offset & 15) > 16 - size)
      return entry === 0 ? this.firstStore(address, page, offset, size) : -1;
    const index = ((entry & PTE_FRAME_MASK) >>> TAG_POSITION_SHIFT) + (offset >> 5);
    const tag = (this.tags[index] >> ((offset >> 2) & 4)) & 15;
    if (page * PAGE_SIZE + offset + tag * TAG_UNIT !== address) return -1;
    return ((entry & PTE_FRAME_MASK) << 2) | offset;
  }

  /** The position of a store to a page without an entry, if the kernel makes it by its straight way; −1: not done. */
  private firstStore(address: Address, page: PageNumber, offset: number, size: ByteCount): number {
    if (address !== page * PAGE_SIZE + offset || offset + size > PAGE_SIZE) return -1;
    this.faultTag = 0;
    this.faultAddress = address;
    const entry = this.faults.storeFirst?.(page) ?? 0;
    return entry === 0 ? -1 : (((entry & PTE_FRAME_MASK) << 2) | offset) >>> 0;
  }

  /**
   * The place in {@link words} of the granule at `address`, a multiple of 16 without tag, if it may be both loaded and stored
   * with no fault and no check; −1 for every other, which goes the usual ways. Good until the next fault or system call.
   */
  granuleWord(address: Address): number {
    const pages = address * PAGES_PER_BYTE;
    const page = pages & PAGE_MASK;
    const offset = address & OFFSET_MASK;
    const entry = this.entries[page];
    const isPlain = (offset & 15) === 0 && pages - page === offset * PAGES_PER_BYTE;
    return isPlain && (entry & this.granuleMask) === LOAD_AND_STORE ? (entry & PTE_FRAME_MASK) | (offset >> 2) : -1;
  }

  /** As {@link granuleWord}, of the granule with this number (0 to 255) in a page. */
  granuleWordOf(page: PageNumber, granule: number): number {
    const entry = this.entries[page];
    return (entry & this.granuleMask) === LOAD_AND_STORE ? (entry & PTE_FRAME_MASK) | (granule << 2) : -1;
  }

  /** As {@link translate}, but tags are not compared: for tag stores and loads, and for what the kernel does itself. */
  translateUnchecked(address: Address, access: number): number {
    const tag = (address * TAGS_PER_BYTE) | 0;
    const plain = address - tag * TAG_UNIT;
    if (!(plain >= 0 && plain < ADDRESS_LIMIT && tag >= 0 && tag < 16)) this.refuse(address, access);
    const page = (plain * PAGES_PER_BYTE) | 0;
    const offset = plain - page * PAGE_SIZE;
    if (offset !== (offset | 0)) this.refuse(address, access);
    const permission = access === ACCESS_LOAD ? PTE_READ : PTE_WRITE;
    let entry = this.entries[page];
    if (entry === 0 && access === ACCESS_STORE) {
      this.faultTag = tag;
      this.faultAddress = plain;
      entry = this.faults.storeFirst?.(page) ?? 0;
    }
    while ((entry & permission) === 0) {
      this.faultTag = tag;
      this.faultAddress = plain;
      this.faults.handleFault(plain, access, this);
      entry = this.entries[page];
    }
    this.tagged = (entry & PTE_MTE) !== 0;
    this.bank = entry >>> PTE_BANK_SHIFT;
    this.frame = entry >>> PTE_FRAME_SHIFT;
    return (((entry & PTE_FRAME_MASK) << 2) | offset) >>> 0;
  }

  /**
   * How many of `size` bytes from `address`, all in the page of the last translation, may be accessed before a tag faults
   * immediately. Asynchronous mismatches only set the flag.
   */
  checkedBytes(address: Address, size: ByteCount, access: number): number {
    if (!this.tagged || !this.checksTags) return size;
    const offset = address & OFFSET_MASK;
    const mismatch = findTagMismatch(this.ram, this.frame, offset, size, (address * TAGS_PER_BYTE) | 0);
    if (mismatch === PAGE_SIZE) return size;
    if (faultsSynchronously(this.tagCheckMode, access)) return mismatch - offset;
    this.asyncTagFault = true;
    return size;
  }

  /**
   * An access begins that may be looked at page by page: reports speak of all its bytes. `target`: where a copy stores, or
   * what a comparison compares with; else the same as `address`.
   */
  beginAccess(kind: UseKind, address: Address, size: ByteCount, target = address): void {
    this.accessKind = kind;
    this.accessAddress = address;
    this.accessTarget = target;
    this.accessSize = size;
    this.isLoadReported = false;
    this.isStoreReported = false;
  }

  /** The access turned out to be longer: a string. */
  growAccess(size: ByteCount): void {
    this.accessSize = size;
  }

  /** Before the fault at `address` is raised: the observer gets to know the access. */
  noteFault(address: Address, access: number): void {
    const observer = this.validityObserver;
    if (observer?.faulted === undefined || this.ignoresValidity) return;
    const first = this.accessAddress % TAG_UNIT;
    const second = this.accessTarget % TAG_UNIT;
    const size = this.accessSize;
    const isStore = access === ACCESS_STORE;
    if (isStore === (this.accessKind === USE_STORE) && address >= first && address < first + size) {
      if (!(isStore ? this.isStoreReported : this.isLoadReported))
        this.tell(() => observer.faulted?.(this.accessKind, first, size, address));
    } else if (address >= second && address < second + size) {
      const kind = isStore ? USE_STORE : this.accessKind;
      if (!this.isStoreReported) this.tell(() => observer.faulted?.(kind, second, size, address));
    } else observer.faulted(isStore ? USE_STORE : USE_LOAD, address, 1, address);
  }

  /** A load fault at `address` is to be reported: once an access. The kernel's are of a system call, or each one of its own. */
  reportLoad(address: Address, isKernels: boolean, report: () => void): void {
    const isIn = (begin: Address) => address >= begin % TAG_UNIT && address < (begin % TAG_UNIT) + this.accessSize;
    const isOther = isKernels && this.accessKind !== USE_SYSTEM_CALL;
    const isFirst = !isOther && isIn(this.accessAddress);
    const isSecond = !isOther && !isFirst && isIn(this.accessTarget);
    if ((isFirst && this.isLoadReported) || (isSecond && this.isStoreReported)) return;
    this.isLoadReported ||= isFirst;
    this.isStoreReported ||= isSecond;
    this.tell(report);
  }

  /** Calls what makes accesses of its own, an observer's handler for one; the access that runs goes on after it. */
  tell<Answer>(call: () => Answer): Answer {
    const { accessKind, accessAddress, accessTarget, accessSize, isLoadReported, isStoreReported, copiedPage } = this;
    try {
      return call();
    } finally {
      this.beginAccess(accessKind, accessAddress, accessSize, accessTarget);
      this.isLoadReported = isLoadReported;
      this.isStoreReported = isStoreReported;
      this.copiedPage = copiedPage;
    }
  }

  /**
   * Before a use of `size` bytes at `address`, all in the page of the last translation: undefined ones are reported. A copy
   * (USE_COPY) is no use of their values; of it only memory that the program may not access is.
   */
  useBytes(kind: UseKind, address: Address, size: ByteCount): void {
    if (!this.hasShadow || this.ignoresValidity) return;
    const observer = this.validityObserver;
    if (observer === null) return;
    const found = findUndefined(this.ram, this.frame * PAGE_SIZE + (address & OFFSET_MASK), size);
    if (found < 0 || this.isLoadReported) return;
    const whole = this.accessAddress % TAG_UNIT;
    if (kind !== USE_COPY) {
      this.isLoadReported = true;
      this.tell(() => observer.undefinedUse(kind, whole, this.accessSize, (address % TAG_UNIT) + found));
    } else if (!isInWindow(observer, address, size)) {
      this.isLoadReported = !this.tell(() => observer.mayAccess(kind, whole, this.accessSize));
    }
  }

  /** As {@link useBytes}, of the second range of a comparison. */
  useTarget(kind: UseKind, address: Address, size: ByteCount): void {
    if (!this.hasShadow || this.ignoresValidity) return;
    const observer = this.validityObserver;
    if (observer === null || this.isStoreReported) return;
    const found = findUndefined(this.ram, this.frame * PAGE_SIZE + (address & OFFSET_MASK), size);
    if (found < 0) return;
    this.isStoreReported = true;
    const first = (address % TAG_UNIT) + found;
    this.tell(() => observer.undefinedUse(kind, this.accessTarget % TAG_UNIT, this.accessSize, first));
  }

  /** Before a store of `size` bytes to the page of the last translation: those that are the program's are defined from now on. */
  defineBytes(address: Address, size: ByteCount): void {
    if (!this.hasShadow || this.ignoresValidity) return;
    if (this.mayStore(address, size)) markDefined(this.ram, this.frame * PAGE_SIZE + (address & OFFSET_MASK), size);
    else this.defineAddressable(address, this.frame, size);
  }

  /** After a store that is not, or not wholly, to the program's own bytes in `frame`: what is addressable was written. */
  defineAddressable(address: Address, frame: FrameNumber, size: ByteCount): void {
    this.forAddressable(address, size, (at, bytes) =>
      markDefined(this.ram, frame * PAGE_SIZE + (at & OFFSET_MASK), bytes),
    );
  }

  /** Calls back with each stretch of a range that the program may access. */
  forAddressable(address: Address, size: ByteCount, visit: (address: Address, bytes: ByteCount) => void): void {
    const observer = this.validityObserver;
    if (observer === null) {
      visit(address, size);
      return;
    }
    if (observer.addressableRun === undefined) return;
    const start = address % TAG_UNIT;
    for (let at = start; at < start + size; ) {
      const run = observer.addressableRun(at, start + size);
      if (run > 0) visit(at, run);
      at += Math.abs(run);
    }
  }

  /** What the kernel stores for the program in a frame of its: bytes that are not the program's stay undefined. */
  defineByKernel(address: Address, frame: FrameNumber, size: ByteCount): void {
    if (!this.hasShadow) return;
    const observer = this.validityObserver;
    const position = frame * PAGE_SIZE + (address & OFFSET_MASK);
    const asks = observer?.addressableRun !== undefined && !isInWindow(observer, address, size);
    if (asks && findUndefined(this.ram, position, size) >= 0) this.defineAddressable(address, frame, size);
    else markDefined(this.ram, position, size);
  }

  /** Whether a store to the page of the last translation defines its bytes, or was reported as none of the program's. */
  mayStore(address: Address, size: ByteCount): boolean {
    if (!this.hasShadow || this.ignoresValidity) return true;
    const observer = this.validityObserver;
    if (observer === null) return true;
    if (findUndefined(this.ram, this.frame * PAGE_SIZE + (address & OFFSET_MASK), size) < 0) return true;
    if (isInWindow(observer, address, size)) return true;
    if (this.isStoreReported) return false;
    this.isStoreReported = !this.tell(() =>
      observer.mayAccess(USE_STORE, this.accessTarget % TAG_UNIT, this.accessSize),
    );
    // The page again, since a report's handler may have changed what lies there.
    this.translateUnchecked(address, ACCESS_STORE);
    return !this.isStoreReported;
  }

  /** As bytes are copied inside one page each: the target's get the validity of the source's. */
  copyValidity(to: Address, targetFrame: FrameNumber, from: Address, sourceFrame: FrameNumber, size: ByteCount): void {
    const source = sourceFrame * PAGE_SIZE + (from & OFFSET_MASK);
    const observer = this.ignoresValidity ? null : this.validityObserver;
    if (observer !== null && findUndefined(this.ram, source, size) >= 0)
      observer.copied?.(to % TAG_UNIT, from % TAG_UNIT, size);
    copyBits(this.ram, targetFrame * PAGE_SIZE + (to & OFFSET_MASK), source, size);
  }

  private checkTags(address: Address, size: ByteCount, access: number): void {
    const bytes = this.checkedBytes(address, size, access);
    if (bytes === size) return;
    const tag = (address * TAGS_PER_BYTE) | 0;
    this.counters.segmentationFaults++;
    const first = address - tag * TAG_UNIT + bytes;
    this.raise(new SegmentationFault("SEGV_MTESERR", first, access === ACCESS_LOAD ? "load" : "store", tag));
  }

  /** Ends an access or instruction that the CPU itself refuses. */
  raise(fault: SegmentationFault | BusError | IllegalInstruction): never {
    this.faults.raise?.(fault);
    throw fault;
  }

  private refuse(address: Address, access: number): never {
    if (!Number.isInteger(address))
      throw atProgram(new RangeError(`address ${address} is not a whole number of bytes (0 to 2^38 − 1)`));
    this.counters.segmentationFaults++;
    throw new SegmentationFault("SEGV_MAPERR", address, access === ACCESS_LOAD ? "load" : "store");
  }
}

/** Whether all of a range is known to be the program's. */
function isInWindow(observer: ValidityObserver, address: Address, size: ByteCount): boolean {
  return address >= observer.addressableFrom && address + size <= observer.addressableTo;
}
