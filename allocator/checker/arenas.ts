// Arenas: the chunks that a program deals out of memory of its own, as Valgrind's mempools know them.
// What is marked when a chunk begins or ends is requests.ts; here is only which chunks there are.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { keepClass } from "../../platform/state/kept.ts";
import type { Frame } from "./frames.ts";

export interface ArenaChunk {
  address: Address;
  size: ByteCount;
  /** Tells chunks apart that lay at the same address. */
  readonly serial: number;
  readonly allocated: readonly Frame[];
  /** Where it was freed; null while it lives. */
  freed: readonly Frame[] | null;
}

export interface Arena {
  /** "arena 1" in order of creation, or what the program called it. */
  readonly name: string;
  readonly pool: number;
  /** Bytes around each chunk that no access may touch. */
  readonly redzoneBytes: number;
  /** Whether chunks begin as zeroes that count as written. */
  readonly isZeroed: boolean;
  /** Live and freed chunks by address; a new chunk replaces the freed ones that it covers. */
  readonly chunks: Map<number, ArenaChunk>;
}

/** Puts freed chunks behind all live ones. */
const FREED_RANK = 2 ** 40;
/** Arenas that are remembered after their end. */
const ENDED = 64;

export class Arenas {
  private readonly byPool = new Map<number, Arena>();
  /** Arenas that ended, whose chunks reports may still be about. */
  private ended: Arena[] = [];
  private created = 0;
  private serial = 0;

  get(pool: number): Arena | undefined {
    return this.byPool.get(pool);
  }

  create(pool: number, options: { name?: string; redzoneBytes: number; isZeroed: boolean }): Arena {
    this.created++;
    const { redzoneBytes, isZeroed, name = `arena ${this.created}` } = options;
    const arena: Arena = { name, pool, redzoneBytes, isZeroed, chunks: new Map() };
    this.byPool.set(pool, arena);
    return arena;
  }

  /** The arena ends; its freed chunks are remembered. */
  delete(pool: number): void {
    const arena = this.byPool.get(pool);
    this.byPool.delete(pool);
    if (arena === undefined || arena.chunks.size === 0) return;
    this.ended.push(arena);
    if (this.ended.length > ENDED) this.ended.shift();
  }

  move(from: Address, to: Address): void {
    const arena = this.byPool.get(from);
    if (arena === undefined) return;
    this.byPool.delete(from);
    this.byPool.set(to, { ...arena, pool: to });
  }

  addChunk(arena: Arena, address: Address, size: ByteCount, allocated: readonly Frame[]): ArenaChunk {
    for (const [at, chunk] of arena.chunks) {
      if (chunk.freed !== null && at < address + size && at + chunk.size > address) arena.chunks.delete(at);
    }
    const chunk: ArenaChunk = { address, size, serial: ++this.serial, allocated, freed: null };
    arena.chunks.set(address, chunk);
    return chunk;
  }

  /** A chunk is somewhere else, or of another size. */
  place(arena: Arena, chunk: ArenaChunk, address: Address, size: ByteCount): void {
    arena.chunks.delete(chunk.address);
    chunk.address = address;
    chunk.size = size;
    arena.chunks.set(address, chunk);
  }

  /** The chunk that holds `address`, live ones first. */
  find(address: Address): { arena: Arena; chunk: ArenaChunk } | null {
    let freed: { arena: Arena; chunk: ArenaChunk } | null = null;
    for (const arena of this.all()) {
      for (const chunk of arena.chunks.values()) {
        if (address < chunk.address || address >= chunk.address + chunk.size) continue;
        if (chunk.freed === null) return { arena, chunk };
        freed = { arena, chunk };
      }
    }
    return freed;
  }

  /** The live chunk that holds `address`, or null. */
  chunkAt(address: Address): { readonly pointer: Address; readonly size: ByteCount } | null {
    const chunk = this.isEmpty ? null : (this.find(address)?.chunk ?? null);
    return chunk === null || chunk.freed !== null ? null : { pointer: chunk.address, size: chunk.size };
  }

  /** The chunk that holds `address`, or else the one in whose redzone it lies: live ones first, then the nearest. */
  nearest(address: Address): { arena: Arena; chunk: ArenaChunk } | null {
    const holder = this.find(address);
    if (holder !== null) return holder;
    let best: { arena: Arena; chunk: ArenaChunk } | null = null;
    let bestRank = Number.POSITIVE_INFINITY;
    for (const arena of this.all()) {
      for (const chunk of arena.chunks.values()) {
        const distance = Math.max(chunk.address - address, address - (chunk.address + chunk.size) + 1);
        if (distance > arena.redzoneBytes) continue;
        const rank = distance + (chunk.freed === null ? 0 : FREED_RANK);
        if (rank < bestRank) {
          best = { arena, chunk };
          bestRank = rank;
        }
      }
    }
    return best;
  }

  /** Live chunks of all arenas that begin in a range. */
  liveIn(address: Address, size: ByteCount): ArenaChunk[] {
    const found: ArenaChunk[] = [];
    for (const arena of this.all()) {
      for (const chunk of arena.chunks.values()) {
        if (chunk.freed === null && chunk.address >= address && chunk.address < address + size) found.push(chunk);
      }
    }
    return found;
  }

  /** The memory of chunks is the heap's again, and so no arena's. */
  forgetIn(address: Address, size: ByteCount): void {
    for (const arena of this.all()) {
      for (const [at, chunk] of arena.chunks) {
        if (at < address + size && at + chunk.size > address) arena.chunks.delete(at);
      }
    }
    this.ended = this.ended.filter((arena) => arena.chunks.size > 0);
  }

  private *all(): Generator<Arena> {
    yield* this.byPool.values();
    yield* this.ended;
  }

  /** Whether no arena's chunk can be met. */
  get isEmpty(): boolean {
    return this.byPool.size === 0 && this.ended.length === 0;
  }

  /** How many arenas there are, ended ones that are remembered excepted. */
  get count(): number {
    return this.byPool.size;
  }
}

keepClass("Arenas", Arenas);
