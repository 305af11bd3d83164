// The system-call table: calls by number and by name. Numbers are x86-64's; modules may add calls of their own.
// The built-in calls themselves are methods of Process.
import { systemCallId } from "../hardware/counters.ts";
import { SystemError } from "./errors.ts";
import { memfdFromUser } from "./file-calls.ts";
import type { Thread } from "./thread.ts";

/** A call as a module registers it: the arguments are plain numbers, the result too; failures throw SystemError. */
export type SystemCall = (thread: Thread, ...args: number[]) => number;

interface Entry {
  readonly id: number;
  readonly name: string;
  readonly call: SystemCall;
}

/** x86-64 numbers of the calls whose arguments and result are plain numbers (arch/x86/entry/syscalls/syscall_64.tbl). */
const BUILT_IN: readonly (readonly [number, string, SystemCall])[] = [
  [0, "read", ({ process }, fd, address, length) => process.read(fd, address, length)],
  [1, "write", ({ process }, fd, address, length) => process.write(fd, address, length)],
  [3, "close", ({ process }, fd) => process.close(fd)],
  [8, "lseek", ({ process }, fd, offset, whence) => process.lseek(fd, offset, whence)],
  [
    9,
    "mmap",
    ({ process }, address, length, prot, flags, fd, offset) => process.mmap(address, length, prot, flags, fd, offset),
  ],
  [10, "mprotect", ({ process }, address, length, prot) => process.mprotect(address, length, prot)],
  [11, "munmap", ({ process }, address, length) => process.munmap(address, length)],
  [12, "brk", ({ process }, address) => process.brk(address)],
  [17, "pread64", ({ process }, fd, address, length, offset) => process.pread64(fd, address, length, offset)],
  [18, "pwrite64", ({ process }, fd, address, length, offset) => process.pwrite64(fd, address, length, offset)],
  [
    25,
    "mremap",
    ({ process }, address, oldLength, length, flags, target) =>
      process.mremap(address, oldLength, length, flags, target),
  ],
  [26, "msync", ({ process }, address, length, flags) => process.msync(address, length, flags)],
  [28, "madvise", ({ process }, address, length, advice) => process.madvise(address, length, advice)],
  [32, "dup", ({ process }, fd) => process.dup(fd)],
  [39, "getpid", ({ process }) => process.pid],
  [57, "fork", ({ process }) => process.fork().pid],
  [60, "exit", ({ process }, status) => process.exit(status)],
  [72, "fcntl", ({ process }, fd, command, argument) => process.fcntl(fd, command, argument)],
  [77, "ftruncate", ({ process }, fd, length) => process.ftruncate(fd, length)],
  [149, "mlock", ({ process }, address, length) => process.mlock(address, length)],
  [150, "munlock", ({ process }, address, length) => process.munlock(address, length)],
  [151, "mlockall", ({ process }, flags) => process.mlockall(flags)],
  [152, "munlockall", ({ process }) => process.munlockall()],
  [157, "prctl", ({ process }, option, a, b, c, d) => process.prctl(option, a, b, c, d)],
  [186, "gettid", (thread) => thread.tid],
  [285, "fallocate", ({ process }, fd, mode, offset, length) => process.fallocate(fd, mode, offset, length)],
  [292, "dup3", ({ process }, from, to, flags) => process.dup3(from, to, flags)],
  [319, "memfd_create", (thread, name, flags) => memfdFromUser(thread, name, flags)],
  [325, "mlock2", ({ process }, address, length, flags) => process.mlock2(address, length, flags)],
];

export class SystemCallTable {
  private readonly byNumber = new Map<number, Entry>();
  private readonly byName = new Map<string, Entry>();

  constructor() {
    for (const [number, name, call] of BUILT_IN) this.register(number, name, call);
  }

  register(number: number, name: string, call: SystemCall): void {
    if (this.byNumber.has(number))
      throw new Error(`system call number ${number} is taken by ${this.byNumber.get(number)?.name}`);
    if (this.byName.has(name)) throw new Error(`system call ${name} exists already`);
    const entry = { id: systemCallId(name), name, call };
    this.byNumber.set(number, entry);
    this.byName.set(name, entry);
  }

  has(numberOrName: number | string): boolean {
    return typeof numberOrName === "number" ? this.byNumber.has(numberOrName) : this.byName.has(numberOrName);
  }

  /** Whether a call is one of the kernel's own, which count themselves. */
  isBuiltIn(name: string): boolean {
    return BUILT_IN.some(([, builtIn]) => builtIn === name);
  }

  /** @throws SystemError ENOSYS */
  find(numberOrName: number | string): Entry {
    const entry = typeof numberOrName === "number" ? this.byNumber.get(numberOrName) : this.byName.get(numberOrName);
    if (entry === undefined) throw new SystemError("ENOSYS", String(numberOrName));
    return entry;
  }
}
