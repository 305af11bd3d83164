// Arenas: the chunks that a program deals out of memory of its own, as Valgrind's mempools know them.
// What is marked when a chunk begins or ends is requests.ts; here is only which chunks there are.

import type { Frame } from "./frames.ts";

export interface ArenaChunk {
  readonly address: number;
  size: number;
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
  /** Bytes around each chunk that nobody may access. */
  readonly redzoneBytes: number;
  /** Whether chunks begin as zeroes that count as written. */
  readonly isZeroed: boolean;
  /** Live and freed chunks by address; a new chunk replaces the freed ones that it covers. */
  readonly chunks: Map<number, ArenaChunk>;
}

export class Arenas {
  private readonly byPool = new Map<number, Arena>();
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

  delete(pool: number): void {
    this.byPool.delete(pool);
  }

  move(from: number, to: number): void {
    const arena = this.byPool.get(from);
    if (arena === undefined) return;
    this.byPool.delete(from);
    this.byPool.set(to, { ...arena, pool: to });
  }

  addChunk(arena: Arena, address: number, size: number, allocated: readonly Frame[]): void {
    for (const [at, chunk] of arena.chunks) {
      if (chunk.freed !== null && at < address + size && at + chunk.size > address) arena.chunks.delete(at);
    }
    arena.chunks.set(address, { address, size, serial: ++this.serial, allocated, freed: null });
  }

  /** The chunk that holds `address`, live ones first. */
  find(address: number): { arena: Arena; chunk: ArenaChunk } | null {
    let freed: { arena: Arena; chunk: ArenaChunk } | null = null;
    for (const arena of this.byPool.values()) {
      for (const chunk of arena.chunks.values()) {
        if (address < chunk.address || address >= chunk.address + chunk.size) continue;
        if (chunk.freed === null) return { arena, chunk };
        freed = { arena, chunk };
      }
    }
    return freed;
  }

  get count(): number {
    return this.byPool.size;
  }
}
