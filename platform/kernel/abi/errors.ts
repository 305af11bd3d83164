// Errors of system calls: errno names and numbers, and the SystemError that a failing call throws, in Node's own shape.
// Signals (SIGSEGV, SIGBUS) are hardware/faults.ts; errors of the heap belong to the allocator.

import type { Address, ProcessId } from "../../hardware/integers.ts";
import { hideLibraryFrames } from "../../host/stack.ts";

/** errno values of Linux (asm-generic/errno-base.h, errno.h), those that the simulated calls can give. */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  EBADF: 9,
  ECHILD: 10,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOTTY: 25,
  ETXTBSY: 26,
  EFBIG: 27,
  ENOSPC: 28,
  ESPIPE: 29,
  EPIPE: 32,
  ENAMETOOLONG: 36,
  ENOSYS: 38,
  EOVERFLOW: 75,
  EOPNOTSUPP: 95,
} as const;
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
  override readonly name = "SystemError";
  readonly code: ErrnoCode;
  /** The positive errno number, as C programs see it. */
  readonly errno: number;
  /** Name of the call, `""` while it is still on its way to the call's boundary. */
  readonly syscall: string;

  constructor(code: ErrnoCode, syscall: string, detail?: string) {
    super(`${code}: ${meanings[code]}, ${syscall}${detail === undefined ? "" : ` (${detail})`}`);
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
  override readonly name = "OutOfMemoryError";
  readonly signal = "SIGKILL";
  readonly code = "OOM_KILL";
  readonly address: Address;
  readonly pid: ProcessId;

  constructor(pid: ProcessId, address: Address) {
    super(`out of memory: process ${pid} touched 0x${address.toString(16)} and no frame is left for it`);
    hideLibraryFrames(this);
    this.pid = pid;
    this.address = address;
  }
}
