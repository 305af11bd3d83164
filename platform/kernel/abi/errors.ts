// Errors of system calls: errno names and numbers, and the SystemError that a failing call throws, in Node's own shape.
// Signals (SIGSEGV, SIGBUS) are hardware/faults.ts; errors of the heap belong to the allocator.

import type { Address, ProcessId } from "../../hardware/integers.ts";
import { hideLibraryFrames, untraced } from "../../host/stack.ts";

/** errno values of Linux (asm-generic/errno-base.h, errno.h), those that the simulated calls can give. */
export const ERRNO = {
  /** It is not permitted. */
  EPERM: 1,
  /** There is no such file. */
  ENOENT: 2,
  /** There is no such process. */
  ESRCH: 3,
  /** A signal came in between. */
  EINTR: 4,
  /** Input or output failed. */
  EIO: 5,
  /** There is no such device or address. */
  ENXIO: 6,
  /** No such descriptor is open, or not for this. */
  EBADF: 9,
  /** There is no such child. */
  ECHILD: 10,
  /** It cannot be done now. */
  EAGAIN: 11,
  /** There is no memory, or no room for a mapping. */
  ENOMEM: 12,
  /** It is not permitted by the file's mode. */
  EACCES: 13,
  /** An address is not the program's. */
  EFAULT: 14,
  /** It is in use. */
  EBUSY: 16,
  /** It is there already. */
  EEXIST: 17,
  /** The file cannot be mapped. */
  ENODEV: 19,
  /** An argument is not valid. */
  EINVAL: 22,
  /** The system has too many open files. */
  ENFILE: 23,
  /** The process has too many open files. */
  EMFILE: 24,
  /** The descriptor does not know this ioctl. */
  ENOTTY: 25,
  /** The file is being run. */
  ETXTBSY: 26,
  /** The file would be too large. */
  EFBIG: 27,
  /** There is no room left. */
  ENOSPC: 28,
  /** A pipe has no position. */
  ESPIPE: 29,
  /** Nothing reads the pipe. */
  EPIPE: 32,
  /** The name is too long. */
  ENAMETOOLONG: 36,
  /** There is no such system call. */
  ENOSYS: 38,
  /** The value does not fit. */
  EOVERFLOW: 75,
  /** It is not supported. */
  EOPNOTSUPP: 95,
} as const;
/** The name of an error number. */
export type ErrnoCode = keyof typeof ERRNO;

const meanings: Record<ErrnoCode, string> = {
  EPERM: "operation not permitted",
  ENOENT: "no such file or directory",
  ESRCH: "no such process",
  EINTR: "interrupted system call",
  EIO: "input/output error",
  ENXIO: "no such device or address",
  EBADF: "bad file descriptor",
  ECHILD: "no child processes",
  EAGAIN: "resource temporarily unavailable",
  ENOMEM: "not enough memory",
  EACCES: "permission denied",
  EFAULT: "bad address",
  EBUSY: "resource busy",
  EEXIST: "already exists",
  ENODEV: "no such device",
  EINVAL: "invalid argument",
  ENFILE: "file table overflow",
  EMFILE: "too many open files",
  ENOTTY: "inappropriate ioctl for device",
  ETXTBSY: "text file is busy",
  EFBIG: "file too large",
  ENOSPC: "no space left",
  ESPIPE: "invalid seek",
  EPIPE: "broken pipe",
  ENAMETOOLONG: "file name too long",
  ENOSYS: "function not implemented",
  EOVERFLOW: "value too large for data type",
  EOPNOTSUPP: "operation not supported",
};

/** A system call failed; nothing beyond what its manual page allows has changed. Shaped as Node's own system errors. */
export class SystemError extends Error {
  /** The class's name, for what is told apart by name. */
  override readonly name = "SystemError";
  /** The error number's name. */
  readonly code: ErrnoCode;
  /** The positive errno number, as C programs see it. */
  readonly errno: number;
  /** Name of the call, `""` while it is still on its way to the call's boundary. */
  readonly syscall: string;

  constructor(code: ErrnoCode, syscall: string, detail?: string) {
    super(untraced(`${code}: ${meanings[code]}, ${syscall}${detail === undefined ? "" : ` (${detail})`}`));
    hideLibraryFrames(this);
    this.code = code;
    this.errno = ERRNO[code];
    this.syscall = syscall;
  }
}

/**
 * No frame could be had for a page that a program touched: Linux's OOM killer would end the process here. The access did
 * not happen; the kernel and all other processes go on, and so may this one if it can give memory back.
 */
export class OutOfMemoryError extends Error {
  /** The class's name, for what is told apart by name. */
  override readonly name = "OutOfMemoryError";
  /** The signal that ends the process. */
  readonly signal = "SIGKILL";
  /** The error number's name. */
  readonly code = "OOM_KILL";
  /** The address whose page had no frame. */
  readonly address: Address;
  /** The process that was killed. */
  readonly pid: ProcessId;

  constructor(pid: ProcessId, address: Address) {
    super(untraced(`out of memory: process ${pid} touched 0x${address.toString(16)} and no frame is left for it`));
    hideLibraryFrames(this);
    this.pid = pid;
    this.address = address;
  }
}
