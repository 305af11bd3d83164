// The allocator of a tagged heap: Scudo's primary tagging (S22), and the entry points that take tags off pointers and put
// them on. Large chunks' tags are tagged-secondary.ts's; what a fault becomes is tag-fault.ts.

import { SegmentationFault } from "../../platform/hardware/faults.ts";
import type { Address, ByteCount, Tag } from "../../platform/hardware/integers.ts";
import { PAGE_SIZE, TAG_UNIT } from "../../platform/hardware/layout.ts";
import * as mte from "../../platform/hardware/mte.ts";
import { tagAndZeroRange } from "../../platform/hardware/tag-store.ts";
import { PROT_MTE } from "../../platform/kernel/abi/mman.ts";
import { keepClass } from "../../platform/state/kept.ts";
import {
  BLOCK_MARKER,
  classIdOf,
  HEADER_SIZE,
  packLow,
  STATE_ALLOCATED,
  sizeOrUnusedOf,
  WAS_ZEROED,
} from "../combined/chunk-header.ts";
import { Allocator } from "../combined/combined.ts";
import type { AllocatorParts } from "../combined/combined-parts.ts";
import { BATCH_SIZE } from "../combined/quarantine-cache.ts";
import type { Tsd } from "../combined/tsd.ts";
import { FILL_NONE, FILL_ZERO } from "../common/fill.ts";
import type { ClassId } from "../common/integers.ts";
import type { ChunkAction } from "../common/report.ts";
import { type LocalCache, STAT_ALLOCATED } from "../primary/local-cache.ts";
import { FreedChunks } from "./freed-chunks.ts";
import type { TaggedProgram } from "./tagged-program.ts";
import type { TaggedSecondary } from "./tagged-secondary.ts";
import { EXCLUDE_ZERO, GRANULE, oddEvenMask, roundUpToGranule } from "./tagging.ts";

const MIN_ALIGNMENT = 16;
const TAGS_PER_BYTE = 1 / TAG_UNIT;
/** In a header's place: a word that no header of a small chunk is. */
const NOT_REUSABLE = 0;
/** Rows of the ring of frees when the option asks for none. */
const SMALLEST_RING = 1;

/** Told when a pointer that is given back has another tag than its chunk. It must not return. */
export type StalePointerReport = (pointer: Address, action: ChunkAction) => never;

export class TaggedAllocator extends Allocator<TaggedProgram, TaggedSecondary> {
  /** False after disableMemoryTagging, which is final (S23.5): new chunks have no tags, old ones keep theirs. */
  isTagging = true;
  /** Neighbours get tags of different parity (S22.4). */
  oddEvenTags = false;
  readonly freed: FreedChunks;
  /** Set by the heap, which makes the report. */
  reportStalePointer: StalePointerReport | null = null;
  /** Whether a free may end immediately: no quarantine. */
  private readonly hasFastFree: boolean;
  /** 2 to the number of the lowest bit of each class's block size: the unit in which neighbours alternate. */
  private readonly blockUnits: Float64Array;

  constructor(given: AllocatorParts<TaggedProgram, TaggedSecondary>, inherited?: TaggedAllocator) {
    super(given, inherited);
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

  /** S23.5: from now on nothing is tagged; what is cached is unmapped. */
  stopTagging(): void {
    this.isTagging = false;
    this.gate.close();
    this.primary.extraProtection = 0;
    this.secondary.isTagging = false;
    this.secondary.cache?.empty();
  }

  /** Whether small chunks are tagged, as {@link reuseFast} and {@link freeFast} do it, with any tag for any block. */
  get drawsAnyTag(): boolean {
    return this.isTagging && !this.oddEvenTags && this.hasFastFree;
  }

  protected override get promisesBlock(): boolean {
    return false;
  }

  /** The tag goes where the chunk goes. */
  override resizedPointer(plain: Address, given: number): Address {
    return this.isTagging ? plain + Math.floor(given * TAGS_PER_BYTE) * TAG_UNIT : plain;
  }

  override setOddEvenTags(on: boolean): void {
    this.oddEvenTags = on;
    this.gate.close();
  }

  override untag(pointer: Address): Address {
    return pointer - Math.floor(pointer * TAGS_PER_BYTE) * TAG_UNIT;
  }

  /** The chunk's tag as memory has it; a chunk of no bytes may begin where nothing can be read, and has none. */
  override userPointer(plain: Address): Address {
    try {
      return plain + mte.loadTag(this.program.memory, plain) * TAG_UNIT;
    } catch (error) {
      if (error instanceof SegmentationFault) return plain;
      throw error;
    }
  }

  /** Of tagged chunks those whose block was freed with a new tag; all others are formed by {@link allocate}. */
  override allocateDirectly(size: ByteCount, origin: number): Address {
    if (!this.isTagging) return super.allocateDirectly(size, origin);
    const cache = this.registry.currentCache;
    if (cache === null || size > this.fastLimit) return 0;
    const classId = this.classBySize16[(size + 31) >>> 4];
    if (cache.counts[classId] === 0 && !this.primary.refillFromList(cache, classId)) return 0;
    return this.reuseFast(cache, classId, size, origin);
  }

  /** A tagged pointer is looked at by the whole way. */
  override movableSize(pointer: Address, newSize: ByteCount): number {
    return this.isTagging ? -1 : super.movableSize(pointer, newSize);
  }

  override freeDirectly(pointer: Address, origin: number): boolean {
    const tag = (pointer * TAGS_PER_BYTE) | 0;
    return this.hasFastFree && (pointer & 15) === 0 && this.freeFast(pointer - tag * TAG_UNIT, tag, origin);
  }

  override allocate(size: ByteCount, origin: number, alignment: number, zeroContents: boolean): Address {
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
  private reuseFast(cache: LocalCache, classId: ClassId, size: ByteCount, origin: number): Address {
    const { own } = this.program;
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
    return user + tag * TAG_UNIT;
  }

  protected override allocateSmall(
    cache: LocalCache,
    size: ByteCount,
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
    classId: ClassId,
    size: ByteCount,
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
    return user + tag * TAG_UNIT;
  }

  /**
   * Tags a chunk's bytes, which read zero afterwards, and marks its end (S22.5). A block that was freed and retagged keeps that
   * tag, so that stale pointers to it are certain to fault until the next free.
   */
  private tagChunk(
    classId: ClassId,
    block: Address,
    blockEnd: Address,
    user: Address,
    size: ByteCount,
    fill: number,
  ): number {
    const { own } = this.program;
    // Everything that is written gets its frame first: a block whose bytes were tagged in part must not stay on the stack.
    const written = Math.min(user + ((size + 15) & ~15) + GRANULE, blockEnd);
    this.program.prepare(user - HEADER_SIZE, written - user + HEADER_SIZE);
    if (user !== block + HEADER_SIZE) this.program.prepare(block, GRANULE);
    const low = this.reusableHeader(block, user);
    const kept = low === NOT_REUSABLE ? 0 : own.tagAt(user);
    if (kept === 0) {
      own.setTagAt(user - HEADER_SIZE, 0);
      const tag = this.drawTag(classId, block, EXCLUDE_ZERO);
      const length = (size + 15) & ~15;
      if (length > 0) own.tagAndZero(user, length, tag);
      this.markEnd(user, user + length, blockEnd, size, tag);
      return tag;
    }
    const oldSize = sizeOrUnusedOf(low);
    const oldLength = this.taggedLength(user, oldSize, kept);
    this.resizeTags(user, oldLength, size, blockEnd, kept);
    if (fill !== FILL_NONE && (low & WAS_ZEROED) === 0) own.fill(user, 0, Math.min(size, oldLength));
    else if (size > 0) own.zeroGranule(user);
    return kept;
  }

  /** The header of the block's last chunk, if that lay at `user` and its header is whole; else {@link NOT_REUSABLE}. */
  private reusableHeader(block: Address, user: Address): number {
    const { own } = this.program;
    let low = own.getInt32(block);
    let high = own.getInt32(block + 4);
    if (user !== block + HEADER_SIZE) {
      // A header granule of an earlier, aligned chunk may lie inside a later one's bytes.
      if (low !== BLOCK_MARKER || block + HEADER_SIZE + high !== user || own.tagAt(user - HEADER_SIZE) !== 0)
        return NOT_REUSABLE;
      low = own.getInt32(user - HEADER_SIZE);
      high = own.getInt32(user - HEADER_SIZE + 4);
    }
    return this.headers.isWhole(user, low, high) ? low : NOT_REUSABLE;
  }

  /** Bytes from `user` that still have the tag, whole granules: pages given back meanwhile have tag 0 (S22.9). */
  private taggedLength(user: Address, oldSize: ByteCount, tag: Tag): ByteCount {
    const length = (oldSize + 15) & ~15;
    const toNextPage = PAGE_SIZE - (user & (PAGE_SIZE - 1));
    return toNextPage < length && this.program.own.tagAt(user + toNextPage) !== tag ? toNextPage : length;
  }

  /** S22.7: tags and zeroes what lies between the old and the new end, and marks the new one. */
  private resizeTags(user: Address, oldLength: number, size: ByteCount, blockEnd: Address, tag: Tag): void {
    const length = (size + 15) & ~15;
    if (oldLength < length) this.program.own.tagAndZero(user + oldLength, length - oldLength, tag);
    this.markEnd(user, user + length, blockEnd, size, tag);
  }

  /** The granule behind the chunk gets tag 0; one of no bytes leaves its tag there for the reports (S22.5). */
  private markEnd(user: Address, end: Address, blockEnd: Address, size: ByteCount, tag: Tag): void {
    if (end === blockEnd) return;
    const { own } = this.program;
    own.setTagAt(end, 0);
    if (size === 0) own.setUint8(user, tag);
  }

  private drawTag(classId: ClassId, block: Address, exclude: number): Tag {
    const mask = this.oddEvenTags ? exclude | oddEvenMask(block, this.blockUnits[classId]) : exclude;
    return mte.randomTag(this.program.own, mask);
  }

  override deallocate(pointer: Address, origin: number, deleteSize: number): void {
    if (deleteSize === 0 && this.freeDirectly(pointer, origin)) return;
    const plain = this.untag(pointer);
    this.program.deliverReports();
    const low = this.checkFree(plain, origin, deleteSize);
    const { offset } = this.headers;
    this.checkTag(pointer, plain, low, "deallocating");
    this.quarantineOrDeallocate(plain, low, offset);
  }

  override checkTag(pointer: Address, plain: Address, low: number, action: ChunkAction): void {
    if (!this.isTagging || this.sizeOf(plain, low) === 0) return;
    if (this.userPointer(plain) !== pointer) this.reportStalePointer?.(pointer, action);
  }

  /** A free with nothing unusual about it, in one go; false, with nothing done, for all others. */
  private freeFast(plain: Address, tag: Tag, origin: number): boolean {
    const { own, threadId } = this.program;
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
    if (isDrained) {
      this.program.deliverReports();
      primary.drain(cache, classId);
    }
    const block = plain - HEADER_SIZE - (high & 0xffff) * 16;
    if ((plain & (PAGE_SIZE - 1)) + size > PAGE_SIZE) this.program.prepare(plain, size);
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
    if (isDrained) this.primaryRelease.release(classId, "normal");
    return true;
  }

  /** Retags and zeroes a small chunk (S22.6). What can be refused for lack of a frame is refused before. */
  protected override beginFree(plain: Address, low: number, offset: number): number {
    if (!this.isTagging) return 0;
    const { own, threadId } = this.program;
    const classId = classIdOf(low);
    const size = this.sizeOf(plain, low);
    const isRetagged = classId !== 0 && !this.registry.isMemoryInitDisabled;
    const length = isRetagged ? (size + 15) & ~15 : 0;
    this.program.prepare(plain - HEADER_SIZE, HEADER_SIZE + length);
    const tag = this.tagOfChunk(plain, low, offset, size);
    this.freed.note(plain, tag, size, threadId);
    if (!isRetagged) return 0;
    const newTag = this.drawTag(classId, plain - HEADER_SIZE - offset * 16, EXCLUDE_ZERO | (1 << tag));
    if (length > 0) own.tagAndZero(plain, length, newTag);
    return WAS_ZEROED;
  }

  /** The tag of a live chunk's pointer. One of no bytes has it written where its first byte would be (S22.5), if it has any. */
  private tagOfChunk(plain: Address, low: number, offset: number, size: ByteCount): Tag {
    if (size !== 0) return this.program.own.tagAt(plain);
    if (classIdOf(low) === 0 || plain === this.blockEnd(plain, low, offset)) return 0;
    return this.program.own.getUint8(plain) & 15;
  }

  /** Freed chunks are zeroed with their new tag, or lose their pages: there is nothing left to fill. */
  protected override fillFreed(plain: Address, low: number): void {
    if (!this.isTagging) super.fillFreed(plain, low);
  }

  /** A batch's bytes have tag 0, also in a block that was tagged before (S23.6). */
  override allocateBatch(tsd: Tsd): Address {
    const tagged = super.allocateBatch(tsd);
    const batch = this.untag(tagged);
    if (tagged !== batch) tagAndZeroRange(this.program.memory, batch, roundUpToGranule(BATCH_SIZE));
    return batch;
  }

  override prepareResize(plain: Address, low: number, oldSize: ByteCount, newSize: ByteCount): void {
    if (!this.isTagging) return;
    if (classIdOf(low) === 0) {
      this.secondary.prepareResize(plain - HEADER_SIZE, oldSize, newSize);
      return;
    }
    const from = Math.min(oldSize, newSize) & ~15;
    const end = Math.min(((newSize + 15) & ~15) + GRANULE, this.blockEnd(plain, low, this.headers.offset) - plain);
    this.program.prepare(plain + from, end - from);
  }

  /** The tags follow the size; those of a large chunk that moved have followed already. */
  override noteResize(plain: Address, low: number, oldSize: ByteCount, newSize: ByteCount): void {
    if (!this.isTagging) return;
    const { offset } = this.headers;
    const tag = this.tagOfChunk(plain, low, offset, oldSize);
    if (tag === 0) return;
    if (classIdOf(low) === 0) this.secondary.resize(plain - HEADER_SIZE, oldSize, newSize, tag);
    else this.resizeTags(plain, (oldSize + 15) & ~15, newSize, this.blockEnd(plain, low, offset), tag);
  }

  /** Whether a plain address is in memory that the heap has mapped: regions, large mappings in use or cached. */
  ownsAddress(address: Address): boolean {
    const { regions } = this.primary;
    for (let classId = 0; classId < regions.classCount; classId++) {
      const begin = regions.begin[classId];
      if (address >= begin && address < begin + regions.mapped[classId]) return true;
    }
    return this.secondary.tags.contains(address);
  }

  override usableSize(pointer: Address): ByteCount {
    return super.usableSize(this.untag(pointer));
  }

  /** A stale pointer, whose tag is not its chunk's, owns nothing. */
  override isOwned(pointer: Address): boolean {
    const plain = this.untag(pointer);
    if (!this.isAllocated(plain)) return false;
    const low = this.headers.load(this.memory, plain);
    return this.sizeOf(plain, low) === 0 || this.userPointer(plain) === pointer || !this.isTagging;
  }
}

keepClass("TaggedAllocator", TaggedAllocator);
