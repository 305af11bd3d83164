// A thread's cache of free blocks: one LIFO stack of compact pointers a class, and the thread's share of the statistics.
// Refilling and draining belong to the primary (primary.ts); the hot push and pop are in combined.ts.

import { isEngineMemory } from "../../platform/state/engine-memory.ts";
import { keepClass } from "../../platform/state/kept.ts";
import type { SizeClassMap } from "../options/size-class-map.ts";

/** Indices into {@link LocalCache.stats}: bytes, by class size (S19.1). What is free of what was carved is what is not allocated. */
export const STAT_ALLOCATED = 0;
export const STAT_CARVED = 1;
export const STAT_MAPPED = 2;
export const STAT_COUNT = 3;

/** What the caches of one heap have in common: class sizes and capacities. */
export interface CacheShape {
  /** Classes, class 0 included. */
  readonly classCount: number;
  /** Distance between two classes' stacks in {@link LocalCache.blocks}. */
  readonly stride: number;
  /** Blocks that each class caches at most: twice its hint. Not a power of two, so that positions are not masked. */
  readonly maxCounts: Int32Array;
  /** Bytes that a block counts in the statistics: the class size, but 0 for class 0 (S10.1). */
  readonly statSizes: Float64Array;
}

/** @param batchBlockSize bytes of a class-0 block */
export function cacheShape(map: SizeClassMap, batchBlockSize: number): CacheShape {
  const classCount = map.largestClass + 1;
  const maxCounts = new Int32Array(classCount);
  const statSizes = new Float64Array(classCount);
  maxCounts[0] = 2 * map.cachedHint(batchBlockSize);
  for (let classId = 1; classId < classCount; classId++) {
    maxCounts[classId] = 2 * map.cachedHint(map.sizeOf(classId));
    statSizes[classId] = map.sizeOf(classId);
  }
  return { classCount, stride: Math.max(2, ...maxCounts), maxCounts, statSizes };
}

/**
 * The cache itself. A compact pointer stands for a block of a class:
 *
 * ```text
 *  31          groupShift              0
 * │ group        │ place in the group    │   × 16 bytes from the usable begin of the class's region
 * ```
 *
 * Invariants: `0 ≤ counts[c] ≤ maxCounts[c]`; the entries below `counts[c]` are blocks of class `c` that are nowhere else.
 */
export class LocalCache {
  counts: Int32Array;
  blocks: Int32Array;
  stats: Float64Array = new Float64Array(STAT_COUNT);

  constructor(shape: CacheShape) {
    this.counts = new Int32Array(shape.classCount);
    this.blocks = new Int32Array(shape.classCount * shape.stride);
  }

  /** Keeps its state in these arrays from now on, where others than the heap see it; they are as long as its own. */
  moveTo(counts: Int32Array, blocks: Int32Array, stats: Float64Array): void {
    counts.set(this.counts);
    blocks.set(this.blocks);
    stats.set(this.stats);
    this.counts = counts;
    this.blocks = blocks;
    this.stats = stats;
  }

  /** Takes another cache's state over, for the copy of the heap that a forked process has. */
  copyFrom(other: LocalCache): void {
    this.counts.set(other.counts);
    this.blocks.set(other.blocks);
    this.stats.set(other.stats);
  }
}

keepClass("LocalCache", LocalCache, {
  // Where compiled code reaches it, its arrays are a part of the machine's host memory, which others get in turn.
  atRest: ({ counts, blocks, stats }) =>
    isEngineMemory(stats.buffer) ? { counts: counts.slice(), blocks: blocks.slice(), stats: stats.slice() } : {},
});
