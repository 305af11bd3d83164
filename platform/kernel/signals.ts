// Signals as far as memory needs them: what a process does with SIGSEGV and SIGBUS, which are blocked, and which wait.
// Faults come from thread.ts and the MMU; the asynchronous tag report is found at kernel entry (tagged-address.ts).

import { type Access, BusError, IllegalInstruction, SegmentationFault } from "../hardware/faults.ts";
import type { Address, ProcessId, Tag } from "../hardware/integers.ts";
import { TAG_UNIT } from "../hardware/layout.ts";
import { keepClass } from "../state/kept.ts";
import { named } from "./abi/arguments.ts";
import { SystemError } from "./abi/errors.ts";
import type { Kernel } from "./kernel.ts";
import type { Thread } from "./thread.ts";

/** An instruction that the machine does not have. */
export const SIGILL = 4;
/** An access past the end of a mapped file. */
export const SIGBUS = 7;
/** Ends the process; cannot be caught. */
export const SIGKILL = 9;
/** The program's own. */
export const SIGUSR1 = 10;
/** An access outside a mapping, or against its protection or tag. */
export const SIGSEGV = 11;
/** Stops the process; cannot be caught. */
export const SIGSTOP = 19;
const LAST_SIGNAL = 64;
/** Where handlers seem to lie: no program is mapped there, and nothing jumps to them. */
const TEXT_START = 0x40_0000;
const HANDLER_SPACING = 16;

/** The handler gets a siginfo; without effect here, since handlers always do. */
export const SA_SIGINFO = 4;
/** si_addr keeps the pointer's tag (arm64, tagged-pointers.rst). */
export const SA_EXPOSE_TAGBITS = 0x800;

export const SIG_BLOCK = 0;
export const SIG_UNBLOCK = 1;
export const SIG_SETMASK = 2;

/** siginfo_t, as far as it is filled in. */
export interface SignalInfo {
  readonly signal: number;
  /** si_code by name (SEGV_MAPERR, …), or SI_USER for a signal that was sent. */
  readonly code: string;
  /** si_addr. The tag is in it only for handlers with SA_EXPOSE_TAGBITS. */
  readonly address: Address;
  /** Which access it was (ESR_EL1.WnR in the signal frame); null for signals that are no fault of an access. */
  readonly access: Access | null;
}

/** A disposition. What a handler throws reaches the program instead of the fault's error. */
export interface SignalAction {
  readonly flags: number;
  readonly handler: (info: SignalInfo) => void;
}

/** What to do with a signal: SIG_DFL, SIG_IGN or a handler. */
export type SignalDisposition = SignalAction | "default" | "ignore";

/** A fault of a load or store, as the error that the program gets. */
export type FaultError = SegmentationFault | BusError | IllegalInstruction;

/** The dispositions of a process; fork copies them, execve keeps only those that ignore. */
export class SignalActions {
  private readonly actions = new Map<number, SignalAction | "ignore">();
  /** Handlers that have an address, in its order: their place in the program's text, which fork does not change. */
  private readonly handlers: SignalAction["handler"][] = [];

  constructor(parent?: SignalActions) {
    if (parent !== undefined) this.handlers = parent.handlers;
    for (const [signal, action] of parent?.actions ?? []) this.actions.set(signal, action);
  }

  get(signal: number): SignalDisposition {
    return this.actions.get(signal) ?? "default";
  }

  get ignored(): readonly number[] {
    return [...this.actions].filter(([, action]) => action === "ignore").map(([signal]) => signal);
  }

  get caught(): readonly number[] {
    return [...this.actions].filter(([, action]) => action !== "ignore").map(([signal]) => signal);
  }

  /** The disposition without changing it. @throws SystemError EINVAL: no such signal */
  ask(signal: number): SignalDisposition {
    requireSignal(signal, "rt_sigaction");
    return this.get(signal);
  }

  /** The address under which programs see a handler, given to it when it is first asked for. */
  addressOf({ handler }: SignalAction): number {
    let index = this.handlers.indexOf(handler);
    if (index === -1) index = this.handlers.push(handler) - 1;
    return TEXT_START + index * HANDLER_SPACING;
  }

  handlerAt(address: Address): SignalAction["handler"] | undefined {
    return this.handlers[(address - TEXT_START) / HANDLER_SPACING];
  }

  /** @returns the disposition before. @throws SystemError EINVAL: no such signal, or one that cannot be caught. */
  set(signal: number, action: SignalDisposition): SignalDisposition {
    requireSignal(signal, "rt_sigaction");
    if (signal === SIGKILL || signal === SIGSTOP) throw new SystemError("EINVAL", "rt_sigaction", `signal ${signal}`);
    const before = this.get(signal);
    if (action === "default") this.actions.delete(signal);
    else this.actions.set(signal, action);
    return before;
  }

  /** execve: what had a handler is back to the default. */
  reset(): void {
    for (const [signal, action] of this.actions) if (action !== "ignore") this.actions.delete(signal);
  }
}

/** Blocked and waiting signals of one thread. Of each signal at most one waits (as for all below SIGRTMIN). */
export class SignalMask {
  private readonly blocked = new Set<number>();
  private readonly waiting = new Map<number, SignalInfo>();

  constructor(parent?: SignalMask) {
    for (const signal of parent?.blocked ?? []) this.blocked.add(signal);
  }

  isBlocked(signal: number): boolean {
    return this.blocked.has(signal);
  }

  /** Blocked signals that arrived meanwhile (sigpending). */
  get pending(): readonly number[] {
    return [...this.waiting.keys()];
  }

  get blockedSignals(): readonly number[] {
    return [...this.blocked];
  }

  /** Those that wait for this thread, since it caused them, or for any of its process, since kill sent them. */
  pendingFor(whom: "thread" | "process"): readonly number[] {
    const sent = [...this.waiting.values()].filter(({ code }) => (code === "SI_USER") === (whom === "process"));
    return sent.map(({ signal }) => signal);
  }

  hold(info: SignalInfo): void {
    if (!this.waiting.has(info.signal)) this.waiting.set(info.signal, info);
  }

  /** Changes the set of blocked signals. @returns those that waited and may be delivered now. */
  change(how: number, signals: readonly number[]): SignalInfo[] {
    for (const signal of signals) requireSignal(signal, "rt_sigprocmask");
    if (how !== SIG_BLOCK && how !== SIG_UNBLOCK && how !== SIG_SETMASK) {
      throw new SystemError("EINVAL", "rt_sigprocmask", `how ${named(how)}`);
    }
    if (how === SIG_SETMASK) this.blocked.clear();
    for (const signal of signals) {
      if (how === SIG_UNBLOCK) this.blocked.delete(signal);
      else if (signal !== SIGKILL && signal !== SIGSTOP) this.blocked.add(signal);
    }
    const freed = [...this.waiting.values()].filter(({ signal }) => !this.blocked.has(signal));
    for (const { signal } of freed) this.waiting.delete(signal);
    return freed;
  }
}

function requireSignal(signal: number, syscall: string): void {
  if (!Number.isInteger(signal) || signal < 1 || signal > LAST_SIGNAL) {
    throw new SystemError("EINVAL", syscall, `signal ${named(signal)}`);
  }
}

/**
 * A signal that was sent, not forced: it waits while blocked and is dropped if ignored. Without a handler, `fault` is
 * thrown where there is one, and otherwise the process ends.
 */
export function sendSignal(thread: Thread, info: SignalInfo, fault?: FaultError): void {
  if (thread.signalMask.isBlocked(info.signal)) {
    thread.signalMask.hold(info);
    return;
  }
  const action = thread.process.signalActions.get(info.signal);
  if (action === "ignore") return;
  if (action !== "default") {
    runHandler(thread, action, info);
    return;
  }
  if (fault !== undefined) throw fault;
  thread.process.terminate(info.signal);
}

/**
 * A fault of the program's own access, which is forced (force_sig_fault): blocked or ignored, it ends the process. A
 * handler runs; if it returns, the access still has not happened, and the caller throws `fault` into the program.
 */
export function forceFault(thread: Thread, fault: FaultError, tag: Tag): void {
  const { process } = thread;
  const signal = fault instanceof SegmentationFault ? SIGSEGV : fault instanceof BusError ? SIGBUS : SIGILL;
  const action = process.signalActions.get(signal);
  if (thread.signalMask.isBlocked(signal) || action === "ignore") {
    process.terminate(signal);
    return;
  }
  if (action === "default") return;
  const plain = fault instanceof IllegalInstruction ? 0 : fault.address;
  const address = (action.flags & SA_EXPOSE_TAGBITS) !== 0 ? plain + tag * TAG_UNIT : plain;
  const access = fault instanceof IllegalInstruction ? null : fault.access;
  runHandler(thread, action, { signal, code: fault.code, address, access });
}

/** rt_sigprocmask: what waited and is blocked no more is delivered before the call returns. */
export function changeSignalMask(thread: Thread, how: number, signals: readonly number[]): 0 {
  for (const info of thread.signalMask.change(how, signals)) sendSignal(thread, info, waitingFault(info));
  return 0;
}

/** A report that waited is still thrown if no handler takes it. */
function waitingFault(info: SignalInfo): FaultError | undefined {
  return info.code === "SEGV_MTEAERR" ? new SegmentationFault("SEGV_MTEAERR", 0, "store") : undefined;
}

/** kill(2), to the main thread of a process. */
export function kill(kernel: Kernel, pid: ProcessId, signal: number): 0 {
  const target = kernel.processes.get(pid);
  if (target === undefined) throw new SystemError("ESRCH", "kill", `process ${pid}`);
  if (signal === 0) return 0;
  requireSignal(signal, "kill");
  sendSignal(target.mainThread, { signal, code: "SI_USER", address: 0, access: null });
  return 0;
}

/** Handlers begin with TCO 0 and the signal blocked; their return restores both (memory-tagging-extension.rst). */
function runHandler(thread: Thread, action: SignalAction, info: SignalInfo): void {
  const { memory, signalMask } = thread;
  const tco = memory.tco;
  memory.tco = false;
  signalMask.change(SIG_BLOCK, [info.signal]);
  try {
    action.handler(info);
  } finally {
    memory.tco = tco;
    for (const waiting of signalMask.change(SIG_UNBLOCK, [info.signal])) sendSignal(thread, waiting);
  }
}

keepClass("SignalActions", SignalActions);

keepClass("SignalMask", SignalMask);
