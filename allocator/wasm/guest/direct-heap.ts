// The heap's side of the direct ways that a module goes by itself (rewriting/direct-ways.ts): puts the main thread's cache and what it
// goes by where the module sees them, and opens the gate when nothing asks to hear of each allocation and free.

import type { Address, ByteCount } from "../../../platform/hardware/integers.ts";
import { PAGE_SIZE } from "../../../platform/hardware/layout.ts";
import { copySums, SUM_COUNT } from "../../combined/checksum.ts";
import { HEADER_SIZE } from "../../combined/chunk-header.ts";
import { fillHeaders } from "../../combined/headers-by-size.ts";
import { FILL_NONE } from "../../common/fill.ts";
import { type Heap, partsOf, wholeCheckerOf } from "../../heap/heap.ts";
import type { HeapParts } from "../../heap/parts.ts";
import { type LocalCache, STAT_COUNT } from "../../primary/local-cache.ts";
import { isTapped } from "../../record/heap-tap.ts";
import * as tables from "../rewriting/heap-tables.ts";
import { GRANULE, type Layout, SHADOW_WRITABLE } from "../rewriting/layout.ts";
import type { Addressable } from "./addressable.ts";

const ROW_BYTES = 4;

export class DirectHeap {
  private readonly heap: Heap;
  private readonly parts: HeapParts;
  private readonly addressable: Addressable;
  private readonly buffer: ArrayBuffer;
  private readonly base: number;
  private readonly limitBytes: ByteCount;
  /** The words below the tables' rows. */
  private readonly words: Int32Array;
  private readonly begins: Uint32Array;
  /** Whether the heap's options leave room for it at all. */
  private readonly isPossible: boolean;
  private cache: LocalCache | null = null;
  /** Regions that the module knows of. */
  private knownRegions = -1;

  /** @param isPossible false: the program has hooks, which hear of each allocation */
  constructor(heap: Heap, addressable: Addressable, buffer: ArrayBuffer, layout: Layout, isPossible: boolean) {
    this.heap = heap;
    this.parts = partsOf(heap);
    this.addressable = addressable;
    this.buffer = buffer;
    this.base = layout.pathBase;
    this.limitBytes = layout.limitBytes;
    this.words = new Int32Array(buffer, layout.pathBase, tables.COUNTS / ROW_BYTES);
    this.begins = new Uint32Array(buffer, layout.pathBase + tables.BEGINS, this.classCount);
    const { allocator, family } = this.parts;
    const { stride } = allocator.primary.shape;
    this.isPossible =
      isPossible &&
      family.kind === "plain" &&
      allocator.hasDirectWays &&
      allocator.primary.blockSizes[1] <= tables.LARGEST_BLOCK &&
      stride * this.classCount * ROW_BYTES <= tables.BLOCKS_BYTES;
    allocator.gate.moveTo(this.words.subarray(tables.GATE / ROW_BYTES, tables.GATE / ROW_BYTES + 1));
    if (this.isPossible) this.fill();
  }

  private get classCount(): number {
    return this.parts.allocator.primary.classCount;
  }

  private row(column: number): Int32Array {
    return new Int32Array(this.buffer, this.base + column, this.classCount);
  }

  /** What does not change. */
  private fill(): void {
    const { buffer, base } = this;
    const { allocator, process } = this.parts;
    const { primary, headers } = allocator;
    const { sizeClassMap } = primary.config;
    const { stride, maxCounts } = primary.shape;
    this.row(tables.MOST_COUNTS).set(maxCounts);
    this.row(tables.BLOCK_SIZES).set(primary.blockSizes);
    const stacks = this.row(tables.STACKS);
    for (let classId = 0; classId < stacks.length; classId++)
      stacks[classId] = base + tables.BLOCKS + classId * stride * ROW_BYTES;
    const headerWords = new Int32Array(buffer, base + tables.HEADERS, 2 * tables.LARGEST_BLOCK);
    this.words[tables.LARGEST / ROW_BYTES] = fillHeaders(headerWords, sizeClassMap, tables.LARGEST_BLOCK);
    copySums(new Uint16Array(buffer, base + tables.SUMS, SUM_COUNT));
    const places = new Uint16Array(buffer, base + tables.PLACE_SUMS, this.limitBytes >>> tables.PLACE_SHIFT);
    for (let place = 0; place < places.length; place++)
      places[place] = headers.granuleSum(place * 2 ** tables.PLACE_SHIFT, 0);
    fillShadows(new Uint8Array(buffer, base + tables.SHADOWS, 8 * (tables.SHADOW_WORD + 1)));
    process.kernel.counters.countFillsIn(new Float64Array(buffer, base + tables.FILLED, 1));
  }

  /** A call of the heap begins, or a report: the checker learns that blocks came and went meanwhile. */
  takeChanges(): void {
    const { words } = this;
    if (words[tables.CHANGED / ROW_BYTES] === 0) return;
    words[tables.CHANGED / ROW_BYTES] = 0;
    wholeCheckerOf(this.heap).judge.forget();
  }

  /** A chunk was allocated by the host: the module may store to the headers in its pages from now on. */
  noteAllocation(pointer: Address, size: ByteCount): void {
    if (!this.isPossible || size > this.words[tables.LARGEST / ROW_BYTES]) return;
    const last = Math.floor((pointer + size + HEADER_SIZE) / PAGE_SIZE);
    for (let page = Math.floor((pointer - HEADER_SIZE) / PAGE_SIZE); page <= last; page++)
      this.addressable.noteReady(page);
  }

  /** The module finds its stack of a class empty, with an open gate. @returns 1: it is not any more; 0: the heap is to be asked */
  refill(classId: number): number {
    return this.parts.allocator.refillDirectly(classId) ? 1 : 0;
  }

  /** The module finds its stack of a class full, with an open gate. @returns 1: it is not any more; 0: the heap is to be asked */
  drain(classId: number): number {
    return this.parts.allocator.drainDirectly(classId) ? 1 : 0;
  }

  /** A call of the heap has ended: opens the gate, if nothing speaks against it. */
  settle(): void {
    const { parts, heap } = this;
    if (!this.isPossible || parts.ended !== null) return;
    const { allocator, stackTable } = parts;
    const { registry, primary } = allocator;
    const cache = registry.currentCache;
    if (cache === null) return;
    if (this.cache === null) this.adopt(cache);
    if (primary.regions.reservedLate !== this.knownRegions) {
      this.begins.set(primary.regions.begin);
      this.knownRegions = primary.regions.reservedLate;
    }
    if (allocator.gate.isOpen || cache !== this.cache) return;
    const { arenas } = wholeCheckerOf(heap);
    if (allocator.fillMode !== FILL_NONE || !arenas.isEmpty || isTapped(heap)) return;
    const keepsTraces = stackTable?.isRecording === true;
    // Traces of earlier chunks are to be forgotten, which the module does not do by itself.
    if (!keepsTraces && stackTable?.isEmpty === false) return;
    this.words[tables.KEEPS_TRACES / ROW_BYTES] = Number(keepsTraces);
    allocator.gate.open();
  }

  private adopt(cache: LocalCache): void {
    const { buffer, base } = this;
    cache.moveTo(
      this.row(tables.COUNTS),
      new Int32Array(buffer, base + tables.BLOCKS, cache.blocks.length),
      new Float64Array(buffer, base + tables.STATISTICS, STAT_COUNT),
    );
    this.cache = cache;
  }
}

/** As Addressable paints a chunk's last granules, in pages that take stores. */
function fillShadows(bytes: Uint8Array): void {
  for (let size = 0; size <= tables.SHADOW_WORD; size++) {
    const begin = 8 * size;
    const whole = Math.floor(size / GRANULE);
    bytes.fill(SHADOW_WRITABLE, begin, begin + whole);
    if (size % GRANULE !== 0) bytes[begin + whole] = size % GRANULE;
  }
}
