// The allocator of a tagged heap: Scudo's primary tagging (S22), and the entry points that take tags off pointers and put
// them on. Large chunks' tags are tagged-secondary.ts's; what a fault becomes is tag-fault.ts.

import * as mte from "../../platform/hardware/mte.ts";
import { tagAndZeroRange } from "../../platform/hardware/tag-store.ts";
import { PROT_MTE } from "../../platform/kernel/abi/mman.ts";
import {
  CORRUPTED_HEADER,
  classIdOf,
  HEADER_SIZE,
  packLow,
  STATE_ALLOCATED,
  sizeOrUnusedOf,
  stateOf,
} from "../combined/chunk-header.ts";
import { Allocator, BLOCK_MARKER } from "../combined/combined.ts";
import type { AllocatorOptions } from "../combined/combined-parts.ts";
import { BATCH_SIZE } from "../combined/quarantine-cache.ts";
import { reallocate } from "../combined/reallocate.ts";
import type { Tsd } from "../combined/tsd.ts";
import { FILL_NONE, FILL_ZERO } from "../common/fill.ts";
import { type LocalCache, STAT_ALLOCATED, STAT_FREE } from "../primary/local-cache.ts";
import { FreedChunks } from "./freed-chunks.ts";
import type { TaggedProgram } from "./tagged-program.ts";
import { TaggedSecondary } from "./tagged-secondary.ts";
import { EXCLUDE_ZERO, GRANULE, oddEvenMask, roundUpToGranule, TAG_UNIT } from "./tagging.ts";

const PAGE_SIZE = 4096;
const MIN_ALIGNMENT = 16;
const TAGS_PER_BYTE = 1 / TAG_UNIT;
/** The header's was-zeroed bit (S1.1). */
const WAS_ZEROED = 1 << 10;
/** No tag is expected of the chunk being freed: the heap frees it itself. */
const ANY_TAG = -1;
/** Rows of the ring of frees when the option asks for none. */
const SMALLEST_RING = 1;

/** Told when a pointer that is given back has another tag than its chunk. It must not return. */
export type StalePointerReport = (pointer: number, action: "deallocating" | "reallocating") => never;

export class TaggedAllocator extends Allocator {
  /** False after disableMemoryTagging, for good (S23.5): new chunks have no tags, old ones keep theirs. */
  isTagging = true;
  /** Neighbours get tags of different parity (S22.4). */
  oddEvenTags = false;
  readonly freed: FreedChunks;
  /** Set by the heap, which makes the report. */
  reportStalePointer: StalePointerReport | null = null;
  /** The tag of the pointer that deallocate was given. */
  private givenTag = ANY_TAG;
  /** 2 to the number of the lowest bit of each class's block size: the unit in which neighbours alternate. */
  private readonly blockUnits: Float64Array;

  constructor(given: AllocatorOptions, inherited?: TaggedAllocator) {
    const { onTagFailure, write } = given.options;
    const createSecondary: AllocatorOptions["createSecondary"] = (options) =>
      new TaggedSecondary(options, { onTagFailure, write });
    super({ ...given, createSecondary }, inherited);
    this.tagged = given.program as TaggedProgram;
    this.hasFastFree = given.options.flags.thread_local_quarantine_size_kb === 0;
    this.freed = new FreedChunks(Math.max(SMALLEST_RING, given.options.flags.allocation_ring_buffer_size));
    this.blockUnits = this.primary.blockSizes.map((size) => size & -size);
    this.primary.extraProtection = PROT_MTE;
    if (inherited === undefined) return;
    this.isTagging = inherited.isTagging;
    this.oddEvenTags = inherited.oddEvenTags;
    this.primary.extraProtection = inherited.primary.extraProtection;
    this.freed.copyFrom(inherited.freed);
  }

  private readonly tagged: TaggedProgram;
  /** Whether a free may end at once: no quarantine. */
  private readonly hasFastFree: boolean;

  get taggedSecondary(): TaggedSecondary {
    return this.secondary as TaggedSecondary;
  }

  /** S23.5: from now on nothing is tagged; what is cached is unmapped. */
  stopTagging(): void {
    this.isTagging = false;
    this.primary.extraProtection = 0;
    this.taggedSecondary.isTagging = false;
    this.freedBits = 0;
    this.secondary.cache?.empty();
  }

  override untag(pointer: number): number {
    return pointer - Math.floor(pointer * TAGS_PER_BYTE) * TAG_UNIT;
  }

  override userPointer(plain: number): number {
    return plain + mte.loadTag(this.program.memory, plain) * TAG_UNIT;
  }

  override allocate(size: number, origin: number, alignment: number, zeroContents: boolean): number {
    if (!this.isTagging) return super.allocate(size, origin, alignment, zeroContents);
    if (size > this.fastLimit || alignment > MIN_ALIGNMENT) {
      return this.allocateSlowly(size, origin, alignment, zeroContents);
    }
    const classId = this.classBySize16[(size + 31) >>> 4];
    const { registry } = this;
    const { cache } = registry.current ?? registry.acquire();
    if (cache.counts[classId] === 0 && !this.primary.refill(cache, classId)) {
      return this.allocateSlowly(size, origin, alignment, zeroContents);
    }
    const again = this.reuseFast(cache, classId, size, origin);
    if (again !== 0) return again;
    const fill = zeroContents ? FILL_ZERO : this.currentFill;
    return this.formChunk(cache, classId, size, origin, MIN_ALIGNMENT, fill);
  }

  /**
   * {@link formChunk} for a block inside one page whose last chunk lay at the same place and was zeroed with a new tag when it
   * was freed, in one go. @returns the pointer with its tag, or 0, with nothing done, for all others
   */
  private reuseFast(cache: LocalCache, classId: number, size: number, origin: number): number {
    const { own } = this.tagged;
    const { headers, primary } = this;
    const blockSize = primary.blockSizes[classId];
    const top = cache.counts[classId] - 1;
    const block = primary.regions.begin[classId] + cache.blocks[classId * this.stride + top] * 16;
    const user = block + HEADER_SIZE;
    const header = own.positionOf(block, blockSize);
    if (header < 0 || size === 0) return 0;
    const low = own.wordThere(header);
    const high = own.wordThere(header + 4);
    if ((low & 0xf00) !== WAS_ZEROED || (high & 0xffff) !== 0 || !headers.isWhole(user, low, high)) return 0;
    const first = header + HEADER_SIZE;
    const tag = own.tagThere(first);
    if (tag === 0) return 0;
    const length = (size + 15) & ~15;
    const oldLength = ((low >>> 12) + 15) & ~15;
    if (oldLength < length) own.tagAndZeroThere(first + oldLength, length - oldLength, tag);
    if (length + HEADER_SIZE < blockSize) own.clearTagThere(first + length);
    own.zeroGranuleThere(first);
    const newLow = packLow(classId, STATE_ALLOCATED, origin, size);
    own.setWordThere(header, newLow);
    own.setWordThere(header + 4, headers.highFor(user, low, high, newLow));
    cache.counts[classId] = top;
    cache.stats[STAT_ALLOCATED] += blockSize;
    cache.stats[STAT_FREE] -= blockSize;
    return user + tag * TAG_UNIT;
  }

  protected override allocateSmall(
    cache: LocalCache,
    size: number,
    needed: number,
    origin: number,
    alignment: number,
    fill: number,
  ): number {
    if (!this.isTagging) return super.allocateSmall(cache, size, needed, origin, alignment, fill);
    const map = this.primary.config.sizeClassMap;
    if (needed > map.maxSize) return 0;
    let classId = map.classOf(needed);
    while (cache.counts[classId] === 0 && !this.primary.refill(cache, classId)) {
      if (++classId > map.largestClass) return 0;
    }
    return this.formChunk(cache, classId, size, origin, alignment, fill);
  }

  /** Makes a tagged chunk of the block on top of the class's stack, and takes it off. */
  private formChunk(
    cache: LocalCache,
    classId: number,
    size: number,
    origin: number,
    alignment: number,
    fill: number,
  ): number {
    const { memory } = this.program;
    const blockSize = this.primary.blockSizes[classId];
    const top = cache.counts[classId] - 1;
    const block = this.primary.regions.begin[classId] + cache.blocks[classId * this.stride + top] * 16;
    const user =
      alignment === MIN_ALIGNMENT ? block + HEADER_SIZE : Math.ceil((block + HEADER_SIZE) / alignment) * alignment;
    const tag = this.tagChunk(classId, block, block + blockSize, user, size, fill);
    const distance = user - block - HEADER_SIZE;
    if (distance > 0) {
      memory.setInt32(block, BLOCK_MARKER);
      memory.setInt32(block + 4, distance);
    }
    this.headers.store(memory, user, packLow(classId, STATE_ALLOCATED, origin, size), distance / 16);
    cache.counts[classId] = top;
    cache.stats[STAT_ALLOCATED] += blockSize;
    cache.stats[STAT_FREE] -= blockSize;
    return user + tag * TAG_UNIT;
  }

  /**
   * Tags a chunk's bytes, which read zero afterwards, and marks its end (S22.5). A block that was freed and retagged keeps that
   * tag, so that stale pointers to it are certain to fault until the next free.
   */
  private tagChunk(classId: number, block: number, blockEnd: number, user: number, size: number, fill: number): number {
    const { own } = this.tagged;
    const kept = this.reusableTag(block, user);
    if (kept === 0) {
      own.setTagAt(user - HEADER_SIZE, 0);
      const tag = this.drawTag(classId, block, EXCLUDE_ZERO);
      const length = (size + 15) & ~15;
      if (length > 0) own.tagAndZero(user, length, tag);
      this.markEnd(user, user + length, blockEnd, size, tag);
      return tag;
    }
    const oldLength = this.taggedLength(user, kept);
    this.resizeTags(user, oldLength, size, blockEnd, kept);
    if (fill !== FILL_NONE && !this.wasZeroed) own.fill(user, 0, Math.min(size, oldLength));
    else if (size > 0) own.zeroGranule(user);
    return kept;
  }

  /** Size and was-zeroed of the header that {@link reusableTag} found. */
  private oldSize = 0;
  private wasZeroed = false;

  /** The tag that the block's last chunk was given when it was freed, if it lay at `user` and its header is whole; else 0. */
  private reusableTag(block: number, user: number): number {
    const { own } = this.tagged;
    let low = own.getInt32(block);
    let high = own.getInt32(block + 4);
    if (user !== block + HEADER_SIZE) {
      // A header granule of an earlier, aligned chunk may lie inside a later one's bytes.
      if (low !== BLOCK_MARKER || block + HEADER_SIZE + high !== user || own.tagAt(user - HEADER_SIZE) !== 0) return 0;
      low = own.getInt32(user - HEADER_SIZE);
      high = own.getInt32(user - HEADER_SIZE + 4);
    }
    if (!this.headers.isWhole(user, low, high)) return 0;
    this.oldSize = sizeOrUnusedOf(low);
    this.wasZeroed = (low & WAS_ZEROED) !== 0;
    return own.tagAt(user);
  }

  /** Bytes from `user` that still have the tag, whole granules: pages given back meanwhile have tag 0 (S22.9). */
  private taggedLength(user: number, tag: number): number {
    const length = (this.oldSize + 15) & ~15;
    const toNextPage = PAGE_SIZE - (user & (PAGE_SIZE - 1));
    return toNextPage < length && this.tagged.own.tagAt(user + toNextPage) !== tag ? toNextPage : length;
  }

  /** S22.7: tags and zeroes what lies between the old and the new end, and marks the new one. */
  private resizeTags(user: number, oldLength: number, size: number, blockEnd: number, tag: number): void {
    const length = (size + 15) & ~15;
    if (oldLength < length) this.tagged.own.tagAndZero(user + oldLength, length - oldLength, tag);
    this.markEnd(user, user + length, blockEnd, size, tag);
  }

  /** The granule behind the chunk gets tag 0; one of no bytes leaves its tag there for the reports (S22.5). */
  private markEnd(user: number, end: number, blockEnd: number, size: number, tag: number): void {
    if (end === blockEnd) return;
    const { own } = this.tagged;
    own.setTagAt(end, 0);
    if (size === 0) own.setUint8(user, tag);
  }

  private drawTag(classId: number, block: number, exclude: number): number {
    const mask = this.oddEvenTags ? exclude | oddEvenMask(block, this.blockUnits[classId]) : exclude;
    return mte.randomTag(this.tagged.own, mask);
  }

  protected override allocateLarge(size: number, origin: number, alignment: number, fill: number): number {
    const user = super.allocateLarge(size, origin, alignment, fill);
    return user === 0 ? 0 : this.taggedSecondary.tagChunk(user - HEADER_SIZE, user, size);
  }

  override deallocate(pointer: number, origin: number, deleteSize: number): void {
    const tag = (pointer * TAGS_PER_BYTE) | 0;
    const plain = pointer - tag * TAG_UNIT;
    if (this.hasFastFree && deleteSize === 0 && (pointer & 15) === 0 && this.freeFast(plain, tag, origin)) return;
    this.givenTag = tag;
    super.deallocate(plain, origin, deleteSize);
  }

  /** A free with nothing unusual about it, in one go; false, with nothing done, for all others. */
  private freeFast(plain: number, tag: number, origin: number): boolean {
    const { own, threadId } = this.tagged;
    const { headers, registry, primary } = this;
    const header = own.positionOf(plain - HEADER_SIZE, HEADER_SIZE + GRANULE);
    const tsd = registry.current;
    if (header < 0 || tsd === null) return false;
    const low = own.wordThere(header);
    const high = own.wordThere(header + 4);
    const classId = low & 0xff;
    const size = low >>> 12;
    // State allocated and the origin given, in one comparison; a large chunk has class 0.
    if ((low & 0xf00) !== ((origin << 10) | (STATE_ALLOCATED << 8)) || classId === 0 || size === 0) return false;
    if (!this.isTagging || registry.isMemoryInitDisabled || own.tagThere(header + HEADER_SIZE) !== tag) return false;
    if (!headers.isWhole(plain, low, high)) return false;
    const { cache } = tsd;
    const isDrained = cache.counts[classId] === primary.shape.maxCounts[classId];
    if (isDrained) primary.drain(cache, classId);
    const block = plain - HEADER_SIZE - (high & 0xffff) * 16;
    this.freed.note(plain, tag, size, threadId);
    own.tagAndZero(plain, (size + 15) & ~15, this.drawTag(classId, block, EXCLUDE_ZERO | (1 << tag)));
    const newLow = (low & ~0xf00) | WAS_ZEROED;
    own.setWordThere(header, newLow);
    own.setWordThere(header + 4, headers.highFor(plain, low, high, newLow));
    const blockSize = primary.blockSizes[classId];
    const count = cache.counts[classId];
    cache.blocks[classId * this.stride + count] = (block - primary.regions.begin[classId]) / 16;
    cache.counts[classId] = count + 1;
    cache.stats[STAT_ALLOCATED] -= blockSize;
    cache.stats[STAT_FREE] += blockSize;
    if (isDrained) this.primaryRelease.release(classId, "normal");
    return true;
  }

  override quarantineOrDeallocate(plain: number, low: number, offset: number): void {
    const given = this.givenTag;
    this.givenTag = ANY_TAG;
    this.freedBits = 0;
    const classId = classIdOf(low);
    if (!this.isTagging || classId === 0) {
      this.endLarge(plain, low, offset, given);
      return;
    }
    const size = sizeOrUnusedOf(low);
    const { own, threadId } = this.tagged;
    const tag = size === 0 ? Math.max(0, given) : own.tagAt(plain);
    if (given !== tag && given !== ANY_TAG) this.reportStalePointer?.(plain + given * TAG_UNIT, "deallocating");
    this.freed.note(plain, tag, size, threadId);
    if (!this.registry.isMemoryInitDisabled) {
      const newTag = this.drawTag(classId, plain - HEADER_SIZE - offset * 16, EXCLUDE_ZERO | (1 << tag));
      if (size > 0) own.tagAndZero(plain, (size + 15) & ~15, newTag);
      this.freedBits = WAS_ZEROED;
    }
    super.quarantineOrDeallocate(plain, low, offset);
  }

  /** The end of a large chunk, or of any once tagging is off. */
  private endLarge(plain: number, low: number, offset: number, given: number): void {
    const tag = this.tagged.own.tagAt(plain);
    if (this.isTagging) {
      if (given !== tag && given !== ANY_TAG) this.reportStalePointer?.(plain + given * TAG_UNIT, "deallocating");
      this.freed.note(plain, tag, this.sizeOf(plain, low), this.tagged.threadId);
    }
    this.taggedSecondary.lastTag = tag;
    super.quarantineOrDeallocate(plain, low, offset);
  }

  /** Freed chunks are zeroed with their new tag, or lose their pages: there is nothing left to fill. */
  protected override fillFreed(plain: number, low: number): void {
    if (!this.isTagging) super.fillFreed(plain, low);
  }

  /** A batch's bytes have tag 0, whatever the block was before (S23.6). */
  override allocateBatch(tsd: Tsd): number {
    const tagged = super.allocateBatch(tsd);
    const batch = this.untag(tagged);
    if (tagged !== batch) tagAndZeroRange(this.program.memory, batch, roundUpToGranule(BATCH_SIZE));
    return batch;
  }

  /** realloc: as without tags, then the tags follow the size. @returns the pointer with its tag, 0 without memory */
  reallocate(pointer: number, newSize: number): number {
    const { memory } = this.program;
    const plain = this.untag(pointer);
    const given = Math.floor(pointer * TAGS_PER_BYTE);
    const low = plain % MIN_ALIGNMENT === 0 ? this.headers.load(memory, plain) : CORRUPTED_HEADER;
    if (stateOf(low) !== STATE_ALLOCATED || !this.isTagging) return reallocate(this, plain, newSize);
    const oldSize = this.sizeOf(plain, low);
    const oldBlockEnd = this.blockEnd(plain, low, this.headers.offset);
    const tag = oldSize === 0 ? given : mte.loadTag(memory, plain);
    if (tag !== given) this.reportStalePointer?.(pointer, "reallocating");
    this.givenTag = ANY_TAG;
    const result = reallocate(this, plain, newSize);
    // A copy is a chunk of its own, with its own tag; 0 is a failure.
    if (result >= TAG_UNIT || result === 0 || tag === 0) return result;
    if (classIdOf(low) !== 0) this.resizeTags(result, (oldSize + 15) & ~15, newSize, oldBlockEnd, tag);
    else if (mte.loadTag(memory, result) === tag) {
      const shift = result - plain;
      this.taggedSecondary.tagEnd(result - HEADER_SIZE, result, oldSize, newSize, tag, oldBlockEnd + shift);
    } else return result;
    return result + tag * TAG_UNIT;
  }

  /** Whether a plain address is in memory that the heap has mapped: regions, large mappings in use or cached. */
  ownsAddress(address: number): boolean {
    const { regions } = this.primary;
    for (let classId = 0; classId < regions.classCount; classId++) {
      const begin = regions.begin[classId];
      if (address >= begin && address < begin + regions.mapped[classId]) return true;
    }
    return this.taggedSecondary.tags.contains(address);
  }

  override usableSize(pointer: number): number {
    return super.usableSize(this.untag(pointer));
  }

  /** A stale pointer, whose tag is not its chunk's, owns nothing. */
  override isOwned(pointer: number): boolean {
    const plain = this.untag(pointer);
    if (!super.isOwned(plain)) return false;
    const low = this.headers.load(this.memory, plain);
    return this.sizeOf(plain, low) === 0 || this.userPointer(plain) === pointer || !this.isTagging;
  }
}
