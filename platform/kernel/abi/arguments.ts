// Arguments of system calls as C would have passed them: 64-bit unsigned words and ints.
// What JavaScript allows beyond that (NaN, fractions, other types) is a RangeError before anything happens.

import type { Address } from "../../hardware/integers.ts";
import { TAG_UNIT } from "../../hardware/layout.ts";

const WORD = 2 ** 64;

/** A 64-bit unsigned word; negative whole numbers wrap as C's conversion does. @throws RangeError */
export function word(value: number, name: string, syscall: string): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value >= WORD || value < -WORD) {
    throw new RangeError(`${syscall}: ${name} ${String(value)} is not a whole number of 64 bits`);
  }
  return value < 0 ? value + WORD : value;
}

/** A C int (flags, descriptors, protections). @throws RangeError */
export function int(value: number, name: string, syscall: string): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value >= 2 ** 32 || value < -(2 ** 31)) {
    throw new RangeError(`${syscall}: ${name} ${String(value)} is not a whole number of 32 bits`);
  }
  return value | 0;
}

/** The address without an MTE tag at bits 48–51; anything beyond those bits stays and will be refused. */
export function untagged(address: Address): Address {
  return address < 16 * TAG_UNIT && address >= TAG_UNIT ? address % TAG_UNIT : address;
}
