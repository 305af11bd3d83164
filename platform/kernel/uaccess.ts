// The kernel's access to user memory: copy_from_user, copy_to_user, and what their faults become.
// A bad address shortens the copy and never raises a signal. Pinning pages for longer is gup.ts.
import type { Address, ByteCount, FrameNumber, PageNumber, Tag } from "../hardware/integers.ts";
import {
  ACCESS_LOAD,
  ACCESS_STORE,
  OFFSET_MASK,
  PAGE_SIZE,
  PTE_FRAME_SHIFT,
  PTE_MTE,
  TAG_UNIT,
} from "../hardware/layout.ts";
import { faultsSynchronously, findTagMismatch } from "../hardware/tag-check.ts";
import { untagged } from "./abi/arguments.ts";
import { PR_TAGGED_ADDR_ENABLE } from "./abi/prctl.ts";
import { type AddressSpace, accessOk, type Caller, type FaultAccount } from "./mm/address-space.ts";
import { FAULT_DONE, handlePageFault } from "./mm/fault.ts";
import { NO_FRAME } from "./mm/frames.ts";
import { isAccessible } from "./mm/populate.ts";

/**
 * The address that a system call's pointer means: without its tag if the thread has the tagged address ABI, as it is
 * otherwise, so that access_ok refuses it (untagged_addr, tagged-address-abi.rst).
 */
export function userAddress(caller: Caller, address: Address): Address {
  if (address < TAG_UNIT || (caller.taggedAddressControl & PR_TAGGED_ADDR_ENABLE) === 0) return address;
  return untagged(address);
}

/** The frame behind a page of user memory, faulted in for `access`; NO_FRAME if the program itself could not use it so. */
export function userFrame(space: AddressSpace, charged: FaultAccount, page: PageNumber, access: number): FrameNumber {
  let entry = space.pageTable.entryOf(page);
  if (!isAccessible(entry, access)) {
    if (handlePageFault(space, charged, page, access) !== FAULT_DONE) return NO_FRAME;
    entry = space.pageTable.entryOf(page);
  }
  return entry >>> PTE_FRAME_SHIFT;
}

/** Copies from user memory into `target`, page by page. @returns bytes copied before the first that could not be. */
export function copyFromUser(caller: Caller, address: Address, target: Uint8Array): ByteCount {
  return transfer(caller, address, target, ACCESS_LOAD);
}

/** Copies `source` to user memory, page by page. @returns bytes copied before the first that could not be. */
export function copyToUser(caller: Caller, address: Address, source: Uint8Array): ByteCount {
  return transfer(caller, address, source, ACCESS_STORE);
}

/** How many of `length` bytes at `address` can be read without a fault. */
export function presentBytes(caller: Caller, address: Address, length: ByteCount): ByteCount {
  const { pageTable } = caller.process.addressSpace;
  return countReachable(caller, address, length, (page) => isAccessible(pageTable.entryOf(page), ACCESS_LOAD));
}

/** Faults in every page of a buffer for reading (fault_in_readable). @returns bytes before the first page that is refused. */
export function faultInReadable(caller: Caller, address: Address, length: ByteCount): ByteCount {
  const { process } = caller;
  const space = process.addressSpace;
  return countReachable(caller, address, length, (page) => userFrame(space, process, page, ACCESS_LOAD) !== NO_FRAME);
}

function countReachable(
  caller: Caller,
  address: Address,
  length: ByteCount,
  isReachable: (page: PageNumber) => boolean,
): number {
  const start = userAddress(caller, address);
  if (!accessOk(start, length)) return 0;
  let at = start;
  while (at < start + length && isReachable(Math.floor(at / PAGE_SIZE))) at += PAGE_SIZE - (at & OFFSET_MASK);
  return Math.min(at - start, length);
}

function transfer(caller: Caller, address: Address, buffer: Uint8Array, access: number): ByteCount {
  const { process } = caller;
  const space = process.addressSpace;
  const plain = userAddress(caller, address);
  if (!accessOk(plain, buffer.length)) return 0;
  const tag = Math.floor(address / TAG_UNIT);
  let done = 0;
  while (done < buffer.length) {
    const at = plain + done;
    const room = Math.min(buffer.length - done, PAGE_SIZE - (at & OFFSET_MASK));
    const frame = userFrame(space, process, Math.floor(at / PAGE_SIZE), access);
    if (frame === NO_FRAME) break;
    const bytes = checkedBytes(caller, at, room, tag, access);
    const { ram } = process.addressSpace.kernel.machine;
    const position = ram.positionOf(frame) + (at & OFFSET_MASK);
    const bank = ram.bankOf(frame);
    if (access === ACCESS_LOAD) moveForward(buffer, done, bank, position, bytes);
    else {
      moveForward(bank, position, buffer, done, bytes);
      if (ram.undefinedBits.length > 0) caller.memory.defineByKernel(at, frame, bytes);
    }
    done += bytes;
    if (bytes < room) break;
  }
  return done;
}

/**
 * Copies bytes in ascending order, as the CPU's string move does: where a process copies to itself and the ranges overlap
 * (process_vm_writev), what was just written is read again.
 */
function moveForward(to: Uint8Array, target: number, from: Uint8Array, source: number, bytes: ByteCount): void {
  const distance = to.byteOffset + target - (from.byteOffset + source);
  if (to.buffer === from.buffer && distance > 0 && distance < bytes) {
    for (let i = 0; i < bytes; i++) to[target + i] = from[source + i];
  } else {
    to.set(from.subarray(source, source + bytes), target);
  }
}

/**
 * How many of `bytes` at `address`, all on one page that is there, the thread's own tag checks would allow: the kernel checks
 * its copies where a mismatch would be synchronous, TCO or not, and never raises a signal for it.
 */
function checkedBytes(caller: Caller, address: Address, bytes: ByteCount, tag: Tag, access: number): number {
  const { memory, process } = caller;
  const entry = memory.pageTable.entryOf(Math.floor(address / PAGE_SIZE));
  if ((entry & PTE_MTE) === 0 || !faultsSynchronously(memory.tagCheckMode, access)) return bytes;
  const offset = address & OFFSET_MASK;
  const mismatch = findTagMismatch(
    process.addressSpace.kernel.machine.ram,
    entry >>> PTE_FRAME_SHIFT,
    offset,
    bytes,
    tag,
  );
  return Math.min(bytes, mismatch - offset);
}
