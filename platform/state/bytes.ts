// Bytes that grow while they are written, and bytes that are read with care: numbers, texts, and arrays that are mostly zero.
// What the numbers mean is encode.ts and decode.ts.

import { SnapshotError } from "./error.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** Words (4 bytes) of an array come as runs: so many zeroes, then so many equal ones, or so many different ones. */
const WORD = 4;
/** Equal words that are worth a run of their own. */
const SHORTEST_REPEAT = 4;

/** Bytes are gathered in pieces of this size, so that none is copied more than once. */
const PIECE_BYTES = 2 ** 22;

export class ByteWriter {
  private readonly pieces: Uint8Array[] = [];
  private bytes = new Uint8Array(65_536);
  private length = 0;
  private readonly float = new Float64Array(1);
  private readonly floatBytes = new Uint8Array(this.float.buffer);

  private reserve(more: number): void {
    if (this.length + more <= this.bytes.length) return;
    this.pieces.push(this.bytes.subarray(0, this.length));
    this.bytes = new Uint8Array(Math.max(PIECE_BYTES, more));
    this.length = 0;
  }

  /** A whole number from 0, seven bits a byte. */
  count(value: number): void {
    this.reserve(8);
    let rest = value;
    while (rest >= 128) {
      this.bytes[this.length++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    this.bytes[this.length++] = rest;
  }

  number(value: number): void {
    this.float[0] = value;
    this.raw(this.floatBytes);
  }

  text(value: string): void {
    const bytes = encoder.encode(value);
    this.count(bytes.length);
    this.raw(bytes);
  }

  raw(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  /**
   * The words in [from, to), behind `zeroesBefore` zeroes that are not written yet.
   * @returns how many zeroes at the end are not written yet
   */
  words(words: Int32Array, from: number, to: number, zeroesBefore: number): number {
    let zeroes = zeroesBefore;
    let at = from;
    while (at < to) {
      if (words[at] === 0) {
        const start = at++;
        while (at < to && words[at] === 0) at++;
        zeroes += at - start;
        continue;
      }
      this.count(zeroes);
      zeroes = 0;
      at = this.run(words, at, to);
    }
    return zeroes;
  }

  /** One run of words that are not zero. @returns where it ends */
  private run(words: Int32Array, from: number, to: number): number {
    let at = from + 1;
    while (at < to && words[at] === words[from]) at++;
    if (at - from >= SHORTEST_REPEAT) {
      this.count((at - from) * 2 + 1);
      this.raw(new Uint8Array(words.buffer, words.byteOffset + from * WORD, WORD));
      return at;
    }
    at = from + 1;
    while (at < to && !this.endsRun(words, at, to)) at++;
    this.count((at - from) * 2);
    this.raw(new Uint8Array(words.buffer, words.byteOffset + from * WORD, (at - from) * WORD));
    return at;
  }

  private endsRun(words: Int32Array, at: number, to: number): boolean {
    const word = words[at];
    if (at + SHORTEST_REPEAT > to) return false;
    // Single zeroes stay in the run; it ends where a shorter form begins.
    return word === words[at + 1] && word === words[at + 2] && word === words[at + 3];
  }

  /** Everything in one array, with room for `more` bytes behind it. */
  finish(more = 0): Uint8Array {
    const pieces = [...this.pieces, this.bytes.subarray(0, this.length)];
    const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, more));
    let at = 0;
    for (const piece of pieces) {
      whole.set(piece, at);
      at += piece.length;
    }
    return whole;
  }
}

export class ByteReader {
  private readonly bytes: Uint8Array;
  private readonly end: number;
  private at: number;

  constructor(bytes: Uint8Array, from: number, end: number) {
    this.bytes = bytes;
    this.at = from;
    this.end = end;
  }

  get isAtEnd(): boolean {
    return this.at >= this.end;
  }

  private take(bytes: number): number {
    const start = this.at;
    if (bytes > this.end - start) throw new SnapshotError("the snapshot is damaged: it ends too early");
    this.at = start + bytes;
    return start;
  }

  count(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.bytes[this.take(1)];
      value += (byte & 127) * scale;
      if (byte < 128) break;
      scale *= 128;
    }
    if (!Number.isSafeInteger(value)) throw new SnapshotError("the snapshot is damaged: a number is too large");
    return value;
  }

  /** A count of things that take at least a byte each: never more than there are bytes left. */
  length(): number {
    const value = this.count();
    if (value > this.end - this.at) throw new SnapshotError("the snapshot is damaged: a list is longer than the file");
    return value;
  }

  number(): number {
    const start = this.take(8);
    return new DataView(this.bytes.buffer, this.bytes.byteOffset + start, 8).getFloat64(0, true);
  }

  text(): string {
    const length = this.count();
    const start = this.take(length);
    try {
      return decoder.decode(this.bytes.subarray(start, start + length));
    } catch {
      throw new SnapshotError("the snapshot is damaged: a text is not UTF-8");
    }
  }

  raw(length: number): Uint8Array {
    const start = this.take(length);
    return this.bytes.subarray(start, start + length);
  }

  /** Fills a buffer of zeroes with what {@link ByteWriter.words} wrote of it: runs until one of no words. */
  words(target: Uint8Array): void {
    let at = 0;
    for (;;) {
      at += this.count() * WORD;
      const head = this.count();
      if (head === 0) return;
      const bytes = Math.floor(head / 2) * WORD;
      if (at + bytes > target.length) throw new SnapshotError("the snapshot is damaged: an array is too long");
      if (head % 2 === 0) target.set(this.raw(bytes), at);
      else repeat(target, at, bytes, this.raw(WORD));
      at += bytes;
    }
  }
}

/** Fills [at, at + bytes) with one word, by copies that double. */
function repeat(target: Uint8Array, at: number, bytes: number, word: Uint8Array): void {
  target.set(word, at);
  for (let done = WORD; done < bytes; done *= 2) target.copyWithin(at + done, at, at + Math.min(done, bytes - done));
}
