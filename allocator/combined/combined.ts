// The combined allocator: puts primary, secondary, quarantine and thread caches together behind allocate, deallocate and
// reallocate (S3–S5). C's names, errno and hooks are c-interface.ts; walks over all chunks are chunk-walk.ts.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { OutOfMemoryError } from "../../platform/kernel/abi/errors.ts";
import { keepClass, keepMaker } from "../../platform/state/kept.ts";
import { FILL_NONE, FILL_PATTERN, FILL_ZERO, fillMemory } from "../common/fill.ts";
import type { ClassId } from "../common/integers.ts";
import type { Program } from "../common/program.ts";
import * as reports from "../common/report.ts";
import { type LocalCache, STAT_ALLOCATED } from "../primary/local-cache.ts";
import { PrimaryRelease, type ReleaseKind } from "../primary/primary-release.ts";
import type { Secondary } from "../secondary/secondary.ts";
import { MAX_SIZE, SIZE_LIMIT } from "./arguments.ts";
import { checkOrigin, checkSize } from "./chunk-checks.ts";
import {
  BLOCK_MARKER,
  classIdOf,
  FREED_QUARANTINED,
  HEADER_SIZE,
  KEPT_WHEN_FREED,
  KEPT_WHEN_RECYCLED,
  ORIGIN_MALLOC,
  originOf,
  packLow,
  STATE_ALLOCATED,
  STATE_QUARANTINED,
  sizeOrUnusedOf,
  stateOf,
} from "./chunk-header.ts";
import type { AllocatorParts } from "./combined-parts.ts";
import { DirectPaths } from "./direct-paths.ts";
import { Quarantine, type QuarantineOwner } from "./quarantine.ts";
import { BATCH_SIZE } from "./quarantine-cache.ts";
import { isBelowRssLimit } from "./rss-limit.ts";
import { type Tsd, TsdRegistry } from "./tsd.ts";

/** S3.4 */
const MAX_ALIGNMENT = 2 ** 24;
const MIN_ALIGNMENT = 16;
/** Added to every secondary request when slack is on (S20.2). */
const LARGE_SLACK = 16;

/**
 * The allocator of a plain heap. Those of tagged and tracked heaps extend it with their program `P` and secondary `S`; what
 * belongs together is made by a family's factory (family.ts of combined/, tagging/ and tracking/).
 */
export class Allocator<P extends Program = Program, S extends Secondary<P> = Secondary<P>>
  extends DirectPaths<P, S>
  implements QuarantineOwner
{
  readonly primaryRelease: PrimaryRelease;
  readonly quarantine: Quarantine;
  readonly registry: TsdRegistry;
  /** Switches that can change at run time (S15.4). */
  fillMode: number;
  addLargeAllocationSlack = false;
  /** Freed chunks that fill on free has left as they were, wholly or in part, for lack of memory. */
  unfilledFrees = 0;
  readonly mayReturnNull: boolean;
  readonly pattern: Uint8Array;
  /** Statistics of TSDs that are gone (S10.4). */
  readonly departedStats = new Float64Array(3);
  private readonly printStatistics: () => void;
  constructor(given: AllocatorParts<P, S>, inherited?: Allocator<P, S>) {
    super(given, inherited);
    const { options, program } = given;
    const { config, flags } = options;
    this.printStatistics = given.printStatistics;
    this.mayReturnNull = flags.may_return_null;
    this.pattern = options.pattern;
    this.fillMode = { none: FILL_NONE, zero: FILL_ZERO, pattern: FILL_PATTERN }[options.fill];
    this.primaryRelease = new PrimaryRelease(this.primary);
    this.quarantine = new Quarantine(this, this.quarantineLimits);
    this.registry = new TsdRegistry(program.process.mainThread, {
      config: config.tsd,
      shape: this.primary.shape,
      cpuCount: 0,
      now: clockOf(program),
      drain: drainInto(this),
      reportDeadlock: deadlockOf(this),
      gate: this.gate,
    });
    if (inherited !== undefined) this.inherit(inherited);
  }

  /**
   * A chunk of `size` bytes whose address is a multiple of `alignment`, a power of two (S3).
   * @returns the user pointer, or 0 if there is no memory or the request is too large, and `mayReturnNull`
   */
  allocate(size: ByteCount, origin: number, alignment: number, zeroContents: boolean): Address {
    if (alignment <= MIN_ALIGNMENT && !zeroContents) {
      const direct = this.allocateDirectly(size, origin);
      if (direct !== 0) return direct;
    }
    return this.allocateSlowly(size, origin, alignment, zeroContents);
  }

  /** Frees the chunk at `pointer` (S4). `deleteSize` 0: not given. What is refused has changed nothing. */
  deallocate(pointer: Address, origin: number, deleteSize: number): void {
    if (deleteSize !== 0 || !this.freeDirectly(pointer, origin)) this.judgeFree(pointer, origin, deleteSize);
  }

  /** A free check by check, with the reports of those that fail. */
  protected judgeFree(pointer: Address, origin: number, deleteSize: number): void {
    const low = this.checkFree(pointer, origin, deleteSize);
    this.quarantineOrDeallocate(pointer, low, this.headers.offset);
  }

  /** The checks of a free in their order (S4.1), for a pointer without tag. @returns the header's low word */
  protected checkFree(pointer: Address, origin: number, deleteSize: number): number {
    if ((pointer & (MIN_ALIGNMENT - 1)) !== 0) reports.reportMisalignedPointer("deallocating", pointer, this.reports);
    const low = this.loadHeader(pointer, "deallocating");
    if (stateOf(low) !== STATE_ALLOCATED) this.reportState("deallocating", pointer, low);
    const { flags } = this.options;
    if (flags.dealloc_type_mismatch) checkOrigin(pointer, originOf(low), origin, this.reports);
    if (deleteSize !== 0 && flags.delete_size_mismatch)
      checkSize(pointer, this.sizeOf(pointer, low), deleteSize, this.reports);
    return low;
  }

  /** Ends an allocated chunk whose header was the last to be loaded (S4.2). */
  quarantineOrDeallocate(pointer: Address, low: number, offset: number): void {
    const classId = classIdOf(low);
    if (classId === 0) {
      if (this.registry.disabled) reports.reportDeadlock(this.reports);
      this.deallocateLarge(pointer, low, offset);
      return;
    }
    const size = sizeOrUnusedOf(low);
    const tsd = this.registry.current ?? this.registry.acquireMinimal();
    if (size !== 0 && size <= this.quarantineLimits.maxChunkBytes) {
      this.quarantineChunk(tsd, pointer, low, offset);
      return;
    }
    const { cache } = tsd;
    const isDrained = cache.counts[classId] === this.primary.shape.maxCounts[classId];
    if (isDrained) this.primary.drain(cache, classId);
    const freedBits = this.beginFree(pointer, low, offset);
    this.headers.change(this.program.memory, pointer, low, (low & KEPT_WHEN_FREED) | freedBits);
    this.noteFree(pointer, low);
    if (this.options.fillOnFree) this.fillWhatCanBe(pointer, low);
    this.pushBlock(cache, classId, pointer - HEADER_SIZE - offset * 16);
    if (isDrained) this.primaryRelease.release(classId, "normal");
  }

  /** Puts a block on its cache's stack, which has room. */
  private pushBlock(cache: LocalCache, classId: ClassId, block: Address): void {
    const count = cache.counts[classId];
    const blockSize = this.primary.blockSizes[classId];
    cache.blocks[classId * this.stride + count] = (block - this.primary.regions.begin[classId]) / 16;
    cache.counts[classId] = count + 1;
    cache.stats[STAT_ALLOCATED] -= blockSize;
  }

  protected deallocateLarge(pointer: Address, low: number, offset: number): void {
    this.secondary.checkHeader(pointer - HEADER_SIZE);
    this.program.deliverReports();
    this.secondary.prepareDeallocate(pointer - HEADER_SIZE);
    this.program.touch(pointer - HEADER_SIZE);
    this.beginFree(pointer, low, offset);
    this.headers.store(this.program.memory, pointer, low & KEPT_WHEN_FREED, offset);
    this.noteFree(pointer, low);
    if (this.options.fillOnFree) this.fillWhatCanBe(pointer, low);
    this.secondary.deallocate(pointer - HEADER_SIZE);
  }

  private quarantineChunk(tsd: Tsd, pointer: Address, low: number, offset: number): void {
    this.quarantine.prepare(tsd);
    this.program.touch(pointer - HEADER_SIZE);
    const freedBits = this.beginFree(pointer, low, offset);
    this.quarantine.put(tsd, pointer, sizeOrUnusedOf(low));
    const freed = (low & KEPT_WHEN_FREED) | FREED_QUARANTINED | freedBits;
    this.headers.store(this.program.memory, pointer, freed, offset);
    this.noteFree(pointer, low);
    if (this.options.fillOnFree) this.fillWhatCanBe(pointer, low);
    this.quarantine.settle(tsd);
  }

  /** All of an allocation that the fast path leaves out, in the order of S3.1. */
  protected allocateSlowly(size: ByteCount, origin: number, alignment: number, zeroContents: boolean): Address {
    if (alignment > MAX_ALIGNMENT) {
      if (this.mayReturnNull) return 0;
      reports.reportAlignmentTooBig(alignment, MAX_ALIGNMENT, this.reports);
    }
    const isAligned = alignment > MIN_ALIGNMENT;
    const room = isAligned ? alignment : HEADER_SIZE;
    const needed = Math.ceil(size / 16) * 16 + room;
    if (size >= MAX_SIZE) {
      if (this.mayReturnNull) return 0;
      // size_t wraps where a number does not: SIZE_MAX rounds up to 0.
      const adjusted = size >= SIZE_LIMIT ? room : needed;
      reports.reportAllocationSizeTooBig(size, adjusted, MAX_SIZE, this.reports);
    }
    if (this.hasRssLimit && !isBelowRssLimit(this.program.process, this.options, this.reports)) return 0;
    const { registry } = this;
    const tsd = registry.current ?? registry.acquire();
    const fill = zeroContents ? FILL_ZERO : this.currentFill;
    const realAlignment = isAligned ? alignment : MIN_ALIGNMENT;
    const user =
      this.allocateSmall(tsd.cache, size, needed, origin, realAlignment, fill) ||
      this.allocateLarge(size, origin, realAlignment, fill, zeroContents);
    if (user === 0 && !this.mayReturnNull) {
      this.printStatistics();
      reports.reportOutOfMemory(needed, this.reports);
    }
    return user;
  }

  /** Tries the class for `needed` bytes, then every larger one. */
  protected allocateSmall(
    cache: LocalCache,
    size: ByteCount,
    needed: number,
    origin: number,
    alignment: number,
    fill: number,
  ): number {
    const map = this.primary.config.sizeClassMap;
    if (needed > map.maxSize) return 0;
    let classId = map.classOf(needed);
    while (cache.counts[classId] === 0 && !this.primary.refill(cache, classId)) {
      if (++classId > map.largestClass) return 0;
    }
    const { memory } = this.program;
    const blockSize = this.primary.blockSizes[classId];
    const top = cache.counts[classId] - 1;
    const block = this.primary.regions.begin[classId] + cache.blocks[classId * this.stride + top] * 16;
    const user = Math.ceil((block + HEADER_SIZE) / alignment) * alignment;
    const distance = user - block - HEADER_SIZE;
    if (fill !== FILL_NONE) fillMemory(memory, block, blockSize, fill, this.pattern);
    if (distance > 0) {
      // A marker without its header would be damage.
      this.program.touch(user - HEADER_SIZE);
      memory.setInt32(block, BLOCK_MARKER);
      memory.setInt32(block + 4, distance);
    }
    this.headers.store(memory, user, packLow(classId, STATE_ALLOCATED, origin, size), distance / 16);
    cache.counts[classId] = top;
    cache.stats[STAT_ALLOCATED] += blockSize;
    return user;
  }

  /** Bytes added to every secondary request. */
  get largeSlack(): number {
    return this.addLargeAllocationSlack ? LARGE_SLACK : 0;
  }

  /** The fill of an allocation by the running thread. */
  get currentFill(): number {
    return this.registry.isMemoryInitDisabled ? FILL_NONE : this.fillMode;
  }

  /** @param zeroContents whether the caller asked for zeroes, as calloc does */
  protected allocateLarge(
    size: ByteCount,
    origin: number,
    alignment: number,
    fill: number,
    _zeroContents: boolean,
  ): number {
    const mapping = this.secondary.allocate(size + this.largeSlack, alignment, fill);
    if (mapping === null) return 0;
    const user = mapping.block + HEADER_SIZE;
    const unused = mapping.commitEnd - (user + size);
    try {
      const pointer = this.secondary.present(mapping, size);
      this.headers.store(this.program.memory, user, packLow(0, STATE_ALLOCATED, origin, unused), 0);
      return pointer;
    } catch (error) {
      this.secondary.deallocate(user - HEADER_SIZE);
      throw error;
    }
  }

  /** Fill on free must not make a free fail: pages that need a frame which is not there keep their bytes, and are counted. */
  private fillWhatCanBe(pointer: Address, low: number): void {
    try {
      this.fillFreed(pointer, low);
    } catch (error) {
      if (!(error instanceof OutOfMemoryError)) throw error;
      this.unfilledFrees++;
    }
  }

  protected fillFreed(pointer: Address, low: number): void {
    const mode = this.fillMode === FILL_NONE ? FILL_ZERO : this.fillMode;
    const size = this.sizeOf(pointer, low);
    // Pages that read right when clean are given back instead of being filled.
    if (classIdOf(low) === 0 && this.secondary.scrub(pointer - HEADER_SIZE, pointer, size, mode)) return;
    fillMemory(this.program.memory, pointer, size, mode, this.pattern);
  }

  /** A quarantine batch is a chunk of its own, of origin malloc, from the running thread's cache (S13.3). */
  allocateBatch(tsd: Tsd): Address {
    const map = this.primary.config.sizeClassMap;
    const needed = BATCH_SIZE + HEADER_SIZE;
    const batch = this.allocateSmall(tsd.cache, BATCH_SIZE, needed, ORIGIN_MALLOC, MIN_ALIGNMENT, FILL_NONE);
    if (batch === 0) reports.reportOutOfMemory(map.sizeOf(map.classOf(needed)), this.reports);
    return batch;
  }

  deallocateBatch(tsd: Tsd, batch: number): void {
    this.endChunk(tsd, batch, STATE_ALLOCATED, "deallocating");
  }

  /** Takes back a chunk that was allocated a moment ago and that the program has not seen: no quarantine, no reports. */
  discard(pointer: Address): void {
    const plain = this.untag(pointer);
    const low = this.headers.load(this.program.memory, plain);
    this.noteFree(plain, low);
    if (classIdOf(low) === 0) this.secondary.deallocate(plain - HEADER_SIZE);
    else this.endChunk(this.registry.current ?? this.registry.acquireMinimal(), plain, STATE_ALLOCATED, "deallocating");
  }

  recycleChunk(tsd: Tsd, pointer: Address): void {
    this.endChunk(tsd, pointer, STATE_QUARANTINED, "recycling");
  }

  /** Makes a chunk that is in the state `expected` available, and caches its block. */
  private endChunk(tsd: Tsd, pointer: Address, expected: number, action: "deallocating" | "recycling"): void {
    const low = this.headers.load(this.program.memory, pointer);
    const offset = this.headers.offset;
    if (stateOf(low) !== expected) this.reportState(action, pointer, low);
    this.program.touch(pointer - HEADER_SIZE);
    const classId = classIdOf(low);
    if (tsd.cache.counts[classId] === this.primary.shape.maxCounts[classId]) this.primary.drain(tsd.cache, classId);
    const kept = expected === STATE_QUARANTINED ? KEPT_WHEN_RECYCLED : KEPT_WHEN_FREED;
    this.headers.change(this.program.memory, pointer, low, low & kept);
    this.pushBlock(tsd.cache, classId, pointer - HEADER_SIZE - offset * 16);
  }

  /** S9.8. @returns bytes given back by the primary */
  releaseToOS(kind: ReleaseKind): number {
    if (this.registry.disabled) reports.reportDeadlock(this.reports);
    if (kind === "force-all") this.drainCaches();
    const bytes = this.primaryRelease.releaseAll(kind);
    this.secondary.cache?.releaseToOS();
    return bytes;
  }

  private drainCaches(): void {
    for (const tsd of this.registry.drainable()) {
      this.quarantine.drainAndRecycle(tsd);
      this.primary.drainAll(tsd.cache);
    }
  }

  /** The end of a TSD: what it holds goes where other threads find it, its statistics to the departed (S10.4). */
  retire(tsd: Tsd): void {
    this.quarantine.drain(tsd);
    this.primary.drainAll(tsd.cache);
    for (let i = 0; i < this.departedStats.length; i++) this.departedStats[i] += tsd.cache.stats[i];
    tsd.cache.stats.fill(0);
  }

  /** Unmaps everything, for a heap that ends before its process. */
  unmapAll(): void {
    this.secondary.unmapAll();
    this.primary.unmapAll();
  }

  private inherit(other: Allocator<P, S>): void {
    this.fillMode = other.fillMode;
    this.addLargeAllocationSlack = other.addLargeAllocationSlack;
    this.primary.copyFrom(other.primary);
    this.secondary.copyFrom(other.secondary);
    this.quarantine.copyFrom(other.quarantine);
    this.registry.copyFrom(other.registry);
    this.departedStats.set(other.departedStats);
    this.unfilledFrees = other.unfilledFrees;
  }
}

keepClass("Allocator", Allocator);

const clockOf = keepMaker("heap.clockOf", (program: Program) => () => program.now());
const drainInto = keepMaker("heap.drainInto", (allocator: Allocator) => (tsd: Tsd) => allocator.retire(tsd));
const deadlockOf = keepMaker(
  "heap.deadlockOf",
  (allocator: Allocator) => () => reports.reportDeadlock(allocator.reports),
);
