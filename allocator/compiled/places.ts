// Where the compiled malloc and free find what they go by: tables of each heap, each thread's cache, and one table for all heaps of a
// machine, in the room of its host memory (platform/hardware/host-memory.ts). Who fills them is compile.ts, who reads them code.ts.

import { FIXED_BEGIN, FIXED_END } from "../../platform/hardware/host-memory.ts";
import { SUM_COUNT } from "../combined/checksum.ts";
import { STAT_COUNT } from "../primary/local-cache.ts";

/** Fixed: combined/checksum.ts's parts of a sum, 16 bits each. */
export const SUMS = FIXED_BEGIN;
if (SUMS + 2 * SUM_COUNT > FIXED_END) throw new Error("the table of sums has no room");

/** Classes that a header can name. */
const CLASSES = 256;

// A heap's tables, from their begin. Words of 32 bits first.
/** Odd: malloc and free may not go this way (combined/direct-gate.ts). Else where the running thread's cache begins. */
export const GATE = 0;
/** The largest size that goes this way. */
export const LARGEST = 4;
/** The byte that fresh chunks are filled with. */
export const FILL = 8;
/** What the heap's cookie contributes to a checksum. */
export const COOKIE = 12;

// Of a tagged heap also:
/** Where the machine's tags begin, … */
export const TAGS = 20;
/** … the running thread's state of IRG's generator, … */
export const RANDOM_TAGS = 24;
/** … the ring of freed chunks (tagging/freed-chunks.ts), how many rows it has, … */
export const FREED = 28;
export const FREED_CAPACITY = 32;
/** … the id of the running thread, … */
export const THREAD = 36;
/** … and log2 of the bytes that a DC GZVA writes. */
export const GZVA_SHIFT = 40;

/** A row a class: … */
export const ROWS = 64;
export const ROW_SHIFT = 5;
/** … 64 bits: the address at which its region begins; … */
export const BEGIN = ROWS;
/** … a double and 32 bits: what a block takes; … */
export const BLOCK_SIZE = ROWS + 8;
export const BLOCK_BYTES = ROWS + 16;
/** … how many blocks a cache has room for; … */
export const MOST = ROWS + 20;
/** … and where its stack begins, from the begin of a cache. */
export const STACK = ROWS + 24;

/** 64 bits for each size up to this one: the header that malloc gives such a chunk, but for what pointer and cookie contribute to the sum. */
export const HEADERS = ROWS + (CLASSES << ROW_SHIFT);
export const LARGEST_IN_TABLE = 4080;
/** A byte for each 16 bytes of size: the class. As long as it needs to be. */
export const CLASS_BY_SIZE = HEADERS + 8 * (LARGEST_IN_TABLE + 1);

// A thread's cache, from its begin.
export const STATISTICS = 0;
/** 32 bits a class: blocks in its stack. */
export const COUNTS = 8 * STAT_COUNT;
/** The stacks themselves, one after the other. */
export const STACK_BLOCKS = COUNTS + 4 * CLASSES;
