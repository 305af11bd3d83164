// A bounded cursor over bytes that may be cut short or hostile: every read is checked, every loop ends with the bytes.
// What the bytes mean is known to the rooms that read them (dwarf/, name-section.ts).

/** Thrown inside this folder where debug data is cut short or contradicts itself; DebugInfo turns it into "unknown". */
export class MalformedDebugData extends Error {
  override readonly name = "MalformedDebugData";
}

/** A name longer than this is no name that anyone wrote; it is taken as unknown. */
const LONGEST_STRING_BYTES = 0x10000;
/** Ten groups of seven bits hold 64 bits; more are padding that no producer writes. */
const LONGEST_LEB_BYTES = 10;
const TWO_32 = 0x1_0000_0000;

const decoder = new TextDecoder();

export class ByteReader {
  readonly bytes: Uint8Array;
  /** Reads happen in `[offset, end)`, and move `offset` up. */
  offset: number;
  readonly end: number;

  /** @throws MalformedDebugData the range is not one of `bytes` */
  constructor(bytes: Uint8Array, offset = 0, end = bytes.length) {
    if (!(offset >= 0 && offset <= end && end <= bytes.length)) throw cutShort(offset);
    this.bytes = bytes;
    this.offset = offset;
    this.end = end;
  }

  u8(): number {
    if (this.offset >= this.end) throw cutShort(this.offset);
    return this.bytes[this.offset++];
  }

  i8(): number {
    return (this.u8() << 24) >> 24;
  }

  u16(): number {
    const at = this.take(2);
    return this.bytes[at] | (this.bytes[at + 1] << 8);
  }

  u24(): number {
    const at = this.take(3);
    return this.bytes[at] | (this.bytes[at + 1] << 8) | (this.bytes[at + 2] << 16);
  }

  u32(): number {
    const at = this.take(4);
    const { bytes } = this;
    return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
  }

  /** Exact below 2^53, which every offset is that points into real data. */
  u64(): number {
    const low = this.u32();
    return this.u32() * TWO_32 + low;
  }

  /** An unsigned number of 1 to 8 bytes; 0 bytes and odd widths are malformed. */
  unsigned(widthBytes: number): number {
    if (widthBytes === 4) return this.u32();
    if (widthBytes === 1) return this.u8();
    if (widthBytes === 2) return this.u16();
    if (widthBytes === 3) return this.u24();
    if (widthBytes === 8) return this.u64();
    throw new MalformedDebugData(`a number of ${widthBytes} bytes`);
  }

  /** Unsigned LEB128; exact below 2^53. */
  uleb(): number {
    const first = this.u8();
    if (first < 0x80) return first;
    let value = first & 0x7f;
    let scale = 0x80;
    for (let count = 1; count < LONGEST_LEB_BYTES; count++) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 0x80;
    }
    throw new MalformedDebugData(`a LEB128 number of more than ${LONGEST_LEB_BYTES} bytes`);
  }

  /** Signed LEB128; exact between -2^53 and 2^53. */
  sleb(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < LONGEST_LEB_BYTES; count++) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      scale *= 0x80;
      if (byte < 0x80) return byte & 0x40 ? value - scale : value;
    }
    throw new MalformedDebugData(`a LEB128 number of more than ${LONGEST_LEB_BYTES} bytes`);
  }

  skip(lengthBytes: number): void {
    this.take(lengthBytes);
  }

  skipLeb(): void {
    for (let count = 0; count < LONGEST_LEB_BYTES; count++) if (this.u8() < 0x80) return;
    throw new MalformedDebugData(`a LEB128 number of more than ${LONGEST_LEB_BYTES} bytes`);
  }

  /** Moves behind a string's ending 0. */
  skipString(): void {
    const zero = this.bytes.indexOf(0, this.offset);
    if (zero < 0 || zero >= this.end) throw cutShort(this.offset);
    this.offset = zero + 1;
  }

  /** A string that ends with a 0 byte. */
  string(): string {
    const start = this.offset;
    this.skipString();
    return decodeName(this.bytes, start, this.offset - 1);
  }

  /** A string behind its length in bytes, as WebAssembly writes names. */
  name(): string {
    const lengthBytes = this.uleb();
    const start = this.take(lengthBytes);
    return decodeName(this.bytes, start, start + lengthBytes);
  }

  /** As {@link name}, of any length, as the `data:` URL of a source map may be. */
  text(): string {
    const lengthBytes = this.uleb();
    const start = this.take(lengthBytes);
    return decoder.decode(this.bytes.subarray(start, start + lengthBytes));
  }

  /** A reader of the next `lengthBytes`, which this one passes over. */
  slice(lengthBytes: number): ByteReader {
    const start = this.take(lengthBytes);
    return new ByteReader(this.bytes, start, start + lengthBytes);
  }

  private take(lengthBytes: number): number {
    const start = this.offset;
    if (!(lengthBytes >= 0 && lengthBytes <= this.end - start)) throw cutShort(start);
    this.offset = start + lengthBytes;
    return start;
  }
}

/** UTF-8, with U+FFFD for malformed bytes. */
function decodeName(bytes: Uint8Array, start: number, end: number): string {
  if (end - start > LONGEST_STRING_BYTES) throw new MalformedDebugData(`a name of ${end - start} bytes`);
  return decoder.decode(bytes.subarray(start, end));
}

function cutShort(offset: number): MalformedDebugData {
  return new MalformedDebugData(`the data ends before what starts at byte ${offset}`);
}
