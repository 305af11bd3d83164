// Host stack traces of allocations and frees, in a ring of bounded size, for the reports of a heap with `stacks: true`.
// This is for people who debug TypeScript; Scudo's own stack depot and ring buffer (S24) are something else.

import type { ChunkStacks } from "./heap-error.ts";

/** What a captured trace is: V8 keeps the raw frames and makes the text only when it is asked for. */
interface Trace {
  stack?: string;
}

/** Frames of the library itself come first in a trace; this many more are captured, to be removed. */
const OWN_FRAMES_LIMIT = 12;

/** Folder of the library: two above this file, source or compiled. */
const LIBRARY_FOLDER = new URL("../..", import.meta.url).href;
const OWN_FLOORS = ["platform/", "refpage/", "allocator/"].map((floor) => LIBRARY_FOLDER + floor);

/**
 * In a bundle, folders are gone: there the library's frames are those down to the heap's method that was called, and a struct's or
 * string's own call of one.
 */
const HEAP_METHOD = /^\s*at (?:new )?Heap\b/;
const OBJECT_MAKER = /^\s*at make(?:String|Struct)\b/;

/**
 * A ring of the last `capacity` allocations, by chunk address. Invariants: `slotOf` maps each address kept to the one slot
 * that holds it; a slot holds no address twice; `next` is the slot that will be overwritten.
 */
export class StackTable {
  readonly capacity: number;
  /** While it is false, records are ignored and what is known stays known. */
  isRecording: boolean;
  private readonly frames: number;
  /** Empty until the first record, so that a table that is never switched on costs nothing. */
  private addresses = new Float64Array(0);
  private allocations: (Trace | null)[] = [];
  private frees: (Trace | null)[] = [];
  private readonly slotOf = new Map<number, number>();
  private next = 0;

  /** @param options.capacity chunks remembered; @param options.frames frames kept of each trace */
  constructor(options: { readonly capacity: number; readonly frames: number; readonly isRecording?: boolean }) {
    this.capacity = options.capacity;
    this.frames = options.frames;
    this.isRecording = options.isRecording ?? true;
  }

  /** Remembers where the chunk at `address` was allocated, and forgets what was known of an earlier chunk there. */
  recordAllocation(address: number): void {
    if (!this.isRecording) return;
    const slot = this.takeSlot(address);
    this.allocations[slot] = this.capture();
  }

  /** Remembers where the chunk at `address` was freed; the trace of its allocation stays, if it is still there. */
  recordFree(address: number): void {
    if (!this.isRecording) return;
    const slot = this.slotOf.get(address) ?? this.takeSlot(address);
    this.frees[slot] = this.capture();
  }

  /** What is known of the chunk at `address`, or null. */
  stacksOf(address: number): ChunkStacks | null {
    const slot = this.slotOf.get(address);
    if (slot === undefined) return null;
    return { allocation: this.format(this.allocations[slot]!), free: this.format(this.frees[slot]!) };
  }

  /** Where the caller stands now, without the library's own frames. */
  here(): string {
    return this.format(this.capture()) ?? "";
  }

  private takeSlot(address: number): number {
    if (this.addresses.length === 0) {
      this.addresses = new Float64Array(this.capacity).fill(-1);
      this.allocations = new Array<Trace | null>(this.capacity).fill(null);
      this.frees = new Array<Trace | null>(this.capacity).fill(null);
    }
    const kept = this.slotOf.get(address);
    const slot = kept ?? this.next;
    if (kept === undefined) {
      const overwritten = this.addresses[slot]!;
      if (overwritten >= 0) this.slotOf.delete(overwritten);
      this.addresses[slot] = address;
      this.slotOf.set(address, slot);
      this.next = (slot + 1) % this.capacity;
    }
    this.allocations[slot] = null;
    this.frees[slot] = null;
    return slot;
  }

  private capture(): Trace {
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = this.frames + OWN_FRAMES_LIMIT;
    const trace: Trace = {};
    Error.captureStackTrace(trace);
    Error.stackTraceLimit = limit;
    return trace;
  }

  private format(trace: Trace | null): string | null {
    if (trace === null) return null;
    const lines = (trace.stack ?? "").split("\n").filter((line) => line.trimStart().startsWith("at "));
    const foreign = isOwnFrame(lines[0] ?? "") ? lines.filter((line) => !isOwnFrame(line)) : belowHeap(lines);
    return foreign.slice(0, this.frames).join("\n");
  }
}

function isOwnFrame(line: string): boolean {
  return OWN_FLOORS.some((floor) => line.includes(floor) || line.includes(pathOf(floor)));
}

/** The frames behind the library's own, in a bundle. */
function belowHeap(lines: readonly string[]): readonly string[] {
  const method = lines.slice(0, OWN_FRAMES_LIMIT).findIndex((line) => HEAP_METHOD.test(line));
  return lines.slice(method + (OBJECT_MAKER.test(lines[method + 1] ?? "") ? 3 : 1));
}

/** The same folder as a path, since some hosts write paths and not URLs into traces. */
function pathOf(url: string): string {
  return url.startsWith("file://") ? decodeURIComponent(new URL(url).pathname) : url;
}
