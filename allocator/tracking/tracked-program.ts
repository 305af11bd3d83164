// The heap's process when somebody watches what its program reads: the heap's own accesses are kept apart from the program's,
// and fresh memory comes from reference pages whose bytes count as undefined, so that no page is touched to say so.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { PAGE_SIZE } from "../../platform/hardware/layout.ts";
import type { Memory } from "../../platform/hardware/memory.ts";
import type { FaultHandler } from "../../platform/hardware/mmu.ts";
import { DETACH } from "../../platform/hardware/page-table.ts";
import { UncheckedMemory } from "../../platform/hardware/unchecked-memory.ts";
import { OutOfMemoryError, SystemError } from "../../platform/kernel/abi/errors.ts";
import type { Process } from "../../platform/kernel/process.ts";
import type { Thread } from "../../platform/kernel/thread.ts";
import { keepClass, keepMaker } from "../../platform/state/kept.ts";
import { NO_MEMORY, Program } from "../common/program.ts";
import type { ReportContext } from "../common/report.ts";
import { type ObservedHeap, observerOf, watchProcess } from "./process-watch.ts";
import { markAllUndefined } from "./undefined-bytes.ts";

/** Errors after which the heap goes on without a reference page. */
const FALLBACK_CODES = new Set(["EMFILE", "ENFILE", "ENOMEM", "ENOSYS"]);
export const NO_DESCRIPTOR = -1;

/** What an untouched page of fresh memory reads: zeroes, or the heap's pattern. */
export type FreshContent = "zero" | "pattern";

export class TrackedProgram extends Program {
  /** Whether each byte is tracked (a machine with validity bits), as opposed to whole clean pages of large chunks. */
  readonly tracksBytes: boolean;
  readonly pattern: Uint8Array;
  /** How often fresh memory had to do without a reference page. */
  fallbacks = 0;
  /** While the heap itself takes a fault. */
  isOwnFault = false;
  private isWatching = false;
  private readonly ownMemories = new Map<Thread, Memory>();
  private descriptors: Record<FreshContent, number> = { zero: NO_DESCRIPTOR, pattern: NO_DESCRIPTOR };
  private isCreating = false;

  constructor(
    process: Process,
    options: { readonly tracksBytes: boolean; readonly pattern: Uint8Array; readonly reports: ReportContext },
  ) {
    super(process, options.reports);
    this.tracksBytes = options.tracksBytes;
    this.pattern = options.pattern;
    this.runAs(process.mainThread);
  }

  /** Whose observer is asked about the program's uses of undefined bytes, in each thread that the heap works as. @returns what ends it */
  watch(heap: ObservedHeap): () => void {
    const stop = watchProcess(this.process, heap);
    this.isWatching = true;
    this.userMemory.validityObserver = observerOf(this.process);
    return stop;
  }

  override runAs(thread: Thread): void {
    let own = this.ownMemories.get(thread);
    if (own === undefined) {
      own = this.createOwnMemory(thread);
      this.ownMemories.set(thread, own);
    }
    this.memory = own;
    this.userMemory = thread.memory;
    if (this.isWatching) thread.memory.validityObserver = observerOf(this.process);
  }

  override detach(): void {
    const { emptyPageTable } = this.process.kernel.machine;
    for (const own of this.ownMemories.values()) own[DETACH](emptyPageTable);
  }

  private createOwnMemory(thread: Thread): Memory {
    const { machine } = this.process.kernel;
    const faults = ownFaults(this, thread);
    const memory = new UncheckedMemory(machine.ram, machine.counters, this.process.addressSpace.pageTable, faults);
    memory.ignoresValidity = true;
    return memory;
  }

  /** Fresh memory: what was never written counts as undefined. */
  override commit(address: Address, length: ByteCount, extraProtection = 0): boolean {
    if (!this.tracksBytes || this.isCreating) return super.commit(address, length, extraProtection);
    if (this.commitFresh(address, length, "zero")) return true;
    if (!super.commit(address, length, extraProtection)) return false;
    markAllUndefined(this.memory, address, length);
    return true;
  }

  /** Memory that reads zero and counts as written, for calloc. */
  commitZeroes(address: Address, length: ByteCount): boolean {
    return super.commit(address, length);
  }

  /** Maps the reference page of `content`. @returns false: there is none, or no memory */
  commitFresh(address: Address, length: ByteCount, content: FreshContent): boolean {
    const descriptor = this.descriptor(content);
    if (descriptor !== NO_DESCRIPTOR && this.commitFile(address, length, descriptor)) return true;
    this.fallbacks++;
    return false;
  }

  private descriptor(content: FreshContent): number {
    if (this.descriptors[content] !== NO_DESCRIPTOR) return this.descriptors[content];
    const page = this.reserve(PAGE_SIZE);
    if (page === NO_MEMORY) return NO_DESCRIPTOR;
    this.isCreating = true;
    try {
      if (super.commit(page, PAGE_SIZE)) this.descriptors[content] = this.createFrom(page, content);
    } catch (error) {
      const isExpected = error instanceof SystemError && FALLBACK_CODES.has(error.code);
      if (!isExpected && !(error instanceof OutOfMemoryError)) throw error;
    } finally {
      this.isCreating = false;
      this.unmap(page, PAGE_SIZE);
    }
    return this.descriptors[content];
  }

  private createFrom(page: Address, content: FreshContent): number {
    if (content === "pattern") this.memory.fillPattern(page, PAGE_SIZE, this.pattern);
    if (this.tracksBytes) markAllUndefined(this.memory, page, PAGE_SIZE);
    const size = content === "pattern" ? this.pattern.length : 1;
    try {
      return this.process.syscall("refpage_create2", page, size, 0);
    } catch (error) {
      if (!(error instanceof SystemError) || error.code !== "ENOSYS") throw error;
    }
    return this.process.syscall("refpage_create", page, 0);
  }

  /** Descriptors survive a fork. */
  inheritDescriptors(other: TrackedProgram): void {
    this.descriptors = { ...other.descriptors };
  }

  closeDescriptors(): void {
    for (const content of ["zero", "pattern"] as const) {
      if (this.descriptors[content] !== NO_DESCRIPTOR) this.process.close(this.descriptors[content]);
      this.descriptors[content] = NO_DESCRIPTOR;
    }
  }
}

keepClass("TrackedProgram", TrackedProgram, { atRest: () => ({ isOwnFault: false, isCreating: false }) });

const ownFaults = keepMaker(
  "tracking.ownFaults",
  (program: TrackedProgram, thread: Thread): FaultHandler => ({
    handleFault: (address, access) => {
      program.isOwnFault = true;
      try {
        thread.handleFault(address, access);
      } finally {
        program.isOwnFault = false;
      }
    },
  }),
);
