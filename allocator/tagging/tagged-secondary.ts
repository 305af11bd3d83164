// The secondary of a tagged heap: each large chunk's mapping comes from a reference page of its tag, so that tagging touches no
// page but the headers' (S23.1 gives large chunks no tag at all). Small chunks are in tagged-allocator.ts.

import * as mte from "../../platform/hardware/mte.ts";
import { tagRange } from "../../platform/hardware/tag-store.ts";
import type { UncheckedMemory } from "../../platform/hardware/unchecked-memory.ts";
import { PROT_MTE, PROT_NONE, PROT_READ, PROT_WRITE } from "../../platform/kernel/abi/mman.ts";
import { HEADER_SIZE } from "../combined/chunk-header.ts";
import { FILL_PATTERN, FILL_ZERO } from "../common/fill.ts";
import { NO_MEMORY } from "../common/program.ts";
import type { TagFailure } from "../options/options.ts";
import { LARGE_HEADER_SIZE } from "../secondary/large-block-list.ts";
import { NO_DESCRIPTOR } from "../secondary/large-fill.ts";
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
import { EXCLUDE_ZERO, roundUpToGranule, TAG_UNIT } from "./tagging.ts";

const PAGE_SIZE = 4096;
/** Tags of an untagged chunk's headers (S22.2). */
const LARGE_HEADER_TAG = 1;
const CHUNK_HEADER_TAG = 2;
/** A clean page's id is fill + 2 * tag. */
const CLEAN_TAG_UNIT = 2;

/** Whether a block's pages get their tag from a reference page, from the program, or none. */
export interface LargeTagCounts {
  /** Mappings made of a tagged reference page. */
  readonly mapped: number;
  /** Mappings for which no reference page could be had: what `onTagFailure` said was done. */
  readonly failures: number;
  readonly untagged: number;
  readonly userTagged: number;
  /** The last reason, as an errno name. */
  readonly lastFailure: string | null;
}

export class TaggedSecondary extends Secondary {
  readonly tags = new MappingTags();
  /** The tail behind a chunk is at most the rest of its last page, which can be tagged. */
  protected override readonly tailLimit = PAGE_SIZE;
  private readonly onTagFailure: TagFailure;
  private readonly write: (text: string) => void;
  /** False: new mappings get no tags (after disableMemoryTagging). */
  isTagging = true;
  /** The mapping that was linked last, so that {@link tagChunk} need not read it back. */
  private linkedBase = 0;
  private linkedEnd = 0;
  private linkedTag = 0;
  private mapped = 0;
  private failures = 0;
  private untagged = 0;
  private userTagged = 0;

  constructor(options: SecondaryOptions, given: { onTagFailure: TagFailure; write: (text: string) => void }) {
    super(options);
    this.onTagFailure = given.onTagFailure;
    this.write = given.write;
    this.program.onDiscard = (address) => this.tags.remove(address);
  }

  /** The heap's own memory, for the running thread. */
  private get own(): UncheckedMemory {
    return (this.program as TaggedProgram).own;
  }

  get tagCounts(): LargeTagCounts {
    const { mapped, failures, untagged, userTagged } = this;
    return { mapped, failures, untagged, userTagged, lastFailure: this.referencePages.lastFailure };
  }

  /** Fresh pages that read as `fill` and have a new tag. */
  protected override commit(address: number, length: number, fill: number): number {
    if (!this.isTagging) return super.commit(address, length, fill);
    const exclude = this.tags.excluded(address, address + length);
    return this.commitTagged(address, length, fill, this.drawTag(exclude));
  }

  private drawTag(exclude: number): number {
    return mte.randomTag(this.program.memory, exclude | EXCLUDE_ZERO);
  }

  /** Maps a reference page of the tag; without one, what the option says. @returns the clean page's id, or NO_MEMORY */
  private commitTagged(address: number, length: number, fill: number, tag: number): number {
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

  protected override link(
    block: number,
    commitBase: number,
    commitSize: number,
    mapBase: number,
    mapSize: number,
    cleanId: number,
  ): void {
    super.link(block, commitBase, commitSize, mapBase, mapSize, cleanId);
    const tag = cleanId >> 1;
    this.tags.set(mapBase, mapBase + mapSize, tag, "live");
    this.linkedBase = commitBase;
    this.linkedEnd = commitBase + commitSize;
    this.linkedTag = tag;
  }

  /** As without tags, but the page is looked up once: the first store brings it. */
  protected override storeHeader(
    header: number,
    previous: number,
    next: number,
    commitBase: number,
    commitSize: number,
    mapBase: number,
    mapSize: number,
  ): void {
    const { own } = this;
    own.setInt32(header, previous | 0);
    const place = own.positionOf(header, LARGE_HEADER_SIZE);
    if (place < 0) {
      super.storeHeader(header, previous, next, commitBase, commitSize, mapBase, mapSize);
      return;
    }
    own.setDoubleWordThere(place, previous);
    own.setDoubleWordThere(place + 8, next);
    own.setDoubleWordThere(place + 16, commitBase);
    own.setDoubleWordThere(place + 24, commitSize);
    own.setDoubleWordThere(place + 32, mapBase);
    own.setDoubleWordThere(place + 40, mapSize);
  }

  /** A cached mapping brings its tag along, unless a neighbour has it by now. */
  protected override cleanCached(slot: number, block: number, fill: number): number {
    const cache = this.cache as SecondaryCache;
    const [base, size] = [cache.commitBase[slot], cache.commitSize[slot]];
    const tag = Math.floor(cache.cleanId[slot] / CLEAN_TAG_UNIT);
    if (tag === 0) {
      if (!this.program.protect(base, size, PROT_READ | PROT_WRITE)) return NO_MEMORY;
      // The headers of the chunk before may lie inside the new one.
      tagRange(this.program.memory, base, cache.blockBegin[slot] + HEADER_SIZE - base);
    }
    if (tag !== 0 && (this.tags.excluded(base, base + size) & (1 << tag)) !== 0) {
      const cleanId = this.commit(base, size, fill);
      if (cleanId === NO_MEMORY) return NO_MEMORY;
      cache.cleanId[slot] = cleanId;
      cache.time[slot] = 0;
    }
    return super.cleanCached(slot, block, fill);
  }

  /**
   * Brings the tags around a new chunk in order: headers 0, the chunk its mapping's tag, what is left of its last page 0.
   * @returns the user pointer with its tag
   */
  tagChunk(block: number, user: number, size: number): number {
    const cleanTag = this.linkedTag;
    if (cleanTag !== 0) {
      this.own.clearTags(this.linkedBase, user - this.linkedBase);
      if (user + roundUpToGranule(size) < this.linkedEnd)
        this.tagEnd(block, user, size, size, cleanTag, this.linkedEnd);
      return user + cleanTag * TAG_UNIT;
    }
    if (!this.isTagging) return user;
    if (this.onTagFailure === "untagged") {
      this.untagged++;
      this.tagHeaders(block, user);
      return user;
    }
    const { tags } = this;
    const mapBase = this.mapBaseOf(block);
    const end = this.blockEnd(block);
    const tag = this.drawTag(tags.excluded(this.commitBase(block), end));
    tags.set(mapBase, end + PAGE_SIZE, tag, "live");
    tagRange(this.program.memory, user + tag * TAG_UNIT, roundUpToGranule(size));
    tagRange(this.program.memory, this.linkedBase, user - this.linkedBase);
    this.tagEnd(block, user, size, size, tag, end);
    this.userTagged++;
    return user + tag * TAG_UNIT;
  }

  /** An untagged chunk's headers have tags of their own, so that an underflow is caught all the same (S23.2, S23.3). */
  private tagHeaders(block: number, user: number): void {
    const { memory } = this.program;
    const begin = this.commitBase(block);
    const end = Math.min(this.blockEnd(block), Math.ceil(user / PAGE_SIZE) * PAGE_SIZE);
    if (!this.program.protect(begin, end - begin, PROT_READ | PROT_WRITE | PROT_MTE)) return;
    tagRange(memory, begin + LARGE_HEADER_TAG * TAG_UNIT, user - HEADER_SIZE - begin);
    tagRange(memory, user - HEADER_SIZE + CHUNK_HEADER_TAG * TAG_UNIT, HEADER_SIZE);
  }

  /**
   * After a change of size: granules between the ends get the tag or lose it, and the rest of the last page has tag 0.
   * @param oldBlockEnd up to which granules may lack the tag; pages behind it read as the mapping's clean page
   */
  tagEnd(block: number, user: number, oldSize: number, newSize: number, tag: number, oldBlockEnd: number): void {
    const { memory } = this.program;
    const oldEnd = user + roundUpToGranule(oldSize);
    const newEnd = user + roundUpToGranule(Math.max(1, newSize));
    const isClean = this.cleanIdOf(block) >= CLEAN_TAG_UNIT;
    const retagEnd = isClean ? Math.min(newEnd, oldBlockEnd) : newEnd;
    if (retagEnd > oldEnd) tagRange(memory, oldEnd + tag * TAG_UNIT, retagEnd - oldEnd);
    const lastPageEnd = Math.ceil(Math.max(oldSize > newSize ? oldEnd : 0, newEnd) / PAGE_SIZE) * PAGE_SIZE;
    const end = Math.min(this.blockEnd(block), lastPageEnd);
    if (end > newEnd) tagRange(memory, newEnd, end - newEnd);
  }

  /** The chunk's tag goes with its pages, and the old place remembers it. */
  override move(block: number, user: number, newSize: number): number {
    const begin = this.commitBase(block);
    const end = this.blockEnd(block);
    const tag = mte.loadTag(this.program.memory, user);
    const moved = super.move(block, user, newSize);
    if (moved === 0) return 0;
    this.tags.noteDangling(begin, end, tag);
    this.tags.set(this.mapBaseOf(moved), this.blockEnd(moved) + PAGE_SIZE, tag, "live");
    return moved;
  }

  /** The chunk's pointers die: a cached mapping gets another tag by another reference page, touched pages only. */
  protected override giveUp(
    block: number,
    commitBase: number,
    commitSize: number,
    mapBase: number,
    mapSize: number,
    cleanId: number,
  ): void {
    const { cache, tags } = this;
    const tag = this.lastTag;
    tags.noteDangling(commitBase, commitBase + commitSize, tag);
    const isKept = this.isTagging && cache?.wouldKeep(commitSize) === true;
    if (tag === 0 || !isKept) {
      // What has no tag is out of reach while it is cached (S23.4).
      if (isKept) this.program.protect(commitBase, commitSize, PROT_NONE);
      super.giveUp(block, commitBase, commitSize, mapBase, mapSize, cleanId);
      return;
    }
    const exclude = tags.excluded(commitBase, commitBase + commitSize);
    const fill = (cleanId & CLEAN_FILL_MASK) === CLEAN_PATTERN ? FILL_PATTERN : FILL_ZERO;
    const newId = this.commitTagged(commitBase, commitSize, fill, this.drawTag(exclude));
    if (newId === NO_MEMORY) {
      this.program.discard(mapBase, mapSize);
      return;
    }
    tags.set(mapBase, mapBase + mapSize, Math.floor(newId / CLEAN_TAG_UNIT), "cached");
    super.giveUp(block, commitBase, commitSize, mapBase, mapSize, newId);
  }

  /** The tag of the chunk that is being freed; the allocator, which knows its pointer, sets it. */
  lastTag = 0;

  override copyFrom(other: Secondary): void {
    super.copyFrom(other);
    if (!(other instanceof TaggedSecondary)) return;
    this.tags.copyFrom(other.tags);
    this.isTagging = other.isTagging;
    this.mapped = other.mapped;
    this.failures = other.failures;
    this.untagged = other.untagged;
    this.userTagged = other.userTagged;
  }

  /** The large block whose mapping, guard pages included, holds `address`; 0 if there is none. */
  blockAt(address: number): number {
    for (let block = this.first; block !== 0; block = this.nextBlock(block)) {
      if (address >= this.commitBase(block) - PAGE_SIZE && address < this.blockEnd(block) + PAGE_SIZE) return block;
    }
    return 0;
  }
}
