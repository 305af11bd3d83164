// Files in RAM as programs hold them: memfd_create, opening one again, reading and writing by descriptor (mm/memfd.c).
// What memory needs of them, length and pages and shared anonymous objects, is mm/shmem.ts.
import { OFFSET_MASK, PAGE_SIZE } from "../hardware/layout.ts";
import { SystemError } from "./abi/errors.ts";
import type { Caller, KernelServices } from "./mm/address-space.ts";
import { type FileOperations, O_RDWR, type OpenFile } from "./mm/file.ts";
import { NO_FRAME } from "./mm/frames.ts";
import { Inode, pageIndexOf } from "./mm/inode.ts";
import { openShmem, shmemOperations } from "./mm/shmem.ts";
import { copyFromUser, copyToUser, faultInReadable, presentBytes } from "./uaccess.ts";

/** fallocate(2) modes. */
export const FALLOC_FL_KEEP_SIZE = 1;
export const FALLOC_FL_PUNCH_HOLE = 2;

/** Operations of a file in RAM that programs have descriptors of. */
function memfdOperations(path: string): FileOperations {
  return { ...shmemOperations(path), read: readFile, write: writeFile };
}

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

/** A new file of `size` bytes, open for reading and writing. @throws SystemError ENFILE */
export function createMemfd(kernel: KernelServices, name: string, flags: number): OpenFile {
  return openInode(
    kernel,
    new Inode(kernel.frames, kernel.nextInodeNumber(), 0),
    `/memfd:${name} (deleted)`,
    O_RDWR | flags,
    "memfd_create",
  );
}

function readFile(caller: Caller, file: OpenFile, address: number, length: number, offset: number): number {
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

function writeFile(caller: Caller, file: OpenFile, address: number, length: number, offset: number): number {
  const inode = file.inode as Inode;
  const { process } = caller;
  const { ram } = process.addressSpace.kernel.machine;
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
    const present = presentBytes(caller, address + done, bytes);
    const chunk = new Uint8Array(present);
    const copied = copyFromUser(caller, address + done, chunk);
    if (position + copied > inode.size) inode.size = position + copied;
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
