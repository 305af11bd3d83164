// The process of a tagged heap: the program's loads and stores are checked, the heap's own are not (as with PSTATE.TCO set), so
// that it meets headers, free blocks and chunks of every tag alike. Its tags come from a generator of its own.

import { Memory } from "../platform/hardware/memory.ts";
import type { Process } from "../platform/kernel/process.ts";
import type { Thread } from "../platform/kernel/thread.ts";
import { Program } from "./program.ts";
import { nextRandom } from "./random.ts";

export class TaggedProgram extends Program {
  private readonly ownMemories = new Map<Thread, Memory>();
  private seed: number;

  /** @param seed 32 random bits, for the tags */
  constructor(process: Process, seed: number) {
    super(process);
    this.seed = seed;
    this.runAs(process.mainThread);
  }

  override runAs(thread: Thread): void {
    let own = this.ownMemories.get(thread);
    if (own === undefined) {
      own = this.createOwnMemory(thread);
      this.ownMemories.set(thread, own);
    }
    this.memory = own;
    this.userMemory = thread.memory;
  }

  private createOwnMemory(thread: Thread): Memory {
    const { ram, counters, pageTable } = thread.memory;
    const memory = new Memory(ram, counters, pageTable, thread);
    this.seed = nextRandom(this.seed);
    memory.randomTagState = this.seed;
    return memory;
  }
}
