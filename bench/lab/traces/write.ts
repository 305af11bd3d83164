// Writing a trace file in one of our own formats (T5, T6), gzip'd if its name ends in .gz.
// A file appears under its name only once it is whole.
import { createWriteStream, rmSync } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import {
  encodeBatch,
  encodeEnd,
  encodeHead,
  idCount,
  type TraceCounts,
} from "../../../allocator/record/binary-writer.ts";
import type { EventBatch } from "../../../allocator/record/events.ts";
import { formatBatch, TEXT_HEAD } from "../../../allocator/record/text-writer.ts";
import { STANDARD_INPUT } from "./open.ts";

export const WRITABLE_FORMATS = ["binary", "text"] as const;
export type WritableFormat = (typeof WRITABLE_FORMATS)[number];

/** The bytes of a trace file, chunk by chunk; `counts` is filled on the way. */
export async function* encodeTrace(
  batches: AsyncIterable<EventBatch>,
  format: WritableFormat,
  counts: TraceCounts = { events: 0, ids: 0 },
): AsyncGenerator<Uint8Array> {
  yield format === "binary" ? encodeHead() : Buffer.from(`${TEXT_HEAD}\n`);
  for await (const batch of batches) {
    counts.events += batch.count;
    counts.ids = Math.max(counts.ids, idCount(batch));
    if (format === "binary") yield* encodeBatch(batch);
    else yield Buffer.from(formatBatch(batch));
  }
  if (format === "binary") yield encodeEnd(counts.events);
}

/** Writes a trace to a file (`-`: standard output, then without counts in the head) and answers what was counted. */
export async function writeTrace(
  batches: AsyncIterable<EventBatch>,
  file: string,
  format: WritableFormat,
): Promise<TraceCounts> {
  const counts: TraceCounts = { events: 0, ids: 0 };
  const source = Readable.from(encodeTrace(batches, format, counts), { objectMode: true });
  if (file === STANDARD_INPUT) {
    await pipeline(source, process.stdout, { end: false });
    return counts;
  }
  const partial = `${file}.part`;
  const forget = removeIfKilled(partial);
  try {
    const packed = file.endsWith(".gz");
    if (packed) await pipeline(source, createGzip(), createWriteStream(partial));
    else await pipeline(source, createWriteStream(partial));
    if (format === "binary" && !packed) await patchHead(partial, counts);
    await rename(partial, file);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  } finally {
    forget();
  }
  return counts;
}

/** Signals that end a program by default, and that a user or a batch system sends. */
const ENDING_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Takes a half-written file away if a signal ends the program. @returns what ends this care */
function removeIfKilled(partial: string): () => void {
  const end = (signal: NodeJS.Signals): void => {
    rmSync(partial, { force: true });
    forget();
    // With no listener left, the signal does what it does to any program.
    process.kill(process.pid, signal);
  };
  const forget = (): void => {
    for (const signal of ENDING_SIGNALS) process.off(signal, end);
  };
  for (const signal of ENDING_SIGNALS) process.on(signal, end);
  return forget;
}

async function patchHead(file: string, counts: TraceCounts): Promise<void> {
  const handle = await open(file, "r+");
  try {
    await handle.write(encodeHead(counts), 0, undefined, 0);
  } finally {
    await handle.close();
  }
}
