// The cache of freed large mappings: which are kept, which one serves a request, when their pages are given back (S12).
// Mapping and headers are secondary.ts's; an entry is a row of numbers and owns its mapping.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { PAGE_SIZE } from "../../platform/hardware/layout.ts";
import { keepClass } from "../../platform/state/kept.ts";
import type { Program } from "../common/program.ts";
import type { SecondaryCacheConfig } from "../options/config.ts";
import type { LargeMapping } from "./large-mapping.ts";

/** Most unused bytes in front of a retrieved chunk's headers that are tolerated (S12.4). */
const MAX_WASTE = 4 * PAGE_SIZE;
/** The fifth store that finds the cache full empties it (S12.3). */
const FULL_EVENTS_LIMIT = 4;

export class SecondaryCache {
  protected readonly program: Program;
  readonly config: SecondaryCacheConfig;
  /** Headers in front of a user pointer, in bytes. */
  protected readonly headersSize: number;
  /** Slots, the newest entry in slot 0. `commitBase` 0: free. `time` 0: pages given back, so contents are the clean page's. */
  readonly commitBase: Float64Array;
  readonly commitSize: Float64Array;
  readonly mapBase: Float64Array;
  readonly mapSize: Float64Array;
  readonly blockBegin: Float64Array;
  readonly time: Float64Array;
  /** What a given-back page of the mapping reads: an id that secondary.ts gives. */
  readonly cleanId: Int32Array;
  entriesCount = 0;
  maxEntriesCount: number;
  maxEntrySize: number;
  releaseIntervalMs: number;
  /** Time of the oldest entry with pages, or 0. */
  private oldestTime = 0;
  private fullEvents = 0;
  retrievals = 0;
  successfulRetrievals = 0;

  constructor(
    program: Program,
    config: SecondaryCacheConfig,
    options: { headersSize: number; releaseIntervalMs: number },
  ) {
    const slots = config.entriesArraySize;
    this.program = program;
    this.config = config;
    this.headersSize = options.headersSize;
    this.commitBase = new Float64Array(slots);
    this.commitSize = new Float64Array(slots);
    this.mapBase = new Float64Array(slots);
    this.mapSize = new Float64Array(slots);
    this.blockBegin = new Float64Array(slots);
    this.time = new Float64Array(slots);
    this.cleanId = new Int32Array(slots);
    this.maxEntriesCount = config.defaultMaxEntriesCount;
    this.maxEntrySize = config.defaultMaxEntrySize;
    this.releaseIntervalMs = 0;
    this.setReleaseInterval(config.defaultReleaseIntervalMs ?? options.releaseIntervalMs);
  }

  /** Whether {@link store} would keep a mapping with this committed size. */
  wouldKeep(size: ByteCount): boolean {
    return this.canCache(size) && this.entriesCount < this.maxEntriesCount;
  }

  canCache(size: ByteCount): boolean {
    return this.maxEntriesCount !== 0 && size <= this.maxEntrySize;
  }

  setReleaseInterval(milliseconds: number): void {
    const { minReleaseIntervalMs: least, maxReleaseIntervalMs: most } = this.config;
    this.releaseIntervalMs = Math.max(Math.min(milliseconds, most), least);
  }

  /** @returns false for a negative number; entries above a smaller number stay until the cache is emptied (S12.10) */
  setMaxEntriesCount(count: number): boolean {
    if (count < 0) return false;
    this.maxEntriesCount = Math.min(count, this.config.entriesArraySize);
    return true;
  }

  setMaxEntrySize(size: ByteCount): void {
    this.maxEntrySize = size;
  }

  /** Takes a freed mapping over: keeps or unmaps it (S12.3). */
  store(mapping: LargeMapping): void {
    const { mapBase, mapSize, commitBase, commitSize } = mapping;
    if (!this.canCache(commitSize)) {
      this.program.discard(mapBase, mapSize);
      return;
    }
    const now = Math.max(1, this.program.now());
    const isReleased = this.releaseIntervalMs === 0 && this.program.releasePages(commitBase, commitSize);
    if (this.entriesCount >= this.maxEntriesCount && !this.makeRoom()) {
      this.program.discard(mapBase, mapSize);
    } else {
      this.moveSlot(0, this.freeSlot());
      this.write(0, mapping, isReleased ? 0 : now);
      this.entriesCount++;
      if (this.oldestTime === 0) this.oldestTime = this.time[0];
    }
    // Scudo's difference is unsigned, so that in a machine's first seconds everything would be old (S12.7); here nothing is.
    if (this.releaseIntervalMs >= 0) this.releaseOlderThan(now - this.releaseIntervalMs * 1e6);
  }

  /** What a store into a full cache does first. @returns whether there is room now; this policy never makes any (S12.3) */
  protected makeRoom(): boolean {
    if (this.fullEvents++ === FULL_EVENTS_LIMIT) this.empty();
    return false;
  }

  /** The slot that the entry of slot 0 moves to, to let a new one in. */
  protected freeSlot(): number {
    let slot = 0;
    while (this.commitBase[slot] !== 0) slot++;
    return slot;
  }

  private write(slot: number, mapping: LargeMapping, time: number): void {
    this.commitBase[slot] = mapping.commitBase;
    this.commitSize[slot] = mapping.commitSize;
    this.mapBase[slot] = mapping.mapBase;
    this.mapSize[slot] = mapping.mapSize;
    this.blockBegin[slot] = mapping.block;
    this.cleanId[slot] = mapping.cleanId;
    this.time[slot] = time;
  }

  /** An entry as a row; `block` is that of the chunk before. */
  read(slot: number, row: LargeMapping): LargeMapping {
    row.block = this.blockBegin[slot];
    row.cleanId = this.cleanId[slot];
    return row.set(this.mapBase[slot], this.mapSize[slot], this.commitBase[slot], this.commitSize[slot]);
  }

  protected moveSlot(from: number, to: number): void {
    if (from === to) return;
    this.commitBase[to] = this.commitBase[from];
    this.commitSize[to] = this.commitSize[from];
    this.mapBase[to] = this.mapBase[from];
    this.mapSize[to] = this.mapSize[from];
    this.blockBegin[to] = this.blockBegin[from];
    this.time[to] = this.time[from];
    this.cleanId[to] = this.cleanId[from];
  }

  /**
   * The slot of the entry that serves `size` bytes at `alignment` best (S12.4), or −1. The caller reads the slot's row and
   * must then free it with {@link take}.
   */
  find(size: ByteCount, alignment: number): number {
    this.retrievals++;
    if (this.entriesCount === 0) return -1;
    let best = -1;
    let leastWaste = Number.POSITIVE_INFINITY;
    for (let slot = 0; slot < this.maxEntriesCount; slot++) {
      const begin = this.commitBase[slot];
      if (begin === 0) continue;
      const end = begin + this.commitSize[slot];
      const user = Math.floor((end - size) / alignment) * alignment;
      const header = user - this.headersSize;
      if (header < begin || user > begin + MAX_WASTE) continue;
      const waste = header - begin;
      if (waste > leastWaste) continue;
      best = slot;
      leastWaste = waste;
      if (waste <= Math.floor((end - header) / 10)) break;
    }
    if (best >= 0) this.successfulRetrievals++;
    return best;
  }

  /** Whether an entry is what is left of `block`. */
  holds(block: Address): boolean {
    return this.blockBegin.some((begin, slot) => begin === block && this.commitBase[slot] !== 0);
  }

  /** The entry's pages are no longer as they were given back. */
  markDirty(slot: number): void {
    this.time[slot] = Math.max(1, this.time[slot]);
  }

  /** Frees a slot whose mapping the caller has taken over. */
  take(slot: number): void {
    this.commitBase[slot] = 0;
    this.entriesCount--;
  }

  /** Unmaps every entry. */
  empty(): void {
    for (let slot = 0; slot < this.commitBase.length; slot++) {
      if (this.commitBase[slot] === 0) continue;
      this.program.discard(this.mapBase[slot], this.mapSize[slot]);
      this.commitBase[slot] = 0;
    }
    this.entriesCount = 0;
    this.fullEvents = 0;
  }

  /** Gives the pages of all entries back (S12.9). */
  releaseToOS(): void {
    this.releaseOlderThan(Number.POSITIVE_INFINITY);
  }

  private releaseOlderThan(time: number): void {
    if (this.entriesCount === 0 || this.oldestTime === 0 || this.oldestTime > time) return;
    this.oldestTime = 0;
    for (let slot = 0; slot < this.commitBase.length; slot++) {
      if (this.commitBase[slot] === 0 || this.time[slot] === 0) continue;
      const isYoung = this.time[slot] > time;
      if (!isYoung && this.program.releasePages(this.commitBase[slot], this.commitSize[slot])) this.time[slot] = 0;
      else if (this.oldestTime === 0 || this.time[slot] < this.oldestTime) this.oldestTime = this.time[slot];
    }
  }

  /** A copy for a forked process's heap. */
  copyFrom(other: SecondaryCache): void {
    for (const name of ["commitBase", "commitSize", "mapBase", "mapSize", "blockBegin", "time", "cleanId"] as const) {
      this[name].set(other[name]);
    }
    this.entriesCount = other.entriesCount;
    this.maxEntriesCount = other.maxEntriesCount;
    this.maxEntrySize = other.maxEntrySize;
    this.releaseIntervalMs = other.releaseIntervalMs;
    this.oldestTime = other.oldestTime;
    this.fullEvents = other.fullEvents;
    this.retrievals = other.retrievals;
    this.successfulRetrievals = other.successfulRetrievals;
  }
}

keepClass("SecondaryCache", SecondaryCache);
