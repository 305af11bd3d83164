// Descriptors beyond reading and writing: flags that hold, positions, seals, what is ready, and descriptors that only name a file.
import { beforeEach, describe, expect, test } from "vitest";
import { PAGE_SIZE } from "../../../platform/hardware/layout.ts";
import { Machine } from "../../../platform/hardware/machine.ts";
import { SystemError } from "../../../platform/kernel/abi/errors.ts";
import * as fcntl from "../../../platform/kernel/abi/fcntl.ts";
import * as mman from "../../../platform/kernel/abi/mman.ts";
import type { Kernel } from "../../../platform/kernel/kernel.ts";
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE } from "../../../platform/kernel/memfd.ts";
import {
  O_APPEND,
  O_DIRECT,
  O_LARGEFILE,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_RDWR,
} from "../../../platform/kernel/mm/file.ts";
import type { Process } from "../../../platform/kernel/process.ts";
import { installUserfaultfd } from "../../../platform/kernel/userfaultfd.ts";
import { createKernel, refpage_create } from "../../../refpage/kernel.ts";

const machine = new Machine({ memoryBytes: 16 * 2 ** 20, mte: false });
const RW = mman.PROT_READ | mman.PROT_WRITE;
let kernel: Kernel;
let process: Process;
let buffer: number;
let file: number;

beforeEach(() => {
  kernel = createKernel(machine);
  process = kernel.createProcess();
  buffer = process.mmap(0, 4 * PAGE_SIZE, RW, mman.MAP_PRIVATE | mman.MAP_ANONYMOUS);
  file = process.memfd_create("file", fcntl.MFD_ALLOW_SEALING);
});

/** The errno that `call` ends with, or what it returns. */
function outcome<T>(call: () => T): T | string {
  try {
    return call();
  } catch (error) {
    if (error instanceof SystemError) return error.code;
    throw error;
  }
}

/** One descriptor of each kind. */
function kinds(): Record<"memory" | "reference" | "reader" | "writer" | "terminal", number> {
  const [reader, writer] = process.pipe2();
  return { memory: file, reference: refpage_create(process, buffer), reader, writer, terminal: 0 };
}

describe("F_SETFL", () => {
  test("keeps O_APPEND: each write then goes to the end, pwrite's too", () => {
    process.write(file, buffer, 16);
    process.lseek(file, 4, fcntl.SEEK_SET);
    process.fcntl(file, fcntl.F_SETFL, O_APPEND);
    expect(process.fcntl(file, fcntl.F_GETFL)).toBe(O_RDWR | O_APPEND | O_LARGEFILE);
    expect(process.write(file, buffer, 8)).toBe(8);
    expect(process.fstat(file).size).toBe(24);
    expect(process.lseek(file, 0, fcntl.SEEK_CUR)).toBe(24);
    process.pwrite64(file, buffer, 1, 0);
    expect(process.fstat(file).size).toBe(25);
  });

  test("refuses O_DIRECT of all but pipes, with nothing changed", () => {
    for (const fd of [file, refpage_create(process, buffer)]) {
      const before = process.fcntl(fd, fcntl.F_GETFL);
      expect(outcome(() => process.fcntl(fd, fcntl.F_SETFL, O_DIRECT | O_NONBLOCK))).toBe("EINVAL");
      expect(process.fcntl(fd, fcntl.F_GETFL)).toBe(before);
    }
  });
});

test.each([5, 99, -1])(
  "lseek with whence %i is EINVAL for every kind of file, those without positions too",
  (whence) => {
    for (const fd of Object.values(kinds())) expect(outcome(() => process.lseek(fd, 0, whence))).toBe("EINVAL");
  },
);

test.each([["fsync"], ["fdatasync"]] as const)(
  "%s has nothing to do for files in RAM, and is EINVAL for all others",
  (call) => {
    const { memory, ...others } = kinds();
    expect(process[call](memory)).toBe(0);
    for (const fd of Object.values(others)) expect(outcome(() => process[call](fd))).toBe("EINVAL");
    expect(outcome(() => process[call](99))).toBe("EBADF");
    expect(outcome(() => process.syscall(call, memory))).toBe(0);
  },
);

describe("poll", () => {
  const ask = (fd: number) => process.poll([{ fd, events: fcntl.POLLIN | fcntl.POLLOUT }])[0];

  test("finds files in RAM, reference pages and terminals ready for both", () => {
    const { memory, reference, terminal } = kinds();
    expect([memory, reference, terminal].map(ask)).toEqual(Array(3).fill(fcntl.POLLIN | fcntl.POLLOUT));
  });

  test("finds a pipe ready for what it can take or give, and tells of an end that is closed", () => {
    const { reader, writer } = kinds();
    expect([ask(reader), ask(writer)]).toEqual([0, fcntl.POLLOUT]);
    process.write(writer, buffer, 1);
    expect(ask(reader)).toBe(fcntl.POLLIN);
    process.close(writer);
    expect(ask(reader)).toBe(fcntl.POLLIN | fcntl.POLLHUP);
    const again = kinds();
    process.close(again.reader);
    expect(ask(again.writer)).toBe(fcntl.POLLOUT | fcntl.POLLERR);
  });

  test("passes over negative descriptors and names those that are not open", () => {
    expect([ask(-1), ask(99)]).toEqual([0, fcntl.POLLNVAL]);
  });

  test("by number reads and writes struct pollfd", () => {
    process.memory.setInt32(buffer, file);
    process.memory.setUint16(buffer + 4, fcntl.POLLIN);
    process.memory.setInt32(buffer + 8, -1);
    expect(process.syscall(7, buffer, 2, 0)).toBe(1);
    expect([process.memory.getUint16(buffer + 6), process.memory.getUint16(buffer + 14)]).toEqual([fcntl.POLLIN, 0]);
    expect(outcome(() => process.syscall(7, 8, 1, 0))).toBe("EFAULT");
    expect(outcome(() => process.syscall(7, buffer, 1e6, 0))).toBe("EINVAL");
  });
});

describe("ioctl", () => {
  test("is ENOTTY for requests that a file does not know, and EBADF without one", () => {
    for (const fd of Object.values(kinds())) expect(outcome(() => process.ioctl(fd, 0x1234, buffer))).toBe("ENOTTY");
    expect(outcome(() => process.ioctl(99, 0x1234))).toBe("EBADF");
  });

  test("changes close-on-exec and O_NONBLOCK, and counts what waits", () => {
    const { reader, writer } = kinds();
    expect(process.ioctl(reader, fcntl.FIOCLEX)).toBe(0);
    expect(process.fcntl(reader, fcntl.F_GETFD)).toBe(fcntl.FD_CLOEXEC);
    expect(process.ioctl(reader, fcntl.FIONCLEX)).toBe(0);
    expect(process.fcntl(reader, fcntl.F_GETFD)).toBe(0);
    process.memory.setInt32(buffer, 1);
    process.ioctl(reader, fcntl.FIONBIO, buffer);
    expect(process.fcntl(reader, fcntl.F_GETFL)).toBe(O_RDONLY | O_NONBLOCK);
    process.write(writer, buffer, 5);
    process.write(file, buffer, 9);
    process.lseek(file, 2, fcntl.SEEK_SET);
    const waiting = (fd: number) => {
      process.ioctl(fd, fcntl.FIONREAD, buffer + 8);
      return process.memory.getInt32(buffer + 8);
    };
    expect([waiting(reader), waiting(file)]).toEqual([5, 7]);
    for (const fd of [reader, file]) expect(outcome(() => process.ioctl(fd, fcntl.FIONREAD, 8))).toBe("EFAULT");
  });

  test("of a userfaultfd without an argument is EFAULT, not a TypeError", () => {
    installUserfaultfd(kernel);
    const fd = process.syscall("userfaultfd", 0);
    expect(outcome(() => process.syscall("ioctl", fd, 0xc018aa3f))).toBe("EFAULT");
  });
});

describe("a descriptor opened with O_PATH", () => {
  test("names a file, a reference page's too, and can be asked for its status, duplicated and closed", () => {
    for (const fd of Object.values(kinds())) {
      const named = process.open(`/proc/self/fd/${fd}`, O_PATH);
      expect(process.fstat(named)).toEqual({ ...process.fstat(fd), mode: expect.any(Number) });
      expect(process.fcntl(named, fcntl.F_GETFL)).toBe(O_PATH);
      process.close(process.dup(named));
      process.close(named);
    }
    kernel.checkInvariants();
  });

  test("is EBADF for everything else", () => {
    const named = process.open(`/proc/self/fd/${file}`, O_PATH);
    const calls: readonly (() => unknown)[] = [
      () => process.read(named, buffer, 1),
      () => process.write(named, buffer, 1),
      () => process.lseek(named, 0, 0),
      () => process.ftruncate(named, 1),
      () => process.fsync(named),
      () => process.ioctl(named, fcntl.FIOCLEX),
      () => process.fcntl(named, fcntl.F_SETFL, 0),
      () => process.mmap(0, PAGE_SIZE, RW, mman.MAP_SHARED, named),
    ];
    for (const call of calls) expect(outcome(call)).toBe("EBADF");
  });

  test("keeps the file, and without O_PATH an anonymous inode can't be opened", () => {
    process.write(file, buffer, 8);
    const named = process.open(`/proc/self/fd/${file}`, O_PATH);
    process.close(file);
    expect(process.fstat(named).size).toBe(8);
    const reference = refpage_create(process, buffer);
    expect(outcome(() => process.open(`/proc/self/fd/${reference}`))).toBe("ENXIO");
  });
});

describe("seals", () => {
  const seal = (seals: number) => outcome(() => process.fcntl(file, fcntl.F_ADD_SEALS, seals));
  const map = (prot: number, flags: number) => outcome(() => process.mmap(0, PAGE_SIZE, prot, flags, file));
  beforeEach(() => {
    process.ftruncate(file, 2 * PAGE_SIZE);
  });

  test("are there for files that were made for them only", () => {
    expect(process.fcntl(file, fcntl.F_GET_SEALS)).toBe(0);
    const plain = process.memfd_create("plain");
    expect(process.fcntl(plain, fcntl.F_GET_SEALS)).toBe(fcntl.F_SEAL_SEAL);
    expect(outcome(() => process.fcntl(plain, fcntl.F_ADD_SEALS, 2))).toBe("EPERM");
    const { reader, reference, terminal } = kinds();
    for (const fd of [reader, reference]) expect(outcome(() => process.fcntl(fd, fcntl.F_ADD_SEALS, 2))).toBe("EPERM");
    expect(outcome(() => process.fcntl(terminal, fcntl.F_ADD_SEALS, 2))).toBe("EINVAL");
    for (const fd of [reader, reference, terminal])
      expect(outcome(() => process.fcntl(fd, fcntl.F_GET_SEALS))).toBe("EINVAL");
  });

  test("that are not there forbid nothing: KEEP_SIZE goes beyond the end, and the size stays", () => {
    expect(process.fallocate(file, 1, 0, 3 * PAGE_SIZE)).toBe(0);
    expect(process.fstat(file).size).toBe(2 * PAGE_SIZE);
    expect(seal(fcntl.F_SEAL_SHRINK)).toBe(0);
    expect(process.fallocate(file, 0, 0, 3 * PAGE_SIZE)).toBe(0);
    expect(process.fstat(file).size).toBe(3 * PAGE_SIZE);
  });

  test("against shrinking and growing hold for ftruncate, fallocate and write", () => {
    expect(seal(fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)).toBe(0);
    expect(outcome(() => process.ftruncate(file, PAGE_SIZE))).toBe("EPERM");
    expect(outcome(() => process.ftruncate(file, 3 * PAGE_SIZE))).toBe("EPERM");
    expect(process.ftruncate(file, 2 * PAGE_SIZE)).toBe(0);
    expect(outcome(() => process.fallocate(file, 0, 0, 3 * PAGE_SIZE))).toBe("EPERM");
    expect(outcome(() => process.fallocate(file, 1, 2 * PAGE_SIZE, 1))).toBe("EPERM");
    expect(outcome(() => process.fallocate(file, 0, PAGE_SIZE, PAGE_SIZE))).toBe(0);
    expect(outcome(() => process.fallocate(file, 1, 0, 2 * PAGE_SIZE))).toBe(0);
    expect(process.pwrite64(file, buffer, 3 * PAGE_SIZE, 0)).toBe(2 * PAGE_SIZE);
    expect(outcome(() => process.pwrite64(file, buffer, 1, 2 * PAGE_SIZE))).toBe("EPERM");
    kernel.checkInvariants();
  });

  test("against writing hold for write, holes and new shared mappings, and private ones may store", () => {
    process.pwrite64(file, buffer, 1, 0);
    expect(seal(fcntl.F_SEAL_WRITE)).toBe(0);
    expect(outcome(() => process.pwrite64(file, buffer, 1, 0))).toBe("EPERM");
    expect(outcome(() => process.fallocate(file, 3, 0, PAGE_SIZE))).toBe("EPERM");
    expect(map(RW, mman.MAP_SHARED)).toBe("EPERM");
    const shared = map(mman.PROT_READ, mman.MAP_SHARED) as number;
    expect(outcome(() => process.mprotect(shared, PAGE_SIZE, RW))).toBe("EACCES");
    const own = map(RW, mman.MAP_PRIVATE) as number;
    process.memory.setUint8(own, 7);
    expect([process.memory.getUint8(own), process.memory.getUint8(shared)]).toEqual([7, 0]);
    kernel.checkInvariants();
  });

  test("against writing are EBUSY while a shared mapping may store, or a page is pinned", () => {
    const shared = map(RW, mman.MAP_SHARED) as number;
    expect(seal(fcntl.F_SEAL_WRITE)).toBe("EBUSY");
    expect(seal(fcntl.F_SEAL_FUTURE_WRITE)).toBe(0);
    process.memory.setUint8(shared, 7);
    const pin = process.pin(shared, 1, { write: true });
    process.munmap(shared, PAGE_SIZE);
    expect(seal(fcntl.F_SEAL_WRITE)).toBe("EBUSY");
    pin.release();
    expect(seal(fcntl.F_SEAL_WRITE)).toBe(0);
  });

  test("end with F_SEAL_SEAL, and unknown ones or a file open for reading are refused", () => {
    expect(seal(64)).toBe("EINVAL");
    const reading = process.open(`/proc/self/fd/${file}`, O_RDONLY);
    expect(outcome(() => process.fcntl(reading, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW))).toBe("EPERM");
    expect(seal(fcntl.F_SEAL_SEAL)).toBe(0);
    expect(seal(fcntl.F_SEAL_GROW)).toBe("EPERM");
    expect(process.fcntl(file, fcntl.F_GET_SEALS)).toBe(fcntl.F_SEAL_SEAL);
  });

  test("against execution are there from MFD_NOEXEC_SEAL on, and mean all of writing for a file that can be executed", () => {
    const data = process.memfd_create("data", fcntl.MFD_NOEXEC_SEAL);
    expect(process.fcntl(data, fcntl.F_GET_SEALS)).toBe(fcntl.F_SEAL_EXEC);
    expect(process.fstat(data).mode).toBe(0o100666);
    expect(seal(fcntl.F_SEAL_EXEC)).toBe(0);
    expect(process.fcntl(file, fcntl.F_GET_SEALS)).toBe(0x3e);
  });
});

describe("fallocate", () => {
  const size = () => process.fstat(file).size;

  test("of mode 0 lengthens a file to the range's end, and never shortens it", () => {
    process.pwrite64(file, buffer, 100, 0);
    expect(process.fallocate(file, 0, PAGE_SIZE, PAGE_SIZE)).toBe(0);
    expect(size()).toBe(2 * PAGE_SIZE);
    process.fallocate(file, 0, 0, PAGE_SIZE);
    expect(size()).toBe(2 * PAGE_SIZE);
  });

  test("that keeps the size keeps it, and so does a hole", () => {
    process.pwrite64(file, buffer, 100, 0);
    expect(process.fallocate(file, FALLOC_FL_KEEP_SIZE, 0, 2 * PAGE_SIZE)).toBe(0);
    expect(process.fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 2 * PAGE_SIZE)).toBe(0);
    expect(size()).toBe(100);
  });
});

test("a file that has no write call cannot be written, and one for reading only is refused before that", () => {
  installUserfaultfd(kernel);
  const fd = process.syscall("userfaultfd", 0);
  expect(outcome(() => process.write(fd, buffer, 1))).toBe("EINVAL");
  expect(outcome(() => process.write(refpage_create(process, buffer), buffer, 1))).toBe("EBADF");
});
