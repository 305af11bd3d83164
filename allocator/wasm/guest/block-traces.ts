// Where each block of a guest's heap was allocated and freed: two numbers of traces for each 16 bytes of memory, in a table above the
// guest's limit, so that the module notes what it allocates and frees by itself. How a path is known is path-traces.ts.

import type { Address } from "../../../platform/hardware/integers.ts";
import { keepClass } from "../../../platform/state/kept.ts";
import type { ChunkStacks } from "../../common/heap-error.ts";
import type { ChunkTraces } from "../../common/stacks.ts";
import { type Trace, Traces } from "../../common/traces.ts";
import type { Layout } from "../rewriting/layout.ts";
import type { PathTraces } from "./path-traces.ts";

/** Chunks begin at multiples of this. */
const UNIT = 16;
/** Numbers have 16 bits; 0 stands for no trace. */
const MOST_TRACES = 2 ** 16 - 1;
/** Stands for a free of which no trace was taken. */
const UNKNOWN = 1;
const FIRST_TRACE = 2;
const NUMBER = 0xffff;
const FREE_SHIFT = 16;

export class BlockTraces implements ChunkTraces {
  isRecording: boolean;
  private readonly traces: Traces;
  private readonly paths: PathTraces;
  /** By a chunk's pointer, in units: the number of its allocation, and above it that of its free, 0 while it lives. */
  private readonly rows: Int32Array;
  private readonly numbers = new Map<Trace, number>();
  private readonly byNumber: (Trace | null)[] = [null, null];
  /** Who goes by the numbers, too. */
  reader: { forgetTraces(): void } | null = null;

  /** @param frames frames kept of each trace */
  constructor(
    buffer: ArrayBuffer,
    layout: Layout,
    paths: PathTraces,
    { frames, isRecording }: { readonly frames: number; readonly isRecording: boolean },
  ) {
    this.isRecording = isRecording;
    this.traces = new Traces(frames);
    this.traces.paths = paths;
    this.paths = paths;
    this.rows = new Int32Array(buffer, layout.tracesBase, layout.limitBytes / UNIT);
  }

  get isEmpty(): boolean {
    return this.byNumber.length === FIRST_TRACE;
  }

  recordAllocation(address: Address): void {
    const number = this.isRecording ? this.numberHere() : 0;
    if (this.rows[address / UNIT] !== number) this.rows[address / UNIT] = number;
  }

  recordFree(address: Address): void {
    const row = this.rows[address / UNIT];
    // Of a chunk that was allocated while nothing was recorded, nothing is known.
    if (this.isRecording) this.rows[address / UNIT] = (row & NUMBER) | (this.numberHere() << FREE_SHIFT);
    else if (row !== 0) this.rows[address / UNIT] = (row & NUMBER) | (UNKNOWN << FREE_SHIFT);
  }

  allocationOf(address: Address): Trace | null {
    const row = this.rowOf(address);
    return row >>> FREE_SHIFT === 0 ? this.byNumber[row] : null;
  }

  /** The number of the trace by which the live chunk at `address` was allocated; 0: none is known. */
  allocationNumber(address: Address): number {
    return this.rowOf(address) & NUMBER;
  }

  traceOf(number: number): Trace | null {
    return this.byNumber[number] ?? null;
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

  private numberHere(): number {
    const trace = this.traces.here();
    let number = this.numbers.get(trace);
    if (number === undefined) {
      if (this.byNumber.length > MOST_TRACES) this.forgetAll();
      number = this.byNumber.length;
      this.byNumber.push(trace);
      this.numbers.set(trace, number);
    }
    this.paths.show(number);
    return number;
  }

  /** All numbers are given: they begin anew. Cost: a look at the whole table, which stays as it is where nothing was written. */
  private forgetAll(): void {
    this.numbers.clear();
    this.byNumber.length = FIRST_TRACE;
    this.paths.hideAll();
    this.reader?.forgetTraces();
    const { rows } = this;
    for (let i = 0; i < rows.length; i++) if (rows[i] !== 0) rows[i] = 0;
  }
}

keepClass("BlockTraces", BlockTraces);
