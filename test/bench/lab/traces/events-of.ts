// What trace tests share: a trace from text or bytes, and its events as readable lines of the text format.
// The formats themselves are tested in the files beside this one.
import { EventBatch } from "../../../../allocator/record/events.ts";
import { formatBatch } from "../../../../allocator/record/text-writer.ts";
import { type OpenTraceOptions, openTraceStream, type Trace } from "../../../../bench/lab/traces/open.ts";

export async function* inChunks(bytes: Uint8Array, chunkBytes = 65536): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += chunkBytes) yield bytes.subarray(start, start + chunkBytes);
}

export function traceOf(source: string | Uint8Array, options?: OpenTraceOptions, chunkBytes?: number): Promise<Trace> {
  return openTraceStream(inChunks(Buffer.from(source), chunkBytes), "a.trace", options);
}

export async function readAll(trace: Trace): Promise<string[]> {
  let text = "";
  for await (const batch of trace.batches) text += formatBatch(batch);
  return text === "" ? [] : text.trimEnd().split("\n");
}

/** Events of a trace in the text format's words. */
export async function eventsOf(source: string | Uint8Array, options?: OpenTraceOptions): Promise<string[]> {
  return readAll(await traceOf(source, options));
}

export async function* batchesOf(rows: readonly Row[]): AsyncGenerator<EventBatch> {
  const batch = new EventBatch();
  for (const row of rows) {
    if (typeof row.label === "string") batch.pushMark(row.thread, row.label);
    else batch.push(row.kind, row.thread, row.id, row.size, row.offset);
    if (batch.isFull) {
      yield batch;
      batch.clear();
    }
  }
  if (batch.count > 0) yield batch;
}

export interface Row {
  kind: number;
  thread: number;
  id: number;
  size: number;
  offset: number;
  label?: string;
}

export async function bytesOf(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk.slice());
  return Buffer.concat(parts);
}
