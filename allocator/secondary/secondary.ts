// The secondary allocator: one mapping for each large block, between two guard pages (S11). Headers and the list of blocks
// are large-block-list.ts; which freed mappings are kept is secondary-cache.ts; what a fresh page reads is large-fill.ts.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { PAGE_SIZE } from "../../platform/hardware/layout.ts";
import { OutOfMemoryError } from "../../platform/kernel/abi/errors.ts";
import { keepClass } from "../../platform/state/kept.ts";
import { FILL_NONE, FILL_PATTERN, FILL_ZERO, fillMemory } from "../common/fill.ts";
import { HeapError } from "../common/heap-error.ts";
import { HUGE_PAGE_SIZE, NO_MEMORY, type Program } from "../common/program.ts";
import { type ReportContext, reportMapError, reportUnmapError } from "../common/report.ts";
import { roundDown, roundUp } from "../common/rounding.ts";
import type { SecondaryCacheConfig } from "../options/config.ts";
import type { LargeFill } from "../options/options.ts";
import { STAT_ALLOCATED, STAT_COUNT, STAT_MAPPED } from "../primary/local-cache.ts";
import { LARGE_HEADER_SIZE, LargeBlockList } from "./large-block-list.ts";
import type { ReferencePages } from "./large-fill.ts";
import { LargeMapping } from "./large-mapping.ts";
import { reserveLarge } from "./reserve-large.ts";
import { SecondaryCache } from "./secondary-cache.ts";
import { LruSecondaryCache } from "./secondary-cache-lru.ts";

/** From a block to its user pointer: the chunk header (chunk-header.ts). */
const CHUNK_HEADER_SIZE = 16;
/** Both headers together: from the large-block header to the user pointer. */
const LARGE_HEADERS_SIZE = LARGE_HEADER_SIZE + CHUNK_HEADER_SIZE;
/** Addresses are below this. */
const ADDRESS_END = 2 ** 39;
/** Unused bytes behind a chunk must fit the chunk header's 20 bits (S11.7). */
const TAIL_LIMIT = 2 ** 20;

/** What pages of a mapping read before any store: zero, or the reference page of the pattern. Above this bit: their tag. */
export const CLEAN_ZERO = 0;
export const CLEAN_PATTERN = 1;
export const CLEAN_FILL_MASK = 1;

export interface SecondaryOptions<P extends Program = Program> {
  readonly program: P;
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
export class Secondary<P extends Program = Program> extends LargeBlockList<P> {
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
  /** Rows that calls fill again: the mapping that a call makes, and the one that it ends. */
  private readonly fresh = new LargeMapping();
  private readonly ending = new LargeMapping();

  constructor(options: SecondaryOptions<P>) {
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
   * @param fill what the user's bytes must read: S14.3 for `largeFill: "scudo"`, else exactly the fill
   * @returns its mapping, in a row that is good until the next call; null: no memory
   */
  allocate(size: ByteCount, alignment: number, fill: number): LargeMapping | null {
    const needed = roundUp(size + LARGE_HEADERS_SIZE, PAGE_SIZE);
    const { cache } = this;
    if (cache !== null && alignment < PAGE_SIZE && cache.canCache(needed)) {
      const slot = cache.find(size, alignment);
      if (slot >= 0) return this.takeCached(cache, slot, size, alignment, fill);
    }
    return this.map(size, alignment, fill);
  }

  private takeCached(
    cache: SecondaryCache,
    slot: number,
    size: ByteCount,
    alignment: number,
    fill: number,
  ): LargeMapping | null {
    const mapping = cache.read(slot, this.fresh);
    mapping.block = roundDown(mapping.commitEnd - size, alignment) - CHUNK_HEADER_SIZE;
    mapping.cleanId = this.cleanCached(cache, slot, mapping, fill);
    if (mapping.cleanId === NO_MEMORY) {
      cache.take(slot);
      this.program.discard(mapping.mapBase, mapping.mapSize);
      return this.map(size, alignment, fill);
    }
    // Should a store below find no frame, the entry stays in the cache, with a header's bytes in it.
    cache.markDirty(slot);
    this.link(mapping);
    cache.take(slot);
    this.countAllocation(mapping);
    return mapping;
  }

  /**
   * Makes a cached mapping read as `fill` asks. With reference pages that is never a pass over the bytes: its pages are given
   * back, or another clean page is mapped over them.
   * @param mapping the entry's row; `block` is the new block
   * @returns the clean page's id, or NO_MEMORY if the mapping was lost in the attempt
   */
  protected cleanCached(cache: SecondaryCache, slot: number, mapping: LargeMapping, fill: number): number {
    const cleanId = cache.cleanId[slot];
    if (fill === FILL_NONE) return cleanId;
    const isReleased = cache.time[slot] === 0;
    const { commitBase, commitSize } = mapping;
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
    } else if (isReleased && (fill === FILL_ZERO || this.largeFill === "scudo")) {
      return cleanId;
    }
    // Should the fill find no frame, the entry stays in the cache with a part of it.
    cache.markDirty(slot);
    this.fillBlock(mapping, fill);
    return cache.cleanId[slot];
  }

  protected fillBlock({ block, commitEnd }: LargeMapping, fill: number): void {
    fillMemory(this.program.memory, block, commitEnd - block, fill, this.referencePages.pattern);
    this.memsetFills++;
  }

  /** S11.3: reserve with guard pages, commit, place the chunk at the end. */
  private map(size: ByteCount, alignment: number, fill: number): LargeMapping | null {
    const mapping = this.reserve(size, alignment);
    if (mapping === null) return null;
    try {
      mapping.cleanId = this.commit(mapping.commitBase, mapping.commitSize, fill);
      if (mapping.cleanId === NO_MEMORY) {
        this.program.discard(mapping.mapBase, mapping.mapSize);
        this.program.reportMapFailure();
        if (this.commitFailure === "fatal") {
          reportMapError("Cannot allocate memory", { sizeBytes: mapping.commitSize }, this.reports);
        }
        return null;
      }
      this.link(mapping);
      if (fill === FILL_PATTERN && (mapping.cleanId & CLEAN_FILL_MASK) === CLEAN_ZERO && this.largeFill !== "scudo") {
        this.fillBlock(mapping, fill);
      }
    } catch (error) {
      // A HeapError was thrown with everything given back.
      if (error instanceof HeapError) throw error;
      if (this.last === mapping.block) this.unlink(mapping.block);
      this.program.discard(mapping.mapBase, mapping.mapSize);
      throw error;
    }
    this.countAllocation(mapping);
    this.largestBytes = Math.max(this.largestBytes, mapping.commitSize);
    return mapping;
  }

  /** Address space for a block of `size` bytes, and where in it the block will lie; null: none left. */
  private reserve(size: ByteCount, alignment: number): LargeMapping | null {
    const mapping = this.fresh;
    const commitSize = roundUp(roundUp(size, alignment) + LARGE_HEADERS_SIZE, PAGE_SIZE);
    if (!reserveLarge(this.program, commitSize, alignment, mapping)) {
      this.program.reportMapFailure();
      return null;
    }
    const user = roundDown(mapping.commitEnd - size, alignment);
    // Scudo would truncate a longer tail (S11.7); here the pages behind the chunk stay reserved.
    if (mapping.commitEnd - (user + size) >= this.tailLimit)
      mapping.commitSize = roundUp(user + Math.max(size, 1), PAGE_SIZE) - mapping.commitBase;
    mapping.block = user - CHUNK_HEADER_SIZE;
    return mapping;
  }

  /** Maps fresh pages that read as `fill` where a reference page can do that. @returns the clean page's id, or NO_MEMORY */
  protected commit(address: Address, length: ByteCount, fill: number): number {
    if (fill === FILL_PATTERN && this.largeFill === "refpage" && this.referencePages.map(address, length)) {
      this.refpageMappings++;
      return CLEAN_PATTERN;
    }
    return this.program.commit(address, length) ? CLEAN_ZERO : NO_MEMORY;
  }

  private countAllocation({ commitSize, mapSize }: LargeMapping): void {
    this.allocations++;
    this.allocatedBytes += commitSize;
    this.fragmentedBytes += mapSize - commitSize;
    this.stats[STAT_ALLOCATED] += commitSize;
    this.stats[STAT_MAPPED] += mapSize;
  }

  private countFree({ commitSize, mapSize }: LargeMapping): void {
    this.frees++;
    this.freedBytes += commitSize;
    this.fragmentedBytes -= mapSize - commitSize;
    this.stats[STAT_ALLOCATED] -= commitSize;
    this.stats[STAT_MAPPED] -= mapSize;
  }

  /**
   * The user pointer of a block that was just allocated, in a heap with tags brought in order first.
   * @param size bytes asked for
   */
  present(mapping: LargeMapping, _size: number): Address {
    return mapping.block + CHUNK_HEADER_SIZE;
  }

  /**
   * Whether a block's header and its place in the list are as they must be. They have no checksum (S11.2), so that a program
   * that wrote over them is found out here, before a free goes by them.
   */
  isSound(block: Address): boolean {
    if (!this.hasSoundBounds(block)) return false;
    const previous = this.previousBlock(block);
    const next = this.nextBlock(block);
    const followsItsPrevious =
      previous === 0 ? this.first === block : this.canBeBlock(previous) && this.nextBlock(previous) === block;
    return (
      followsItsPrevious &&
      (next === 0 ? this.last === block : this.canBeBlock(next) && this.previousBlock(next) === block)
    );
  }

  private hasSoundBounds(block: Address): boolean {
    const { commitBase, commitEnd, mapBase, mapEnd } = this.load(block, this.ending);
    if (!(isPageAddress(commitBase) && isPageAddress(commitEnd) && isPageAddress(mapBase) && isPageAddress(mapEnd)))
      return false;
    if (mapBase >= commitBase || block < commitBase + LARGE_HEADER_SIZE) return false;
    return block + CHUNK_HEADER_SIZE <= commitEnd && commitEnd < mapEnd;
  }

  /** Loads from where a link leads, which faults where there is nothing, as in Scudo. */
  private canBeBlock(address: Address): boolean {
    this.program.memory.getUint8(Math.min(address, ADDRESS_END - PAGE_SIZE));
    return address % CHUNK_HEADER_SIZE === 0;
  }

  /**
   * @throws HeapError R-unmap: the block's header was written over. SegmentationFault: a link of it leads nowhere. Nothing has
   * changed.
   */
  checkHeader(block: Address): void {
    if (!this.isSound(block)) this.reportHeader(block);
  }

  /** As {@link checkHeader}, but the links do not matter: for those who only ask where the block ends. @throws HeapError R-unmap */
  checkBounds(block: Address): void {
    if (!this.hasSoundBounds(block)) this.reportHeader(block);
  }

  private reportHeader(block: Address): never {
    const { mapBase, mapSize } = this.load(block, this.ending);
    reportUnmapError("Invalid argument", mapBase, mapSize, this.reports);
  }

  /** Whether a freed mapping whose block was `block` is in the cache. */
  isCached(block: Address): boolean {
    return this.cache?.holds(block) === true;
  }

  /** Gives a block back: to the cache, or unmapped (S11.5). */
  deallocate(block: Address): void {
    const mapping = this.load(block, this.ending);
    this.unlink(block);
    this.countFree(mapping);
    this.giveUp(mapping);
  }

  /** The end of a mapping that left the list: it is cached, or unmapped. */
  protected giveUp(mapping: LargeMapping): void {
    if (this.cache === null) this.program.discard(mapping.mapBase, mapping.mapSize);
    else this.cache.store(mapping);
  }

  /**
   * Moves a block's pages to a mapping that holds `newSize` bytes, without copying them; the chunk keeps its place in its
   * pages. Bytes between the old and the new end read as the mapping's clean page does. Both headers can be stored to then.
   * @param user the chunk's user pointer in `block`; sizes are in bytes, without slack
   * @returns the new mapping, in a row that is good until the next call; null: no memory, and nothing has changed
   */
  move(block: Address, user: Address, oldSize: ByteCount, newSize: ByteCount, slack: ByteCount): LargeMapping | null {
    const old = this.load(block, this.ending);
    const commitSize = roundUp(user - old.commitBase + newSize + slack, PAGE_SIZE);
    const moved = this.fresh;
    if (!reserveLarge(this.program, commitSize, 1, moved)) return null;
    const { mapBase, mapSize } = moved;
    moved.block = block - old.commitBase + moved.commitBase;
    moved.cleanId = old.cleanId;
    // Only what is kept is moved: the kernel would cut a longer range before it knows that it can move the rest.
    const moving = Math.min(old.commitSize, commitSize);
    if (!this.prepareMove(old) || !this.program.move(old.commitBase, moving, commitSize, moved.commitBase)) {
      this.program.discard(mapBase, mapSize);
      return null;
    }
    if (!this.adoptMoved(old, moved, oldSize, newSize)) {
      // The old place is a hole in its reservation, so that the way back is open.
      this.program.move(moved.commitBase, commitSize, moving, old.commitBase);
      this.program.discard(mapBase, mapSize);
      return null;
    }
    this.unlink(block, this.previousBlock(moved.block), this.nextBlock(moved.block));
    this.program.discard(old.mapBase, old.mapSize, old.mapSize - moving);
    this.link(moved);
    this.countFree(old);
    this.countAllocation(moved);
    this.largestBytes = Math.max(this.largestBytes, commitSize);
    this.moves++;
    return moved;
  }

  /** Gives what a move stores to its frames: both headers, and those of the neighbours in the list. */
  private prepareMove({ block }: LargeMapping): boolean {
    try {
      this.prepareDeallocate(block);
      this.program.touch(this.last - LARGE_HEADER_SIZE);
      this.program.prepare(block - LARGE_HEADER_SIZE, LARGE_HEADERS_SIZE);
      return true;
    } catch (error) {
      if (error instanceof OutOfMemoryError) return false;
      throw error;
    }
  }

  /** What a family does to pages that have just moved. @returns false: no memory, and nothing has changed */
  protected adoptMoved(_old: LargeMapping, _moved: LargeMapping, _oldSize: number, _newSize: number): boolean {
    return true;
  }

  /**
   * Makes the user's bytes of a block that is being freed read as `fill` does, by giving its pages back. Whole pages of the
   * user's only: the first, which has the headers, is filled, and with it the rest of a huge page that would be split.
   * @returns false: its clean pages read otherwise
   */
  scrub(block: Address, user: Address, size: ByteCount, fill: number): boolean {
    const { cleanId, commitSize } = this.load(block, this.ending);
    if ((cleanId & CLEAN_FILL_MASK) !== (fill === FILL_PATTERN ? CLEAN_PATTERN : CLEAN_ZERO)) return false;
    const { program } = this;
    const firstPage = roundUp(user, PAGE_SIZE);
    // Filling is one pass, and the page stays huge; but not where each store would take a fault and a frame.
    const isFilled = program.wouldSplitHuge(firstPage, commitSize) && program.isWritable(firstPage);
    const from = isFilled ? roundUp(firstPage, HUGE_PAGE_SIZE) : firstPage;
    fillMemory(program.memory, user, Math.min(size, from - user), fill, this.referencePages.pattern);
    const end = roundUp(user + size, PAGE_SIZE);
    return end <= from || program.releasePages(from, end - from);
  }

  /** Whether pages grown or given back in this block read as `fill` asks. */
  readsAs(block: Address, fill: number): boolean {
    if (fill === FILL_NONE) return true;
    const cleanFill = this.cleanIdOf(block) & CLEAN_FILL_MASK;
    if (fill === FILL_PATTERN && this.largeFill === "scudo") return cleanFill === CLEAN_ZERO;
    return cleanFill === (fill === FILL_PATTERN ? CLEAN_PATTERN : CLEAN_ZERO);
  }

  /** Unmaps every block, in use or cached, and closes the reference pages. */
  unmapAll(): void {
    for (let block = this.first; block !== 0; ) {
      const { mapBase, mapSize } = this.load(block, this.ending);
      block = this.nextBlock(block);
      this.program.discard(mapBase, mapSize);
    }
    this.cache?.empty();
    this.referencePages.close();
  }

  /** The state of the forked process's secondary; the list itself is in memory, which fork copied. */
  copyFrom(other: this): void {
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

function isPageAddress(address: Address): boolean {
  return (address & (PAGE_SIZE - 1)) === 0 && address < ADDRESS_END;
}

keepClass("Secondary", Secondary);
