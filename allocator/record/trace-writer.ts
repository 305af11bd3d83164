// Batches of events to a sink, in either of our own formats: the head first, the end when there is no more.
// What a block or a line looks like is in binary-writer.ts and text-writer.ts.
import { encodeBatch, encodeEnd, encodeHead, idCount } from "./binary-writer.ts";
import type { EventBatch } from "./events.ts";
import { formatBatch, TEXT_HEAD } from "./text-writer.ts";

/** Where a trace goes: a writable stream of Node, a file, or a collector of one's own. */
export interface RecordSink {
  /** Takes the next bytes; the array is the sink's to keep. The answer is not looked at: a recording cannot wait. */
  write(bytes: Uint8Array): unknown;
}

export const RECORD_FORMATS = ["binary", "text"] as const;
/** How a recording is written. */
export type RecordFormat = (typeof RECORD_FORMATS)[number];

const utf8 = new TextEncoder();

/** Counts are at the end only: the head says that they are unknown, since a stream cannot be written to twice. */
export class TraceWriter {
  /** Events that were added. */
  events = 0;
  /** Largest block id plus one. */
  ids = 0;
  private readonly sink: RecordSink;
  private readonly isText: boolean;

  constructor(sink: RecordSink, format: RecordFormat) {
    if (typeof sink?.write !== "function") throw new TypeError("record: a sink with a write function is needed");
    if (!RECORD_FORMATS.includes(format)) {
      throw new RangeError(`record: format "${format}" is not one of ${RECORD_FORMATS.join(", ")}`);
    }
    this.sink = sink;
    this.isText = format === "text";
    sink.write(this.isText ? utf8.encode(`${TEXT_HEAD}\n`) : encodeHead());
  }

  add(batch: EventBatch): void {
    if (this.isText) this.sink.write(utf8.encode(formatBatch(batch)));
    else for (const block of encodeBatch(batch)) this.sink.write(block);
    this.events += batch.count;
    this.ids = Math.max(this.ids, idCount(batch));
  }

  end(): void {
    if (!this.isText) this.sink.write(encodeEnd(this.events));
  }
}
