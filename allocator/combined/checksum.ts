// The 16-bit checksum of a chunk header: CRC32-C as the CPU instruction computes it, or the BSD sum of CPUs without it (S2).
// 64-bit values come as two 32-bit halves; nothing here touches memory or knows the header's fields (chunk-header.ts does).
import type { Address } from "../../platform/hardware/integers.ts";

/** Which sum a heap uses; chosen once, when the heap is made (S2.4). */
export type ChecksumForm = "crc32c" | "bsd";

/** The CRC32-C polynomial 0x1EDC6F41, bit-reflected. */
const POLYNOMIAL = 0x82f63b78;

/**
 * Eight tables of 256 entries: `TABLE[256 * n + byte]` is what `byte` contributes when `n` more bytes follow it,
 * so that one 64-bit step is eight independent look-ups instead of eight dependent ones.
 */
const TABLE = new Int32Array(8 * 256);
for (let byte = 0; byte < 256; byte++) {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
  TABLE[byte] = crc;
}
for (let entry = 256; entry < TABLE.length; entry++) {
  const crc = TABLE[entry - 256];
  TABLE[entry] = (crc >>> 8) ^ TABLE[crc & 0xff];
}

/** One CRC32-C step over the 64-bit value `high:low`, without inversion: the x86 instruction `crc32 r64`. */
export function crc32c64(crc: number, low: number, high: number): number {
  const first = crc ^ low;
  let result =
    TABLE[0x700 + (first & 0xff)] ^
    TABLE[0x600 + ((first >>> 8) & 0xff)] ^
    TABLE[0x500 + ((first >>> 16) & 0xff)] ^
    TABLE[0x400 + (first >>> 24)];
  // Most high halves are small (38-bit addresses, headers with offset 0): zero bytes contribute nothing.
  if (high !== 0) {
    result ^= TABLE[0x300 + (high & 0xff)];
    if (high >>> 8 !== 0) {
      result ^= TABLE[0x200 + ((high >>> 8) & 0xff)] ^ TABLE[0x100 + ((high >>> 16) & 0xff)] ^ TABLE[high >>> 24];
    }
  }
  return result;
}

/** The checksum of the header `headerHigh:headerLow` (checksum field 0) of the chunk at `pointerHigh:pointerLow` (S2.2). */
export function crcChecksum(
  cookie: number,
  pointerLow: number,
  pointerHigh: number,
  headerLow: number,
  headerHigh: number,
): number {
  const crc = crc32c64(crc32c64(cookie, pointerLow, pointerHigh), headerLow, headerHigh);
  return (crc ^ (crc >>> 16)) & 0xffff;
}

/**
 * The CRC is linear, and so is its folding to 16 bits: the sum of a header is the XOR of what each group of its bits, of the
 * pointer's and of the cookie contribute. Groups of 10 and 12 bits make that six independent look-ups where two dependent steps of
 * {@link crc32c64} take twelve. Pointers are multiples of 16 below 2^38, offsets 0, which nearly all headers have.
 *
 * ```text
 *  pointer  37        28 27          16 15           4       low word  31        22 21       12 11         0
 *          │ POINTER_TOP │ POINTER_MIDDLE │ POINTER_LOW │             │ SIZE_HIGH   │ SIZE_LOW  │ low 12 bits │
 * ```
 */
export const POINTER_LOW = 0;
export const POINTER_MIDDLE = POINTER_LOW + 2 ** 12;
export const POINTER_TOP = POINTER_MIDDLE + 2 ** 12;
export const WORD_LOW = POINTER_TOP + 2 ** 10;
export const SIZE_LOW = WORD_LOW + 2 ** 12;
export const SIZE_HIGH = SIZE_LOW + 2 ** 10;
export const SUM_COUNT = SIZE_HIGH + 2 ** 10;
const SUMS = new Uint16Array(SUM_COUNT);
for (let bit = 0; bit < 12; bit++) {
  SUMS[POINTER_LOW + (1 << bit)] = crcChecksum(0, 1 << (bit + 4), 0, 0, 0);
  SUMS[POINTER_MIDDLE + (1 << bit)] = crcChecksum(0, 1 << (bit + 16), 0, 0, 0);
  SUMS[WORD_LOW + (1 << bit)] = crcChecksum(0, 0, 0, 1 << bit, 0);
}
for (let bit = 0; bit < 10; bit++) {
  SUMS[POINTER_TOP + (1 << bit)] =
    bit < 4 ? crcChecksum(0, 1 << (bit + 28), 0, 0, 0) : crcChecksum(0, 0, 1 << (bit - 4), 0, 0);
  SUMS[SIZE_LOW + (1 << bit)] = crcChecksum(0, 0, 0, 1 << (bit + 12), 0);
  SUMS[SIZE_HIGH + (1 << bit)] = crcChecksum(0, 0, 0, 1 << (bit + 22), 0);
}
for (const [first, count] of [
  [POINTER_LOW, 2 ** 12],
  [POINTER_MIDDLE, 2 ** 12],
  [POINTER_TOP, 2 ** 10],
  [WORD_LOW, 2 ** 12],
  [SIZE_LOW, 2 ** 10],
  [SIZE_HIGH, 2 ** 10],
]) {
  for (let index = 1; index < count; index++)
    SUMS[first + index] = SUMS[first + (index & (index - 1))] ^ SUMS[first + (index & -index)];
}

const PER_256_MIB = 1 / 2 ** 28;

/** What a cookie contributes to {@link granuleChecksum}. */
export function cookieSum(cookie: number): number {
  return crcChecksum(cookie, 0, 0, 0, 0);
}

/**
 * {@link crcChecksum} of a header with offset 0.
 * @param cookie {@link cookieSum} of the cookie
 * @param pointer a multiple of 16 below 2^38
 */
export function granuleChecksum(cookie: number, pointer: Address, headerLow: number): number {
  const pointerLow = pointer | 0;
  return (
    cookie ^
    SUMS[POINTER_LOW + ((pointerLow >>> 4) & 0xfff)] ^
    SUMS[POINTER_MIDDLE + ((pointerLow >>> 16) & 0xfff)] ^
    SUMS[POINTER_TOP + ((pointer * PER_256_MIB) & 0x3ff)] ^
    SUMS[WORD_LOW + (headerLow & 0xfff)] ^
    SUMS[SIZE_LOW + ((headerLow >>> 12) & 0x3ff)] ^
    SUMS[SIZE_HIGH + (headerLow >>> 22)]
  );
}

/** Copies the tables of {@link granuleChecksum}, {@link SUM_COUNT} entries, for code that has a memory of its own. */
export function copySums(target: Uint16Array): void {
  target.set(SUMS);
}

/** By which bits a sum changes when bits 11:0 of the low word change: class, state and origin. */
export function lowBitsDifference(lowBits: number): number {
  return SUMS[WORD_LOW + lowBits];
}

/** By which bits {@link crcChecksum} changes when those of `lowBits` change in the header's low word. */
export function crcDifference(lowBits: number): number {
  const crc = crc32c64(0, lowBits, 0);
  return (crc ^ (crc >>> 16)) & 0xffff;
}

/** As {@link crcChecksum}, by the rotating 16-bit sum that Scudo uses where the CPU has no CRC instruction (S2.3). */
export function bsdChecksum(
  cookie: number,
  pointerLow: number,
  pointerHigh: number,
  headerLow: number,
  headerHigh: number,
): number {
  let sum = addBytes(cookie & 0xffff, pointerLow);
  sum = addBytes(sum, pointerHigh);
  sum = addBytes(sum, headerLow);
  return addBytes(sum, headerHigh);
}

/** Adds the four bytes of `word`, lowest first, to a sum that rotates right by one bit before each. */
function addBytes(sum: number, word: number): number {
  let rotated = sum;
  for (let shift = 0; shift < 32; shift += 8) {
    rotated = ((rotated >>> 1) | ((rotated & 1) << 15)) + ((word >>> shift) & 0xff);
    rotated &= 0xffff;
  }
  return rotated;
}
