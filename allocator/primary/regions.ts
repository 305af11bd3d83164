// The primary's region table: where each class's slice lies, how much of it is mapped and carved, and its counters.
// Free lists are in free-list.ts, carving and refilling in primary.ts, release in primary-release.ts.

import type { Address } from "../../platform/hardware/integers.ts";
import { GRANULE_SIZE, PAGE_SIZE } from "../../platform/hardware/layout.ts";
import { keepClass } from "../../platform/state/kept.ts";
import type { ClassId } from "../common/integers.ts";
import { NO_MEMORY, type Program } from "../common/program.ts";
import { nextRandom, shuffle } from "../common/random.ts";
import type { PrimaryConfig } from "../options/config.ts";

const OFFSET_PAGES = 16;

/**
 * One row a class, class 0 (batches) included. Byte counts start at `begin`, the region's usable begin.
 * Invariants: carved ≤ mapped; begin − base + mapped ≤ region size; carved is a multiple of the block size;
 * popped − pushed blocks are outside the free list (in caches, quarantine or with the user).
 */
export class RegionTable {
  readonly classCount: number;
  readonly regionSize: number;
  /** Begin of each slice; 0 while it is not reserved (only without contiguous regions). */
  readonly base: Float64Array;
  readonly begin: Float64Array;
  /** The page that the usable begin is the begin of, and the begin in granules of 16 bytes, modulo 2^32: {@link setBegin} keeps them. */
  readonly beginPage: Int32Array;
  readonly beginGranule: Int32Array;
  /** Regions that were reserved since the table was made: only without contiguous regions. */
  reservedLate = 0;
  readonly mapped: Float64Array;
  readonly carved: Float64Array;
  readonly popped: Float64Array;
  readonly pushed: Float64Array;
  readonly randomState: Uint32Array;
  /** 1 once no more can be mapped. */
  readonly exhausted: Uint8Array;
  /** Free bytes at the last release, or the least since (S9.2). */
  readonly checkpoint: Float64Array;
  /** Bytes to be freed before the next release of a small class is considered (S9.4). */
  readonly tryThreshold: Float64Array;
  readonly lastReleaseNanoseconds: Float64Array;
  readonly rangesReleased: Float64Array;
  readonly lastReleasedBytes: Float64Array;

  constructor(classCount: number, regionSize: number) {
    const row = () => new Float64Array(classCount);
    this.classCount = classCount;
    this.regionSize = regionSize;
    this.base = row();
    this.begin = row();
    this.beginPage = new Int32Array(classCount);
    this.beginGranule = new Int32Array(classCount);
    this.mapped = row();
    this.carved = row();
    this.popped = row();
    this.pushed = row();
    this.randomState = new Uint32Array(classCount);
    this.exhausted = new Uint8Array(classCount);
    this.checkpoint = row();
    this.tryThreshold = row();
    this.lastReleaseNanoseconds = row();
    this.rangesReleased = row();
    this.lastReleasedBytes = row();
  }

  /** @param address a multiple of the page size */
  setBegin(classId: ClassId, address: Address): void {
    this.begin[classId] = address;
    this.beginPage[classId] = address / PAGE_SIZE;
    this.beginGranule[classId] = address / GRANULE_SIZE;
  }

  /** A copy for a forked process's heap. */
  copy(): RegionTable {
    const table = new RegionTable(this.classCount, this.regionSize);
    for (const name of COLUMNS) table[name].set(this[name]);
    table.reservedLate = this.reservedLate;
    return table;
  }
}

const COLUMNS = [
  "base",
  "begin",
  "beginPage",
  "beginGranule",
  "mapped",
  "carved",
  "popped",
  "pushed",
  "randomState",
  "exhausted",
  "checkpoint",
  "tryThreshold",
  "lastReleaseNanoseconds",
  "rangesReleased",
  "lastReleasedBytes",
] as const;

/** The smallest region worth having; below it a heap is refused its reservation. */
const SMALLEST_REGION_LOG = 20;

/**
 * Reserves the address space of all regions and deals it out (S8.1–S8.3). Scudo dies when the reservation fails; here the
 * regions are halved until they fit, so that several heaps can share one 38-bit address space.
 * @returns the table, or null if not even the smallest regions fit
 */
export function reserveRegions(
  program: Program,
  config: PrimaryConfig,
  classCount: number,
  seed: number,
): RegionTable | null {
  if (!config.contiguousRegions) return separateRegions(config, classCount, seed);
  const smallestLog = Math.min(config.regionSizeLog, Math.max(SMALLEST_REGION_LOG, config.groupSizeLog));
  for (let log = config.regionSizeLog; log >= smallestLog; log--) {
    const address = program.reserve(classCount * 2 ** log);
    if (address !== NO_MEMORY) return dealRegions(config, new RegionTable(classCount, 2 ** log), address, seed);
  }
  return null;
}

/** Region i gets slice i at a random offset and the i-th random state; then the slices are shuffled, class 0's too (S8.2, S8.3). */
function dealRegions(config: PrimaryConfig, table: RegionTable, address: Address, seed: number): RegionTable {
  const { classCount, regionSize } = table;
  const slices = new Int32Array(classCount);
  const begins = new Float64Array(classCount);
  const states = new Uint32Array(classCount);
  let state = seed;
  for (let slice = 0; slice < classCount; slice++) {
    state = nextRandom(state);
    slices[slice] = slice;
    states[slice] = state;
    begins[slice] = address + slice * regionSize;
    if (config.randomOffset) {
      states[slice] = nextRandom(state);
      begins[slice] += (1 + (states[slice] % OFFSET_PAGES)) * PAGE_SIZE;
    }
  }
  shuffle(slices, 0, classCount, state);
  for (let classId = 0; classId < classCount; classId++) {
    const slice = slices[classId];
    table.base[classId] = address + slice * regionSize;
    table.setBegin(classId, begins[slice]);
    table.randomState[classId] = states[slice];
  }
  return table;
}

function separateRegions(config: PrimaryConfig, classCount: number, seed: number): RegionTable {
  const table = new RegionTable(classCount, 2 ** config.regionSizeLog);
  let state = seed;
  for (let classId = 0; classId < classCount; classId++) {
    state = nextRandom(state);
    table.randomState[classId] = state;
  }
  return table;
}

/** Reserves the region of a class that has none yet (S8.5). @returns whether it could be done */
export function reserveOneRegion(program: Program, table: RegionTable, classId: ClassId): boolean {
  const address = program.reserve(table.regionSize);
  if (address === NO_MEMORY) return false;
  table.base[classId] = address;
  table.setBegin(classId, address);
  table.reservedLate++;
  return true;
}

keepClass("RegionTable", RegionTable);
