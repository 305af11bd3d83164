// Every system call with wrong arguments gives Linux's errno and changes nothing: areas, memory, descriptors, frames.
import { describe, expect, test } from "vitest";
import { PAGE_SIZE } from "../../../platform/hardware/layout.ts";
import { SystemError } from "../../../platform/kernel/errors.ts";
import { Kernel } from "../../../platform/kernel/kernel.ts";
import type { Process } from "../../../platform/kernel/process.ts";

const BASE = 0x10_0000_0000;
const AREA = 8 * PAGE_SIZE;
const HOLE = BASE + AREA;
const BEYOND = 2 ** 38;
const RW = 3;
const PRIVATE_ANONYMOUS = 0x22;
const SHARED = 1;
const PRIVATE = 2;
const FIXED = 0x10;
const MAYMOVE = 1;
const MREMAP_FIXED = 2;
const DONTUNMAP = 4;

interface Given {
  readonly process: Process;
  /** A memfd of one page, open for reading and writing, and the same for reading only. */
  readonly file: number;
  readonly readOnly: number;
  readonly readEnd: number;
  readonly writeEnd: number;
}

/** A process with eight anonymous pages at BASE, of which two are written, a file and a pipe. */
function given(): Given {
  const kernel = new Kernel({ memoryBytes: 16 * 2 ** 20, mte: false });
  const process = kernel.createProcess({ name: "program" });
  process.mmap(BASE, AREA, RW, PRIVATE_ANONYMOUS | FIXED);
  process.memory.setUint8(BASE, 1);
  process.memory.setUint8(BASE + 3 * PAGE_SIZE, 2);
  const file = process.memfd_create("file");
  process.ftruncate(file, PAGE_SIZE);
  const readOnly = process.open(`/proc/self/fd/${file}`, 0);
  const [readEnd, writeEnd] = process.pipe2(0o4000);
  return { process, file, readOnly, readEnd, writeEnd };
}

/** What a failing call must leave as it was. */
function state({ process, file }: Given): unknown {
  return {
    smaps: process.procfs("smaps"),
    statm: process.procfs("statm"),
    pagemap: [...process.pagemap(BASE, AREA)],
    freeFrames: process.kernel.frames.freeFrames,
    descriptors: [0, 1, 2, 3, 4, 5, 6, 7, 8].map((fd) => isOpen(process, fd)),
    fileSize: process.fstat(file).size,
    faults: process.minorFaults,
  };
}

function isOpen(process: Process, fd: number): boolean {
  try {
    process.fstat(fd);
    return true;
  } catch {
    return false;
  }
}

function errnoOf(call: () => unknown): { code: string; syscall: string } {
  try {
    return { code: `no error but ${String(call())}`, syscall: "" };
  } catch (error) {
    if (error instanceof SystemError) return { code: error.code, syscall: error.syscall };
    return { code: String(error), syscall: "" };
  }
}

type Case = readonly [what: string, errno: string, call: (given: Given) => unknown];

const NOT_A_NUMBER: readonly [string, number][] = [
  ["NaN", Number.NaN],
  ["a fraction", 4096.5],
  ["a negative number", -4096],
  ["infinity", Number.POSITIVE_INFINITY],
];

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
    ["huge pages", "EINVAL", ({ process, file }) => process.mmap(0, 4096, RW, PRIVATE | 0x40000, file, 0)],
  ],
  munmap: [
    ["no length", "EINVAL", ({ process }) => process.munmap(BASE, 0)],
    ["an unaligned address", "EINVAL", ({ process }) => process.munmap(BASE + 8, 4096)],
    ["an address beyond the address space", "EINVAL", ({ process }) => process.munmap(BEYOND, 4096)],
    ["a range beyond the address space", "EINVAL", ({ process }) => process.munmap(BASE, 2 ** 48)],
  ],
  mprotect: [
    ["an unaligned address", "EINVAL", ({ process }) => process.mprotect(BASE + 1, 4096, 1)],
    ["unknown protection", "EINVAL", ({ process }) => process.mprotect(BASE, 4096, 0x100)],
    ["growing both ways", "EINVAL", ({ process }) => process.mprotect(BASE, 4096, 0x3000001)],
    ["growing downwards what does not", "EINVAL", ({ process }) => process.mprotect(BASE, 4096, 0x1000001)],
    ["a hole", "ENOMEM", ({ process }) => process.mprotect(HOLE, 4096, 1)],
    ["a range that wraps", "ENOMEM", ({ process }) => process.mprotect(BASE, 2 ** 64 - 4096, 1)],
  ],
  madvise: [
    ["unknown advice", "EINVAL", ({ process }) => process.madvise(BASE, 4096, 77)],
    ["an unaligned address", "EINVAL", ({ process }) => process.madvise(BASE + 1, 4096, 4)],
    ["a hole", "ENOMEM", ({ process }) => process.madvise(HOLE, 4096, 4)],
    ["a range that wraps", "EINVAL", ({ process }) => process.madvise(BASE, 2 ** 64 - 4096, 4)],
    ["removal without a file", "EINVAL", ({ process }) => process.madvise(BASE, 4096, 9)],
    ["population of a hole", "ENOMEM", ({ process }) => process.madvise(HOLE, 4096, 22)],
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
      ({ process }) => process.mremap(BASE, 4096, 4096, MAYMOVE | MREMAP_FIXED, BEYOND),
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
  memfd_create: [
    ["unknown flags", "EINVAL", ({ process }) => process.memfd_create("x", 0x1000)],
    ["a name of 250 bytes", "EINVAL", ({ process }) => process.memfd_create("x".repeat(250))],
  ],
  ftruncate: [
    ["a negative length", "EINVAL", ({ process, file }) => process.ftruncate(file, -1)],
    ["a bad descriptor", "EBADF", ({ process }) => process.ftruncate(99, 0)],
    ["a descriptor for reading", "EINVAL", ({ process, readOnly }) => process.ftruncate(readOnly, 0)],
    ["a pipe", "EINVAL", ({ process, writeEnd }) => process.ftruncate(writeEnd, 0)],
  ],
  fallocate: [
    ["no length", "EINVAL", ({ process, file }) => process.fallocate(file, 3, 0, 0)],
    ["a negative offset", "EINVAL", ({ process, file }) => process.fallocate(file, 3, -4096, 4096)],
    ["a hole that changes the size", "EOPNOTSUPP", ({ process, file }) => process.fallocate(file, 2, 0, 4096)],
    ["unknown modes", "EOPNOTSUPP", ({ process, file }) => process.fallocate(file, 0x1000, 0, 4096)],
    ["a descriptor for reading", "EBADF", ({ process, readOnly }) => process.fallocate(readOnly, 3, 0, 4096)],
    ["a pipe", "ESPIPE", ({ process, writeEnd }) => process.fallocate(writeEnd, 3, 0, 4096)],
    ["a bad descriptor", "EBADF", ({ process }) => process.fallocate(99, 3, 0, 4096)],
  ],
  read: [
    ["a bad descriptor", "EBADF", ({ process }) => process.read(99, BASE, 8)],
    ["the write end of a pipe", "EBADF", ({ process, writeEnd }) => process.read(writeEnd, BASE, 8)],
    ["an empty pipe that does not block", "EAGAIN", ({ process, readEnd }) => process.read(readEnd, BASE, 8)],
    ["a buffer in a hole", "EFAULT", ({ process, file }) => process.read(file, HOLE, 8)],
  ],
  write: [
    ["a bad descriptor", "EBADF", ({ process }) => process.write(-1, BASE, 8)],
    ["a descriptor for reading", "EBADF", ({ process, readOnly }) => process.write(readOnly, BASE, 8)],
    ["the read end of a pipe", "EBADF", ({ process, readEnd }) => process.write(readEnd, BASE, 8)],
    ["a buffer in a hole", "EFAULT", ({ process, writeEnd }) => process.write(writeEnd, HOLE, 8)],
  ],
  pread64: [
    ["a negative offset", "EINVAL", ({ process, file }) => process.pread64(file, BASE, 8, -1)],
    ["a pipe", "ESPIPE", ({ process, readEnd }) => process.pread64(readEnd, BASE, 8, 0)],
    ["a bad descriptor", "EBADF", ({ process }) => process.pread64(99, BASE, 8, 0)],
  ],
  pwrite64: [
    ["a negative offset", "EINVAL", ({ process, file }) => process.pwrite64(file, BASE, 8, -1)],
    ["a pipe", "ESPIPE", ({ process, writeEnd }) => process.pwrite64(writeEnd, BASE, 8, 0)],
    ["a descriptor for reading", "EBADF", ({ process, readOnly }) => process.pwrite64(readOnly, BASE, 8, 0)],
  ],
  lseek: [
    ["a pipe", "ESPIPE", ({ process, readEnd }) => process.lseek(readEnd, 0, 0)],
    ["an unknown origin", "EINVAL", ({ process, file }) => process.lseek(file, 0, 9)],
    ["a place before the start", "EINVAL", ({ process, file }) => process.lseek(file, -1, 0)],
    ["a bad descriptor", "EBADF", ({ process }) => process.lseek(99, 0, 0)],
  ],
  fstat: [["a bad descriptor", "EBADF", ({ process }) => process.fstat(99)]],
  close: [["a bad descriptor", "EBADF", ({ process }) => process.close(99)]],
  dup: [["a bad descriptor", "EBADF", ({ process }) => process.dup(99)]],
  dup3: [
    ["a bad descriptor", "EBADF", ({ process }) => process.dup3(99, 8, 0)],
    ["the same descriptor twice", "EINVAL", ({ process, file }) => process.dup3(file, file, 0)],
    ["unknown flags", "EINVAL", ({ process, file }) => process.dup3(file, 8, 1)],
    ["a number beyond the limit", "EBADF", ({ process, file }) => process.dup3(file, 1024, 0)],
  ],
  fcntl: [
    ["a bad descriptor", "EBADF", ({ process }) => process.fcntl(99, 1, 0)],
    ["an unknown command", "EINVAL", ({ process, file }) => process.fcntl(file, 9999, 0)],
  ],
  open: [["a path that is not there", "ENOENT", ({ process }) => process.open("/nowhere", 0)]],
  pipe2: [["unknown flags", "EINVAL", ({ process }) => process.pipe2(1)]],
  process_vm_readv: [
    ["flags", "EINVAL", ({ process }) => process.process_vm_readv(process.pid, [[BASE, 8]], [[BASE, 8]], 1)],
    ["an unknown process", "ESRCH", ({ process }) => process.process_vm_readv(999_999, [[BASE, 8]], [[BASE, 8]])],
    ["a hole", "EFAULT", ({ process }) => process.process_vm_readv(process.pid, [[BASE, 8]], [[HOLE, 8]])],
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
};

for (const [name, rows] of Object.entries(cases)) {
  describe(name, () => {
    test.each(rows)("%s is %s", (_, errno, call) => {
      const world = given();
      const before = state(world);
      expect(errnoOf(() => call(world))).toEqual({ code: errno, syscall: name });
      expect(state(world)).toEqual(before);
      world.process.kernel.checkInvariants();
    });
  });
}

/** Calls that take an address or a length; what is no whole number is refused, never wrapped. */
const withAddress: Record<string, (process: Process, address: number) => unknown> = {
  mmap: (process, address) => process.mmap(address, 4096, RW, PRIVATE_ANONYMOUS | FIXED),
  munmap: (process, address) => process.munmap(address, 4096),
  mprotect: (process, address) => process.mprotect(address, 4096, 1),
  madvise: (process, address) => process.madvise(address, 4096, 4),
  mremap: (process, address) => process.mremap(address, 4096, 8192, MAYMOVE),
  mincore: (process, address) => process.mincore(address, 4096),
  msync: (process, address) => process.msync(address, 4096, 4),
  mlock: (process, address) => process.mlock(address, 4096),
  munlock: (process, address) => process.munlock(address, 4096),
};

describe("an address that is no address", () => {
  for (const [name, call] of Object.entries(withAddress)) {
    test.each(NOT_A_NUMBER)(`${name} refuses %s`, (_, address) => {
      const world = given();
      const before = state(world);
      expect(() => call(world.process, address)).toThrow();
      expect(state(world)).toEqual(before);
      world.process.kernel.checkInvariants();
    });
  }
});

const withLength: Record<string, (process: Process, length: number) => unknown> = {
  mmap: (process, length) => process.mmap(BASE, length, RW, PRIVATE_ANONYMOUS | FIXED),
  munmap: (process, length) => process.munmap(BASE, length),
  mprotect: (process, length) => process.mprotect(BASE, length, 1),
  madvise: (process, length) => process.madvise(BASE, length, 4),
  mincore: (process, length) => process.mincore(BASE, length),
  mlock: (process, length) => process.mlock(BASE, length),
};

describe("a length that is no length", () => {
  for (const [name, call] of Object.entries(withLength)) {
    test.each(NOT_A_NUMBER)(`${name} refuses %s`, (_, length) => {
      const world = given();
      const before = state(world);
      expect(() => call(world.process, length)).toThrow();
      expect(state(world)).toEqual(before);
      world.process.kernel.checkInvariants();
    });
  }
});
