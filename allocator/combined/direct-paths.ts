// The direct ways of malloc and free: a small chunk from, and back to, the running thread's cache, with one look at its header.
// Each gives up, with nothing done, at the first thing that is unusual: combined.ts then goes the whole way, check by check.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { PAGE_SIZE } from "../../platform/hardware/layout.ts";
import { FILL_NONE, FILL_PATTERN, FILL_ZERO, fillByteOf, fillDirectly, fillMemory, fillShort } from "../common/fill.ts";
import type { ClassId } from "../common/integers.ts";
import type { Program } from "../common/program.ts";
import { STAT_ALLOCATED } from "../primary/local-cache.ts";
import type { PrimaryRelease } from "../primary/primary-release.ts";
import type { Secondary } from "../secondary/secondary.ts";
import { lowBitsDifference } from "./checksum.ts";
import { HEADER_SIZE, KEPT_WHEN_FREED, packLow, STATE_ALLOCATED } from "./chunk-header.ts";
import { Chunks } from "./chunks.ts";
import { type AllocatorParts, type QuarantineLimits, quarantineLimits } from "./combined-parts.ts";
import { DirectGate } from "./direct-gate.ts";
import type { TsdRegistry } from "./tsd.ts";

const PER_GRANULE = 1 / HEADER_SIZE;

export abstract class DirectPaths<P extends Program, S extends Secondary<P>> extends Chunks<P, S> {
  abstract readonly registry: TsdRegistry;
  readonly gate = new DirectGate();
  abstract readonly primaryRelease: PrimaryRelease;
  abstract readonly pattern: Uint8Array;
  /** What fresh memory reads; can change at run time (S15.4). */
  abstract fillMode: number;
  protected readonly quarantineLimits: QuarantineLimits;
  protected readonly hasRssLimit: boolean;
  /** Sizes up to this with alignment 16 take a fast path; −1 while every allocation needs a closer look. */
  protected readonly fastLimit: number;
  protected readonly classBySize16: Uint8Array;
  protected readonly stride: number;
  /** As {@link fastLimit}, for {@link allocateDirectly}. */
  private readonly directLimit: number;
  /** Whether a freed block goes to its cache without another look: no quarantine, no fill. */
  private readonly hasDirectFree: boolean;
  /** The pattern, if it is one byte; −1 if it has more. */
  private readonly patternByte: number;
  /** Columns of the primary's tables, one hop away. */
  private readonly maxCounts: Int32Array;
  private readonly begins: Float64Array;
  private readonly beginPages: Int32Array;
  private readonly beginGranules: Int32Array;
  private readonly blockSizes: Float64Array;

  constructor(given: AllocatorParts<P, S>, inherited?: DirectPaths<P, S>) {
    super(given, inherited);
    const { options } = given;
    const { primary, headers } = this;
    const map = options.config.primary.sizeClassMap;
    this.quarantineLimits = quarantineLimits(options.flags, map);
    this.hasRssLimit = options.softRssLimitBytes > 0 || options.hardRssLimitBytes > 0;
    this.classBySize16 = map.classBySize16;
    this.fastLimit = this.hasRssLimit ? -1 : (this.classBySize16.length - 1) * 16 - HEADER_SIZE;
    this.stride = primary.shape.stride;
    this.directLimit = headers.hasGranuleSum ? this.fastLimit : -1;
    this.hasDirectFree = this.quarantineLimits.maxChunkBytes === 0 && !options.fillOnFree && headers.hasGranuleSum;
    this.patternByte = fillByteOf(FILL_PATTERN, options.pattern);
    this.maxCounts = primary.shape.maxCounts;
    this.begins = primary.regions.begin;
    this.beginPages = primary.regions.beginPage;
    this.beginGranules = primary.regions.beginGranule;
    this.blockSizes = primary.blockSizes;
  }

  /** Whether malloc and free may go the direct ways at all, as far as the heap's options decide that. */
  get hasDirectWays(): boolean {
    return this.directLimit >= 0 && this.hasDirectFree;
  }

  /** Sizes up to this go the direct ways. */
  get largestDirect(): ByteCount {
    return this.directLimit;
  }

  /**
   * A small chunk from the running thread's cache, whose header's page can be stored to, with nothing unusual about it.
   * @returns 0, with nothing done, for all others: {@link allocate} takes care of them
   */
  allocateDirectly(size: ByteCount, origin: number): Address {
    const cache = this.registry.currentCache;
    if (cache === null || size > this.directLimit) return 0;
    const classId = this.classBySize16[(size + 31) >>> 4];
    if (cache.counts[classId] === 0 && !this.primary.refillFromList(cache, classId)) return 0;
    const top = cache.counts[classId] - 1;
    const { memory } = this.program;
    const compact = cache.blocks[classId * this.stride + top];
    // One step, since the next call waits for the pointer: the block's begin and its header's granule together.
    const pointer = this.begins[classId] + (compact + 1) * 16;
    const blockSize = this.blockSizes[classId];
    // By a sign, too: a free of a forged header may have brought in a block in front of its region.
    let word = memory.granuleWordOf(this.beginPages[classId] + (compact >> 8), compact & 0xff);
    if (word < 0) return 0;
    if (this.fillMode !== FILL_NONE && !this.registry.isMemoryInitDisabled) {
      const byte = this.fillMode === FILL_ZERO ? 0 : this.patternByte;
      const block = pointer - HEADER_SIZE;
      if (!fillShort(memory, word, blockSize, byte) && !fillDirectly(memory, word, block, blockSize, byte)) {
        fillMemory(memory, block, blockSize, this.fillMode, this.pattern);
        // The fill may have taken faults of the block's other pages.
        word = memory.granuleWord(block);
        if (word < 0) return 0;
      }
    }
    const low = packLow(classId, STATE_ALLOCATED, origin, size);
    const { words } = memory;
    words[word] = low;
    words[word + 1] = this.headers.granuleSum(pointer, low) << 16;
    cache.counts[classId] = top;
    cache.stats[STAT_ALLOCATED] += blockSize;
    return pointer;
  }

  /**
   * The bytes to keep of a small chunk that a direct malloc, a copy and a direct free can move to make it `newSize` bytes long; −1 for
   * every other, and where it could stay in its block.
   */
  movableSize(pointer: Address, newSize: ByteCount): number {
    const { memory } = this.program;
    const word = memory.granuleWord(pointer - HEADER_SIZE);
    if (word < 0 || !this.hasDirectFree || newSize > this.directLimit) return -1;
    const low = memory.words[word];
    const classId = low & 0xff;
    if (
      (low & 0xf00) !== STATE_ALLOCATED << 8 ||
      memory.words[word + 1] !== this.headers.granuleSum(pointer, low) << 16 ||
      classId === 0 ||
      classId >= this.maxCounts.length
    )
      return -1;
    const size = low >>> 12;
    const room = this.blockSizes[classId] - HEADER_SIZE;
    if (newSize <= room && (newSize > size || size - newSize < PAGE_SIZE)) return -1;
    return this.promisesBlock ? room : size;
  }

  /**
   * A free of a small chunk with nothing unusual about it, by one look at its header; false, with nothing done, for all others, which
   * {@link deallocate} then judges check by check.
   */
  freeDirectly(pointer: Address, origin: number): boolean {
    const cache = this.registry.currentCache;
    if (cache === null || !this.hasDirectFree) return false;
    const { memory } = this.program;
    const word = memory.granuleWord(pointer - HEADER_SIZE);
    if (word < 0) return false;
    const { words } = memory;
    const low = words[word];
    const high = words[word + 1];
    const classId = low & 0xff;
    const count = cache.counts[classId];
    // Allocated and of the origin given, in one comparison; the checksum is right, and the offset 0, in another one.
    if (
      (low & 0xf00) !== ((origin << 10) | (STATE_ALLOCATED << 8)) ||
      high !== this.headers.granuleSum(pointer, low) << 16 ||
      classId === 0
    )
      return false;
    // Nodes may take faults, and the machine pages for them: all is looked at again.
    if (count === this.maxCounts[classId]) return this.drainDirectly(classId) && this.freeDirectly(pointer, origin);
    const newLow = (low & KEPT_WHEN_FREED) | this.beginFree(pointer, low, 0);
    words[word] = newLow;
    words[word + 1] = high ^ (lowBitsDifference(low ^ newLow) << 16);
    this.noteFree(pointer, low);
    // By integers modulo 2^32, since a later malloc waits for it: the header's granule, less the region's.
    cache.blocks[classId * this.stride + count] = ((pointer * PER_GRANULE) | 0) - 1 - this.beginGranules[classId];
    cache.counts[classId] = count + 1;
    cache.stats[STAT_ALLOCATED] -= this.blockSizes[classId];
    return true;
  }

  /**
   * The running thread's empty stack of a class gets blocks from the free list, for a program that allocates by itself.
   * @returns false, with nothing done: {@link allocate} carves some first
   */
  refillDirectly(classId: ClassId): boolean {
    const cache = this.registry.currentCache;
    return cache !== null && this.primary.refillFromList(cache, classId);
  }

  /**
   * The running thread's full stack of a class gives blocks back, and pages of them, for a program that is about to free a chunk by
   * itself: nothing of them is in the pages that go.
   * @returns false, with nothing done: {@link deallocate} maps nodes first
   */
  drainDirectly(classId: ClassId): boolean {
    const cache = this.registry.currentCache;
    if (cache === null || !this.primary.canDrainDirectly(cache, classId)) return false;
    this.primary.drain(cache, classId);
    this.primaryRelease.release(classId, "normal");
    return true;
  }
}
