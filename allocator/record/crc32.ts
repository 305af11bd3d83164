// CRC-32 as gzip and PNG have it (polynomial 0x04c11db7, reflected), for the blocks of a trace.
// Not the checksum of chunk headers, which is Scudo's: that is in ../checksum.ts.

const REFLECTED_POLYNOMIAL = 0xedb88320;
const TABLE = makeTable();

function makeTable(): Uint32Array {
  const table = new Uint32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let remainder = byte;
    for (let bit = 0; bit < 8; bit++) remainder = (remainder >>> 1) ^ (remainder & 1 ? REFLECTED_POLYNOMIAL : 0);
    table[byte] = remainder;
  }
  return table;
}

/** CRC-32 of `bytes`, going on from the value of the bytes before them. */
export function crc32(bytes: Uint8Array, before = 0): number {
  let remainder = ~before;
  for (let index = 0; index < bytes.length; index++) {
    remainder = TABLE[(remainder ^ bytes[index]) & 0xff] ^ (remainder >>> 8);
  }
  return ~remainder >>> 0;
}
