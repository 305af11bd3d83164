// Client requests, with the meanings of Valgrind's memcheck.h: marks, checks, validity bits, and arenas (mempools).
// They need a heap that tracks bytes, where they change marks; elsewhere they do nothing, as Valgrind's do outside Valgrind.

import { PAGE_SIZE, TAG_UNIT } from "../../platform/hardware/layout.ts";
import type { Memory } from "../../platform/hardware/memory.ts";
import type { Process } from "../../platform/kernel/process.ts";
import type { Allocator } from "../combined/combined.ts";
import type { ChunkStacks } from "../common/heap-error.ts";
import type { Explanation } from "../inspection/explain.ts";
import { LIVE, NOT_LIVE, TrackedAllocator } from "../tracking/tracked-allocator.ts";
import { firstUndefined, markRangeDefined, markRangeUndefined } from "../tracking/undefined-bytes.ts";
import type { Arena, Arenas } from "./arenas.ts";
import type { Frame } from "./frames.ts";
import type { Judge } from "./judge.ts";
import type { NoAccess } from "./no-access.ts";

/** What the checker needs of its heap. */
export interface CheckedHeap {
  readonly process: Process;
  readonly level: "off" | "page" | "byte";
  explain(address: number): Explanation;
  stacksOf(pointer: number): ChunkStacks | null;
}

export interface RequestSources {
  readonly heap: CheckedHeap;
  readonly allocator: Allocator;
  readonly arenas: Arenas;
  readonly noAccess: NoAccess;
}

export interface MempoolOptions {
  /** What reports call it. Default: "arena 1", "arena 2". */
  readonly name?: string;
  /** Bytes before and behind each chunk that nobody may access. Default 0. */
  readonly redzoneBytes?: number;
  /** Whether chunks come zeroed, and count as written. Default false. */
  readonly isZeroed?: boolean;
}

export abstract class Requests {
  protected readonly noAccess: NoAccess;
  abstract readonly judge: Judge;
  private readonly sources: RequestSources;

  constructor(sources: RequestSources) {
    this.sources = sources;
    this.noAccess = sources.noAccess;
  }

  protected abstract here(): Frame[];

  /** The heap's own loads and stores, which are nobody's business. */
  private get own(): Memory {
    return this.sources.allocator.memory;
  }

  private get tracksBytes(): boolean {
    return this.sources.heap.level === "byte";
  }

  /** VALGRIND_MAKE_MEM_DEFINED. @throws RangeError: not all of the range is the program's memory; nothing has changed */
  makeDefined(address: number, length: number): void {
    this.requireOwn("makeDefined", address, length);
    if (!this.tracksBytes) return;
    this.noAccess.allow(address, length);
    markRangeDefined(this.own, address, length, "touch");
  }

  /** VALGRIND_MAKE_MEM_UNDEFINED: the bytes stay, but using them is an error. Touches the pages. @throws RangeError as above */
  makeUndefined(address: number, length: number): void {
    this.requireOwn("makeUndefined", address, length);
    if (!this.tracksBytes) return;
    this.noAccess.allow(address, length);
    markRangeUndefined(this.own, address, length, "touch");
  }

  /** VALGRIND_MAKE_MEM_NOACCESS: any access is an error until the memory is made defined or undefined. @throws RangeError as above */
  makeNoAccess(address: number, length: number): void {
    this.requireOwn("makeNoAccess", address, length);
    if (!this.tracksBytes) return;
    markRangeUndefined(this.own, address, length, "touch");
    this.noAccess.forbid(address, length);
    this.judge.forget();
  }

  /** VALGRIND_MAKE_MEM_DEFINED_IF_ADDRESSABLE. */
  makeDefinedIfAddressable(address: number, length: number): void {
    this.requireOwn("makeDefinedIfAddressable", address, length);
    if (!this.tracksBytes) return;
    for (let at = address; at < address + length; at++) {
      if (this.noAccess.first(at, 1) < 0) markRangeDefined(this.own, at, 1, "touch");
    }
  }

  /** VALGRIND_CHECK_MEM_IS_ADDRESSABLE: reports unless all is. @returns 0, or the first address that is not */
  checkIsAddressable(address: number, length: number): number {
    checkRange("checkIsAddressable", address, length);
    const bad = this.firstForbidden(address, length);
    if (bad < 0) return 0;
    this.judge.report("invalid-access", "check", bad, 1, null);
    return bad;
  }

  /** VALGRIND_CHECK_MEM_IS_DEFINED: the use of a value, where `reportOn` is "use". @returns 0, or the first bad address */
  checkIsDefined(address: number, length: number): number {
    const bad = this.checkIsAddressable(address, length);
    if (bad !== 0 || !this.tracksBytes) return bad;
    const found = firstUndefined(this.own, address, length);
    if (found < 0) return 0;
    this.judge.report("uninitialised", "check", address, length, found);
    return found;
  }

  /** VALGRIND_GET_VBITS: a byte each, 0 defined, 0xff undefined. @throws RangeError: memory that is not addressable */
  getValidityBits(address: number, length: number): Uint8Array {
    this.requireOwn("getValidityBits", address, length);
    const bits = new Uint8Array(length);
    if (!this.tracksBytes) return bits;
    for (let i = 0; i < length; i++) bits[i] = firstUndefined(this.own, address + i, 1) < 0 ? 0 : 0xff;
    return bits;
  }

  /** VALGRIND_SET_VBITS: any bit set makes its byte undefined. @throws RangeError as above */
  setValidityBits(address: number, bits: Uint8Array): void {
    this.requireOwn("setValidityBits", address, bits.length);
    if (!this.tracksBytes) return;
    for (let i = 0; i < bits.length; i++) {
      if (bits[i] === 0) markRangeDefined(this.own, address + i, 1, "touch");
      else markRangeUndefined(this.own, address + i, 1, "touch");
    }
  }

  /**
   * VALGRIND_CREATE_MEMPOOL: an arena, known by its anchor address. The program makes the memory that it deals out noaccess
   * first. @throws RangeError: the pool exists already
   */
  createMempool(pool: number, { name, redzoneBytes = 0, isZeroed = false }: MempoolOptions = {}): void {
    checkRange("createMempool", pool, redzoneBytes);
    if (this.sources.arenas.get(pool) !== undefined)
      throw new RangeError(`createMempool: 0x${hex(pool)} is one already`);
    this.sources.arenas.create(pool, { name, redzoneBytes, isZeroed });
  }

  /** VALGRIND_DESTROY_MEMPOOL: its chunks may not be accessed any more. */
  destroyMempool(pool: number): void {
    const arena = this.requirePool("destroyMempool", pool);
    for (const chunk of arena.chunks.values()) if (chunk.freed === null) this.endChunk(chunk.address, chunk.size);
    this.sources.arenas.delete(pool);
  }

  /** VALGRIND_MEMPOOL_ALLOC: a chunk begins, undefined, or zero where the pool is zeroed. @throws RangeError */
  mempoolAlloc(pool: number, address: number, size: number): void {
    const arena = this.requirePool("mempoolAlloc", pool);
    this.requireOwn("mempoolAlloc", address, size);
    this.sources.arenas.addChunk(arena, address, size, this.here());
    if (arena.isZeroed) this.makeDefined(address, size);
    else this.makeUndefined(address, size);
    if (!this.tracksBytes || arena.redzoneBytes === 0) return;
    for (const zone of [address - arena.redzoneBytes, address + size]) {
      if (this.firstForeign(zone, arena.redzoneBytes) < 0) this.makeNoAccess(zone, arena.redzoneBytes);
    }
  }

  /** VALGRIND_MEMPOOL_FREE. @throws RangeError: no live chunk of the pool begins there */
  mempoolFree(pool: number, address: number): void {
    const chunk = this.requirePool("mempoolFree", pool).chunks.get(address);
    if (chunk === undefined || chunk.freed !== null) {
      throw new RangeError(`mempoolFree: no chunk of the pool is at 0x${hex(address)}`);
    }
    chunk.freed = this.here();
    this.endChunk(address, chunk.size);
  }

  /** VALGRIND_MEMPOOL_TRIM: chunks, or parts of them, outside the range end. */
  mempoolTrim(pool: number, address: number, size: number): void {
    const arena = this.requirePool("mempoolTrim", pool);
    const end = address + size;
    for (const chunk of [...arena.chunks.values()]) {
      if (chunk.freed !== null) continue;
      const chunkEnd = chunk.address + chunk.size;
      if (chunkEnd <= address || chunk.address >= end) this.mempoolFree(pool, chunk.address);
      else if (chunk.address >= address && chunkEnd > end) {
        this.endChunk(end, chunkEnd - end);
        chunk.size = end - chunk.address;
      }
    }
  }

  /** VALGRIND_MOVE_MEMPOOL: the pool has another anchor. */
  moveMempool(from: number, to: number): void {
    this.requirePool("moveMempool", from);
    this.sources.arenas.move(from, to);
  }

  /** VALGRIND_MEMPOOL_CHANGE: a chunk is elsewhere or of another size; kept bytes keep their marks. */
  mempoolChange(pool: number, from: number, to: number, size: number): void {
    const arena = this.requirePool("mempoolChange", pool);
    const chunk = arena.chunks.get(from);
    if (chunk === undefined || chunk.freed !== null) {
      throw new RangeError(`mempoolChange: no chunk of the pool is at 0x${hex(from)}`);
    }
    if (from !== to) {
      this.mempoolFree(pool, from);
      this.mempoolAlloc(pool, to, size);
    } else if (size < chunk.size) {
      this.endChunk(from + size, chunk.size - size);
      chunk.size = size;
    } else {
      if (size > chunk.size) this.makeUndefined(from + chunk.size, size - chunk.size);
      chunk.size = size;
    }
  }

  /** VALGRIND_MEMPOOL_EXISTS. */
  mempoolExists(pool: number): boolean {
    return this.sources.arenas.get(pool) !== undefined;
  }

  private endChunk(address: number, size: number): void {
    if (this.tracksBytes && this.firstForeign(address, size) < 0) this.makeNoAccess(address, size);
  }

  private requirePool(request: string, pool: number): Arena {
    const arena = this.sources.arenas.get(pool);
    if (arena === undefined) throw new RangeError(`${request}: 0x${hex(pool)} is no pool`);
    return arena;
  }

  /** The first byte of a range that may not be accessed, or −1. */
  private firstForbidden(address: number, length: number): number {
    const foreign = this.firstForeign(address, length);
    const forbidden = this.noAccess.first(address, length);
    if (foreign < 0 || forbidden < 0) return Math.max(foreign, forbidden);
    return Math.min(foreign, forbidden);
  }

  /** The first byte of a range that is not mapped or is the heap's own, or −1. What the program made noaccess stays its own. */
  private firstForeign(address: number, length: number): number {
    const { addressSpace } = this.sources.heap.process;
    const { allocator } = this.sources;
    for (let at = address; at < address + length; ) {
      if (addressSpace.vmas.lookup(Math.floor(at / PAGE_SIZE)) === -1) return at;
      let next = Math.min(address + length, (Math.floor(at / PAGE_SIZE) + 1) * PAGE_SIZE);
      if (allocator instanceof TrackedAllocator) {
        const place = allocator.lookUp(at);
        if (place === NOT_LIVE) return at;
        if (place === LIVE) next = Math.min(address + length, allocator.liveTo);
      }
      at = next;
    }
    return -1;
  }

  private requireOwn(request: string, tagged: number, length: number): void {
    checkRange(request, tagged, length);
    const address = tagged % TAG_UNIT;
    const bad = this.firstForeign(address, length);
    if (bad < 0) return;
    const { sentence } = this.sources.heap.explain(bad);
    throw new RangeError(`${request}: not memory of the program: ${sentence}`);
  }
}

function checkRange(request: string, address: number, length: number): void {
  if (!Number.isSafeInteger(address) || address < 0) throw new RangeError(`${request}: ${address} is not an address`);
  if (!Number.isSafeInteger(length) || length < 0) {
    throw new RangeError(`${request}: length ${length} is not a whole number of bytes from 0`);
  }
}

function hex(address: number): string {
  return address.toString(16);
}
