// Which block an address belongs to, and what is known of it: a chunk of the heap, live or freed, or a chunk of an arena.
// Names are given in the order of mention, so that reports of equal runs are equal texts.

import type { ChunkStacks } from "../common/heap-error.ts";
import type { Explanation } from "../inspection/explain.ts";
import type { Arenas } from "./arenas.ts";
import type { Block } from "./finding.ts";
import { parseFrames } from "./frames.ts";

export interface BlockSources {
  explain(address: number): Explanation;
  stacksOf(pointer: number): ChunkStacks | null;
}

/** Freed large chunks that are remembered after their mapping is gone. */
const REMEMBERED = 64;

export class Blocks {
  private readonly sources: BlockSources;
  private readonly arenas: Arenas;
  private readonly names = new Map<string, string>();
  /** Size before the last realloc, of chunks that grew. */
  private readonly grown = new Map<number, number>();
  private readonly freedPointers = new Float64Array(REMEMBERED);
  private readonly freedSizes = new Float64Array(REMEMBERED);
  private nextFreed = 0;

  constructor(sources: BlockSources, arenas: Arenas) {
    this.sources = sources;
    this.arenas = arenas;
  }

  noteGrowth(pointer: number, oldSize: number): void {
    this.grown.set(pointer, oldSize);
  }

  noteEnd(pointer: number): void {
    if (this.grown.size > 0) this.grown.delete(pointer);
  }

  noteFreedLarge(pointer: number, size: number): void {
    this.freedPointers[this.nextFreed] = pointer;
    this.freedSizes[this.nextFreed] = size;
    this.nextFreed = (this.nextFreed + 1) % REMEMBERED;
  }

  /** The block at or next to `address`, or null. */
  at(address: number): Block | null {
    return this.arenaBlock(address) ?? this.heapBlock(address) ?? this.freedLargeBlock(address);
  }

  /** Forgets the names, so that the next report's first block is A again. */
  forgetNames(): void {
    this.names.clear();
  }

  private arenaBlock(address: number): Block | null {
    const found = this.arenas.find(address);
    if (found === null) return null;
    const { chunk, arena } = found;
    return {
      name: this.nameOf(`${arena.name} ${chunk.address} ${chunk.serial}`),
      pointer: chunk.address,
      size: chunk.size,
      state: chunk.freed === null ? "live" : "freed",
      origin: "arena",
      grownFrom: null,
      arena: arena.name,
      allocation: chunk.allocated,
      free: chunk.freed ?? [],
    };
  }

  private heapBlock(address: number): Block | null {
    const { chunk } = this.sources.explain(address);
    if (chunk === null) return null;
    return this.describe(chunk.pointer, chunk.size, chunk.state === "allocated", chunk.origin);
  }

  private freedLargeBlock(address: number): Block | null {
    for (let age = 1; age <= REMEMBERED; age++) {
      const row = (this.nextFreed - age + REMEMBERED) % REMEMBERED;
      const pointer = this.freedPointers[row];
      if (pointer !== 0 && address >= pointer && address < pointer + this.freedSizes[row]) {
        return this.describe(pointer, this.freedSizes[row], false, null);
      }
    }
    return null;
  }

  /** A chunk of the heap. */
  describe(pointer: number, size: number, isLive: boolean, origin: Block["origin"] | null): Block {
    const stacks = this.sources.stacksOf(pointer);
    return {
      name: this.nameOf(`${pointer} ${stacks?.allocation ?? ""}`),
      pointer,
      size,
      state: isLive ? "live" : "freed",
      origin: origin ?? "unknown",
      grownFrom: isLive ? (this.grown.get(pointer) ?? null) : null,
      arena: null,
      allocation: parseFrames(stacks?.allocation ?? null),
      free: isLive ? [] : parseFrames(stacks?.free ?? null),
    };
  }

  private nameOf(key: string): string {
    let name = this.names.get(key);
    if (name === undefined) {
      name = `block ${letters(this.names.size)}`;
      this.names.set(key, name);
    }
    return name;
  }
}

/** A to Z, then AA, AB … as columns of a sheet. */
function letters(index: number): string {
  const last = String.fromCharCode(65 + (index % 26));
  return index < 26 ? last : letters(Math.floor(index / 26) - 1) + last;
}
