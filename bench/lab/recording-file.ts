// A recording on disk: batches of a recorder as a binary trace, written as they come and closed when the program ends.
// Synchronous throughout, since the heap's calls are.
import { closeSync, openSync, writeSync } from "node:fs";
import { encodeBatch, encodeEnd, encodeHead } from "../traces/binary-writer.ts";
import { type EventBatch, MARK, THREAD_START } from "../traces/events.ts";

export class RecordingFile {
  readonly file: string;
  private readonly fd: number;
  private isClosed = false;
  events = 0;
  /** Largest block id plus one. */
  private ids = 0;

  /** @param flag "wx" refuses a file that exists, "w" replaces it. @throws Node's error if it cannot be made. */
  constructor(file: string, flag: "w" | "wx" = "w") {
    this.file = file;
    this.fd = openSync(file, flag);
    writeAll(this.fd, encodeHead());
  }

  add(batch: EventBatch): void {
    if (this.isClosed) return;
    for (const block of encodeBatch(batch)) writeAll(this.fd, block);
    this.events += batch.count;
    for (let row = 0; row < batch.count; row++) {
      const isBlock = batch.kind[row] < THREAD_START && batch.kind[row] !== MARK;
      if (isBlock && batch.id[row] >= this.ids) this.ids = batch.id[row] + 1;
    }
  }

  /** Writes the end and the counts; further batches are ignored. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    writeAll(this.fd, encodeEnd(this.events));
    const head = encodeHead({ events: this.events, ids: this.ids });
    writeSync(this.fd, head, 0, head.length, 0);
    closeSync(this.fd);
  }
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length; ) written += writeSync(fd, bytes, written);
}
