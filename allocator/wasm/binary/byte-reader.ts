// Reads the primitives of the binary format from a byte array: LEB128 integers, names, vectors' lengths. Every step is checked.
// What the primitives mean is read-module.ts and body-walker.ts.

import { ModuleError } from "./module-error.ts";

const decoder = new TextDecoder("utf-8", { fatal: true });

export class ByteReader {
  readonly bytes: Uint8Array;
  position: number;
  /** Reading beyond this is an error, though the array may be longer. */
  end: number;

  constructor(bytes: Uint8Array, position = 0, end = bytes.length) {
    this.bytes = bytes;
    this.position = position;
    this.end = end;
  }

  get isAtEnd(): boolean {
    return this.position >= this.end;
  }

  /** @throws ModuleError truncated */
  byte(): number {
    if (this.position >= this.end) this.truncated();
    return this.bytes[this.position++];
  }

  /** An unsigned LEB128 of 32 bits, as a number from 0 to 2^32 − 1. @throws ModuleError truncated, malformed: more than 32 bits */
  u32(): number {
    const first = this.byte();
    if (first < 0x80) return first;
    let value = first & 0x7f;
    for (let shift = 7; ; shift += 7) {
      const byte = this.byte();
      if (shift === 28) {
        if (byte > 0x0f) this.malformed("a number of more than 32 bits");
        return value + byte * 2 ** 28;
      }
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  }

  /** A signed LEB128 of 32 bits. @throws ModuleError truncated, malformed */
  s32(): number {
    return this.signed(32);
  }

  /** A signed LEB128 of 33 bits: a block's type. @throws ModuleError truncated, malformed */
  s33(): number {
    return this.signed(33);
  }

  private signed(bits: number): number {
    let value = 0;
    let unit = 1;
    for (let read = 0; ; ) {
      const byte = this.byte();
      read += 7;
      value += (byte & 0x7f) * unit;
      unit *= 128;
      if (byte < 0x80) {
        if ((byte & 0x40) !== 0) value -= unit;
        if (value < -(2 ** (bits - 1)) || value >= 2 ** (bits - 1))
          this.malformed(`a number of more than ${bits} bits`);
        return value;
      }
      if (read >= bits) this.malformed(`a number of more than ${bits} bits`);
    }
  }

  /** Passes over a LEB128 of at most `most` bytes. @throws ModuleError truncated, malformed */
  skipLeb(most: number): void {
    for (let read = 1; this.byte() >= 0x80; read++)
      if (read === most) this.malformed(`a number of more than ${most} bytes`);
  }

  /** @throws ModuleError truncated */
  skip(count: number): void {
    if (count > this.end - this.position) this.truncated();
    this.position += count;
  }

  /** The length of a vector whose entries have at least `least` bytes each. @throws ModuleError truncated: it cannot be there */
  count(least: number): number {
    const count = this.u32();
    if (count * least > this.end - this.position) this.truncated();
    return count;
  }

  /** A view of the next `count` bytes. @throws ModuleError truncated */
  take(count: number): Uint8Array {
    const from = this.position;
    this.skip(count);
    return this.bytes.subarray(from, from + count);
  }

  /** @throws ModuleError truncated, malformed: not UTF-8 */
  name(): string {
    const at = this.position;
    const bytes = this.take(this.u32());
    try {
      return decoder.decode(bytes);
    } catch {
      throw new ModuleError("malformed", "a name is not UTF-8", at);
    }
  }

  truncated(): never {
    throw new ModuleError("truncated", "the module ends too early", Math.min(this.position, this.end));
  }

  malformed(what: string): never {
    throw new ModuleError("malformed", what, this.position);
  }
}
