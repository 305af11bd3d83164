// What the direct ways of malloc and free go by, as tables above the guest's limit, where the module and the host both see them: the
// main thread's cache itself, and copies of what does not change. Who fills them is guest/direct-heap.ts, who reads them is
// direct-ways.ts. Places are counted from the layout's pathBase; rows are of 32 bits, one a size class, unless a line says otherwise.

import { SUM_COUNT } from "../../combined/checksum.ts";

/** 0: the ways are open (combined/direct-gate.ts). */
export const GATE = 16;
/** 1: the module has allocated or freed since the host looked. */
export const CHANGED = 20;
/** 1: traces are kept. */
export const KEEPS_TRACES = 24;
/** The largest size of a chunk that goes the direct ways. */
export const LARGEST = 28;
/** The cache's statistics, three doubles. */
export const STATISTICS = 40;
/** Bytes that were filled, a double of the machine's counters. */
export const FILLED = 64;

/** The number of the last allocation, for origins. */
export const LAST_ORIGIN = 72;

const CLASSES = 256;
/** Free blocks in the cache, … */
export const COUNTS = 128;
/** … how many there may be, … */
export const MOST_COUNTS = COUNTS + 4 * CLASSES;
/** … bytes of each, … */
export const BLOCK_SIZES = MOST_COUNTS + 4 * CLASSES;
/** … where their region begins, 0 while there is none, … */
export const BEGINS = BLOCK_SIZES + 4 * CLASSES;
/** … and the address of their stack in the memory. */
export const STACKS = BEGINS + 4 * CLASSES;
/** Chunks of the direct ways lie in at most two pages. */
export const LARGEST_BLOCK = 4096;

/** Rows of 16 bytes: a path, changed by originBits(), and the number of its trace, which is not 0. */
export const PATHS = 8192;
export const PATH_ROWS = 1024;
export const PATH_ROW_BYTES = 16;
export const PATH_TRACE = 8;

/** combined/checksum.ts's parts of a sum, 16 bits each. */
export const SUMS = PATHS + PATH_ROWS * PATH_ROW_BYTES;
/** The cache's stacks, one after the other. */
export const BLOCKS = 2 ** 16;
export const BLOCKS_BYTES = 2 ** 16;

/** 16 bits for each 64 KiB of addresses: what a pointer's upper bits and the heap's cookie contribute to a sum. */
export const PLACE_SUMS = BLOCKS + BLOCKS_BYTES;
export const PLACE_SHIFT = 16;

/** 64 bits for each size up to {@link LARGEST}: the header that malloc gives such a chunk, but for what its pointer contributes to the sum. */
export const HEADERS = PLACE_SUMS + 2 * 2 ** (32 - PLACE_SHIFT);
/** 64 bits for each size up to a word's: the shadow of a chunk's granules, 0 behind its end. */
export const SHADOWS = HEADERS + 8 * LARGEST_BLOCK;
export const SHADOW_WORD = 64;
export const TABLES_END = SHADOWS + 8 * (SHADOW_WORD + 1);

if (SUMS + SUM_COUNT * 2 > BLOCKS || STACKS + 4 * CLASSES > PATHS)
  throw new Error("the tables of the direct ways overlap");

/**
 * By which bits a path has other rows for blocks that new made than for malloc's, low half first: one call by a table may be of both.
 * Frees have malloc's. Odd numbers, other ones than those by which the host's parts of paths differ (guest/path-traces.ts).
 */
export function originBits(origin: number): readonly [low: number, high: number] {
  return [Math.imul(origin, 0xc2b2ae35), Math.imul(origin, 0x27d4eb2f)];
}

/** Of a path's bits, the byte at which its row begins: the lowest ones are the last call's alone. */
export function pathRow(low: number, high: number): number {
  return ((low ^ high) & (PATH_ROWS - 1)) * PATH_ROW_BYTES;
}
