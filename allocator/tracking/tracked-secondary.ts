// The secondary of a heap that watches its program: large chunks are mappings of reference pages whose bytes count as
// undefined, those of calloc are zero pages, and a mapping kept for reuse is always fresh again. Small chunks: tracked-allocator.ts.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { OutOfMemoryError } from "../../platform/kernel/abi/errors.ts";
import { PROT_NONE } from "../../platform/kernel/abi/mman.ts";
import { keepClass } from "../../platform/state/kept.ts";
import { FILL_NONE, FILL_PATTERN, FILL_ZERO } from "../common/fill.ts";
import { NO_MEMORY } from "../common/program.ts";
import { LargeMapping } from "../secondary/large-mapping.ts";
import { CLEAN_PATTERN, CLEAN_ZERO, Secondary } from "../secondary/secondary.ts";
import type { SecondaryCache } from "../secondary/secondary-cache.ts";
import type { TrackedProgram } from "./tracked-program.ts";
import { markAllUndefined } from "./undefined-bytes.ts";

/** Clean pages read zero but count as undefined. Its fill bit is CLEAN_ZERO's. */
const CLEAN_UNDEFINED = 2;
/** Freed mappings that wait at most: each is an area of the process. */
const LARGEST_WAITING_COUNT = 1024;

/** Fills here: FILL_ZERO is calloc's, zeroes that count as written; all other fresh memory counts as undefined. */
export class TrackedSecondary extends Secondary<TrackedProgram> {
  /** Blocks in use, ascending. */
  private readonly blocks: number[] = [];
  /** Freed mappings, the oldest first, and what becomes of each when its time is over: kept for reuse, or unmapped. */
  private readonly waiting: { readonly mapping: LargeMapping; readonly isKept: boolean }[] = [];
  private waitingBytes = 0;
  /** Bytes of freed mappings that wait before anything else may lie at their addresses; 0: none wait. */
  waitingLimitBytes = 0;

  private wantedClean(fill: number): number {
    if (fill === FILL_ZERO) return CLEAN_ZERO;
    return fill === FILL_PATTERN && this.largeFill === "refpage" ? CLEAN_PATTERN : CLEAN_UNDEFINED;
  }

  protected override commit(address: Address, length: ByteCount, fill: number): number {
    const { program } = this;
    const wanted = this.wantedClean(fill);
    if (wanted === CLEAN_ZERO) return program.commitZeroes(address, length) ? CLEAN_ZERO : NO_MEMORY;
    if (program.commitFresh(address, length, wanted === CLEAN_PATTERN ? "pattern" : "zero")) {
      if (wanted === CLEAN_PATTERN) this.refpageMappings++;
      return wanted;
    }
    if (!program.commitZeroes(address, length)) return NO_MEMORY;
    if (!program.tracksBytes) return CLEAN_ZERO;
    try {
      markAllUndefined(program.memory, address, length);
      return CLEAN_UNDEFINED;
    } catch (error) {
      if (error instanceof OutOfMemoryError) return NO_MEMORY;
      throw error;
    }
  }

  /** A kept mapping's old contents are never handed out: they would count as written. */
  protected override cleanCached(cache: SecondaryCache, slot: number, mapping: LargeMapping, fill: number): number {
    const { program } = this;
    const { commitBase, commitSize } = mapping;
    let cleanId = cache.cleanId[slot];
    const isReleased = cache.time[slot] === 0 || program.releasePages(commitBase, commitSize);
    if (cleanId !== this.wantedClean(fill) || !isReleased) cleanId = this.commit(commitBase, commitSize, fill);
    if (fill === FILL_PATTERN && cleanId !== CLEAN_PATTERN && cleanId !== NO_MEMORY) {
      // Should the fill find no frame, the entry stays in the cache with a part of it.
      cache.cleanId[slot] = cleanId;
      cache.markDirty(slot);
      this.fillBlock(mapping, fill);
    }
    return cleanId;
  }

  /**
   * What the dead chunk held must not be read, so a mapping that is kept becomes fresh immediately. It waits in the list of freed
   * mappings first, and one that cannot be kept is closed there: nothing else lies at its addresses for a while.
   */
  protected override giveUp(mapping: LargeMapping): void {
    const { program } = this;
    const isKept = program.tracksBytes && this.cache?.canCache(mapping.commitSize) === true;
    if (isKept) mapping.cleanId = this.commit(mapping.commitBase, mapping.commitSize, FILL_NONE);
    if (mapping.cleanId === NO_MEMORY) program.discard(mapping.mapBase, mapping.mapSize);
    else if (this.waitingLimitBytes === 0) super.giveUp(mapping);
    else if (isKept || this.close(mapping)) this.hold(mapping, isKept);
    else program.discard(mapping.mapBase, mapping.mapSize);
  }

  /** Gives a mapping's pages back and leaves its addresses without access. */
  private close({ commitBase, commitSize }: LargeMapping): boolean {
    return this.program.releasePages(commitBase, commitSize) && this.program.protect(commitBase, commitSize, PROT_NONE);
  }

  /** The newest stays, however large it is. */
  private hold(mapping: LargeMapping, isKept: boolean): void {
    this.waiting.push({ mapping: new LargeMapping().copyFrom(mapping), isKept });
    this.waitingBytes += mapping.commitSize;
    while (
      this.waiting.length > 1 &&
      (this.waitingBytes > this.waitingLimitBytes || this.waiting.length > LARGEST_WAITING_COUNT)
    )
      this.letGo();
  }

  private letGo(): void {
    const oldest = this.waiting.shift();
    if (oldest === undefined) return;
    const { mapping, isKept } = oldest;
    this.waitingBytes -= mapping.commitSize;
    if (isKept) super.giveUp(mapping);
    else this.program.discard(mapping.mapBase, mapping.mapSize);
  }

  override isCached(block: Address): boolean {
    return super.isCached(block) || this.waiting.some(({ mapping }) => mapping.block === block);
  }

  /** Whether `address` lies in a freed mapping that waits. */
  isFreed(address: Address): boolean {
    return this.waiting.some(({ mapping }) => address >= mapping.commitBase && address < mapping.commitEnd);
  }

  /** Growth counts as undefined, so it cannot come from calloc's zero pages. */
  override readsAs(block: Address, fill: number): boolean {
    return this.cleanIdOf(block) === this.wantedClean(fill === FILL_ZERO ? FILL_NONE : fill);
  }

  protected override link(mapping: LargeMapping): void {
    super.link(mapping);
    this.blocks.splice(this.rowFrom(mapping.block), 0, mapping.block);
  }

  protected override unlink(block: Address, previous?: number, next?: number): void {
    super.unlink(block, previous, next);
    this.blocks.splice(this.rowFrom(block), 1);
  }

  /** The block whose committed bytes hold `address`, or 0. */
  blockAt(address: Address): number {
    // A block begins up to its headers and slack behind its mapping's begin: look at both neighbours.
    const row = this.rowFrom(address);
    for (const block of [this.blocks[row - 1], this.blocks[row]]) {
      if (block !== undefined && address >= this.commitBase(block) && address < this.blockEnd(block)) return block;
    }
    return 0;
  }

  /** The first row whose block is above `address`, or is `address`. */
  private rowFrom(address: Address): number {
    let low = 0;
    let high = this.blocks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.blocks[middle] < address) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  override unmapAll(): void {
    for (const { mapping } of this.waiting.splice(0)) this.program.discard(mapping.mapBase, mapping.mapSize);
    this.waitingBytes = 0;
    super.unmapAll();
    this.program.closeDescriptors();
  }

  override copyFrom(other: this): void {
    super.copyFrom(other);
    this.blocks.push(...other.blocks);
    for (const { mapping, isKept } of other.waiting)
      this.waiting.push({ mapping: new LargeMapping().copyFrom(mapping), isKept });
    this.waitingBytes = other.waitingBytes;
  }
}

keepClass("TrackedSecondary", TrackedSecondary);
