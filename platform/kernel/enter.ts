// The one way into the kernel: what happens at the entry of every system call, whoever made it.
import { SystemError } from "./abi/errors.ts";
import type { SystemCallInfo } from "./abi/system-calls.ts";
import type { KernelServices } from "./mm/address-space.ts";
import { reportAsyncTagFault } from "./tagged-address.ts";
import type { Thread } from "./thread.ts";

/** What the entry needs of a process. */
export interface EnteringProcess {
  readonly kernel: KernelServices;
  readonly exitStatus: number | null;
  readonly currentThread: Thread;
}

/** A call of the kernel's own, or one that a module registered. */
export type EnteredCall = SystemCallInfo | { readonly name: string; readonly id: number };

/** Counts the call, and delivers a tag mismatch that waited. @throws SystemError ESRCH: the process has ended. */
export function enter(process: EnteringProcess, call: EnteredCall): void {
  if (process.exitStatus !== null) throw new SystemError("ESRCH", call.name, "the process has ended");
  process.kernel.counters.countSystemCall(call.id);
  if (process.currentThread.memory.asyncTagFault) reportAsyncTagFault(process.currentThread);
}
