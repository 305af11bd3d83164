// A byte array that grows as the parts of a module are written to it: LEB128 integers, names, copies of what was read.
// write-module.ts and the passes decide what is written where.

const encoder = new TextEncoder();

export class ByteWriter {
  bytes: Uint8Array;
  length = 0;

  constructor(capacity = 1024) {
    this.bytes = new Uint8Array(capacity);
  }

  /** What was written, as a view that the next write may leave behind. */
  get written(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  /** Makes sure that `more` bytes fit without growing. */
  reserve(more: number): void {
    const needed = this.length + more;
    if (needed <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  byte(value: number): void {
    if (this.length === this.bytes.length) this.reserve(1);
    this.bytes[this.length++] = value;
  }

  two(first: number, second: number): void {
    this.byte(first);
    this.byte(second);
  }

  u32(value: number): void {
    this.reserve(5);
    while (value > 0x7f) {
      this.bytes[this.length++] = (value & 0x7f) | 0x80;
      value = Math.floor(value / 128);
    }
    this.bytes[this.length++] = value;
  }

  /** A signed LEB128 of a whole number from −2^31 to 2^31 − 1. */
  s32(value: number): void {
    this.reserve(5);
    for (;;) {
      const low = value & 0x7f;
      value >>= 7;
      if ((value === 0 && low < 0x40) || (value === -1 && low >= 0x40)) {
        this.bytes[this.length++] = low;
        return;
      }
      this.bytes[this.length++] = low | 0x80;
    }
  }

  /** A signed LEB128 of the lowest 64 bits. */
  s64(value: bigint): void {
    for (let rest = BigInt.asIntN(64, value); ; rest >>= 7n) {
      const low = Number(rest & 0x7fn);
      if (rest >= -64n && rest < 64n) {
        this.byte(low);
        return;
      }
      this.byte(low | 0x80);
    }
  }

  name(text: string): void {
    const bytes = encoder.encode(text);
    this.u32(bytes.length);
    this.append(bytes, 0, bytes.length);
  }

  /** Copies `source[from, to)`. */
  append(source: Uint8Array, from: number, to: number): void {
    const count = to - from;
    this.reserve(count);
    // Single instructions are a few bytes long, for which a loop beats a typed-array call.
    if (count < 24) for (let i = from; i < to; i++) this.bytes[this.length++] = source[i];
    else {
      this.bytes.set(source.subarray(from, to), this.length);
      this.length += count;
    }
  }

  /** A length and then the bytes of `part`. */
  sized(part: ByteWriter): void {
    this.u32(part.length);
    this.append(part.bytes, 0, part.length);
  }
}
