// The statistics texts: Scudo's recorded lines, made again from the figures they show.
import { describe, expect, test } from "vitest";
import { computePercentage } from "../../../allocator/inspection/percentage.ts";
import { cutStatistics, formatFragmentation, formatStatistics } from "../../../allocator/inspection/print-stats.ts";
import type { ClassStatistics, HeapStatistics } from "../../../allocator/inspection/statistics.ts";

const KIB = 1024;

function classOf(classId: number, blockSize: number, poppedBlocks: number, totalBlocks: number): ClassStatistics {
  return {
    classId,
    blockSize,
    mappedBytes: 256 * KIB,
    poppedBlocks,
    pushedBlocks: 0,
    inUseBlocks: poppedBlocks,
    totalBlocks,
    releasedRanges: 0,
    lastReleasedBytes: 0,
    latestPushedBytes: (totalBlocks - poppedBlocks) * blockSize,
    isExhausted: false,
    usableBegin: 0x12345000,
    regionBegin: 0x12340000,
  };
}

const recorded: HeapStatistics = {
  allocatedBytes: 0,
  freeBytes: 0,
  mappedBytes: 0,
  rssBytes: 0,
  primary: {
    mappedBytes: 1024 * KIB,
    poppedBlocks: 26,
    pushedBlocks: 0,
    releaseIntervalMs: 5000,
    classes: [classOf(0, 128, 16, 64), classOf(4, 128, 8, 64), classOf(22, 3072, 1, 8), classOf(41, 81920, 1, 3)],
  },
  secondary: {
    allocations: 2,
    allocatedBytes: 503808,
    frees: 1,
    freedBytes: 200704,
    largestBytes: 303104,
    fragmentedBytes: 8192,
    cache: {
      policy: "array",
      maxEntries: 32,
      maxEntryBytes: 524288,
      releaseIntervalMs: 5000,
      lookups: 2,
      hits: 0,
      entries: [{ begin: 0x100000, end: 0x100000 + 200704, isReleased: false }],
    },
  },
  quarantine: {
    batches: 0,
    bytes: 0,
    userBytes: 0,
    chunks: 0,
    capacityChunks: 0,
    globalLimitBytes: 256 * KIB,
    threadLocalLimitBytes: 64 * KIB,
  },
  threads: { model: "exclusive", inUse: 1, total: 1, caches: [] },
  fills: { refpageMappings: 0, refpages: 0, refpageFallbacks: 0, unfilledFrees: 0 },
};

describe("print_stats", () => {
  test("is the recorded text, line for line", () => {
    expect(formatStatistics(recorded)).toBe(
      [
        "Stats: SizeClassAllocator64: 1M mapped (0M rss) in 26 allocations; remains 26; ReleaseToOsIntervalMs = 5000",
        "  00 (   128): mapped:    256K popped:      16 pushed:       0 inuse:     16 total:     64 releases:      0 last released:      0K latest pushed bytes:      6K region: 0x12345000 (0x12340000)",
        "  04 (   128): mapped:    256K popped:       8 pushed:       0 inuse:      8 total:     64 releases:      0 last released:      0K latest pushed bytes:      7K region: 0x12345000 (0x12340000)",
        "  22 (  3072): mapped:    256K popped:       1 pushed:       0 inuse:      1 total:      8 releases:      0 last released:      0K latest pushed bytes:     21K region: 0x12345000 (0x12340000)",
        "  41 ( 81920): mapped:    256K popped:       1 pushed:       0 inuse:      1 total:      3 releases:      0 last released:      0K latest pushed bytes:    160K region: 0x12345000 (0x12340000)",
        "Stats: MapAllocator: allocated 2 times (492K), freed 1 times (196K), remains 1 (296K) max 0M, Fragmented 8K",
        "Stats: MapAllocatorCache: EntriesCount: 1, MaxEntriesCount: 32, MaxEntrySize: 524288, ReleaseToOsIntervalMs = 5000",
        "Stats: CacheRetrievalStats: SuccessRate: 0/2 (0.00%)",
        "StartBlockAddress: 0x100000, EndBlockAddress: 0x131000, BlockSize: 200704 ",
        "Stats: Quarantine: batches: 0; bytes: 0 (user: 0); chunks: 0 (capacity: 0); 0% chunks used; 0% memory overhead",
        "Quarantine limits: global: 256K; thread local: 64K",
        "Exclusive TSD don't support iterating each TSD",
        "",
      ].join("\n"),
    );
  });

  test("marks an exhausted class and a released cache entry, and prints any negative interval as -1", () => {
    const { primary, secondary } = recorded;
    const text = formatStatistics({
      ...recorded,
      primary: { ...primary, releaseIntervalMs: -7, classes: [{ ...primary.classes[1]!, isExhausted: true }] },
      secondary: { ...secondary, cache: { ...secondary.cache!, entries: [{ begin: 16, end: 32, isReleased: true }] } },
    });
    expect(text).toContain("ReleaseToOsIntervalMs = -1\nE 04 (");
    expect(text).toContain("BlockSize: 16 [R]\n");
  });

  test("says that a configuration without a secondary cache has none", () => {
    const text = formatStatistics({ ...recorded, secondary: { ...recorded.secondary, cache: null } });
    expect(text).toContain("Secondary Cache Disabled\n");
    expect(text).not.toContain("CacheRetrievalStats");
  });

  test("lists the stacks of shared caches", () => {
    const caches = [[{ classId: 3, blockSize: 96, cachedBlocks: 5, maxBlocks: 20 }], []];
    const text = formatStatistics({ ...recorded, threads: { model: "shared", inUse: 2, total: 8, caches } });
    expect(text).toContain(
      [
        "Stats: SharedTSDs: 2 available; total 8",
        "  Shared TSD[0]:",
        "    03 (    96): cached:    5 max:   20",
        "  Shared TSD[1]:",
        "    No block is cached.",
      ].join("\n"),
    );
  });

  test("has its percentages of a quarantine in whole numbers", () => {
    const quarantine = {
      ...recorded.quarantine,
      batches: 2,
      bytes: 30000,
      userBytes: 13648,
      chunks: 500,
      capacityChunks: 2038,
    };
    expect(formatStatistics({ ...recorded, quarantine })).toContain(
      "batches: 2; bytes: 30000 (user: 13648); chunks: 500 (capacity: 2038); 24% chunks used; 119% memory overhead",
    );
  });
});

describe("the fragmentation text", () => {
  test("is the recorded one", () => {
    const row = { classId: 4, blockSize: 128, inUseBlocks: 8, totalBlocks: 64, inUsePages: 2, totalPages: 2 };
    const empty = { classId: 5, blockSize: 160, inUseBlocks: 0, totalBlocks: 0, inUsePages: 0, totalPages: 0 };
    expect(formatFragmentation([row, empty])).toBe(
      [
        "Fragmentation Stats: SizeClassAllocator64: page size = 4096 bytes",
        "  04 (   128): inuse/total blocks:      8/    64 inuse/total pages:      2/     2 inuse bytes:      8K util:  12.50%",
        "  05 (   160): inuse/total blocks:      0/     0 inuse/total pages:      0/     0 inuse bytes:      0K util: 100.00%",
        "",
      ].join("\n"),
    );
  });
});

describe("getStats", () => {
  test("answers the length of the whole text and cuts what does not fit, always ended by a NUL", () => {
    expect(cutStatistics("abcdef", 4)).toEqual({ bytes: Uint8Array.of(97, 98, 99, 0), needed: 7 });
    expect(cutStatistics("abc", 100)).toEqual({ bytes: Uint8Array.of(97, 98, 99, 0), needed: 4 });
    expect(cutStatistics("abc", 0)).toEqual({ bytes: new Uint8Array(0), needed: 4 });
  });
});

describe("a percentage", () => {
  test("has two rounded digits behind the point, and is 100.00 of nothing", () => {
    expect(computePercentage(1, 3)).toEqual({ integral: 33, fractional: 33 });
    expect(computePercentage(2, 3)).toEqual({ integral: 66, fractional: 67 });
    expect(computePercentage(0, 5)).toEqual({ integral: 0, fractional: 0 });
    expect(computePercentage(0, 0)).toEqual({ integral: 100, fractional: 0 });
  });
});
