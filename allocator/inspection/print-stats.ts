// The texts of print_stats and M_LOG_STATS, Scudo's to the letter (S19.4, S19.5), made from figures.
// Where the figures come from: gather-statistics.ts.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { computePercentage, type Percentage } from "./percentage.ts";
import type {
  CacheStatistics,
  ClassStatistics,
  FragmentationStatistics,
  HeapStatistics,
  PrimaryStatistics,
  QuarantineStatistics,
  SecondaryStatistics,
  ThreadStatistics,
} from "./statistics.ts";

const PAGE_BYTES = 4096;

/** The whole of print_stats, each line with its newline. */
export function formatStatistics(statistics: HeapStatistics): string {
  const lines = [
    ...formatPrimary(statistics.primary),
    ...formatSecondary(statistics.secondary),
    ...formatQuarantine(statistics.quarantine),
    ...formatThreads(statistics.threads),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

function formatPrimary(primary: PrimaryStatistics): string[] {
  const { mappedBytes, poppedBlocks, pushedBlocks, releaseIntervalMs } = primary;
  const blocks = `${poppedBlocks} allocations; remains ${poppedBlocks - pushedBlocks}`;
  const head = `Stats: SizeClassAllocator64: ${megabytes(mappedBytes)}M mapped (0M rss) in ${blocks}`;
  return [
    `${head}; ReleaseToOsIntervalMs = ${printedInterval(releaseIntervalMs)}`,
    ...primary.classes.map(formatClass),
  ];
}

function formatClass(one: ClassStatistics): string {
  const { classId, blockSize, usableBegin, regionBegin } = one;
  const counts = [
    `mapped: ${pad(kilobytes(one.mappedBytes), 6)}K`,
    `popped: ${pad(one.poppedBlocks, 7)}`,
    `pushed: ${pad(one.pushedBlocks, 7)}`,
    `inuse: ${pad(one.inUseBlocks, 6)}`,
    `total: ${pad(one.totalBlocks, 6)}`,
    `releases: ${pad(one.releasedRanges, 6)}`,
    `last released: ${pad(kilobytes(one.lastReleasedBytes), 6)}K`,
    `latest pushed bytes: ${pad(kilobytes(one.latestPushedBytes), 6)}K`,
    `region: ${hex(usableBegin)} (${hex(regionBegin)})`,
  ];
  return `${one.isExhausted ? "E" : " "} ${twoDigits(classId)} (${pad(blockSize, 6)}): ${counts.join(" ")}`;
}

function formatSecondary(secondary: SecondaryStatistics): string[] {
  const { allocations, allocatedBytes, frees, freedBytes, largestBytes, fragmentedBytes, cache } = secondary;
  const allocated = `allocated ${allocations} times (${kilobytes(allocatedBytes)}K)`;
  const freed = `freed ${frees} times (${kilobytes(freedBytes)}K)`;
  const remains = `remains ${allocations - frees} (${kilobytes(allocatedBytes - freedBytes)}K)`;
  const largest = `max ${megabytes(largestBytes)}M, Fragmented ${kilobytes(fragmentedBytes)}K`;
  const head = `Stats: MapAllocator: ${allocated}, ${freed}, ${remains} ${largest}`;
  return [head, ...(cache === null ? ["Secondary Cache Disabled"] : formatCache(cache))];
}

function formatCache(cache: CacheStatistics): string[] {
  const { policy, entries, maxEntries, maxEntryBytes, releaseIntervalMs, hits, lookups } = cache;
  const limits = `MaxEntriesCount: ${maxEntries}, MaxEntrySize: ${maxEntryBytes}`;
  const interval = `ReleaseToOsIntervalMs = ${printedInterval(releaseIntervalMs)}`;
  const rate = formatPercentage(computePercentage(hits, lookups));
  return [
    `Stats: MapAllocatorCache: EntriesCount: ${entries.length}, ${limits}, ${interval}`,
    `Stats: CacheRetrievalStats: SuccessRate: ${hits}/${lookups} (${rate}%)`,
    // Later versions head the entries and indent them (S31).
    ...(policy === "lru" ? ["Cache Entry Info (Most Recent -> Least Recent):"] : []),
    ...entries.map(({ begin, end, isReleased }) => {
      const addresses = `StartBlockAddress: ${hex(begin)}, EndBlockAddress: ${hex(end)}`;
      return `${policy === "lru" ? "  " : ""}${addresses}, BlockSize: ${end - begin} ${isReleased ? "[R]" : ""}`;
    }),
  ];
}

function formatQuarantine(quarantine: QuarantineStatistics): string[] {
  const { batches, bytes, userBytes, chunks, capacityChunks, globalLimitBytes, threadLocalLimitBytes } = quarantine;
  const used = wholePercent(chunks, capacityChunks);
  const overhead = wholePercent(bytes - userBytes, userBytes);
  const held = `batches: ${batches}; bytes: ${bytes} (user: ${userBytes}); chunks: ${chunks} (capacity: ${capacityChunks})`;
  const limits = `global: ${kilobytes(globalLimitBytes)}K; thread local: ${kilobytes(threadLocalLimitBytes)}K`;
  return [
    `Stats: Quarantine: ${held}; ${used}% chunks used; ${overhead}% memory overhead`,
    `Quarantine limits: ${limits}`,
  ];
}

function formatThreads(threads: ThreadStatistics): string[] {
  if (threads.model === "exclusive") return ["Exclusive TSD don't support iterating each TSD"];
  const lines = [`Stats: SharedTSDs: ${threads.inUse} available; total ${threads.total}`];
  for (const [index, classes] of threads.caches.entries()) {
    lines.push(`  Shared TSD[${index}]:`);
    if (classes.length === 0) lines.push("    No block is cached.");
    for (const { classId, blockSize, cachedBlocks, maxBlocks } of classes) {
      const stack = `cached: ${pad(cachedBlocks, 4)} max: ${pad(maxBlocks, 4)}`;
      lines.push(`    ${twoDigits(classId)} (${pad(blockSize, 6)}): ${stack}`);
    }
  }
  return lines;
}

/** The part that only M_LOG_STATS adds: how full the pages of each class but 0 are. */
export function formatFragmentation(classes: readonly FragmentationStatistics[]): string {
  const lines = classes.map((one) => {
    const inUseBytes = one.inUsePages * PAGE_BYTES;
    const blocks = `inuse/total blocks: ${pad(one.inUseBlocks, 6)}/${pad(one.totalBlocks, 6)}`;
    const pages = `inuse/total pages: ${pad(one.inUsePages, 6)}/${pad(one.totalPages, 6)}`;
    const { integral, fractional } = computePercentage(one.blockSize * one.inUseBlocks, inUseBytes);
    const util = `util: ${pad(integral, 3)}.${twoDigits(fractional)}%`;
    const bytes = `inuse bytes: ${pad(kilobytes(inUseBytes), 6)}K`;
    return `  ${twoDigits(one.classId)} (${pad(one.blockSize, 6)}): ${blocks} ${pages} ${bytes} ${util}`;
  });
  const head = `Fragmentation Stats: SizeClassAllocator64: page size = ${PAGE_BYTES} bytes`;
  return [head, ...lines].map((line) => `${line}\n`).join("");
}

/**
 * getStats (S19.6): writes as much of `text` as `size` bytes hold, always ended by a NUL when size > 0.
 * @returns the bytes to write, and the length that the whole text with its NUL needs
 */
export function cutStatistics(text: string, size: ByteCount): { readonly bytes: Uint8Array; readonly needed: number } {
  const whole = new TextEncoder().encode(`${text}\0`);
  if (size <= 0) return { bytes: new Uint8Array(0), needed: whole.length };
  const bytes = whole.slice(0, size);
  bytes[bytes.length - 1] = 0;
  return { bytes, needed: whole.length };
}

/** Any negative interval means never, and is printed as −1. */
function printedInterval(milliseconds: number): number {
  return milliseconds < 0 ? -1 : milliseconds;
}

function formatPercentage({ integral, fractional }: Percentage): string {
  return `${integral}.${twoDigits(fractional)}`;
}

/** The quarantine's percentages are whole, and 0 of nothing. */
function wholePercent(part: number, whole: number): number {
  return whole === 0 ? 0 : Math.floor((part * 100) / whole);
}

function pad(value: number, width: number): string {
  return String(value).padStart(width);
}

function twoDigits(value: number): string {
  return String(value).padStart(2, "0");
}

function hex(address: Address): string {
  return `0x${address.toString(16)}`;
}

function kilobytes(bytes: ByteCount): number {
  return Math.floor(bytes / 2 ** 10);
}

function megabytes(bytes: ByteCount): number {
  return Math.floor(bytes / 2 ** 20);
}
