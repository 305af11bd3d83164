// Files in RAM as memory sees them: shared anonymous objects, and what is done to a file's length and pages (mm/shmem.c).
// Their page cache is inode.ts, reading and writing by descriptor is ../memfd.ts; mapping them is mmap.ts and fault.ts.

import type { ByteCount, FileOffset, PageCount } from "../../hardware/integers.ts";
import { PAGE_SIZE } from "../../hardware/layout.ts";
import { keepMaker } from "../../state/kept.ts";
import { SystemError } from "../abi/errors.ts";
import { F_SEAL_FUTURE_WRITE, F_SEAL_GROW, F_SEAL_SHRINK, F_SEAL_WRITE } from "../abi/fcntl.ts";
import type { AddressSpace, KernelServices } from "./address-space.ts";
import { type FileOperations, type MapRequest, O_LARGEFILE, O_RDWR, type OpenFile } from "./file.ts";
import { Inode } from "./inode.ts";
import { dropFilePages } from "./shmem-huge.ts";
import { VM_MAYWRITE, VM_MTE_ALLOWED, VM_SHARED, VM_WRITE } from "./vm-flags.ts";
import { unmapFilePages } from "./zap.ts";

/** Seals against stores to a file's pages, now or by new ways. */
export const WRITE_SEALS = F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;

/** What every file in RAM can do, under the path that maps shows. */
export const shmemOperations = keepMaker("shmem.operations", (path: string): FileOperations => {
  return {
    path,
    seekable: true,
    syncs: true,
    mmap(file: OpenFile, request: MapRequest): void {
      checkSeals(file, request);
      request.flags |= VM_MTE_ALLOWED;
    },
    release(file: OpenFile): void {
      file.inode?.put();
    },
  };
});

/** A sealed file can't be mapped for shared stores, nor a shared mapping of it be made writable later (check_write_seal). */
function checkSeals(file: OpenFile, request: MapRequest): void {
  if (((file.inode?.seals ?? 0) & WRITE_SEALS) === 0 || (request.flags & VM_SHARED) === 0) return;
  if ((request.flags & VM_WRITE) !== 0) throw new SystemError("EPERM", "mmap", "the file is sealed against writing");
  request.flags &= ~VM_MAYWRITE;
}

const takeBackPromise = keepMaker("shmem.takeBackPromise", (kernel: KernelServices, pages: PageCount) => () => {
  kernel.uncommit(pages);
});

/** An open file of `inode`, which gets one reference more. @throws SystemError ENFILE */
export function openShmem(
  kernel: KernelServices,
  inode: Inode,
  operations: FileOperations,
  flags: number,
  syscall: string,
): OpenFile {
  inode.get();
  return kernel.openFile(operations, inode, flags | O_LARGEFILE, syscall);
}

/**
 * The object behind a MAP_SHARED | MAP_ANONYMOUS area (shmem_zero_setup). `pages` are promised now unless `reserve` is "none"
 * (VM_NORESERVE), to the process of `space`. @throws SystemError ENOMEM: overcommit; ENFILE
 */
export function createSharedAnonymous(
  space: AddressSpace,
  pages: PageCount,
  { reserve }: { readonly reserve: "all" | "none" },
): OpenFile {
  const { kernel } = space;
  const inode = new Inode(kernel.frames, kernel.nextInodeNumber(), pages * PAGE_SIZE);
  if (reserve === "all") {
    if (!kernel.commit(pages, space)) throw new SystemError("ENOMEM", "mmap", "overcommit");
    inode.committedPages = pages;
    inode.onEvicted = takeBackPromise(kernel, pages);
  }
  return openShmem(kernel, inode, shmemOperations("/dev/zero (deleted)"), O_RDWR, "mmap");
}

/**
 * Sets the length of a file; pages beyond it leave every mapping, private copies included (shmem_setattr). A length that stays
 * the same also drops pages that a failed write left behind the end, and clears what a mapping stored there.
 * @throws SystemError EPERM: a seal against it.
 */
export function truncate(inode: Inode, length: ByteCount): void {
  const forbidden = length < inode.size ? F_SEAL_SHRINK : length > inode.size ? F_SEAL_GROW : 0;
  if ((inode.seals & forbidden) !== 0) throw new SystemError("EPERM", "ftruncate", "the file is sealed");
  if (length <= inode.size) {
    const firstGone = Math.ceil(length / PAGE_SIZE);
    if (inode.size > firstGone * PAGE_SIZE) {
      unmapFilePages(inode, firstGone, Number.MAX_SAFE_INTEGER, { privateCopies: "drop" });
    }
    dropFilePages(inode, firstGone, Number.POSITIVE_INFINITY);
    inode.zeroRange(length, firstGone * PAGE_SIZE);
  }
  inode.size = length;
}

/** Makes [from, to) bytes of a file read as zeroes: whole pages are dropped, the rest is cleared (FALLOC_FL_PUNCH_HOLE). @throws SystemError EPERM: a seal against writing. */
export function punchHole(inode: Inode, from: FileOffset, to: FileOffset): void {
  if ((inode.seals & WRITE_SEALS) !== 0) throw new SystemError("EPERM", "fallocate", "the file is sealed");
  const first = Math.ceil(from / PAGE_SIZE);
  const end = Math.floor(to / PAGE_SIZE);
  // Linux computes the end of what to unmap as one byte before `end`; before page 0 that wraps, and means all that follows.
  if (first < end || end === 0) {
    unmapFilePages(inode, first, end === 0 ? Number.MAX_SAFE_INTEGER : end, { privateCopies: "keep" });
  }
  if (first < end) {
    dropFilePages(inode, first, end);
  }
  inode.zeroRange(from, Math.min(to, first * PAGE_SIZE));
  if (end >= first) inode.zeroRange(Math.max(from, end * PAGE_SIZE), to);
}
