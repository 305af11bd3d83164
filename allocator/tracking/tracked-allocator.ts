// The combined allocator of a heap that watches its program: large chunks by tracked-secondary.ts, and whose bytes an address is.
// Marking each byte of chunks is byte-allocator.ts; what a use of unwritten bytes means is checker/.

import { SegmentationFault } from "../../platform/hardware/faults.ts";
import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { keepClass } from "../../platform/state/kept.ts";
import {
  CORRUPTED_HEADER,
  classIdOf,
  HEADER_SIZE,
  originOf,
  STATE_ALLOCATED,
  stateOf,
} from "../combined/chunk-header.ts";
import { chunkOfBlock } from "../combined/chunk-walk.ts";
import { Allocator } from "../combined/combined.ts";
import { FILL_NONE, FILL_ZERO } from "../common/fill.ts";
import type { ClassId } from "../common/integers.ts";
import { reportInvalidChunkState } from "../common/report.ts";
import type { TrackedProgram } from "./tracked-program.ts";
import type { TrackedSecondary } from "./tracked-secondary.ts";

/** What {@link TrackedAllocator.lookUp} answers. */
export const FOREIGN = 0;
export const LIVE = 1;
export const NOT_LIVE = 2;

/** Notified when a chunk is allocated, freed or resized, and when a free is refused: the checker. */
export interface ChunkObserver {
  chunkAllocated(pointer: Address, size: ByteCount): void;
  /** `origin`: which functions made it, as its header says. */
  chunkFreed(pointer: Address, size: ByteCount, origin: number): void;
  /** Its bytes are at `pointer` now; where that is another place, the old one ends. */
  chunkResized(pointer: Address, oldSize: ByteCount, newSize: ByteCount, oldPointer: Address): void;
  freeRefused(pointer: Address, operation: "free" | "realloc", error: unknown): void;
}

export class TrackedAllocator extends Allocator<TrackedProgram, TrackedSecondary> {
  chunkObserver: ChunkObserver | null = null;
  /** The live chunk of the last {@link lookUp}. */
  liveFrom = 0;
  liveTo = 0;
  /** Class by slice of the reservation; built on first use. */
  private classBySlice: Int32Array | null = null;
  private firstSlice = 0;

  protected override get promisesBlock(): boolean {
    return false;
  }

  protected override allocateLarge(
    size: ByteCount,
    origin: number,
    alignment: number,
    fill: number,
    zeroContents: boolean,
  ): number {
    // Fresh pages read zero in any case; only calloc's count as written.
    const isPlainZero = fill === FILL_ZERO && !zeroContents;
    return super.allocateLarge(size, origin, alignment, isPlainZero ? FILL_NONE : fill, zeroContents);
  }

  override freeDirectly(pointer: Address, origin: number): boolean {
    try {
      return super.freeDirectly(pointer, origin);
    } catch (error) {
      this.refuseFree(error, pointer);
    }
  }

  protected override judgeFree(pointer: Address, origin: number, deleteSize: number): void {
    try {
      super.judgeFree(pointer, origin, deleteSize);
    } catch (error) {
      this.refuseFree(error, pointer);
    }
  }

  private refuseFree(error: unknown, pointer: Address): never {
    const reason = this.reasonOf(error, pointer);
    this.chunkObserver?.freeRefused(pointer, "free", reason);
    throw reason;
  }

  /** A freed large chunk's header cannot be read while its mapping waits: the fault stands for a double free. */
  private reasonOf(error: unknown, pointer: Address): unknown {
    if (!(error instanceof SegmentationFault) || !this.secondary.isCached(pointer - HEADER_SIZE)) return error;
    try {
      reportInvalidChunkState("deallocating", pointer, this.reports, { isFreed: true });
    } catch (report) {
      return report;
    }
  }

  override noteRefusal(pointer: Address, error: unknown): void {
    this.chunkObserver?.freeRefused(pointer, "realloc", error);
  }

  protected override noteFree(pointer: Address, low: number): void {
    this.chunkObserver?.chunkFreed(pointer, this.sizeOf(pointer, low), originOf(low));
  }

  override noteMove(pointer: Address, _low: number, oldSize: ByteCount, newSize: ByteCount, oldPointer: Address): void {
    this.chunkObserver?.chunkResized(pointer, oldSize, newSize, oldPointer);
  }

  /**
   * Whether `address` lies in a live chunk's bytes (then `liveFrom` and `liveTo` are its ends), elsewhere in the heap, or
   * outside it. Allocates nothing.
   */
  lookUp(address: Address): number {
    const classId = this.classAt(address);
    if (classId >= 0) return this.lookUpSmall(address, classId);
    const block = this.secondary.blockAt(address);
    if (block !== 0) return this.lookUpChunk(address, block + HEADER_SIZE, 0);
    return this.isCachedMapping(address) || this.secondary.isFreed(address) ? NOT_LIVE : FOREIGN;
  }

  private lookUpSmall(address: Address, classId: ClassId): number {
    const { regions, blockSizes } = this.primary;
    const distance = address - regions.begin[classId];
    if (classId === 0 || distance < 0 || distance >= regions.carved[classId]) return NOT_LIVE;
    const block = address - (distance % blockSizes[classId]);
    const pointer = chunkOfBlock(this, block);
    if (pointer % 16 !== 0 || pointer >= block + blockSizes[classId]) return NOT_LIVE;
    return this.lookUpChunk(address, pointer, classId);
  }

  private lookUpChunk(address: Address, pointer: Address, classId: ClassId): number {
    const low = this.headers.load(this.memory, pointer);
    if (low === CORRUPTED_HEADER || classIdOf(low) !== classId || stateOf(low) !== STATE_ALLOCATED) return NOT_LIVE;
    const size = this.sizeOf(pointer, low);
    if (address < pointer || address >= pointer + size) return NOT_LIVE;
    this.liveFrom = pointer;
    this.liveTo = pointer + size;
    return LIVE;
  }

  private classAt(address: Address): ClassId {
    const { regions } = this.primary;
    if (this.classBySlice === null && this.options.config.primary.contiguousRegions) this.indexSlices();
    if (this.classBySlice !== null) {
      const slice = Math.floor((address - this.firstSlice) / regions.regionSize);
      return slice >= 0 && slice < regions.classCount ? this.classBySlice[slice] : -1;
    }
    for (let classId = 0; classId < regions.classCount; classId++) {
      const base = regions.base[classId];
      if (base !== 0 && address >= base && address < base + regions.regionSize) return classId;
    }
    return -1;
  }

  private indexSlices(): void {
    const { regions } = this.primary;
    this.firstSlice = regions.base.reduce((least, base) => Math.min(least, base), Number.POSITIVE_INFINITY);
    this.classBySlice = new Int32Array(regions.classCount);
    for (let classId = 0; classId < regions.classCount; classId++) {
      this.classBySlice[(regions.base[classId] - this.firstSlice) / regions.regionSize] = classId;
    }
  }

  private isCachedMapping(address: Address): boolean {
    const { cache } = this.secondary;
    if (cache === null) return false;
    for (let slot = 0; slot < cache.commitBase.length; slot++) {
      const begin = cache.commitBase[slot];
      if (begin !== 0 && address >= begin && address < begin + cache.commitSize[slot]) return true;
    }
    return false;
  }
}

keepClass("TrackedAllocator", TrackedAllocator);
