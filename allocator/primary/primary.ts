// The primary allocator: blocks of every size class from per-class regions, through thread caches (S8, S10).
// Maps, carves, shuffles, refills and drains. Release is primary-release.ts; regions and free lists are tables of their own.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { keepClass } from "../../platform/state/kept.ts";
import type { ClassId, CompactPointer } from "../common/integers.ts";
import type { Program } from "../common/program.ts";
import { shuffle } from "../common/random.ts";
import { type ReportContext, reportMapError, reportOutOfBatchClass, reportOutOfMemory } from "../common/report.ts";
import { batchClassSize, type PrimaryConfig } from "../options/config.ts";
import { FreeLists, type NodeSource } from "./free-list.ts";
import { type CacheShape, cacheShape, type LocalCache, STAT_CARVED, STAT_MAPPED } from "./local-cache.ts";
import { type RegionTable, reserveOneRegion, reserveRegions } from "./regions.ts";

/** What the primary needs beside its configuration. */
export interface PrimaryOptions {
  readonly program: Program;
  readonly config: PrimaryConfig;
  /** 32 random bits. */
  readonly seed: number;
  readonly reports: ReportContext;
  /** Text for file descriptor 2. */
  readonly write: (text: string) => void;
}

/** At worst each block that is pushed opens a group, i.e. takes a group and a batch node. */
const NODES_PER_BLOCK = 2;

export class Primary implements NodeSource {
  readonly config: PrimaryConfig;
  readonly program: Program;
  readonly regions: RegionTable;
  readonly freeLists: FreeLists;
  readonly shape: CacheShape;
  /** Bytes of each class's blocks, class 0 included. */
  readonly blockSizes: Float64Array;
  /** Blocks that one refill takes (S6.2). */
  readonly hints: Int32Array;
  /** Milliseconds between releases of a class; negative: none by frees (S9.2). */
  releaseIntervalMs = 0;
  /** Protection beside read and write that fresh blocks get; tagging makes it PROT_MTE (S22.10). */
  extraProtection = 0;
  private readonly reports: ReportContext;
  private readonly write: (text: string) => void;
  /** Blocks being carved. Class 0 has its own, since carving another class may carve it on the way. */
  private readonly carving: Int32Array;
  private readonly carvingNodes: Int32Array;

  /** @throws HeapError map-failed: not even the smallest regions can be reserved */
  constructor(options: PrimaryOptions, regions?: RegionTable) {
    const { config, program } = options;
    const map = config.sizeClassMap;
    const classCount = map.largestClass + 1;
    this.config = config;
    this.program = program;
    this.reports = options.reports;
    this.write = options.write;
    this.blockSizes = map.sizes.slice();
    this.blockSizes[0] = batchClassSize(config);
    this.hints = Int32Array.from(this.blockSizes, (size) => map.cachedHint(size));
    this.shape = cacheShape(map, this.blockSizes[0]);
    const capacity = Math.max(2, map.maxCachedHint);
    this.freeLists = new FreeLists({
      classCount,
      capacity,
      batchClassCapacity: Math.max(2, this.hints[0]),
      groupSizeLog: config.groupSizeLog,
      nodeBytes: this.blockSizes[0],
    });
    const table = regions ?? reserveRegions(program, config, classCount, options.seed);
    if (table === null) {
      program.reportMapFailure();
      const sizeBytes = classCount * 2 ** config.regionSizeLog;
      reportMapError("Cannot allocate memory", { sizeBytes }, this.reports);
    }
    this.regions = table;
    this.carving = new Int32Array(config.maxBatches * capacity);
    this.carvingNodes = new Int32Array(config.maxBatches * capacity);
  }

  /** Milliseconds; clamped to the configuration's range. */
  setReleaseInterval(milliseconds: number): void {
    const { minReleaseIntervalMs: least, maxReleaseIntervalMs: most } = this.config;
    this.releaseIntervalMs = Math.max(Math.min(milliseconds, most), least);
  }

  get classCount(): number {
    return this.regions.classCount;
  }

  /** The address of a compact pointer of class `classId`. */
  addressOf(classId: ClassId, compact: CompactPointer): Address {
    return this.regions.begin[classId] + compact * 16;
  }

  /**
   * Puts up to a hint's worth of blocks into the empty stack of `classId` (S10.2).
   * @returns whether there is at least one now; false: the region or memory is exhausted
   */
  refill(cache: LocalCache, classId: ClassId): boolean {
    if (this.refillFromList(cache, classId)) return true;
    return this.populate(cache, classId) && this.refillFromList(cache, classId);
  }

  /** {@link refill} by what is on the free list. @returns false, with nothing done: blocks are to be carved first */
  refillFromList(cache: LocalCache, classId: ClassId): boolean {
    const begin = classId * this.shape.stride;
    const taken = this.freeLists.pop(cache, classId, cache.blocks, begin, this.hints[classId], this);
    if (taken === 0) return false;
    this.regions.popped[classId] += taken;
    cache.counts[classId] = taken;
    return true;
  }

  /** Pushes the oldest half of a full stack back to the free list and moves the rest down (S10.3). */
  drain(cache: LocalCache, classId: ClassId): void {
    const half = Math.min(this.hints[classId], cache.counts[classId]);
    const begin = classId * this.shape.stride;
    this.pushBlocks(cache, classId, cache.blocks, begin, half);
    const left = cache.counts[classId] - half;
    cache.blocks.copyWithin(begin, begin + half, begin + half + left);
    cache.counts[classId] = left;
  }

  /** Whether {@link drain} finds the nodes that it may need without another mapping. Not for class 0. */
  canDrainDirectly(cache: LocalCache, classId: ClassId): boolean {
    const needed = NODES_PER_BLOCK * Math.min(this.hints[classId], cache.counts[classId]);
    return this.bytesForNodes(cache, needed) <= this.regions.mapped[0];
  }

  /** Empties every stack, class 0 last (S10.4). */
  drainAll(cache: LocalCache): void {
    for (let classId = 1; classId < this.classCount; classId++) {
      while (cache.counts[classId] > 0) this.drain(cache, classId);
    }
    while (cache.counts[0] > 0) this.drain(cache, 0);
  }

  private pushBlocks(cache: LocalCache, classId: ClassId, blocks: Int32Array, begin: number, count: number): void {
    if (classId === 0) {
      this.freeLists.pushBatchClass(blocks, begin, count);
    } else {
      this.ensureNodes(cache, NODES_PER_BLOCK * count);
      this.freeLists.push(cache, classId, blocks, begin, count, this);
    }
    this.regions.pushed[classId] += count;
  }

  takeNode(cache: LocalCache): number {
    if (cache.counts[0] === 0 && !this.refill(cache, 0)) reportOutOfMemory(this.blockSizes[0], this.reports);
    const block = cache.blocks[--cache.counts[0]];
    this.touchNode(block);
    return this.freeLists.nodeOf(block);
  }

  returnNode(cache: LocalCache, node: number): void {
    if (cache.counts[0] === this.shape.maxCounts[0]) this.drain(cache, 0);
    cache.blocks[cache.counts[0]++] = node * this.freeLists.nodeUnits;
  }

  /**
   * Scudo writes its nodes into class-0 blocks; here a store keeps RSS what it is there. A node works without its page,
   * so that a lack of frames is no failure.
   */
  private touchNode(compact: CompactPointer): void {
    try {
      this.program.memory.setInt32(this.regions.begin[0] + compact * 16, compact);
    } catch {}
  }

  /**
   * Makes sure that `needed` nodes can be had without another mapping, before anything is changed: a push that ran out of
   * nodes on the way would lose blocks.
   * @throws HeapError batch-class-exhausted or out-of-memory, both fatal in Scudo with or without may_return_null (S10.6)
   */
  private ensureNodes(cache: LocalCache, needed: number): void {
    const { regions } = this;
    const size = this.blockSizes[0];
    if (regions.base[0] === 0 && !this.reserveLate(0)) reportOutOfMemory(size, this.reports);
    const wanted = this.bytesForNodes(cache, needed);
    if (wanted <= regions.mapped[0]) return;
    if (this.mapMore(cache, 0, wanted)) return;
    if (regions.exhausted[0] !== 0) reportOutOfBatchClass(this.reports);
    reportOutOfMemory(size, this.reports);
  }

  /** How much of class 0's region must be mapped for `needed` nodes beside those in use; 0: so many are free. */
  private bytesForNodes(cache: LocalCache, needed: number): ByteCount {
    const { regions } = this;
    const size = this.blockSizes[0];
    const inUse = regions.popped[0] - regions.pushed[0];
    const free = cache.counts[0] + regions.carved[0] / size - inUse;
    return free >= needed ? 0 : regions.carved[0] + (needed - free + this.hints[0]) * size;
  }

  /**
   * Maps more of the region if need be, carves up to `maxBatches` hints of blocks, shuffles them within their group and puts
   * them on the free list (S8.10). @returns false: exhausted, or no memory
   */
  private populate(cache: LocalCache, classId: ClassId): boolean {
    const { regions } = this;
    const size = this.blockSizes[classId];
    const hint = this.hints[classId];
    if (regions.exhausted[classId] !== 0) return false;
    if (regions.base[classId] === 0 && !this.reserveLate(classId)) return false;
    const wanted = regions.carved[classId] + hint * size;
    if (wanted > regions.mapped[classId] && !this.mapMore(cache, classId, wanted)) return this.failPopulate(classId);
    const room = Math.floor((regions.mapped[classId] - regions.carved[classId]) / size);
    const count = Math.min(this.config.maxBatches * hint, room);
    if (classId === 0) this.carveNodes(count);
    else this.carveBlocks(cache, classId, count);
    regions.carved[classId] += count * size;
    cache.stats[STAT_CARVED] += count * size;
    return true;
  }

  private failPopulate(classId: ClassId): false {
    if (this.regions.exhausted[classId] === 0) return false;
    if (classId === 0) reportOutOfBatchClass(this.reports);
    this.write(`Can't populate more pages for size class ${this.blockSizes[classId]}.\n`);
    return false;
  }

  private carveBlocks(cache: LocalCache, classId: ClassId, count: number): void {
    const { carving, freeLists, regions } = this;
    const units = this.blockSizes[classId] / 16;
    const first = regions.carved[classId] / 16;
    for (let i = 0; i < count; i++) carving[i] = first + i * units;
    const groups = (carving[count - 1] >>> freeLists.groupShift) - (carving[0] >>> freeLists.groupShift) + 1;
    this.ensureNodes(cache, 2 * groups + Math.ceil(count / freeLists.capacity));
    let runBegin = 0;
    while (runBegin < count) {
      const id = carving[runBegin] >>> freeLists.groupShift;
      let runEnd = runBegin + 1;
      while (runEnd < count && carving[runEnd] >>> freeLists.groupShift === id) runEnd++;
      const length = runEnd - runBegin;
      regions.randomState[classId] = shuffle(carving, runBegin, length, regions.randomState[classId]);
      freeLists.pushRun(cache, classId, carving, runBegin, length, this);
      runBegin = runEnd;
    }
  }

  /** Class 0 is neither grouped nor shuffled. */
  private carveNodes(count: number): void {
    const { carvingNodes, freeLists, regions } = this;
    const units = freeLists.nodeUnits;
    const first = regions.carved[0] / 16;
    for (let i = 0; i < count; i++) carvingNodes[i] = first + i * units;
    freeLists.growNodes(first / units + count);
    freeLists.pushBatchClass(carvingNodes, 0, count);
  }

  /** Maps until `wanted` bytes of the region are mapped. @returns false: no room in the region (it is exhausted now), or ENOMEM */
  private mapMore(cache: LocalCache, classId: ClassId, wanted: number): boolean {
    const { regions } = this;
    const mapped = regions.mapped[classId];
    const increment = this.config.mapIncrement;
    const length = Math.ceil((wanted - mapped) / increment) * increment;
    const begin = regions.begin[classId];
    if (begin - regions.base[classId] + mapped + length > regions.regionSize) {
      regions.exhausted[classId] = 1;
      return false;
    }
    if (!this.program.commit(begin + mapped, length, this.extraProtection)) {
      this.program.reportMapFailure();
      return false;
    }
    regions.mapped[classId] += length;
    cache.stats[STAT_MAPPED] += length;
    return true;
  }

  /** Unmaps all regions. */
  unmapAll(): void {
    const { regions } = this;
    for (let classId = 0; classId < this.classCount; classId++) {
      if (regions.base[classId] !== 0) this.program.discard(regions.base[classId], regions.regionSize);
    }
  }

  /** The state of the forked process's primary; its regions were copied when this one was made. */
  copyFrom(other: Primary): void {
    this.freeLists.copyFrom(other.freeLists);
    this.releaseIntervalMs = other.releaseIntervalMs;
    this.extraProtection = other.extraProtection;
  }

  private reserveLate(classId: ClassId): boolean {
    if (reserveOneRegion(this.program, this.regions, classId)) return true;
    this.program.reportMapFailure();
    this.write(`Can't reserve pages for size class ${this.blockSizes[classId]}.\n`);
    return false;
  }
}

keepClass("Primary", Primary);
