// System calls as recorded cases make them: reads and writes through a memfd, the control word, and the signals that arrive.
// Which steps there are is in cases.ts and scripts.ts.

import { withoutTag } from "../../../platform/hardware/tags.ts";
import { SystemError } from "../../../platform/kernel/abi/errors.ts";
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE } from "../../../platform/kernel/abi/mman.ts";
import {
  PR_GET_TAGGED_ADDR_CTRL,
  PR_MTE_TAG_SHIFT,
  PR_MTE_TCF_ASYNC,
  PR_MTE_TCF_SYNC,
  PR_SET_TAGGED_ADDR_CTRL,
  PR_TAGGED_ADDR_ENABLE,
} from "../../../platform/kernel/abi/prctl.ts";
import type { Process } from "../../../platform/kernel/process.ts";
import { SA_SIGINFO, SIGSEGV, type SignalInfo } from "../../../platform/kernel/signals.ts";
import { fnv1a, patternBytes } from "./observed.ts";
import { AREA } from "./program.ts";

/** Bytes of the page through which the host passes file contents; it has no tags. */
const SCRATCH = AREA - 2 ** 24;
const SCRATCH_BYTES = 2 ** 20;

export const modeNames = ["none", "sync", "async", "asymm"] as const;
export type ModeName = (typeof modeNames)[number];

/** What a system call gave: a number, or the name of its error. */
export interface CallResult {
  readonly ret?: number;
  readonly error?: string;
  /** Hash of the bytes that `write` passed on. */
  readonly bytes?: string;
}

export function call(action: () => number): CallResult {
  try {
    return { ret: action() };
  } catch (error) {
    if (error instanceof SystemError) return { error: error.code };
    throw error;
  }
}

/** The system-call side of one process of a case. */
export class Calls {
  readonly process: Process;
  /** Signals that the process's handler got, oldest first. */
  readonly signals: SignalInfo[];

  constructor(process: Process, signals: SignalInfo[] = []) {
    this.process = process;
    this.signals = signals;
  }

  /** Installs a handler for SIGSEGV that writes down what it gets, and does `then`. */
  catchFaults(flags: number = SA_SIGINFO, then: () => void = () => {}): void {
    this.process.sigaction(SIGSEGV, {
      flags,
      handler: (info) => {
        this.signals.push(info);
        then();
      },
    });
  }

  get asyncReports(): number {
    return this.signals.filter((info) => info.code === "SEGV_MTEAERR").length;
  }

  /** A read of `length` pattern bytes into the tagged buffer. */
  read(buffer: number, length: number, pattern: number): CallResult {
    const { process } = this;
    const fd = this.memfdWith(patternBytes(pattern, length));
    const result = call(() => process.pread64(fd, buffer, length, 0));
    process.close(fd);
    return result;
  }

  /** A write from the tagged buffer. */
  write(buffer: number, length: number): CallResult {
    const { process } = this;
    const fd = process.memfd_create("case");
    const result = call(() => process.pwrite64(fd, buffer, length, 0));
    const moved = result.ret ?? 0;
    this.withScratch(() => process.pread64(fd, SCRATCH, moved, 0));
    const bytes = process.memory.read(SCRATCH, moved);
    process.munmap(SCRATCH, SCRATCH_BYTES);
    process.close(fd);
    return result.ret === undefined ? result : { ...result, bytes: fnv1a(bytes) };
  }

  /** Sets the control word for a mode, with the tagged address ABI on and all tags included. */
  setMode(mode: ModeName): void {
    const { process } = this;
    const both = PR_MTE_TCF_SYNC | PR_MTE_TCF_ASYNC;
    const bits = { none: 0, sync: PR_MTE_TCF_SYNC, async: PR_MTE_TCF_ASYNC, asymm: both }[mode];
    process.kernel.preferredTagCheckMode = mode === "asymm" ? "asymm" : "async";
    process.prctl(PR_SET_TAGGED_ADDR_CTRL, PR_TAGGED_ADDR_ENABLE | bits | (0xffff << PR_MTE_TAG_SHIFT));
  }

  /** A system call that does nothing. */
  enterKernel(): void {
    this.process.prctl(PR_GET_TAGGED_ADDR_CTRL);
  }

  private memfdWith(content: Uint8Array): number {
    const { process } = this;
    const fd = process.memfd_create("case");
    this.withScratch(() => {
      process.memory.write(SCRATCH, content);
      process.pwrite64(fd, SCRATCH, content.length, 0);
    });
    process.munmap(SCRATCH, SCRATCH_BYTES);
    return fd;
  }

  private withScratch(action: () => void): void {
    this.process.mmap(withoutTag(SCRATCH), SCRATCH_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | 0x10);
    action();
  }
}
