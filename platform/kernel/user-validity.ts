// What a system call does with undefined bytes of its caller: they are reported before the call has done anything.
// The copies themselves are uaccess.ts and process-vm.ts; without an observer nothing here costs more than two comparisons.

import { ACCESS_LOAD, OFFSET_MASK, PAGE_SIZE } from "../hardware/layout.ts";
import { findUndefined, USE_STORE, USE_SYSTEM_CALL } from "../hardware/validity.ts";
import { untagged } from "./abi/arguments.ts";
import { accessOk } from "./mm/address-space.ts";
import { NO_FRAME } from "./mm/frames.ts";
import type { Process } from "./process.ts";
import type { Thread } from "./thread.ts";
import { userFrame } from "./uaccess.ts";

/** Before a call takes `length` bytes at `address` out of a program. What cannot be read is the call's own business. */
export function reportUndefinedInput(thread: Thread, address: number, length: number): void {
  const { process, memory } = thread;
  if (memory.validityObserver === null && process.addressSpace.cleanLoadObserver === null) return;
  if (!memory.ignoresValidity)
    forEachPiece(process, address, length, (at, bytes, position) => {
      const found = findUndefined(process.kernel.machine.ram, position, bytes);
      if (found >= 0 && !memory.ignoresValidity)
        memory.validityObserver?.undefinedUse(USE_SYSTEM_CALL, at, bytes, at + found);
      return found < 0;
    });
}

/** Before a call stores `length` bytes at `address`: memory that is none of the program's is reported. */
export function reportForbiddenOutput(thread: Thread, address: number, length: number): void {
  const { process, memory } = thread;
  const observer = memory.validityObserver;
  if (observer === null || memory.ignoresValidity) return;
  forEachPiece(process, address, length, (at, bytes, position) => {
    if (findUndefined(process.kernel.machine.ram, position, bytes) < 0) return true;
    return observer.mayAccess(USE_STORE, at, bytes);
  });
}

/** Page by page, as far as the program itself could load and `visit` answers true. */
function forEachPiece(
  process: Process,
  address: number,
  length: number,
  visit: (address: number, bytes: number, position: number) => boolean,
): void {
  const start = untagged(address);
  if (!accessOk(start, length)) return;
  for (let at = start; at < start + length; ) {
    const bytes = Math.min(start + length - at, PAGE_SIZE - (at & OFFSET_MASK));
    const frame = userFrame(process.addressSpace, process, Math.floor(at / PAGE_SIZE), ACCESS_LOAD);
    if (frame === NO_FRAME || !visit(at, bytes, frame * PAGE_SIZE + (at & OFFSET_MASK))) return;
    at += bytes;
  }
}
