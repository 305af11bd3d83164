// A thread: a context that runs in a process, with its own load/store unit and so its own tag-check state.
// Here a fault that cannot be resolved becomes the signal's error; resolving is fault.ts.

import { BusError, SegmentationFault } from "../hardware/faults.ts";
import type { Address, PageNumber, PageTableEntry } from "../hardware/integers.ts";
import { ACCESS_STORE, PAGES_PER_BYTE } from "../hardware/layout.ts";
import { Memory } from "../hardware/memory.ts";
import type { FaultHandler, Mmu } from "../hardware/mmu.ts";
import { hideLinks, outline } from "../hardware/outline.ts";
import { DETACH } from "../hardware/page-table.ts";
import { ValidatedMemory } from "../hardware/validated-memory.ts";
import { keepClass } from "../state/kept.ts";
import { OutOfMemoryError } from "./abi/errors.ts";
import { FAULT_DONE, FAULT_FORBIDDEN, FAULT_OUT_OF_MEMORY, FAULT_PAST_END, handlePageFault } from "./mm/fault.ts";
import type { FirstStores } from "./mm/first-stores.ts";
import type { Process } from "./process.ts";
import { type FaultError, forceFault, SignalMask } from "./signals.ts";
import { applyControl } from "./tagged-address.ts";

/** A thread of a process: loads and stores, signal mask, tag checks. */
export class Thread implements FaultHandler {
  /** Thread id; the main thread's is the pid. */
  readonly tid: number;
  /** Whose thread it is. */
  readonly process: Process;
  /** Memory as this thread loads and stores it. */
  readonly memory: Memory;
  /** The word of PR_SET_TAGGED_ADDR_CTRL. */
  taggedAddressControl = 0;
  private readonly firstStores: FirstStores;
  /** Signals that wait. */
  signalMask = new SignalMask();
  /** Whether it has ended. */
  ended = false;

  constructor(process: Process, tid: number) {
    this.process = process;
    this.tid = tid;
    this.firstStores = process.addressSpace.firstStores;
    const { machine } = process.kernel;
    const ThreadMemory = machine.shadow ? ValidatedMemory : Memory;
    const memory = new ThreadMemory(machine.ram, machine.counters, process.addressSpace.pageTable, this);
    this.memory = hideLinks(memory);
    this.memory.randomTagState = process.kernel.random();
    applyControl(this);
    hideLinks(this);
  }

  /** The MMU's way into the kernel; `by`: whose access it is, where its observer wants to know. @throws SegmentationFault, BusError or OutOfMemoryError; the access did not happen then. */
  handleFault(address: Address, access: number, by?: Mmu): void {
    const { process } = this;
    if (this.ended || process.exitStatus !== null) throw this.faultAfterEnd(address, access);
    const page = (address * PAGES_PER_BYTE) | 0;
    const result = handlePageFault(process.addressSpace, process, page, access);
    if (result === FAULT_DONE) return;
    if (result === FAULT_OUT_OF_MEMORY) throw new OutOfMemoryError(process.pid, address);
    process.kernel.counters.segmentationFaults++;
    by?.noteFault(address, access);
    const kind = access === ACCESS_STORE ? "store" : "load";
    const tag = this.memory.faultTag;
    const fault =
      result === FAULT_PAST_END
        ? new BusError("BUS_ADRERR", address, kind)
        : new SegmentationFault(result === FAULT_FORBIDDEN ? "SEGV_ACCERR" : "SEGV_MAPERR", address, kind, tag);
    forceFault(this, fault, tag);
    throw fault;
  }

  /** The MMU's straight way into the kernel, for the commonest fault. @returns the new entry; 0: nothing was done, take the whole way */
  storeFirst(page: PageNumber): PageTableEntry {
    return this.ended ? 0 : this.firstStores.store(this.process, page);
  }

  /** For whoever kept the memory of a thread that has ended: no signal handler hears of it. */
  private faultAfterEnd(address: Address, access: number): SegmentationFault {
    const { process, tid } = this;
    const who = process.exitStatus === null ? `thread ${tid}` : `process ${process.pid}`;
    const kind = access === ACCESS_STORE ? "store" : "load";
    return new SegmentationFault("SEGV_MAPERR", address, kind, this.memory.faultTag, `${who} has ended`);
  }

  /** The MMU tells of a tag mismatch or alignment fault, before it throws it. */
  raise(fault: FaultError): void {
    forceFault(this, fault, fault instanceof SegmentationFault ? fault.tag : 0);
  }

  /** Takes over what a new thread or child has from the one that made it: tag-check state and blocked signals. */
  inherit(parent: Thread): void {
    this.taggedAddressControl = parent.taggedAddressControl;
    applyControl(this);
    this.memory.tagCheckMode = parent.memory.tagCheckMode;
    this.signalMask = new SignalMask(parent.signalMask);
    this.memory.tco = parent.memory.tco;
  }

  /** Ends the thread, whose memory is gone for it; the process goes on. A second call does nothing. */
  exit(): void {
    this.ended = true;
    this.memory[DETACH](this.process.kernel.machine.emptyPageTable);
    this.process.removeThread(this);
  }
}

outline(Thread, ({ tid, process, ended }) => ({ tid, pid: process.pid, ended }));

keepClass("Thread", Thread);
// A thread's load/store unit is kept with it.
keepClass("Memory", Memory);
