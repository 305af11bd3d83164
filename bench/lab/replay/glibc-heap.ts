// A model of glibc's malloc (2.36, main arena) for replays: what a program had that brings no allocator of its own. Chunks,
// bins, the top, trimming and the sliding mmap threshold as in its source; its words beside the blocks are stored to, so
// that the same pages become resident. Lists are kept outside of the simulated memory. Other arenas are left out.

import { SystemError } from "../../../platform/kernel/abi/errors.ts";
import {
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  MREMAP_MAYMOVE,
  PROT_READ,
  PROT_WRITE,
} from "../../../platform/kernel/abi/mman.ts";
import type { Process } from "../../../platform/kernel/process.ts";

const PAGE_BYTES = 4096;
/** MALLOC_ALIGNMENT, SIZE_SZ, MINSIZE. */
const UNIT = 16;
const WORD_BYTES = 8;
const SMALLEST_CHUNK = 32;
/** TCACHE_MAX_BINS and TCACHE_FILL_COUNT: chunks of up to 1040 bytes, 7 of a size. */
const LARGEST_CACHED = 1040;
const CACHED_OF_A_SIZE = 7;
/** global_max_fast: chunks that are freed without joining their neighbours. */
const LARGEST_FAST = 128;
const FIRST_LARGE_BIN = 1024;
const CONSOLIDATED_FROM = 65536;
/** DEFAULT_TOP_PAD, DEFAULT_TRIM_THRESHOLD, DEFAULT_MMAP_THRESHOLD_MIN and _MAX. */
const TOP_PAD = 131072;
const FIRST_TRIM_THRESHOLD = 131072;
const FIRST_MMAP_THRESHOLD = 131072;
const LARGEST_MMAP_THRESHOLD = 32 * 2 ** 20;

/** What a chunk is; one in a cache counts as used for its neighbours. */
const STATE = { used: 1, free: 2, cached: 3 } as const;

/** Addresses of chunks are those of their heads: a block begins 16 bytes later, its size stands in the 8 bytes before it. */
export class GlibcHeap {
  private readonly process: Process;
  private readonly start: number;
  /** End of the memory from brk. */
  private end: number;
  private top: number;
  /** By address of the chunk: its size, and what it is. */
  private readonly size = new Map<number, number>();
  private readonly state = new Map<number, number>();
  /** By address of a chunk, the one before it, if that is free. */
  private readonly freeBefore = new Map<number, number>();
  private readonly cached = new Map<number, number[]>();
  private readonly fast = new Map<number, number[]>();
  /** Free chunks by size; and the sizes, ascending. */
  private readonly bins = new Map<number, Set<number>>();
  private binSizes: number[] = [];
  private readonly mapped = new Map<number, number>();
  private mmapThreshold = FIRST_MMAP_THRESHOLD;
  private trimThreshold = FIRST_TRIM_THRESHOLD;

  constructor(process: Process) {
    this.process = process;
    this.start = Math.ceil(process.brk(0) / UNIT) * UNIT;
    this.end = this.start;
    this.top = this.start;
  }

  malloc(bytes: number): number {
    return this.allocate(chunkSize(bytes)).block;
  }

  /** Fresh memory from the kernel is not written. */
  calloc(count: number, bytes: number): number {
    const { block, isFresh } = this.allocate(chunkSize(count * bytes));
    if (block !== 0 && !isFresh && count * bytes > 0) this.process.memory.fill(block, 0, count * bytes);
    return block;
  }

  memalign(alignment: number, bytes: number): number {
    if (alignment <= UNIT) return this.malloc(bytes);
    const wanted = chunkSize(bytes);
    const { block } = this.allocate(wanted + alignment + SMALLEST_CHUNK);
    if (block === 0) return 0;
    const chunk = block - UNIT;
    if (this.mapped.has(chunk)) return this.moveMapped(chunk, alignment);
    let aligned = Math.ceil(block / alignment) * alignment - UNIT;
    if (aligned !== chunk && aligned - chunk < SMALLEST_CHUNK) aligned += alignment;
    if (aligned !== chunk) {
      const whole = this.size.get(chunk)!;
      this.use(chunk, aligned - chunk);
      this.use(aligned, whole - (aligned - chunk));
      this.release(chunk);
    }
    this.cut(aligned, wanted);
    return aligned + UNIT;
  }

  free(block: number): void {
    const chunk = block - UNIT;
    const mapped = this.mapped.get(chunk);
    if (mapped !== undefined) {
      this.mapped.delete(chunk);
      if (mapped > this.mmapThreshold && mapped <= LARGEST_MMAP_THRESHOLD) {
        this.mmapThreshold = mapped;
        this.trimThreshold = 2 * mapped;
      }
      this.process.munmap(Math.floor(chunk / PAGE_BYTES) * PAGE_BYTES, mapped);
      return;
    }
    const size = this.size.get(chunk)!;
    this.store(block);
    const cached = size <= LARGEST_CACHED ? listOf(this.cached, size) : null;
    if (cached !== null && cached.length < CACHED_OF_A_SIZE) {
      cached.push(chunk);
      this.state.set(chunk, STATE.cached);
    } else if (size <= LARGEST_FAST) {
      listOf(this.fast, size).push(chunk);
      this.state.set(chunk, STATE.cached);
    } else this.release(chunk);
  }

  realloc(block: number, bytes: number, oldBytes: number): number {
    const chunk = block - UNIT;
    const wanted = chunkSize(bytes);
    if (this.mapped.has(chunk)) return this.reallocMapped(chunk, wanted, bytes, oldBytes);
    const size = this.size.get(chunk)!;
    if (wanted > size) {
      const next = chunk + size;
      if (next === this.top && size + this.end - this.top >= wanted + SMALLEST_CHUNK) {
        this.top = chunk + wanted;
        this.use(chunk, wanted);
        this.store(this.top + WORD_BYTES);
        return block;
      }
      if (this.state.get(next) !== STATE.free || size + this.size.get(next)! < wanted) {
        return this.copied(block, bytes, oldBytes);
      }
      const joined = size + this.size.get(next)!;
      this.unbin(next);
      this.forget(next);
      this.use(chunk, joined);
    }
    this.cut(chunk, wanted);
    return block;
  }

  private reallocMapped(chunk: number, wanted: number, bytes: number, oldBytes: number): number {
    const length = pages(wanted + WORD_BYTES);
    const before = this.mapped.get(chunk)!;
    if (wanted < this.mmapThreshold && before !== length) return this.copied(chunk + UNIT, bytes, oldBytes);
    if (before === length) return chunk + UNIT;
    const base = Math.floor(chunk / PAGE_BYTES) * PAGE_BYTES;
    try {
      const moved = this.process.mremap(base, before, length, MREMAP_MAYMOVE) + (chunk - base);
      this.mapped.delete(chunk);
      this.mapped.set(moved, length);
      return moved + UNIT;
    } catch (error) {
      if (error instanceof SystemError) return 0;
      throw error;
    }
  }

  private copied(block: number, bytes: number, oldBytes: number): number {
    const made = this.malloc(bytes);
    if (made === 0) return 0;
    this.process.memory.copy(made, block, Math.min(bytes, oldBytes));
    this.free(block);
    return made;
  }

  private allocate(wanted: number): { readonly block: number; readonly isFresh: boolean } {
    const reused = this.reuse(wanted);
    if (reused !== 0) return { block: reused + UNIT, isFresh: false };
    const isMapped = wanted >= this.mmapThreshold && this.end - this.top < wanted + SMALLEST_CHUNK;
    const topWas = this.end;
    const chunk = isMapped ? this.map(wanted) : this.fromTop(wanted);
    if (chunk === 0) return { block: 0, isFresh: false };
    return { block: chunk + UNIT, isFresh: isMapped || chunk >= topWas };
  }

  /** A freed chunk; 0 if none fits. */
  private reuse(wanted: number): number {
    const exact =
      (wanted <= LARGEST_CACHED ? this.cached.get(wanted)?.pop() : undefined) ?? this.fast.get(wanted)?.pop();
    if (exact !== undefined) {
      this.state.set(exact, STATE.used);
      return exact;
    }
    if (wanted >= FIRST_LARGE_BIN) this.consolidate();
    const index = lowerBound(this.binSizes, wanted);
    if (index === this.binSizes.length) return 0;
    const [chunk] = this.bins.get(this.binSizes[index])!;
    const size = this.size.get(chunk)!;
    this.unbin(chunk);
    this.use(chunk, size);
    this.cut(chunk, wanted);
    return chunk;
  }

  private fromTop(wanted: number): number {
    if (this.end - this.top < wanted + SMALLEST_CHUNK) {
      const end = pages(this.top + wanted + SMALLEST_CHUNK + TOP_PAD);
      if (this.process.brk(end) !== end) return 0;
      this.end = end;
    }
    const chunk = this.top;
    this.top += wanted;
    this.use(chunk, wanted);
    this.store(this.top + WORD_BYTES);
    return chunk;
  }

  private map(wanted: number): number {
    const length = pages(wanted + WORD_BYTES);
    try {
      const chunk = this.process.mmap(0, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
      this.mapped.set(chunk, length);
      this.store(chunk + WORD_BYTES);
      return chunk;
    } catch (error) {
      if (error instanceof SystemError) return 0;
      throw error;
    }
  }

  /** An aligned block in a mapping of its own: the bytes in front stay in it. */
  private moveMapped(chunk: number, alignment: number): number {
    const aligned = Math.ceil((chunk + UNIT) / alignment) * alignment - UNIT;
    const length = this.mapped.get(chunk)!;
    this.mapped.delete(chunk);
    // munmap goes by whole pages from the chunk's own page on: what lies before is given back now.
    const skipped = Math.floor(aligned / PAGE_BYTES) * PAGE_BYTES - chunk;
    if (skipped > 0) this.process.munmap(chunk, skipped);
    this.mapped.set(aligned, length - Math.max(skipped, 0));
    return aligned + UNIT;
  }

  /** _int_free beyond the caches: after a large one, fast chunks are joined too and the top may be trimmed. */
  private release(chunk: number): void {
    if (this.join(chunk) < CONSOLIDATED_FROM) return;
    this.consolidate();
    if (this.end - this.top >= this.trimThreshold) this.trim();
  }

  /** Joins a chunk with free neighbours and puts it into its bin, or into the top. Answers the size that came of it. */
  private join(chunk: number): number {
    let size = this.size.get(chunk)!;
    let from = chunk;
    const before = this.freeBefore.get(chunk);
    if (before !== undefined) {
      this.unbin(before);
      size += this.size.get(before)!;
      this.forget(chunk);
      from = before;
    }
    const next = from + size;
    if (next === this.top) {
      this.forget(from);
      this.top = from;
      size = this.end - from;
      this.store(from + WORD_BYTES);
    } else {
      if (this.state.get(next) === STATE.free) {
        this.unbin(next);
        size += this.size.get(next)!;
        this.forget(next);
      }
      this.bin(from, size);
    }
    return size;
  }

  /** systrim: the top keeps TOP_PAD. */
  private trim(): void {
    const extra = Math.floor((this.end - this.top - SMALLEST_CHUNK - 1 - TOP_PAD) / PAGE_BYTES) * PAGE_BYTES;
    if (extra <= 0) return;
    this.end -= extra;
    this.process.brk(this.end);
  }

  /** malloc_consolidate. */
  private consolidate(): void {
    for (const list of this.fast.values()) {
      for (let chunk = list.pop(); chunk !== undefined; chunk = list.pop()) this.join(chunk);
    }
  }

  /** Gives the end of a used chunk back, if it is a chunk by itself. */
  private cut(chunk: number, wanted: number): void {
    const size = this.size.get(chunk)!;
    if (size - wanted < SMALLEST_CHUNK) return;
    this.use(chunk, wanted);
    this.use(chunk + wanted, size - wanted);
    this.release(chunk + wanted);
  }

  private use(chunk: number, size: number): void {
    this.size.set(chunk, size);
    this.state.set(chunk, STATE.used);
    this.freeBefore.delete(chunk + size);
    this.store(chunk + WORD_BYTES);
  }

  private bin(chunk: number, size: number): void {
    this.size.set(chunk, size);
    this.state.set(chunk, STATE.free);
    this.freeBefore.set(chunk + size, chunk);
    this.store(chunk + WORD_BYTES);
    // The size once more, for the neighbour behind.
    this.store(chunk + size);
    const bin = this.bins.get(size);
    if (bin !== undefined) {
      bin.add(chunk);
      return;
    }
    this.bins.set(size, new Set([chunk]));
    this.binSizes.splice(lowerBound(this.binSizes, size), 0, size);
  }

  private unbin(chunk: number): void {
    const size = this.size.get(chunk)!;
    const bin = this.bins.get(size)!;
    bin.delete(chunk);
    this.freeBefore.delete(chunk + size);
    if (bin.size > 0) return;
    this.bins.delete(size);
    this.binSizes.splice(lowerBound(this.binSizes, size), 1);
  }

  private forget(chunk: number): void {
    this.size.delete(chunk);
    this.state.delete(chunk);
  }

  private store(address: number): void {
    this.process.memory.setUint8(address, 0);
  }
}

/** request2size. */
function chunkSize(bytes: number): number {
  return Math.max(SMALLEST_CHUNK, Math.ceil((bytes + WORD_BYTES) / UNIT) * UNIT);
}

function pages(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
}

function listOf(lists: Map<number, number[]>, size: number): number[] {
  let list = lists.get(size);
  if (list === undefined) {
    list = [];
    lists.set(size, list);
  }
  return list;
}

/** Index of the first number that is at least `wanted`. */
function lowerBound(ascending: readonly number[], wanted: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ascending[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
