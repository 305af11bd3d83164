// A hash of bytes that is the same on every machine: 64 bits, to tell states apart and to notice damage. No defence against forgery.

/** 64 bits as 16 hexadecimal digits: two multiplicative hashes with a last mixing (murmur3's), over words of 4 bytes. */
export function hashBytes(bytes: Uint8Array, end = bytes.length): string {
  let high = 0x9747b28c ^ end;
  let low = 0x3c6ef372 ^ end;
  const words = wordsOf(bytes, end);
  for (let i = 0; i < words.length; i++) {
    high = Math.imul(high ^ words[i], 0x85ebca6b);
    high ^= high >>> 15;
    low = Math.imul(low ^ words[i], 0xc2b2ae35);
    low ^= low >>> 13;
  }
  for (let at = words.length * 4; at < end; at++) {
    high = Math.imul(high ^ bytes[at], 0x85ebca6b);
    low = Math.imul(low ^ bytes[at], 0xc2b2ae35);
  }
  return hex(mix(high ^ (low >>> 7))) + hex(mix(low ^ (high << 5)));
}

/** The whole words among the first `end` bytes, without a copy where they lie as words do. */
function wordsOf(bytes: Uint8Array, end: number): Int32Array {
  const count = Math.floor(end / 4);
  if (bytes.byteOffset % 4 === 0) return new Int32Array(bytes.buffer, bytes.byteOffset, count);
  return new Int32Array(bytes.slice(0, count * 4).buffer);
}

function mix(word: number): number {
  let mixed = word ^ (word >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

function hex(word: number): string {
  return word.toString(16).padStart(8, "0");
}
