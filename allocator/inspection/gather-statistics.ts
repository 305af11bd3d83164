// Gathers the figures of a heap from its components, a snapshot at the time of the call.
// What the figures mean is in statistics.ts, what is printed of them in print-stats.ts.

import type { Quarantine } from "../combined/quarantine.ts";
import { BATCH_CAPACITY } from "../combined/quarantine-cache.ts";
import type { TsdRegistry } from "../combined/tsd.ts";
import type { ClassId } from "../common/integers.ts";
import type { Program } from "../common/program.ts";
import { type CacheShape, type LocalCache, STAT_ALLOCATED, STAT_CARVED, STAT_MAPPED } from "../primary/local-cache.ts";
import type { Primary } from "../primary/primary.ts";
import type { PrimaryRelease } from "../primary/primary-release.ts";
import type { Secondary } from "../secondary/secondary.ts";
import type { SecondaryCache } from "../secondary/secondary-cache.ts";
import { LruSecondaryCache } from "../secondary/secondary-cache-lru.ts";
import type {
  CachedClassStatistics,
  CacheStatistics,
  ClassStatistics,
  FragmentationStatistics,
  HeapStatistics,
  PrimaryStatistics,
  QuarantineStatistics,
  ThreadStatistics,
} from "./statistics.ts";

/** The components of one heap; the allocator has them under these names. */
export interface StatisticsSources {
  readonly program: Program;
  readonly primary: Primary;
  readonly secondary: Secondary;
  readonly quarantine: Quarantine;
  readonly registry: TsdRegistry;
  /** Counters of caches that are no more (S10.4), indexed as a cache's own. */
  readonly departedStats: Float64Array;
  readonly unfilledFrees: number;
}

/** Sums of local statistics; a negative sum reads 0 (S19.1). */
export interface Counters {
  readonly allocatedBytes: number;
  readonly freeBytes: number;
  readonly mappedBytes: number;
}

/** Scudo's three counters, over all caches, the secondary, and threads that ended. */
export function gatherCounters({ registry, secondary, departedStats }: StatisticsSources): Counters {
  const caches = [departedStats, ...registry.all().map((tsd) => tsd.cache.stats)];
  const sum = (index: number): number => caches.reduce((total, stats) => total + stats[index], 0);
  const small = sum(STAT_ALLOCATED);
  return {
    allocatedBytes: Math.max(0, small + secondary.stats[STAT_ALLOCATED]),
    freeBytes: Math.max(0, sum(STAT_CARVED) - small),
    mappedBytes: Math.max(0, sum(STAT_MAPPED) + secondary.stats[STAT_MAPPED]),
  };
}

/** Everything that heap.stats() answers. */
export function gatherStatistics(sources: StatisticsSources): HeapStatistics {
  const { program, primary, secondary, quarantine, registry } = sources;
  return {
    ...gatherCounters(sources),
    rssBytes: program.process.rssBytes,
    primary: gatherPrimary(primary),
    secondary: {
      allocations: secondary.allocations,
      allocatedBytes: secondary.allocatedBytes,
      frees: secondary.frees,
      freedBytes: secondary.freedBytes,
      largestBytes: secondary.largestBytes,
      fragmentedBytes: secondary.fragmentedBytes,
      cache: secondary.cache === null ? null : gatherCache(secondary.cache),
    },
    quarantine: gatherQuarantine(quarantine),
    threads: gatherThreads(registry, primary),
    fills: {
      refpageMappings: secondary.refpageMappings,
      refpages: secondary.referencePages.count,
      refpageFallbacks: secondary.referencePages.fallbacks,
      unfilledFrees: sources.unfilledFrees,
    },
  };
}

function gatherPrimary(primary: Primary): PrimaryStatistics {
  const classes: ClassStatistics[] = [];
  for (let classId = 0; classId < primary.classCount; classId++) {
    if (primary.regions.mapped[classId] > 0) classes.push(gatherClass(primary, classId));
  }
  const sum = (of: (one: ClassStatistics) => number): number => classes.reduce((total, one) => total + of(one), 0);
  return {
    mappedBytes: sum((one) => one.mappedBytes),
    poppedBlocks: sum((one) => one.poppedBlocks),
    pushedBlocks: sum((one) => one.pushedBlocks),
    releaseIntervalMs: primary.releaseIntervalMs,
    classes,
  };
}

function gatherClass({ regions, blockSizes }: Primary, classId: ClassId): ClassStatistics {
  const blockSize = blockSizes[classId];
  const inUseBlocks = regions.popped[classId] - regions.pushed[classId];
  const freeBytes = regions.carved[classId] - inUseBlocks * blockSize;
  return {
    classId,
    blockSize,
    mappedBytes: regions.mapped[classId],
    poppedBlocks: regions.popped[classId],
    pushedBlocks: regions.pushed[classId],
    inUseBlocks,
    totalBlocks: regions.carved[classId] / blockSize,
    releasedRanges: regions.rangesReleased[classId],
    lastReleasedBytes: regions.lastReleasedBytes[classId],
    latestPushedBytes: Math.max(0, freeBytes - regions.checkpoint[classId]),
    isExhausted: regions.exhausted[classId] !== 0,
    usableBegin: regions.begin[classId],
    regionBegin: regions.base[classId],
  };
}

function gatherCache(cache: SecondaryCache): CacheStatistics {
  const entries: { begin: number; end: number; isReleased: boolean }[] = [];
  for (const [slot, begin] of cache.commitBase.entries()) {
    if (begin === 0) continue;
    entries.push({ begin, end: begin + cache.commitSize[slot], isReleased: cache.time[slot] === 0 });
  }
  return {
    policy: cache instanceof LruSecondaryCache ? "lru" : "array",
    maxEntries: cache.maxEntriesCount,
    maxEntryBytes: cache.maxEntrySize,
    releaseIntervalMs: cache.releaseIntervalMs,
    lookups: cache.retrievals,
    hits: cache.successfulRetrievals,
    entries,
  };
}

function gatherQuarantine(quarantine: Quarantine): QuarantineStatistics {
  const { global } = quarantine;
  return {
    batches: global.batches,
    bytes: global.bytes,
    userBytes: global.bytes - global.overhead,
    chunks: quarantine.globalChunks(),
    capacityChunks: global.batches * BATCH_CAPACITY,
    globalLimitBytes: quarantine.maxBytes,
    threadLocalLimitBytes: quarantine.threadMaxBytes,
  };
}

function gatherThreads(registry: TsdRegistry, primary: Primary): ThreadStatistics {
  const { config } = registry;
  const inUse = registry.count;
  const caches = registry.all().slice(0, inUse);
  return {
    model: config.model,
    inUse,
    total: config.model === "shared" ? config.arraySize : inUse,
    caches: caches.map((tsd) => cachedClasses(tsd.cache, primary, primary.shape)),
  };
}

function cachedClasses(cache: LocalCache, { blockSizes }: Primary, shape: CacheShape): CachedClassStatistics[] {
  const classes: CachedClassStatistics[] = [];
  for (const [classId, cachedBlocks] of cache.counts.entries()) {
    if (cachedBlocks === 0) continue;
    classes.push({ classId, blockSize: blockSizes[classId], cachedBlocks, maxBlocks: shape.maxCounts[classId] });
  }
  return classes;
}

/** How full the pages of every class but 0 are, by a trial run of the page release (S19.5). */
export function gatherFragmentation(primary: Primary, release: PrimaryRelease): FragmentationStatistics[] {
  const classes: FragmentationStatistics[] = [];
  for (let classId = 1; classId < primary.classCount; classId++) {
    classes.push({ classId, blockSize: primary.blockSizes[classId], ...release.fragmentation(classId) });
  }
  return classes;
}
