// The 16-bit checksum of a chunk header: CRC32-C as the CPU instruction computes it, or the BSD sum of CPUs without it (S2).
// 64-bit values come as two 32-bit halves; nothing here touches memory or knows the header's fields (chunk-header.ts does).

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
