// The binary format: round trips with the text twin, both byte orders, and damage of every kind.
import fc from "fast-check";
import { expect, test } from "vitest";
import { HEAD_BYTES } from "../../../../allocator/record/binary-layout.ts";
import { encodeHead } from "../../../../allocator/record/binary-writer.ts";
import { CALLOC, EVENT_WORDS, FREE, MALLOC, MARK, REALLOC, THREAD_START } from "../../../../allocator/record/events.ts";
import { encodeTrace } from "../../../../bench/lab/traces/write.ts";
import { batchesOf, bytesOf, eventsOf, type Row, readAll, traceOf } from "./events-of.ts";

const count = fc.oneof(fc.nat(300), fc.nat(70_000), fc.maxSafeNat());
const row: fc.Arbitrary<Row> = fc
  .record({
    kind: fc.nat(EVENT_WORDS.length - 1),
    thread: fc.oneof(fc.nat(3), fc.nat(0xffffffff)),
    id: fc.oneof(fc.nat(300), fc.nat(0xfffffffe)),
    size: count,
    offset: count,
    label: fc.string({ unit: "binary" }),
  })
  .map(normal);

/** Columns that a kind does not use are 0. */
function normal({ kind, thread, id, size, offset, label }: Required<Row>): Row {
  if (kind === MARK) return { kind, thread, id: 0, size: 0, offset: 0, label };
  if (kind >= THREAD_START) return { kind, thread, id: 0, size: 0, offset: 0 };
  if (kind === FREE) return { kind, thread, id, size: 0, offset: 0 };
  const hasOffset = kind >= CALLOC && kind !== REALLOC;
  return { kind, thread, id, size, offset: hasOffset ? offset : 0 };
}

test("any trace goes to text, to binary and back to text without loss", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(row, { maxLength: 200 }), fc.integer({ min: 1, max: 4096 }), async (rows, chunkBytes) => {
      const text = await bytesOf(encodeTrace(batchesOf(rows), "text"));
      const fromText = await traceOf(text, {}, chunkBytes);
      const binary = await bytesOf(encodeTrace(fromText.batches, "binary"));
      const fromBinary = await traceOf(binary, {}, chunkBytes);
      const back = await bytesOf(encodeTrace(fromBinary.batches, "text"));
      expect(Buffer.from(back).equals(Buffer.from(text))).toBe(true);
      expect(fromBinary.tally.events).toBe(rows.length);
    }),
    { numRuns: 100 },
  );
});

const mallocs = (length: number): Row[] =>
  Array.from({ length }, (_, id) => ({ kind: MALLOC, thread: 0, id, size: id * 3, offset: 0 }));
const binaryOf = (rows: Row[]): Promise<Uint8Array> => bytesOf(encodeTrace(batchesOf(rows), "binary"));

test("a trace of many blocks keeps every event", async () => {
  const events = await eventsOf(await binaryOf(mallocs(20_000)));
  expect(events.length).toBe(20_000);
  expect(events[19_999]).toBe("0 malloc 19999 59997");
});

test("a file cut anywhere is an error that says so", async () => {
  const whole = await binaryOf(mallocs(10));
  for (let length = 8; length < whole.length; length++) {
    await expect(eventsOf(whole.slice(0, length))).rejects.toThrow("found the end of the file");
  }
});

test("a changed byte anywhere is found", async () => {
  const whole = await binaryOf(mallocs(5));
  for (let index = 0; index < whole.length; index++) {
    const damaged = whole.slice();
    damaged[index] ^= 0x10;
    if (index >= 36 && index < HEAD_BYTES) continue; // The head's last four bytes mean nothing.
    await expect(eventsOf(damaged, { format: "binary" })).rejects.toThrow("expected");
  }
});

test("a damaged block is passed over if asked, and the others are read", async () => {
  const whole = await binaryOf(mallocs(20_000));
  whole[HEAD_BYTES + 100] ^= 1;
  const trace = await traceOf(whole, { skipBad: true });
  expect((await readAll(trace)).length).toBe(20_000 - 8192);
  expect(trace.tally).toMatchObject({ skipped: 1, firstSkipped: "a.trace: block 1: a wrong checksum" });
});

test("a file from a big-endian machine is read", async () => {
  const big = Uint8Array.from(
    // malloc 0 of 258 bytes, written with the most significant byte first.
    Buffer.from(
      `895248540d0a1a0a0102000100000000bff0000000000000bff0000000000000${crc("head")}00000000` +
        `00000001000000000000000200000000${crc("block")}0102` +
        `00000000000000000000000000000000${crc("end")}3ff0000000000000`,
      "hex",
    ),
  );
  expect(await eventsOf(big)).toEqual(["0 malloc 0 258"]);
});

/** Checksums of the three parts above, worked out by zlib's crc32 in another program. */
function crc(part: "head" | "block" | "end"): string {
  return { head: "2a18e950", block: "be6a55e1", end: "9b52b128" }[part];
}

test("a head of another version is refused", async () => {
  const head = encodeHead();
  head[10] = 2;
  await expect(eventsOf(head)).rejects.toThrow("expected version 1, found version 2");
});
