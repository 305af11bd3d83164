// What a system call does with undefined bytes of its caller: they are reported before the call has done anything, once a range.
// The copies themselves are uaccess.ts and process-vm.ts; without an observer nothing here costs more than two comparisons.

import type { Address, ByteCount } from "../hardware/integers.ts";
import { ACCESS_LOAD, OFFSET_MASK, PAGE_SIZE } from "../hardware/layout.ts";
import { findUndefined, USE_STORE, USE_SYSTEM_CALL, type UseKind } from "../hardware/validity.ts";
import { untagged } from "./abi/arguments.ts";
import { accessOk } from "./mm/address-space.ts";
import { NO_FRAME } from "./mm/frames.ts";
import type { PinnedPages } from "./mm/gup.ts";
import type { Process } from "./process.ts";
import type { Thread } from "./thread.ts";
import { userFrame } from "./uaccess.ts";

/** Before a call takes `length` bytes at `address` out of a program. Memory that is not there is reported, too; the call will say EFAULT. */
export function reportUndefinedInput(thread: Thread, address: Address, length: ByteCount): void {
  const { process, memory } = thread;
  const observer = memory.validityObserver;
  if ((observer === null && process.addressSpace.cleanLoadObserver === null) || memory.ignoresValidity) return;
  const start = untagged(address);
  const stop = memory.tell(() => {
    memory.beginAccess(USE_SYSTEM_CALL, start, length);
    return visitPieces(process, start, length, (at, bytes, position) => {
      const found = findUndefined(process.kernel.machine.ram, position, bytes);
      if (found >= 0) observer?.undefinedUse(USE_SYSTEM_CALL, start, length, at + found);
      return found < 0;
    });
  });
  reportMissing(thread, USE_SYSTEM_CALL, start, length, stop);
}

/** Before a call stores `length` bytes at `address`: memory that is not the program's is reported. */
export function reportForbiddenOutput(thread: Thread, address: Address, length: ByteCount): void {
  const { process, memory } = thread;
  const observer = memory.validityObserver;
  if (observer === null || memory.ignoresValidity) return;
  const start = untagged(address);
  const stop = visitPieces(process, start, length, (_at, bytes, position) => {
    if (findUndefined(process.kernel.machine.ram, position, bytes) < 0) return true;
    observer.mayAccess(USE_STORE, start, length);
    return false;
  });
  reportMissing(thread, USE_STORE, start, length, stop);
}

/** Nothing was at `stop` that the program could access (−1: all was there, or something else was reported). */
function reportMissing(thread: Thread, kind: UseKind, start: Address, length: ByteCount, stop: number): void {
  if (stop >= 0) thread.memory.validityObserver?.faulted?.(kind, start, length, stop);
}

/** Page by page, as far as `visit` answers true. @returns the first byte that the program itself could not load, or −1 */
function visitPieces(
  process: Process,
  start: Address,
  length: ByteCount,
  visit: (address: Address, bytes: ByteCount, position: number) => boolean,
): number {
  if (!accessOk(start, length)) return -1;
  for (let at = start; at < start + length; ) {
    const bytes = Math.min(start + length - at, PAGE_SIZE - (at & OFFSET_MASK));
    const frame = userFrame(process.addressSpace, process, Math.floor(at / PAGE_SIZE), ACCESS_LOAD);
    if (frame === NO_FRAME) return at;
    if (!visit(at, bytes, frame * PAGE_SIZE + (at & OFFSET_MASK))) return -1;
    at += bytes;
  }
  return -1;
}

/**
 * What the holder of pinned pages writes is not seen: from now on the range counts as written, as far as it is the program's
 * to access.
 */
export function definePinned(process: Process, { address, length, frames }: PinnedPages): void {
  if (!process.kernel.machine.shadow) return;
  for (const [i, frame] of frames.entries()) {
    const page = Math.floor(address / PAGE_SIZE) + i;
    const from = Math.max(address, page * PAGE_SIZE);
    const end = Math.min(address + length, (page + 1) * PAGE_SIZE);
    process.memory.defineByKernel(from, frame, end - from);
  }
}
