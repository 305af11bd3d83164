// What a constant's own bits say: how many of the low ones are 0, and whether they repeat themselves, as those of constants do that
// work on a word's bytes together. A constant is given by where its instruction is in the module. What follows from it for results of
// instructions is number-facts.ts.

import { OP_I32_CONST } from "../binary/instructions.ts";

/** The last constant that was read: its lower and upper 32 bits; the upper ones of an i32 are its lower ones again. */
let low = 0;
let high = 0;

/** Reads the signed LEB128 number behind the opcode at `at`. */
function read(bytes: Uint8Array, at: number): void {
  low = 0;
  high = 0;
  let position = at + 1;
  let shift = 0;
  for (; ; shift += 7) {
    const byte = bytes[position++];
    const group = byte & 0x7f;
    if (shift < 32) low |= group << shift;
    if (shift > 25) high |= shift < 32 ? group >> (32 - shift) : group << (shift - 32);
    if (byte >= 0x80) continue;
    const isNegative = (byte & 0x40) !== 0;
    shift += 7;
    if (isNegative && shift < 32) low |= -1 << shift;
    if (isNegative && shift < 64) high |= shift <= 32 ? -1 : -1 << (shift - 32);
    break;
  }
  if (bytes[at] === OP_I32_CONST) high = low;
}

/** How many low bits of the constant are 0: all of its `bits` for 0. */
export function lowZerosOf(bytes: Uint8Array, at: number, bits: number): number {
  read(bytes, at);
  if (low !== 0) return 31 - Math.clz32(low & -low);
  return bits === 32 || high === 0 ? bits : 63 - Math.clz32(high & -high);
}

/** The constant modulo `bits`: by how many a shift by it shifts. */
export function shiftOf(bytes: Uint8Array, at: number, bits: number): number {
  read(bytes, at);
  return low & (bits - 1);
}

/** Whether the two halves of 16 bits are the same and neither all 0 nor all 1, in the number or its negative. */
function isRepeated(half: number): boolean {
  return (half & 0xffff) === half >>> 16 && half !== 0 && half !== -1;
}

/**
 * Whether a constant is one of those by which a word's bytes or halves are worked on together: 0x01010101, 0x7f7f7f7f, 0x80808080,
 * 0x00ff00ff, their like of 64 bits, and the negative ones (-0x01010101 is 0xfefefeff).
 */
export function worksOnParts(bytes: Uint8Array, at: number): boolean {
  read(bytes, at);
  if (high === low) return isRepeated(low) || isRepeated(-low | 0);
  // The negative of a repeated number of 64 bits.
  return (-low | 0) === ~high && isRepeated(~high);
}
