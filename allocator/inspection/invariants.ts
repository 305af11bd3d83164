// The invariants of a whole heap, checked against one another: tables, free lists, caches, headers, lists, statistics.
// For tests and debugging: it walks everything. An error names the broken rule and the numbers.

import { CORRUPTED_HEADER, classIdOf, STATE_ALLOCATED, STATE_QUARANTINED, stateOf } from "../combined/chunk-header.ts";
import { forEachBlockOfClass } from "../combined/chunk-walk.ts";
import type { Allocator } from "../combined/combined.ts";
import { batchCount, batchNext, type QuarantineCache } from "../combined/quarantine-cache.ts";
import type { ClassId, CompactPointer } from "../common/integers.ts";
import { STAT_ALLOCATED, STAT_MAPPED } from "../primary/local-cache.ts";
import { gatherCounters } from "./gather-statistics.ts";

/** What a consistent heap holds. */
export interface HeapCensus {
  /** Chunks with the user, and batches of the quarantine. */
  readonly allocatedChunks: number;
  /** Freed chunks that wait. */
  readonly quarantinedChunks: number;
  /** The quarantine's own blocks, which list them. */
  readonly quarantineBatches: number;
  /** Blocks that are on no free list and whose header says neither: overwritten by the program, or lost. */
  readonly unreadableChunks: number;
}

/** @throws Error naming the first broken rule */
export function checkHeapInvariants(allocator: Allocator): HeapCensus {
  const census = { allocatedChunks: 0, quarantinedChunks: 0, quarantineBatches: 0, unreadableChunks: 0 };
  const usedNodes = new Set<number>();
  for (let classId = 1; classId < allocator.primary.classCount; classId++) {
    checkRegion(allocator, classId);
    if (isUntouched(allocator, classId)) continue;
    const free = freeBlocksOf(allocator, classId, usedNodes);
    countChunks(allocator, classId, free, census);
  }
  checkRegion(allocator, 0);
  checkBatchClass(allocator, usedNodes);
  checkSecondary(allocator, census);
  checkSecondaryCache(allocator);
  checkQuarantine(allocator, census);
  checkStatistics(allocator);
  return census;
}

function ensure(condition: boolean, rule: () => string): void {
  if (!condition) throw new Error(`heap invariant broken: ${rule()}`);
}

function checkRegion(allocator: Allocator, classId: ClassId): void {
  const { regions, blockSizes } = allocator.primary;
  const carved = regions.carved[classId];
  const mapped = regions.mapped[classId];
  ensure(carved <= mapped, () => `class ${classId} has carved ${carved} of ${mapped} mapped bytes`);
  ensure(carved % blockSizes[classId] === 0, () => `class ${classId} has carved ${carved} bytes, no whole blocks`);
  const end = regions.begin[classId] - regions.base[classId] + mapped;
  ensure(end <= regions.regionSize, () => `class ${classId} is mapped to ${end} of ${regions.regionSize} bytes`);
}

/** Nothing of a class is anywhere, which is so of most classes of a small heap: there is nothing more to check of it. */
function isUntouched({ primary, registry }: Allocator, classId: ClassId): boolean {
  const { freeLists, regions } = primary;
  if (regions.carved[classId] !== 0 || regions.popped[classId] !== regions.pushed[classId]) return false;
  if (freeLists.firstGroup[classId] >= 0) return false;
  for (const { cache } of registry.all()) if (cache.counts[classId] !== 0) return false;
  return true;
}

/** Compact pointers of all free blocks of a class: in its free list and in caches. Each block may be there once. */
function freeBlocksOf(allocator: Allocator, classId: ClassId, usedNodes: Set<number>): Set<CompactPointer> {
  const { primary, registry } = allocator;
  const { freeLists, regions, shape } = primary;
  const free = new Set<CompactPointer>();
  const add = (compact: CompactPointer, place: string) => {
    ensure(!free.has(compact), () => `block ${compact} of class ${classId} is free twice, now ${place}`);
    const inRange = compact >= 0 && compact * 16 < regions.carved[classId];
    ensure(inRange, () => `block ${compact} of class ${classId} ${place} was never carved`);
    free.add(compact);
  };
  const useNode = (node: number) => {
    ensure(!usedNodes.has(node), () => `node ${node} is used twice, now by class ${classId}`);
    usedNodes.add(node);
  };
  let previousId = -1;
  for (let group = freeLists.firstGroup[classId]; group >= 0; group = freeLists.next[group]) {
    const id = freeLists.groupId[group];
    ensure(id > previousId, () => `group ${id} of class ${classId} comes after ${previousId}`);
    previousId = id;
    useNode(group);
    ensure(freeLists.firstBatch[group] >= 0, () => `group ${id} of class ${classId} is empty`);
    let batches = 0;
    for (let batch = freeLists.firstBatch[group]; batch >= 0; batch = freeLists.next[batch]) {
      const count = freeLists.count[batch];
      const isFull = count === freeLists.capacity;
      ensure(isFull || batches === 0, () => `batch ${batch} of class ${classId} is not the first and holds ${count}`);
      batches++;
      useNode(batch);
      for (let i = 0; i < count; i++) {
        const block = freeLists.entries[batch * freeLists.capacity + i];
        add(block, "in the free list");
        const own = block >>> freeLists.groupShift;
        ensure(own === id, () => `block ${block} of class ${classId} is in group ${id}, not ${own}`);
      }
    }
    const recorded = freeLists.batchCount[group];
    ensure(batches === recorded, () => `group ${id} of class ${classId} has ${batches} batches, not ${recorded}`);
  }
  const size = primary.blockSizes[classId];
  const listed = regions.carved[classId] / size - (regions.popped[classId] - regions.pushed[classId]);
  ensure(
    free.size === listed,
    () => `class ${classId} has ${free.size} blocks in its free list, counters say ${listed}`,
  );
  for (const { cache } of registry.all()) {
    const count = cache.counts[classId];
    const most = shape.maxCounts[classId];
    ensure(count >= 0 && count <= most, () => `a cache holds ${count} blocks of class ${classId}, at most ${most}`);
    for (let i = 0; i < count; i++) add(cache.blocks[classId * shape.stride + i], "in a cache");
  }
  return free;
}

function countChunks(
  allocator: Allocator,
  classId: ClassId,
  free: Set<number>,
  census: { -readonly [Field in keyof HeapCensus]: number },
): void {
  const begin = allocator.primary.regions.begin[classId];
  forEachBlockOfClass(allocator, classId, (_, block, pointer, low) => {
    if (free.has((block - begin) / 16)) return;
    const state = stateOf(low);
    if (low === CORRUPTED_HEADER || classIdOf(low) !== classId) census.unreadableChunks++;
    else if (state === STATE_ALLOCATED) census.allocatedChunks++;
    else if (state === STATE_QUARANTINED) census.quarantinedChunks++;
    else ensure(false, () => `chunk ${pointer} of class ${classId} is available, but its block is in no free list`);
  });
}

/** Class 0: every node in use is in a free list; the rest is free, in its own list or in a cache. */
function checkBatchClass(allocator: Allocator, usedNodes: Set<number>): void {
  const { primary, registry } = allocator;
  const { regions } = primary;
  let cached = 0;
  for (const { cache } of registry.all()) {
    for (let i = 0; i < cache.counts[0]; i++) {
      const node = primary.freeLists.nodeOf(cache.blocks[i]);
      ensure(!usedNodes.has(node), () => `node ${node} is cached and in use`);
    }
    cached += cache.counts[0];
  }
  const inUse = regions.popped[0] - regions.pushed[0];
  const used = usedNodes.size;
  ensure(inUse === cached + used, () => `class 0 has ${inUse} blocks in use: ${used} nodes and ${cached} cached`);
}

function checkSecondary(allocator: Allocator, census: { -readonly [Field in keyof HeapCensus]: number }): void {
  const { secondary, headers, memory } = allocator;
  let blocks = 0;
  let last = 0;
  for (let block = secondary.first; block !== 0; block = secondary.nextBlock(block)) {
    blocks++;
    ensure(blocks <= secondary.blocksInUse, () => `more than ${secondary.blocksInUse} large blocks are linked`);
    const end = secondary.blockEnd(block);
    const begin = secondary.commitBase(block);
    ensure(begin < block && block < end, () => `large block ${block} is not in its pages ${begin} to ${end}`);
    const low = headers.load(memory, block + 16);
    if (stateOf(low) === STATE_ALLOCATED && classIdOf(low) === 0) census.allocatedChunks++;
    else census.unreadableChunks++;
    last = block;
  }
  ensure(blocks === secondary.blocksInUse, () => `${blocks} large blocks are linked, not ${secondary.blocksInUse}`);
  ensure(last === secondary.last, () => `the last large block is ${last}, not ${secondary.last}`);
  const open = secondary.allocations - secondary.frees;
  ensure(
    open === blocks,
    () => `${blocks} large blocks, but ${secondary.allocations} allocations, ${secondary.frees} frees`,
  );
}

function checkSecondaryCache(allocator: Allocator): void {
  const { cache } = allocator.secondary;
  if (cache === null) return;
  const entries = cache.commitBase.reduce((sum, base) => sum + (base === 0 ? 0 : 1), 0);
  ensure(entries === cache.entriesCount, () => `the cache has ${entries} entries, not ${cache.entriesCount}`);
}

function checkQuarantine(allocator: Allocator, census: { -readonly [Field in keyof HeapCensus]: number }): void {
  const { quarantine, registry, memory } = allocator;
  const check = (list: QuarantineCache, name: string): number => {
    let batches = 0;
    let chunks = 0;
    let last = 0;
    for (let batch = list.first; batch !== 0; batch = batchNext(memory, batch)) {
      batches++;
      chunks += batchCount(memory, batch);
      last = batch;
    }
    ensure(batches === list.batches, () => `the ${name} quarantine has ${batches} batches, not ${list.batches}`);
    ensure(last === list.last, () => `the ${name} quarantine's last batch is ${last}, not ${list.last}`);
    census.quarantineBatches += batches;
    return chunks;
  };
  let chunks = check(quarantine.global, "global") + quarantine.interruptedChunks;
  census.quarantineBatches += quarantine.interruptedBatches;
  for (const tsd of registry.all()) chunks += check(tsd.quarantine, "thread's");
  const found = census.quarantinedChunks;
  // A chunk whose header the program destroyed is still listed.
  const known = found + census.unreadableChunks;
  ensure(found <= chunks && chunks <= known, () => `${found} chunks are quarantined, the quarantine lists ${chunks}`);
}

/** The counters are sums over the tables (S19.1). */
function checkStatistics(allocator: Allocator): void {
  const { primary, registry, secondary } = allocator;
  const { regions, blockSizes } = primary;
  let mapped = secondary.stats[STAT_MAPPED];
  let carved = 0;
  let allocated = secondary.stats[STAT_ALLOCATED];
  for (let classId = 0; classId < primary.classCount; classId++) {
    mapped += regions.mapped[classId];
    carved += regions.carved[classId];
    if (classId === 0) continue;
    let inUse = regions.popped[classId] - regions.pushed[classId];
    for (const { cache } of registry.all()) inUse -= cache.counts[classId];
    allocated += inUse * blockSizes[classId];
  }
  const free = carved - (allocated - secondary.stats[STAT_ALLOCATED]);
  const counters = gatherCounters(allocator);
  ensure(
    counters.allocatedBytes === allocated,
    () => `${allocated} bytes are allocated, the counter says ${counters.allocatedBytes}`,
  );
  ensure(counters.freeBytes === free, () => `${free} bytes are free, the counter says ${counters.freeBytes}`);
  ensure(counters.mappedBytes === mapped, () => `${mapped} bytes are mapped, the counter says ${counters.mappedBytes}`);
}
