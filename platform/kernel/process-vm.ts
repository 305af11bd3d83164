// process_vm_readv(2) and process_vm_writev(2): copying between the memories of two processes (mm/process_vm_access.c).
// Remote pages are taken hold of a vector at a time, local ones are touched as the copy reaches them.
import type { Address, ByteCount, FrameNumber, ProcessId } from "../hardware/integers.ts";
import { ACCESS_LOAD, ACCESS_STORE, OFFSET_MASK, PAGE_SIZE, PTE_FRAME_SHIFT } from "../hardware/layout.ts";
import { int, list, untagged, word } from "./abi/arguments.ts";
import { SystemError } from "./abi/errors.ts";
import { accessOk } from "./mm/address-space.ts";
import { NO_FRAME } from "./mm/frames.ts";
import { pinnableFrame } from "./mm/gup.ts";
import { takesNoFault } from "./mm/populate.ts";
import type { Process } from "./process.ts";
import type { Thread } from "./thread.ts";
import { copyFromUser, copyToUser, userAddress } from "./uaccess.ts";
import { reportUndefinedInput } from "./user-validity.ts";

/** A piece of memory: address and length in bytes. */
export type IoVector = readonly [address: Address, length: ByteCount];

/** Remote pages taken hold of together (PVM_MAX_KMALLOC_PAGES * PAGE_SIZE / 8). */
const PAGES_AT_ONCE = 1024;
/** Bytes that the processor's string move takes in one step: a cache line. */
const STEP_BYTES = 64;
/** Most bytes that one call moves: INT_MAX rounded down to a page. */
const MAX_RW_COUNT = 0x7fff_f000;
/** Most vectors of one call on either side. */
const UIO_MAXIOV = 1024;

/** Walks the local vectors as one buffer. */
class LocalCursor {
  private index = 0;
  private offset = 0;
  private readonly vectors: readonly IoVector[];

  constructor(vectors: readonly IoVector[]) {
    this.vectors = vectors;
  }

  /** Copies the bytes of part of a frame in the direction of `write`; @returns how many were moved before a bad address or the end. */
  move(thread: Thread, frame: FrameNumber, bytes: Uint8Array, write: boolean): number {
    let done = 0;
    while (done < bytes.length && !this.finished) {
      const [address, length] = this.vectors[this.index];
      const piece = bytes.subarray(done, done + Math.min(bytes.length - done, length - this.offset));
      const at = address + this.offset;
      const moved = overlaps(thread, frame, at, piece.length, write)
        ? copyBySteps(thread, at, piece, write)
        : copyPart(thread, at, piece, write);
      done += moved;
      this.offset += moved;
      if (moved < piece.length) break;
    }
    return done;
  }

  get finished(): boolean {
    while (this.index < this.vectors.length && this.offset === this.vectors[this.index][1]) {
      this.index++;
      this.offset = 0;
    }
    return this.index === this.vectors.length;
  }
}

function copyPart(thread: Thread, address: Address, bytes: Uint8Array, write: boolean): number {
  return write ? copyFromUser(thread, address, bytes) : copyToUser(thread, address, bytes);
}

/**
 * Whether the local piece lies, even in part, in the frame on the other side, with nothing of it to be faulted in: a copy
 * that meets a fault goes byte by byte.
 */
function overlaps(thread: Thread, frame: FrameNumber, address: Address, length: ByteCount, write: boolean): boolean {
  const { pageTable } = thread.process.addressSpace;
  const start = userAddress(thread, address);
  const access = write ? ACCESS_LOAD : ACCESS_STORE;
  const first = pageTable.entryOf(Math.floor(start / PAGE_SIZE));
  const last = pageTable.entryOf(Math.floor((start + length - 1) / PAGE_SIZE));
  if (!takesNoFault(first, access) || !takesNoFault(last, access)) return false;
  return first >>> PTE_FRAME_SHIFT === frame || last >>> PTE_FRAME_SHIFT === frame;
}

/**
 * A copy to itself as the processor makes it: by steps, upwards, each read whole before it is written; what a step wrote is
 * read again by a later one.
 */
function copyBySteps(thread: Thread, address: Address, bytes: Uint8Array, write: boolean): number {
  const step = new Uint8Array(STEP_BYTES);
  let done = 0;
  while (done < bytes.length) {
    const piece = step.subarray(0, Math.min(STEP_BYTES, bytes.length - done));
    if (!write) piece.set(bytes.subarray(done, done + piece.length));
    const moved = copyPart(thread, address + done, piece, write);
    if (write) bytes.set(piece.subarray(0, moved), done);
    done += moved;
    if (moved < piece.length) break;
  }
  return done;
}

/**
 * process_vm_readv and process_vm_writev from their arguments on. @returns bytes copied.
 * @throws SystemError EINVAL: flags, or vectors that are too many or too long. EFAULT: a local vector lies outside user
 * space, or nothing could be copied. ESRCH: no such process.
 */
export function processVmCall(
  thread: Thread,
  syscall: "process_vm_readv" | "process_vm_writev",
  pid: ProcessId,
  local: readonly IoVector[],
  remote: readonly IoVector[],
  flags: number,
): number {
  int(pid, "pid", syscall);
  if (word(flags, "flags", syscall) !== 0) throw new SystemError("EINVAL", syscall, `flags ${flags}`);
  for (const vectors of [local, remote]) {
    for (const vector of list(vectors, "vectors", syscall)) {
      const [address, length] = list(vector, "vector", syscall);
      word(address, "iov_base", syscall);
      word(length, "iov_len", syscall);
    }
  }
  checkVectors(local, syscall);
  const ours = capped(local);
  // Of several vectors each must lie in user space as it was given, of a single one what is left of it (import_ubuf).
  for (const [address, length] of local.length === 1 ? ours : local) {
    if (!accessOk(userAddress(thread, address), length)) throw new SystemError("EFAULT", syscall);
  }
  if (isEmpty(ours)) return 0;
  checkVectors(remote, syscall);
  // Nothing to take hold of: the process is not even looked for.
  if (isEmpty(remote)) return 0;
  const target = thread.process.kernel.processes.get(pid);
  if (target === undefined) throw new SystemError("ESRCH", syscall, `process ${pid}`);
  return processVmCopy(thread, target, ours, remote, { write: syscall === "process_vm_writev" });
}

/** As in iovec_from_user(): too many vectors, or one that is longer than a signed word holds. */
function checkVectors(vectors: readonly IoVector[], syscall: string): void {
  if (vectors.length > UIO_MAXIOV) throw new SystemError("EINVAL", syscall, `${vectors.length} vectors`);
  for (const [, length] of vectors) {
    if (word(length, "iov_len", syscall) >= 2 ** 63) throw new SystemError("EINVAL", syscall, `length ${length}`);
  }
}

/** The vectors as far as one call goes: MAX_RW_COUNT bytes in all (__import_iovec). */
function capped(vectors: readonly IoVector[]): IoVector[] {
  let left = MAX_RW_COUNT;
  return vectors.map(([address, length]) => {
    const kept = Math.min(length, left);
    left -= kept;
    return [address, kept];
  });
}

function isEmpty(vectors: readonly IoVector[]): boolean {
  return !vectors.some(([, length]) => length > 0);
}

/**
 * Copies between `local` vectors of the caller and `remote` ones of `target`, neither empty, in order, until either ends.
 * @returns bytes copied. @throws SystemError EFAULT: nothing could be copied.
 */
function processVmCopy(
  thread: Thread,
  target: Process,
  local: readonly IoVector[],
  remote: readonly IoVector[],
  { write }: { readonly write: boolean },
): number {
  const syscall = write ? "process_vm_writev" : "process_vm_readv";
  for (const [address, length] of write ? local : remote) {
    reportUndefinedInput(write ? thread : target.mainThread, address, length);
  }
  const cursor = new LocalCursor(local);
  const transfer: Transfer = { thread, target, cursor, write };
  let total = 0;
  for (const [address, length] of remote) {
    if (length === 0) continue;
    if (cursor.finished) break;
    // Remote addresses belong to another program: they are taken with a tag under either ABI (untagged_addr_remote).
    const moved = copyVector(transfer, untagged(address), length);
    total += moved;
    if (moved < length) break;
  }
  if (total === 0) throw new SystemError("EFAULT", syscall);
  return total;
}

/** One call on its way: who calls, whose memory is on the other side, how far the caller's vectors are used, which way it goes. */
interface Transfer {
  readonly thread: Thread;
  readonly target: Process;
  readonly cursor: LocalCursor;
  readonly write: boolean;
}

/** @param address in the target, untagged. @returns bytes copied */
function copyVector(transfer: Transfer, address: Address, length: ByteCount): number {
  const { thread, target, cursor, write } = transfer;
  const { kernel } = thread.process;
  let done = 0;
  while (done < length && !cursor.finished) {
    const first = Math.floor((address + done) / PAGE_SIZE);
    const end = Math.min(Math.ceil((address + length) / PAGE_SIZE), first + PAGES_AT_ONCE);
    const frames: number[] = [];
    for (let page = first; page < end; page++) {
      const frame = accessOk(page * PAGE_SIZE, 1)
        ? pinnableFrame(target.addressSpace, thread.process, page, write ? ACCESS_STORE : ACCESS_LOAD)
        : NO_FRAME;
      if (frame < 0) break;
      kernel.frames.get(frame);
      if (write) kernel.frames.markDirty(frame);
      frames.push(frame);
    }
    const moved = copyFrames(transfer, frames, address + done, length - done);
    for (const frame of frames) kernel.frames.put(frame);
    done += moved;
    // Fewer pages than asked for are used as they are; then the rest is tried again.
    const reached = Math.min(length, (first + frames.length) * PAGE_SIZE - address);
    if (frames.length === 0 || done < reached) break;
  }
  return done;
}

function copyFrames(
  { thread, target, cursor, write }: Transfer,
  frames: readonly FrameNumber[],
  address: Address,
  length: ByteCount,
): number {
  const { ram } = thread.process.kernel.machine;
  let done = 0;
  for (const frame of frames) {
    const offset = (address + done) & OFFSET_MASK;
    const bytes = Math.min(length - done, PAGE_SIZE - offset);
    const position = ram.positionOf(frame) + offset;
    const moved = cursor.move(thread, frame, ram.bankOf(frame).subarray(position, position + bytes), write);
    if (write && ram.undefinedBits.length > 0) target.memory.defineByKernel(address + done, frame, moved);
    done += moved;
    if (moved < bytes) break;
  }
  return done;
}
