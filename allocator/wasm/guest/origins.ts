// What an origin of undefined bits stands for: an allocation of the heap, or the instruction at which a function took stack memory.
// Numbers are given here and by the pass (definedness/origin-code.ts); which memory has which origin is validity.ts.

import type { Address, ByteCount } from "../../../platform/hardware/integers.ts";
import { keepClass } from "../../../platform/state/kept.ts";
import type { Origin } from "../../checker/finding.ts";
import type { Frame } from "../../checker/frames.ts";
import { originNamed } from "../../checker/freed-blocks.ts";
import type { Heap } from "../../heap/heap.ts";
import { wholeCheckerOf } from "../../heap/heap.ts";
import type { Module } from "../binary/module.ts";
import type { Names } from "../binary/names.ts";
import type { DebugInfo } from "../debug/debug-info.ts";
import { LAST_ORIGIN } from "../rewriting/heap-tables.ts";
import { ALLOCATION_BYTES, KEPT_ALLOCATIONS, type Layout } from "../rewriting/layout.ts";
import type { BlockTraces } from "./block-traces.ts";

/** Origins from here on are places in a module; below, allocations, counted from 1. */
export const FIRST_FRAME = 2 ** 31;
const WORDS_PER_ROW = ALLOCATION_BYTES / 4;

/** What is known of a module whose places are origins; part of Compiled. */
interface Places {
  readonly module: Module;
  readonly names: Names;
  readonly debugInfo: DebugInfo;
  /** The origin of stack memory that the instruction at byte n takes is this plus n. */
  readonly frameOrigins: number;
  readonly options: { readonly fileName?: string };
}

export class Origins {
  private readonly heap: Heap;
  private readonly traces: BlockTraces | null;
  /**
   * By number, modulo KEPT_ALLOCATIONS, since bits may stay undefined long after their block is gone: pointer, size, and the number of
   * the trace. The module notes its own allocations there, too.
   */
  private readonly allocations: Int32Array;
  /** One word: the last number. */
  private readonly last: Int32Array;
  private readonly modules: Places[] = [];

  constructor(heap: Heap, buffer: ArrayBuffer, layout: Layout, traces: BlockTraces | null) {
    this.heap = heap;
    this.traces = traces;
    this.allocations = new Int32Array(buffer, layout.allocationsBase, KEPT_ALLOCATIONS * WORDS_PER_ROW);
    this.last = new Int32Array(buffer, layout.pathBase + LAST_ORIGIN, 1);
    if (traces !== null) traces.reader = this;
  }

  /** Numbers of traces mean nothing any more. */
  forgetTraces(): void {
    const { allocations } = this;
    for (let i = 2; i < allocations.length; i += WORDS_PER_ROW) if (allocations[i] !== 0) allocations[i] = 0;
  }

  addModule(compiled: Places): void {
    this.modules.push(compiled);
  }

  /** The origin of what an allocation just now left undefined in a block. */
  allocated(pointer: Address, size: ByteCount): number {
    const number = ++this.last[0];
    const row = (number % KEPT_ALLOCATIONS) * WORDS_PER_ROW;
    this.allocations[row] = pointer;
    this.allocations[row + 1] = size;
    this.allocations[row + 2] = this.traces?.allocationNumber(pointer) ?? 0;
    return number;
  }

  /** What a finding says of an origin; null: it is not known, or not any more. */
  describe(origin: number): Origin | null {
    const number = origin >>> 0;
    if (number >= FIRST_FRAME) return { block: null, frame: this.frameAt(number) };
    const last = this.last[0];
    if (number === 0 || number > last || number <= last - KEPT_ALLOCATIONS) return null;
    const row = (number % KEPT_ALLOCATIONS) * WORDS_PER_ROW;
    const [pointer, size] = [this.allocations[row] >>> 0, this.allocations[row + 1] >>> 0];
    const allocation = this.allocations[row + 2];
    const trace = this.traces?.traceOf(allocation) ?? null;
    const made = originNamed(this.traces?.originOf(allocation) ?? -1);
    return { block: wholeCheckerOf(this.heap).describeEarlier(pointer, size, trace, made), frame: null };
  }

  private frameAt(number: number): Frame | null {
    const owner = this.modules.find(
      ({ frameOrigins, module }) => number >= frameOrigins && number < frameOrigins + module.bytes.length,
    );
    if (owner === undefined) return null;
    const { module, debugInfo, names, options } = owner;
    const offset = number - owner.frameOrigins;
    const body = module.bodyEnd.findIndex((end) => offset < end);
    const index = module.importedFunctions + body;
    // The function that the others are inlined into has the frame.
    const { functionName, file, line, column } = debugInfo.lookup(index, offset).at(-1)!;
    if (file !== null && line !== null) return { functionName, file, line, column: column ?? 1 };
    const fileName = options.fileName ?? (names.module === "" ? "module.wasm" : names.module);
    return { functionName, file: fileName, line: 1, column: offset };
  }
}

// Modules are the program's: where in one stack memory was taken is not known in what is restored.
keepClass("GuestOrigins", Origins, { atRest: () => ({ modules: [] }) });

/** Counts bytes of modules that were compiled, so that places in them are told apart. */
let places = 0;

/** The first of as many origins as a module has bytes. */
export function framesOf(bytes: ByteCount): number {
  if (places + bytes > FIRST_FRAME) places = 0;
  const first = FIRST_FRAME + places;
  places += bytes;
  return first;
}
