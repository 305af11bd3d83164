// Heap configurations as data: class map, region layout, thread model, secondary cache. Scudo's four and a user's own.
// Numbers are those of Scudo's allocator_config.h (S7); what is done with them is in primary.ts, secondary-cache.ts and tsd.ts.

import {
  androidSizeClassMap,
  defaultSizeClassMap,
  fuchsiaSizeClassMap,
  type SizeClassMap,
  trustySizeClassMap,
} from "./size-class-map.ts";

/** "Not limited": the widest release interval that an int holds. */
export const INTERVAL_MAX = 0x7fffffff;
export const INTERVAL_MIN = -0x80000000;

/** The part of a configuration that is about chunks below the largest size class. */
export interface PrimaryConfig {
  /** Which block sizes there are. */
  readonly sizeClassMap: SizeClassMap;
  /** Log2 of the bytes reserved for each class, 20 to 35. */
  readonly regionSizeLog: number;
  /** Log2 of the bytes of a group, the unit of page release; at most `regionSizeLog`. */
  readonly groupSizeLog: number;
  /** Whether a region begins 1 to 16 pages into its slice, at random. */
  readonly randomOffset: boolean;
  /** Bytes by which a region's mapped part grows; a multiple of the page size. */
  readonly mapIncrement: number;
  /** Whether all regions come from one reservation; otherwise each is reserved on first use (S8.5). */
  readonly contiguousRegions: boolean;
  /** Batches that one populate step carves at most (8; Android 4). */
  readonly maxBatches: number;
  /** Bytes of a pointer inside a transfer batch: 8, or 4 for compact pointers. Decides the block size of class 0 (S10.5). */
  readonly compactPointerBytes: 4 | 8;
  /** The shortest interval that can be set, in milliseconds. */
  readonly minReleaseIntervalMs: number;
  /** The longest interval that can be set, in milliseconds. */
  readonly maxReleaseIntervalMs: number;
  /** Beats the option `release_to_os_interval_ms` when given. */
  readonly defaultReleaseIntervalMs?: number;
}

/** The part of a configuration that is about freed large blocks. */
export interface SecondaryCacheConfig {
  /** Slots of the cache. */
  readonly entriesArraySize: number;
  /** Slots of the quarantine before the cache, which only tagging uses (S12.5). */
  readonly quarantineSize: number;
  /** Mappings that are cached, unless mallopt says otherwise. */
  readonly defaultMaxEntriesCount: number;
  /** Largest committed size that is cached, in bytes. */
  readonly defaultMaxEntrySize: number;
  /** The shortest interval that can be set, in milliseconds. */
  readonly minReleaseIntervalMs: number;
  /** The longest interval that can be set, in milliseconds. */
  readonly maxReleaseIntervalMs: number;
  /** Beats the option `release_to_os_interval_ms` when given. */
  readonly defaultReleaseIntervalMs?: number;
}

/** How threads come by a cache: one each, or a rotating share of a few (S30). */
export type TsdConfig =
  | {
      /** A cache for each thread. */
      readonly model: "exclusive";
    }
  | {
      /** A few caches for all threads. */
      readonly model: "shared";
      /** Caches that there may be. */
      readonly arraySize: number;
      /** Caches that there are, unless mallopt says otherwise. */
      readonly defaultCount: number;
    };

/** A whole heap configuration. Give your own to `new Heap({ config })`, most easily by {@link customConfig}. */
export interface HeapConfig {
  /** For messages; default "custom". */
  readonly name: string;
  /** Whether memory tagging may be used at all. */
  readonly maySupportMemoryTagging: boolean;
  /** What differs from the default configuration's primary. */
  readonly primary: PrimaryConfig;
  /** How threads come by a cache. */
  readonly tsd: TsdConfig;
  /** Absent: freed large blocks are unmapped immediately. */
  readonly secondaryCache?: SecondaryCacheConfig;
}

/** Scudo's `DefaultConfig`: Linux. */
export const defaultConfig: HeapConfig = {
  name: "default",
  maySupportMemoryTagging: true,
  primary: {
    sizeClassMap: defaultSizeClassMap,
    regionSizeLog: 32,
    groupSizeLog: 21,
    randomOffset: true,
    mapIncrement: 2 ** 18,
    contiguousRegions: true,
    maxBatches: 8,
    compactPointerBytes: 8,
    minReleaseIntervalMs: INTERVAL_MIN,
    maxReleaseIntervalMs: INTERVAL_MAX,
  },
  tsd: { model: "exclusive" },
  secondaryCache: {
    entriesArraySize: 32,
    quarantineSize: 0,
    defaultMaxEntriesCount: 32,
    defaultMaxEntrySize: 2 ** 19,
    minReleaseIntervalMs: INTERVAL_MIN,
    maxReleaseIntervalMs: INTERVAL_MAX,
  },
};

/** Scudo's `AndroidConfig`, 64 bits. */
export const androidConfig: HeapConfig = {
  name: "android",
  maySupportMemoryTagging: true,
  primary: {
    sizeClassMap: androidSizeClassMap,
    regionSizeLog: 28,
    groupSizeLog: 20,
    randomOffset: true,
    mapIncrement: 2 ** 18,
    contiguousRegions: true,
    maxBatches: 4,
    compactPointerBytes: 4,
    minReleaseIntervalMs: 1000,
    maxReleaseIntervalMs: 1000,
  },
  tsd: { model: "shared", arraySize: 8, defaultCount: 2 },
  secondaryCache: {
    entriesArraySize: 256,
    quarantineSize: 32,
    defaultMaxEntriesCount: 32,
    defaultMaxEntrySize: 2 ** 21,
    minReleaseIntervalMs: 0,
    maxReleaseIntervalMs: 1000,
  },
};

/** Scudo's `FuchsiaConfig` (not RISC-V). */
export const fuchsiaConfig: HeapConfig = {
  name: "fuchsia",
  maySupportMemoryTagging: false,
  primary: {
    sizeClassMap: fuchsiaSizeClassMap,
    regionSizeLog: 30,
    groupSizeLog: 21,
    randomOffset: true,
    mapIncrement: 2 ** 18,
    contiguousRegions: true,
    maxBatches: 8,
    compactPointerBytes: 4,
    minReleaseIntervalMs: INTERVAL_MIN,
    maxReleaseIntervalMs: INTERVAL_MAX,
  },
  tsd: { model: "shared", arraySize: 8, defaultCount: 4 },
};

/** Scudo's `TrustyConfig`: one class, one thread. */
export const trustyConfig: HeapConfig = {
  name: "trusty",
  maySupportMemoryTagging: true,
  primary: {
    sizeClassMap: trustySizeClassMap,
    regionSizeLog: 28,
    groupSizeLog: 20,
    randomOffset: false,
    mapIncrement: 2 ** 12,
    contiguousRegions: true,
    maxBatches: 8,
    compactPointerBytes: 4,
    minReleaseIntervalMs: INTERVAL_MIN,
    maxReleaseIntervalMs: INTERVAL_MAX,
  },
  tsd: { model: "shared", arraySize: 1, defaultCount: 1 },
};

/** The configurations by name. */
export const configs = {
  default: defaultConfig,
  android: androidConfig,
  fuchsia: fuchsiaConfig,
  trusty: trustyConfig,
} as const;

/** What a user must say of a configuration of their own; the rest takes Scudo's values for omitted fields (S7). */
export interface CustomConfig {
  /** For messages; default "custom". */
  readonly name?: string;
  /** Whether memory tagging may be used at all; default true. */
  readonly maySupportMemoryTagging?: boolean;
  /** What differs from the default configuration's primary. */
  readonly primary: Pick<PrimaryConfig, "sizeClassMap" | "regionSizeLog"> & Partial<PrimaryConfig>;
  /** How threads come by a cache. */
  readonly tsd?: TsdConfig;
  /** What differs from the default configuration's cache; absent: nothing is cached. */
  readonly secondaryCache?: Partial<SecondaryCacheConfig>;
}

/**
 * Completes a configuration with the values that Scudo gives to omitted fields (S7): no tagging, no random offset, compact
 * pointers, one contiguous reservation, an exclusive cache for each thread, a secondary cache only if one is asked for.
 * @throws RangeError naming a field out of range
 */
export function customConfig(custom: CustomConfig): HeapConfig {
  const { regionSizeLog } = custom.primary;
  const config: HeapConfig = {
    name: custom.name ?? "custom",
    maySupportMemoryTagging: custom.maySupportMemoryTagging ?? false,
    primary: {
      groupSizeLog: Math.min(20, regionSizeLog),
      randomOffset: false,
      mapIncrement: 2 ** 18,
      contiguousRegions: true,
      maxBatches: 8,
      compactPointerBytes: 8,
      minReleaseIntervalMs: INTERVAL_MIN,
      maxReleaseIntervalMs: INTERVAL_MAX,
      ...custom.primary,
    },
    tsd: custom.tsd ?? { model: "exclusive" },
    secondaryCache: custom.secondaryCache && {
      entriesArraySize: 0,
      quarantineSize: 0,
      defaultMaxEntriesCount: 0,
      defaultMaxEntrySize: 0,
      minReleaseIntervalMs: INTERVAL_MIN,
      maxReleaseIntervalMs: INTERVAL_MAX,
      ...custom.secondaryCache,
    },
  };
  checkConfig(config);
  return config;
}

/** @throws RangeError naming the first field that the heap cannot work with */
export function checkConfig(config: HeapConfig): void {
  const { primary, secondaryCache: cache, tsd } = config;
  checkRange("regionSizeLog", primary.regionSizeLog, 20, 35);
  checkRange("groupSizeLog", primary.groupSizeLog, 12, primary.regionSizeLog);
  checkRange("maxBatches", primary.maxBatches, 1, 64);
  checkRange("sizeClassMap.maxSize", primary.sizeClassMap.maxSize, 32, 2 ** primary.groupSizeLog);
  checkRange("mapIncrement", primary.mapIncrement, 4096, 2 ** primary.regionSizeLog);
  if (primary.mapIncrement % 4096 !== 0)
    throw new RangeError(`mapIncrement ${primary.mapIncrement} is not a multiple of 4096`);
  if (tsd.model === "shared") {
    checkRange("tsd.arraySize", tsd.arraySize, 1, 1024);
    checkRange("tsd.defaultCount", tsd.defaultCount, 1, tsd.arraySize);
  }
  if (cache !== undefined) {
    checkRange("secondaryCache.entriesArraySize", cache.entriesArraySize, 0, 65536);
    checkRange("secondaryCache.quarantineSize", cache.quarantineSize, 0, 65536);
    checkRange("secondaryCache.defaultMaxEntriesCount", cache.defaultMaxEntriesCount, 0, cache.entriesArraySize);
    checkRange("secondaryCache.defaultMaxEntrySize", cache.defaultMaxEntrySize, 0, 2 ** 40);
  }
}

function checkRange(field: string, value: number, low: number, high: number): void {
  if (Number.isInteger(value) && value >= low && value <= high) return;
  throw new RangeError(`heap configuration: ${field} ${value} is not a whole number from ${low} to ${high}`);
}

/** Bytes of a class-0 block: a batch of full compact pointers or a group record, whichever is larger, rounded to 16 (S10.5). */
export function batchClassSize(config: PrimaryConfig): number {
  const nextPointer = 8;
  const count = 2;
  const groupRecord = 56;
  const batch = nextPointer + config.sizeClassMap.maxCachedHint * config.compactPointerBytes + count;
  return Math.ceil(Math.max(batch, groupRecord) / 16) * 16;
}
