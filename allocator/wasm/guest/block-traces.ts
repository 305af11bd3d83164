// Where each block of a guest's heap was allocated and freed: two numbers of traces for each 16 bytes of memory, in a table above the
// guest's limit, so that the module notes what it allocates and frees by itself. A trace ends in a call of one function, so that its
// number also says what made the block. How a path is known is path-traces.ts.

import type { Address } from "../../../platform/hardware/integers.ts";
import { keepClass } from "../../../platform/state/kept.ts";
import type { KnownOrigins } from "../../checker/freed-blocks.ts";
import { ORIGIN_MALLOC, originOf } from "../../combined/chunk-header.ts";
import type { Allocator } from "../../combined/combined.ts";
import type { ChunkStacks } from "../../common/heap-error.ts";
import type { ChunkTraces } from "../../common/stacks.ts";
import { type Trace, Traces } from "../../common/traces.ts";
import type { Layout } from "../rewriting/layout.ts";
import type { PathTraces } from "./path-traces.ts";

/** Chunks begin at multiples of this. */
const UNIT = 16;
/** What makes chunks, as their headers number it: two bits. */
const ORIGINS = 4;
/** Numbers have 16 bits; 0 stands for no trace. */
const MOST_TRACES = 2 ** 16 - 1;
/** Stands for a free of which no trace was taken. */
const UNKNOWN = 1;
const FIRST_TRACE = 2;
const NUMBER = 0xffff;
const FREE_SHIFT = 16;

export class BlockTraces implements ChunkTraces, KnownOrigins {
  isRecording: boolean;
  private readonly traces: Traces;
  private readonly paths: PathTraces;
  private readonly allocator: Allocator;
  /** By a chunk's pointer, in units: the number of its allocation, and above it that of its free, 0 while it lives. */
  private readonly rows: Int32Array;
  /** By what made the block: a call by a table may be of several functions. */
  private readonly numbers = Array.from({ length: ORIGINS }, () => new Map<Trace, number>());
  private readonly byNumber: (Trace | null)[] = [null, null];
  /** What made the blocks of a number; −1: it is not known. */
  private readonly origins: number[] = [-1, -1];
  /** Who goes by the numbers, too. */
  reader: { forgetTraces(): void } | null = null;

  /** @param frames frames kept of each trace */
  constructor(
    buffer: ArrayBuffer,
    layout: Layout,
    paths: PathTraces,
    allocator: Allocator,
    { frames, isRecording }: { readonly frames: number; readonly isRecording: boolean },
  ) {
    this.isRecording = isRecording;
    this.traces = new Traces(frames);
    this.traces.paths = paths;
    this.paths = paths;
    this.allocator = allocator;
    this.rows = new Int32Array(buffer, layout.tracesBase, layout.limitBytes / UNIT);
  }

  get isEmpty(): boolean {
    return this.byNumber.length === FIRST_TRACE;
  }

  recordAllocation(address: Address): void {
    const number = this.isRecording ? this.numberHere(this.headersOrigin(address)) : 0;
    if (this.rows[address / UNIT] !== number) this.rows[address / UNIT] = number;
  }

  recordFree(address: Address): void {
    const row = this.rows[address / UNIT];
    // Of a chunk that was allocated while nothing was recorded, nothing is known.
    if (this.isRecording) this.rows[address / UNIT] = (row & NUMBER) | (this.numberHere(ORIGIN_MALLOC) << FREE_SHIFT);
    else if (row !== 0) this.rows[address / UNIT] = (row & NUMBER) | (UNKNOWN << FREE_SHIFT);
  }

  allocationOf(address: Address): Trace | null {
    const row = this.rowOf(address);
    return row >>> FREE_SHIFT === 0 ? this.byNumber[row] : null;
  }

  /** The number of the trace by which the chunk at `address` was allocated; 0, 1: none is known. */
  allocationNumber(address: Address): number {
    return this.rowOf(address) & NUMBER;
  }

  traceOf(number: number): Trace | null {
    return this.byNumber[number] ?? null;
  }

  /** What made blocks whose allocation has this number; −1: it is not known. */
  originOf(number: number): number {
    return this.origins[number] ?? -1;
  }

  madeBy(pointer: Address): number {
    return this.originOf(this.allocationNumber(pointer));
  }

  private headersOrigin(pointer: Address): number {
    const { headers, memory } = this.allocator;
    return originOf(headers.load(memory, pointer));
  }

  stacksOf(address: Address): ChunkStacks | null {
    return this.allStacksOf(address);
  }

  allStacksOf(address: Address): ChunkStacks | null {
    const row = this.rowOf(address);
    return row === 0 ? null : { allocation: this.textOf(row & NUMBER), free: this.textOf(row >>> FREE_SHIFT) };
  }

  private textOf(number: number): string | null {
    return this.byNumber[number]?.toString() ?? null;
  }

  /** 0: no chunk was ever there. */
  private rowOf(address: Address): number {
    return this.rows[address / UNIT] ?? 0;
  }

  /** `origin`: of what is allocated; of a free it says nothing. */
  private numberHere(origin: number): number {
    const trace = this.traces.here();
    const numbers = this.numbers[origin];
    let number = numbers.get(trace);
    if (number === undefined) {
      if (this.byNumber.length > MOST_TRACES) this.forgetAll();
      number = this.byNumber.length;
      this.byNumber.push(trace);
      this.origins.push(origin);
      numbers.set(trace, number);
    }
    this.paths.show(number, origin);
    return number;
  }

  /** All numbers are given: they begin anew. Cost: a look at the whole table, which stays as it is where nothing was written. */
  private forgetAll(): void {
    for (const numbers of this.numbers) numbers.clear();
    this.byNumber.length = FIRST_TRACE;
    this.origins.length = FIRST_TRACE;
    this.paths.hideAll();
    this.reader?.forgetTraces();
    const { rows } = this;
    for (let i = 0; i < rows.length; i++) if (rows[i] !== 0) rows[i] = 0;
  }
}

keepClass("BlockTraces", BlockTraces);
