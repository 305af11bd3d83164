// Trace events, as every format is read into them: batches of typed-array columns, one row per event.
// No file format and no replaying lives here.
import type { ByteCount } from "../../platform/hardware/integers.ts";

/** What a row says. The numbers are those of the binary format (T5); the words those of its text twin (T6). */
export const EVENT_WORDS = [
  "malloc",
  "calloc",
  "realloc",
  "aligned",
  "free",
  "read",
  "write",
  "thread-start",
  "thread-end",
  "mark",
] as const;
export type EventWord = (typeof EVENT_WORDS)[number];

export const MALLOC = 0;
export const CALLOC = 1;
export const REALLOC = 2;
export const ALIGNED = 3;
export const FREE = 4;
export const READ = 5;
export const WRITE = 6;
export const THREAD_START = 7;
export const THREAD_END = 8;
export const MARK = 9;

/** Rows that a reader fills before it hands a batch on. */
export const BATCH_ROWS = 8192;
/** Rows beyond that: one line of a trace may become a few events, and a line is never split over two batches. */
const SPARE_ROWS = 8;
/** Block ids are dense (a freed block's id is used again), so they count live blocks, not calls. */
export const MAX_BLOCK_ID = 2 ** 32 - 2;

/**
 * A run of events in columns. Readers fill one batch again and again: a consumer must be done with it before it asks
 * for the next.
 *
 * | kind | id | size | offset |
 * |---|---|---|---|
 * | malloc | block | bytes | – |
 * | calloc | block | bytes of an element | number of elements |
 * | realloc | block, which keeps its id | new bytes | – |
 * | aligned | block | bytes | alignment |
 * | free | block | – | – |
 * | read, write | block | bytes touched | first byte touched |
 * | thread-start, thread-end | – | – | – |
 * | mark | – | index into `labels` | – |
 *
 * A column that a kind does not use holds 0.
 */
export class EventBatch {
  readonly kind = new Uint8Array(BATCH_ROWS + SPARE_ROWS);
  readonly thread = new Uint32Array(BATCH_ROWS + SPARE_ROWS);
  readonly id = new Uint32Array(BATCH_ROWS + SPARE_ROWS);
  readonly size = new Float64Array(BATCH_ROWS + SPARE_ROWS);
  readonly offset = new Float64Array(BATCH_ROWS + SPARE_ROWS);
  /** Where an allocation was asked for: a number of the trace's own, 0 if unknown. No format of ours keeps it. */
  readonly site = new Uint32Array(BATCH_ROWS + SPARE_ROWS);
  /** Texts of the marks of this batch. */
  readonly labels: string[] = [];
  /** Rows in use. */
  count = 0;

  get isFull(): boolean {
    return this.count >= BATCH_ROWS;
  }

  clear(): void {
    this.count = 0;
    this.labels.length = 0;
  }

  push(kind: number, thread: number, id: number, size: ByteCount, offset: number): void {
    const row = this.count++;
    this.kind[row] = kind;
    this.thread[row] = thread;
    this.id[row] = id;
    this.size[row] = size;
    this.offset[row] = offset;
    this.site[row] = 0;
  }

  pushMark(thread: number, label: string): void {
    this.push(MARK, thread, 0, this.labels.length, 0);
    this.labels.push(label);
  }
}
