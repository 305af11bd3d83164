// The process of a tagged heap: the program's loads and stores are checked, the heap's own are not (as with PSTATE.TCO set), so
// that it meets headers, free blocks and chunks of every tag alike. Its tags come from a generator of its own.

import { DETACH } from "../../platform/hardware/page-table.ts";
import { UncheckedMemory } from "../../platform/hardware/unchecked-memory.ts";
import type { Process } from "../../platform/kernel/process.ts";
import { reportAsyncTagFault } from "../../platform/kernel/tagged-address.ts";
import type { Thread } from "../../platform/kernel/thread.ts";
import { keepClass } from "../../platform/state/kept.ts";
import { Program } from "../common/program.ts";
import { nextRandom } from "../common/random.ts";
import type { ReportContext } from "../common/report.ts";

export class TaggedProgram extends Program {
  private readonly ownMemories = new Map<Thread, UncheckedMemory>();
  private seed: number;
  /** The heap's own memory, as what it is. */
  own: UncheckedMemory;
  /** Id of the thread that runs now. */
  threadId = 0;

  /** `seed`: 32 random bits, for the tags. */
  constructor(process: Process, options: { readonly seed: number; readonly reports: ReportContext }) {
    super(process, options.reports);
    this.seed = options.seed;
    this.own = this.createOwnMemory(process.mainThread);
    this.ownMemories.set(process.mainThread, this.own);
    this.runAs(process.mainThread);
  }

  override runAs(thread: Thread): void {
    let own = this.ownMemories.get(thread);
    if (own === undefined) {
      own = this.createOwnMemory(thread);
      this.ownMemories.set(thread, own);
    }
    this.memory = own;
    this.own = own;
    this.threadId = thread.tid;
    this.userMemory = thread.memory;
  }

  override detach(): void {
    const { emptyPageTable } = this.process.kernel.machine;
    for (const own of this.ownMemories.values()) own[DETACH](emptyPageTable);
  }

  /** An asynchronous mismatch of the running thread is reported before an operation instead of by its first system call. */
  override deliverReports(): void {
    if (this.userMemory.asyncTagFault) reportAsyncTagFault(this.process.currentThread);
  }

  private createOwnMemory(thread: Thread): UncheckedMemory {
    const { ram, counters, pageTable } = thread.memory;
    const memory = new UncheckedMemory(ram, counters, pageTable, thread);
    this.seed = nextRandom(this.seed);
    memory.randomTagState = this.seed;
    return memory;
  }
}

keepClass("TaggedProgram", TaggedProgram);
