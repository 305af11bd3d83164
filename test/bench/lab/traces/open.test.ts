// Opening traces: detection by content, packing, and input that no parser should stumble over.
import { deflateRawSync, gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { MAX_LINE_BYTES } from "../../../../bench/lab/traces/lines.ts";
import { openTrace } from "../../../../bench/lab/traces/open.ts";
import { encodeTrace } from "../../../../bench/lab/traces/write.ts";
import { batchesOf, bytesOf, eventsOf, inChunks, readAll, traceOf } from "./events-of.ts";

const TEXT = "refheap-trace 1\n0 malloc 0 100\n0 free 0\n";
const EVENTS = ["0 malloc 0 100", "0 free 0"];

test.each([
  ["android", "12: malloc 0x10 5\n"],
  ["mtrace", "= Start\n"],
  ["mtrace", "@ ./a.out:[0x1] + 0x10 0x8\n"],
  ["rep", "20000\n1\n0\n1\n"],
  ["lackey", "==1== Lackey\n"],
  ["lackey", "I  04001090,3\n"],
  ["text", TEXT],
  ["text", "\n# a comment\nrefheap-trace 1\n"],
  ["empty", ""],
  ["empty", "\n\r\n\n"],
])("a trace is detected as %s", async (format, text) => {
  expect((await traceOf(text)).format).toBe(format);
});

test("the binary format is detected by its magic bytes", async () => {
  const bytes = await bytesOf(encodeTrace(batchesOf([]), "binary"));
  expect((await traceOf(bytes)).format).toBe("binary");
  expect(await eventsOf(bytes)).toEqual([]);
});

test("what is no trace is refused with the formats that are", async () => {
  await expect(traceOf("hello\n")).rejects.toThrow(
    'a.trace:1: expected a trace (android, mtrace, rep, lackey, binary, text), found "hello"',
  );
});

test("gzip, gzip in several members, gzip twice and a zip are unpacked", async () => {
  const [first, second] = [TEXT.slice(0, 20), TEXT.slice(20)];
  for (const packed of [
    gzipSync(TEXT),
    Buffer.concat([gzipSync(first), gzipSync(second)]),
    gzipSync(gzipSync(TEXT)),
    zipOf(TEXT),
  ]) {
    expect(await eventsOf(packed)).toEqual(EVENTS);
  }
});

/** A zip with one entry, as `zip` writes it, but for the central directory, which is not read. */
function zipOf(text: string): Buffer {
  const head = Buffer.alloc(30);
  head.write("PK\x03\x04", "latin1");
  head.writeUInt16LE(8, 8);
  head.writeUInt16LE(5, 26);
  return Buffer.concat([head, Buffer.from("a.txt"), deflateRawSync(text), Buffer.from("PK\x01\x02 and so on")]);
}

test("a gzip cut in the middle is an error, not a crash", async () => {
  const packed = gzipSync(TEXT.repeat(100));
  await expect(eventsOf(packed.subarray(0, packed.length - 12))).rejects.toThrow(
    "a.trace: expected packed data that can be unpacked, found unexpected end of file",
  );
});

test("zstd is read or refused with advice", async () => {
  const magic = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0, 0, 0, 0);
  await expect(traceOf(magic).then(readAll)).rejects.toThrow(/zstd -d|packed data that can be unpacked/);
});

test("lines may end in CRLF, and the last one in nothing", async () => {
  expect(await eventsOf(TEXT.replaceAll("\n", "\r\n").trimEnd())).toEqual(EVENTS);
});

test("lines are whole however the chunks fall", async () => {
  for (let chunkBytes = 1; chunkBytes < TEXT.length; chunkBytes++) {
    expect(await readAll(await traceOf(TEXT, {}, chunkBytes))).toEqual(EVENTS);
  }
});

test("a line of 1 MB is read or named as bad, and never breaks the reader", async () => {
  const megabyte = "x".repeat(2 ** 20);
  expect(await eventsOf(`refheap-trace 1\n# ${megabyte}\n0 malloc 0 100\n0 free 0\n`)).toEqual(EVENTS);
  await expect(eventsOf(`refheap-trace 1\n${megabyte}\n`)).rejects.toThrow('found "xxx');
});

test("a line longer than the limit is passed over as one bad line", async () => {
  const long = "x".repeat(MAX_LINE_BYTES + 70_000);
  await expect(eventsOf(`refheap-trace 1\n${long}\n`)).rejects.toThrow(
    "a.trace:2: expected a line of at most 4194304 bytes",
  );
  const trace = await traceOf(`refheap-trace 1\n${long}\n0 malloc 0 100\n0 free 0\n`, { skipBad: true });
  expect(await readAll(trace)).toEqual(EVENTS);
  expect(trace.tally).toMatchObject({ skipped: 1, lines: 4 });
});

test("bytes that are no text at all are bad lines", async () => {
  const noise = Uint8Array.from({ length: 5000 }, (_, index) => (index * 7919) % 256);
  for (const format of ["android", "mtrace", "rep", "lackey", "text"] as const) {
    const trace = await traceOf(noise, { format, skipBad: true });
    await readAll(trace);
    expect(trace.tally.skipped).toBeGreaterThan(0);
  }
  await expect(eventsOf(noise, { format: "binary" })).rejects.toThrow("a trace's magic bytes");
});

test("a missing file gives Node's own error", async () => {
  await expect(openTrace("no/such/file")).rejects.toThrow("ENOENT");
});

test("progress counts the bytes of the file", async () => {
  let read = 0;
  const trace = await traceOf(TEXT, { onProgress: (bytes) => (read = bytes) }, 7);
  await readAll(trace);
  expect(read).toBe(TEXT.length);
});

test("half a million lines go through in bounded memory", async () => {
  const bytes = Buffer.from("0 malloc 0 100\n0 free 0\n".repeat(1000));
  async function* many(): AsyncGenerator<Uint8Array> {
    yield Buffer.from("refheap-trace 1\n");
    for (let round = 0; round < 250; round++) yield* inChunks(bytes);
  }
  const { openTraceStream } = await import("../../../../bench/lab/traces/open.ts");
  const trace = await openTraceStream(many(), "long");
  let events = 0;
  for await (const batch of trace.batches) events += batch.count;
  expect(events).toBe(500_000);
});
