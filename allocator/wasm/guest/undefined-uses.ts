// Findings about undefined bits: what guest code did with them, and which undefined bytes it gave to the host.
// Where the bits are from is what the pass and the memory's origins say (origins.ts).

import type { Address, ByteCount } from "../../../platform/hardware/integers.ts";
import type { Finding, Operation } from "../../checker/finding.ts";
import { wholeCheckerOf } from "../../heap/heap.ts";
import {
  USE_ADDRESS,
  USE_ARGUMENT,
  USE_CONDITION,
  USE_DIVISOR,
  USE_LENGTH,
  USE_TABLE_INDEX,
} from "../definedness/targets.ts";
import type { Guest } from "./guest.ts";

const OPERATIONS: Readonly<Record<number, Operation>> = {
  [USE_CONDITION]: "condition",
  [USE_ADDRESS]: "address",
  [USE_TABLE_INDEX]: "table index",
  [USE_DIVISOR]: "divisor",
  [USE_ARGUMENT]: "argument",
  [USE_LENGTH]: "length",
};

/**
 * A stack costs tens of microseconds. An instruction that was the same finding this often in a row, with the guest's stack as deep
 * each time, has its stack looked at only once in SAMPLE times from then on.
 */
const STREAK = 16;
const SAMPLE = 256;

/** What an instruction that uses undefined bits was found to be, last. */
interface Site {
  finding: Finding | null;
  stackPointer: number;
  streak: number;
}

export class UndefinedUses {
  private readonly guest: Guest;
  private readonly sites = new Map<number, Site>();
  /** The guest's stack pointer now. */
  stackPointer: () => number = () => 0;

  constructor(guest: Guest) {
    this.guest = guest;
  }

  /** Guest code at byte `offset` of the module is about to do something that undefined bits of an origin decide. */
  use(use: number, offset: number, origin: number): void {
    const { heap, origins, direct } = this.guest;
    direct.takeChanges();
    const { judge } = wholeCheckerOf(heap);
    const stackPointer = this.stackPointer();
    let site = this.sites.get(offset);
    if (site === undefined) {
      site = { finding: null, stackPointer, streak: 0 };
      this.sites.set(offset, site);
    }
    const { finding } = site;
    const isSteady = finding !== null && site.stackPointer === stackPointer && site.streak >= STREAK;
    if (isSteady && site.streak % SAMPLE !== 0 && judge.repeat(finding)) {
      site.streak++;
      return;
    }
    const found = judge.reportValue(OPERATIONS[use], origins === null ? null : () => origins.describe(origin));
    site.streak = found === finding && site.stackPointer === stackPointer ? site.streak + 1 : 0;
    site.finding = found;
    site.stackPointer = stackPointer;
  }

  /** The host is about to read bytes for the guest. @returns whether all of them are defined; they are from now on */
  giveToHost(address: Address, size: ByteCount): boolean {
    const { heap, validity, origins, layout, direct } = this.guest;
    direct.takeChanges();
    const end = Math.min(address + size, layout.limitBytes);
    if (address >= end) return true;
    const first = validity!.firstUndefined(address, end - address);
    if (first < 0) return true;
    const originOf = origins === null ? null : () => origins.describe(validity!.originAt(first));
    wholeCheckerOf(heap).judge.report("uninitialised", "system call", address, size, first, originOf);
    return false;
  }
}
