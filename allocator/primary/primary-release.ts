// Giving pages of free blocks back to the kernel: is it worth it, which groups, which pages (S9).
// Reads and marks the primary's tables; the counting of pages is in page-counters.ts.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { PAGE_SIZE } from "../../platform/hardware/layout.ts";
import { keepClass } from "../../platform/state/kept.ts";
import type { ClassId } from "../common/integers.ts";
import { HUGE_PAGE_SIZE } from "../common/program.ts";
import { roundDown, roundUp } from "../common/rounding.ts";
import type { FreeLists } from "./free-list.ts";
import { PageCounters } from "./page-counters.ts";
import type { Primary } from "./primary.ts";

/** After a cache was drained; on M_PURGE; on M_PURGE_ALL (S9.1). */
export type ReleaseKind = (typeof RELEASE_KINDS)[number];
export const RELEASE_KINDS = ["normal", "force", "force-all"] as const;

/** Blocks below this size are small: freeing pages among them takes many free blocks. */
const SMALL_BLOCK_LIMIT = PAGE_SIZE / 16;
const LARGE_BLOCK_LIMIT = PAGE_SIZE;
/** Large blocks skip the interval when more than these pages were freed. */
const BYPASS_PAGES = 8;

/** Scratch for the groups taken and the counters, kept between releases. */
export class PrimaryRelease {
  private readonly primary: Primary;
  /** Free bytes that a group of small blocks must gain before it is looked at again (S9.1's D pages). */
  private readonly smallBlockDelta: number;
  private readonly groups: number[] = [];
  private readonly counters = new PageCounters();

  constructor(primary: Primary) {
    this.primary = primary;
    const { groupSizeLog, sizeClassMap } = primary.config;
    const smallest = sizeClassMap.sizeOf(1);
    const pages = Math.floor((2 ** groupSizeLog / PAGE_SIZE) * (1 + Math.floor(smallest / 16)));
    this.smallBlockDelta = Math.floor(pages / 100) * PAGE_SIZE;
    for (let classId = 1; classId < primary.classCount; classId++) {
      const isFresh = primary.regions.tryThreshold[classId] === 0;
      if (isFresh && primary.blockSizes[classId] < SMALL_BLOCK_LIMIT) {
        primary.regions.tryThreshold[classId] = this.smallBlockDelta;
      }
    }
  }

  /** Every class but 0, ascending. @returns bytes released */
  releaseAll(kind: ReleaseKind): number {
    let bytes = 0;
    for (let classId = 1; classId < this.primary.classCount; classId++) bytes += this.release(classId, kind);
    return bytes;
  }

  /** One class. @returns bytes released */
  release(classId: ClassId, kind: ReleaseKind): number {
    const { regions, program } = this.primary;
    const size = this.primary.blockSizes[classId];
    const freeBytes = regions.carved[classId] - (regions.popped[classId] - regions.pushed[classId]) * size;
    if (freeBytes === 0) return 0;
    if (kind !== "force-all" && !this.isWorthwhile(classId, freeBytes, kind)) return 0;
    this.takeGroups(classId, kind);
    if (this.groups.length === 0) return 0;
    let ranges = 0;
    let bytes = 0;
    const { counters } = this;
    this.markFreeBlocks(classId);
    const begin = regions.begin[classId] + counters.firstPage * PAGE_SIZE;
    while (counters.nextFreeRange()) {
      const from = begin + counters.rangePage * PAGE_SIZE;
      ranges++;
      bytes += this.releaseRange(from, from + counters.rangePages * PAGE_SIZE);
    }
    if (ranges > 0) {
      regions.checkpoint[classId] = freeBytes;
      regions.rangesReleased[classId] += ranges;
      regions.lastReleasedBytes[classId] = bytes;
    }
    regions.lastReleaseNanoseconds[classId] = program.now();
    return bytes;
  }

  /**
   * Gives a free range back. In a heap that wants huge pages everywhere, what lies in one with blocks in use stays, so that it stays
   * huge.
   * @returns bytes released
   */
  private releaseRange(begin: Address, end: Address): ByteCount {
    const { program } = this.primary;
    const from = program.wouldSplitHuge(begin, 0) ? roundUp(begin, HUGE_PAGE_SIZE) : begin;
    const to = program.wouldSplitHuge(end, 0) ? roundDown(end, HUGE_PAGE_SIZE) : end;
    return to > from && program.releasePages(from, to - from) ? to - from : 0;
  }

  /** S9.2: enough freed since the last time, and long enough ago. */
  private isWorthwhile(classId: ClassId, freeBytes: number, kind: ReleaseKind): boolean {
    const { regions, program } = this.primary;
    const size = this.primary.blockSizes[classId];
    if (freeBytes < regions.checkpoint[classId]) regions.checkpoint[classId] = freeBytes;
    const gained = freeBytes - regions.checkpoint[classId];
    if (gained < PAGE_SIZE) return false;
    if (kind !== "normal") return true;
    if (size < SMALL_BLOCK_LIMIT && gained < regions.tryThreshold[classId]) return false;
    const intervalMs = this.primary.releaseIntervalMs;
    if (intervalMs < 0) return false;
    if (size > LARGE_BLOCK_LIMIT && gained > BYPASS_PAGES * PAGE_SIZE) return true;
    return regions.lastReleaseNanoseconds[classId] + intervalMs * 1e6 <= program.now();
  }

  /**
   * S9.3 and S9.4: collects the groups to look at. Scudo unlinks them meanwhile; here nothing runs in between, so they stay
   * where they are and there is nothing to merge back (S9.7).
   */
  private takeGroups(classId: ClassId, kind: ReleaseKind): void {
    const { freeLists, regions } = this.primary;
    const size = this.primary.blockSizes[classId];
    const groupSize = 2 ** this.primary.config.groupSizeLog;
    const isSmall = size < SMALL_BLOCK_LIMIT;
    let nextThreshold = groupSize;
    this.groups.length = 0;
    for (let group = freeLists.firstGroup[classId]; group >= 0; group = freeLists.next[group]) {
      if (kind === "force-all") {
        this.groups.push(group);
        continue;
      }
      const blocks = freeLists.blocksInGroup(group, freeLists.capacity);
      const freeBytes = blocks * size;
      const gained = freeBytes - freeLists.bytesAtCheckpoint[group];
      if (gained <= 0) {
        freeLists.bytesAtCheckpoint[group] = freeBytes;
        continue;
      }
      if (isSmall) {
        const carved = Math.min(groupSize, regions.carved[classId] - groupBegin(freeLists, group));
        const threshold = Math.floor((carved * (100 - 1 - Math.floor(size / 16))) / 100);
        const isDense = freeBytes >= threshold;
        const isFull = blocks >= Math.floor(groupSize / size);
        const distance = isDense ? this.smallBlockDelta : threshold - freeBytes + gained;
        if (distance < nextThreshold) nextThreshold = distance;
        if (!isDense || !(isFull || gained >= this.smallBlockDelta)) continue;
      }
      freeLists.bytesAtCheckpoint[group] = freeBytes;
      this.groups.push(group);
    }
    if (isSmall && kind !== "force-all") {
      regions.tryThreshold[classId] = nextThreshold === groupSize ? this.smallBlockDelta : nextThreshold;
    }
  }

  /** S9.5: one counter a page from the first group taken to the end of the last. */
  private markFreeBlocks(classId: ClassId): void {
    const { counters } = this;
    const { freeLists, regions } = this.primary;
    const size = this.primary.blockSizes[classId];
    const groupSize = 2 ** this.primary.config.groupSizeLog;
    const carved = regions.carved[classId];
    const first = groupBegin(freeLists, this.groups[0]);
    const lastEnd = Math.min(groupBegin(freeLists, this.groups[this.groups.length - 1]) + groupSize, carved);
    // The last block may reach over the group's end.
    const end = Math.ceil(lastEnd / size) * size;
    counters.start(size, end - first, first);
    for (const group of this.groups) {
      const begin = groupBegin(freeLists, group);
      const groupEnd = Math.min(begin + groupSize, carved);
      const contained = Math.floor((groupEnd - begin) / size) + (groupEnd % size === 0 ? 0 : 1);
      if (freeLists.blocksInGroup(group, freeLists.capacity) === contained) {
        counters.markRangeFree(begin, groupEnd, carved);
      } else {
        if (groupEnd === carved) counters.addTrailingBlocks(carved);
        this.countBlocks(group);
      }
    }
  }

  private countBlocks(group: number): void {
    const { counters } = this;
    const { freeLists } = this.primary;
    for (let batch = freeLists.firstBatch[group]; batch >= 0; batch = freeLists.next[batch]) {
      const begin = batch * freeLists.capacity;
      for (let i = begin; i < begin + freeLists.count[batch]; i++) counters.addBlock(freeLists.entries[i] * 16);
    }
  }

  /** Blocks and pages in use of one class, by a trial run that releases nothing (S19.5). */
  fragmentation(classId: ClassId): {
    inUseBlocks: number;
    totalBlocks: number;
    inUsePages: number;
    totalPages: number;
  } {
    const { regions } = this.primary;
    const carved = regions.carved[classId];
    let freePages = 0;
    this.takeGroups(classId, "force-all");
    if (this.groups.length > 0) {
      this.markFreeBlocks(classId);
      while (this.counters.nextFreeRange()) freePages += this.counters.rangePages;
    }
    const totalPages = Math.ceil(carved / PAGE_SIZE);
    return {
      inUseBlocks: regions.popped[classId] - regions.pushed[classId],
      totalBlocks: carved / this.primary.blockSizes[classId],
      inUsePages: totalPages - freePages,
      totalPages,
    };
  }
}

/** Offset of a group from the region's usable begin. */
function groupBegin(freeLists: FreeLists, group: number): number {
  return freeLists.groupId[group] * 2 ** (freeLists.groupShift + 4);
}

keepClass("PrimaryRelease", PrimaryRelease);
