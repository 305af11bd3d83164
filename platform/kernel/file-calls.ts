// System calls on descriptors: memfd_create, pipe, dup, read, write and their like, as Process has them from here.
// What a kind of file does is in its own file; here is what all calls check first.
import type { Address, ByteCount, Descriptor, FileOffset } from "../hardware/integers.ts";
import { int, list, named, structure, text, word } from "./abi/arguments.ts";
import { SystemError } from "./abi/errors.ts";
import {
  F_ADD_SEALS,
  F_DUPFD,
  F_DUPFD_CLOEXEC,
  F_GET_SEALS,
  F_GETFD,
  F_GETFL,
  F_SEAL_GROW,
  F_SETFD,
  F_SETFL,
  FD_CLOEXEC,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  MFD_EXEC,
  MFD_NOEXEC_SEAL,
  SEEK_CUR,
  SEEK_DATA,
  SEEK_END,
  SEEK_HOLE,
  SEEK_SET,
} from "./abi/fcntl.ts";
import { type ResourceLimits, RLIMIT_NOFILE } from "./abi/rlimit.ts";
import { systemCalls as calls } from "./abi/system-calls.ts";
import { enter } from "./enter.ts";
import type { FdTable } from "./fd-table.ts";
import { ioctl, openPath, type PollRequest, readyEvents, syncFile } from "./file-state.ts";
import { addSeals, createMemfd, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, openInode, sealsOf } from "./memfd.ts";
import { accessOk, type KernelServices } from "./mm/address-space.ts";
import { O_ACCMODE, O_APPEND, O_CLOEXEC, O_DIRECT, O_NOATIME, O_NONBLOCK, O_PATH, type OpenFile } from "./mm/file.ts";
import { punchHole, truncate } from "./mm/shmem.ts";
import { createPipe } from "./pipe.ts";
import type { Thread } from "./thread.ts";
import { userAddress } from "./uaccess.ts";
import { reportForbiddenOutput, reportUndefinedInput } from "./user-validity.ts";

/** MFD_HUGETLB is not among them: there are no huge pages of that kind here. */
const MFD_KNOWN = MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC;
/** The flags that F_SETFL changes. */
const CHANGEABLE_FLAGS = O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME;
/** The commands of fcntl that O_PATH permits. */
const PATH_COMMANDS: ReadonlySet<number> = new Set([F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL]);
const LONGEST_MEMFD_NAME = 249;
/** Largest count of one read or write (MAX_RW_COUNT). */
const MAX_RW_COUNT = 0x7fff_f000;
/** Largest size of a file (MAX_LFS_FILESIZE). */
const MAX_FILE_SIZE = 2 ** 63;

export interface FileStatus {
  readonly size: ByteCount;
  readonly inode: number;
  /** S_IFREG for files in RAM, S_IFIFO for pipes, 0 for anonymous inodes. */
  readonly mode: number;
}

/** What Process has for the calls on descriptors, and those calls. */
export abstract class FileCalls {
  abstract readonly kernel: KernelServices;
  abstract readonly fds: FdTable;
  abstract readonly limits: ResourceLimits;
  abstract readonly currentThread: Thread;
  abstract exitStatus: number | null;

  /** memfd_create(2). @throws SystemError EINVAL: unknown flags or a long name; EMFILE, ENFILE */
  memfd_create(name: string, flags = 0): Descriptor {
    enter(this, calls.memfd_create);
    int(flags, "flags", "memfd_create");
    text(name, "name", "memfd_create");
    const both = MFD_NOEXEC_SEAL | MFD_EXEC;
    if ((flags & ~MFD_KNOWN) !== 0 || (flags & both) === both) {
      throw new SystemError("EINVAL", "memfd_create", `flags ${flags}`);
    }
    if (new TextEncoder().encode(name).length > LONGEST_MEMFD_NAME) {
      throw new SystemError("EINVAL", "memfd_create", "the name is too long");
    }
    this.fds.requireRoom("memfd_create");
    const file = createMemfd(this.kernel, name, flags);
    return this.fds.install(file, { closeOnExec: (flags & MFD_CLOEXEC) !== 0 }, "memfd_create");
  }

  /** ftruncate(2). @throws SystemError EINVAL: a negative length, or a file without a length or not open for writing. EBADF, EFBIG */
  ftruncate(fd: Descriptor, length: ByteCount): 0 {
    enter(this, calls.ftruncate);
    if (!Number.isInteger(length))
      throw new RangeError(`ftruncate: length ${named(length)} is not a whole number of bytes`);
    if (length < 0) throw new SystemError("EINVAL", "ftruncate", `length ${length}`);
    const file = this.fds.get(fd, "ftruncate");
    if (file.inode === null || !file.writable) throw new SystemError("EINVAL", "ftruncate");
    if (length > MAX_FILE_SIZE) throw new SystemError("EFBIG", "ftruncate");
    truncate(file.inode, length);
    return 0;
  }

  /** fallocate(2): FALLOC_FL_PUNCH_HOLE with KEEP_SIZE, or mode 0 to lengthen a file. @throws SystemError EBADF, EINVAL, EOPNOTSUPP, ENODEV, ESPIPE, EFBIG; EPERM: a seal */
  fallocate(fd: Descriptor, mode: number, offset: FileOffset, length: ByteCount): 0 {
    enter(this, calls.fallocate);
    int(mode, "mode", "fallocate");
    const file = this.fds.get(fd, "fallocate");
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
    else if ((file.inode.seals & F_SEAL_GROW) !== 0 && offset + length > file.inode.size)
      throw new SystemError("EPERM", "fallocate", "the file is sealed");
    else if (mode === 0 && offset + length > file.inode.size) truncate(file.inode, offset + length);
    return 0;
  }

  /** pipe2(2). @returns the read end's descriptor, then the write end's. @throws SystemError EINVAL, EMFILE, ENFILE */
  pipe2(flags = 0): [number, number] {
    enter(this, calls.pipe2);
    int(flags, "flags", "pipe2");
    if ((flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT)) !== 0)
      throw new SystemError("EINVAL", "pipe2", `flags ${flags}`);
    const first = this.fds.requireRoom("pipe2");
    this.fds.requireRoom("pipe2", first + 1);
    const closeOnExec = (flags & O_CLOEXEC) !== 0;
    const { reader, writer } = createPipe(this.kernel, flags & (O_NONBLOCK | O_DIRECT));
    return [this.fds.install(reader, { closeOnExec }, "pipe2"), this.fds.install(writer, { closeOnExec }, "pipe2")];
  }

  /**
   * open(2) of /proc/self/fd/N: the same inode with an access mode of its own; O_PATH only names it.
   * @throws SystemError EMFILE, ENFILE; ENXIO: an anonymous inode; ENOENT for all else.
   */
  open(path: string, flags = 0): Descriptor {
    enter(this, calls.open);
    int(flags, "flags", "open");
    text(path, "path", "open");
    const match = /^\/proc\/self\/fd\/(\d+)$/.exec(path);
    if (match === null) throw new SystemError("ENOENT", "open", path);
    const fd = Number(match[1]);
    // The new descriptor is reserved before the path is looked up (do_sys_openat2).
    this.fds.requireRoom("open");
    if (!this.fds.numbers().includes(fd)) throw new SystemError("ENOENT", "open", path);
    const file = this.fds.raw(fd, "open");
    const closeOnExec = (flags & O_CLOEXEC) !== 0;
    if ((flags & O_PATH) !== 0) return this.fds.install(openPath(this.kernel, file), { closeOnExec }, "open");
    if (file.inode === null) throw new SystemError("ENXIO", "open", "an anonymous inode cannot be opened again");
    const again = openInode(
      this.kernel,
      file.inode,
      file.operations.path,
      flags & (O_ACCMODE | CHANGEABLE_FLAGS) & ~O_DIRECT,
    );
    return this.fds.install(again, { closeOnExec }, "open");
  }

  /** close(2). @throws SystemError EBADF */
  close(fd: Descriptor): 0 {
    enter(this, calls.close);
    this.fds.close(fd, "close");
    return 0;
  }

  /** dup(2): the lowest free descriptor for the same open file. @throws SystemError EBADF, EMFILE */
  dup(fd: Descriptor): Descriptor {
    enter(this, calls.dup);
    return duplicate(this, fd, 0, false, "dup");
  }

  /** dup3(2): `newFd` becomes the same open file, instead of what it was. @throws SystemError EBADF, EINVAL: both are one, or flags */
  dup3(oldFd: Descriptor, newFd: Descriptor, flags = 0): Descriptor {
    enter(this, calls.dup3);
    int(flags, "flags", "dup3");
    if (oldFd === newFd || (flags & ~O_CLOEXEC) !== 0) throw new SystemError("EINVAL", "dup3");
    const file = this.fds.raw(oldFd, "dup3");
    file.get();
    try {
      this.fds.installAt(newFd, file, { closeOnExec: (flags & O_CLOEXEC) !== 0 }, "dup3");
    } catch (error) {
      file.put();
      throw error;
    }
    return newFd;
  }

  /**
   * fcntl(2): F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, and the seals of files in RAM. @returns what the command asks for, or 0.
   * @throws SystemError EBADF; EINVAL: an unknown command or argument; EMFILE; EPERM, EBUSY: seals
   */
  fcntl(fd: Descriptor, command: number, argument = 0): number {
    enter(this, calls.fcntl);
    int(command, "command", "fcntl");
    const descriptor = this.fds.descriptor(fd, "fcntl");
    const { file } = descriptor;
    if (file.isPath && !PATH_COMMANDS.has(command)) throw new SystemError("EBADF", "fcntl", "opened with O_PATH");
    switch (command) {
      case F_DUPFD:
      case F_DUPFD_CLOEXEC:
        if (int(argument, "argument", "fcntl") < 0 || argument >= this.limits.soft(RLIMIT_NOFILE)) {
          throw new SystemError("EINVAL", "fcntl", `descriptor ${argument}`);
        }
        return duplicate(this, fd, argument, command === F_DUPFD_CLOEXEC, "fcntl");
      case F_GETFD:
        return descriptor.closeOnExec ? FD_CLOEXEC : 0;
      case F_SETFD:
        descriptor.closeOnExec = (argument & FD_CLOEXEC) !== 0;
        return 0;
      case F_GETFL:
        return file.flags;
      case F_SETFL:
        // No file here can do without the page cache; to a pipe O_DIRECT means packets.
        if ((argument & O_DIRECT) !== 0 && file.operations.isPipe !== true)
          throw new SystemError("EINVAL", "fcntl", "O_DIRECT");
        file.flags = (file.flags & ~CHANGEABLE_FLAGS) | (argument & CHANGEABLE_FLAGS);
        return 0;
      case F_ADD_SEALS:
        addSeals(this.kernel, file, int(argument, "argument", "fcntl"));
        return 0;
      case F_GET_SEALS:
        return sealsOf(file);
      default:
        throw new SystemError("EINVAL", "fcntl", `command ${command}`);
    }
  }

  /** fstat(2), as far as files here have it. @throws SystemError EBADF */
  fstat(fd: Descriptor): FileStatus {
    enter(this, calls.fstat);
    const file = this.fds.raw(fd, "fstat");
    if (file.inode !== null)
      return { size: file.inode.size, inode: file.inode.number, mode: file.inode.isExecutable ? 0o100777 : 0o100666 };
    return { size: 0, inode: 0, mode: file.operations.path.startsWith("pipe:") ? 0o10600 : 0o600 };
  }

  /** lseek(2), SEEK_DATA and SEEK_HOLE too. @returns the new position. @throws SystemError EBADF, EINVAL, ESPIPE, ENXIO */
  lseek(fd: Descriptor, offset: FileOffset, whence: number): FileOffset {
    enter(this, calls.lseek);
    int(whence, "whence", "lseek");
    const file = this.fds.get(fd, "lseek");
    if (whence >>> 0 > SEEK_HOLE) throw new SystemError("EINVAL", "lseek", `whence ${whence}`);
    if (!file.operations.seekable) throw new SystemError("ESPIPE", "lseek");
    if (!Number.isInteger(offset))
      throw new RangeError(`lseek: offset ${named(offset)} is not a whole number of bytes`);
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

  /** read(2) into [address, address + length). @returns bytes read, fewer at the end or a bad address. @throws SystemError EBADF, EFAULT, EAGAIN, EINVAL */
  read(fd: Descriptor, address: Address, length: ByteCount): ByteCount {
    enter(this, calls.read);
    const file = this.fds.get(fd, "read");
    const bytes = readAt(this, file, { address, length, offset: file.position }, "read");
    if (file.operations.seekable) file.position += bytes;
    return bytes;
  }

  /** write(2) of [address, address + length); with O_APPEND at the end. @returns bytes written. @throws SystemError EBADF, EFAULT, EAGAIN, EPERM: a seal */
  write(fd: Descriptor, address: Address, length: ByteCount): ByteCount {
    enter(this, calls.write);
    const file = this.fds.get(fd, "write");
    const from = writePosition(file, file.position);
    const bytes = writeAt(this, file, { address, length, offset: from }, "write");
    if (file.operations.seekable) file.position = from + bytes;
    return bytes;
  }

  /** pread(2): as read, at `offset`, and the position stays. @throws SystemError ESPIPE, EINVAL, and as read */
  pread64(fd: Descriptor, address: Address, length: ByteCount, offset: FileOffset): ByteCount {
    enter(this, calls.pread64);
    const file = this.fds.get(fd, "pread64");
    checkOffset(file, offset, "pread64");
    return readAt(this, file, { address, length, offset }, "pread64");
  }

  /** pwrite(2): as write, at `offset`, and the position stays. With O_APPEND it appends all the same. @throws SystemError ESPIPE, EINVAL, and as write */
  pwrite64(fd: Descriptor, address: Address, length: ByteCount, offset: FileOffset): ByteCount {
    enter(this, calls.pwrite64);
    const file = this.fds.get(fd, "pwrite64");
    checkOffset(file, offset, "pwrite64");
    return writeAt(this, file, { address, length, offset: writePosition(file, offset) }, "pwrite64");
  }

  /** fsync(2): files in RAM have nothing to write back. @throws SystemError EBADF; EINVAL: a file that has no content to keep. */
  fsync(fd: Descriptor): 0 {
    enter(this, calls.fsync);
    return syncFile(this, fd, "fsync");
  }

  /** fdatasync(2), which here is fsync. @throws SystemError as fsync */
  fdatasync(fd: Descriptor): 0 {
    enter(this, calls.fdatasync);
    return syncFile(this, fd, "fdatasync");
  }

  /**
   * poll(2), which never waits here: what is ready now. @returns for each request the events that hold (revents).
   * @throws SystemError EINVAL: more requests than RLIMIT_NOFILE.
   */
  poll(requests: readonly PollRequest[]): number[] {
    enter(this, calls.poll);
    for (const request of list(requests, "requests", "poll")) {
      const { fd, events } = structure(request, "request", "poll");
      int(fd, "fd", "poll");
      int(events, "events", "poll");
    }
    if (requests.length > this.limits.soft(RLIMIT_NOFILE)) throw new SystemError("EINVAL", "poll", "too many");
    return requests.map((request) => readyEvents(this, request));
  }

  /**
   * ioctl(2): close-on-exec and O_NONBLOCK of any file, FIONREAD of files and pipes, and what the file's kind adds.
   * @throws SystemError EBADF; ENOTTY: a request that the file does not know; EFAULT
   */
  ioctl(fd: Descriptor, request: number, argument = 0): number {
    enter(this, calls.ioctl);
    return ioctl(this, fd, int(request, "request", "ioctl") >>> 0, word(argument, "argument", "ioctl"));
  }
}

function duplicate(process: FileCalls, fd: Descriptor, lowest: number, closeOnExec: boolean, syscall: string): number {
  const file = process.fds.raw(fd, syscall);
  const copy = process.fds.install(file, { closeOnExec }, syscall, lowest);
  file.get();
  return copy;
}

/** Where a write goes: with O_APPEND to the end, at any offset (generic_write_checks). */
function writePosition(file: OpenFile, offset: FileOffset): number {
  return (file.flags & O_APPEND) !== 0 && file.inode !== null ? file.inode.size : offset;
}

function checkOffset(file: OpenFile, offset: FileOffset, syscall: string): void {
  if (!Number.isInteger(offset))
    throw new RangeError(`${syscall}: offset ${named(offset)} is not a whole number of bytes`);
  if (offset < 0) throw new SystemError("EINVAL", syscall, "negative offset");
  if (!file.operations.seekable) throw new SystemError("ESPIPE", syscall);
}

/** What a read or write moves: bytes of memory from `address` on, of the file from `offset` on. */
interface Span {
  readonly address: Address;
  readonly length: ByteCount;
  readonly offset: FileOffset;
}

function readAt(process: FileCalls, file: OpenFile, span: Span, syscall: string): number {
  const { start, bytes } = checkBuffer(span, syscall);
  if (!file.readable) throw new SystemError("EBADF", syscall, "not open for reading");
  if (file.operations.read === undefined)
    throw new SystemError("EINVAL", syscall, `${file.operations.path} cannot be read`);
  verifyArea(process, span, syscall);
  reportForbiddenOutput(process.currentThread, start, bytes);
  return file.operations.read(process.currentThread, file, start, bytes, span.offset);
}

function writeAt(process: FileCalls, file: OpenFile, span: Span, syscall: string): number {
  const { start, bytes } = checkBuffer(span, syscall);
  if (!file.writable) throw new SystemError("EBADF", syscall, "not open for writing");
  if (file.operations.write === undefined)
    throw new SystemError("EINVAL", syscall, `${file.operations.path} cannot be written`);
  verifyArea(process, span, syscall);
  reportUndefinedInput(process.currentThread, start, bytes);
  return file.operations.write(process.currentThread, file, start, bytes, span.offset);
}

/** The buffer as C passes it, and as much of it as one call moves. */
function checkBuffer({ address, length }: Span, syscall: string): { start: Address; bytes: ByteCount } {
  const start = word(address, "address", syscall);
  return { start, bytes: Math.min(word(length, "length", syscall), MAX_RW_COUNT) };
}

/** The buffer must lie in user space and the range inside what a file can have, even if nothing is moved (rw_verify_area). */
function verifyArea(process: FileCalls, { address, length, offset }: Span, syscall: string): void {
  const start = userAddress(process.currentThread, word(address, "address", syscall));
  if (!accessOk(start, word(length, "length", syscall))) throw new SystemError("EFAULT", syscall, "buffer");
  if (offset + length >= MAX_FILE_SIZE) throw new SystemError("EINVAL", syscall, `offset ${offset}`);
}
