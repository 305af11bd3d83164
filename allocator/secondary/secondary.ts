// The secondary allocator: one mapping for each large block, between two guard pages (S11). Headers and the list of blocks
// are large-block-list.ts; which freed mappings are kept is secondary-cache.ts; what a fresh page reads is large-fill.ts.

import { FILL_NONE, FILL_PATTERN, FILL_ZERO, fillMemory } from "../common/fill.ts";
import { HeapError } from "../common/heap-error.ts";
import { NO_MEMORY, type Program } from "../common/program.ts";
import { type ReportContext, reportMapError } from "../common/report.ts";
import type { SecondaryCacheConfig } from "../options/config.ts";
import type { LargeFill } from "../options/options.ts";
import { STAT_ALLOCATED, STAT_COUNT, STAT_MAPPED } from "../primary/local-cache.ts";
import { LARGE_HEADER_SIZE, LargeBlockList } from "./large-block-list.ts";
import { NO_DESCRIPTOR, type ReferencePages } from "./large-fill.ts";
import { SecondaryCache } from "./secondary-cache.ts";
import { LruSecondaryCache } from "./secondary-cache-lru.ts";

const PAGE_SIZE = 4096;
/** Both headers together: from the large-block header to the user pointer. */
const LARGE_HEADERS_SIZE = LARGE_HEADER_SIZE + 16;
/** Unused bytes behind a chunk must fit the chunk header's 20 bits (S11.7). */
const TAIL_LIMIT = 2 ** 20;

/** What pages of a mapping read before any store: zero, or the reference page of the pattern. Above this bit: their tag. */
export const CLEAN_ZERO = 0;
export const CLEAN_PATTERN = 1;
export const CLEAN_FILL_MASK = 1;

export interface SecondaryOptions {
  readonly program: Program;
  /** Absent: nothing is cached. */
  readonly cache?: SecondaryCacheConfig;
  readonly cachePolicy?: "array" | "lru";
  readonly releaseIntervalMs: number;
  readonly largeFill: LargeFill;
  readonly referencePages: ReferencePages;
  readonly commitFailure: "null" | "fatal";
  readonly reports: ReportContext;
}

/** The large blocks of a heap: the list of those in use, and where they come from and go. */
export class Secondary extends LargeBlockList {
  readonly cache: SecondaryCache | null;
  readonly referencePages: ReferencePages;
  protected readonly largeFill: LargeFill;
  /** Most bytes between a chunk's end and the end of its pages; what lies beyond stays reserved. */
  protected readonly tailLimit: number = TAIL_LIMIT;
  private readonly commitFailure: "null" | "fatal";
  private readonly reports: ReportContext;
  /** S11.6; bytes of committed memory, but `fragmentedBytes` is what mappings have beyond it. */
  allocations = 0;
  frees = 0;
  allocatedBytes = 0;
  freedBytes = 0;
  fragmentedBytes = 0;
  largestBytes = 0;
  readonly stats = new Float64Array(STAT_COUNT);
  /** How often a large block got its contents from a reference page, and from a pass over its bytes. */
  refpageMappings = 0;
  memsetFills = 0;
  /** Mappings moved by realloc instead of being copied. */
  moves = 0;

  constructor(options: SecondaryOptions) {
    super(options.program);
    this.largeFill = options.largeFill;
    this.commitFailure = options.commitFailure;
    this.reports = options.reports;
    this.referencePages = options.referencePages;
    this.cache =
      options.cache === undefined
        ? null
        : new (options.cachePolicy === "lru" ? LruSecondaryCache : SecondaryCache)(options.program, options.cache, {
            headersSize: LARGE_HEADERS_SIZE,
            releaseIntervalMs: options.releaseIntervalMs,
          });
  }

  /**
   * A block for `size` bytes; the user pointer is `roundUp(block + 16, alignment)`.
   * @param fill what the user's bytes must read: S14.3 for `largeFill: "none"`, else exactly the fill
   * @returns the block, or 0 if there is no memory
   */
  allocate(size: number, alignment: number, fill: number): number {
    const needed = roundUp(size + LARGE_HEADERS_SIZE, PAGE_SIZE);
    if (this.cache !== null && alignment < PAGE_SIZE && this.cache.canCache(needed)) {
      const slot = this.cache.find(size, alignment);
      if (slot >= 0) return this.takeCached(slot, size, alignment, fill);
    }
    return this.map(size, alignment, fill);
  }

  private takeCached(slot: number, size: number, alignment: number, fill: number): number {
    const cache = this.cache as SecondaryCache;
    const commitBase = cache.commitBase[slot];
    const commitSize = cache.commitSize[slot];
    const mapBase = cache.mapBase[slot];
    const mapSize = cache.mapSize[slot];
    const block = roundDown(commitBase + commitSize - size, alignment) - 16;
    const cleanId = this.cleanCached(slot, block, fill);
    if (cleanId === NO_MEMORY) {
      cache.take(slot);
      this.program.discard(mapBase, mapSize);
      return this.map(size, alignment, fill);
    }
    // Should a store below find no frame, the entry stays in the cache, with a header's bytes in it.
    cache.markDirty(slot);
    this.link(block, commitBase, commitSize, mapBase, mapSize, cleanId);
    cache.take(slot);
    this.countAllocation(commitSize, mapSize);
    return block;
  }

  /**
   * Makes a cached mapping read as `fill` asks. With reference pages that is never a pass over the bytes: its pages are given
   * back, or another clean page is mapped over them.
   * @returns the clean page's id, or NO_MEMORY if the mapping was lost in the attempt
   */
  protected cleanCached(slot: number, block: number, fill: number): number {
    const cache = this.cache as SecondaryCache;
    const cleanId = cache.cleanId[slot];
    if (fill === FILL_NONE) return cleanId;
    const isReleased = cache.time[slot] === 0;
    const commitBase = cache.commitBase[slot];
    const commitSize = cache.commitSize[slot];
    if (this.largeFill === "refpage") {
      const wanted = fill === FILL_PATTERN ? CLEAN_PATTERN : CLEAN_ZERO;
      if ((cleanId & CLEAN_FILL_MASK) === wanted) {
        if (isReleased || this.program.releasePages(commitBase, commitSize)) return cleanId;
      } else {
        const mapped = this.commit(commitBase, commitSize, fill);
        if (mapped === NO_MEMORY) return mapped;
        cache.cleanId[slot] = mapped;
        if ((mapped & CLEAN_FILL_MASK) === wanted) return mapped;
      }
    } else if (isReleased && (fill === FILL_ZERO || this.largeFill === "none")) {
      return cleanId;
    }
    // Should the fill find no frame, the entry stays in the cache with a part of it.
    cache.markDirty(slot);
    this.fillBlock(block, commitBase + commitSize, fill);
    return cache.cleanId[slot];
  }

  protected fillBlock(block: number, end: number, fill: number): void {
    fillMemory(this.program.memory, block, end - block, fill, this.referencePages.pattern);
    this.memsetFills++;
  }

  /** S11.3: reserve with guard pages, commit, place the chunk at the end. */
  private map(size: number, alignment: number, fill: number): number {
    let reserved = roundUp(roundUp(size, alignment) + LARGE_HEADERS_SIZE, PAGE_SIZE);
    if (alignment > PAGE_SIZE) reserved += alignment - PAGE_SIZE;
    const mapSize = reserved + 2 * PAGE_SIZE;
    const mapBase = this.program.reserve(mapSize);
    if (mapBase === NO_MEMORY) return 0;
    let commitBase = mapBase + PAGE_SIZE;
    // The chunk begins on the alignment, its headers in the page before.
    if (alignment >= PAGE_SIZE) commitBase = roundUp(commitBase + 1, alignment) - PAGE_SIZE;
    let commitEnd = mapBase + mapSize - PAGE_SIZE;
    const user = roundDown(commitEnd - size, alignment);
    // Scudo would truncate a longer tail (S11.7); here the pages behind the chunk stay reserved.
    if (commitEnd - (user + size) >= this.tailLimit) commitEnd = roundUp(user + Math.max(size, 1), PAGE_SIZE);
    const commitSize = commitEnd - commitBase;
    const block = user - 16;
    try {
      const cleanId = this.commit(commitBase, commitSize, fill);
      if (cleanId === NO_MEMORY) {
        this.program.discard(mapBase, mapSize);
        if (this.commitFailure === "fatal") {
          reportMapError("Cannot allocate memory", { sizeBytes: commitSize }, this.reports);
        }
        return 0;
      }
      this.link(block, commitBase, commitSize, mapBase, mapSize, cleanId);
      if (fill === FILL_PATTERN && (cleanId & CLEAN_FILL_MASK) === CLEAN_ZERO && this.largeFill !== "none") {
        this.fillBlock(block, commitEnd, fill);
      }
    } catch (error) {
      // A report has nothing left to undo.
      if (error instanceof HeapError) throw error;
      if (this.last === block) this.unlink(block);
      this.program.discard(mapBase, mapSize);
      throw error;
    }
    this.countAllocation(commitSize, mapSize);
    this.largestBytes = Math.max(this.largestBytes, commitSize);
    return block;
  }

  /** Maps fresh pages that read as `fill` where a reference page can do that. @returns the clean page's id, or NO_MEMORY */
  protected commit(address: number, length: number, fill: number): number {
    if (fill === FILL_PATTERN && this.largeFill === "refpage") {
      const descriptor = this.referencePages.descriptor(FILL_PATTERN);
      if (descriptor !== NO_DESCRIPTOR && this.program.commitFile(address, length, descriptor)) {
        this.refpageMappings++;
        return CLEAN_PATTERN;
      }
    }
    return this.program.commit(address, length) ? CLEAN_ZERO : NO_MEMORY;
  }

  private countAllocation(commitSize: number, mapSize: number): void {
    this.allocations++;
    this.allocatedBytes += commitSize;
    this.fragmentedBytes += mapSize - commitSize;
    this.stats[STAT_ALLOCATED] += commitSize;
    this.stats[STAT_MAPPED] += mapSize;
  }

  protected countFree(commitSize: number, mapSize: number): void {
    this.frees++;
    this.freedBytes += commitSize;
    this.fragmentedBytes -= mapSize - commitSize;
    this.stats[STAT_ALLOCATED] -= commitSize;
    this.stats[STAT_MAPPED] -= mapSize;
  }

  /** Gives a block back: to the cache, or unmapped (S11.5). */
  deallocate(block: number): void {
    const commitBase = this.commitBase(block);
    const commitSize = this.commitSizeOf(block);
    const mapBase = this.mapBaseOf(block);
    const mapSize = this.mapSizeOf(block);
    const cleanId = this.cleanIdOf(block);
    this.unlink(block);
    this.countFree(commitSize, mapSize);
    this.giveUp(block, commitBase, commitSize, mapBase, mapSize, cleanId);
  }

  /** The end of a mapping that left the list: it is cached, or unmapped. */
  protected giveUp(
    block: number,
    commitBase: number,
    commitSize: number,
    mapBase: number,
    mapSize: number,
    cleanId: number,
  ): void {
    if (this.cache === null) this.program.discard(mapBase, mapSize);
    else this.cache.store(commitBase, commitSize, mapBase, mapSize, block, cleanId);
  }

  /**
   * Moves a block's pages to a mapping that holds `newSize` bytes, without copying them; the chunk keeps its place in its
   * pages. Bytes between the old and the new end read as the mapping's clean page does.
   * @param user the chunk's user pointer in `block`
   * @returns the new block, or 0 if there is no memory; then nothing has changed
   */
  move(block: number, user: number, newSize: number): number {
    const oldCommitBase = this.commitBase(block);
    const oldCommitSize = this.commitSizeOf(block);
    const oldMapBase = this.mapBaseOf(block);
    const oldMapSize = this.mapSizeOf(block);
    const cleanId = this.cleanIdOf(block);
    const commitSize = roundUp(user - oldCommitBase + newSize, PAGE_SIZE);
    const mapSize = commitSize + 2 * PAGE_SIZE;
    const mapBase = this.program.reserve(mapSize);
    if (mapBase === NO_MEMORY) return 0;
    const commitBase = mapBase + PAGE_SIZE;
    if (this.last !== block) this.program.touch(this.last - LARGE_HEADER_SIZE);
    this.unlink(block);
    // Only what is kept is moved: the kernel would cut a longer range before it knows that it can move the rest.
    const moving = Math.min(oldCommitSize, commitSize);
    if (!this.program.move(oldCommitBase, moving, commitSize, commitBase)) {
      this.link(block, oldCommitBase, oldCommitSize, oldMapBase, oldMapSize, cleanId);
      this.program.discard(mapBase, mapSize);
      return 0;
    }
    this.program.discard(oldMapBase, oldMapSize, oldMapSize - moving);
    const moved = block - oldCommitBase + commitBase;
    this.link(moved, commitBase, commitSize, mapBase, mapSize, cleanId);
    this.countFree(oldCommitSize, oldMapSize);
    this.countAllocation(commitSize, mapSize);
    this.largestBytes = Math.max(this.largestBytes, commitSize);
    this.moves++;
    return moved;
  }

  /**
   * Makes the user's bytes of a block that is being freed read as `fill` does, by giving its pages back. Whole pages of the
   * user's only: the first, which has the headers, is filled.
   * @returns false: its clean pages read otherwise
   */
  scrub(block: number, user: number, size: number, fill: number): boolean {
    if ((this.cleanIdOf(block) & CLEAN_FILL_MASK) !== (fill === FILL_PATTERN ? CLEAN_PATTERN : CLEAN_ZERO))
      return false;
    const firstPage = roundUp(user, PAGE_SIZE);
    const head = Math.min(size, firstPage - user);
    fillMemory(this.program.memory, user, head, fill, this.referencePages.pattern);
    const end = roundUp(user + size, PAGE_SIZE);
    return end <= firstPage || this.program.releasePages(firstPage, end - firstPage);
  }

  /** Whether pages grown or given back in this block read as `fill` asks. */
  readsAs(block: number, fill: number): boolean {
    if (fill === FILL_NONE) return true;
    const cleanFill = this.cleanIdOf(block) & CLEAN_FILL_MASK;
    if (fill === FILL_PATTERN && this.largeFill === "none") return cleanFill === CLEAN_ZERO;
    return cleanFill === (fill === FILL_PATTERN ? CLEAN_PATTERN : CLEAN_ZERO);
  }

  /** Unmaps every block, in use or cached, and closes the reference pages. */
  unmapAll(): void {
    for (let block = this.first; block !== 0; ) {
      const mapBase = this.mapBaseOf(block);
      const mapSize = this.mapSizeOf(block);
      block = this.nextBlock(block);
      this.program.discard(mapBase, mapSize);
    }
    this.cache?.empty();
    this.referencePages.close();
  }

  /** The state of the forked process's secondary; the list itself is in memory, which fork copied. */
  copyFrom(other: Secondary): void {
    this.copyListFrom(other);
    this.allocations = other.allocations;
    this.frees = other.frees;
    this.allocatedBytes = other.allocatedBytes;
    this.freedBytes = other.freedBytes;
    this.fragmentedBytes = other.fragmentedBytes;
    this.largestBytes = other.largestBytes;
    this.stats.set(other.stats);
    this.refpageMappings = other.refpageMappings;
    this.memsetFills = other.memsetFills;
    this.moves = other.moves;
    this.referencePages.copyFrom(other.referencePages);
    if (this.cache !== null && other.cache !== null) this.cache.copyFrom(other.cache);
  }
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

function roundDown(value: number, unit: number): number {
  return Math.floor(value / unit) * unit;
}
