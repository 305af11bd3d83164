// Undoes packing by content: gzip (also several members), zstd (also several frames), the trace in a zip (zip.ts).
// Up to three layers are undone.
import { Readable } from "node:stream";
import * as zlib from "node:zlib";
import { ByteQueue } from "./byte-queue.ts";
import { TraceError } from "./trace-error.ts";
import { zipTrace, zipTraceOfStream } from "./zip.ts";

const MAX_LAYERS = 3;
const OUTPUT_CHUNK_BYTES = 2 ** 18;
const MAGIC_BYTES = 4;
const GZIP_MAGIC = "1f8b";
const ZSTD_MAGIC = "28b52ffd";
const ZIP_MAGIC = "504b0304";

/** Where the bytes come from. */
export interface Source {
  /** Its name in messages. */
  readonly file: string;
  /** The file on disk, if it is one: a zip is read from it in place. */
  readonly path: string | null;
  /** The entry of a zip that was asked for by name. */
  readonly member: string | null;
}

/** The bytes as a queue, unpacked. Broken packing throws a TraceError when it is reached. */
export async function unpack(chunks: AsyncIterable<Uint8Array>, source: Source): Promise<ByteQueue> {
  let queue = new ByteQueue(chunks);
  let isZip = false;
  for (let layer = 0; layer < MAX_LAYERS; layer++) {
    const magic = Buffer.from(await queue.peek(MAGIC_BYTES)).toString("hex");
    const unpacked = await unpackLayer(magic, queue, layer === 0 ? source : { ...source, path: null, member: null });
    if (unpacked === null) break;
    isZip ||= magic === ZIP_MAGIC;
    queue = new ByteQueue(named(unpacked, source.file));
  }
  if (source.member !== null && !isZip)
    throw new TraceError(source.file, 0, "a zip in front of the colon", "another file");
  return queue;
}

/** What is inside the packing that the queue begins with, or null if it is not packed. */
async function unpackLayer(
  magic: string,
  queue: ByteQueue,
  { file, path, member }: Source,
): Promise<AsyncIterable<Uint8Array> | null> {
  if (magic.startsWith(GZIP_MAGIC)) return through(queue.rest(), zlib.createGunzip({ chunkSize: OUTPUT_CHUNK_BYTES }));
  if (magic === ZSTD_MAGIC) return unzstd(queue.rest());
  if (magic !== ZIP_MAGIC) return null;
  if (path === null) return zipTraceOfStream(queue.rest(), file);
  await queue.close();
  return zipTrace(path, member, file);
}

/** Node's own decoder, from 22.15 on; before, a library's, which is loaded only then. */
async function* unzstd(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const create = (zlib as { createZstdDecompress?: () => NodeJS.ReadWriteStream }).createZstdDecompress;
  if (create !== undefined) {
    yield* through(chunks, create());
    return;
  }
  const { Decompress } = await import("fzstd");
  const decoded: Uint8Array[] = [];
  const decoder = new Decompress((chunk) => decoded.push(chunk));
  for await (const chunk of chunks) {
    // Pieces, so that what a well-packed chunk becomes is handed on before the next one is decoded.
    for (let start = 0; start < chunk.length; start += ZSTD_PIECE_BYTES) {
      push(decoder, chunk.slice(start, start + ZSTD_PIECE_BYTES), false);
      yield* decoded.splice(0);
    }
  }
  push(decoder, new Uint8Array(0), true);
  yield* decoded.splice(0);
}

const ZSTD_PIECE_BYTES = 2 ** 14;

function push(decoder: { push(chunk: Uint8Array, final: boolean): void }, chunk: Uint8Array, final: boolean): void {
  try {
    decoder.push(chunk, final);
  } catch (error) {
    throw Object.assign(new Error((error as Error).message), { code: "Z_DATA_ERROR" });
  }
}

async function* through(chunks: AsyncIterable<Uint8Array>, stream: NodeJS.ReadWriteStream): AsyncGenerator<Uint8Array> {
  const source = Readable.from(chunks, { objectMode: true });
  source.on("error", (error) => (stream as unknown as Readable).destroy(error));
  source.pipe(stream);
  try {
    yield* stream as unknown as AsyncIterable<Uint8Array>;
  } finally {
    source.destroy();
  }
}

/** A decoder's error names the file. */
async function* named(chunks: AsyncIterable<Uint8Array>, file: string): AsyncGenerator<Uint8Array> {
  try {
    yield* chunks;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    if (error instanceof TraceError || !/^(Z_|ZSTD_|ERR_ZSTD)/.test(code)) throw error;
    throw new TraceError(file, 0, "packed data that can be unpacked", (error as Error).message);
  }
}
