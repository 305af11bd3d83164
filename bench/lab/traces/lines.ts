// From chunks of bytes to batches of events, line by line, in memory bounded by one chunk and one line.
// Which events a line means is decided by a LineParser (android.ts, mtrace.ts, …).

import { EventBatch } from "../../../allocator/record/events.ts";
import type { TraceTally } from "./tally.ts";
import { showBytes, TraceError } from "./trace-error.ts";

const NEWLINE = 10;
/** Longer lines are bad lines: nothing that a trace says needs as much, and memory stays bounded. */
export const MAX_LINE_BYTES = 4 * 2 ** 20;

/** One text format. Answers are "" if all is well, else what was expected: throwing is left to the caller. */
export interface LineParser {
  /** What an event of the format looks like, if a file that has lines and no event is not of this format. */
  readonly eventForm?: string;
  /** Appends the events of the line in `bytes[start, end)`, at most a batch's spare rows. The newline is not in it. */
  parseLine(bytes: Uint8Array, start: number, end: number, batch: EventBatch): string;
  /** After the last line: may append events or say what is missing. */
  finish?(batch: EventBatch): string;
}

export interface ReadOptions {
  /** Name of the file, for messages. */
  file: string;
  tally: TraceTally;
  /** Count bad lines instead of throwing at the first. */
  skipBad?: boolean;
}

/**
 * Reads a text trace. The batch is the same object each time, refilled.
 * @throws TraceError at the first bad line, unless `skipBad`.
 */
export async function* readLines(
  chunks: AsyncIterable<Uint8Array>,
  parser: LineParser,
  options: ReadOptions,
): AsyncGenerator<EventBatch> {
  const batch = new EventBatch();
  const reader = new LineReader(parser, batch, options);
  for await (const chunk of chunks) {
    reader.take(chunk);
    while (reader.parse()) {
      yield batch;
      batch.clear();
    }
  }
  reader.finish();
  if (batch.count > 0) yield batch;
}

/** Cuts chunks into lines. Bytes after the last newline are carried over to the next chunk. */
class LineReader {
  private bytes: Uint8Array = new Uint8Array(0);
  private position = 0;
  /** Inside a line that is too long: pass over bytes up to its end. */
  private discarding = false;
  private readonly parser: LineParser;
  private readonly batch: EventBatch;
  private readonly options: ReadOptions;

  constructor(parser: LineParser, batch: EventBatch, options: ReadOptions) {
    this.parser = parser;
    this.batch = batch;
    this.options = options;
  }

  take(chunk: Uint8Array): void {
    const rest = this.bytes.length - this.position;
    if (rest === 0) {
      this.bytes = chunk;
    } else {
      const joined = new Uint8Array(rest + chunk.length);
      joined.set(this.bytes.subarray(this.position));
      joined.set(chunk, rest);
      this.bytes = joined;
    }
    this.position = 0;
  }

  /** Parses lines until the batch is full (true) or no whole line is left (false). */
  parse(): boolean {
    for (;;) {
      const end = this.bytes.indexOf(NEWLINE, this.position);
      if (end < 0) return this.checkLength();
      if (this.discarding) this.discarding = false;
      else this.parseLine(this.position, end);
      this.position = end + 1;
      if (this.batch.isFull) return true;
    }
  }

  finish(): void {
    if (this.position < this.bytes.length && !this.discarding) this.parseLine(this.position, this.bytes.length);
    const rows = this.batch.count;
    const expected = this.parser.finish?.(this.batch) ?? "";
    this.options.tally.events += this.batch.count - rows;
    if (expected !== "") this.bad(expected, "the end of the file");
    this.expectEvents();
  }

  /** A file of lines that say nothing, such as another tool's log, must not pass for an empty trace. */
  private expectEvents(): void {
    const { parser } = this;
    const { file, tally } = this.options;
    if (parser.eventForm === undefined || tally.lines === 0) return;
    if (tally.events + tally.unknownBlocks + tally.failedCalls > 0) return;
    throw new TraceError(file, 0, `an event, such as ${parser.eventForm}`, `none in ${tally.lines} lines`);
  }

  private parseLine(start: number, end: number): void {
    const { tally } = this.options;
    tally.lines++;
    const rows = this.batch.count;
    const expected = this.parser.parseLine(this.bytes, start, end, this.batch);
    tally.events += this.batch.count - rows;
    if (expected !== "") this.bad(expected, showBytes(this.bytes, start, trimmed(this.bytes, start, end)));
  }

  private checkLength(): false {
    if (this.bytes.length - this.position <= MAX_LINE_BYTES) return false;
    if (!this.discarding) {
      this.options.tally.lines++;
      this.bad(`a line of at most ${MAX_LINE_BYTES} bytes`, "a longer one");
    }
    this.discarding = true;
    this.position = this.bytes.length;
    return false;
  }

  private bad(expected: string, found: string): void {
    const { file, tally, skipBad } = this.options;
    const error = new TraceError(file, tally.lines, expected, found);
    if (!skipBad) throw error;
    if (tally.skipped++ === 0) tally.firstSkipped = error.message;
  }
}

function trimmed(bytes: Uint8Array, start: number, end: number): number {
  return end > start && bytes[end - 1] === 13 ? end - 1 : end;
}
