// Which block an address belongs to, and what is known of it: a chunk of the heap, live or freed, or a chunk of an arena.
// Names are given in the order of mention, so that reports of equal runs are equal texts.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { keepClass } from "../../platform/state/kept.ts";
import type { ChunkStacks } from "../common/heap-error.ts";
import type { ExplainedChunk, Explanation } from "../inspection/explain.ts";
import type { Arena, ArenaChunk, Arenas } from "./arenas.ts";
import type { Block } from "./finding.ts";
import { parseFrames } from "./frames.ts";
import { FreedBlocks } from "./freed-blocks.ts";

export interface BlockSources {
  explain(address: Address): Explanation;
  stacksOf(pointer: Address): ChunkStacks | null;
}

const HEADER_SIZE = 16;
/** Bytes around a chunk in which an access outside every chunk is said to be beside it. */
const NEAR = 64;
/** Puts freed chunks behind all live ones that are near. */
const FREED_RANK = 2 ** 40;

export class Blocks {
  readonly freed = new FreedBlocks();
  private readonly sources: BlockSources;
  private readonly arenas: Arenas;
  private readonly names: Map<string, string>;
  /** Size before the last realloc, of chunks that grew. */
  private readonly grown = new Map<number, number>();

  /** A forked process's blocks have the names that they have in its parent. */
  constructor(sources: BlockSources, arenas: Arenas, parent: Blocks | null) {
    this.sources = sources;
    this.arenas = arenas;
    this.names = parent?.names ?? new Map();
  }

  noteGrowth(pointer: Address, oldSize: ByteCount): void {
    this.grown.set(pointer, oldSize);
  }

  noteEnd(pointer: Address): void {
    if (this.grown.size > 0) this.grown.delete(pointer);
  }

  /** The block that holds `address`, or else the chunk of whose memory it is a part; null: no chunk is there. */
  at(address: Address): Block | null {
    return this.arenaBlock(this.arenas.find(address)) ?? this.heapBlock(address) ?? this.freedLargeBlock(address);
  }

  /**
   * The block that an access of `size` bytes at `address` was meant for, of which `bad` is the first byte that it may not
   * touch: the live block that it begins in, else the one that holds `bad`, else the nearest. Headers lie between chunks.
   */
  blamedFor(address: Address, size: ByteCount, bad: number): Block | null {
    const arena = this.arenaBlock(this.arenas.find(address) ?? this.arenas.nearest(bad));
    if (arena !== null) return arena;
    const first = this.sources.explain(address);
    const { chunk } = first;
    if (chunk !== null && first.place === "chunk" && chunk.state === "allocated") return this.describeChunk(chunk);
    const place = this.sources.explain(bad);
    if (place.chunk !== null && place.place === "chunk") return this.describeChunk(place.chunk);
    if (chunk !== null && first.place === "after-chunk") return this.describeChunk(chunk);
    const freed = this.freedLargeBlock(bad, 0);
    return freed ?? this.nearest(address, size, first) ?? this.freedLargeBlock(bad);
  }

  /** Of the chunks around an access, a live one before a freed one, then the nearest, then the one in front. */
  private nearest(address: Address, size: ByteCount, first: Explanation): Block | null {
    const front = first.block === null ? [] : [first.block.begin - 1];
    const behind = [address, address + size - 1, address + size + HEADER_SIZE];
    let best: ExplainedChunk | null = null;
    let bestRank = Number.POSITIVE_INFINITY;
    for (const at of [...front, address - HEADER_SIZE, address - NEAR, ...behind]) {
      const chunk = at < 0 ? null : this.sources.explain(at).chunk;
      if (chunk === null) continue;
      const distance = Math.max(0, address - (chunk.pointer + chunk.size), chunk.pointer - (address + size));
      if (distance > NEAR && chunk.pointer !== first.chunk?.pointer) continue;
      const rank = distance + (chunk.state === "allocated" ? 0 : FREED_RANK);
      if (rank < bestRank) {
        best = chunk;
        bestRank = rank;
      }
    }
    return best === null ? null : this.describeChunk(best);
  }

  /** The arena's chunk at `address`, or null. */
  arenaChunkAt(address: Address): Block | null {
    return this.arenaBlock(this.arenas.find(address));
  }

  /** A chunk that was live once: as it is now, or freed if something else lies there. */
  describeSource({ pointer, size }: { readonly pointer: Address; readonly size: ByteCount }): Block {
    const now = this.at(pointer);
    return now?.pointer === pointer && now.size === size ? now : this.describe(pointer, size, false, null);
  }

  /** A chunk that was live once, with what made it and the stack of that: as it is now, or freed if it is no more. */
  describeEarlier(pointer: Address, size: ByteCount, allocation: string | null, origin: Block["origin"] | null): Block {
    const now = this.at(pointer);
    const stack = this.sources.stacksOf(pointer)?.allocation ?? null;
    if (now?.pointer === pointer && now.size === size && stack === allocation) return now;
    return {
      name: this.nameOf(`${pointer} ${allocation ?? ""}`),
      pointer,
      size,
      state: "freed",
      origin: origin ?? this.freed.otherOrigin ?? "unknown",
      grownFrom: null,
      arena: null,
      allocation: parseFrames(allocation),
      free: [],
    };
  }

  /** Forgets the names, so that the next report's first block is A again. */
  forgetNames(): void {
    this.names.clear();
  }

  private arenaBlock(found: { arena: Arena; chunk: ArenaChunk } | null): Block | null {
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

  private heapBlock(address: Address): Block | null {
    const { chunk } = this.sources.explain(address);
    return chunk === null ? null : this.describeChunk(chunk);
  }

  private describeChunk({ pointer, size, state, origin }: ExplainedChunk): Block {
    return this.describe(pointer, size, state === "allocated", origin);
  }

  private freedLargeBlock(address: Address, room = NEAR): Block | null {
    const freed = this.freed.largeNear(address, room);
    return freed === null ? null : this.describe(freed.pointer, freed.size, false, freed.origin);
  }

  /** A chunk of the heap. */
  describe(pointer: Address, size: ByteCount, isLive: boolean, origin: Block["origin"] | null): Block {
    const stacks = this.sources.stacksOf(pointer);
    return {
      name: this.nameOf(`${pointer} ${stacks?.allocation ?? ""}`),
      pointer,
      size,
      state: isLive ? "live" : "freed",
      origin: origin ?? this.freed.originOf(pointer) ?? this.freed.otherOrigin ?? "unknown",
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

keepClass("Blocks", Blocks);
