// From the raw file of a recorded native process (recorder.h) to a trace in our own format: addresses become block ids, and
// each page of a block is touched at most once by a load and once by a store, as in the recordings of refheap's heaps.
import { closeSync, openSync, readdirSync, readSync } from "node:fs";
import { endianness } from "node:os";
import { join } from "node:path";
import { ALIGNED, CALLOC, MALLOC, READ, WRITE } from "../../../allocator/record/events.ts";
import { Recorder } from "../../../allocator/record/recorder.ts";
import { TraceWriter } from "../../../allocator/record/trace-writer.ts";
import { RecordingFile } from "../replay/recording-file.ts";

const HEAD_BYTES = 4096;
const RECORD_BYTES = 32;
const RECORD_WORDS = RECORD_BYTES / 4;
const RECORDS_A_CHUNK = 2 ** 16;
const MAGIC = "RHNATIVE";
const VERSION = 1;
/** Offsets in `struct head`, in bytes, and in `struct record`, in words of 32 bits. */
const HEAD = { version: 8, pid: 12, records: 16, stopped: 24, unwatched: 32, program: 40, programBytes: 16 } as const;
const RECORD = { kind: 0, thread: 1, address: 2, size: 4, extra: 6 } as const;
/** `enum kind`. */
const RAW = { malloc: 1, calloc: 2, realloc: 3, aligned: 4, free: 5, read: 6, write: 7, threadEnd: 8 } as const;

/** Which of the two words of 64 bits is the low one. */
const LOW = endianness() === "LE" ? 0 : 1;

/** A raw file, named but not read. */
export interface RawFile {
  readonly path: string;
  readonly pid: number;
  /** 1 for the first program of the process, 2 for the one after its exec, … */
  readonly image: number;
}

/** What became of one. */
export interface NativeRecording {
  readonly pid: number;
  readonly program: string;
  readonly events: number;
  /** The disk was full or the file too large: the recording ends early. */
  readonly isCut: boolean;
  /** Pages whose touches the kernel would not show. */
  readonly unwatchedPages: number;
}

/** The raw files of a folder, by process and in the order of its programs. */
export function rawFiles(folder: string): RawFile[] {
  return readdirSync(folder)
    .flatMap((name) => {
      const match = /-(\d+)(?:\.(\d+))?\.raw$/.exec(name);
      return match === null ? [] : [{ path: join(folder, name), pid: Number(match[1]), image: Number(match[2] ?? 1) }];
    })
    .sort((a, b) => a.pid - b.pid || a.image - b.image);
}

/** Writes the trace to `file` unless there is nothing in it; null then. @throws Error if it is no raw file */
export function convertRaw(rawPath: string, file: string): NativeRecording | null {
  const fd = openSync(rawPath, "r");
  try {
    const head = Buffer.alloc(HEAD_BYTES);
    if (readSync(fd, head, 0, HEAD_BYTES, 0) < HEAD_BYTES || head.toString("latin1", 0, MAGIC.length) !== MAGIC)
      return null;
    if (head.readUInt32LE(HEAD.version) !== VERSION) throw new Error(`${rawPath}: a recording of another version`);
    const records = Number(head.readBigUInt64LE(HEAD.records));
    if (records === 0) return null;
    const recording = new RecordingFile(file);
    const writer = new TraceWriter(recording, "binary");
    const recorder = new Recorder((batch) => writer.add(batch));
    replayRecords(fd, records, new RawEvents(recorder));
    recorder.end();
    writer.end();
    recording.close(writer);
    return {
      pid: head.readUInt32LE(HEAD.pid),
      program: head.toString("utf8", HEAD.program, HEAD.program + HEAD.programBytes).replace(/\0.*$/s, ""),
      events: writer.events,
      isCut: head.readBigUInt64LE(HEAD.stopped) !== 0n,
      unwatchedPages: Number(head.readBigUInt64LE(HEAD.unwatched)),
    };
  } finally {
    closeSync(fd);
  }
}

function replayRecords(fd: number, records: number, events: RawEvents): void {
  const words = new Uint32Array(RECORDS_A_CHUNK * RECORD_WORDS);
  const chunk = new Uint8Array(words.buffer);
  for (let first = 0; first < records; first += RECORDS_A_CHUNK) {
    const wanted = Math.min(RECORDS_A_CHUNK, records - first) * RECORD_BYTES;
    const got = readSync(fd, chunk, 0, wanted, HEAD_BYTES + first * RECORD_BYTES);
    const whole = Math.floor(got / RECORD_BYTES) * RECORD_WORDS;
    for (let at = 0; at < whole; at += RECORD_WORDS) events.add(words, at);
    if (got < wanted) return;
  }
}

class RawEvents {
  private readonly recorder: Recorder;
  private readonly threads = new Map<number, object>();
  /** The thread that the trace begins with. */
  private first: object | null = null;

  constructor(recorder: Recorder) {
    this.recorder = recorder;
  }

  /** A record that was never finished has kind 0: the process ended while it was written. */
  add(words: Uint32Array, at: number): void {
    const kind = words[at + RECORD.kind];
    if (kind === 0) return;
    const id = words[at + RECORD.thread];
    if (kind === RAW.threadEnd) {
      this.recorder.threadEnded(this.thread(id));
      this.threads.delete(id);
      return;
    }
    // The C library frees a thread's last blocks after its end: that is no new thread's doing.
    const isLate = kind === RAW.free && this.first !== null && !this.threads.has(id);
    this.recorder.runAs(isLate ? this.first! : this.thread(id));
    const address = wide(words, at + RECORD.address);
    this.event(kind, address, wide(words, at + RECORD.size), wide(words, at + RECORD.extra));
  }

  private event(kind: number, address: number, size: number, extra: number): void {
    const { recorder } = this;
    if (kind === RAW.malloc) recorder.made(MALLOC, address, size, 0);
    else if (kind === RAW.calloc) recorder.made(CALLOC, address, size, extra, size * extra);
    else if (kind === RAW.aligned) recorder.made(ALIGNED, address, size, extra);
    else if (kind === RAW.free) recorder.freed(address);
    else if (kind === RAW.read) recorder.accessed(READ, address, size);
    else if (kind === RAW.write) recorder.accessed(WRITE, address, size);
    // A block from before a fork belongs to the parent's trace; what becomes of it here is a new one.
    else if (kind === RAW.realloc && !recorder.moved(extra, address, size)) recorder.made(MALLOC, address, size, 0);
  }

  private thread(id: number): object {
    let thread = this.threads.get(id);
    if (thread === undefined) {
      thread = {};
      this.first ??= thread;
      this.threads.set(id, thread);
    }
    return thread;
  }
}

/** 64 bits as a double: addresses and sizes of a program have fewer than 53. The file was written on this machine, in its byte order. */
function wide(words: Uint32Array, at: number): number {
  return words[at + LOW] + words[at + 1 - LOW] * 2 ** 32;
}
