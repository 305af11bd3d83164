// Every system call about memory and processes with wrong arguments gives Linux's errno and changes nothing.
// Those about descriptors are in bad-file-arguments.test.ts.
import { AREA, BASE, type Case, describeFailures, describeNoNumbers, HOLE } from "./failing-calls.ts";

/** End of this machine's user addresses, and of those that x86-64 could have. */
const BEYOND = 2 ** 38;
const ARCHITECTURE_END = 2 ** 47;
const RW = 3;
const PRIVATE_ANONYMOUS = 0x22;
const SHARED = 1;
const PRIVATE = 2;
const FIXED = 0x10;
const MAYMOVE = 1;
const MREMAP_FIXED = 2;
const DONTUNMAP = 4;

function vectors(count: number): [number, number][] {
  return Array.from({ length: count }, () => [BASE, 1]);
}

const cases: Record<string, readonly Case[]> = {
  mmap: [
    ["no length", "EINVAL", ({ process }) => process.mmap(BASE, 0, RW, PRIVATE_ANONYMOUS | FIXED)],
    ["neither shared nor private", "EINVAL", ({ process }) => process.mmap(BASE, 4096, RW, 0x30)],
    [
      "an unaligned fixed address",
      "EINVAL",
      ({ process }) => process.mmap(BASE + 1, 4096, RW, PRIVATE_ANONYMOUS | FIXED),
    ],
    ["an unaligned offset", "EINVAL", ({ process, file }) => process.mmap(0, 4096, RW, PRIVATE, file, 1)],
    ["a bad descriptor", "EBADF", ({ process }) => process.mmap(0, 4096, RW, PRIVATE, 99, 0)],
    ["a pipe", "ENODEV", ({ process, readEnd }) => process.mmap(0, 4096, 1, PRIVATE, readEnd, 0)],
    ["a program from a pipe", "EPERM", ({ process, readEnd }) => process.mmap(0, 4096, 5, PRIVATE, readEnd, 0)],
    ["the write end of a pipe", "EACCES", ({ process, writeEnd }) => process.mmap(0, 4096, 1, PRIVATE, writeEnd, 0)],
    [
      "a read-only file to be shared and written",
      "EACCES",
      ({ process, readOnly }) => process.mmap(0, 4096, RW, SHARED, readOnly, 0),
    ],
    [
      "a fixed address beyond the address space",
      "ENOMEM",
      ({ process }) => process.mmap(BEYOND, 4096, RW, PRIVATE_ANONYMOUS | FIXED),
    ],
    [
      "a fixed range that leaves the address space",
      "ENOMEM",
      ({ process }) => process.mmap(BEYOND - 4096, 8192, RW, PRIVATE_ANONYMOUS | FIXED),
    ],
    ["more than the address space", "ENOMEM", ({ process }) => process.mmap(0, 2 ** 47, RW, PRIVATE_ANONYMOUS)],
    [
      "an occupied address without replacing",
      "EEXIST",
      ({ process }) => process.mmap(BASE, 4096, RW, PRIVATE_ANONYMOUS | 0x100000),
    ],
    [
      "an unknown flag with SHARED_VALIDATE",
      "EOPNOTSUPP",
      ({ process, file }) => process.mmap(0, 4096, RW, 3 | 0x80000, file, 0),
    ],
    ["huge pages of a file", "EINVAL", ({ process, file }) => process.mmap(0, 4096, RW, PRIVATE | 0x40000, file, 0)],
    ["huge pages, of which there are none", "ENOMEM", ({ process }) => process.mmap(0, 4096, RW, 0x40022)],
    ["a length that wraps to 0", "ENOMEM", ({ process }) => process.mmap(0, -1, RW, PRIVATE_ANONYMOUS)],
    ["a negative offset", "EOVERFLOW", ({ process, file }) => process.mmap(0, 4096, RW, PRIVATE, file, -4096)],
    ["shared memory that grows", "EINVAL", ({ process }) => process.mmap(0, 4096, RW, 0x121)],
    ["a growing file mapping", "EINVAL", ({ process, file }) => process.mmap(0, 4096, RW, 0x102, file, 0)],
    ["more locked memory than the limit", "EAGAIN", ({ process }) => process.mmap(0, 16 * 2 ** 20, RW, 0x2022)],
  ],
  munmap: [
    ["no length", "EINVAL", ({ process }) => process.munmap(BASE, 0)],
    ["an unaligned address", "EINVAL", ({ process }) => process.munmap(BASE + 8, 4096)],
    ["an address beyond the address space", "EINVAL", ({ process }) => process.munmap(ARCHITECTURE_END, 4096)],
    ["a range beyond the address space", "EINVAL", ({ process }) => process.munmap(BASE, 2 ** 48)],
  ],
  mprotect: [
    ["an unaligned address", "EINVAL", ({ process }) => process.mprotect(BASE + 1, 4096, 1)],
    ["unknown protection", "EINVAL", ({ process }) => process.mprotect(BASE, 4096, 0x100)],
    ["growing both ways", "EINVAL", ({ process }) => process.mprotect(BASE, 4096, 0x3000001)],
    ["growing downwards what does not", "EINVAL", ({ process }) => process.mprotect(BASE, 4096, 0x1000001)],
    ["a hole", "ENOMEM", ({ process }) => process.mprotect(HOLE, 4096, 1)],
    ["a range that wraps", "ENOMEM", ({ process }) => process.mprotect(BASE, 2 ** 64 - 4096, 1)],
    ["PROT_MTE without the extension", "EINVAL", ({ process }) => process.mprotect(BASE, 4096, 0x21)],
  ],
  madvise: [
    ["unknown advice", "EINVAL", ({ process }) => process.madvise(BASE, 4096, 77)],
    ["an unaligned address", "EINVAL", ({ process }) => process.madvise(BASE + 1, 4096, 4)],
    ["a hole", "ENOMEM", ({ process }) => process.madvise(HOLE, 4096, 4)],
    ["a range that wraps", "EINVAL", ({ process }) => process.madvise(BASE, 2 ** 64 - 4096, 4)],
    ["removal without a file", "EINVAL", ({ process }) => process.madvise(BASE, 4096, 9)],
    ["population of a hole", "ENOMEM", ({ process }) => process.madvise(HOLE, 4096, 22)],
    ["unknown advice of nothing", "EINVAL", ({ process }) => process.madvise(BASE, 0, 77)],
    ["a collapse where no block of 2 MiB lies", "EINVAL", ({ process }) => process.madvise(BASE, 4096, 25)],
    ["a hardware error", "EINVAL", ({ process }) => process.madvise(BASE, 4096, 100)],
  ],
  mremap: [
    ["unknown flags", "EINVAL", ({ process }) => process.mremap(BASE, 4096, 8192, 8)],
    ["an unaligned address", "EINVAL", ({ process }) => process.mremap(BASE + 1, 4096, 8192, MAYMOVE)],
    ["no new length", "EINVAL", ({ process }) => process.mremap(BASE, 4096, 0, MAYMOVE)],
    ["a new address without MAYMOVE", "EINVAL", ({ process }) => process.mremap(BASE, 4096, 4096, MREMAP_FIXED, HOLE)],
    [
      "an unaligned new address",
      "EINVAL",
      ({ process }) => process.mremap(BASE, 4096, 4096, MAYMOVE | MREMAP_FIXED, HOLE + 1),
    ],
    [
      "ranges that overlap",
      "EINVAL",
      ({ process }) => process.mremap(BASE, 8192, 8192, MAYMOVE | MREMAP_FIXED, BASE + 4096),
    ],
    [
      "a target beyond the address space",
      "EINVAL",
      ({ process }) => process.mremap(BASE, 4096, 4096, MAYMOVE | MREMAP_FIXED, ARCHITECTURE_END),
    ],
    ["DONTUNMAP with another length", "EINVAL", ({ process }) => process.mremap(BASE, 4096, 8192, MAYMOVE | DONTUNMAP)],
    ["old length 0 of private memory", "EINVAL", ({ process }) => process.mremap(BASE, 0, 4096, MAYMOVE)],
    ["a hole", "EFAULT", ({ process }) => process.mremap(HOLE, 4096, 8192, MAYMOVE)],
    ["growth from the middle without MAYMOVE", "ENOMEM", ({ process }) => process.mremap(BASE, 4096, 8192, 0)],
    ["growth beyond the area's end", "EFAULT", ({ process }) => process.mremap(BASE, 2 * AREA, 3 * AREA, MAYMOVE)],
    ["growth beyond the address space", "EINVAL", ({ process }) => process.mremap(BASE, 4096, 2 ** 48, MAYMOVE)],
  ],
  mincore: [
    ["an unaligned address", "EINVAL", ({ process }) => process.mincore(BASE + 1, 4096)],
    ["a hole", "ENOMEM", ({ process }) => process.mincore(BASE, 2 * AREA)],
    ["an address beyond the address space", "ENOMEM", ({ process }) => process.mincore(BEYOND, 4096)],
  ],
  msync: [
    ["unknown flags", "EINVAL", ({ process }) => process.msync(BASE, 4096, 8)],
    ["both ASYNC and SYNC", "EINVAL", ({ process }) => process.msync(BASE, 4096, 5)],
    ["an unaligned address", "EINVAL", ({ process }) => process.msync(BASE + 1, 4096, 4)],
    ["a hole", "ENOMEM", ({ process }) => process.msync(HOLE, 4096, 4)],
  ],
  mlock: [
    ["a hole", "ENOMEM", ({ process }) => process.mlock(HOLE, 4096)],
    ["more than the limit", "ENOMEM", ({ process }) => process.mlock(BASE, 16 * 2 ** 20)],
  ],
  mlock2: [["unknown flags", "EINVAL", ({ process }) => process.mlock2(BASE, 4096, 2)]],
  munlock: [["a hole", "ENOMEM", ({ process }) => process.munlock(HOLE, 4096)]],
  mlockall: [
    ["no flags", "EINVAL", ({ process }) => process.mlockall(0)],
    ["unknown flags", "EINVAL", ({ process }) => process.mlockall(8)],
    ["ONFAULT alone", "EINVAL", ({ process }) => process.mlockall(4)],
  ],
  process_vm_readv: [
    ["flags", "EINVAL", ({ process }) => process.process_vm_readv(process.pid, [[BASE, 8]], [[BASE, 8]], 1)],
    ["an unknown process", "ESRCH", ({ process }) => process.process_vm_readv(999_999, [[BASE, 8]], [[BASE, 8]])],
    ["a hole", "EFAULT", ({ process }) => process.process_vm_readv(process.pid, [[BASE, 8]], [[HOLE, 8]])],
    [
      "more vectors than 1,024",
      "EINVAL",
      ({ process }) => process.process_vm_readv(process.pid, vectors(1025), vectors(1)),
    ],
    [
      "more remote vectors than 1,024",
      "EINVAL",
      ({ process }) => process.process_vm_readv(process.pid, vectors(1), vectors(1025)),
    ],
    ["a negative length", "EINVAL", ({ process }) => process.process_vm_readv(process.pid, [[BASE, -1]], vectors(1))],
    [
      "a negative remote length",
      "EINVAL",
      ({ process }) => process.process_vm_readv(process.pid, vectors(1), [[BASE, -1]]),
    ],
  ],
  process_vm_writev: [
    ["flags", "EINVAL", ({ process }) => process.process_vm_writev(process.pid, [[BASE, 8]], [[BASE, 8]], 1)],
    ["an unknown process", "ESRCH", ({ process }) => process.process_vm_writev(999_999, [[BASE, 8]], [[BASE, 8]])],
    ["a hole", "EFAULT", ({ process }) => process.process_vm_writev(process.pid, [[BASE, 8]], [[HOLE, 8]])],
  ],
  getrlimit: [["an unknown resource", "EINVAL", ({ process }) => process.getrlimit(99)]],
  setrlimit: [
    ["an unknown resource", "EINVAL", ({ process }) => process.setrlimit(99, 1)],
    ["soft above hard", "EINVAL", ({ process }) => process.setrlimit(9, 2, 1)],
  ],
  prctl: [["an unknown option", "EINVAL", ({ process }) => process.prctl(9999)]],
  wait4: [
    ["no children", "ECHILD", ({ process }) => process.wait4()],
    ["a process that is no child", "ECHILD", ({ process }) => process.wait4(process.pid)],
  ],
  "9999": [["a number that no call has", "ENOSYS", ({ process }) => process.syscall(9999)]],
  no_such_call: [["a name that no call has", "ENOSYS", ({ process }) => process.syscall("no_such_call")]],
  get_user_pages: [
    ["pins of a hole", "EFAULT", ({ process }) => process.pin(BASE, 2 * AREA, { write: false })],
    ["pins beyond the address space", "EFAULT", ({ process }) => process.pin(BEYOND, 8, { write: false })],
  ],
};

describeFailures(cases);

describeNoNumbers({
  mmap: {
    address: ({ process }, value) => process.mmap(value, 4096, RW, PRIVATE_ANONYMOUS | FIXED),
    length: ({ process }, value) => process.mmap(BASE, value, RW, PRIVATE_ANONYMOUS | FIXED),
    prot: ({ process }, value) => process.mmap(BASE, 4096, value, PRIVATE_ANONYMOUS | FIXED),
    flags: ({ process }, value) => process.mmap(BASE, 4096, RW, value),
  },
  munmap: {
    address: ({ process }, value) => process.munmap(value, 4096),
    length: ({ process }, value) => process.munmap(BASE, value),
  },
  mprotect: {
    address: ({ process }, value) => process.mprotect(value, 4096, 1),
    length: ({ process }, value) => process.mprotect(BASE, value, 1),
    prot: ({ process }, value) => process.mprotect(BASE, 4096, value),
  },
  madvise: {
    address: ({ process }, value) => process.madvise(value, 4096, 4),
    length: ({ process }, value) => process.madvise(BASE, value, 4),
    advice: ({ process }, value) => process.madvise(BASE, 4096, value),
  },
  mremap: {
    "old address": ({ process }, value) => process.mremap(value, 4096, 8192, MAYMOVE),
    "old length": ({ process }, value) => process.mremap(BASE, value, 8192, MAYMOVE),
    "new length": ({ process }, value) => process.mremap(BASE, 4096, value, MAYMOVE),
    flags: ({ process }, value) => process.mremap(BASE, 4096, 8192, value),
  },
  mincore: {
    address: ({ process }, value) => process.mincore(value, 4096),
    length: ({ process }, value) => process.mincore(BASE, value),
  },
  msync: {
    address: ({ process }, value) => process.msync(value, 4096, 4),
    length: ({ process }, value) => process.msync(BASE, value, 4),
    flags: ({ process }, value) => process.msync(BASE, 4096, value),
  },
  mlock: {
    address: ({ process }, value) => process.mlock(value, 4096),
    length: ({ process }, value) => process.mlock(BASE, value),
  },
  mlock2: { flags: ({ process }, value) => process.mlock2(BASE, 4096, value) },
  munlock: {
    address: ({ process }, value) => process.munlock(value, 4096),
    length: ({ process }, value) => process.munlock(BASE, value),
  },
  mlockall: { flags: ({ process }, value) => process.mlockall(value) },
  brk: { address: ({ process }, value) => process.brk(value) },
  pin: {
    address: ({ process }, value) => process.pin(value, 8, { write: false }),
    length: ({ process }, value) => process.pin(BASE, value, { write: false }),
  },
  process_vm_readv: {
    "local address": ({ process }, value) => process.process_vm_readv(process.pid, [[value, 8]], vectors(1)),
    "local length": ({ process }, value) => process.process_vm_readv(process.pid, [[BASE, value]], vectors(1)),
    "remote address": ({ process }, value) => process.process_vm_readv(process.pid, vectors(1), [[value, 8]]),
    "remote length": ({ process }, value) => process.process_vm_readv(process.pid, vectors(1), [[BASE, value]]),
    process: ({ process }, value) => process.process_vm_readv(value, vectors(1), vectors(1)),
    flags: ({ process }, value) =>
      process.process_vm_readv(process.pid, vectors(1), vectors(1), value === undefined ? NaN : value),
  },
  pagemap: {
    address: ({ process }, value) => process.pagemap(value === 2 ** 64 ? NaN : value, 4096),
    length: ({ process }, value) => process.pagemap(BASE, value === 2 ** 64 ? NaN : value),
  },
  ptrace: {
    request: ({ process }, value) => process.ptrace(value, process.pid, BASE, { base: BASE, length: 1 }),
    process: ({ process }, value) => process.ptrace(33, value, BASE, { base: BASE, length: 1 }),
  },
});
