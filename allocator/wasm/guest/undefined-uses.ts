// Findings about undefined bits: what guest code did with them, and which undefined bytes it gave to the host.
// Where the bits are from is what the last load of undefined bytes says: most often theirs, and without a cost.

import type { Operation } from "../../checker/finding.ts";
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

export class UndefinedUses {
  private readonly guest: Guest;
  private readonly tracksOrigins: boolean;

  constructor(guest: Guest, tracksOrigins: boolean) {
    this.guest = guest;
    this.tracksOrigins = tracksOrigins;
  }

  /** Guest code is about to do something that undefined bits decide. */
  use(use: number): void {
    const { heap, validity } = this.guest;
    const origin = this.tracksOrigins ? validity!.lastLoad : -1;
    wholeCheckerOf(heap).judge.reportValue(OPERATIONS[use], origin);
  }

  /** The host is about to read bytes for the guest. @returns whether all of them are defined; they are from now on */
  giveToHost(address: number, size: number): boolean {
    const { heap, validity, layout } = this.guest;
    const end = Math.min(address + size, layout.limitBytes);
    if (address >= end) return true;
    const first = validity!.firstUndefined(address, end - address);
    if (first < 0) return true;
    wholeCheckerOf(heap).judge.report("uninitialised", "system call", address, size, first);
    return false;
  }
}
