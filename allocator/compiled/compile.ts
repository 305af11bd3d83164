// Gives a heap its compiled malloc and free: fills the tables that they go by, moves the running thread's cache to where they reach it,
// and opens the gate when nothing asks for another way. The code is code.ts; when it is called is heap/c-interface.ts's.

import type { HostMemory } from "../../platform/hardware/host-memory.ts";
import { type EngineModule, engine } from "../../platform/host/engine.ts";
import { leaveOut } from "../../platform/state/kept.ts";
import { copySums, granuleChecksum, SUM_COUNT } from "../combined/checksum.ts";
import { HEADER_SIZE, ORIGIN_MALLOC, packLow, STATE_ALLOCATED } from "../combined/chunk-header.ts";
import type { Allocator } from "../combined/combined.ts";
import type { CompiledWays, TablePlace } from "../combined/compiled-ways.ts";
import { FILL_NONE, FILL_PATTERN, fillByteOf } from "../common/fill.ts";
import type { SizeClassMap } from "../options/size-class-map.ts";
import { type LocalCache, STAT_COUNT } from "../primary/local-cache.ts";
import { SMALLEST_BLOCK } from "./fill-code.ts";
import { moduleBytes } from "./module.ts";
import * as places from "./places.ts";

const MIN_ALIGNMENT = 16;

/** What the module exports. */
interface Functions extends Pick<CompiledWays, "allocate" | "allocateZeroed" | "free"> {
  readonly allocateFilled: CompiledWays["allocate"];
}

/** By size classes: the table of headers that all heaps with them have. */
const headerTables = new WeakMap<SizeClassMap, Int32Array>();

function headersOf(map: SizeClassMap): Int32Array {
  const known = headerTables.get(map);
  if (known !== undefined) return known;
  const words = new Int32Array(2 * (places.LARGEST_IN_TABLE + 1));
  for (let size = 0; size <= places.LARGEST_IN_TABLE; size++) {
    const classId = map.classOf(HEADER_SIZE + Math.ceil(size / MIN_ALIGNMENT) * MIN_ALIGNMENT);
    const low = packLow(classId, STATE_ALLOCATED, ORIGIN_MALLOC, size);
    words[2 * size] = low;
    words[2 * size + 1] = granuleChecksum(0, 0, low) << 16;
  }
  headerTables.set(map, words);
  return words;
}

/** undefined: not asked for yet. null: this engine does not compile it. */
let compiledModule: EngineModule | null | undefined;

function moduleOfProcess(): EngineModule | null {
  if (compiledModule !== undefined) return compiledModule;
  try {
    compiledModule = new engine.Module(moduleBytes());
  } catch {
    // An old engine, or one that was told to compile nothing: the heap has its own way.
    compiledModule = null;
  }
  return compiledModule;
}

/** Compiled ways for the heap, if its options, its machine and the engine have room for them. */
export function compileWays(allocator: Allocator): CompiledWays | null {
  const { process } = allocator.program;
  const { machine } = process.kernel;
  const { hostMemory } = machine;
  if (hostMemory === null || !isPossible(allocator)) return null;
  if (!machine.isInHostMemory(process.addressSpace.pageTable)) return null;
  const { memory } = hostMemory;
  const module = memory === null ? null : moduleOfProcess();
  if (memory === null || module === null) return null;
  const area = hostMemory.takeRoom(places.CLASS_BY_SIZE + allocator.primary.config.sizeClassMap.classBySize16.length);
  if (area === 0) return null;
  const { exports } = new engine.Instance(module, { host: { memory } });
  return new HeapWays(allocator, hostMemory, area, exports as unknown as Functions);
}

function isPossible(allocator: Allocator): boolean {
  const { hasDirectWays, options, primary, pattern } = allocator;
  return (
    hasDirectWays &&
    options.config.primary.contiguousRegions &&
    primary.blockSizes[1] >= SMALLEST_BLOCK &&
    allocator.largestDirect >= places.LARGEST_IN_TABLE &&
    fillByteOf(FILL_PATTERN, pattern) >= 0
  );
}

class HeapWays implements CompiledWays {
  readonly area: TablePlace;
  allocate: CompiledWays["allocate"];
  readonly allocateZeroed: CompiledWays["allocateZeroed"];
  readonly free: CompiledWays["free"];
  private readonly functions: Functions;
  private readonly allocator: Allocator;
  private readonly hostMemory: HostMemory;
  /** The heap's words. */
  private readonly words: Int32Array;
  /** Caches that were moved. */
  private readonly caches = new Set<LocalCache>();

  constructor(allocator: Allocator, hostMemory: HostMemory, area: TablePlace, functions: Functions) {
    this.allocator = allocator;
    this.hostMemory = hostMemory;
    this.area = area;
    this.functions = functions;
    this.allocate = functions.allocate;
    this.allocateZeroed = functions.allocateZeroed;
    this.free = functions.free;
    this.words = new Int32Array(hostMemory.buffer, area, places.ROWS / 4);
    this.fillTables();
    allocator.gate.moveTo(this.words.subarray(places.GATE / 4, places.GATE / 4 + 1));
  }

  /** What does not change. */
  private fillTables(): void {
    const { area } = this;
    const { buffer } = this.hostMemory;
    const { primary, headers, largestDirect } = this.allocator;
    const { regions, shape } = primary;
    const { classBySize16 } = primary.config.sizeClassMap;
    new Uint8Array(buffer, area, places.HEADERS).fill(0);
    this.words[places.GATE / 4] = 1;
    this.words[places.LARGEST / 4] = largestDirect;
    this.words[places.COOKIE / 4] = headers.granuleSum(0, 0);
    const rows = new DataView(buffer, area);
    for (let classId = 0; classId < shape.classCount; classId++) {
      const row = classId << places.ROW_SHIFT;
      rows.setBigInt64(row + places.BEGIN, BigInt(regions.begin[classId]), true);
      rows.setFloat64(row + places.BLOCK_SIZE, primary.blockSizes[classId], true);
      rows.setInt32(row + places.BLOCK_BYTES, primary.blockSizes[classId], true);
      rows.setInt32(row + places.MOST, shape.maxCounts[classId], true);
      rows.setInt32(row + places.STACK, places.STACK_BLOCKS + 4 * classId * shape.stride, true);
    }
    const table = headersOf(primary.config.sizeClassMap);
    new Int32Array(buffer, area + places.HEADERS, table.length).set(table);
    new Uint8Array(buffer, area + places.CLASS_BY_SIZE, classBySize16.length).set(classBySize16);
    copySums(new Uint16Array(buffer, places.SUMS, SUM_COUNT));
  }

  settle(): void {
    const { allocator, words } = this;
    const { gate, registry } = allocator;
    const cache = registry.currentCache;
    if (gate.isOpen || cache === null) return;
    const place = this.placeOf(cache);
    if (place === 0) return;
    const mode = registry.isMemoryInitDisabled ? FILL_NONE : allocator.fillMode;
    this.allocate = mode === FILL_NONE ? this.functions.allocate : this.functions.allocateFilled;
    words[places.FILL / 4] = fillByteOf(mode, allocator.pattern);
    words[places.CACHE / 4] = place;
    gate.open();
  }

  /** Where a cache is, for the code to reach it; 0: there is no room for it. */
  private placeOf(cache: LocalCache): number {
    if (this.caches.has(cache)) return cache.stats.byteOffset;
    const { buffer } = this.hostMemory;
    const bytes = places.STACK_BLOCKS + 4 * cache.blocks.length;
    let place = this.hostMemory.takeRoom(bytes);
    if (place === 0) {
      this.dropCaches();
      place = this.hostMemory.takeRoom(bytes);
      if (place === 0) return 0;
    }
    new Uint8Array(buffer, place, bytes).fill(0);
    cache.moveTo(
      new Int32Array(buffer, place + places.COUNTS, cache.counts.length),
      new Int32Array(buffer, place + places.STACK_BLOCKS, cache.blocks.length),
      new Float64Array(buffer, place + places.STATISTICS, STAT_COUNT),
    );
    this.caches.add(cache);
    return place;
  }

  /** Gives the room of caches back whose threads have ended. */
  private dropCaches(): void {
    const used = new Set(this.allocator.registry.all().map(({ cache }) => cache));
    for (const cache of this.caches) if (!used.has(cache)) this.drop(cache);
  }

  private drop(cache: LocalCache): void {
    this.hostMemory.giveRoom(cache.stats.byteOffset);
    cache.moveTo(cache.counts.slice(), cache.blocks.slice(), cache.stats.slice());
    this.caches.delete(cache);
  }

  end(): void {
    const { gate } = this.allocator;
    gate.close();
    gate.moveTo(Int32Array.of(1));
    for (const cache of this.caches) this.drop(cache);
    this.hostMemory.giveRoom(this.area);
  }
}

// Its tables are in the host memory, whose room a snapshot does not keep.
leaveOut(HeapWays);
