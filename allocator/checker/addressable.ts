// Which bytes a program may access: mapped memory, of the heap's only live chunks, and nothing that was made no-access.
// What an access to other bytes is called is judge.ts; the program's own marks are no-access.ts.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { PAGE_SIZE } from "../../platform/hardware/layout.ts";
import { VM_ACCESS_FLAGS } from "../../platform/kernel/mm/vm-flags.ts";
import type { Process } from "../../platform/kernel/process.ts";
import { keepClass } from "../../platform/state/kept.ts";
import type { Allocator } from "../combined/combined.ts";
import type { NoAccess } from "../tracking/no-access.ts";
import { LIVE, NOT_LIVE, TrackedAllocator } from "../tracking/tracked-allocator.ts";

export class Addressable {
  private readonly process: Process;
  private readonly tracked: TrackedAllocator | null;
  private readonly noAccess: NoAccess;
  /** The live chunk that the last {@link run} ended in, or an empty range. */
  chunkFrom = 0;
  chunkTo = 0;

  constructor(process: Process, allocator: Allocator, noAccess: NoAccess) {
    this.process = process;
    this.tracked = allocator instanceof TrackedAllocator ? allocator : null;
    this.noAccess = noAccess;
  }

  /**
   * How far the bytes from `address` on, before `end`, are all the program's (a positive number) or all not its to access (a
   * negative one).
   */
  run(address: Address, end: Address): number {
    const length = this.ownedRun(address, end);
    if (length < 0 || this.noAccess.isEmpty) return length;
    const forbidden = this.noAccess.first(address, length);
    if (forbidden !== address) return forbidden < 0 ? length : forbidden - address;
    return -this.noAccess.runFrom(address, length);
  }

  /** As {@link run}, also in memory that the program made no-access: that stays its own. */
  ownedRun(address: Address, end: Address): number {
    const { tracked } = this;
    this.chunkTo = 0;
    const place = tracked === null ? null : tracked.lookUp(address);
    if (place === LIVE && tracked !== null) {
      this.chunkFrom = tracked.liveFrom;
      this.chunkTo = tracked.liveTo;
      return Math.min(end, tracked.liveTo) - address;
    }
    // Live chunks begin at multiples of 16; what is not the heap's is so by pages.
    if (place === NOT_LIVE) return -(Math.min(end, (Math.floor(address / 16) + 1) * 16) - address);
    const page = Math.floor(address / PAGE_SIZE);
    const bytes = Math.min(end, (page + 1) * PAGE_SIZE) - address;
    const { vmas } = this.process.addressSpace;
    const area = vmas.lookup(page);
    return area !== -1 && (vmas.flags[area] & VM_ACCESS_FLAGS) !== 0 ? bytes : -bytes;
  }

  /** The live chunk of the heap that holds `address`, or null. */
  chunkAt(address: Address): { readonly pointer: Address; readonly size: ByteCount } | null {
    if (this.tracked?.lookUp(address) !== LIVE) return null;
    const { liveFrom, liveTo } = this.tracked;
    return { pointer: liveFrom, size: liveTo - liveFrom };
  }

  /** The first byte of a range that the program may not access, or −1. */
  firstForbidden(address: Address, length: ByteCount): number {
    return this.firstRefused(address, length, (at, end) => this.run(at, end));
  }

  /** The first byte of a range that is not mapped or is the heap's own, or −1. */
  firstForeign(address: Address, length: ByteCount): number {
    return this.firstRefused(address, length, (at, end) => this.ownedRun(at, end));
  }

  private firstRefused(address: Address, length: ByteCount, run: (at: number, end: number) => number): number {
    const end = address + length;
    for (let at = address; at < end; ) {
      const bytes = run(at, end);
      if (bytes < 0) return at;
      at += bytes;
    }
    return -1;
  }
}

keepClass("Addressable", Addressable);
