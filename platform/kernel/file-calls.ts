// System calls on descriptors: memfd_create, pipe, dup, read, write and their like, as Process offers them.
// What a kind of file does is in its own file; here are only the shells.
import { systemCallId } from "../hardware/counters.ts";
import { int, word } from "./abi/arguments.ts";
import { SystemError } from "./abi/errors.ts";
import { RLIMIT_NOFILE } from "./abi/rlimit.ts";
import { createMemfd, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, openInode } from "./memfd.ts";
import { accessOk } from "./mm/address-space.ts";
import { O_ACCMODE, O_CLOEXEC, O_NONBLOCK, type OpenFile } from "./mm/file.ts";
import { punchHole, truncate } from "./mm/shmem.ts";
import { createPipe } from "./pipe.ts";
import type { Process } from "./process.ts";
import { reportAsyncTagFault } from "./tagged-address.ts";
import type { Thread } from "./thread.ts";
import { copyFromUser, userAddress } from "./uaccess.ts";
import { reportForbiddenOutput, reportUndefinedInput } from "./user-validity.ts";

/** memfd_create(2) flags. */
export const MFD_CLOEXEC = 1;
export const MFD_ALLOW_SEALING = 2;
export const MFD_NOEXEC_SEAL = 8;
export const MFD_EXEC = 16;
/** MFD_HUGETLB is not among them: there are no huge pages here. */
const MFD_KNOWN = MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC;
/** fcntl(2) commands and flags. */
export const F_DUPFD = 0;
export const F_GETFD = 1;
export const F_SETFD = 2;
export const F_GETFL = 3;
export const F_SETFL = 4;
export const F_DUPFD_CLOEXEC = 1030;
export const FD_CLOEXEC = 1;
export const SEEK_SET = 0;
export const SEEK_CUR = 1;
export const SEEK_END = 2;
/** To the next byte that a page holds, or that none does. */
export const SEEK_DATA = 3;
export const SEEK_HOLE = 4;
const LONGEST_MEMFD_NAME = 249;
/** Largest count of one read or write (MAX_RW_COUNT). */
const MAX_RW_COUNT = 0x7fff_f000;
/** Largest size of a file (MAX_LFS_FILESIZE). */
const MAX_FILE_SIZE = 2 ** 63;

export interface FileStatus {
  readonly size: number;
  readonly inode: number;
  /** S_IFREG for files in RAM, S_IFIFO for pipes, 0 for anonymous inodes. */
  readonly mode: number;
}

const ids = new Map<string, number>();

function enter(process: Process, syscall: string): void {
  if (process.exitStatus !== null) throw new SystemError("ESRCH", syscall, "the process has ended");
  let id = ids.get(syscall);
  if (id === undefined) {
    id = systemCallId(syscall);
    ids.set(syscall, id);
  }
  process.kernel.counters.countSystemCall(id);
  if (process.currentThread.memory.asyncTagFault) reportAsyncTagFault(process.currentThread);
}

/** memfd_create(2). @throws SystemError EINVAL: unknown flags or a long name; EMFILE, ENFILE */
export function memfd_create(process: Process, name: string, flags: number): number {
  enter(process, "memfd_create");
  int(flags, "flags", "memfd_create");
  const both = MFD_NOEXEC_SEAL | MFD_EXEC;
  if ((flags & ~MFD_KNOWN) !== 0 || (flags & both) === both) {
    throw new SystemError("EINVAL", "memfd_create", `flags ${flags}`);
  }
  if (new TextEncoder().encode(name).length > LONGEST_MEMFD_NAME) {
    throw new SystemError("EINVAL", "memfd_create", "the name is too long");
  }
  process.fds.requireRoom("memfd_create");
  const file = createMemfd(process.kernel, name, 0);
  return process.fds.install(file, { closeOnExec: (flags & MFD_CLOEXEC) !== 0 }, "memfd_create");
}

/** memfd_create(2) as a program calls it, with the name in its memory. @throws SystemError EFAULT, and as above */
export function memfdFromUser(thread: Thread, address: number, flags: number): number {
  const bytes = new Uint8Array(LONGEST_MEMFD_NAME + 1);
  const copied = copyFromUser(thread, word(address, "name", "memfd_create"), bytes);
  const end = bytes.subarray(0, copied).indexOf(0);
  if (end === -1 && copied < bytes.length) throw new SystemError("EFAULT", "memfd_create", "name");
  return memfd_create(thread.process, new TextDecoder().decode(end === -1 ? bytes : bytes.subarray(0, end)), flags);
}

/** ftruncate(2). @throws SystemError EINVAL: a negative length, or a file that is none or not open for writing. EBADF, EFBIG */
export function ftruncate(process: Process, fd: number, length: number): 0 {
  enter(process, "ftruncate");
  if (!Number.isInteger(length)) throw new RangeError(`ftruncate: length ${length} is not a whole number of bytes`);
  if (length < 0) throw new SystemError("EINVAL", "ftruncate", `length ${length}`);
  const file = process.fds.get(fd, "ftruncate");
  if (file.inode === null || !file.writable) throw new SystemError("EINVAL", "ftruncate");
  if (length > MAX_FILE_SIZE) throw new SystemError("EFBIG", "ftruncate");
  truncate(file.inode, length);
  return 0;
}

/** fallocate(2): FALLOC_FL_PUNCH_HOLE with KEEP_SIZE, or mode 0 to lengthen a file. */
export function fallocate(process: Process, fd: number, mode: number, offset: number, length: number): 0 {
  enter(process, "fallocate");
  int(mode, "mode", "fallocate");
  const file = process.fds.get(fd, "fallocate");
  word(offset, "offset", "fallocate");
  word(length, "length", "fallocate");
  if (offset < 0 || length <= 0) throw new SystemError("EINVAL", "fallocate");
  if (mode !== 0 && mode !== FALLOC_FL_KEEP_SIZE && mode !== (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)) {
    throw new SystemError("EOPNOTSUPP", "fallocate", `mode ${mode}`);
  }
  if (!file.writable) throw new SystemError("EBADF", "fallocate");
  if (file.inode === null) throw new SystemError(file.operations.seekable ? "ENODEV" : "ESPIPE", "fallocate");
  if (offset + length > MAX_FILE_SIZE) throw new SystemError("EFBIG", "fallocate");
  if ((mode & FALLOC_FL_PUNCH_HOLE) !== 0) punchHole(file.inode, offset, offset + length);
  else if (mode === 0 && offset + length > file.inode.size) truncate(file.inode, offset + length);
  return 0;
}

export function pipe2(process: Process, flags: number): [number, number] {
  enter(process, "pipe2");
  int(flags, "flags", "pipe2");
  if ((flags & ~(O_CLOEXEC | O_NONBLOCK)) !== 0) throw new SystemError("EINVAL", "pipe2", `flags ${flags}`);
  const first = process.fds.requireRoom("pipe2");
  process.fds.requireRoom("pipe2", first + 1);
  const closeOnExec = (flags & O_CLOEXEC) !== 0;
  const { reader, writer } = createPipe(process.kernel, flags & O_NONBLOCK);
  return [process.fds.install(reader, { closeOnExec }, "pipe2"), process.fds.install(writer, { closeOnExec }, "pipe2")];
}

/** open(2) of /proc/self/fd/N: the same inode with an access mode of its own. @throws SystemError EMFILE; ENOENT for all else. */
export function open(process: Process, path: string, flags: number): number {
  enter(process, "open");
  int(flags, "flags", "open");
  const match = /^\/proc\/self\/fd\/(\d+)$/.exec(path);
  if (match === null) throw new SystemError("ENOENT", "open", path);
  const fd = Number(match[1]);
  // The new descriptor is reserved before the path is looked up (do_sys_openat2).
  process.fds.requireRoom("open");
  if (!process.fds.numbers().includes(fd)) throw new SystemError("ENOENT", "open", path);
  const file = process.fds.get(fd, "open");
  if (file.inode === null) throw new SystemError("ENXIO", "open", "an anonymous inode cannot be opened again");
  const again = openInode(process.kernel, file.inode, file.operations.path, flags & O_ACCMODE);
  return process.fds.install(again, { closeOnExec: (flags & O_CLOEXEC) !== 0 }, "open");
}

export function close(process: Process, fd: number): 0 {
  enter(process, "close");
  process.fds.close(fd, "close");
  return 0;
}

export function dup(process: Process, fd: number): number {
  enter(process, "dup");
  return duplicate(process, fd, 0, false, "dup");
}

export function dup3(process: Process, oldFd: number, newFd: number, flags: number): number {
  enter(process, "dup3");
  int(flags, "flags", "dup3");
  if (oldFd === newFd || (flags & ~O_CLOEXEC) !== 0) throw new SystemError("EINVAL", "dup3");
  const file = process.fds.get(oldFd, "dup3");
  file.get();
  try {
    process.fds.installAt(newFd, file, { closeOnExec: (flags & O_CLOEXEC) !== 0 }, "dup3");
  } catch (error) {
    file.put();
    throw error;
  }
  return newFd;
}

function duplicate(process: Process, fd: number, lowest: number, closeOnExec: boolean, syscall: string): number {
  const file = process.fds.get(fd, syscall);
  const copy = process.fds.install(file, { closeOnExec }, syscall, lowest);
  file.get();
  return copy;
}

export function fcntl(process: Process, fd: number, command: number, argument: number): number {
  enter(process, "fcntl");
  int(command, "command", "fcntl");
  const descriptor = process.fds.descriptor(fd, "fcntl");
  switch (command) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
      if (int(argument, "argument", "fcntl") < 0 || argument >= process.limits.soft(RLIMIT_NOFILE)) {
        throw new SystemError("EINVAL", "fcntl", `descriptor ${argument}`);
      }
      return duplicate(process, fd, argument, command === F_DUPFD_CLOEXEC, "fcntl");
    case F_GETFD:
      return descriptor.closeOnExec ? FD_CLOEXEC : 0;
    case F_SETFD:
      descriptor.closeOnExec = (argument & FD_CLOEXEC) !== 0;
      return 0;
    case F_GETFL:
      return descriptor.file.flags;
    case F_SETFL:
      descriptor.file.flags = (descriptor.file.flags & ~O_NONBLOCK) | (argument & O_NONBLOCK);
      return 0;
    default:
      throw new SystemError("EINVAL", "fcntl", `command ${command}`);
  }
}

export function fstat(process: Process, fd: number): FileStatus {
  enter(process, "fstat");
  const file = process.fds.get(fd, "fstat");
  if (file.inode !== null) return { size: file.inode.size, inode: file.inode.number, mode: 0o100777 };
  return { size: 0, inode: 0, mode: file.operations.path.startsWith("pipe:") ? 0o10600 : 0o600 };
}

export function lseek(process: Process, fd: number, offset: number, whence: number): number {
  enter(process, "lseek");
  int(whence, "whence", "lseek");
  const file = process.fds.get(fd, "lseek");
  if (!file.operations.seekable) throw new SystemError("ESPIPE", "lseek");
  if (!Number.isInteger(offset)) throw new RangeError(`lseek: offset ${offset} is not a whole number of bytes`);
  const size = file.inode?.size ?? 0;
  if (whence === SEEK_DATA || whence === SEEK_HOLE) {
    if (offset < 0 || offset >= size) throw new SystemError("ENXIO", "lseek", `offset ${offset}`);
    const found = file.inode?.seek(offset, whence === SEEK_DATA ? "data" : "hole") ?? size;
    if (whence === SEEK_DATA && found === size) throw new SystemError("ENXIO", "lseek", "no data there");
    file.position = found;
    return found;
  }
  const bases: Record<number, number> = { [SEEK_SET]: 0, [SEEK_CUR]: file.position, [SEEK_END]: size };
  const base = bases[whence];
  if (base === undefined || base + offset < 0 || base + offset > MAX_FILE_SIZE) {
    throw new SystemError("EINVAL", "lseek", `offset ${offset}, whence ${whence}`);
  }
  file.position = base + offset;
  return file.position;
}

export function read(process: Process, fd: number, address: number, length: number): number {
  enter(process, "read");
  const file = process.fds.get(fd, "read");
  const bytes = readAt(process, file, address, length, file.position, "read");
  if (file.operations.seekable) file.position += bytes;
  return bytes;
}

export function write(process: Process, fd: number, address: number, length: number): number {
  enter(process, "write");
  const file = process.fds.get(fd, "write");
  const bytes = writeAt(process, file, address, length, file.position, "write");
  if (file.operations.seekable) file.position += bytes;
  return bytes;
}

export function pread64(process: Process, fd: number, address: number, length: number, offset: number): number {
  enter(process, "pread64");
  const file = process.fds.get(fd, "pread64");
  checkOffset(file, offset, "pread64");
  return readAt(process, file, address, length, offset, "pread64");
}

export function pwrite64(process: Process, fd: number, address: number, length: number, offset: number): number {
  enter(process, "pwrite64");
  const file = process.fds.get(fd, "pwrite64");
  checkOffset(file, offset, "pwrite64");
  return writeAt(process, file, address, length, offset, "pwrite64");
}

function checkOffset(file: OpenFile, offset: number, syscall: string): void {
  if (!Number.isInteger(offset)) throw new RangeError(`${syscall}: offset ${offset} is not a whole number of bytes`);
  if (offset < 0) throw new SystemError("EINVAL", syscall, "negative offset");
  if (!file.operations.seekable) throw new SystemError("ESPIPE", syscall);
}

function readAt(
  process: Process,
  file: OpenFile,
  address: number,
  length: number,
  offset: number,
  syscall: string,
): number {
  const start = word(address, "address", syscall);
  const bytes = Math.min(word(length, "length", syscall), MAX_RW_COUNT);
  if (!file.readable) throw new SystemError("EBADF", syscall, "not open for reading");
  if (file.operations.read === undefined)
    throw new SystemError("EINVAL", syscall, `${file.operations.path} cannot be read`);
  verifyArea(process, start, length, offset, syscall);
  reportForbiddenOutput(process.currentThread, start, bytes);
  return file.operations.read(process.currentThread, file, start, bytes, offset);
}

function writeAt(
  process: Process,
  file: OpenFile,
  address: number,
  length: number,
  offset: number,
  syscall: string,
): number {
  const start = word(address, "address", syscall);
  const bytes = Math.min(word(length, "length", syscall), MAX_RW_COUNT);
  if (!file.writable) throw new SystemError("EBADF", syscall, "not open for writing");
  if (file.operations.write === undefined)
    throw new SystemError("EINVAL", syscall, `${file.operations.path} cannot be written`);
  verifyArea(process, start, length, offset, syscall);
  reportUndefinedInput(process.currentThread, start, bytes);
  return file.operations.write(process.currentThread, file, start, bytes, offset);
}

/** The buffer must lie in user space and the range inside what a file can have, even if nothing is moved (rw_verify_area). */
function verifyArea(process: Process, address: number, length: number, offset: number, syscall: string): void {
  if (!accessOk(userAddress(process.currentThread, address), word(length, "length", syscall)))
    throw new SystemError("EFAULT", syscall, "buffer");
  if (offset + length >= MAX_FILE_SIZE) throw new SystemError("EINVAL", syscall, `offset ${offset}`);
}
