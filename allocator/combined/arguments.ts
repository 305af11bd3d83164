// Checks of the numbers that a program hands to a heap: what C's size_t and pointers could not be is refused here,
// before anything changes. What C can express is the allocator's to judge (c-interface.ts, combined.ts).

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { atProgram } from "../../platform/host/stack.ts";

/** SIZE_MAX + 1. A JS number cannot hold SIZE_MAX; programs write it as 2 ** 64 or 2 ** 64 - 1, which is the same number. */
export const SIZE_LIMIT = 2 ** 64;
/** Bytes from which on every allocation is refused as too large (S3.4). */
export const MAX_SIZE = 2 ** 40;
/** Pointers are exact numbers with a tag in bits 48–51. */
const POINTER_LIMIT = 2 ** 52;

/** A wrong argument for a message. An object is not asked for its text, which could throw. */
export function format(value: unknown): string {
  return typeof value === "object" && value !== null ? "an object" : String(value);
}

/** @throws TypeError: not a number. RangeError: NaN, negative, fractional or beyond SIZE_MAX. */
export function rejectSize(call: string, name: string, size: unknown): never {
  if (typeof size !== "number")
    throw atProgram(new TypeError(`${call}: ${name} ${format(size)} is not a number of bytes`));
  throw atProgram(new RangeError(`${call}: ${name} ${size} is not a whole number of bytes from 0 to 2^64 - 1`));
}

export function isSize(size: ByteCount): boolean {
  return typeof size === "number" && size >= 0 && Math.floor(size) === size && size <= SIZE_LIMIT;
}

export function checkSize(call: string, name: string, size: ByteCount): void {
  if (!isSize(size)) rejectSize(call, name, size);
}

/** @throws TypeError: not a number. RangeError: NaN, negative, fractional or not below 2^52. */
export function rejectPointer(call: string, pointer: unknown): never {
  if (typeof pointer !== "number")
    throw atProgram(new TypeError(`${call}: ${format(pointer)} is not a pointer (a number)`));
  throw atProgram(new RangeError(`${call}: ${pointer} is not a pointer: a whole number from 0 to 2^52 - 1`));
}

export function isPointer(pointer: Address): boolean {
  return typeof pointer === "number" && pointer >= 0 && pointer < POINTER_LIMIT && Math.floor(pointer) === pointer;
}

export function checkPointer(call: string, pointer: Address): void {
  if (!isPointer(pointer)) rejectPointer(call, pointer);
}

/** Powers of two by their one bit; exact for every number below 2^64. */
export function isPowerOfTwo(value: number): boolean {
  return value > 0 && Number.isInteger(Math.log2(value)) && 2 ** Math.log2(value) === value;
}
