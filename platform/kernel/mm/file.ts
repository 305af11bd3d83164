// Open files and what can be done with them: the struct file and file_operations of this kernel.
// Descriptors are in fd-table.ts; the kinds of files are in memfd.ts, pipe.ts and above this floor (reference pages).

import type { Address, ByteCount, FileOffset } from "../../hardware/integers.ts";
import { keepClass } from "../../state/kept.ts";
import type { Caller } from "./address-space.ts";
import type { CleanPage } from "./frames.ts";
import type { Inode } from "./inode.ts";

/** Open for reading. */
export const O_RDONLY = 0;
/** Open for writing. */
export const O_WRONLY = 1;
/** Open for both. */
export const O_RDWR = 2;
/** Of every file with a length that a 64-bit program opens. */
export const O_LARGEFILE = 0x8000;
export const O_ACCMODE = 3;
/** Each write goes to the end. */
export const O_APPEND = 0o2000;
/** Calls do not wait. */
export const O_NONBLOCK = 0o4000;
export const O_DIRECT = 0o40000;
export const O_NOATIME = 0o1000000;
/** The descriptor only names a file: nothing can be done with its content. */
export const O_PATH = 0o10000000;
/** Closed by exec. */
export const O_CLOEXEC = 0o2000000;

/**
 * What mmap is about to make; the mapped file's own mmap operation may change it (Linux: f_op->mmap on a new area), and so may the hook
 * of an extension's flag.
 */
export interface MapRequest {
  /** VM_… flags. */
  flags: number;
  /** Whether pages are anonymous: the file then only gives the clean page, and its offsets mean nothing. */
  anonymous: boolean;
  /** What a page reads as until it is written. */
  cleanPage: CleanPage;
  /**
   * The file that the area will hold, as long as anything of it is mapped. To an anonymous mapping an extension may give one: the
   * reference passes to the mapping, or is given back if the call fails.
   */
  file: OpenFile | null;
}

/** Operations of one kind of file; what is absent fails as Linux's anonymous inodes do. */
export interface FileOperations {
  /** Path as /proc/PID/maps shows it. */
  readonly path: string;
  /** pread/pwrite at an offset, in and out of the caller's memory. @returns bytes moved. */
  read?(caller: Caller, file: OpenFile, address: Address, length: ByteCount, offset: FileOffset): number;
  /** Writes bytes of the caller's memory to the file. */
  write?(caller: Caller, file: OpenFile, address: Address, length: ByteCount, offset: FileOffset): number;
  /** Whether the file has positions (lseek, pread); pipes have none. */
  readonly seekable: boolean;
  /** Pipes take O_DIRECT, which makes packets of their writes. */
  readonly isPipe?: boolean;
  /** Called for each mapping of the file, which it may refuse or change. */
  mmap?(file: OpenFile, request: MapRequest): void;
  /** Whether fsync(2) is possible; files in RAM have nothing to write. */
  readonly syncs?: boolean;
  /** Events of poll(2) that hold now; absent: the file is always ready for both. */
  poll?(file: OpenFile): number;
  /** ioctl(2) requests beyond those that every file knows. @throws SystemError ENOTTY for all that it does not know. */
  ioctl?(caller: Caller, file: OpenFile, request: number, argument: number): number;
  /** Whether private mappings without a hint are placed as anonymous memory is: at a multiple of 2 MiB if they are as long. */
  readonly placedAsAnonymous?: boolean;
  /** The last reference, by descriptor or mapping, is gone. */
  release?(file: OpenFile): void;
}

/** One open file description. `references` counts descriptors and mappings; the kernel's table counts it until it is 0. */
export class OpenFile {
  /** What the file does. */
  readonly operations: FileOperations;
  /** The inode whose pages can be mapped, null for files that have none. */
  readonly inode: Inode | null;
  /** O_… access mode and status flags. */
  flags: number;
  /** Where the next read or write begins. */
  position = 0;
  /** Descriptors and areas that have it. */
  references = 1;
  private readonly onClosed: () => void;

  constructor(operations: FileOperations, inode: Inode | null, flags: number, onClosed: () => void) {
    this.operations = operations;
    this.inode = inode;
    this.flags = flags;
    this.onClosed = onClosed;
  }

  /** Whether it was opened for reading. */
  get readable(): boolean {
    return (this.flags & O_ACCMODE) !== O_WRONLY;
  }

  /** Opened with O_PATH. */
  get isPath(): boolean {
    return (this.flags & O_PATH) !== 0;
  }

  /** Whether it was opened for writing. */
  get writable(): boolean {
    return (this.flags & O_ACCMODE) !== O_RDONLY;
  }

  /** Takes a reference. */
  get(): void {
    this.references++;
  }

  /** Gives a reference back; the last one closes the file. */
  put(): void {
    if (--this.references > 0) return;
    this.operations.release?.(this);
    this.onClosed();
  }
}

keepClass("OpenFile", OpenFile);
