// RAM: frames of 4 KiB over ArrayBuffers, their allocation tags, and (on request) one validity bit a byte.
// Knows nothing of addresses, owners or reference counts; the host commits a page only when it is written.

import { type Extent, keepClass } from "../state/kept.ts";
import { copyBytes, fillBytes } from "./array-methods.ts";
import type { ByteCount, FrameNumber, Tag } from "./integers.ts";
import { GRANULES_PER_PAGE, PAGE_SIZE } from "./layout.ts";
import { hideFields, outline } from "./outline.ts";

/** A bank is one ArrayBuffer: at most 4 GiB, the longest typed array of this JavaScript engine. */
const BANK_BYTES = 2 ** 32;
/** A frame number is the number of its bank and its place there; whole numbers, since this is in the fault path. */
const FRAME_BITS_IN_BANK = 20;
const FRAME_IN_BANK_MASK = 0xfffff;
/** Two tags a byte. */
export const TAG_BYTES_PER_FRAME = GRANULES_PER_PAGE / 2;
const TAG_WORDS_PER_FRAME = TAG_BYTES_PER_FRAME / 4;
/** One bit a byte. */
export const VALIDITY_BYTES_PER_FRAME = PAGE_SIZE / 8;

export const SMALLEST_MEMORY_BYTES = 16 * 2 ** 20;
export const LARGEST_MEMORY_BYTES = 16 * 2 ** 30;

/** Where tags exist, and where validity bits do. */
export interface PhysicalMemoryOptions {
  readonly memoryBytes: number;
  readonly mte: boolean;
  readonly shadow: boolean;
  /** DCZID_EL0.BS in bytes: what one DC GVA, DC GZVA or DC ZVA writes. */
  readonly gzvaBlockBytes: number;
  /** Host memory for the first bank, all zeroes, `memoryBytes` long; absent: the bank gets its own. */
  readonly firstBank?: Uint8Array;
  /** Host memory for the tags, all zeroes, of their length; absent: they get their own. */
  readonly tags?: Uint8Array;
}

const NO_BANK = new Uint8Array(0);

/** RAM by frames: bytes, allocation tags and validity bits. */
export class PhysicalMemory {
  /** Frames of 4 KiB. */
  readonly frameCount: number;
  /** Bytes that DC GZVA clears and tags in one go. */
  readonly gzvaBlockBytes: number;
  /** The frames, bank by bank; nearly always there is one. */
  readonly banks: Uint8Array[];
  /** The banks once more, for numbers of several bytes. */
  readonly views: DataView[];
  /** Allocation tags: granule g of frame f is nibble g & 1 of byte f * 128 + (g >> 1). Empty on a machine without MTE. */
  readonly tags: Uint8Array;
  /** The same by words of eight granules: a frame has 32, and a loop over them beats a typed-array call. */
  readonly tagWords: Int32Array;
  /** A byte a frame: 0 only if all its tags are 0, as they are of nearly all frames, so that clearing them costs nothing. */
  readonly mayHaveTags: Uint8Array;
  /** One bit a byte, 1 = undefined. Empty unless the machine was made with `shadow`. */
  readonly undefinedBits: Uint8Array;
  /** The same bits, 32 at a time. */
  readonly undefinedWords: Int32Array;
  /** A byte a frame: 0 only if all its bytes are defined. */
  readonly mayBeUndefined: Uint8Array;

  constructor({ memoryBytes, mte, shadow, gzvaBlockBytes, firstBank, tags }: PhysicalMemoryOptions) {
    this.gzvaBlockBytes = gzvaBlockBytes;
    this.frameCount = memoryBytes / PAGE_SIZE;
    this.banks = Array.from({ length: Math.ceil(memoryBytes / BANK_BYTES) }, () => NO_BANK);
    this.views = this.banks.map((bank) => new DataView(bank.buffer));
    if (firstBank === undefined) this.makeBank(0);
    else this.setBank(0, firstBank);
    this.tags = tags ?? new Uint8Array(mte ? this.frameCount * TAG_BYTES_PER_FRAME : 0);
    this.tagWords = new Int32Array(this.tags.buffer, this.tags.byteOffset, this.tags.length / 4);
    this.mayHaveTags = new Uint8Array(mte ? this.frameCount : 0);
    this.undefinedBits = new Uint8Array(shadow ? this.frameCount * VALIDITY_BYTES_PER_FRAME : 0);
    this.undefinedWords = new Int32Array(this.undefinedBits.buffer);
    this.mayBeUndefined = new Uint8Array(shadow ? this.frameCount : 0);
    hideFields(this);
  }

  /** The bank of a frame. Whoever maps a frame has initialised it before, and so asked for its bank here. */
  bankOf(frame: FrameNumber): Uint8Array {
    const bank = this.banks[frame >>> FRAME_BITS_IN_BANK];
    return bank.length > 0 ? bank : this.makeBank(frame >>> FRAME_BITS_IN_BANK);
  }

  /** The view of the bank of a frame. */
  viewOf(frame: FrameNumber): DataView {
    this.bankOf(frame);
    return this.views[frame >>> FRAME_BITS_IN_BANK];
  }

  /** Banks behind the first are made when they are first used: allocating one makes V8 collect garbage, for some milliseconds. */
  private makeBank(index: number): Uint8Array {
    const bytes = Math.min(BANK_BYTES, this.frameCount * PAGE_SIZE - index * BANK_BYTES);
    return this.setBank(index, new Uint8Array(bytes));
  }

  private setBank(index: number, bank: Uint8Array): Uint8Array {
    this.banks[index] = bank;
    this.views[index] = new DataView(bank.buffer, bank.byteOffset, bank.length);
    return bank;
  }

  /** The first `frames` frames read zero, have no tags, and count as written, as RAM does that was never used. */
  clear(frames: number): void {
    for (const [index, bank] of this.banks.entries()) {
      const end = Math.min(bank.length, (frames - index * (FRAME_IN_BANK_MASK + 1)) * PAGE_SIZE);
      if (end > 0) bank.fill(0, 0, end);
    }
    this.tags.fill(0, 0, frames * TAG_BYTES_PER_FRAME);
    this.mayHaveTags.fill(0, 0, frames);
    this.undefinedBits.fill(0, 0, frames * VALIDITY_BYTES_PER_FRAME);
    this.mayBeUndefined.fill(0, 0, frames);
  }

  /** Where RAM, its tags and its validity bits can be other than zero if only the first `frames` frames were ever used. */
  *extentsOf(frames: number): Iterable<Extent> {
    for (const [index, bank] of this.banks.entries()) {
      const used = (frames - index * (FRAME_IN_BANK_MASK + 1)) * PAGE_SIZE;
      yield [bank, 0, Math.max(0, Math.min(bank.length, used))];
    }
    if (this.tags.length > 0) yield [this.tags, 0, frames * TAG_BYTES_PER_FRAME];
    if (this.undefinedBits.length > 0) yield [this.undefinedBits, 0, frames * VALIDITY_BYTES_PER_FRAME];
  }

  /** Byte position of a frame inside its bank. */
  positionOf(frame: FrameNumber): number {
    return (frame & FRAME_IN_BANK_MASK) * PAGE_SIZE;
  }

  /** Sets every byte of a frame. */
  fillFrame(frame: FrameNumber, byte: number): void {
    const position = this.positionOf(frame);
    fillBytes(this.bankOf(frame), byte, position, position + PAGE_SIZE);
  }

  /** Sets every byte of `count` neighbouring frames of one bank. */
  fillFrames(first: number, count: number, byte: number): void {
    const position = this.positionOf(first);
    fillBytes(this.bankOf(first), byte, position, position + count * PAGE_SIZE);
  }

  /** Whether every byte of a frame is 0. */
  isZero(frame: FrameNumber): boolean {
    const view = this.viewOf(frame);
    const end = this.positionOf(frame) + PAGE_SIZE;
    for (let position = end - PAGE_SIZE; position < end; position += 4) {
      if (view.getInt32(position, true) !== 0) return false;
    }
    return true;
  }

  /** Copies the bytes of a frame; tags and validity bits are copied by copyTags and copyValidity. */
  copyFrame(to: FrameNumber, from: FrameNumber): void {
    const source = this.positionOf(from);
    const target = this.bankOf(to);
    const origin = this.bankOf(from);
    if (target === origin) copyBytes(target, this.positionOf(to), source, source + PAGE_SIZE);
    else target.set(origin.subarray(source, source + PAGE_SIZE), this.positionOf(to));
  }

  /** Repeats the first `size` bytes of a frame (a power of two below the page size) over all of it, by doubling. */
  replicate(frame: FrameNumber, size: ByteCount): void {
    const bank = this.bankOf(frame);
    const position = this.positionOf(frame);
    for (let filled = size; filled < PAGE_SIZE; filled *= 2) {
      copyBytes(bank, position + filled, position, position + filled);
    }
  }

  /** Repeats the bytes of a frame over the `count` − 1 frames behind it, in the same bank, by doubling. */
  repeatFrame(first: number, count: number): void {
    const bank = this.bankOf(first);
    const position = this.positionOf(first);
    const end = count * PAGE_SIZE;
    for (let filled = PAGE_SIZE; filled < end; filled *= 2) {
      copyBytes(bank, position + filled, position, position + Math.min(filled, end - filled));
    }
  }

  /** Gives every granule of a frame one tag. Nothing happens on a machine without MTE. */
  fillTags(frame: FrameNumber, tag: Tag): void {
    if (this.tags.length === 0 || (tag === 0 && this.mayHaveTags[frame] === 0)) return;
    this.mayHaveTags[frame] = tag === 0 ? 0 : 1;
    const { tagWords } = this;
    const word = tag * 0x11111111;
    const end = (frame + 1) * TAG_WORDS_PER_FRAME;
    for (let i = frame * TAG_WORDS_PER_FRAME; i < end; i += 4) {
      tagWords[i] = word;
      tagWords[i + 1] = word;
      tagWords[i + 2] = word;
      tagWords[i + 3] = word;
    }
  }

  /** Gives one frame the tags of another. */
  copyTags(to: FrameNumber, from: FrameNumber): void {
    if (this.tags.length === 0 || (this.mayHaveTags[to] | this.mayHaveTags[from]) === 0) return;
    this.mayHaveTags[to] = this.mayHaveTags[from];
    const source = from * TAG_BYTES_PER_FRAME;
    this.tags.copyWithin(to * TAG_BYTES_PER_FRAME, source, source + TAG_BYTES_PER_FRAME);
  }

  /** The tag of a granule of a frame, 0 to 15. */
  getTag(frame: FrameNumber, granule: number): number {
    if (this.tags.length === 0) return 0;
    return (this.tags[frame * TAG_BYTES_PER_FRAME + (granule >> 1)] >> ((granule & 1) * 4)) & 15;
  }

  /** Sets the tag of a granule of a frame, 0 to 15. */
  setTag(frame: FrameNumber, granule: number, tag: Tag): void {
    if (this.tags.length === 0) return;
    this.mayHaveTags[frame] = 1;
    const index = frame * TAG_BYTES_PER_FRAME + (granule >> 1);
    const shift = (granule & 1) * 4;
    this.tags[index] = (this.tags[index] & (0xf0 >> shift)) | (tag << shift);
  }

  /** Marks every byte of a frame defined or undefined. Nothing happens on a machine without validity bits. */
  fillValidity(frame: FrameNumber, bits: 0 | 0xff): void {
    if (this.undefinedBits.length === 0 || (bits === 0 && this.mayBeUndefined[frame] === 0)) return;
    this.mayBeUndefined[frame] = bits;
    const position = frame * VALIDITY_BYTES_PER_FRAME;
    this.undefinedBits.fill(bits, position, position + VALIDITY_BYTES_PER_FRAME);
  }

  /** Gives one frame the validity bits of another. */
  copyValidity(to: FrameNumber, from: FrameNumber): void {
    if (this.undefinedBits.length === 0 || (this.mayBeUndefined[to] | this.mayBeUndefined[from]) === 0) return;
    this.mayBeUndefined[to] = this.mayBeUndefined[from];
    const source = from * VALIDITY_BYTES_PER_FRAME;
    this.undefinedBits.copyWithin(to * VALIDITY_BYTES_PER_FRAME, source, source + VALIDITY_BYTES_PER_FRAME);
  }
}

outline(PhysicalMemory, ({ frameCount }) => ({ frameCount }));

keepClass("PhysicalMemory", PhysicalMemory);
