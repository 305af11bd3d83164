// Traces in zip archives: the directory at the archive's end, and the bytes of one entry.
// Android's traces are most often zipped. Other packing is unpack.ts's.
import { randomBytes } from "node:crypto";
import { createReadStream, createWriteStream, existsSync, rmSync, statSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createInflateRaw } from "node:zlib";
import { TraceError } from "./trace-error.ts";

const CHUNK_BYTES = 2 ** 18;
const STORED = 0;
const DEFLATED = 8;
const END_RECORD_BYTES = 22;
const MAX_COMMENT_BYTES = 65535;
const DIRECTORY_ENTRY_BYTES = 46;
const LOCAL_HEAD_BYTES = 30;
const END_MAGIC = 0x06054b50;
const DIRECTORY_MAGIC = 0x02014b50;
const LOCAL_MAGIC = 0x04034b50;
/** In a field of 32 bits: the number is in a zip64 record. */
const ZIP64 = 0xffffffff;
const SHOWN_NAMES = 10;

export interface ZipEntry {
  readonly name: string;
  readonly method: number;
  readonly packedBytes: number;
  readonly headAt: number;
}

/** `archive.zip:entry` names one trace of an archive. A file whose own name has a colon is that file. */
export function splitMember(file: string): { readonly path: string; readonly member: string | null } {
  if (existsSync(file)) return { path: file, member: null };
  for (let at = file.indexOf(":"); at >= 0; at = file.indexOf(":", at + 1)) {
    const path = file.slice(0, at);
    if (statSync(path, { throwIfNoEntry: false })?.isFile()) return { path, member: file.slice(at + 1) };
  }
  return { path: file, member: null };
}

/** Each file that is a zip with several traces becomes `file:entry` for each of them; other files stay as they are. */
export async function expandArchives(files: readonly string[]): Promise<string[]> {
  const expanded = await Promise.all(files.map(membersOf));
  return expanded.flat();
}

async function membersOf(file: string): Promise<string[]> {
  if (!statSync(file, { throwIfNoEntry: false })?.isFile()) return [file];
  const handle = await open(file);
  try {
    const magic = await bytesAt(handle, 0, 4);
    if (magic.length < 4 || magic.readUInt32LE(0) !== LOCAL_MAGIC) return [file];
  } finally {
    await handle.close();
  }
  const entries = await zipEntries(file, file);
  return entries.length < 2 ? [file] : entries.map(({ name }) => `${file}:${name}`);
}

/**
 * The bytes of the one trace in the archive at `path`, or of the one called `member`.
 * @throws TraceError if it holds several and none is named, none at all, or one packed in a way that is not read here
 */
export async function* zipTrace(path: string, member: string | null, file: string): AsyncGenerator<Uint8Array> {
  const entries = await zipEntries(path, file);
  const entry = member === null ? onlyEntry(entries, file) : namedEntry(entries, member, file);
  if (entry.method !== DEFLATED && entry.method !== STORED) {
    throw new TraceError(file, 0, "a zip entry packed by deflate", `method ${entry.method}`);
  }
  const start = await dataStart(path, entry, file);
  if (entry.packedBytes === 0) return;
  const packed = createReadStream(path, { start, end: start + entry.packedBytes - 1, highWaterMark: CHUNK_BYTES });
  if (entry.method === STORED) {
    yield* packed as AsyncIterable<Uint8Array>;
    return;
  }
  const inflate = createInflateRaw({ chunkSize: CHUNK_BYTES });
  packed.on("error", (error) => inflate.destroy(error));
  yield* packed.pipe(inflate) as AsyncIterable<Uint8Array>;
}

/** The same for an archive that comes as a stream: its directory is at the end, so it goes through a temporary file. */
export async function* zipTraceOfStream(chunks: AsyncIterable<Uint8Array>, file: string): AsyncGenerator<Uint8Array> {
  const path = join(tmpdir(), `refheap-${randomBytes(8).toString("hex")}.zip`);
  try {
    await pipeline(Readable.from(chunks, { objectMode: true }), createWriteStream(path, { flags: "wx", mode: 0o600 }));
    yield* zipTrace(path, null, file);
  } finally {
    rmSync(path, { force: true });
  }
}

function onlyEntry(entries: readonly ZipEntry[], file: string): ZipEntry {
  if (entries.length === 1) return entries[0];
  throw new TraceError(
    file,
    0,
    'one trace, or its name as in "archive.zip:name"',
    `${entries.length} of them${names(entries)}`,
  );
}

function namedEntry(entries: readonly ZipEntry[], member: string, file: string): ZipEntry {
  const entry = entries.find(({ name }) => name === member);
  if (entry !== undefined) return entry;
  throw new TraceError(file, 0, `an entry "${member}" in the zip`, `${entries.length} others${names(entries)}`);
}

function names(entries: readonly ZipEntry[]): string {
  if (entries.length === 0) return "";
  const shown = entries.slice(0, SHOWN_NAMES).map(({ name }) => name);
  return `: ${shown.join(", ")}${entries.length > SHOWN_NAMES ? ", …" : ""}`;
}

/** The archive's files, in its order; folders and what a Mac adds are no traces. @see PKWARE's APPNOTE.TXT 4.3.12, 4.3.16 */
async function zipEntries(path: string, file: string): Promise<ZipEntry[]> {
  const handle = await open(path);
  try {
    const { size } = await handle.stat();
    const tailStart = Math.max(0, size - END_RECORD_BYTES - MAX_COMMENT_BYTES);
    const tail = await bytesAt(handle, tailStart, size - tailStart);
    let end = tail.length - END_RECORD_BYTES;
    while (end >= 0 && tail.readUInt32LE(end) !== END_MAGIC) end--;
    if (end < 0) throw new TraceError(file, 0, "a zip's directory", "the end of the file: the archive is cut short");
    const directoryBytes = tail.readUInt32LE(end + 12);
    const directoryAt = tail.readUInt32LE(end + 16);
    if (directoryAt === ZIP64)
      throw new TraceError(file, 0, "a zip of less than 4 GiB", "a zip64 archive: unzip it first");
    return directoryEntries(await bytesAt(handle, directoryAt, directoryBytes), file);
  } finally {
    await handle.close();
  }
}

function directoryEntries(directory: Buffer, file: string): ZipEntry[] {
  const entries: ZipEntry[] = [];
  for (let at = 0; at + DIRECTORY_ENTRY_BYTES <= directory.length; ) {
    if (directory.readUInt32LE(at) !== DIRECTORY_MAGIC)
      throw new TraceError(file, 0, "a zip's directory", "other bytes");
    const nameBytes = directory.readUInt16LE(at + 28);
    const name = directory.toString("utf8", at + DIRECTORY_ENTRY_BYTES, at + DIRECTORY_ENTRY_BYTES + nameBytes);
    const entry = {
      name,
      method: directory.readUInt16LE(at + 10),
      packedBytes: directory.readUInt32LE(at + 20),
      headAt: directory.readUInt32LE(at + 42),
    };
    if (entry.packedBytes === ZIP64 || entry.headAt === ZIP64) {
      throw new TraceError(file, 0, "a zip of less than 4 GiB", "a zip64 archive: unzip it first");
    }
    if (!name.endsWith("/") && !name.startsWith("__MACOSX/")) entries.push(entry);
    at += DIRECTORY_ENTRY_BYTES + nameBytes + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32);
  }
  return entries;
}

/** Where an entry's bytes begin: behind its own head, whose name and extra field may be of other lengths than the directory's. */
async function dataStart(path: string, { headAt }: ZipEntry, file: string): Promise<number> {
  const handle = await open(path);
  try {
    const head = await bytesAt(handle, headAt, LOCAL_HEAD_BYTES);
    if (head.length < LOCAL_HEAD_BYTES || head.readUInt32LE(0) !== LOCAL_MAGIC) {
      throw new TraceError(file, 0, "a zip's entry", "other bytes where its directory points");
    }
    return headAt + LOCAL_HEAD_BYTES + head.readUInt16LE(26) + head.readUInt16LE(28);
  } finally {
    await handle.close();
  }
}

async function bytesAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(bytes, filled, length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}
