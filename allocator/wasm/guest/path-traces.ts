// The stack of each path of calls by which a guest comes to its heap, taken once: the module keeps a hash of the path (call-paths.ts),
// which costs it some instructions a call, where a stack of the host costs some microseconds.

import type { KnownPaths, Trace } from "../../common/traces.ts";
import { PATH_ROW_BYTES, PATH_ROWS, PATH_TRACE, PATHS, pathRow } from "../rewriting/heap-tables.ts";
import type { Layout } from "../rewriting/layout.ts";

/** Slots, a power of two; half of them are used at most. A program that recurses by several ways has thousands of paths. */
const CAPACITY = 2 ** 17;
const FIRST_CAPACITY = 2 ** 8;

export class PathTraces implements KnownPaths {
  /** The module's word, low half first. */
  private readonly word: Int32Array;
  /** Paths and numbers of their traces, for the module itself (rewriting/heap-tables.ts). */
  private readonly shown: Int32Array;
  /** The path of the heap's call that runs now; both 0: none that is known. */
  private low = 0;
  private high = 0;
  /** An open hash table: a slot's path is at twice its number. */
  private paths = new Int32Array(FIRST_CAPACITY * 2);
  private traces: (Trace | undefined)[] = new Array(FIRST_CAPACITY);
  private count = 0;

  constructor(buffer: ArrayBuffer, layout: Layout) {
    this.word = new Int32Array(buffer, layout.pathBase, 2);
    this.shown = new Int32Array(buffer, layout.pathBase + PATHS, (PATH_ROWS * PATH_ROW_BYTES) / 4);
  }

  /** Has the module know that this path's trace is the one with the number. */
  show(number: number): void {
    const { low, high, shown } = this;
    if ((low | high) === 0) return;
    const row = pathRow(low, high) / 4;
    shown[row] = low;
    shown[row + 1] = high;
    shown[row + PATH_TRACE / 4] = number;
  }

  /** The numbers mean nothing any more. */
  hideAll(): void {
    this.shown.fill(0);
  }

  /** A call of the heap by the guest begins. */
  begin(): void {
    this.low = this.word[0];
    this.high = this.word[1];
  }

  /** It has ended. */
  end(): void {
    this.low = 0;
    this.high = 0;
  }

  /** The guest's frames are gone by an error of the host's. */
  abandon(): void {
    this.word[0] = 0;
    this.word[1] = 0;
  }

  find(): Trace | null {
    if ((this.low | this.high) === 0) return null;
    return this.traces[this.slot()] ?? null;
  }

  learn(trace: Trace): void {
    if ((this.low | this.high) === 0) return;
    if (this.count * 2 >= this.traces.length) this.grow();
    const slot = this.slot();
    if (this.traces[slot] === undefined) this.count++;
    this.traces[slot] = trace;
    this.paths[slot * 2] = this.low;
    this.paths[slot * 2 + 1] = this.high;
  }

  /** Where the path is, or may be put. */
  private slot(): number {
    const { low, high, paths } = this;
    const mask = this.traces.length - 1;
    // The low bits are the last call's alone, which has no more than a hash of its own.
    let slot = (low ^ (high * 31)) & mask;
    while ((paths[slot * 2] !== low || paths[slot * 2 + 1] !== high) && this.traces[slot] !== undefined)
      slot = (slot + 1) & mask;
    return slot;
  }

  private grow(): void {
    const { paths, traces, low, high } = this;
    const capacity = traces.length < CAPACITY ? traces.length * 2 : FIRST_CAPACITY;
    this.paths = new Int32Array(capacity * 2);
    this.traces = new Array(capacity);
    this.count = 0;
    // A full table begins anew.
    if (traces.length < CAPACITY) {
      for (const [slot, trace] of traces.entries()) {
        if (trace === undefined) continue;
        this.low = paths[slot * 2];
        this.high = paths[slot * 2 + 1];
        this.learn(trace);
      }
    }
    this.low = low;
    this.high = high;
  }
}
