// Descriptors: the lowest free number, dup and fcntl, close-on-exec, fork, and the limits of a process and of the system.
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { Machine } from "../../../platform/hardware/machine.ts";
import {
  F_DUPFD,
  F_DUPFD_CLOEXEC,
  F_GETFD,
  F_GETFL,
  F_SETFD,
  F_SETFL,
  FD_CLOEXEC,
  MFD_CLOEXEC,
} from "../../../platform/kernel/abi/fcntl.ts";
import { RLIMIT_NOFILE } from "../../../platform/kernel/abi/rlimit.ts";
import { Kernel } from "../../../platform/kernel/kernel.ts";
import { O_CLOEXEC, O_NONBLOCK } from "../../../platform/kernel/mm/file.ts";
import type { Process } from "../../../platform/kernel/process.ts";

const machine = new Machine({ memoryBytes: 16 * 2 ** 20, mte: false });
let kernel: Kernel;
let process: Process;

beforeEach(() => {
  kernel = new Kernel(machine);
  process = kernel.createProcess();
});

function errnoOf(call: () => unknown): unknown {
  try {
    return call();
  } catch (error) {
    return `${(error as { code: string }).code} ${(error as { syscall: string }).syscall}`;
  }
}

test("a process starts with 0, 1 and 2; files get the lowest free number", () => {
  expect(process.fds.numbers()).toEqual([0, 1, 2]);
  expect([process.memfd_create("a"), process.memfd_create("b")]).toEqual([3, 4]);
  process.close(1);
  expect(process.memfd_create("c")).toBe(1);
  expect(process.memfd_create("d")).toBe(5);
});

test("numbers agree with a plain set after any order of opens, dups and closes", () => {
  const operation = fc.tuple(fc.constantFrom("open", "dup", "dupFrom", "dup3", "close"), fc.nat(12), fc.nat(12));
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
      const subject = kernel.createProcess();
      const plain = new Set([0, 1, 2]);
      const lowestFrom = (from: number) => {
        let fd = from;
        while (plain.has(fd)) fd++;
        return fd;
      };
      for (const [op, a, b] of operations) {
        if (op === "open") {
          const want = lowestFrom(0);
          expect(subject.memfd_create("x")).toBe(want);
          plain.add(want);
        } else if (!plain.has(a)) {
          expect(errnoOf(() => subject.dup(a))).toBe("EBADF dup");
        } else if (op === "dup" || op === "dupFrom") {
          const want = lowestFrom(op === "dup" ? 0 : b);
          expect(op === "dup" ? subject.dup(a) : subject.fcntl(a, F_DUPFD, b)).toBe(want);
          plain.add(want);
        } else if (op === "dup3" && a !== b) {
          expect(subject.dup3(a, b)).toBe(b);
          plain.add(b);
        } else if (op === "close") {
          subject.close(a);
          plain.delete(a);
        }
        expect(subject.fds.numbers()).toEqual([...plain].sort((x, y) => x - y));
      }
      const openFiles = kernel.openFiles;
      subject.exit(0);
      expect(kernel.openFiles).toBeLessThanOrEqual(openFiles);
    }),
    { numRuns: 60 },
  );
  process.exit(0);
  expect(kernel.openFiles).toBe(0);
});

describe("a duplicate", () => {
  test("shares the position and status flags, but not close-on-exec", () => {
    const fd = process.memfd_create("a", MFD_CLOEXEC);
    const copy = process.dup(fd);
    process.lseek(fd, 100, 0);
    process.fcntl(copy, F_SETFL, O_NONBLOCK);
    expect(process.lseek(copy, 0, 1)).toBe(100);
    expect(process.fcntl(fd, F_GETFL) & O_NONBLOCK).toBe(O_NONBLOCK);
    expect([fd, copy].map((at) => process.fcntl(at, F_GETFD))).toEqual([FD_CLOEXEC, 0]);
  });

  test("keeps the file open when the first is closed", () => {
    const fd = process.memfd_create("a");
    process.ftruncate(fd, 5000);
    const copy = process.dup(fd);
    process.close(fd);
    expect(process.fstat(copy).size).toBe(5000);
  });

  test("over an open descriptor closes what was there", () => {
    const [readEnd, writeEnd] = process.pipe2();
    const other = process.memfd_create("a");
    process.dup3(other, writeEnd);
    expect(process.read(readEnd, 0x1000, 0)).toBe(0);
    expect(kernel.openFiles).toBe(5);
  });
});

test("close-on-exec is set at creation, by fcntl and by dup, and execve closes exactly those", () => {
  const kept = process.memfd_create("kept");
  const atCreation = process.memfd_create("a", MFD_CLOEXEC);
  const [readEnd, writeEnd] = process.pipe2(O_CLOEXEC);
  const duplicate = process.fcntl(kept, F_DUPFD_CLOEXEC, 20);
  const late = process.dup(kept);
  process.fcntl(late, F_SETFD, FD_CLOEXEC);
  const unset = process.memfd_create("b", MFD_CLOEXEC);
  process.fcntl(unset, F_SETFD, 0);
  process.fds.closeOnExec();
  expect(process.fds.numbers()).toEqual([0, 1, 2, kept, unset].sort((a, b) => a - b));
  for (const fd of [atCreation, readEnd, writeEnd, duplicate, late]) {
    expect(errnoOf(() => process.fstat(fd))).toBe("EBADF fstat");
  }
});

describe("fork", () => {
  test("gives the child the same files under the same numbers, each with its own table", () => {
    const fd = process.memfd_create("a", MFD_CLOEXEC);
    const child = process.fork();
    child.lseek(fd, 42, 0);
    expect(process.lseek(fd, 0, 1)).toBe(42);
    expect(child.fcntl(fd, F_GETFD)).toBe(FD_CLOEXEC);
    child.close(fd);
    expect(process.fstat(fd).size).toBe(0);
    expect(child.memfd_create("b")).toBe(fd);
  });
});

describe("RLIMIT_NOFILE", () => {
  beforeEach(() => {
    process.setrlimit(RLIMIT_NOFILE, 5);
    process.memfd_create("3");
    process.memfd_create("4");
  });

  test.each([
    ["memfd_create", () => process.memfd_create("x"), "EMFILE memfd_create"],
    ["dup", () => process.dup(3), "EMFILE dup"],
    ["fcntl", () => process.fcntl(3, F_DUPFD, 0), "EMFILE fcntl"],
    ["pipe2", () => process.pipe2(), "EMFILE pipe2"],
    ["open", () => process.open("/proc/self/fd/3"), "EMFILE open"],
    ["F_DUPFD from beyond it", () => process.fcntl(3, F_DUPFD, 5), "EINVAL fcntl"],
    ["dup3 to beyond it", () => process.dup3(3, 5), "EBADF dup3"],
  ])("bounds %s, and nothing stays open", (_, call, errno) => {
    const before = kernel.openFiles;
    expect(errnoOf(call)).toBe(errno);
    expect(kernel.openFiles).toBe(before);
    expect(process.fds.numbers()).toEqual([0, 1, 2, 3, 4]);
    kernel.checkInvariants();
  });

  test("leaves no half of a pipe when only one number is free", () => {
    process.close(4);
    expect(errnoOf(() => process.pipe2())).toBe("EMFILE pipe2");
    expect(process.fds.numbers()).toEqual([0, 1, 2, 3]);
  });

  test("does not close what is open when it is lowered", () => {
    process.setrlimit(RLIMIT_NOFILE, 2);
    expect(process.fstat(4).size).toBe(0);
  });
});

describe("fs.file-max", () => {
  /** A process in a system where `room` more files may be open. */
  function crowded(room: number): Process {
    const small = new Kernel(machine, { fileMax: 4 + room });
    const of = small.createProcess();
    of.memfd_create("file");
    return of;
  }

  test.each<[string, number, (of: Process) => unknown, string]>([
    ["memfd_create", 0, (of) => of.memfd_create("x"), "ENFILE memfd_create"],
    ["pipe2 for its first end", 0, (of) => of.pipe2(), "ENFILE pipe2"],
    ["pipe2 for its second end", 1, (of) => of.pipe2(), "ENFILE pipe2"],
    ["open", 0, (of) => of.open("/proc/self/fd/3"), "ENFILE open"],
    ["a shared anonymous mapping", 0, (of) => of.mmap(0x10_0000_0000, 8192, 3, 0x31), "ENFILE mmap"],
  ])("bounds %s, and nothing changes", (_, room, call, errno) => {
    const of = crowded(room);
    of.mmap(0x10_0000_0000, 8192, 3, 0x32);
    of.memory.setUint8(0x10_0000_0000, 9);
    const before = [of.kernel.openFiles, of.procfs("smaps"), of.kernel.frames.freeFrames];
    expect(errnoOf(() => call(of))).toBe(errno);
    expect([of.kernel.openFiles, of.procfs("smaps"), of.kernel.frames.freeFrames]).toEqual(before);
    of.kernel.checkInvariants();
  });

  test("does not count duplicates, which share an open file", () => {
    const of = crowded(0);
    expect(of.dup(3)).toBe(4);
    expect(of.fork().fds.numbers()).toEqual([0, 1, 2, 3, 4]);
  });

  test("counts a file until its last mapping is gone", () => {
    const of = crowded(0);
    of.ftruncate(3, 4096);
    const at = of.mmap(0, 4096, 1, 2, 3, 0);
    of.close(3);
    expect(errnoOf(() => of.memfd_create("x"))).toBe("ENFILE memfd_create");
    of.munmap(at, 4096);
    expect(of.memfd_create("x")).toBe(3);
  });
});

test.each([NaN, 1.5, Infinity])("a descriptor %d is no whole number, and refused as such", (fd) => {
  expect(() => process.dup(fd)).toThrow(RangeError);
  expect(() => process.dup3(0, fd)).toThrow(RangeError);
  expect(() => process.fstat(fd)).toThrow(RangeError);
  expect(() => process.fcntl(0, F_DUPFD, fd)).toThrow(RangeError);
});
