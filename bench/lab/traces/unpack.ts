// Undoes packing by content: gzip (also several members), zstd where this Node has it, the first entry of a zip.
// Android's traces are most often zipped. Up to three layers are undone.
import { Readable } from "node:stream";
import * as zlib from "node:zlib";
import { ByteQueue } from "./byte-queue.ts";
import { TraceError } from "./trace-error.ts";

const MAX_LAYERS = 3;
const OUTPUT_CHUNK_BYTES = 2 ** 18;
const MAGIC_BYTES = 4;
const ZIP_LOCAL_HEAD_BYTES = 30;
const ZIP_DEFLATE = 8;
const ZIP_STORED = 0;

/** The bytes as a queue, unpacked. Broken packing throws a TraceError when it is reached. */
export async function unpack(chunks: AsyncIterable<Uint8Array>, file: string): Promise<ByteQueue> {
  let queue = new ByteQueue(chunks);
  for (let layer = 0; layer < MAX_LAYERS; layer++) {
    const stream = await unpacker(queue, file);
    if (stream === null) return queue;
    queue = new ByteQueue(through(queue.rest(), stream, file));
  }
  return queue;
}

/** A stream that undoes the packing that the queue begins with, or null if it is not packed. */
async function unpacker(queue: ByteQueue, file: string): Promise<NodeJS.ReadWriteStream | null> {
  const magic = Buffer.from(await queue.peek(MAGIC_BYTES)).toString("hex");
  if (magic.startsWith("1f8b")) return zlib.createGunzip({ chunkSize: OUTPUT_CHUNK_BYTES });
  if (magic === "28b52ffd") return zstd(file);
  if (magic === "504b0304") return zipEntry(queue, file);
  return null;
}

function zstd(file: string): NodeJS.ReadWriteStream {
  const create = (zlib as { createZstdDecompress?: () => NodeJS.ReadWriteStream }).createZstdDecompress;
  if (create === undefined) {
    throw new TraceError(
      file,
      0,
      "gzip or no packing",
      `zstd, which Node ${process.versions.node} cannot read (22.15 can): unpack it with "zstd -d" first`,
    );
  }
  return create();
}

/** Takes the local head of a zip's first entry off the queue. */
async function zipEntry(queue: ByteQueue, file: string): Promise<NodeJS.ReadWriteStream> {
  const head = await queue.take(ZIP_LOCAL_HEAD_BYTES);
  if (head === null) throw new TraceError(file, 0, "a zip's first entry", "the end of the file");
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const method = view.getUint16(8, true);
  const nameAndExtraBytes = view.getUint16(26, true) + view.getUint16(28, true);
  if (method !== ZIP_DEFLATE) {
    const found = method === ZIP_STORED ? "an entry that is stored: unzip it first" : `method ${method}`;
    throw new TraceError(file, 0, "a zip entry packed by deflate", found);
  }
  if ((await queue.take(nameAndExtraBytes)) === null) {
    throw new TraceError(file, 0, "a zip's first entry", "the end of the file");
  }
  return zlib.createInflateRaw({ chunkSize: OUTPUT_CHUNK_BYTES });
}

async function* through(
  chunks: AsyncIterable<Uint8Array>,
  stream: NodeJS.ReadWriteStream,
  file: string,
): AsyncGenerator<Uint8Array> {
  const source = Readable.from(chunks, { objectMode: true });
  source.on("error", (error) => (stream as unknown as Readable).destroy(error));
  source.pipe(stream);
  try {
    for await (const chunk of stream as unknown as AsyncIterable<Uint8Array>) yield chunk;
  } catch (error) {
    if (error instanceof TraceError || (error as NodeJS.ErrnoException).code?.startsWith("Z_") !== true) throw error;
    throw new TraceError(file, 0, "packed data that can be unpacked", (error as Error).message);
  } finally {
    source.destroy();
  }
}
