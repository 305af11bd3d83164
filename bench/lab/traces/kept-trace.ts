// Traces that are replayed several times in a row, read once: their events are kept in small columns, up to a limit, so that the memory
// for a trace stays bounded. What is longer is read from its file each time. Opening as such is open.ts.
import { statSync } from "node:fs";
import { EventBatch } from "../../../allocator/record/events.ts";
import { isReadOnce, type OpenTraceOptions, openTrace, storedBytes, type Trace } from "./open.ts";
import type { TraceTally } from "./tally.ts";

/** What a thread keeps at most. */
const LIMIT_BYTES = 128 * 2 ** 20;

/** A column of one batch: null is all zeroes. */
type Column = Uint8Array | Uint32Array | Float64Array | null;

interface KeptBatch {
  readonly columns: readonly Column[];
  readonly labels: readonly string[];
  readonly count: number;
}

interface KeptTrace {
  readonly key: string;
  readonly trace: Omit<Trace, "batches" | "tally">;
  readonly tally: TraceTally;
  readonly batches: readonly KeptBatch[];
}

let kept: KeptTrace | null = null;

/** As openTrace; the events of the file that was read last are kept for the next time. @throws as openTrace */
export async function openKept(file: string, options: OpenTraceOptions, limitBytes = LIMIT_BYTES): Promise<Trace> {
  if (isReadOnce(file)) return openTrace(file, options);
  const key = keyOf(file, options);
  if (kept !== null && kept.key === key) {
    const onShare = progressOf(file, options);
    return { ...kept.trace, tally: { ...kept.tally }, batches: replayed(kept, onShare) };
  }
  kept = null;
  const trace = await openTrace(file, options);
  return { ...trace, batches: keeping(trace, key, limitBytes) };
}

/** What is kept goes by as the file did: its bytes are counted in proportion. */
function progressOf(file: string, { onProgress }: OpenTraceOptions): ((share: number) => void) | undefined {
  if (onProgress === undefined) return undefined;
  const totalBytes = storedBytes(file);
  return (share) => onProgress(Math.round(totalBytes * share));
}

/** Another file under the name is another trace; what an archive's member is named by is in the name. */
function keyOf(file: string, { format, skipBad }: OpenTraceOptions): string {
  const status = statSync(file, { throwIfNoEntry: false });
  return JSON.stringify([file, status?.size, status?.mtimeMs, status?.ino, format, skipBad]);
}

async function* keeping(trace: Trace, key: string, limitBytes: number): AsyncGenerator<EventBatch> {
  const batches: KeptBatch[] = [];
  let bytes = 0;
  for await (const batch of trace.batches) {
    if (bytes <= limitBytes) {
      const one = keep(batch);
      bytes += one.columns.reduce((sum, column) => sum + (column?.byteLength ?? 0), 0);
      if (bytes <= limitBytes) batches.push(one);
      else batches.length = 0;
    }
    yield batch;
  }
  const { batches: _, tally, ...rest } = trace;
  if (bytes <= limitBytes) kept = { key, trace: rest, tally: { ...tally }, batches };
}

function columnsOf({ kind, thread, id, size, offset, site }: EventBatch): (Uint8Array | Uint32Array | Float64Array)[] {
  return [kind, thread, id, size, offset, site];
}

function keep(batch: EventBatch): KeptBatch {
  const { count, labels } = batch;
  return { columns: columnsOf(batch).map((column) => narrowed(column, count)), labels: [...labels], count };
}

function narrowed(column: Uint8Array | Uint32Array | Float64Array, count: number): Column {
  let isZero = true;
  let isWord = true;
  for (let row = 0; row < count; row++) {
    const value = column[row];
    if (value !== 0) isZero = false;
    if (value >>> 0 !== value) isWord = false;
  }
  if (isZero) return null;
  if (isWord && column instanceof Float64Array) return Uint32Array.from(column.subarray(0, count));
  return column.slice(0, count);
}

async function* replayed({ batches }: KeptTrace, onShare?: (share: number) => void): AsyncGenerator<EventBatch> {
  const batch = new EventBatch();
  for (const [number, { columns, labels, count }] of batches.entries()) {
    onShare?.(number / batches.length);
    batch.clear();
    for (const [index, column] of columnsOf(batch).entries()) {
      const source = columns[index];
      if (source === null) column.fill(0, 0, count);
      else column.set(source);
    }
    batch.labels.push(...labels);
    batch.count = count;
    yield batch;
  }
}
