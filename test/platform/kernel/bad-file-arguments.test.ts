// Every system call about descriptors with wrong arguments gives Linux's errno and changes nothing.
// Those about memory are in bad-arguments.test.ts.
import { BASE, type Case, describeFailures, describeNoNumbers, HOLE } from "./failing-calls.ts";

const BEYOND = 2 ** 38;
/** Beyond what a signed 64-bit offset can say, with anything added. */
const LAST_OFFSET = 2 ** 63 - 1024;

const cases: Record<string, readonly Case[]> = {
  memfd_create: [
    ["unknown flags", "EINVAL", ({ process }) => process.memfd_create("x", 0x1000)],
    ["a name of 250 bytes", "EINVAL", ({ process }) => process.memfd_create("x".repeat(250))],
    ["a name of 126 letters and 252 bytes", "EINVAL", ({ process }) => process.memfd_create("é".repeat(126))],
    ["huge pages", "EINVAL", ({ process }) => process.memfd_create("x", 4)],
    ["both EXEC and NOEXEC_SEAL", "EINVAL", ({ process }) => process.memfd_create("x", 24)],
    ["a name that is not there", "EFAULT", ({ process }) => process.syscall("memfd_create", HOLE, 0)],
  ],
  ftruncate: [
    ["a negative length", "EINVAL", ({ process }) => process.ftruncate(99, -1)],
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
    ["a buffer beyond the address space", "EFAULT", ({ process, file }) => process.read(file, BEYOND + 4096, 0)],
    ["a negative length", "EFAULT", ({ process, file }) => process.read(file, BASE, -1)],
    ["a terminal that has nothing to read", "EINVAL", ({ process }) => process.read(0, BASE, 8)],
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
    ["an offset that overflows", "EINVAL", ({ process, file }) => process.pread64(file, BASE, 1024, LAST_OFFSET)],
  ],
  pwrite64: [
    ["a negative offset", "EINVAL", ({ process, file }) => process.pwrite64(file, BASE, 8, -1)],
    ["a pipe", "ESPIPE", ({ process, writeEnd }) => process.pwrite64(writeEnd, BASE, 8, 0)],
    ["a descriptor for reading", "EBADF", ({ process, readOnly }) => process.pwrite64(readOnly, BASE, 8, 0)],
    ["an offset that overflows", "EINVAL", ({ process, file }) => process.pwrite64(file, BASE, 1024, LAST_OFFSET)],
  ],
  lseek: [
    ["a pipe", "ESPIPE", ({ process, readEnd }) => process.lseek(readEnd, 0, 0)],
    ["an unknown origin", "EINVAL", ({ process, file }) => process.lseek(file, 0, 9)],
    ["a place before the start", "EINVAL", ({ process, file }) => process.lseek(file, -1, 0)],
    ["a bad descriptor", "EBADF", ({ process }) => process.lseek(99, 0, 0)],
    ["data in a file of holes", "ENXIO", ({ process, file }) => process.lseek(file, 0, 3)],
    ["a hole beyond the end", "ENXIO", ({ process, file }) => process.lseek(file, 4096, 4)],
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
    ["a duplicate from below 0", "EINVAL", ({ process, file }) => process.fcntl(file, 0, -1)],
    ["a duplicate from the limit", "EINVAL", ({ process, file }) => process.fcntl(file, 0, 1024)],
  ],
  open: [["a path that is not there", "ENOENT", ({ process }) => process.open("/nowhere", 0)]],
  pipe2: [["unknown flags", "EINVAL", ({ process }) => process.pipe2(1)]],
};

describeFailures(cases);

describeNoNumbers({
  memfd_create: { flags: ({ process }, value) => process.memfd_create("x", value === undefined ? NaN : value) },
  ftruncate: {
    descriptor: ({ process }, value) => process.ftruncate(value, 0),
    length: ({ process, file }, value) => process.ftruncate(file, value === 2 ** 64 ? NaN : value),
  },
  fallocate: {
    descriptor: ({ process }, value) => process.fallocate(value, 3, 0, 4096),
    mode: ({ process, file }, value) => process.fallocate(file, value, 0, 4096),
    offset: ({ process, file }, value) => process.fallocate(file, 3, value, 4096),
    length: ({ process, file }, value) => process.fallocate(file, 3, 0, value),
  },
  read: {
    descriptor: ({ process }, value) => process.read(value, BASE, 8),
    address: ({ process, file }, value) => process.read(file, value, 8),
    length: ({ process, file }, value) => process.read(file, BASE, value),
  },
  write: {
    descriptor: ({ process }, value) => process.write(value, BASE, 8),
    address: ({ process, file }, value) => process.write(file, value, 8),
    length: ({ process, file }, value) => process.write(file, BASE, value),
  },
  pread64: { offset: ({ process, file }, value) => process.pread64(file, BASE, 8, value === 2 ** 64 ? NaN : value) },
  pwrite64: { offset: ({ process, file }, value) => process.pwrite64(file, BASE, 8, value === 2 ** 64 ? NaN : value) },
  lseek: {
    descriptor: ({ process }, value) => process.lseek(value, 0, 0),
    offset: ({ process, file }, value) => process.lseek(file, value === 2 ** 64 ? NaN : value, 0),
    whence: ({ process, file }, value) => process.lseek(file, 0, value),
  },
  fstat: { descriptor: ({ process }, value) => process.fstat(value) },
  close: { descriptor: ({ process }, value) => process.close(value) },
  dup: { descriptor: ({ process }, value) => process.dup(value) },
  dup3: {
    "old descriptor": ({ process }, value) => process.dup3(value, 9),
    "new descriptor": ({ process, file }, value) => process.dup3(file, value),
    flags: ({ process, file }, value) => process.dup3(file, 9, value === undefined ? NaN : value),
  },
  fcntl: {
    descriptor: ({ process }, value) => process.fcntl(value, 1),
    command: ({ process, file }, value) => process.fcntl(file, value),
    argument: ({ process, file }, value) => process.fcntl(file, 0, value === undefined ? NaN : value),
  },
  pipe2: { flags: ({ process }, value) => process.pipe2(value === undefined ? NaN : value) },
  open: { flags: ({ process }, value) => process.open("/proc/self/fd/3", value === undefined ? NaN : value) },
});
