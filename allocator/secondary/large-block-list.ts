// The large blocks in use: a doubly linked list through headers in simulated memory, right below each block (S11.2).
// Where blocks come from and go is secondary.ts's business.

import type { Program } from "../common/program.ts";
import { loadWord, storeWord } from "../common/words.ts";

/** The large-block header: six words right below the block, no checksum (S11.2). */
export const LARGE_HEADER_SIZE = 48;
const PREVIOUS = 0;
const NEXT = 8;
const COMMIT_BASE = 16;
const COMMIT_SIZE = 24;
const MAP_BASE = 32;
const MAP_SIZE = 40;
/** The clean page's id shares the `next` word, above every address. */
const CLEAN_ID_UNIT = 2 ** 40;

/**
 * In order of allocation. `first` and `last` are blocks, i.e. addresses right behind a large-block header, or 0.
 */
export class LargeBlockList {
  protected readonly program: Program;
  first = 0;
  last = 0;
  blocksInUse = 0;

  constructor(program: Program) {
    this.program = program;
  }

  /** End of the committed area of a block in use. */
  blockEnd(block: number): number {
    const { memory } = this.program;
    const header = block - LARGE_HEADER_SIZE;
    return loadWord(memory, header + COMMIT_BASE) + loadWord(memory, header + COMMIT_SIZE);
  }

  commitBase(block: number): number {
    return loadWord(this.program.memory, block - LARGE_HEADER_SIZE + COMMIT_BASE);
  }

  commitSizeOf(block: number): number {
    return loadWord(this.program.memory, block - LARGE_HEADER_SIZE + COMMIT_SIZE);
  }

  mapBaseOf(block: number): number {
    return loadWord(this.program.memory, block - LARGE_HEADER_SIZE + MAP_BASE);
  }

  mapSizeOf(block: number): number {
    return loadWord(this.program.memory, block - LARGE_HEADER_SIZE + MAP_SIZE);
  }

  nextBlock(block: number): number {
    return loadWord(this.program.memory, block - LARGE_HEADER_SIZE + NEXT) % CLEAN_ID_UNIT;
  }

  cleanIdOf(block: number): number {
    return Math.floor(loadWord(this.program.memory, block - LARGE_HEADER_SIZE + NEXT) / CLEAN_ID_UNIT);
  }

  /** Writes the header and appends the block to the list. A store that throws has linked nothing. */
  protected link(
    block: number,
    commitBase: number,
    commitSize: number,
    mapBase: number,
    mapSize: number,
    cleanId: number,
  ): void {
    const header = block - LARGE_HEADER_SIZE;
    this.storeHeader(header, this.last, cleanId * CLEAN_ID_UNIT, commitBase, commitSize, mapBase, mapSize);
    if (this.last === 0) this.first = block;
    else this.setNext(this.last, block);
    this.last = block;
    this.blocksInUse++;
  }

  /** The six words of a large-block header, in their order. */
  protected storeHeader(
    header: number,
    previous: number,
    next: number,
    commitBase: number,
    commitSize: number,
    mapBase: number,
    mapSize: number,
  ): void {
    const { memory } = this.program;
    storeWord(memory, header + PREVIOUS, previous);
    storeWord(memory, header + NEXT, next);
    storeWord(memory, header + COMMIT_BASE, commitBase);
    storeWord(memory, header + COMMIT_SIZE, commitSize);
    storeWord(memory, header + MAP_BASE, mapBase);
    storeWord(memory, header + MAP_SIZE, mapSize);
  }

  private setNext(block: number, next: number): void {
    storeWord(this.program.memory, block - LARGE_HEADER_SIZE + NEXT, this.cleanIdOf(block) * CLEAN_ID_UNIT + next);
  }

  /** Touches what unlinking writes to, so that a free cannot fail once the chunk's header says that it is free. */
  prepareDeallocate(block: number): void {
    const previous = loadWord(this.program.memory, block - LARGE_HEADER_SIZE + PREVIOUS);
    const next = this.nextBlock(block);
    if (previous !== 0) this.program.touch(previous - LARGE_HEADER_SIZE);
    if (next !== 0) this.program.touch(next - LARGE_HEADER_SIZE);
  }

  protected unlink(block: number): void {
    const { memory } = this.program;
    const previous = loadWord(memory, block - LARGE_HEADER_SIZE + PREVIOUS);
    const next = this.nextBlock(block);
    this.prepareDeallocate(block);
    if (previous !== 0) this.setNext(previous, next);
    if (next !== 0) storeWord(memory, next - LARGE_HEADER_SIZE + PREVIOUS, previous);
    if (previous === 0) this.first = next;
    if (next === 0) this.last = previous;
    this.blocksInUse--;
  }

  /** The list of the forked process: its headers are in memory, which fork copied. */
  protected copyListFrom(other: LargeBlockList): void {
    this.first = other.first;
    this.last = other.last;
    this.blocksInUse = other.blocksInUse;
  }
}
