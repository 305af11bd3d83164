// Accesses of a straight run that lie at fixed distances from each other are one range of bytes, and one look at the shadow says
// whether all of it may be loaded and stored. Which accesses there are is straight-run.ts; values are straight-values.ts.
//
// Writes an expression that is −1 if each range is plainly the program's, and something else if only a closer look can say it:
//   a range that begins at a multiple of 8, or is one aligned access: its granules by one load, or two; an address that is not
//     aligned changes the top bits
//   any other: as many granules from its first on as granules up to its last, which together are all

import {
  OP_I32_ADD,
  OP_I32_AND,
  OP_I32_LOAD,
  OP_I32_LOAD8_S,
  OP_I32_LOAD16_S,
  OP_I32_OR,
  OP_I32_SHL,
  OP_I32_XOR,
} from "../binary/instructions.ts";
import { writeGranule } from "./address-checks.ts";
import type { Code } from "./code.ts";
import { GRANULE } from "./layout.ts";
import type { StraightValues } from "./straight-values.ts";

/** Of shadow bytes, what differs between those that may be stored to and those that may be loaded. */
const ONLY_STORES = 0x01010101;
/** Two loads of four shadow bytes each, wherever in a granule the range begins. */
export const MOST_BYTES = 57;
/** Distances are kept far from where they would wrap. */
export const MOST_DISTANCE = 2 ** 20;

/** An access whose address is known: a base, and its distance in bytes, the instruction's offset included. */
export interface Access {
  readonly base: number;
  readonly from: number;
  readonly to: number;
  readonly isStore: boolean;
  /** What it promises to be aligned to: its own size, or 1. */
  readonly alignment: number;
  /** Number of its instruction in the run. */
  readonly instruction: number;
}

/** Bytes of one base that are looked at together. */
export interface Range {
  readonly base: number;
  readonly from: number;
  to: number;
  isStored: boolean;
  /** What its begin must be aligned to; 1: nothing. More than one access: 1 or 8. */
  alignment: number;
  readonly accesses: Access[];
}

export class RangeChecks {
  private readonly accesses: Access[] = [];
  readonly ranges: Range[] = [];
  /** Accesses in the ranges, and how many more they are than ranges. */
  count = 0;
  saved = 0;

  begin(): void {
    this.accesses.length = 0;
    this.ranges.length = 0;
    this.count = 0;
    this.saved = 0;
  }

  add(access: Access): void {
    if (Math.abs(access.from) < MOST_DISTANCE) this.accesses.push(access);
  }

  /** Whether joining may save as many checks: that many accesses have a base that one before them has. Cheaper than to join. */
  maySave(checks: number): boolean {
    const { accesses } = this;
    let saved = 0;
    for (let i = 1; i < accesses.length && saved < checks; i++) {
      const { base } = accesses[i];
      let before = i - 1;
      while (before >= 0 && accesses[before].base !== base) before--;
      if (before >= 0) saved++;
    }
    return saved >= checks;
  }

  /** Joins what was added, of the first `instructions` of the run, to ranges. */
  join(instructions: number): void {
    const { accesses, ranges } = this;
    accesses.sort((a, b) => a.base - b.base || a.from - b.from);
    let last: Range | null = null;
    for (const access of accesses) {
      const { base, from, to, isStore, alignment } = access;
      if (access.instruction >= instructions) continue;
      this.count++;
      if (last !== null && last.base === base && to - last.from <= MOST_BYTES) {
        last.to = Math.max(last.to, to);
        last.isStored ||= isStore;
        last.alignment = last.alignment === 8 || alignment === 8 ? 8 : 1;
        last.accesses.push(access);
      } else {
        last = { base, from, to, isStored: isStore, alignment, accesses: [access] };
        ranges.push(last);
      }
    }
    this.saved = this.count - ranges.length;
  }

  /** Marks the instructions that need no check of their own. */
  mark(covered: Uint8Array): void {
    for (const { accesses } of this.ranges) for (const { instruction } of accesses) covered[instruction] = 1;
  }

  /** @param scratch an i32 local that may be overwritten */
  write(code: Code, values: StraightValues, shadowBase: number, scratch: number): void {
    for (const [i, range] of this.ranges.entries()) {
      values.write(code, range.base, range.from);
      code.localTee(scratch);
      writeGranule(code);
      if (range.alignment > 1) writeAligned(code, range, shadowBase, scratch);
      else writeAnywhere(code, range, shadowBase, scratch);
      if (i > 0) code.byte(OP_I32_AND);
    }
  }
}

/** The granule's number is on the stack. */
function writeAligned(code: Code, { from, to, isStored, alignment }: Range, shadowBase: number, scratch: number): void {
  const granules = Math.ceil((to - from) / GRANULE);
  code.memory(granules === 1 ? OP_I32_LOAD8_S : granules === 2 ? OP_I32_LOAD16_S : OP_I32_LOAD, shadowBase);
  if (granules === 3) {
    code.constant(0xff000000 | (isStored ? 0 : ONLY_STORES));
    code.byte(OP_I32_OR);
  }
  if (granules > 4) {
    code.localGet(scratch);
    writeGranule(code);
    code.memory(OP_I32_LOAD, shadowBase + granules - 4);
    code.byte(OP_I32_AND);
  }
  if (!isStored && granules !== 3) {
    code.constant(ONLY_STORES);
    code.byte(OP_I32_OR);
  }
  code.localGet(scratch);
  code.constant(32 - Math.log2(alignment));
  code.plain(OP_I32_SHL, OP_I32_XOR);
}

/** The granule's number is on the stack. */
function writeAnywhere(code: Code, { from, to, isStored }: Range, shadowBase: number, scratch: number): void {
  const bytes = to - from;
  const granules = bytes <= 9 ? 1 : bytes <= 25 ? 2 : 4;
  const opcode = granules === 1 ? OP_I32_LOAD8_S : granules === 2 ? OP_I32_LOAD16_S : OP_I32_LOAD;
  code.memory(opcode, shadowBase);
  if (bytes > 1) {
    code.localGet(scratch);
    code.constant(bytes - 1);
    code.byte(OP_I32_ADD);
    writeGranule(code);
    code.memory(opcode, shadowBase - granules + 1);
    code.byte(OP_I32_AND);
  }
  if (isStored) return;
  code.constant(ONLY_STORES);
  code.byte(OP_I32_OR);
}
