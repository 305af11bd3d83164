// Where a machine lies in the host's memory: one WebAssembly memory for RAM, its tags and the first page table, so that code which the
// library generates can work on them, with room below for tables of that code. What the code is, and who runs it, is known above.

import type { EngineMemory } from "../host/engine.ts";
import {
  ENGINE_MEMORY_LIMIT,
  engineMemoryOf,
  isEngineMemory,
  makeEngineMemory,
  toEnginePages,
} from "../state/engine-memory.ts";
import { type Extent, keepClass } from "../state/kept.ts";
import type { ByteCount } from "./integers.ts";
import { PAGE_SIZE } from "./layout.ts";
import { hideFields } from "./outline.ts";
import { TABLE_BYTES } from "./page-table.ts";
import { TAG_BYTES_PER_FRAME } from "./physical-memory.ts";

/**
 * ```text
 *  0     64 KiB         32 MiB             288 MiB
 * │fixed│ room           │ page table       │ RAM                │ tags          │
 * ```
 * Below 64 KiB each use has a fixed place; the room above it is taken and given back.
 */
const ROOM_BEGIN = 2 ** 16;
export const TABLE_BEGIN = 2 ** 25;
export const RAM_BEGIN = TABLE_BEGIN + TABLE_BYTES;
/** The double that counts what programs fill (counters.ts). */
export const FILLED = 16;
/** The double that counts DC GZVA's blocks. */
export const GZVA_BLOCKS = 24;
/** From here up to 64 KiB the code's own fixed tables lie. */
export const FIXED_BEGIN = 64;
export const FIXED_END = ROOM_BEGIN;

/** Taken room begins on a multiple of this. */
const ROOM_UNIT = 64;

export class HostMemory {
  readonly buffer: ArrayBuffer;
  readonly ram: Uint8Array;
  readonly tags: Uint8Array;
  readonly tableEntries: Int32Array;
  readonly filled: Float64Array;
  readonly gzvaBlocks: Float64Array;
  /** Begin and end of what is taken, in ascending order. */
  private taken: (readonly [begin: number, end: number])[] = [];
  /** What was asked for in vain since room was last given back: as much, or more, is not looked for again. */
  private refusedBytes = Number.POSITIVE_INFINITY;

  constructor(memoryBytes: ByteCount, tagBytes: ByteCount) {
    this.buffer = makeEngineMemory(toEnginePages(RAM_BEGIN + memoryBytes + tagBytes));
    this.ram = new Uint8Array(this.buffer, RAM_BEGIN, memoryBytes);
    this.tags = new Uint8Array(this.buffer, RAM_BEGIN + memoryBytes, tagBytes);
    this.tableEntries = new Int32Array(this.buffer, TABLE_BEGIN, TABLE_BYTES / 4);
    this.filled = new Float64Array(this.buffer, FILLED, 1);
    this.gzvaBlocks = new Float64Array(this.buffer, GZVA_BLOCKS, 1);
    hideFields(this);
  }

  /** The engine's memory, for code's import; null: this host runs no such code. */
  get memory(): EngineMemory | null {
    return engineMemoryOf(this.buffer);
  }

  /**
   * Generated code has the places in it: no other machine may come out of a snapshot.
   * @throws Error: these are not where the constructor puts them
   */
  requireThere(ram: Uint8Array, tags: Uint8Array, frameCount: number): void {
    const { buffer, tableEntries } = this;
    const tagBegin = RAM_BEGIN + frameCount * PAGE_SIZE;
    const isThere =
      isEngineMemory(buffer) &&
      isAt(tableEntries, buffer, TABLE_BEGIN, TABLE_BYTES) &&
      isAt(ram, buffer, RAM_BEGIN, frameCount * PAGE_SIZE) &&
      isAt(tags, buffer, tagBegin, tags.byteLength) &&
      [0, frameCount * TAG_BYTES_PER_FRAME].includes(tags.byteLength);
    if (!isThere) throw new Error("parts of the machine are not where they belong in the host's memory");
  }

  /** Room for tables, with what was last there. @returns where it begins, or 0: there is none left */
  takeRoom(bytes: ByteCount): number {
    if (bytes >= this.refusedBytes) return 0;
    let begin = ROOM_BEGIN;
    let at = 0;
    for (; at < this.taken.length && this.taken[at][0] - begin < bytes; at++) begin = this.taken[at][1];
    const end = Math.ceil((begin + bytes) / ROOM_UNIT) * ROOM_UNIT;
    if (end > TABLE_BEGIN) {
      this.refusedBytes = bytes;
      return 0;
    }
    this.taken.splice(at, 0, [begin, end]);
    return begin;
  }

  /** @param begin what {@link takeRoom} answered */
  giveRoom(begin: number): void {
    this.taken = this.taken.filter(([taken]) => taken !== begin);
    this.refusedBytes = Number.POSITIVE_INFINITY;
  }
}

function isAt(view: ArrayBufferView, buffer: ArrayBuffer, begin: number, bytes: ByteCount): boolean {
  return view.buffer === buffer && view.byteOffset === begin && view.byteLength === bytes;
}

/**
 * The engine counts the whole memory as garbage to come, touched or not, and collects all garbage whenever that has grown by some 64 MiB.
 * From here on RAM alone brings a collection for each machine that is made; below, the page table would.
 */
const SMALLEST_RAM = 2 ** 26;

/** Memory for a machine; null: RAM is too large for one memory, or too small to be worth one. */
export function makeHostMemory(memoryBytes: ByteCount, hasTags: boolean): HostMemory | null {
  if (memoryBytes < SMALLEST_RAM) return null;
  const tagBytes = hasTags ? (memoryBytes / PAGE_SIZE) * TAG_BYTES_PER_FRAME : 0;
  return RAM_BEGIN + memoryBytes + tagBytes > ENGINE_MEMORY_LIMIT ? null : new HostMemory(memoryBytes, tagBytes);
}

keepClass("HostMemory", HostMemory, {
  *extents({ filled, gzvaBlocks }): Iterable<Extent> {
    yield [filled, 0, filled.byteLength];
    yield [gzvaBlocks, 0, gzvaBlocks.byteLength];
  },
  // Who has taken room makes its tables anew.
  atRest: () => ({ taken: [], refusedBytes: Number.POSITIVE_INFINITY }),
});
