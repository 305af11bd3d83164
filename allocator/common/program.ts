// The heap as a user program: its process, the memory of the thread that runs now, and the mapping calls that it makes.
// Scudo's platform layer (S27): every byte the heap has comes through here. Who maps what is decided elsewhere.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { ACCESS_STORE, PAGE_SIZE, PTE_PRESENT, PTE_SPECIAL, PTE_WRITE } from "../../platform/hardware/layout.ts";
import type { Memory } from "../../platform/hardware/memory.ts";
import { ENTRIES_PER_BLOCK } from "../../platform/hardware/page-table.ts";
import { type ErrnoCode, SystemError } from "../../platform/kernel/abi/errors.ts";
import {
  MADV_DONTNEED,
  MADV_HUGEPAGE,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_NORESERVE,
  MAP_PRIVATE,
  MREMAP_FIXED,
  MREMAP_MAYMOVE,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
} from "../../platform/kernel/abi/mman.ts";
import type { Process } from "../../platform/kernel/process.ts";
import type { Thread } from "../../platform/kernel/thread.ts";
import { keepClass } from "../../platform/state/kept.ts";
import type { MapPattern } from "./pattern-mapping.ts";
import { PLAIN_REPORTS, type ReportContext, reportMapError, reportProtectError, reportUnmapError } from "./report.ts";

/** What a mapping call answers that failed; {@link Program.errno} says why. */
export const NO_MEMORY = -1;

/** What one huge page holds, and what it begins on a multiple of. */
export const HUGE_PAGE_SIZE = ENTRIES_PER_BLOCK * PAGE_SIZE;

const ANONYMOUS = MAP_PRIVATE | MAP_ANONYMOUS;
const READ_WRITE = PROT_READ | PROT_WRITE;

/** The process that a heap lives in, and its calls. Lengths are whole pages; a call that fails says so and has changed nothing. */
export class Program {
  readonly process: Process;
  /** The heap's own loads and stores, as the thread that runs now; heap.ts changes it with the thread. */
  memory: Memory;
  /** Those of the program that uses the heap: the same, unless somebody watches what the program reads (tracked-program.ts). */
  userMemory: Memory;
  /** Address space that could not be unmapped, see {@link discard}. */
  leakedBytes = 0;
  /** Advice on huge pages that every mapping gets: none, or MADV_HUGEPAGE or MADV_NOHUGEPAGE from `advisedFrom` bytes on. */
  private hugeAdvice = 0;
  private advisedFrom = 0;
  /** Called for every mapping that is given back whole. */
  onDiscard: ((address: Address, length: ByteCount) => void) | null = null;
  /** Why the last call failed that did; "" if none has. */
  errno: ErrnoCode | "" = "";
  private readonly reports: ReportContext;

  constructor(process: Process, reports = PLAIN_REPORTS) {
    this.process = process;
    this.reports = reports;
    this.memory = process.memory;
    this.userMemory = process.memory;
  }

  /** From now on mappings of `fromBytes` or more get an advice on huge pages; 0: none. */
  adviseHuge(advice: number, fromBytes: number): void {
    this.hugeAdvice = advice;
    this.advisedFrom = fromBytes;
  }

  /** What a mapping of `length` bytes had better begin on: 2 MiB if it was advised to be huge and can hold a huge page, else a page. */
  hugeAlignment(length: ByteCount): ByteCount {
    return this.mayBeHuge(length) && length >= HUGE_PAGE_SIZE ? HUGE_PAGE_SIZE : PAGE_SIZE;
  }

  /** Whether memory that is mapped `length` bytes a time was advised to be huge. */
  mayBeHuge(length: ByteCount): boolean {
    return this.hugeAdvice === MADV_HUGEPAGE && length >= this.advisedFrom;
  }

  /**
   * Whether giving memory back up to `address`, or from it on, would split a huge page that was asked for: the address, without tag, lies
   * inside one. Scudo never asks for huge pages and has no such rule.
   * @param length bytes that are mapped a time there, as for {@link mayBeHuge}
   */
  wouldSplitHuge(address: Address, length: ByteCount): boolean {
    if (address % HUGE_PAGE_SIZE === 0 || !this.mayBeHuge(length)) return false;
    return this.memory.pageTable.isHuge(Math.floor(address / PAGE_SIZE));
  }

  /** Whether a store to an address without tag costs neither a fault nor a frame. */
  isWritable(address: Address): boolean {
    return (this.memory.pageTable.entryOf(Math.floor(address / PAGE_SIZE)) & PTE_WRITE) !== 0;
  }

  /** Advice is not to fail: where it would pass the map count, the memory stays as it is. */
  private advise(address: Address, length: ByteCount): void {
    if (this.hugeAdvice === 0 || length < this.advisedFrom) return;
    try {
      this.process.madvise(address, length, this.hugeAdvice);
    } catch (error) {
      this.fail(error);
      this.errno = "";
    }
  }

  /** The process's memory is gone, or the heap has ended: no access of the heap's own may reach whoever has its page table next. */
  detach(): void {}

  /** From now on the heap works as `thread`. */
  runAs(thread: Thread): void {
    this.memory = thread.memory;
    this.userMemory = thread.memory;
  }

  /**
   * What a heap with checks of its own still owes the program is delivered now, so that no report comes out of the middle of an
   * operation. Nothing here; see tagged-program.ts.
   */
  deliverReports(): void {}

  /** R-map, if the last call failed for another reason than ENOMEM, which Scudo answers with null (S27.1). */
  reportMapFailure(): void {
    const { errno } = this;
    if (errno !== "ENOMEM" && errno !== "") reportMapError(errnoText(errno), {}, this.reports);
  }

  /** Reserves address space without memory. @returns its address, or {@link NO_MEMORY} */
  reserve(length: ByteCount): number {
    try {
      return this.process.mmap(0, length, PROT_NONE, ANONYMOUS | MAP_NORESERVE);
    } catch (error) {
      return this.fail(error);
    }
  }

  /** Makes `[address, address + length)` fresh read/write memory that reads zero, over what was there. */
  commit(address: Address, length: ByteCount, extraProtection = 0): boolean {
    const flags = ANONYMOUS | MAP_FIXED;
    try {
      this.process.mmap(address, length, READ_WRITE | extraProtection, flags);
      this.advise(address, length);
      return true;
    } catch (error) {
      this.fail(error);
      return false;
    }
  }

  /** As {@link commit}, but reads as the file `fd` does: a reference page's contents, privately. */
  commitFile(address: Address, length: ByteCount, fd: number, extraProtection = 0): boolean {
    const flags = MAP_PRIVATE | MAP_FIXED;
    try {
      this.process.mmap(address, length, READ_WRITE | extraProtection, flags, fd);
      this.advise(address, length);
      return true;
    } catch (error) {
      this.fail(error);
      return false;
    }
  }

  /**
   * As {@link commit}, but reads as `pattern`, by a kernel interface of the user's own.
   * @throws TypeError: it did not answer `address`. What it throws that is no SystemError. The memory reads zero then.
   */
  commitOwn(address: Address, length: ByteCount, map: MapPattern, pattern: Uint8Array): boolean {
    const flags = MAP_PRIVATE | MAP_FIXED;
    try {
      const answer = map(this.process, { address, length, prot: READ_WRITE, flags, pattern });
      if (answer !== address)
        throw new TypeError(`mapPattern answered ${String(answer)}, not the address that was asked for`);
      this.advise(address, length);
      return true;
    } catch (error) {
      if (!(error instanceof SystemError)) this.commit(address, length);
      this.fail(error);
      return false;
    }
  }

  /**
   * Moves pages over a place in a reservation and lets them grow to `newLength`.
   * @returns whether it could be done: the pages may also lie in several areas now, which mremap refuses
   */
  move(oldAddress: number, oldLength: number, newLength: number, newAddress: number): boolean {
    try {
      this.process.mremap(oldAddress, oldLength, newLength, MREMAP_MAYMOVE | MREMAP_FIXED, newAddress);
      return true;
    } catch (error) {
      this.fail(error);
      return false;
    }
  }

  /**
   * Makes sure that a store to the word at `address` will not fault: it gets its frame, or its own copy after a fork, now.
   * Call it first for each word that an operation must be able to write without failing.
   * @throws OutOfMemoryError: there is no frame
   */
  touch(address: Address): void {
    this.memory.setInt32(address, this.memory.getInt32(address));
  }

  /** Whether the page at an address without tag has been stored to: it is no clean page, and there at all. */
  isTouched(address: Address): boolean {
    const entry = this.memory.pageTable.entryOf(Math.floor(address / PAGE_SIZE));
    return (entry & (PTE_PRESENT | PTE_SPECIAL)) === PTE_PRESENT;
  }

  /** As {@link touch} for every page of `[address, address + length)`, an address without tag. Cost: the pages. */
  prepare(address: Address, length: ByteCount): void {
    const { entries } = this.memory.pageTable;
    const end = Math.ceil((address + length) / PAGE_SIZE);
    for (let page = Math.floor(address / PAGE_SIZE); page < end; page++) {
      if ((entries[page] & PTE_WRITE) === 0)
        this.memory.translateUnchecked(Math.max(page * PAGE_SIZE, address), ACCESS_STORE);
    }
  }

  /**
   * Gives the pages back; the next load reads zero, or what the mapping's file says.
   * @returns whether the kernel did so: locked pages, for one, stay. After a failure the contents are as before.
   */
  releasePages(address: Address, length: ByteCount): boolean {
    try {
      this.process.madvise(address, length, MADV_DONTNEED);
      return true;
    } catch (error) {
      this.fail(error);
      return false;
    }
  }

  /**
   * @returns whether it could be done: a split past the map count is ENOMEM and changes nothing
   * @throws HeapError R-protect: any other failure
   */
  protect(address: Address, length: ByteCount, protection: number): boolean {
    try {
      this.process.mprotect(address, length, protection);
      return true;
    } catch (error) {
      this.fail(error);
    }
    if (this.errno !== "ENOMEM") reportProtectError(errnoText(this.errno), address, length, protection, this.reports);
    return false;
  }

  /**
   * @returns whether it could be done: a split past the map count is ENOMEM and changes nothing
   * @throws HeapError R-unmap: any other failure
   */
  unmap(address: Address, length: ByteCount): boolean {
    try {
      this.process.munmap(address, length);
      return true;
    } catch (error) {
      this.fail(error);
    }
    if (this.errno !== "ENOMEM") reportUnmapError(errnoText(this.errno), address, length, this.reports);
    return false;
  }

  /**
   * Gives a whole mapping back. Where the map count forbids to unmap it, its pages are given back and the address
   * space is left (Scudo would die of R-unmap).
   * @param mapped bytes of it that are still mapped: mremap may have taken some away
   */
  discard(address: Address, length: ByteCount, mapped = length): void {
    this.onDiscard?.(address, length);
    if (this.unmap(address, length)) return;
    this.leakedBytes += mapped;
    this.releasePages(address, length);
  }

  /** The coarse monotonic clock, in nanoseconds. */
  now(): number {
    return this.process.kernel.monotonicNanoseconds();
  }

  /** A mapping call answers each failure of the kernel; any other error is thrown on. */
  private fail(error: unknown): typeof NO_MEMORY {
    if (!(error instanceof SystemError)) throw error;
    this.errno = error.code;
    return NO_MEMORY;
  }
}

/** strerror's text, as far as mapping calls fail so. */
function errnoText(code: string): string {
  return texts[code] ?? code;
}

const texts: Readonly<Record<string, string>> = {
  ENOMEM: "Cannot allocate memory",
  EAGAIN: "Resource temporarily unavailable",
  EINVAL: "Invalid argument",
  EPERM: "Operation not permitted",
  EACCES: "Permission denied",
};

keepClass("Program", Program);
