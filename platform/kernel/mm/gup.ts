// get_user_pages: the kernel takes hold of a program's pages (mm/gup.c), for process_vm_readv and for host views of memory.
// Faulting them in is populate.ts. A write pin breaks copy-on-write first, and a fork copies pinned pages immediately.
import type { Address, ByteCount, FrameNumber, PageNumber } from "../../hardware/integers.ts";
import { ACCESS_LOAD, ACCESS_STORE, PAGE_SIZE, PTE_ANON, PTE_FRAME_SHIFT } from "../../hardware/layout.ts";
import { SystemError } from "../abi/errors.ts";
import { type AddressSpace, accessOk, type FaultAccount } from "./address-space.ts";
import { FAULT_DONE, FAULT_OUT_OF_MEMORY, unsharePage } from "./fault.ts";
import { NO_FRAME } from "./frames.ts";
import { ensurePage } from "./populate.ts";
import { VM_READ, VM_WRITE } from "./vm-flags.ts";

/** Frames that cannot go away or be copied from under their holder until released. */
export class PinnedPages {
  /** Address of the first byte. */
  readonly address: Address;
  /** How many bytes are pinned. */
  readonly length: ByteCount;
  private readonly space: AddressSpace;
  private pinned: number[];

  constructor(space: AddressSpace, address: Address, length: ByteCount, pinned: number[]) {
    this.space = space;
    this.address = address;
    this.length = length;
    this.pinned = pinned;
  }

  /** The frames, in order of address; empty after release. */
  get frames(): readonly number[] {
    return this.pinned;
  }

  /** The bytes themselves: one view for each stretch of neighbouring frames. They must not be used after release. */
  views(): Uint8Array[] {
    const { ram } = this.space.kernel.machine;
    const views: Uint8Array[] = [];
    let start = this.address % PAGE_SIZE;
    let left = this.length;
    for (let i = 0; i < this.pinned.length; ) {
      let count = 1;
      while (
        i + count < this.pinned.length &&
        this.pinned[i + count] === this.pinned[i] + count &&
        ram.bankOf(this.pinned[i + count]) === ram.bankOf(this.pinned[i])
      ) {
        count++;
      }
      const position = ram.positionOf(this.pinned[i]) + start;
      const bytes = Math.min(left, count * PAGE_SIZE - start);
      views.push(ram.bankOf(this.pinned[i]).subarray(position, position + bytes));
      left -= bytes;
      start = 0;
      i += count;
    }
    return views;
  }

  /** Lets go of the pages; a second call does nothing. */
  release(): void {
    const { frames } = this.space.kernel;
    for (const frame of this.pinned) {
      frames.unpin(frame);
    }
    this.pinned = [];
  }
}

/** Of lookupFrame: the access is permitted, but no frame was left for it. */
export const NO_MEMORY = -2;

/**
 * The frame behind a page as get_user_pages finds it, faulted in as by a load or a store; NO_FRAME if the area does not
 * permit the access, NO_MEMORY if there is none. Unlike the processor it insists on VM_READ.
 */
export function lookupFrame(space: AddressSpace, charged: FaultAccount, page: PageNumber, access: number): FrameNumber {
  const { vmas } = space;
  const id = vmas.lookup(page);
  if (id === -1 || (vmas.flags[id] & (access === ACCESS_STORE ? VM_WRITE : VM_READ)) === 0) return NO_FRAME;
  const result = ensurePage(space, charged, id, page, access);
  if (result !== FAULT_DONE) return result === FAULT_OUT_OF_MEMORY ? NO_MEMORY : NO_FRAME;
  return space.pageTable.entryOf(page) >>> PTE_FRAME_SHIFT;
}

/** As lookupFrame, for a page that is to be pinned (FOLL_PIN): one that others may share is unshared first. */
export function pinnableFrame(
  space: AddressSpace,
  charged: FaultAccount,
  page: PageNumber,
  access: number,
): FrameNumber {
  const frame = lookupFrame(space, charged, page, access);
  if (frame < 0) return frame;
  const { pageTable, vmas, kernel } = space;
  const asked = pageTable.isHuge(page) ? kernel.frames.headOf(frame) : frame;
  if ((pageTable.entryOf(page) & PTE_ANON) === 0 || kernel.frames.exclusive[asked] === 1) return frame;
  if (unsharePage(space, charged, vmas.lookup(page), page) !== FAULT_DONE) return NO_MEMORY;
  return pageTable.entryOf(page) >>> PTE_FRAME_SHIFT;
}

/**
 * Pins the pages of [address, address + length), faulting them in as a load or a store would.
 * @throws SystemError EFAULT: the program could not make that access itself. ENOMEM: no frame. Nothing stays pinned then.
 * RangeError: length 0.
 */
export function pinUserPages(
  space: AddressSpace,
  charged: FaultAccount,
  address: Address,
  length: ByteCount,
  { write }: { readonly write: boolean },
): PinnedPages {
  if (length === 0) throw new RangeError("get_user_pages: length 0 holds no page");
  if (!accessOk(address, length)) throw new SystemError("EFAULT", "get_user_pages");
  const { frames } = space.kernel;
  const pinned: number[] = [];
  const end = Math.ceil((address + length) / PAGE_SIZE);
  for (let page = Math.floor(address / PAGE_SIZE); page < end; page++) {
    const frame = pinnableFrame(space, charged, page, write ? ACCESS_STORE : ACCESS_LOAD);
    if (frame < 0) {
      new PinnedPages(space, address, length, pinned).release();
      throw new SystemError(frame === NO_MEMORY ? "ENOMEM" : "EFAULT", "get_user_pages", `page ${page}`);
    }
    frames.pin(frame);
    if (write) frames.markDirty(frame);
    pinned.push(frame);
  }
  return new PinnedPages(space, address, length, pinned);
}
