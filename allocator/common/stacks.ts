// Host stack traces of allocations and frees, by chunk, for the reports of a heap with `stacks: true`.
// This is for people who debug TypeScript; Scudo's own stack depot and ring buffer (S24) are something else.

import type { Address } from "../../platform/hardware/integers.ts";
import { keepClass } from "../../platform/state/kept.ts";
import type { ChunkStacks } from "./heap-error.ts";
import { RecentRows } from "./recent-rows.ts";
import { type Trace, Traces } from "./traces.ts";

/** Freed chunks whose traces are remembered beyond the ring, at least as many times its capacity. */
const FREED_RINGS = 16;

/** Live chunks have no limit. */
const MOST_LIVE = 2 ** 30;
/** A chunk that never came to the ring. */
const NEVER = 0;

/** Where chunks were allocated and freed, as a heap's reports ask for it. */
export interface ChunkTraces {
  /** While it is false no trace is taken. What is known of a chunk stays known until another one has its place. */
  isRecording: boolean;
  /** Whether nothing is known of any chunk: then nothing needs to be heard of chunks while it is not recording. */
  readonly isEmpty: boolean;
  /** Remembers where the chunk at `address` was allocated, and forgets what was known of an earlier chunk there. */
  recordAllocation(address: Address): void;
  /** Remembers where the chunk at `address` was freed; the trace of its allocation stays, if it is known. */
  recordFree(address: Address): void;
  /** Where the live chunk at `address` was allocated, or null. */
  allocationOf(address: Address): Trace | null;
  /** What an error of the heap tells of the chunk at `address`, or null. */
  stacksOf(address: Address): ChunkStacks | null;
  /** All that is known of the chunk at `address`, which may have been freed, or null. */
  allStacksOf(address: Address): ChunkStacks | null;
}

/**
 * The stacks of every live chunk, and of those freed last. What a heap's error tells is of the ring only: the last `capacity` chunks
 * that came into it, each by its first allocation or free since it was last there. A trace is kept once for all chunks that it
 * belongs to, so that this costs little.
 *
 * Invariants: a chunk has one row, of the live or of the freed; it is in the ring while fewer than `capacity` have come since it did.
 */
export class StackTable implements ChunkTraces {
  readonly capacity: number;
  isRecording: boolean;
  private readonly traces: Traces;
  private readonly live = new RecentRows(MOST_LIVE);
  private readonly freed: RecentRows;
  /** By row. */
  private readonly liveAllocations: (Trace | null)[] = [];
  private readonly freedAllocations: (Trace | null)[] = [];
  private readonly freedFrees: (Trace | null)[] = [];
  /** By row: how many chunks had come to the ring when this one did. */
  private readonly liveCame: number[] = [];
  private readonly freedCame: number[] = [];
  private cameAll = NEVER;

  /** @param options.capacity chunks remembered; @param options.frames frames kept of each trace */
  constructor(options: { readonly capacity: number; readonly frames: number; readonly isRecording?: boolean }) {
    this.capacity = options.capacity;
    this.traces = new Traces(options.frames);
    this.freed = new RecentRows(2 ** Math.ceil(Math.log2(Math.max(this.capacity, 4) * FREED_RINGS)));
    this.isRecording = options.isRecording ?? true;
  }

  get isEmpty(): boolean {
    return this.cameAll === NEVER;
  }

  recordAllocation(address: Address): void {
    if (!this.isRecording) {
      this.forget(address);
      return;
    }
    const freedRow = this.freed.remove(address);
    let came = NEVER;
    if (freedRow >= 0) {
      came = this.freedCame[freedRow];
      this.freedAllocations[freedRow] = null;
      this.freedFrees[freedRow] = null;
    }
    let row = this.live.find(address);
    if (row >= 0) came = this.liveCame[row];
    else row = this.live.add(address);
    this.liveAllocations[row] = this.traces.here();
    this.liveCame[row] = this.isInRing(came) ? came : ++this.cameAll;
  }

  private forget(address: Address): void {
    const live = this.live.remove(address);
    if (live >= 0) this.liveAllocations[live] = null;
    const freed = this.freed.remove(address);
    if (freed < 0) return;
    this.freedAllocations[freed] = null;
    this.freedFrees[freed] = null;
  }

  recordFree(address: Address): void {
    // Of a chunk that was allocated meanwhile nothing is known.
    if (!this.isRecording && this.live.find(address) < 0) return;
    const freedBefore = this.freed.find(address);
    let came = freedBefore < 0 ? NEVER : this.freedCame[freedBefore];
    let allocation = freedBefore < 0 ? null : this.freedAllocations[freedBefore];
    const liveRow = this.live.remove(address);
    if (liveRow >= 0) {
      came = this.liveCame[liveRow];
      allocation = this.liveAllocations[liveRow];
      this.liveAllocations[liveRow] = null;
    }
    const row = this.freed.add(address);
    this.freedAllocations[row] = allocation;
    this.freedFrees[row] = this.isRecording ? this.traces.here() : null;
    this.freedCame[row] = this.isInRing(came) ? came : ++this.cameAll;
  }

  allocationOf(address: Address): Trace | null {
    const row = this.live.find(address);
    return row < 0 ? null : this.liveAllocations[row];
  }

  stacksOf(address: Address): ChunkStacks | null {
    const live = this.live.find(address);
    const freed = live < 0 ? this.freed.find(address) : -1;
    const came = live >= 0 ? this.liveCame[live] : freed >= 0 ? this.freedCame[freed] : NEVER;
    return this.isInRing(came) ? this.allStacksOf(address) : null;
  }

  /** As {@link stacksOf}, also of live chunks and freed ones that the ring has forgotten. */
  allStacksOf(address: Address): ChunkStacks | null {
    const live = this.live.find(address);
    if (live >= 0) return { allocation: textOf(this.liveAllocations[live]), free: null };
    const row = this.freed.find(address);
    return row < 0 ? null : { allocation: textOf(this.freedAllocations[row]), free: textOf(this.freedFrees[row]) };
  }

  private isInRing(came: number): boolean {
    return came !== NEVER && this.cameAll - came < this.capacity;
  }
}

function textOf(trace: Trace | null): string | null {
  return trace === null ? null : trace.toString();
}

keepClass("StackTable", StackTable);
