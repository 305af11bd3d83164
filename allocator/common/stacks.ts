// Host stack traces of allocations and frees, by chunk, for the reports of a heap with `stacks: true`.
// This is for people who debug TypeScript; Scudo's own stack depot and ring buffer (S24) are something else.

import { keepClass } from "../../platform/state/kept.ts";
import type { ChunkStacks } from "./heap-error.ts";
import { RecentRows } from "./recent-rows.ts";
import { type Trace, Traces } from "./traces.ts";

/** Freed chunks whose traces are remembered beyond the ring, at least as many times its capacity. */
const FREED_RINGS = 16;

/**
 * A ring of the last `capacity` allocations, by chunk address. Invariants: `slotOf` maps each address kept to the one slot
 * that holds it; a slot holds no address twice; `next` is the slot that will be overwritten. Beside it, the trace of every
 * live chunk: a trace is kept once for all chunks that it belongs to, so that this costs little.
 */
export class StackTable {
  readonly capacity: number;
  /** While it is false, records are ignored and what is known stays known. */
  isRecording: boolean;
  private readonly traces: Traces;
  /** By slot; as long as the slots that were ever used, so that a heap of a few chunks costs little. */
  private readonly addresses: number[] = [];
  private readonly allocations: (Trace | null)[] = [];
  private readonly frees: (Trace | null)[] = [];
  private readonly slotOf = new Map<number, number>();
  private next = 0;
  private readonly live = new Map<number, Trace>();
  private readonly freedRows: RecentRows;
  /** By row of a freed chunk. */
  private readonly freedAllocations: (Trace | null)[] = [];
  private readonly freedFrees: (Trace | null)[] = [];

  /** @param options.capacity chunks remembered; @param options.frames frames kept of each trace */
  constructor(options: { readonly capacity: number; readonly frames: number; readonly isRecording?: boolean }) {
    this.capacity = options.capacity;
    this.traces = new Traces(options.frames);
    this.freedRows = new RecentRows(2 ** Math.ceil(Math.log2(Math.max(this.capacity, 4) * FREED_RINGS)));
    this.isRecording = options.isRecording ?? true;
  }

  /** Remembers where the chunk at `address` was allocated, and forgets what was known of an earlier chunk there. */
  recordAllocation(address: number): void {
    if (!this.isRecording) return;
    const slot = this.takeSlot(address);
    const trace = this.traces.here();
    this.allocations[slot] = trace;
    this.live.set(address, trace);
    this.forgetFreed(address);
  }

  /** Remembers where the chunk at `address` was freed; the trace of its allocation stays, if it is still there. */
  recordFree(address: number): void {
    if (!this.isRecording) return;
    const slot = this.slotOf.get(address) ?? this.takeSlot(address);
    const free = this.traces.here();
    this.frees[slot] = free;
    const row = this.freedRows.add(address);
    this.freedAllocations[row] = this.live.get(address) ?? null;
    this.freedFrees[row] = free;
    this.live.delete(address);
  }

  private forgetFreed(address: number): void {
    const row = this.freedRows.remove(address);
    if (row < 0) return;
    this.freedAllocations[row] = null;
    this.freedFrees[row] = null;
  }

  /** Where the live chunk at `address` was allocated, or null. */
  allocationOf(address: number): Trace | null {
    return this.live.get(address) ?? null;
  }

  /** What the ring knows of the chunk at `address`, or null. */
  stacksOf(address: number): ChunkStacks | null {
    const slot = this.slotOf.get(address);
    if (slot === undefined) return null;
    return { allocation: textOf(this.allocations[slot]!), free: textOf(this.frees[slot]!) };
  }

  /** As {@link stacksOf}, also of live chunks and freed ones that the ring has forgotten. */
  allStacksOf(address: number): ChunkStacks | null {
    const stacks = this.stacksOf(address);
    if (stacks !== null) return stacks;
    const live = this.live.get(address);
    if (live !== undefined) return { allocation: textOf(live), free: null };
    const row = this.freedRows.find(address);
    return row < 0 ? null : { allocation: textOf(this.freedAllocations[row]), free: textOf(this.freedFrees[row]) };
  }

  private takeSlot(address: number): number {
    const kept = this.slotOf.get(address);
    const slot = kept ?? this.next;
    if (kept === undefined) {
      const overwritten = this.addresses[slot];
      if (overwritten !== undefined) this.slotOf.delete(overwritten);
      this.addresses[slot] = address;
      this.slotOf.set(address, slot);
      this.next = (slot + 1) % this.capacity;
    }
    this.allocations[slot] = null;
    this.frees[slot] = null;
    return slot;
  }
}

function textOf(trace: Trace | null): string | null {
  return trace === null ? null : trace.toString();
}

keepClass("StackTable", StackTable);
