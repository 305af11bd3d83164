// What the tagged heaps of one process share: the mode of its tag checks, which is the process's, and the handler of SIGSEGV,
// which asks the heap whose memory the fault is in. The last heap to end gives the signal back to who had it before.

import type { Process } from "../../platform/kernel/process.ts";
import {
  SA_EXPOSE_TAGBITS,
  SA_SIGINFO,
  SIGSEGV,
  type SignalAction,
  type SignalDisposition,
  type SignalInfo,
} from "../../platform/kernel/signals.ts";
import { keepClass, keepMaker, keepTable } from "../../platform/state/kept.ts";
import type { Tagging } from "../options/options.ts";
import { setCheckMode } from "./tagging.ts";

/** A heap's part in the handling of a fault: it reports those in its own memory, by throwing, and returns from all others. */
export interface FaultReporter {
  /** Whether the heap's tagging goes on; one that was switched off does not keep the process's checks on. */
  readonly isOff: boolean;
  reportFault(info: SignalInfo): void;
}

export class ProcessTags {
  private readonly process: Process;
  private readonly reporters: FaultReporter[] = [];
  private readonly action: SignalAction;
  private previous: SignalDisposition = "default";
  private current: Tagging;

  private constructor(process: Process, mode: Tagging) {
    this.process = process;
    this.current = mode;
    this.action = { flags: SA_SIGINFO | SA_EXPOSE_TAGBITS, handler: handlerOf(this) };
    installed.set(this.action, this);
  }

  /** Those of a process. `mode`: what its checks do now, if no heap of it has asked before. */
  static of(process: Process, mode: Tagging): ProcessTags {
    let tags = byProcess.get(process);
    if (tags === undefined) {
      tags = new ProcessTags(process, mode);
      byProcess.set(process, tags);
    }
    return tags;
  }

  /** Who had the signal before. */
  get disposition(): SignalDisposition {
    return this.previous;
  }

  get mode(): Tagging {
    return this.current;
  }

  /** Sets what a mismatch does, in every thread. */
  setMode(mode: Tagging): void {
    setCheckMode(this.process, mode);
    this.current = mode;
  }

  /** A heap is there that reports its faults. */
  add(reporter: FaultReporter): void {
    if (this.reporters.length === 0) this.previous = beforeAnyHeap(this.process.sigaction(SIGSEGV, this.action));
    this.reporters.push(reporter);
  }

  /** A heap's tagging was switched off: the checks stay as long as another heap wants them. */
  switchedOff(): void {
    if (this.reporters.some(({ isOff }) => !isOff)) return;
    this.setMode("off");
    for (const reporter of [...this.reporters]) this.remove(reporter);
  }

  /** A heap has ended. A handler that the program has installed since then stays. */
  remove(reporter: FaultReporter): void {
    const index = this.reporters.indexOf(reporter);
    if (index < 0) return;
    this.reporters.splice(index, 1);
    if (this.reporters.length > 0 || this.process.sigaction(SIGSEGV, null) !== this.action) return;
    this.process.sigaction(SIGSEGV, this.previous);
  }

  /** SIGSEGV. */
  handle(info: SignalInfo): void {
    for (const reporter of [...this.reporters]) reporter.reportFault(info);
    if (typeof this.previous === "object") this.previous.handler(info);
  }
}

const handlerOf = keepMaker("tags.handler", (tags: ProcessTags) => (info: SignalInfo) => tags.handle(info));

const byProcess = keepTable("tags.byProcess", new WeakMap<Process, ProcessTags>());
const installed = keepTable("tags.installed", new WeakMap<SignalAction, ProcessTags>());

/** A forked child inherits its parent's handler, which knows the parent's heaps: what counts is what was there before those. */
function beforeAnyHeap(disposition: SignalDisposition): SignalDisposition {
  let found = disposition;
  while (typeof found === "object") {
    const heaps = installed.get(found);
    if (heaps === undefined) return found;
    found = heaps.disposition;
  }
  return found;
}

keepClass("ProcessTags", ProcessTags);
