// The large blocks in use: a doubly linked list through headers in simulated memory, right below each block (S11.2).
// Where blocks come from and go is decided in secondary.ts.

import type { Address } from "../../platform/hardware/integers.ts";
import type { Program } from "../common/program.ts";
import { loadWord, putWord, storeWord, wordIn, wordsAt } from "../common/words.ts";
import type { LargeMapping } from "./large-mapping.ts";

/**
 * The large-block header: six words right below the block, no checksum (S11.2).
 *
 * ```text
 *  block − 48   previous      block in use before this one, or 0
 *  block − 40   next          bits 0–39: the one after it, or 0; bits 40–47: the clean page's id
 *  block − 32   commitBase
 *  block − 24   commitSize
 *  block − 16   mapBase
 *  block −  8   mapSize
 *  block        chunk header  (chunk-header.ts)
 *  block + 16   user pointer
 * ```
 */
export const LARGE_HEADER_SIZE = 48;
const PREVIOUS = 0;
const NEXT = 8;
const COMMIT_BASE = 16;
const COMMIT_SIZE = 24;
const MAP_BASE = 32;
const MAP_SIZE = 40;
/** Places of 32-bit words in a header that is read or written by one translation; the id is in the upper half of its word. */
const COMMIT_BASE_PLACE = COMMIT_BASE / 4;
const COMMIT_SIZE_PLACE = COMMIT_SIZE / 4;
const MAP_BASE_PLACE = MAP_BASE / 4;
const MAP_SIZE_PLACE = MAP_SIZE / 4;
const CLEAN_ID_PLACE = NEXT / 4 + 1;
const CLEAN_ID_SHIFT = 8;
/** The clean page's id shares the `next` word, above every address. */
export const CLEAN_ID_UNIT = 2 ** 40;

/**
 * In order of allocation. `first` and `last` are blocks, i.e. addresses right behind a large-block header, or 0.
 */
export class LargeBlockList<P extends Program = Program> {
  protected readonly program: P;
  first = 0;
  last = 0;
  blocksInUse = 0;

  constructor(program: P) {
    this.program = program;
  }

  /** Reads a block's header into `row`. */
  load(block: Address, row: LargeMapping): LargeMapping {
    const { memory } = this.program;
    const header = block - LARGE_HEADER_SIZE;
    row.block = block;
    const place = wordsAt(memory, header, LARGE_HEADER_SIZE);
    if (place >= 0) {
      const { words } = memory;
      row.cleanId = words[place + CLEAN_ID_PLACE] >>> CLEAN_ID_SHIFT;
      return row.set(
        wordIn(words, place + MAP_BASE_PLACE),
        wordIn(words, place + MAP_SIZE_PLACE),
        wordIn(words, place + COMMIT_BASE_PLACE),
        wordIn(words, place + COMMIT_SIZE_PLACE),
      );
    }
    row.cleanId = this.cleanIdOf(block);
    return row.set(
      loadWord(memory, header + MAP_BASE),
      loadWord(memory, header + MAP_SIZE),
      loadWord(memory, header + COMMIT_BASE),
      loadWord(memory, header + COMMIT_SIZE),
    );
  }

  /** End of the committed area of a block in use. */
  blockEnd(block: Address): Address {
    const { memory } = this.program;
    const header = block - LARGE_HEADER_SIZE;
    return loadWord(memory, header + COMMIT_BASE) + loadWord(memory, header + COMMIT_SIZE);
  }

  commitBase(block: Address): Address {
    return loadWord(this.program.memory, block - LARGE_HEADER_SIZE + COMMIT_BASE);
  }

  previousBlock(block: Address): Address {
    return loadWord(this.program.memory, block - LARGE_HEADER_SIZE + PREVIOUS);
  }

  nextBlock(block: Address): Address {
    return loadWord(this.program.memory, block - LARGE_HEADER_SIZE + NEXT) % CLEAN_ID_UNIT;
  }

  cleanIdOf(block: Address): number {
    return Math.floor(loadWord(this.program.memory, block - LARGE_HEADER_SIZE + NEXT) / CLEAN_ID_UNIT);
  }

  /** Writes the header and appends the block to the list. A store that throws has linked nothing. */
  protected link(mapping: LargeMapping): void {
    const { block } = mapping;
    this.storeHeader(mapping, this.last);
    if (this.last === 0) this.first = block;
    else this.setNext(this.last, block);
    this.last = block;
    this.blocksInUse++;
  }

  /** The six words of the header of the list's last block, in their order. */
  protected storeHeader(mapping: LargeMapping, previous: number): void {
    const { memory } = this.program;
    const header = mapping.block - LARGE_HEADER_SIZE;
    // The first store takes the page's fault.
    storeWord(memory, header + PREVIOUS, previous);
    const place = wordsAt(memory, header, LARGE_HEADER_SIZE);
    if (place >= 0) {
      const { words } = memory;
      putWord(words, place + NEXT / 4, mapping.cleanId * CLEAN_ID_UNIT);
      putWord(words, place + COMMIT_BASE_PLACE, mapping.commitBase);
      putWord(words, place + COMMIT_SIZE_PLACE, mapping.commitSize);
      putWord(words, place + MAP_BASE_PLACE, mapping.mapBase);
      putWord(words, place + MAP_SIZE_PLACE, mapping.mapSize);
      return;
    }
    storeWord(memory, header + NEXT, mapping.cleanId * CLEAN_ID_UNIT);
    storeWord(memory, header + COMMIT_BASE, mapping.commitBase);
    storeWord(memory, header + COMMIT_SIZE, mapping.commitSize);
    storeWord(memory, header + MAP_BASE, mapping.mapBase);
    storeWord(memory, header + MAP_SIZE, mapping.mapSize);
  }

  private setNext(block: Address, next: Address): void {
    storeWord(this.program.memory, block - LARGE_HEADER_SIZE + NEXT, this.cleanIdOf(block) * CLEAN_ID_UNIT + next);
  }

  /** Touches what unlinking writes to, so that a free cannot fail once the chunk's header says that it is free. */
  prepareDeallocate(block: Address): void {
    const previous = this.previousBlock(block);
    const next = this.nextBlock(block);
    if (previous !== 0) this.program.touch(previous - LARGE_HEADER_SIZE);
    if (next !== 0) this.program.touch(next - LARGE_HEADER_SIZE);
  }

  /** Takes a block off the list; `previous` and `next` are given where its header is no longer at its place. */
  protected unlink(block: Address, previous = this.previousBlock(block), next = this.nextBlock(block)): void {
    if (previous !== 0) this.program.touch(previous - LARGE_HEADER_SIZE);
    if (next !== 0) this.program.touch(next - LARGE_HEADER_SIZE);
    if (previous !== 0) this.setNext(previous, next);
    if (next !== 0) storeWord(this.program.memory, next - LARGE_HEADER_SIZE + PREVIOUS, previous);
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
