// Files in RAM: memfd_create, shared anonymous memory, and what can be done to their length and pages (mm/shmem.c).
// Their page cache is inode.ts; mapping them is mmap.ts and fault.ts.
import { OFFSET_MASK, PAGE_SIZE } from "../hardware/layout.ts";
import { SystemError } from "./abi/errors.ts";
import type { Kernel } from "./kernel.ts";
import type { AddressSpace } from "./mm/address-space.ts";
import { type FileOperations, type MapRequest, O_RDWR, type OpenFile } from "./mm/file.ts";
import { NO_FRAME } from "./mm/frames.ts";
import { Inode, pageIndexOf } from "./mm/inode.ts";
import { VM_MTE_ALLOWED } from "./mm/vm-flags.ts";
import { unmapFilePages } from "./mm/zap.ts";
import type { Thread } from "./thread.ts";
import { copyFromUser, copyToUser, faultInReadable, presentBytes } from "./uaccess.ts";

/** fallocate(2) modes. */
export const FALLOC_FL_KEEP_SIZE = 1;
export const FALLOC_FL_PUNCH_HOLE = 2;

/** Operations of a file in RAM under the path that maps shows. */
function shmemOperations(path: string): FileOperations {
  return {
    path,
    seekable: true,
    read: readFile,
    write: writeFile,
    mmap(_file: OpenFile, request: MapRequest): void {
      request.flags |= VM_MTE_ALLOWED;
    },
    release(file: OpenFile): void {
      file.inode?.put();
    },
  };
}

/** A second open of the same file, with its own access mode and position. */
export function openInode(kernel: Kernel, inode: Inode, path: string, flags: number, syscall = "open"): OpenFile {
  inode.get();
  return kernel.openFile(shmemOperations(path), inode, flags, syscall);
}

/** A new file of `size` bytes, open for reading and writing. @throws SystemError ENFILE */
export function createMemfd(kernel: Kernel, name: string, flags: number): OpenFile {
  return openInode(
    kernel,
    new Inode(kernel.frames, kernel.nextInodeNumber(), 0),
    `/memfd:${name} (deleted)`,
    O_RDWR | flags,
    "memfd_create",
  );
}

/**
 * The object behind a MAP_SHARED | MAP_ANONYMOUS area (shmem_zero_setup). `pages` are promised now unless `reserve` is "none"
 * (VM_NORESERVE), to the process of `space`. @throws SystemError ENOMEM: overcommit; ENFILE
 */
export function createSharedAnonymous(
  space: AddressSpace,
  pages: number,
  { reserve }: { readonly reserve: "all" | "none" },
): OpenFile {
  const { kernel } = space;
  const inode = new Inode(kernel.frames, kernel.nextInodeNumber(), pages * PAGE_SIZE);
  if (reserve === "all") {
    if (!kernel.commit(pages, space)) throw new SystemError("ENOMEM", "mmap", "overcommit");
    inode.committedPages = pages;
    inode.onEvicted = () => kernel.uncommit(pages);
  }
  return openInode(kernel, inode, "/dev/zero (deleted)", O_RDWR, "mmap");
}

function readFile(thread: Thread, file: OpenFile, address: number, length: number, offset: number): number {
  const inode = file.inode as Inode;
  const { ram } = thread.process.kernel.machine;
  const end = Math.min(offset + length, inode.size);
  let position = offset;
  while (position < end) {
    const index = pageIndexOf(position);
    const bytes = Math.min(end, (index + 1) * PAGE_SIZE) - position;
    const frame = inode.pages.get(index);
    // A hole reads as zeroes and stays a hole.
    let chunk: Uint8Array = new Uint8Array(bytes);
    if (frame !== undefined) {
      const start = ram.positionOf(frame) + (position & OFFSET_MASK);
      chunk = ram.bankOf(frame).slice(start, start + bytes);
    }
    const copied = copyToUser(thread, address + (position - offset), chunk);
    position += copied;
    if (copied < bytes) break;
  }
  if (position === offset && end > offset) throw new SystemError("EFAULT", "read");
  return position - offset;
}

function writeFile(thread: Thread, file: OpenFile, address: number, length: number, offset: number): number {
  const inode = file.inode as Inode;
  const { process } = thread;
  const { ram } = process.kernel.machine;
  let done = 0;
  while (done < length) {
    const position = offset + done;
    const index = pageIndexOf(position);
    const bytes = Math.min(length - done, PAGE_SIZE - (position & OFFSET_MASK));
    // The page is there before the buffer is looked at, and stays if that cannot be read (shmem_write_begin, _end).
    const frame = inode.page(index, process.addressSpace.cgroup);
    if (frame === NO_FRAME) {
      if (done === 0) throw new SystemError("ENOMEM", "write");
      break;
    }
    // First what can be had without a fault, which may be nothing: the file has its new length before the buffer is faulted in.
    const present = presentBytes(thread, address + done, bytes);
    const chunk = new Uint8Array(present);
    const copied = copyFromUser(thread, address + done, chunk);
    if (position + copied > inode.size) inode.size = position + copied;
    if (copied === 0) {
      if (present > 0 || faultInReadable(thread, address + done, bytes) === 0) break;
      continue;
    }
    ram.bankOf(frame).set(chunk.subarray(0, copied), ram.positionOf(frame) + (position & OFFSET_MASK));
    ram.fillValidity(frame, 0);
    done += copied;
  }
  if (done === 0 && length > 0) throw new SystemError("EFAULT", "write");
  return done;
}

/**
 * Sets the length of a file; pages beyond it leave every mapping, private copies included (shmem_setattr). A length that stays
 * the same also drops pages that a failed write left behind the end, and clears what a mapping stored there.
 */
export function truncate(inode: Inode, length: number): void {
  if (length <= inode.size) {
    const firstGone = Math.ceil(length / PAGE_SIZE);
    if (inode.size > firstGone * PAGE_SIZE) {
      unmapFilePages(inode, firstGone, Number.MAX_SAFE_INTEGER, { privateCopies: "drop" });
    }
    inode.dropPages(firstGone, Number.POSITIVE_INFINITY);
    inode.zeroRange(length, firstGone * PAGE_SIZE);
  }
  inode.size = length;
}

/** Makes [from, to) bytes of a file read as zeroes: whole pages are dropped, the rest is cleared (FALLOC_FL_PUNCH_HOLE). */
export function punchHole(inode: Inode, from: number, to: number): void {
  const first = Math.ceil(from / PAGE_SIZE);
  const end = Math.floor(to / PAGE_SIZE);
  // Linux computes the end of what to unmap as one byte before `end`; before page 0 that wraps, and means all that follows.
  if (first < end || end === 0) {
    unmapFilePages(inode, first, end === 0 ? Number.MAX_SAFE_INTEGER : end, { privateCopies: "keep" });
  }
  if (first < end) inode.dropPages(first, end);
  inode.zeroRange(from, Math.min(to, first * PAGE_SIZE));
  if (end >= first) inode.zeroRange(Math.max(from, end * PAGE_SIZE), to);
}
