// A recording on disk, a sink of recordings: bytes are written as they come, the counts into the head when it is closed.
// Synchronous throughout, since the heap's calls are.
import { closeSync, openSync, writeSync } from "node:fs";
import { encodeHead, type TraceCounts } from "../../../allocator/record/binary-writer.ts";
import type { RecordSink } from "../../../allocator/record/trace-writer.ts";

export class RecordingFile implements RecordSink {
  readonly file: string;
  private readonly fd: number;
  private isClosed = false;

  /** @param flag "wx" refuses a file that exists, "w" replaces it. @throws Node's error if it cannot be made. */
  constructor(file: string, flag: "w" | "wx" = "w") {
    this.file = file;
    this.fd = openSync(file, flag);
  }

  write(bytes: Uint8Array): void {
    if (this.isClosed) return;
    for (let written = 0; written < bytes.length; ) written += writeSync(this.fd, bytes, written);
  }

  /** Writes the counts into the head, where `refheap inspect` looks; further bytes are ignored. */
  close(counts: TraceCounts): void {
    if (this.isClosed) return;
    this.isClosed = true;
    const head = encodeHead(counts);
    writeSync(this.fd, head, 0, head.length, 0);
    closeSync(this.fd);
  }
}
