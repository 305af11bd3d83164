// Arguments of system calls as C would have passed them: 64-bit unsigned words and ints.
// What JavaScript allows beyond that (NaN, fractions, other types) is a RangeError before anything happens.

import type { Address } from "../../hardware/integers.ts";
import { TAG_UNIT } from "../../hardware/layout.ts";

const WORD = 2 ** 64;

/** A 64-bit unsigned word; negative whole numbers wrap as C's conversion does. @throws RangeError */
export function word(value: number, name: string, syscall: string): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value >= WORD || value < -WORD) {
    throw new RangeError(`${syscall}: ${name} ${named(value)} is not a whole number of 64 bits`);
  }
  return value < 0 ? value + WORD : value;
}

/** A C int (flags, descriptors, protections). @throws RangeError */
export function int(value: number, name: string, syscall: string): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value >= 2 ** 32 || value < -(2 ** 31)) {
    throw new RangeError(`${syscall}: ${name} ${named(value)} is not a whole number of 32 bits`);
  }
  return value | 0;
}

/** A value in a message; an object may have no text of its own, or throw when asked for it. */
export function named(value: unknown): string {
  return typeof value === "object" && value !== null ? "(an object)" : String(value);
}

/** A string; C has a pointer to its bytes. @throws RangeError */
export function text(value: string, name: string, syscall: string): string {
  if (typeof value !== "string") throw new RangeError(`${syscall}: ${name} ${named(value)} is no text`);
  return value;
}

/** A list, as C has an array and its length. @throws RangeError */
export function list<T>(value: readonly T[], name: string, syscall: string): readonly T[] {
  if (!Array.isArray(value)) throw new RangeError(`${syscall}: ${name} is no array`);
  return value;
}

/** An object with the fields of a structure. @throws RangeError */
export function structure<T extends object>(value: T, name: string, syscall: string): T {
  if (typeof value !== "object" || value === null) throw new RangeError(`${syscall}: ${name} is no object`);
  return value;
}

/** The address without an MTE tag at bits 48–51; anything beyond those bits stays and will be refused. */
export function untagged(address: Address): Address {
  return address < 16 * TAG_UNIT && address >= TAG_UNIT ? address % TAG_UNIT : address;
}
