// ptrace's access to another process's allocation tags: PTRACE_PEEKMTETAGS and PTRACE_POKEMTETAGS (arch/arm64/kernel/mte.c).
// One tag a byte, through an iovec of the tracer's memory. The rest of ptrace is not simulated.

import type { Address, ByteCount, FrameNumber, PageNumber, ProcessId } from "../hardware/integers.ts";
import {
  ACCESS_LOAD,
  ACCESS_STORE,
  GRANULE_SHIFT,
  GRANULE_SIZE,
  OFFSET_MASK,
  PAGE_SIZE,
  PTE_FRAME_SHIFT,
} from "../hardware/layout.ts";
import { int, untagged, word } from "./abi/arguments.ts";
import { SystemError } from "./abi/errors.ts";
import { TASK_SIZE_PAGES } from "./mm/address-space.ts";
import { FAULT_DONE } from "./mm/fault.ts";
import { ensurePage } from "./mm/populate.ts";
import { VM_MTE } from "./mm/vm-flags.ts";
import type { Process } from "./process.ts";
import type { Thread } from "./thread.ts";
import { copyFromUser, copyToUser } from "./uaccess.ts";

export const PTRACE_PEEKMTETAGS = 33;
export const PTRACE_POKEMTETAGS = 34;

/** struct iovec: a buffer of the tracer. */
export interface TagVector {
  readonly base: Address;
  /** Tags to move, one a byte. */
  readonly length: ByteCount;
}

/**
 * Moves up to `vector.length` tags between the tracer's buffer and the granules of process `pid` from `address` on, which is
 * aligned down to a granule.
 * @returns how many were moved (iov_len afterwards), fewer at the end of what has tags or can be copied.
 * @throws SystemError ESRCH: no such process. EPERM: `target` is neither the tracer nor a descendant of it. EIO: an unknown request, or nothing
 * there that has PROT_MTE. EFAULT: the tracer's buffer is bad.
 */
export function ptraceTags(
  thread: Thread,
  request: number,
  pid: ProcessId,
  address: Address,
  vector: TagVector,
): number {
  word(request, "request", "ptrace");
  int(pid, "pid", "ptrace");
  if (request !== PTRACE_PEEKMTETAGS && request !== PTRACE_POKEMTETAGS)
    throw new SystemError("EIO", "ptrace", `request ${request}`);
  const target = thread.process.kernel.processes.get(pid);
  if (target === undefined) throw new SystemError("ESRCH", "ptrace", `process ${pid}`);
  if (!mayTrace(thread.process, target)) throw new SystemError("EPERM", "ptrace", `process ${target.pid}`);
  const write = request === PTRACE_POKEMTETAGS;
  const plain = untagged(address);
  const start = plain - (plain % GRANULE_SIZE);
  let done = 0;
  while (done < vector.length) {
    const at = start + done * GRANULE_SIZE;
    const granule = (at & OFFSET_MASK) >> GRANULE_SHIFT;
    const count = Math.min(vector.length - done, PAGE_SIZE / GRANULE_SIZE - granule);
    const frame = taggedFrame(thread, target, Math.floor(at / PAGE_SIZE), write);
    if (frame === -1) {
      if (done === 0) throw new SystemError("EIO", "ptrace", "no memory with PROT_MTE there");
      break;
    }
    const moved = moveTags(thread, { frame, granule }, vector.base + done, count, { write });
    if (moved === 0 && done === 0) throw new SystemError("EFAULT", "ptrace", "the tracer's buffer");
    done += moved;
    if (moved < count) break;
  }
  return done;
}

/** As Yama's ptrace_scope 1 has it: oneself and one's descendants. */
function mayTrace(tracer: Process, target: Process): boolean {
  for (let process: Process | null = target; process !== null; process = process.parent) {
    if (process === tracer) return true;
  }
  return false;
}

/** The frame behind a page with PROT_MTE, faulted in under any protection (FOLL_FORCE); −1 if there is none. */
function taggedFrame(thread: Thread, target: Process, page: PageNumber, write: boolean): number {
  const space = target.addressSpace;
  if (page >= TASK_SIZE_PAGES) return -1;
  const id = space.vmas.lookup(page);
  if (id === -1 || (space.vmas.flags[id] & VM_MTE) === 0) return -1;
  const result = ensurePage(space, thread.process, id, page, write ? ACCESS_STORE : ACCESS_LOAD);
  return result === FAULT_DONE ? space.pageTable.entryOf(page) >>> PTE_FRAME_SHIFT : -1;
}

/** Moves `count` tags between the tracer's buffer and the granules of a frame from `granule` on. @returns tags moved */
function moveTags(
  thread: Thread,
  { frame, granule }: { readonly frame: FrameNumber; readonly granule: number },
  buffer: Address,
  count: number,
  { write }: { readonly write: boolean },
): number {
  const { ram } = thread.process.kernel.machine;
  const bytes = new Uint8Array(count);
  if (!write) {
    for (let index = 0; index < count; index++) bytes[index] = ram.getTag(frame, granule + index);
    return copyToUser(thread, buffer, bytes);
  }
  const copied = copyFromUser(thread, buffer, bytes);
  // Only the low four bits of a byte are a tag.
  for (let index = 0; index < copied; index++) ram.setTag(frame, granule + index, bytes[index] & 15);
  return copied;
}
