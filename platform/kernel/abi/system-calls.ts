// The kernel's own system calls as data: each by name, with its numbers on x86-64 and on arm64 (syscall_64.tbl, scripts/syscall.tbl).
// What a call does is a method of Process; the table that finds one by number is ../syscall-table.ts.
import { systemCallId } from "../../hardware/counters.ts";

/** Marks a call that a machine does not have (arm64's C library makes some by way of newer ones), or not by number here. */
export const NO_NUMBER = -1;

const numbers = {
  read: [0, 63],
  write: [1, 64],
  open: [2, NO_NUMBER],
  close: [3, 57],
  fstat: [5, 80],
  poll: [7, NO_NUMBER],
  lseek: [8, 62],
  mmap: [9, 222],
  mprotect: [10, 226],
  munmap: [11, 215],
  brk: [12, 214],
  rt_sigaction: [13, 134],
  ioctl: [16, 29],
  pread64: [17, 67],
  pwrite64: [18, 68],
  pipe: [22, NO_NUMBER],
  mremap: [25, 216],
  msync: [26, 227],
  mincore: [27, 232],
  madvise: [28, 233],
  dup: [32, 23],
  getpid: [39, 172],
  fork: [57, NO_NUMBER],
  execve: [59, 221],
  exit: [60, 93],
  wait4: [61, 260],
  kill: [62, 129],
  fcntl: [72, 25],
  fsync: [74, 82],
  fdatasync: [75, 83],
  ftruncate: [77, 46],
  getrlimit: [97, 163],
  mlock: [149, 228],
  munlock: [150, 229],
  mlockall: [151, 230],
  munlockall: [152, 231],
  prctl: [157, 167],
  setrlimit: [160, 164],
  gettid: [186, 178],
  exit_group: [231, 94],
  openat: [257, 56],
  fallocate: [285, 47],
  dup3: [292, 24],
  pipe2: [293, 59],
  prlimit64: [302, 261],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  memfd_create: [319, 279],
  mlock2: [325, 284],
  clone: [NO_NUMBER, NO_NUMBER],
  rt_sigprocmask: [NO_NUMBER, NO_NUMBER],
  ptrace: [NO_NUMBER, NO_NUMBER],
} as const;

export type SystemCallName = keyof typeof numbers;

/** One call: under `id` the machine counts it, so that counting needs no string. */
export interface SystemCallInfo {
  readonly name: SystemCallName;
  readonly id: number;
  readonly x86: number;
  readonly arm64: number;
}

export const systemCalls = Object.fromEntries(
  Object.entries(numbers).map(([name, [x86, arm64]]) => [name, { name, id: systemCallId(name), x86, arm64 }]),
) as unknown as Readonly<Record<SystemCallName, SystemCallInfo>>;
