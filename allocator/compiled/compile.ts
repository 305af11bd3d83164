// Gives a heap its compiled malloc and free: fills the tables that they go by, moves the running thread's cache to where they reach it,
// and opens the gate when nothing asks for another way. The code is code.ts; when it is called is heap/c-interface.ts's.

import type { HostMemory } from "../../platform/hardware/host-memory.ts";
import type { UncheckedMemory } from "../../platform/hardware/unchecked-memory.ts";
import { type EngineMemory, type EngineModule, engine } from "../../platform/host/engine.ts";
import { leaveOut } from "../../platform/state/kept.ts";
import { copySums, SUM_COUNT } from "../combined/checksum.ts";
import type { Allocator } from "../combined/combined.ts";
import type { CompiledWays, TablePlace } from "../combined/compiled-ways.ts";
import { fillHeaders } from "../combined/headers-by-size.ts";
import { FILL_NONE, FILL_PATTERN, fillByteOf } from "../common/fill.ts";
import type { SizeClassMap } from "../options/size-class-map.ts";
import { type LocalCache, STAT_COUNT } from "../primary/local-cache.ts";
import { TaggedAllocator } from "../tagging/tagged-allocator.ts";
import { SMALLEST_BLOCK } from "./fill-code.ts";
import { moduleBytes } from "./module.ts";
import * as places from "./places.ts";

type Allocate = CompiledWays["allocate"];
type Free = CompiledWays["free"];

/** What the module exports. */
interface Functions {
  readonly allocate: Allocate;
  readonly allocateFilled: Allocate;
  readonly allocateZeroed: Allocate;
  readonly allocateTagged: Allocate;
  readonly free: Free;
  readonly freeTagged: Free;
}

/** By size classes: the table of headers that all heaps with them have. */
const headerTables = new WeakMap<SizeClassMap, Int32Array>();

function headersOf(map: SizeClassMap): Int32Array {
  const known = headerTables.get(map);
  if (known !== undefined) return known;
  const words = new Int32Array(2 * (places.LARGEST_IN_TABLE + 1));
  fillHeaders(words, map, Number.POSITIVE_INFINITY);
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

/** Compiled ways for a plain or tagged heap, if its options, its machine and the engine have room for them. */
export function compileWays(allocator: Allocator | TaggedAllocator): CompiledWays | null {
  const { process } = allocator.program;
  const { machine } = process.kernel;
  const { hostMemory } = machine;
  if (hostMemory === null || !isPossible(allocator)) return null;
  if (!machine.isInHostMemory(process.addressSpace.pageTable)) return null;
  const { memory } = hostMemory;
  const module = memory === null ? null : moduleOfProcess();
  if (memory === null || module === null) return null;
  const tagged = allocator instanceof TaggedAllocator ? allocator : null;
  const area = hostMemory.takeRoom(places.CLASS_BY_SIZE + allocator.primary.config.sizeClassMap.classBySize16.length);
  const freed = tagged === null ? 0 : hostMemory.takeRoom(tagged.freed.bytes);
  const hasRoom = area !== 0 && (tagged === null || freed !== 0);
  const functions = hasRoom ? functionsOn(memory, module) : null;
  if (functions === null) {
    for (const room of [area, freed]) if (room !== 0) hostMemory.giveRoom(room);
    return null;
  }
  const rooms = { hostMemory, area, freed };
  return tagged === null ? new HeapWays(allocator, rooms, functions) : new TaggedHeapWays(tagged, rooms, functions);
}

/** The module's functions over a machine's memory; null: the engine has no room for them, or refuses them. */
function functionsOn(memory: EngineMemory, module: EngineModule): Functions | null {
  try {
    return new engine.Instance(module, { host: { memory } }).exports as unknown as Functions;
  } catch {
    return null;
  }
}

function isPossible(allocator: Allocator | TaggedAllocator): boolean {
  const { hasDirectWays, options, primary, pattern } = allocator;
  return (
    hasDirectWays &&
    options.config.primary.contiguousRegions &&
    primary.blockSizes[1] >= SMALLEST_BLOCK &&
    allocator.largestDirect >= places.LARGEST_IN_TABLE &&
    fillByteOf(FILL_PATTERN, pattern) >= 0 &&
    (!(allocator instanceof TaggedAllocator) || allocator.drawsAnyTag)
  );
}

interface Rooms {
  readonly hostMemory: HostMemory;
  readonly area: TablePlace;
  /** Where the ring of a tagged heap's freed chunks is; 0 of others. */
  readonly freed: number;
}

class HeapWays implements CompiledWays {
  readonly area: TablePlace;
  allocate: Allocate;
  allocateZeroed: Allocate;
  free: Free;
  private readonly functions: Functions;
  private readonly allocator: Allocator | TaggedAllocator;
  protected readonly hostMemory: HostMemory;
  /** The heap's words. */
  protected readonly words: Int32Array;
  /** Caches that were moved. */
  private readonly caches = new Set<LocalCache>();

  constructor(allocator: Allocator | TaggedAllocator, { hostMemory, area }: Rooms, functions: Functions) {
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

  settle(): boolean {
    const { gate, registry } = this.allocator;
    const cache = registry.currentCache;
    if (gate.isOpen || cache === null) return true;
    const place = this.placeOf(cache);
    if (place === 0) return true;
    if (this.takeState()) gate.open(place);
    return true;
  }

  /** Has the code do what the heap's settings and its running thread ask for. @returns whether it can */
  protected takeState(): boolean {
    const { allocator, functions } = this;
    const mode = allocator.currentFill;
    this.allocate = mode === FILL_NONE ? functions.allocate : functions.allocateFilled;
    this.words[places.FILL / 4] = fillByteOf(mode, allocator.pattern);
    return true;
  }

  /** Where a cache is, for the code to reach it; 0: there is no room for it. */
  private placeOf(cache: LocalCache): number {
    if (this.caches.has(cache)) return cache.stats.byteOffset;
    const { buffer } = this.hostMemory;
    const bytes = places.STACK_BLOCKS + 4 * cache.blocks.length;
    const place = this.hostMemory.takeRoom(bytes);
    if (place === 0) return 0;
    new Uint8Array(buffer, place, bytes).fill(0);
    cache.moveTo(
      new Int32Array(buffer, place + places.COUNTS, cache.counts.length),
      new Int32Array(buffer, place + places.STACK_BLOCKS, cache.blocks.length),
      new Float64Array(buffer, place + places.STATISTICS, STAT_COUNT),
    );
    this.caches.add(cache);
    return place;
  }

  threadEnded(): void {
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

/** Those of a tagged heap: the ring of freed chunks and each thread's generator of tags lie where the code reaches them. */
class TaggedHeapWays extends HeapWays {
  private readonly tagged: TaggedAllocator;
  private readonly freed: number;
  /** Where the words of generators are. */
  private readonly generators = new Map<UncheckedMemory, number>();

  constructor(tagged: TaggedAllocator, rooms: Rooms, functions: Functions) {
    super(tagged, rooms, functions);
    this.tagged = tagged;
    this.freed = rooms.freed;
    this.allocate = functions.allocateTagged;
    this.allocateZeroed = functions.allocateTagged;
    this.free = functions.freeTagged;
    const { words, hostMemory } = this;
    const { machine } = tagged.program.process.kernel;
    tagged.freed.moveTo(hostMemory.buffer, rooms.freed);
    words[places.TAGS / 4] = hostMemory.tags.byteOffset;
    words[places.FREED / 4] = rooms.freed;
    words[places.FREED_CAPACITY / 4] = tagged.freed.capacity;
    words[places.GZVA_SHIFT / 4] = Math.log2(machine.gzvaBlockBytes);
  }

  override settle(): boolean {
    return this.tagged.drawsAnyTag && super.settle();
  }

  protected override takeState(): boolean {
    const { words } = this;
    const { program, registry } = this.tagged;
    const place = this.generatorOf(program.own);
    words[places.RANDOM_TAGS / 4] = place;
    words[places.THREAD / 4] = program.threadId;
    return place !== 0 && !registry.isMemoryInitDisabled && program.own.tagExclude === 0;
  }

  private generatorOf(memory: UncheckedMemory): number {
    const known = this.generators.get(memory);
    if (known !== undefined) return known;
    const place = this.hostMemory.takeRoom(4);
    if (place === 0) return 0;
    memory.keepRandomTagsIn(new Int32Array(this.hostMemory.buffer, place, 1));
    this.generators.set(memory, place);
    return place;
  }

  override end(): void {
    super.end();
    this.tagged.freed.moveHome();
    this.hostMemory.giveRoom(this.freed);
    for (const [memory, place] of this.generators) {
      memory.keepRandomTagsIn(new Int32Array(1));
      this.hostMemory.giveRoom(place);
    }
  }
}

// Its tables are in the host memory, whose room a snapshot does not keep.
leaveOut(HeapWays);
leaveOut(TaggedHeapWays);
