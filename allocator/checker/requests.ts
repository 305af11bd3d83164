// Client requests, with the meanings of Valgrind's memcheck.h: marks, checks, validity bits, and arenas (mempools).
// They need a heap that tracks bytes, where they change marks; elsewhere they do nothing, as Valgrind's do outside Valgrind.

import { requireOptions } from "../../platform/hardware/given-options.ts";
import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { TAG_UNIT } from "../../platform/hardware/layout.ts";
import type { Memory } from "../../platform/hardware/memory.ts";
import type { Process } from "../../platform/kernel/process.ts";
import type { Allocator } from "../combined/combined.ts";
import type { ChunkStacks } from "../common/heap-error.ts";
import type { Trace } from "../common/traces.ts";
import type { Explanation } from "../inspection/explain.ts";
import type { NoAccess } from "../tracking/no-access.ts";
import { markRequested } from "../tracking/requested-marks.ts";
import { firstUndefined } from "../tracking/undefined-bytes.ts";
import type { Addressable } from "./addressable.ts";
import type { Arena, ArenaChunk, Arenas } from "./arenas.ts";
import type { Frame } from "./frames.ts";
import type { Judge } from "./judge.ts";
import type { Origins } from "./origins.ts";

/** What the checker needs of its heap. */
export interface CheckedHeap {
  readonly process: Process;
  readonly level: "off" | "page" | "byte";
  explain(address: Address): Explanation;
  stacksOf(pointer: Address): ChunkStacks | null;
  allocationTrace(pointer: Address): Trace | null;
  /** @throws HeapError ended: the heap has ended */
  requireAlive(): void;
}

export interface RequestSources {
  readonly heap: CheckedHeap;
  readonly allocator: Allocator;
  readonly arenas: Arenas;
  readonly noAccess: NoAccess;
  readonly addressable: Addressable;
  readonly origins: Origins;
}

/** Chunks of a pool that were alive when it ended. */
export interface MempoolRemains {
  readonly blocks: number;
  readonly bytes: ByteCount;
}

/** How a pool of the program's own is checked. */
export interface MempoolOptions {
  /** What reports call it. Default: "arena 1", "arena 2". */
  readonly name?: string;
  /** Bytes before and behind each chunk that no access may touch. Default 0. */
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

  protected abstract here(): readonly Frame[];

  /** The heap's own loads and stores, which are never reported. */
  private get own(): Memory {
    return this.sources.allocator.memory;
  }

  private get tracksBytes(): boolean {
    return this.sources.heap.level === "byte";
  }

  /**
   * VALGRIND_MAKE_MEM_DEFINED. Private pages that were not stored to stay so, here and below.
   * @throws RangeError: not all of the range is the program's memory; nothing has changed
   */
  makeDefined(address: Address, length: ByteCount): void {
    const start = this.requireOwn("makeDefined", address, length);
    if (this.tracksBytes) this.define(start, length);
  }

  private define(start: Address, length: ByteCount): void {
    markRequested(this.sources.heap.process, start, length, "defined");
    this.judge.noteChange();
  }

  /** VALGRIND_MAKE_MEM_UNDEFINED: the bytes stay, but using them is an error. @throws RangeError as above */
  makeUndefined(address: Address, length: ByteCount): void {
    const start = this.requireOwn("makeUndefined", address, length);
    if (this.tracksBytes) this.undefine(start, length);
  }

  private undefine(start: Address, length: ByteCount): void {
    this.sources.origins.forget(start, length);
    markRequested(this.sources.heap.process, start, length, "undefined");
    this.judge.noteChange();
  }

  /** VALGRIND_MAKE_MEM_NOACCESS: any access is an error until the memory is made defined or undefined. @throws RangeError as above */
  makeNoAccess(address: Address, length: ByteCount): void {
    const start = this.requireOwn("makeNoAccess", address, length);
    if (this.tracksBytes) this.forbid(start, length);
  }

  private forbid(start: Address, length: ByteCount): void {
    this.sources.origins.forget(start, length);
    markRequested(this.sources.heap.process, start, length, "no access");
    this.judge.forget();
  }

  /** VALGRIND_MAKE_MEM_DEFINED_IF_ADDRESSABLE. */
  makeDefinedIfAddressable(address: Address, length: ByteCount): void {
    const start = this.requireOwn("makeDefinedIfAddressable", address, length);
    if (!this.tracksBytes) return;
    const end = start + length;
    for (let at = start; at < end; ) {
      const run = this.sources.addressable.run(at, end);
      if (run > 0) markRequested(this.sources.heap.process, at, run, "defined");
      at += Math.abs(run);
    }
    this.judge.noteChange();
  }

  /** VALGRIND_CHECK_MEM_IS_ADDRESSABLE: reports unless all is. @returns 0, or the first address that is not */
  checkIsAddressable(address: Address, length: ByteCount): number {
    this.begin("checkIsAddressable", address, length);
    const bad = this.sources.addressable.firstForbidden(address % TAG_UNIT, length);
    if (bad < 0) return 0;
    this.judge.report("invalid-access", "check", bad, 1, bad);
    return bad;
  }

  /** VALGRIND_CHECK_MEM_IS_DEFINED: the use of a value, where `reportOn` is "use". @returns 0, or the first bad address */
  checkIsDefined(address: Address, length: ByteCount): number {
    const bad = this.checkIsAddressable(address, length);
    if (bad !== 0 || !this.tracksBytes) return bad;
    const start = address % TAG_UNIT;
    const found = firstUndefined(this.own, start, length);
    if (found < 0) return 0;
    this.judge.report("uninitialised", "check", start, length, found);
    return found;
  }

  /** VALGRIND_GET_VBITS: a byte each, 0 defined, 0xff undefined. @throws RangeError: memory that is not addressable */
  getValidityBits(address: Address, length: ByteCount): Uint8Array {
    const start = this.requireAddressable("getValidityBits", address, length);
    const bits = new Uint8Array(length);
    if (!this.tracksBytes) return bits;
    for (let i = 0; i < length; i++) bits[i] = firstUndefined(this.own, start + i, 1) < 0 ? 0 : 0xff;
    return bits;
  }

  /** VALGRIND_SET_VBITS: any bit set makes its byte undefined. @throws RangeError as above */
  setValidityBits(address: Address, bits: Uint8Array): void {
    if (!(bits instanceof Uint8Array)) throw new TypeError("setValidityBits: bits are a Uint8Array");
    const start = this.requireAddressable("setValidityBits", address, bits.length);
    if (!this.tracksBytes) return;
    const { process } = this.sources.heap;
    for (let from = 0; from < bits.length; ) {
      const isDefined = bits[from] === 0;
      let to = from + 1;
      while (to < bits.length && (bits[to] === 0) === isDefined) to++;
      if (!isDefined) this.sources.origins.forget(start + from, to - from);
      markRequested(process, start + from, to - from, isDefined ? "defined" : "undefined");
      from = to;
    }
    this.judge.noteChange();
  }

  /**
   * VALGRIND_CREATE_MEMPOOL: an arena, known by its anchor address. The program makes the memory that it deals out noaccess
   * first. @throws RangeError: the pool exists already
   */
  createMempool(pool: Address, options: MempoolOptions = {}): void {
    requireOptions("createMempool", options, { name: "string", redzoneBytes: "number", isZeroed: "boolean" });
    const { name, redzoneBytes = 0, isZeroed = false } = options;
    this.begin("createMempool", pool, redzoneBytes);
    if (this.sources.arenas.get(pool) !== undefined)
      throw new RangeError(`createMempool: 0x${hex(pool)} is one already`);
    this.sources.arenas.create(pool, { name, redzoneBytes, isZeroed });
    this.sources.allocator.gate.close();
  }

  /**
   * VALGRIND_DESTROY_MEMPOOL: the pool ends, and with it the chunks that are alive still: they and their redzones may not be
   * accessed any more. @returns the chunks that were alive, for a program that thinks that there are none
   */
  destroyMempool(pool: Address): MempoolRemains {
    const arena = this.requirePool("destroyMempool", pool);
    const alive = [...arena.chunks.values()].filter(({ freed }) => freed === null);
    const here = alive.length === 0 ? [] : this.here();
    for (const chunk of alive) {
      chunk.freed = here;
      this.endChunk(chunk.address, chunk.size);
      this.shutRedzones(arena, chunk);
    }
    this.sources.arenas.delete(pool);
    return { blocks: alive.length, bytes: alive.reduce((sum, { size }) => sum + size, 0) };
  }

  /** VALGRIND_MEMPOOL_ALLOC: a chunk begins, undefined, or zero where the pool is zeroed; its redzones are shut. @throws RangeError */
  mempoolAlloc(pool: Address, address: Address, size: ByteCount): void {
    const arena = this.requirePool("mempoolAlloc", pool);
    const start = this.requireOwn("mempoolAlloc", address, size);
    const chunk = this.sources.arenas.addChunk(arena, start, size, this.here());
    if (!this.tracksBytes) return;
    if (arena.isZeroed) this.define(start, size);
    else this.undefine(start, size);
    this.shutRedzones(arena, chunk);
  }

  private shutRedzones({ redzoneBytes }: Arena, { address, size }: ArenaChunk): void {
    if (!this.tracksBytes || redzoneBytes === 0) return;
    for (const zone of [address - redzoneBytes, address + size]) {
      if (this.sources.addressable.firstForeign(zone, redzoneBytes) < 0) this.forbid(zone, redzoneBytes);
    }
  }

  /** VALGRIND_MEMPOOL_FREE. @throws RangeError: no live chunk of the pool begins there */
  mempoolFree(pool: Address, address: Address): void {
    const chunk = this.requireChunk("mempoolFree", pool, address);
    chunk.freed = this.here();
    this.endChunk(chunk.address, chunk.size);
  }

  /** VALGRIND_MEMPOOL_TRIM: chunks outside the range end; of those that it meets, the part inside it is left. */
  mempoolTrim(pool: Address, address: Address, size: ByteCount): void {
    const arena = this.requirePool("mempoolTrim", pool);
    const from = address % TAG_UNIT;
    const end = from + size;
    for (const chunk of [...arena.chunks.values()]) {
      if (chunk.freed !== null) continue;
      const chunkEnd = chunk.address + chunk.size;
      if (chunkEnd <= from || chunk.address >= end) {
        this.mempoolFree(pool, chunk.address);
        continue;
      }
      if (chunkEnd > end) this.endChunk(end, chunkEnd - end);
      if (chunk.address < from) this.endChunk(chunk.address, from - chunk.address);
      const begin = Math.max(chunk.address, from);
      this.sources.arenas.place(arena, chunk, begin, Math.min(chunkEnd, end) - begin);
    }
  }

  /** VALGRIND_MOVE_MEMPOOL: the pool has another anchor. */
  moveMempool(from: Address, to: Address): void {
    this.requirePool("moveMempool", from);
    this.begin("moveMempool", to, 0);
    this.sources.arenas.move(from, to);
  }

  /** VALGRIND_MEMPOOL_CHANGE: a chunk is elsewhere or of another size. No marks change: that is the program's to say. */
  mempoolChange(pool: Address, from: Address, to: Address, size: ByteCount): void {
    const arena = this.requirePool("mempoolChange", pool);
    const chunk = this.requireChunk("mempoolChange", pool, from);
    const start = this.requireOwn("mempoolChange", to, size);
    this.sources.arenas.place(arena, chunk, start, size);
    this.judge.noteChange();
  }

  /** VALGRIND_MEMPOOL_EXISTS. */
  mempoolExists(pool: Address): boolean {
    this.begin("mempoolExists", pool, 0);
    return this.sources.arenas.get(pool) !== undefined;
  }

  private endChunk(address: Address, size: ByteCount): void {
    if (this.tracksBytes && this.sources.addressable.firstForeign(address, size) < 0) this.forbid(address, size);
  }

  private requireChunk(request: string, pool: Address, address: Address): ArenaChunk {
    const chunk = this.requirePool(request, pool).chunks.get(address % TAG_UNIT);
    if (chunk !== undefined && chunk.freed === null) return chunk;
    throw new RangeError(`${request}: no chunk of the pool is at 0x${hex(address)}`);
  }

  private requirePool(request: string, pool: number): Arena {
    this.begin(request, pool, 0);
    const arena = this.sources.arenas.get(pool);
    if (arena === undefined) throw new RangeError(`${request}: 0x${hex(pool)} is no pool`);
    return arena;
  }

  /** Each request begins so. @throws HeapError ended; RangeError: no address, no length */
  private begin(request: string, address: Address, length: ByteCount): void {
    this.sources.heap.requireAlive();
    checkRange(request, address, length);
  }

  /** @returns the address without its tag */
  private requireOwn(request: string, tagged: Address, length: ByteCount): Address {
    this.begin(request, tagged, length);
    const address = tagged % TAG_UNIT;
    const bad = this.sources.addressable.firstForeign(address, length);
    if (bad < 0) return address;
    const { sentence } = this.sources.heap.explain(bad);
    throw new RangeError(`${request}: not memory of the program: ${sentence}`);
  }

  private requireAddressable(request: string, tagged: Address, length: ByteCount): Address {
    const address = this.requireOwn(request, tagged, length);
    const forbidden = this.noAccess.first(address, length);
    if (forbidden < 0) return address;
    throw new RangeError(`${request}: 0x${hex(forbidden)} was made no-access`);
  }
}

function checkRange(request: string, address: Address, length: ByteCount): void {
  if (!Number.isSafeInteger(address) || address < 0) throw new RangeError(`${request}: ${address} is not an address`);
  if (!Number.isSafeInteger(length) || length < 0) {
    throw new RangeError(`${request}: length ${length} is not a whole number of bytes from 0`);
  }
}

function hex(address: Address): string {
  return address.toString(16);
}
