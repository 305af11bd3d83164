// Files in RAM as programs hold them: memfd_create, opening one again, reading and writing by descriptor (mm/memfd.c).
// What memory needs of them, length and pages and shared anonymous objects, is mm/shmem.ts.

import type { Address, ByteCount, FileOffset } from "../hardware/integers.ts";
import { OFFSET_MASK, PAGE_SIZE } from "../hardware/layout.ts";
import { keepMaker } from "../state/kept.ts";
import { SystemError } from "./abi/errors.ts";
import {
  F_SEAL_EXEC,
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  F_SEAL_WRITE,
  MFD_ALLOW_SEALING,
  MFD_NOEXEC_SEAL,
} from "./abi/fcntl.ts";
import type { Caller, KernelServices } from "./mm/address-space.ts";
import { type FileOperations, O_RDWR, type OpenFile } from "./mm/file.ts";
import { NO_FRAME } from "./mm/frames.ts";
import { Inode, pageIndexOf } from "./mm/inode.ts";
import { openShmem, shmemOperations, WRITE_SEALS } from "./mm/shmem.ts";
import { VM_MAYWRITE, VM_SHARED } from "./mm/vm-flags.ts";
import { copyFromUser, copyToUser, faultInReadable, presentBytes } from "./uaccess.ts";

/** fallocate(2) modes. */
export const FALLOC_FL_KEEP_SIZE = 1;
export const FALLOC_FL_PUNCH_HOLE = 2;

const ALL_SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | WRITE_SEALS | F_SEAL_EXEC;

/** Operations of a file in RAM that programs have descriptors of. */
const memfdOperations = keepMaker(
  "memfd.operations",
  (path: string): FileOperations => ({ ...shmemOperations(path), read: readFile, write: writeFile }),
);

/** A second open of the same file, with its own access mode and position. */
export function openInode(
  kernel: KernelServices,
  inode: Inode,
  path: string,
  flags: number,
  syscall = "open",
): OpenFile {
  return openShmem(kernel, inode, memfdOperations(path), flags, syscall);
}

/** A new empty file, open for reading and writing; `flags` of memfd_create(2) say which seals it has. @throws SystemError ENFILE */
export function createMemfd(kernel: KernelServices, name: string, flags: number): OpenFile {
  const inode = new Inode(kernel.frames, kernel.nextInodeNumber(), 0);
  if ((flags & MFD_NOEXEC_SEAL) !== 0) {
    inode.isExecutable = false;
    inode.seals = F_SEAL_EXEC;
  } else if ((flags & MFD_ALLOW_SEALING) !== 0) inode.seals = 0;
  return openInode(kernel, inode, `/memfd:${name} (deleted)`, O_RDWR, "memfd_create");
}

/** F_GET_SEALS. @throws SystemError EINVAL: no file in RAM. */
export function sealsOf({ inode }: OpenFile): number {
  if (inode === null) throw new SystemError("EINVAL", "fcntl", "a file without seals");
  return inode.seals;
}

/**
 * F_ADD_SEALS (memfd_add_seals). @throws SystemError EPERM: not open for writing, or sealed against seals. EINVAL: unknown seals, no
 * file in RAM. EBUSY: F_SEAL_WRITE while it is mapped for shared stores, or a page of it pinned.
 */
export function addSeals(kernel: KernelServices, { inode, writable }: OpenFile, seals: number): void {
  if (!writable) throw new SystemError("EPERM", "fcntl", "not open for writing");
  if ((seals & ~ALL_SEALS) !== 0) throw new SystemError("EINVAL", "fcntl", `seals ${seals}`);
  if (inode === null) throw new SystemError("EINVAL", "fcntl", "a file without seals");
  if ((inode.seals & F_SEAL_SEAL) !== 0) throw new SystemError("EPERM", "fcntl", "sealed against seals");
  const ends = (seals & ~inode.seals & F_SEAL_WRITE) !== 0;
  if (ends && (isMappedWritable(inode) || isPinned(kernel, inode))) throw new SystemError("EBUSY", "fcntl", "in use");
  // Who may execute a file must not write it.
  const implied = (seals & F_SEAL_EXEC) !== 0 && inode.isExecutable ? F_SEAL_SHRINK | F_SEAL_GROW | WRITE_SEALS : 0;
  inode.seals |= seals | implied;
}

function isMappedWritable(inode: Inode): boolean {
  for (const { vmas } of inode.mappers.keys()) {
    for (let index = 0; index < vmas.count; index++) {
      const id = vmas.at(index);
      const mayStore = (vmas.flags[id] & (VM_SHARED | VM_MAYWRITE)) === (VM_SHARED | VM_MAYWRITE);
      if (mayStore && vmas.anonymous[id] === 0 && vmas.files[id]?.inode === inode) return true;
    }
  }
  return false;
}

function isPinned({ frames }: KernelServices, inode: Inode): boolean {
  return [...inode.pages.values()].some((frame) => frames.pins[frames.headOf(frame)] > 0);
}

function readFile(caller: Caller, file: OpenFile, address: Address, length: ByteCount, offset: FileOffset): number {
  const inode = file.inode as Inode;
  const { ram } = caller.process.addressSpace.kernel.machine;
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
    const copied = copyToUser(caller, address + (position - offset), chunk);
    position += copied;
    if (copied < bytes) break;
  }
  if (position === offset && end > offset) throw new SystemError("EFAULT", "read");
  return position - offset;
}

/** Whether seals forbid a write up to `end` (shmem_write_begin). */
function isSealedAgainst({ seals, size }: Inode, end: FileOffset): boolean {
  return (seals & WRITE_SEALS) !== 0 || ((seals & F_SEAL_GROW) !== 0 && end > size);
}

function writeFile(caller: Caller, file: OpenFile, address: Address, length: ByteCount, offset: FileOffset): number {
  const inode = file.inode as Inode;
  const { process } = caller;
  const { ram } = process.addressSpace.kernel.machine;
  let done = 0;
  while (done < length) {
    const position = offset + done;
    const index = pageIndexOf(position);
    const bytes = Math.min(length - done, PAGE_SIZE - (position & OFFSET_MASK));
    if (isSealedAgainst(inode, position + bytes)) {
      if (done > 0) return done;
      throw new SystemError("EPERM", "write", "the file is sealed");
    }
    // The page is there before the buffer is looked at, and stays if that cannot be read (shmem_write_begin, _end).
    const frame = inode.page(index, process.addressSpace.cgroup);
    if (frame === NO_FRAME) {
      if (done === 0) throw new SystemError("ENOMEM", "write");
      break;
    }
    // First what can be had without a fault, which may be nothing: the file has its new length before the buffer is faulted in.
    const present = presentBytes(caller, address + done, bytes);
    const chunk = new Uint8Array(present);
    const copied = copyFromUser(caller, address + done, chunk);
    if (position + copied > inode.size) inode.size = position + copied;
    process.addressSpace.kernel.frames.markDirty(frame);
    if (copied === 0) {
      if (present > 0 || faultInReadable(caller, address + done, bytes) === 0) break;
      continue;
    }
    ram.bankOf(frame).set(chunk.subarray(0, copied), ram.positionOf(frame) + (position & OFFSET_MASK));
    ram.fillValidity(frame, 0);
    done += copied;
  }
  if (done === 0 && length > 0) throw new SystemError("EFAULT", "write");
  return done;
}
