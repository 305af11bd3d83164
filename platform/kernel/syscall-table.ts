// The system-call table: calls by number and by name, as x86-64 or arm64 numbers them; modules may add calls of their own.
// The built-in calls themselves are methods of Process; those with structures in user memory come by way of user-calls.ts.
// The numbers of the built-in ones are declared in abi/system-calls.ts.

import { systemCallId } from "../hardware/counters.ts";
import { keepClass, keepValue } from "../state/kept.ts";
import { SystemError } from "./abi/errors.ts";
import { NO_NUMBER, type SystemCallName, systemCalls } from "./abi/system-calls.ts";
import type { Thread } from "./thread.ts";
import * as user from "./user-calls.ts";
import type { Architecture } from "./user-structures.ts";

/** A call as a module registers it: the arguments are plain numbers, the result too; failures throw SystemError. */
export type SystemCall = (thread: Thread, ...args: number[]) => number;

interface Entry {
  readonly id: number;
  readonly name: string;
  readonly call: SystemCall;
  /** The kernel's own calls enter by themselves; for a registered one that is done before it. */
  readonly enters: boolean;
}

/** Calls whose arguments are not simply those of Process's method: with structures in user memory, or of another name. */
const adapted: Readonly<Partial<Record<SystemCallName, SystemCall>>> = {
  open: (thread, path, flags = 0) => user.open(thread, path, flags),
  fstat: user.fstat,
  rt_sigaction: (thread, signal, next, previous, size) => user.rtSigaction(thread, signal, next, previous, size),
  pipe: (thread, ends) => user.pipe2(thread, ends),
  mincore: user.mincore,
  getpid: ({ process }) => process.pid,
  fork: ({ process }) => process.fork().pid,
  execve: user.execve,
  wait4: user.wait4,
  getrlimit: user.getrlimit,
  setrlimit: user.setrlimit,
  gettid: (thread) => thread.tid,
  exit_group: ({ process }, status) => process.exit(status),
  openat: (thread, directory, path, flags = 0) => user.openat(thread, directory, path, flags),
  pipe2: user.pipe2,
  prlimit64: user.prlimit64,
  process_vm_readv: (thread, ...args) => user.processVm(thread, "process_vm_readv", ...vectorArguments(args)),
  process_vm_writev: (thread, ...args) => user.processVm(thread, "process_vm_writev", ...vectorArguments(args)),
  memfd_create: user.memfd_create,
  poll: user.poll,
};

/** A call that is made as Process's method of the same name takes it. */
function methodCall(name: SystemCallName): SystemCall {
  return ({ process }, ...args) => {
    const methods = process as unknown as Record<string, (...given: number[]) => number>;
    return methods[name](...args);
  };
}

type VectorArguments = [pid: number, local: number, count: number, remote: number, remoteCount: number, flags: number];

/** Six registers; those that a caller leaves out are 0. */
function vectorArguments([
  pid = 0,
  local = 0,
  count = 0,
  remote = 0,
  remoteCount = 0,
  flags = 0,
]: number[]): VectorArguments {
  return [pid, local, count, remote, remoteCount, flags];
}

/** The kernel's own calls by name: the same functions for all kernels. */
const builtIn = new Map(
  Object.values(systemCalls).map(({ name }) => [
    name,
    keepValue(`system call ${name}`, adapted[name] ?? methodCall(name)),
  ]),
);

export class SystemCallTable {
  private readonly byNumber = new Map<number, Entry>();
  private readonly byName = new Map<string, Entry>();

  constructor(architecture: Architecture) {
    for (const { name, id, x86, arm64 } of Object.values(systemCalls)) {
      const number = architecture === "x86-64" ? x86 : arm64;
      if (number !== NO_NUMBER) this.add(number, { id, name, call: builtIn.get(name) as SystemCall, enters: true });
    }
  }

  /** Adds a call; the caller has looked whether number and name are free. */
  register(number: number, name: string, call: SystemCall): void {
    this.add(number, { id: systemCallId(name), name, call, enters: false });
  }

  has(numberOrName: number | string): boolean {
    return typeof numberOrName === "number" ? this.byNumber.has(numberOrName) : this.byName.has(numberOrName);
  }

  /** The call that has a number already. */
  ownerOf(number: number): string | undefined {
    return this.byNumber.get(number)?.name;
  }

  /** @throws SystemError ENOSYS */
  find(numberOrName: number | string): Entry {
    const entry = typeof numberOrName === "number" ? this.byNumber.get(numberOrName) : this.byName.get(numberOrName);
    if (entry === undefined) throw new SystemError("ENOSYS", String(numberOrName));
    return entry;
  }

  private add(number: number, entry: Entry): void {
    this.byNumber.set(number, entry);
    this.byName.set(entry.name, entry);
  }
}

keepClass("SystemCallTable", SystemCallTable);
