// Scanning of numbers and words in the bytes of one line, without making strings.
// A scanner is one mutable cursor, reused for every line; what the words mean is up to the formats.

const ZERO = 48;
const NINE = 57;
const MINUS = 45;
const SPACE = 32;
const TAB = 9;
const CARRIAGE_RETURN = 13;

/** Value of a hexadecimal digit by its byte, 255 for every other byte. */
const HEX_VALUE = new Uint8Array(256).fill(255);
for (let digit = 0; digit < 10; digit++) HEX_VALUE[ZERO + digit] = digit;
for (let digit = 0; digit < 6; digit++) HEX_VALUE[97 + digit] = HEX_VALUE[65 + digit] = 10 + digit;

export class Scanner {
  bytes: Uint8Array = new Uint8Array(0);
  position = 0;
  end = 0;
  /** Low and high word of the last number scanned by `hex64`; together exact where a double is not. */
  low = 0;
  high = 0;

  /** Points at a line, without blanks and a carriage return around it. */
  setLine(bytes: Uint8Array, start: number, end: number): void {
    while (end > start && isBlank(bytes[end - 1])) end--;
    while (start < end && isBlank(bytes[start])) start++;
    this.bytes = bytes;
    this.position = start;
    this.end = end;
  }

  get atEnd(): boolean {
    return this.position >= this.end;
  }

  /** Passes over blanks; false if there was none (the end counts as one). */
  blanks(): boolean {
    const start = this.position;
    while (this.position < this.end && isBlank(this.bytes[this.position])) this.position++;
    return this.position > start || this.position >= this.end;
  }

  /** Passes over `byte`; false if another stands here. */
  take(byte: number): boolean {
    if (this.position >= this.end || this.bytes[this.position] !== byte) return false;
    this.position++;
    return true;
  }

  /** Passes over `word` if the bytes here are its letters and a blank or the end follows. */
  takeWord(word: Uint8Array): boolean {
    const after = this.position + word.length;
    if (after > this.end || (after < this.end && !isBlank(this.bytes[after]))) return false;
    for (let index = 0; index < word.length; index++) {
      if (this.bytes[this.position + index] !== word[index]) return false;
    }
    this.position = after;
    return true;
  }

  /** A decimal number of at most 2^53; −1 if there is none here or it is larger. */
  decimal(): number {
    const { bytes, end } = this;
    let position = this.position;
    let value = 0;
    while (position < end) {
      const digit = bytes[position] - ZERO;
      if (digit < 0 || digit > NINE - ZERO) break;
      value = value * 10 + digit;
      position++;
    }
    if (position === this.position || value > Number.MAX_SAFE_INTEGER) return -1;
    this.position = position;
    return value;
  }

  /** A decimal number with or without a sign, of any length, whose value does not matter; false if there is none here. */
  passInteger(): boolean {
    const start = this.position;
    if (this.position < this.end && this.bytes[this.position] === MINUS) this.position++;
    const digits = this.position;
    while (this.position < this.end && isDigit(this.bytes[this.position])) this.position++;
    if (this.position > digits) return true;
    this.position = start;
    return false;
  }

  /** A decimal number as the nearest double, as C's `%zu` prints sizes up to 2^64; −1 if there is none here. */
  wideDecimal(): number {
    const start = this.position;
    let value = 0;
    while (this.position < this.end && isDigit(this.bytes[this.position])) {
      value = value * 10 + this.bytes[this.position++] - ZERO;
    }
    return this.position > start ? value : -1;
  }

  /**
   * A hexadecimal number of at most 64 bits, with or without `0x`, into `low` and `high`; `(nil)` and `(null)`, as C
   * libraries print it, are 0. False if there is none here.
   */
  hex64(): boolean {
    const { bytes, end } = this;
    let position = this.position;
    if (bytes[position] === 40) return this.nil();
    if (bytes[position] === ZERO && (bytes[position + 1] | 32) === 120 && position + 2 < end) position += 2;
    const start = position;
    let low = 0;
    let high = 0;
    for (; position < end; position++) {
      const digit = HEX_VALUE[bytes[position]];
      if (digit === 255) break;
      if (high >>> 28 !== 0) return false;
      high = (high << 4) | (low >>> 28);
      low = (low << 4) | digit;
    }
    if (position === start) return false;
    this.low = low >>> 0;
    this.high = high >>> 0;
    this.position = position;
    return true;
  }

  /** The last number of `hex64` as a double; beyond 2^53 it is the nearest one. */
  get wide(): number {
    return this.high * 2 ** 32 + this.low;
  }

  private nil(): boolean {
    for (const word of [NIL, NULL]) {
      if (this.takeWord(word)) {
        this.low = 0;
        this.high = 0;
        return true;
      }
    }
    return false;
  }
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= NINE;
}

const NIL = Buffer.from("(nil)");
const NULL = Buffer.from("(null)");

export function isBlank(byte: number): boolean {
  return byte === SPACE || byte === TAB || byte === CARRIAGE_RETURN;
}
