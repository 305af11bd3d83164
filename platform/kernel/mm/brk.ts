// brk(2): the heap that grows upwards from the end of a program's data.
import type { Address } from "../../hardware/integers.ts";
import { PAGE_SIZE } from "../../hardware/layout.ts";
import { SystemError } from "../abi/errors.ts";
import { MAP_ANONYMOUS, MAP_FIXED_NOREPLACE, MAP_PRIVATE, PROT_READ, PROT_WRITE } from "../abi/mman.ts";
import { RLIMIT_DATA } from "../abi/rlimit.ts";
import type { AddressSpace, FaultAccount } from "./address-space.ts";
import { mmap } from "./mmap.ts";
import { unmapRange } from "./munmap.ts";
import { startWithGap } from "./unmapped-area.ts";

/** Where the break starts in a fresh process: 4 GiB, far from what mmap chooses. */
export const INITIAL_BRK = 2 ** 32;

/**
 * brk(2) as the kernel has it: moves the break to `address` if it can. @returns the break after the call, so a caller sees a
 * refusal (below the start, over a mapping, of memory that is gone, RLIMIT_DATA) by its not having moved; an address of 0 only asks.
 */
export function brk(space: AddressSpace, charged: FaultAccount, address: Address): Address {
  if (address < space.startBrk || !Number.isSafeInteger(address)) return space.brk;
  if (address - space.startBrk > space.limits.soft(RLIMIT_DATA)) return space.brk;
  const oldEnd = Math.ceil(space.brk / PAGE_SIZE);
  const newEnd = Math.ceil(address / PAGE_SIZE);
  if (newEnd > oldEnd && !isFreeAbove(space, oldEnd, newEnd)) return space.brk;
  // What is to go is gone already.
  if (newEnd < oldEnd && space.vmas.findIntersection(newEnd, oldEnd) === -1) return space.brk;
  try {
    if (newEnd < oldEnd) unmapRange(space, newEnd, oldEnd, "brk");
    else if (newEnd > oldEnd) {
      const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
      mmap(space, charged, oldEnd * PAGE_SIZE, (newEnd - oldEnd) * PAGE_SIZE, PROT_READ | PROT_WRITE, flags, null, 0);
    }
  } catch (error) {
    if (error instanceof SystemError) return space.brk;
    throw error;
  }
  space.brk = address;
  return address;
}

/** Whether the heap may end at `newEnd`: a page stays free below the next mapping, and the guard gap below a stack. */
function isFreeAbove(space: AddressSpace, oldEnd: number, newEnd: number): boolean {
  const next = space.vmas.find(oldEnd);
  return next === -1 || newEnd + 1 <= startWithGap(space, next);
}
