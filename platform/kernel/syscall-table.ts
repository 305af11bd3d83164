// The system-call table: calls by number and by name, as x86-64 or arm64 numbers them; modules may add calls of their own.
// The built-in calls themselves are methods of Process; those with structures in user memory come by way of user-calls.ts.
import { systemCallId } from "../hardware/counters.ts";
import { SystemError } from "./abi/errors.ts";
import { memfdFromUser } from "./file-calls.ts";
import type { Thread } from "./thread.ts";
import * as user from "./user-calls.ts";
import type { Architecture } from "./user-structures.ts";

/** A call as a module registers it: the arguments are plain numbers, the result too; failures throw SystemError. */
export type SystemCall = (thread: Thread, ...args: number[]) => number;

interface Entry {
  readonly id: number;
  readonly name: string;
  readonly call: SystemCall;
  /** The kernel's own calls do at entry what a registered one needs done for it: they count themselves. */
  readonly countsItself: boolean;
}

/** Marks a call that arm64 does not have: its C library makes it by way of a newer one. */
const NONE = -1;

/** Numbers on x86-64 and on arm64 (arch/x86/entry/syscalls/syscall_64.tbl, scripts/syscall.tbl). */
const BUILT_IN: readonly (readonly [x86: number, arm64: number, name: string, call: SystemCall])[] = [
  [0, 63, "read", ({ process }, fd, address, length) => process.read(fd, address, length)],
  [1, 64, "write", ({ process }, fd, address, length) => process.write(fd, address, length)],
  [2, NONE, "open", (thread, path, flags = 0) => user.open(thread, path, flags)],
  [3, 57, "close", ({ process }, fd) => process.close(fd)],
  [5, 80, "fstat", user.fstat],
  [8, 62, "lseek", ({ process }, fd, offset, whence) => process.lseek(fd, offset, whence)],
  [
    9,
    222,
    "mmap",
    ({ process }, address, length, prot, flags, fd, at) => process.mmap(address, length, prot, flags, fd, at),
  ],
  [10, 226, "mprotect", ({ process }, address, length, prot) => process.mprotect(address, length, prot)],
  [11, 215, "munmap", ({ process }, address, length) => process.munmap(address, length)],
  [12, 214, "brk", ({ process }, address) => process.brk(address)],
  [
    13,
    134,
    "rt_sigaction",
    (thread, signal, next, previous, size) => user.rtSigaction(thread, signal, next, previous, size),
  ],
  [17, 67, "pread64", ({ process }, fd, address, length, offset) => process.pread64(fd, address, length, offset)],
  [18, 68, "pwrite64", ({ process }, fd, address, length, offset) => process.pwrite64(fd, address, length, offset)],
  [22, NONE, "pipe", (thread, ends) => user.pipe2(thread, ends)],
  [
    25,
    216,
    "mremap",
    ({ process }, from, oldLength, length, flags, to) => process.mremap(from, oldLength, length, flags, to),
  ],
  [26, 227, "msync", ({ process }, address, length, flags) => process.msync(address, length, flags)],
  [27, 232, "mincore", user.mincore],
  [28, 233, "madvise", ({ process }, address, length, advice) => process.madvise(address, length, advice)],
  [32, 23, "dup", ({ process }, fd) => process.dup(fd)],
  [39, 172, "getpid", ({ process }) => process.pid],
  [57, NONE, "fork", ({ process }) => process.fork().pid],
  [59, 221, "execve", user.execve],
  [60, 93, "exit", ({ process }, status) => process.exit(status)],
  [61, 260, "wait4", user.wait4],
  [62, 129, "kill", ({ process }, pid, signal) => process.kill(pid, signal)],
  [72, 25, "fcntl", ({ process }, fd, command, argument) => process.fcntl(fd, command, argument)],
  [77, 46, "ftruncate", ({ process }, fd, length) => process.ftruncate(fd, length)],
  [97, 163, "getrlimit", user.getrlimit],
  [149, 228, "mlock", ({ process }, address, length) => process.mlock(address, length)],
  [150, 229, "munlock", ({ process }, address, length) => process.munlock(address, length)],
  [151, 230, "mlockall", ({ process }, flags) => process.mlockall(flags)],
  [152, 231, "munlockall", ({ process }) => process.munlockall()],
  [157, 167, "prctl", ({ process }, option, a, b, c, d) => process.prctl(option, a, b, c, d)],
  [160, 164, "setrlimit", user.setrlimit],
  [186, 178, "gettid", (thread) => thread.tid],
  [231, 94, "exit_group", ({ process }, status) => process.exit(status)],
  [257, 56, "openat", (thread, directory, path, flags = 0) => user.openat(thread, directory, path, flags)],
  [285, 47, "fallocate", ({ process }, fd, mode, offset, length) => process.fallocate(fd, mode, offset, length)],
  [292, 24, "dup3", ({ process }, from, to, flags) => process.dup3(from, to, flags)],
  [293, 59, "pipe2", user.pipe2],
  [302, 261, "prlimit64", user.prlimit64],
  [
    310,
    270,
    "process_vm_readv",
    (thread, ...args) => user.processVm(thread, "process_vm_readv", ...vectorArguments(args)),
  ],
  [
    311,
    271,
    "process_vm_writev",
    (thread, ...args) => user.processVm(thread, "process_vm_writev", ...vectorArguments(args)),
  ],
  [319, 279, "memfd_create", (thread, name, flags) => memfdFromUser(thread, name, flags)],
  [325, 284, "mlock2", ({ process }, address, length, flags) => process.mlock2(address, length, flags)],
];

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

export class SystemCallTable {
  private readonly byNumber = new Map<number, Entry>();
  private readonly byName = new Map<string, Entry>();

  constructor(architecture: Architecture) {
    for (const [x86, arm64, name, call] of BUILT_IN) {
      const number = architecture === "x86-64" ? x86 : arm64;
      if (number !== NONE) this.add(number, { id: systemCallId(name), name, call, countsItself: true });
    }
  }

  register(number: number, name: string, call: SystemCall): void {
    if (this.byNumber.has(number))
      throw new Error(`system call number ${number} is taken by ${this.byNumber.get(number)?.name}`);
    if (this.byName.has(name)) throw new Error(`system call ${name} exists already`);
    this.add(number, { id: systemCallId(name), name, call, countsItself: false });
  }

  has(numberOrName: number | string): boolean {
    return typeof numberOrName === "number" ? this.byNumber.has(numberOrName) : this.byName.has(numberOrName);
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
