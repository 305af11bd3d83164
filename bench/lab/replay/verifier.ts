// `--verify`: holds a heap to what every program relies on: blocks never overlap, contents survive, calloc's bytes are 0.
// It stores and loads at both ends of each block, so a verified replay touches more than its touch model says.
import { TAG_UNIT } from "../../../platform/hardware/layout.ts";
import type { BlockTable } from "./block-table.ts";
import { contentByte } from "./contents.ts";
import type { ReplaySubject } from "./subject.ts";

/** The heap broke a promise: which, where, at which operation the caller adds. */
export class VerificationError extends Error {
  override readonly name = "VerificationError";
}

/** Keeps the live blocks' ranges sorted by address, tags stripped. Costs O(live blocks) a call: for checking, not for speed. */
export class Verifier {
  private starts: number[] = [];
  private ends: number[] = [];
  private readonly blocks: BlockTable;

  constructor(blocks: BlockTable) {
    this.blocks = blocks;
  }

  born(subject: ReplaySubject, slot: number, address: number, size: number, zeroed: boolean): void {
    this.insert(address, size);
    if (zeroed) this.expectZero(subject, address, size);
    this.writeEnds(subject, slot, address, size);
  }

  /** Before free or realloc: the contents are still there. */
  dying(subject: ReplaySubject, slot: number, address: number): void {
    this.expectContents(subject, slot, address, this.blocks.size[slot]);
    this.remove(address);
  }

  /** A realloc failed: the block is where it was. */
  survived(address: number, size: number): void {
    this.insert(address, size);
  }

  /** After realloc: `kept` bytes came along; the new end is written. */
  moved(subject: ReplaySubject, slot: number, address: number, kept: number, size: number): void {
    this.insert(address, size);
    if (kept > 0) this.expectByte(subject, slot, address, 0);
    this.writeEnds(subject, slot, address, size);
  }

  private writeEnds(subject: ReplaySubject, slot: number, address: number, size: number): void {
    if (size === 0) return;
    const generation = this.blocks.generation[slot];
    subject.memory.setUint8(address, contentByte(generation, 0));
    subject.memory.setUint8(address + size - 1, contentByte(generation, size - 1));
  }

  private expectContents(subject: ReplaySubject, slot: number, address: number, size: number): void {
    if (size === 0) return;
    this.expectByte(subject, slot, address, 0);
    this.expectByte(subject, slot, address, size - 1);
  }

  private expectByte(subject: ReplaySubject, slot: number, address: number, offset: number): void {
    const expected = contentByte(this.blocks.generation[slot], offset);
    const found = subject.memory.getUint8(address + offset);
    if (found === expected) return;
    throw new VerificationError(
      `byte ${offset} of the block at 0x${address.toString(16)} is ${found}, the program stored ${expected}`,
    );
  }

  private expectZero(subject: ReplaySubject, address: number, size: number): void {
    for (const offset of size === 0 ? [] : [0, Math.floor(size / 2), size - 1]) {
      const found = subject.memory.getUint8(address + offset);
      if (found === 0) continue;
      throw new VerificationError(
        `byte ${offset} of a block from calloc at 0x${address.toString(16)} is ${found}, not 0`,
      );
    }
  }

  private insert(address: number, size: number): void {
    const start = address % TAG_UNIT;
    // A block of 0 bytes still has an address that no other block may have.
    const end = start + Math.max(size, 1);
    const index = this.indexOf(start);
    if (index > 0 && this.ends[index - 1] > start) this.overlap(index - 1, start, end);
    if (index < this.starts.length && this.starts[index] < end) this.overlap(index, start, end);
    this.starts.splice(index, 0, start);
    this.ends.splice(index, 0, end);
  }

  private remove(address: number): void {
    const index = this.indexOf(address % TAG_UNIT);
    this.starts.splice(index, 1);
    this.ends.splice(index, 1);
  }

  /** Index of the first range that starts at or after `start`. */
  private indexOf(start: number): number {
    let low = 0;
    let high = this.starts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.starts[middle] < start) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private overlap(index: number, start: number, end: number): never {
    const range = (from: number, to: number): string => `[0x${from.toString(16)}, 0x${to.toString(16)})`;
    throw new VerificationError(
      `the block at ${range(start, end)} overlaps the live block at ${range(this.starts[index], this.ends[index])}`,
    );
  }
}
