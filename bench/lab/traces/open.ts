// Opening a trace: a file or a stream, unpacked, its format detected, as batches of events with a tally.
// The single door through which commands, replays and tests read traces.
import { createReadStream, statSync } from "node:fs";
import type { EventBatch } from "../../../allocator/record/events.ts";
import { AndroidParser } from "./android.ts";
import { readBinary } from "./binary-reader.ts";
import type { ByteQueue } from "./byte-queue.ts";
import { DETECT_BYTES, detectFormat, TRACE_FORMATS, type TraceFormat } from "./detect.ts";
import { isDhatProfile } from "./dhat.ts";
import { HeaptrackParser } from "./heaptrack.ts";
import { LackeyParser } from "./lackey.ts";
import { type LineParser, type ReadOptions, readLines } from "./lines.ts";
import { MtraceParser } from "./mtrace.ts";
import { RepParser } from "./rep.ts";
import { CallSites } from "./sites.ts";
import { newTally, type TraceTally } from "./tally.ts";
import { TextParser } from "./text.ts";
import { showBytes, TraceError } from "./trace-error.ts";
import { TraceMallocParser } from "./trace-malloc.ts";
import { type Source, unpack } from "./unpack.ts";
import { splitMember } from "./zip.ts";

const FILE_CHUNK_BYTES = 2 ** 18;
/** The name that means standard input. */
export const STANDARD_INPUT = "-";

export interface OpenTraceOptions {
  /** The format, if it is not to be detected. */
  format?: TraceFormat;
  /** Count bad lines (`tally.skipped`) instead of throwing at the first. */
  skipBad?: boolean;
  /** Called with the number of bytes (as stored, still packed) read so far. */
  onProgress?: (bytes: number) => void;
}

export interface Trace {
  readonly file: string;
  /** "empty": not a single line that says anything. Such a trace has no events and is no error. */
  readonly format: TraceFormat | "empty";
  readonly tally: TraceTally;
  /** What the batches' numbers of call sites stand for; grows while they are read. */
  readonly sites: CallSites;
  /** May be read once. The batch is the same object each time, refilled. */
  readonly batches: AsyncGenerator<EventBatch>;
}

/**
 * Opens a trace file (`-`: standard input).
 * @throws TraceError if no format is recognised; the batches throw it at a bad line. Node's errors if it can't be read.
 */
export async function openTrace(file: string, options: OpenTraceOptions = {}): Promise<Trace> {
  if (file === STANDARD_INPUT) return openTraceStream(process.stdin, "standard input", options);
  const { path, member } = splitMember(file);
  const stream = createReadStream(path, { highWaterMark: FILE_CHUNK_BYTES });
  // Node's error for a folder does not say which.
  stream.on("error", (error: NodeJS.ErrnoException) => {
    error.path ??= file;
  });
  return openSource(stream, { file, path: isReadOnce(path) ? null : path, member }, options);
}

/** Standard input, a pipe, a terminal: what was read once is gone. */
export function isReadOnce(file: string): boolean {
  if (file === STANDARD_INPUT) return true;
  const status = statSync(file, { throwIfNoEntry: false });
  return status !== undefined && !status.isFile() && !status.isDirectory();
}

/** Bytes of a trace as it is stored, packed or not: what `onProgress` counts up to. 0 if that is not known. */
export function storedBytes(file: string): number {
  if (file === STANDARD_INPUT) return 0;
  const status = statSync(splitMember(file).path, { throwIfNoEntry: false });
  return status?.isFile() ? status.size : 0;
}

/** Opens a trace from chunks of bytes; `file` is its name in messages. */
export function openTraceStream(
  chunks: AsyncIterable<Uint8Array>,
  file: string,
  options: OpenTraceOptions = {},
): Promise<Trace> {
  return openSource(chunks, { file, path: null, member: null }, options);
}

async function openSource(
  chunks: AsyncIterable<Uint8Array>,
  source: Source,
  options: OpenTraceOptions,
): Promise<Trace> {
  const { file } = source;
  const counted = options.onProgress ? counting(chunks, options.onProgress) : chunks;
  const queue = await unpack(counted, source);
  const format = options.format ?? (await detected(queue, file));
  const tally = newTally();
  const readOptions: ReadOptions = { file, tally, skipBad: options.skipBad === true };
  const sites = new CallSites();
  return { file, format, tally, sites, batches: readAs(format, queue, readOptions, sites) };
}

async function detected(queue: ByteQueue, file: string): Promise<TraceFormat | "empty"> {
  const beginning = await queue.peek(DETECT_BYTES);
  const format = detectFormat(beginning);
  if (format !== null) return format;
  if (isDhatProfile(Buffer.from(beginning.subarray(0, 64)).toString("latin1"))) {
    const found = "a DHAT profile, which has no order of calls; refheap inspect shows its sums";
    throw new TraceError(file, 0, "a trace", found);
  }
  const lineEnd = beginning.indexOf(10);
  const found = showBytes(beginning, 0, lineEnd < 0 ? beginning.length : lineEnd);
  throw new TraceError(file, 1, `a trace (${TRACE_FORMATS.join(", ")})`, found);
}

function readAs(
  format: TraceFormat | "empty",
  queue: ByteQueue,
  options: ReadOptions,
  sites: CallSites,
): AsyncGenerator<EventBatch> {
  if (format === "binary") return readBinary(queue.rest(), options);
  return readLines(queue.rest(), parserFor(format, options.tally, sites), options);
}

function parserFor(format: Exclude<TraceFormat, "binary"> | "empty", tally: TraceTally, sites: CallSites): LineParser {
  if (format === "android") return new AndroidParser(tally);
  if (format === "mtrace") return new MtraceParser(tally, sites);
  if (format === "rep") return new RepParser(tally);
  if (format === "trace-malloc") return new TraceMallocParser(tally);
  if (format === "heaptrack") return new HeaptrackParser(tally, sites);
  if (format === "lackey") return new LackeyParser(tally);
  return new TextParser(tally);
}

async function* counting(
  chunks: AsyncIterable<Uint8Array>,
  onProgress: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    onProgress(bytes);
    yield chunk;
  }
}
