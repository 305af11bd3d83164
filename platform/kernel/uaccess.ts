// The kernel's access to user memory: copy_from_user, copy_to_user, and what their faults become.
// A bad address shortens the copy and never raises a signal. Pinning pages for longer is gup.ts.
import {
  ACCESS_LOAD,
  ACCESS_STORE,
  ADDRESS_LIMIT,
  OFFSET_MASK,
  PAGE_SIZE,
  PTE_FRAME_SHIFT,
  TAG_UNIT,
} from "../hardware/layout.ts";
import type { AddressSpace } from "./address-space.ts";
import { FAULT_DONE, handlePageFault } from "./fault.ts";
import { NO_FRAME } from "./frames.ts";
import { isAccessible } from "./populate.ts";
import type { Process } from "./process.ts";
import type { Thread } from "./thread.ts";

/** The address without an MTE tag at bits 48–51; anything beyond those bits stays and will be refused. */
export function untagged(address: number): number {
  return address < 16 * TAG_UNIT && address >= TAG_UNIT ? address % TAG_UNIT : address;
}

/** The frame behind a page of user memory, faulted in for `access`; NO_FRAME if the program itself could not use it so. */
export function userFrame(space: AddressSpace, charged: Process, page: number, access: number): number {
  let entry = space.pageTable.entries[page];
  if (!isAccessible(entry, access)) {
    if (handlePageFault(space, charged, page, access) !== FAULT_DONE) return NO_FRAME;
    entry = space.pageTable.entries[page];
  }
  return entry >>> PTE_FRAME_SHIFT;
}

/** Whether [address, address + length) lies in user space (access_ok). */
export function accessOk(address: number, length: number): boolean {
  return address >= 0 && address + length <= ADDRESS_LIMIT;
}

/** Copies from user memory into `target`, page by page. @returns bytes copied before the first that could not be. */
export function copyFromUser(thread: Thread, address: number, target: Uint8Array): number {
  return transfer(thread, address, target, ACCESS_LOAD);
}

/** Copies `source` to user memory, page by page. @returns bytes copied before the first that could not be. */
export function copyToUser(thread: Thread, address: number, source: Uint8Array): number {
  return transfer(thread, address, source, ACCESS_STORE);
}

function transfer(thread: Thread, address: number, buffer: Uint8Array, access: number): number {
  const { process } = thread;
  const space = process.addressSpace;
  const plain = untagged(address);
  if (!accessOk(plain, buffer.length)) return 0;
  let done = 0;
  while (done < buffer.length) {
    const at = plain + done;
    const bytes = Math.min(buffer.length - done, PAGE_SIZE - (at & OFFSET_MASK));
    const frame = userFrame(space, process, Math.floor(at / PAGE_SIZE), access);
    if (frame === NO_FRAME) break;
    const { ram } = process.kernel.machine;
    const position = ram.positionOf(frame) + (at & OFFSET_MASK);
    const bank = ram.bankOf(frame);
    if (access === ACCESS_LOAD) buffer.set(bank.subarray(position, position + bytes), done);
    else bank.set(buffer.subarray(done, done + bytes), position);
    done += bytes;
  }
  return done;
}
