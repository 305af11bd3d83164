// Lifetimes: growth by realloc, reuse of freed memory, arenas and pools, and what the heap itself reports.
import type { Heap } from "../../../allocator/index.ts";
import { type CorpusProgram, sum } from "./program.ts";

const LARGE = 256 * 1024;

/** A bump arena in one chunk; it describes its chunks to the checker as Valgrind's mempools are. */
class BumpArena {
  readonly base: number;
  private readonly heap: Heap;
  private readonly size: number;
  private next: number;

  constructor(heap: Heap, size: number) {
    this.heap = heap;
    this.size = size;
    this.base = heap.malloc(size);
    this.next = this.base;
    heap.checker.makeNoAccess(this.base, size);
    heap.checker.createMempool(this.base, { name: "the arena" });
  }

  allocate(size: number): number {
    const at = this.next;
    this.next += Math.ceil(size / 16) * 16;
    this.heap.checker.mempoolAlloc(this.base, at, size);
    return at;
  }

  reset(): void {
    this.next = this.base;
    this.heap.checker.mempoolTrim(this.base, this.base, 0);
  }

  end(): void {
    this.heap.checker.destroyMempool(this.base);
    this.heap.checker.makeUndefined(this.base, this.size);
    this.heap.free(this.base);
  }
}

export const lifetimes: readonly CorpusProgram[] = [
  {
    name: "realloc-growth",
    cwe: 908,
    bug: "uninitialised",
    what: "a vector grows, and an element that was not pushed yet is read",
    run(heap, variant) {
      let vector = heap.malloc(16);
      for (let i = 0; i < 4; i++) heap.memory.setUint32(vector + i * 4, i);
      vector = heap.realloc(vector, 200);
      const count = variant === "right" ? 4 : 5;
      let total = 0;
      for (let i = 0; i < count; i++) total += heap.memory.getUint32(vector + i * 4);
      heap.free(vector);
      return total;
    },
  },
  {
    name: "realloc-growth-in-place",
    cwe: 908,
    bug: "uninitialised",
    what: "growth inside the block: nothing moves, and the new bytes are old ones",
    run(heap, variant) {
      const p = heap.malloc(20);
      heap.memory.fill(p, 1, 20);
      const q = heap.realloc(p, 28);
      if (variant === "right") heap.memory.fill(q + 20, 1, 8);
      const total = sum(heap.memory.read(q, 28));
      heap.free(q);
      return total;
    },
  },
  {
    name: "realloc-growth-large",
    cwe: 908,
    bug: "uninitialised",
    what: "a large buffer is doubled and read beyond what was there",
    run(heap, variant) {
      let buffer = heap.malloc(LARGE);
      heap.memory.fill(buffer, 1, LARGE);
      buffer = heap.realloc(buffer, 2 * LARGE);
      const byte = heap.memory.getUint8(buffer + (variant === "right" ? LARGE - 1 : LARGE + 50_000));
      heap.free(buffer);
      return byte;
    },
  },
  {
    name: "reallocarray-zeroed-once",
    cwe: 665,
    bug: "uninitialised",
    what: "calloc's zeroes are expected of reallocarray's growth",
    run(heap, variant) {
      let table = heap.calloc(4, 8);
      table = heap.reallocarray(table, 64, 8);
      if (variant === "right") heap.memory.fill(table + 32, 0, 60 * 8);
      const total = sum(heap.memory.read(table, 512));
      heap.free(table);
      return total;
    },
  },
  {
    name: "hash-table-rehash",
    cwe: 665,
    bug: "uninitialised",
    what: "the new table of a rehash is probed before its slots are marked empty",
    run(heap, variant) {
      const slots = 32;
      const table = heap.malloc(slots * 8);
      if (variant === "right") for (let i = 0; i < slots; i++) heap.memory.setUint32(table + i * 8, 0);
      let probes = 0;
      let slot = 13;
      while (probes < slots && heap.memory.getUint32(table + slot * 8) !== 0) {
        slot = (slot + 1) % slots;
        probes++;
      }
      heap.free(table);
      return probes;
    },
  },
  {
    name: "reused-chunk",
    cwe: 226,
    bug: "uninitialised",
    what: "a session's secret is read from the chunk of the session before",
    run(heap, variant) {
      const old = heap.malloc(48);
      heap.memory.fill(old, 0x53, 48);
      heap.free(old);
      const fresh = heap.malloc(48);
      if (variant === "right") heap.memory.fill(fresh, 0, 48);
      const total = sum(heap.memory.read(fresh, 48));
      heap.free(fresh);
      return total;
    },
  },
  {
    name: "reused-large-chunk",
    cwe: 226,
    bug: "uninitialised",
    what: "the same with a buffer that has a mapping of its own",
    run(heap, variant) {
      const old = heap.malloc(LARGE);
      heap.memory.fill(old, 0x53, LARGE);
      heap.free(old);
      const fresh = variant === "right" ? heap.calloc(1, LARGE) : heap.malloc(LARGE);
      const byte = heap.memory.getUint8(fresh + 70_000);
      heap.free(fresh);
      return byte;
    },
  },
  {
    name: "stale-arena-reuse",
    cwe: 226,
    bug: "uninitialised",
    what: "an arena is reset, and a new object reads as the old one at its place",
    run(heap, variant) {
      const arena = new BumpArena(heap, 1024);
      const first = arena.allocate(32);
      heap.memory.fill(first, 9, 32);
      arena.reset();
      const second = arena.allocate(32);
      if (variant === "right") heap.memory.fill(second, 0, 32);
      const value = heap.memory.getUint32(second + 8);
      arena.end();
      return value;
    },
  },
  {
    name: "arena-gap",
    cwe: 125,
    bug: "out-of-bounds",
    what: "an object's end is read from the gap between two objects of an arena",
    run(heap, variant) {
      const arena = new BumpArena(heap, 1024);
      const first = arena.allocate(20);
      heap.memory.fill(first, 1, 20);
      const second = arena.allocate(20);
      heap.memory.fill(second, 2, 20);
      const byte = heap.memory.getUint8(first + (variant === "right" ? 19 : 20));
      arena.end();
      return byte;
    },
  },
  {
    name: "arena-use-after-reset",
    cwe: 416,
    bug: "use-after-free",
    what: "a pointer into an arena outlives the arena's reset",
    run(heap, variant) {
      const arena = new BumpArena(heap, 1024);
      const object = arena.allocate(32);
      heap.memory.fill(object, 4, 32);
      const early = heap.memory.getUint8(object);
      arena.reset();
      const value = variant === "right" ? early : heap.memory.getUint8(object) + 0;
      arena.end();
      return value;
    },
  },
  {
    name: "free-list-link",
    cwe: 908,
    bug: "uninitialised",
    what: "an object from a pool is used before its constructor ran",
    run(heap, variant) {
      const pool = [1, 2, 3].map(() => heap.malloc(64));
      const object = pool[1];
      if (variant === "right") heap.memory.fill(object, 0, 64);
      const references = heap.memory.getUint32(object + 16);
      for (const p of pool) heap.free(p);
      return references;
    },
  },
  {
    name: "moved-elements",
    cwe: 665,
    bug: "uninitialised",
    what: "elements are shifted up for an insertion that does not happen",
    run(heap, variant) {
      const array = heap.malloc(10 * 4);
      for (let i = 0; i < 5; i++) heap.memory.setUint32(array + i * 4, i);
      heap.memory.copy(array + 8 * 4, array + 3 * 4, 2 * 4);
      if (variant === "right") for (let i = 5; i < 8; i++) heap.memory.setUint32(array + i * 4, 0);
      const total = sum(heap.memory.read(array, 40));
      heap.free(array);
      return total;
    },
  },
  {
    name: "copied-undefinedness",
    cwe: 908,
    bug: "uninitialised",
    what: "a buffer that was never filled is copied twice, then used far away",
    run(heap, variant) {
      const chain = [1, 2, 3].map(() => heap.malloc(40));
      if (variant === "right") heap.memory.fill(chain[0], 1, 40);
      heap.memory.copy(chain[1], chain[0], 40);
      heap.memory.copy(chain[2], chain[1], 40);
      const value = heap.memory.getUint16(chain[2] + 31);
      for (const p of chain) heap.free(p);
      return value;
    },
  },
  {
    name: "remote-copy",
    cwe: 200,
    bug: "uninitialised",
    what: "process_vm_writev gives another process bytes that were never written",
    run(heap, variant) {
      const source = heap.malloc(64);
      heap.memory.fill(source, 3, variant === "right" ? 64 : 60);
      const target = heap.calloc(1, 64);
      heap.process.process_vm_writev(heap.process.pid, [[source, 64]], [[target, 64]]);
      const total = sum(heap.memory.read(target, 64));
      heap.free(source);
      heap.free(target);
      return total;
    },
  },
  {
    name: "aligned-buffer-tail",
    cwe: 908,
    bug: "uninitialised",
    what: "a vector loop reads a whole lane behind the elements",
    run(heap, variant) {
      const floats = heap.memalign(64, 64);
      for (let i = 0; i < 13; i++) heap.memory.setFloat32(floats + i * 4, 1);
      if (variant === "right") for (let i = 13; i < 16; i++) heap.memory.setFloat32(floats + i * 4, 0);
      let total = 0;
      for (let i = 0; i < 16; i++) total += heap.memory.getFloat32(floats + i * 4);
      heap.free(floats);
      return total;
    },
  },
];
