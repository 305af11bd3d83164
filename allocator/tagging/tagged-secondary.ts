// The secondary of a tagged heap: each large chunk's mapping comes from a reference page of its tag, so that tagging touches no
// page but the headers' (S23.1 gives large chunks no tag at all). Small chunks are in tagged-allocator.ts.

import type { Address, ByteCount, Tag } from "../../platform/hardware/integers.ts";
import { PAGE_SIZE, TAG_UNIT } from "../../platform/hardware/layout.ts";
import * as mte from "../../platform/hardware/mte.ts";
import { tagRange } from "../../platform/hardware/tag-store.ts";
import { OutOfMemoryError } from "../../platform/kernel/abi/errors.ts";
import { PROT_MTE, PROT_NONE, PROT_READ, PROT_WRITE } from "../../platform/kernel/abi/mman.ts";
import { keepClass, keepMaker } from "../../platform/state/kept.ts";
import { HEADER_SIZE } from "../combined/chunk-header.ts";
import { FILL_PATTERN, FILL_ZERO } from "../common/fill.ts";
import { NO_MEMORY } from "../common/program.ts";
import type { TagFailure } from "../options/options.ts";
import { CLEAN_ID_UNIT, LARGE_HEADER_SIZE } from "../secondary/large-block-list.ts";
import { NO_DESCRIPTOR } from "../secondary/large-fill.ts";
import { LargeMapping } from "../secondary/large-mapping.ts";
import {
  CLEAN_FILL_MASK,
  CLEAN_PATTERN,
  CLEAN_ZERO,
  Secondary,
  type SecondaryOptions,
} from "../secondary/secondary.ts";
import type { SecondaryCache } from "../secondary/secondary-cache.ts";
import { MappingTags } from "./mapping-tags.ts";
import type { TaggedProgram } from "./tagged-program.ts";
import { EXCLUDE_ZERO, roundUpToGranule } from "./tagging.ts";

/** Tags of an untagged chunk's headers (S22.2). */
const LARGE_HEADER_TAG = 1;
const CHUNK_HEADER_TAG = 2;
/** A clean page's id is fill + 2 * tag. */
const CLEAN_TAG_UNIT = 2;

function tagOfCleanId(cleanId: number): number {
  return Math.floor(cleanId / CLEAN_TAG_UNIT);
}

/** Whether a block's pages get their tag from a reference page, from the program, or none. */
export interface LargeTagCounts {
  /** Mappings made of a tagged reference page. */
  readonly mapped: number;
  /** Mappings for which no reference page could be had: what `onTagFailure` said was done. */
  readonly failures: number;
  /** Large chunks that stayed untagged for lack of a reference page. */
  readonly untagged: number;
  /** Large chunks whose granules the program tagged itself. */
  readonly userTagged: number;
  /** The last reason, as an errno name. */
  readonly lastFailure: string | null;
}

export interface TaggedSecondaryOptions extends SecondaryOptions<TaggedProgram> {
  readonly onTagFailure: TagFailure;
  readonly write: (text: string) => void;
}

export class TaggedSecondary extends Secondary<TaggedProgram> {
  readonly tags = new MappingTags();
  /** The tail behind a chunk is at most the rest of its last page, which can be tagged. */
  protected override readonly tailLimit = PAGE_SIZE;
  private readonly onTagFailure: TagFailure;
  private readonly write: (text: string) => void;
  /** False: new mappings get no tags (after disableMemoryTagging). */
  isTagging = true;
  /** The row of a mapping whose chunk changes its size. */
  private readonly resized = new LargeMapping();
  private mapped = 0;
  private failures = 0;
  private untagged = 0;
  private userTagged = 0;

  constructor(options: TaggedSecondaryOptions) {
    super(options);
    this.onTagFailure = options.onTagFailure;
    this.write = options.write;
    this.program.onDiscard = forgetIn(this.tags);
  }

  get tagCounts(): LargeTagCounts {
    const { mapped, failures, untagged, userTagged } = this;
    return { mapped, failures, untagged, userTagged, lastFailure: this.referencePages.lastFailure };
  }

  /** Fresh pages that read as `fill` and have a new tag. */
  protected override commit(address: Address, length: ByteCount, fill: number): number {
    if (!this.isTagging) return super.commit(address, length, fill);
    const exclude = this.tags.excluded(address, address + length);
    return this.commitTagged(address, length, fill, this.drawTag(exclude));
  }

  private drawTag(exclude: number): Tag {
    return mte.randomTag(this.program.memory, exclude | EXCLUDE_ZERO);
  }

  /** Maps a reference page of the tag; without one, what the option says. @returns the clean page's id, or NO_MEMORY */
  private commitTagged(address: Address, length: ByteCount, fill: number, tag: Tag): number {
    const pattern = fill === FILL_PATTERN && this.largeFill === "refpage";
    const descriptor = this.referencePages.descriptor(pattern ? FILL_PATTERN : FILL_ZERO, tag, PROT_MTE);
    if (descriptor !== NO_DESCRIPTOR && this.program.commitFile(address, length, descriptor, PROT_MTE)) {
      this.mapped++;
      if (pattern) this.refpageMappings++;
      return (pattern ? CLEAN_PATTERN : CLEAN_ZERO) + CLEAN_TAG_UNIT * tag;
    }
    this.noteFailure();
    if (this.onTagFailure === "untagged") return super.commit(address, length, fill);
    return this.program.commit(address, length, PROT_MTE) ? CLEAN_ZERO : NO_MEMORY;
  }

  /** Never silent: counted, and said once. */
  private noteFailure(): void {
    if (this.failures++ > 0) return;
    const { lastFailure } = this.referencePages;
    const consequence = this.onTagFailure === "untagged" ? "stay untagged" : "are tagged by the program, page by page";
    this.write(`refheap WARNING: no tagged reference page (${lastFailure ?? "ENOMEM"}): large chunks ${consequence}\n`);
  }

  protected override link(mapping: LargeMapping): void {
    super.link(mapping);
    this.tags.set(mapping.mapBase, mapping.mapEnd, tagOfCleanId(mapping.cleanId), "live");
  }

  /** As without tags, but the page is looked up once: the first store brings it. */
  protected override storeHeader(mapping: LargeMapping, previous: number): void {
    const { own } = this.program;
    const header = mapping.block - LARGE_HEADER_SIZE;
    own.setInt32(header, previous | 0);
    const place = own.positionOf(header, LARGE_HEADER_SIZE);
    if (place < 0) {
      super.storeHeader(mapping, previous);
      return;
    }
    own.setDoubleWordThere(place, previous);
    own.setDoubleWordThere(place + 8, mapping.cleanId * CLEAN_ID_UNIT);
    own.setDoubleWordThere(place + 16, mapping.commitBase);
    own.setDoubleWordThere(place + 24, mapping.commitSize);
    own.setDoubleWordThere(place + 32, mapping.mapBase);
    own.setDoubleWordThere(place + 40, mapping.mapSize);
  }

  /** A cached mapping brings its tag along, unless a neighbour has it by now. */
  protected override cleanCached(cache: SecondaryCache, slot: number, mapping: LargeMapping, fill: number): number {
    const { commitBase, commitSize } = mapping;
    const tag = tagOfCleanId(mapping.cleanId);
    if (tag === 0) {
      if (!this.program.protect(commitBase, commitSize, PROT_READ | PROT_WRITE)) return NO_MEMORY;
      // The headers of the chunk before may lie inside the new one.
      tagRange(this.program.memory, commitBase, cache.blockBegin[slot] + HEADER_SIZE - commitBase);
    }
    if (tag !== 0 && (this.tags.excluded(commitBase, mapping.commitEnd) & (1 << tag)) !== 0) {
      const cleanId = this.commit(commitBase, commitSize, fill);
      if (cleanId === NO_MEMORY) return NO_MEMORY;
      cache.cleanId[slot] = cleanId;
      cache.time[slot] = 0;
    }
    return super.cleanCached(cache, slot, mapping, fill);
  }

  /**
   * Brings the tags around a new chunk in order: headers 0, the chunk its mapping's tag, what is left of its last page 0.
   * @returns the user pointer with its tag
   */
  override present(mapping: LargeMapping, size: ByteCount): Address {
    const { block, commitBase, commitEnd } = mapping;
    const user = block + HEADER_SIZE;
    // A chunk of no bytes may begin at the guard page: there is nothing to tag.
    if (user === commitEnd) return user;
    const cleanTag = tagOfCleanId(mapping.cleanId);
    if (cleanTag !== 0) {
      this.program.own.clearTags(commitBase, user - commitBase);
      if (user + roundUpToGranule(size) < commitEnd) this.tagEnd(mapping, size, size, cleanTag, commitEnd);
      return user + cleanTag * TAG_UNIT;
    }
    if (!this.isTagging) return user;
    if (this.onTagFailure === "untagged") {
      this.untagged++;
      this.tagHeaders(mapping, user);
      return user;
    }
    const { tags } = this;
    const tag = this.drawTag(tags.excluded(commitBase, commitEnd));
    tags.set(mapping.mapBase, mapping.mapEnd, tag, "live");
    tagRange(this.program.memory, user + tag * TAG_UNIT, roundUpToGranule(size));
    tagRange(this.program.memory, commitBase, user - commitBase);
    this.tagEnd(mapping, size, size, tag, commitEnd);
    this.userTagged++;
    return user + tag * TAG_UNIT;
  }

  /** An untagged chunk's headers have tags of their own, so that an underflow is caught all the same (S23.2, S23.3). */
  private tagHeaders({ commitBase, commitEnd }: LargeMapping, user: Address): void {
    const { memory } = this.program;
    const end = Math.min(commitEnd, Math.ceil(user / PAGE_SIZE) * PAGE_SIZE);
    if (!this.program.protect(commitBase, end - commitBase, PROT_READ | PROT_WRITE | PROT_MTE)) return;
    tagRange(memory, commitBase + LARGE_HEADER_TAG * TAG_UNIT, user - HEADER_SIZE - commitBase);
    tagRange(memory, user - HEADER_SIZE + CHUNK_HEADER_TAG * TAG_UNIT, HEADER_SIZE);
  }

  /**
   * After a change of size: granules between the ends get the tag or lose it, and the rest of the last page has tag 0.
   * @param oldBlockEnd up to which granules may lack the tag; pages behind it read as the mapping's clean page
   */
  private tagEnd(mapping: LargeMapping, oldSize: ByteCount, newSize: ByteCount, tag: Tag, oldBlockEnd: number): void {
    const { memory } = this.program;
    const user = mapping.block + HEADER_SIZE;
    const oldEnd = user + roundUpToGranule(oldSize);
    const newEnd = user + roundUpToGranule(Math.max(1, newSize));
    const retagEnd = mapping.cleanId >= CLEAN_TAG_UNIT ? Math.min(newEnd, oldBlockEnd) : newEnd;
    if (retagEnd > oldEnd) tagRange(memory, oldEnd + tag * TAG_UNIT, retagEnd - oldEnd);
    const end = this.lastPageEnd(mapping, oldEnd, newEnd);
    if (end > newEnd) tagRange(memory, newEnd, end - newEnd);
  }

  /** End of the pages whose granules behind the chunk get tag 0: those that the old end and the new one lie in. */
  private lastPageEnd(mapping: LargeMapping, oldEnd: number, newEnd: number): Address {
    return Math.min(mapping.commitEnd, Math.ceil(Math.max(oldEnd, newEnd) / PAGE_SIZE) * PAGE_SIZE);
  }

  /** Gives the pages that {@link tagEnd} will write to their frames. @throws OutOfMemoryError */
  private prepareEnd(mapping: LargeMapping, oldSize: ByteCount, newSize: ByteCount, oldBlockEnd: number): void {
    const user = mapping.block + HEADER_SIZE;
    const oldEnd = user + roundUpToGranule(oldSize);
    const newEnd = user + roundUpToGranule(Math.max(1, newSize));
    const retagEnd = mapping.cleanId >= CLEAN_TAG_UNIT ? Math.min(newEnd, oldBlockEnd) : newEnd;
    if (retagEnd > oldEnd) this.program.prepare(oldEnd, retagEnd - oldEnd);
    const end = this.lastPageEnd(mapping, oldEnd, newEnd);
    if (end > newEnd) this.program.prepare(newEnd, end - newEnd);
  }

  /** Before a chunk with the tag `tag` changes its size in its block. @throws OutOfMemoryError: nothing has changed */
  prepareResize(block: Address, oldSize: ByteCount, newSize: ByteCount): void {
    const mapping = this.load(block, this.resized);
    this.prepareEnd(mapping, oldSize, newSize, mapping.commitEnd);
  }

  /** After it has; {@link prepareResize} came before. */
  resize(block: Address, oldSize: ByteCount, newSize: ByteCount, tag: Tag): void {
    const mapping = this.load(block, this.resized);
    this.tagEnd(mapping, oldSize, newSize, tag, mapping.commitEnd);
  }

  /** The chunk's tag goes with its pages, and the old place remembers it. */
  protected override adoptMoved(
    old: LargeMapping,
    moved: LargeMapping,
    oldSize: ByteCount,
    newSize: ByteCount,
  ): boolean {
    const tag = this.tagOf(moved);
    if (tag !== 0) {
      const oldBlockEnd = old.commitEnd - old.commitBase + moved.commitBase;
      try {
        this.prepareEnd(moved, oldSize, newSize, oldBlockEnd);
      } catch (error) {
        if (error instanceof OutOfMemoryError) return false;
        throw error;
      }
      this.tagEnd(moved, oldSize, newSize, tag, oldBlockEnd);
    }
    this.tags.noteDangling(old.commitBase, old.commitEnd, tag);
    return true;
  }

  /** The tag of a chunk's bytes; 0 if it has none. */
  private tagOf({ block, commitEnd }: LargeMapping): Tag {
    const user = block + HEADER_SIZE;
    return user === commitEnd ? 0 : mte.loadTag(this.program.memory, user);
  }

  /** The chunk's pointers die: a cached mapping gets another tag by another reference page, touched pages only. */
  protected override giveUp(mapping: LargeMapping): void {
    const { cache, tags } = this;
    const { commitBase, commitSize, commitEnd } = mapping;
    const tag = this.tagOf(mapping);
    tags.noteDangling(commitBase, commitEnd, tag);
    const isKept = this.isTagging && cache?.wouldKeep(commitSize) === true;
    if (tag === 0 || !isKept) {
      // What has no tag is out of reach while it is cached (S23.4).
      if (isKept) this.program.protect(commitBase, commitSize, PROT_NONE);
      super.giveUp(mapping);
      return;
    }
    const exclude = tags.excluded(commitBase, commitEnd);
    const fill = (mapping.cleanId & CLEAN_FILL_MASK) === CLEAN_PATTERN ? FILL_PATTERN : FILL_ZERO;
    mapping.cleanId = this.commitTagged(commitBase, commitSize, fill, this.drawTag(exclude));
    if (mapping.cleanId === NO_MEMORY) {
      this.program.discard(mapping.mapBase, mapping.mapSize);
      return;
    }
    tags.set(mapping.mapBase, mapping.mapEnd, tagOfCleanId(mapping.cleanId), "cached");
    super.giveUp(mapping);
  }

  override copyFrom(other: this): void {
    super.copyFrom(other);
    this.tags.copyFrom(other.tags);
    this.isTagging = other.isTagging;
    this.mapped = other.mapped;
    this.failures = other.failures;
    this.untagged = other.untagged;
    this.userTagged = other.userTagged;
  }

  /** The large block whose mapping, guard pages included, holds `address`; 0 if there is none. */
  blockAt(address: Address): number {
    for (let block = this.first; block !== 0; block = this.nextBlock(block)) {
      if (address >= this.commitBase(block) - PAGE_SIZE && address < this.blockEnd(block) + PAGE_SIZE) return block;
    }
    return 0;
  }
}

keepClass("TaggedSecondary", TaggedSecondary);

const forgetIn = keepMaker("tags.forgetIn", (tags: MappingTags) => (address: Address) => {
  tags.remove(address);
});
