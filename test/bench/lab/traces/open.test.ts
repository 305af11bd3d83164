// Opening traces: detection by content, packing, and input that no parser should stumble over.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deflateRawSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { MAX_LINE_BYTES } from "../../../../bench/lab/traces/lines.ts";
import { openTrace } from "../../../../bench/lab/traces/open.ts";
import { encodeTrace } from "../../../../bench/lab/traces/write.ts";
import { expandArchives } from "../../../../bench/lab/traces/zip.ts";
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
  ["lackey", "L 10,4\n"],
  ["lackey", "==1== Lackey, an example Valgrind tool\n==1== Command: ls\n L 10,4\n"],
  ["trace-malloc", "==1== Memcheck, a memory error detector\n"],
  ["trace-malloc", "--1-- malloc(5) = 0x10\n"],
  ["heaptrack", "v 10400 3\n+ 0\n"],
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
    'a.trace:1: expected a trace (android, mtrace, rep, lackey, binary, text, trace-malloc, heaptrack), found "hello"',
  );
});

test("gzip, gzip in several members, gzip twice and a zip are unpacked", async () => {
  const [first, second] = [TEXT.slice(0, 20), TEXT.slice(20)];
  for (const packed of [
    gzipSync(TEXT),
    Buffer.concat([gzipSync(first), gzipSync(second)]),
    gzipSync(gzipSync(TEXT)),
    zipOf({ "a.txt": TEXT }),
    zipOf({ "a.txt": TEXT }, { stored: true }),
    gzipSync(zipOf({ "a.txt": TEXT, "folder/": "", "__MACOSX/._a.txt": "x" })),
  ]) {
    expect(await eventsOf(packed)).toEqual(EVENTS);
  }
});

/** A zip as `zip` writes it when it writes to a pipe: sizes are in the directory alone. */
function zipOf(entries: Record<string, string>, { stored = false } = {}): Buffer {
  const method = stored ? 0 : 8;
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const [name, text] of Object.entries(entries)) {
    const data = stored ? Buffer.from(text) : deflateRawSync(text);
    const head = Buffer.alloc(30);
    head.write("PK\x03\x04", "latin1");
    head.writeUInt16LE(method, 8);
    head.writeUInt16LE(name.length, 26);
    head.writeUInt16LE(3, 28);
    const row = Buffer.alloc(46);
    row.write("PK\x01\x02", "latin1");
    row.writeUInt16LE(method, 10);
    row.writeUInt32LE(data.length, 20);
    row.writeUInt16LE(name.length, 28);
    row.writeUInt32LE(at, 42);
    parts.push(head, Buffer.from(name), Buffer.alloc(3), data);
    directory.push(row, Buffer.from(name));
    at += 33 + name.length + data.length;
  }
  const rows = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", "latin1");
  end.writeUInt16LE(Object.keys(entries).length, 10);
  end.writeUInt32LE(rows.length, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...parts, rows, end]);
}

describe("a zip with several traces", () => {
  const archive = zipOf({ "one.txt": TEXT, "two/b.txt": TEXT.replace("100", "200") });
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "refheap-zip-"));
    writeFileSync(join(folder, "all.zip"), archive);
    writeFileSync(join(folder, "one.zip"), zipOf({ "a.txt": TEXT }));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test("is refused with their names, from a file and from a stream", async () => {
    const message = 'expected one trace, or its name as in "archive.zip:name", found 2 of them: one.txt, two/b.txt';
    await expect(eventsOf(archive)).rejects.toThrow(message);
    await expect(openTrace(join(folder, "all.zip"))).rejects.toThrow(message);
  });

  test("gives the one that is named", async () => {
    const trace = await openTrace(`${join(folder, "all.zip")}:two/b.txt`);
    expect(await readAll(trace)).toEqual(["0 malloc 0 200", "0 free 0"]);
    await expect(openTrace(`${join(folder, "all.zip")}:three`)).rejects.toThrow('expected an entry "three" in the zip');
  });

  test("is as many traces where a command takes several", async () => {
    const [all, one] = [join(folder, "all.zip"), join(folder, "one.zip")];
    expect(await expandArchives([all, one, "no/such/file", "-"])).toEqual([
      `${all}:one.txt`,
      `${all}:two/b.txt`,
      one,
      "no/such/file",
      "-",
    ]);
  });
});

test("a zip that is cut or holds nothing is an error", async () => {
  const archive = zipOf({ "a.txt": TEXT });
  await expect(eventsOf(archive.subarray(0, archive.length - 4))).rejects.toThrow("the archive is cut short");
  await expect(eventsOf(zipOf({ "folder/": "" }))).rejects.toThrow("found 0 of them");
});

test("a name with a colon needs a zip in front of it", async () => {
  await expect(openTrace("package.json:x")).rejects.toThrow("expected a zip in front of the colon");
});

test("a gzip cut in the middle is an error, not a crash", async () => {
  const packed = gzipSync(TEXT.repeat(100));
  await expect(eventsOf(packed.subarray(0, packed.length - 12))).rejects.toThrow(
    "a.trace: expected packed data that can be unpacked, found unexpected end of file",
  );
});

describe("zstd", () => {
  /** TEXT in two frames, by zstd 1.5. */
  const packed = Buffer.from(
    "KLUv/QRY+QAAcmVmaGVhcC10cmFjZSAxCjAgbWFsbG9jIDAgMTAwCtHVEecotS/9BFhJAAAwIGZyZWUgMAq2Gq2q",
    "base64",
  );

  test("is read, in several frames too", async () => {
    expect(await eventsOf(packed)).toEqual(EVENTS);
  });

  test("that is cut or damaged is an error, not a crash", async () => {
    const expected = "a.trace: expected packed data that can be unpacked";
    await expect(eventsOf(packed.subarray(0, 20))).rejects.toThrow(expected);
    await expect(eventsOf(Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0xff, 0xff, 0, 0))).rejects.toThrow(expected);
  });
});

test.each([
  ["mtrace", "= Start\n= End\n"],
  ["lackey", "==1== Lackey, an example Valgrind tool\nI  04001090,3\n"],
  ["android", "1: free 0x0\n"],
] as const)("a file of %s without any event is no trace, with bad lines passed over too", async (format, text) => {
  await expect(eventsOf(text, { format })).rejects.toThrow(/^a.trace: expected an event, such as .* found none in/);
  await expect(eventsOf(`x\n${text}`, { format, skipBad: true })).rejects.toThrow("expected an event");
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
  for (const format of ["android", "mtrace", "rep", "lackey", "text", "trace-malloc", "heaptrack"] as const) {
    const trace = await traceOf(noise, { format, skipBad: true });
    await readAll(trace).catch((error: Error) => expect(error.message).toContain("expected an event"));
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
