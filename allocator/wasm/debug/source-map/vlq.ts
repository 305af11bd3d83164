// The numbers of a source map's `mappings`: base64 digits of six bits, of which five count (ECMA-426, "Base64 VLQ").

/** Value of each character as a base64 digit, -1 for others. */
const DIGITS = new Int8Array(128).fill(-1);
for (const [value, character] of [..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"].entries()) {
  DIGITS[character.charCodeAt(0)] = value;
}

const CONTINUES = 0x20;
const DIGIT_BITS = 5;
/** Seven digits hold a sign and 32 bits; a number of more is malformed. */
const MOST_DIGITS = 7;

/** Reads the fields of the segments of one line, one number after another. */
export class VlqReader {
  private readonly text: string;
  position = 0;
  readonly end: number;

  constructor(text: string, end: number) {
    this.text = text;
    this.end = end;
  }

  /** Whether a number follows in this segment; a comma or the line's end ends it. */
  hasNumber(): boolean {
    return this.position < this.end && this.text.charCodeAt(this.position) !== COMMA;
  }

  /** Passes over a comma; false at the end of the line. */
  nextSegment(): boolean {
    if (this.position >= this.end) return false;
    if (this.text.charCodeAt(this.position) === COMMA) this.position++;
    return this.position < this.end;
  }

  /** The number here, or NaN if there is none that is well-formed. */
  number(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < MOST_DIGITS && this.position < this.end; count++) {
      const digit = DIGITS[this.text.charCodeAt(this.position)] ?? -1;
      if (digit < 0) return Number.NaN;
      this.position++;
      value += (digit & (CONTINUES - 1)) * scale;
      scale *= 1 << DIGIT_BITS;
      if ((digit & CONTINUES) === 0) {
        const magnitude = Math.floor(value / 2);
        return value % 2 === 1 ? -magnitude : magnitude;
      }
    }
    return Number.NaN;
  }
}

const COMMA = ",".charCodeAt(0);
