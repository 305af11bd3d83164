// What a program has said of its addresses, in one place for each address space: the kernel hands it on as memory moves, forks and goes.
// What the marks are is no-access.ts and fresh-bytes.ts.

import type { Address, ByteCount, FrameNumber, PageCount, PageNumber } from "../../platform/hardware/integers.ts";
import { PAGE_SIZE } from "../../platform/hardware/layout.ts";
import type { AddressSpace, FreshMarks } from "../../platform/kernel/mm/address-space.ts";
import { keepClass } from "../../platform/state/kept.ts";
import { FreshBytes } from "./fresh-bytes.ts";
import { NoAccess } from "./no-access.ts";

/** All heaps of a process that track its bytes see the same marks. */
export class AddressMarks implements FreshMarks {
  readonly noAccess: NoAccess;
  readonly fresh: FreshBytes;

  constructor(noAccess: NoAccess, fresh: FreshBytes) {
    this.noAccess = noAccess;
    this.fresh = fresh;
  }

  get isEmpty(): boolean {
    return this.noAccess.isEmpty && this.fresh.isEmpty;
  }

  has(page: PageNumber): boolean {
    return this.noAccess.has(page) || this.fresh.has(page);
  }

  markFresh(page: PageNumber, frame: FrameNumber): void {
    this.fresh.markFrame(page, frame);
    this.noAccess.markFrame(page, frame);
  }

  /** What may not be accessed belongs to the addresses and stays. */
  emptied(start: PageNumber, end: PageNumber): void {
    this.fresh.drop(start, end);
  }

  unmapped(start: PageNumber, end: PageNumber): void {
    this.fresh.drop(start, end);
    this.noAccess.allow(start * PAGE_SIZE, (end - start) * PAGE_SIZE);
  }

  moved(from: PageNumber, to: PageNumber, pages: PageCount): void {
    this.fresh.move(from, to, pages);
    this.noAccess.move(to * PAGE_SIZE, from * PAGE_SIZE, pages * PAGE_SIZE);
  }

  forked(): AddressMarks {
    return new AddressMarks(this.noAccess.copy(), this.fresh.copy());
  }
}

/** Untouched pages of a range read as their clean pages, also where a program has made something else of them. */
export function resetFresh(space: AddressSpace, address: Address, length: ByteCount): void {
  if (space.freshMarks instanceof AddressMarks) space.freshMarks.fresh.reset(space, address, length);
}

/** The marks of an address space, which has them from the first time that they are asked for. */
export function marksOf(space: AddressSpace): AddressMarks {
  if (space.freshMarks instanceof AddressMarks) return space.freshMarks;
  const { ram } = space.kernel.machine;
  const marks = new AddressMarks(new NoAccess(ram), new FreshBytes(ram));
  space.freshMarks = marks;
  return marks;
}

keepClass("AddressMarks", AddressMarks);
