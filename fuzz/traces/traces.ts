// Traces of each format with bytes altered, lines repeated, swapped or cut: the reader gives events, or a TraceError that names the
// file and the place. With `skipBad` it goes on. Either way the events are whole, and reading them twice gives the same.
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { formatBatch } from "../../allocator/record/text-writer.ts";
import { openTraceStream } from "../../bench/lab/traces/open.ts";
import { TraceError } from "../../bench/lab/traces/trace-error.ts";
import type { Fuzzer } from "../harness/fuzzer.ts";
import type { Journal } from "../harness/journal.ts";
import { traces } from "./sources.ts";

interface Edit {
  readonly kind: "byte" | "cut" | "repeat" | "swap" | "insert" | "number";
  readonly at: number;
  readonly value: number;
}

interface Program {
  readonly format: string;
  readonly edits: readonly Edit[];
  readonly chunkBytes: number;
  readonly skipBad: boolean;
  readonly isPacked: boolean;
}

const NUMBERS = [
  "0",
  "-1",
  "0x",
  "4294967296",
  "9007199254740993",
  "18446744073709551616",
  "1e9",
  "0xffffffffffffffff",
  "",
  " ",
];

const program: fc.Arbitrary<Program> = fc.record({
  format: fc.constantFrom(...Object.keys(traces)),
  edits: fc.array(
    fc.record({
      kind: fc.constantFrom("byte", "cut", "repeat", "swap", "insert", "number"),
      at: fc.nat(400),
      value: fc.nat(255),
    }),
    { maxLength: 5 },
  ),
  chunkBytes: fc.constantFrom(1, 7, 64, 65536),
  skipBad: fc.boolean(),
  isPacked: fc.boolean(),
});

function edited(bytes: Buffer, { kind, at, value }: Edit): Buffer {
  const place = at % (bytes.length + 1);
  if (kind === "byte") {
    const altered = Buffer.from(bytes);
    if (place < altered.length) altered[place] = value;
    return altered;
  }
  if (kind === "cut") return bytes.subarray(0, place);
  if (kind === "insert")
    return Buffer.concat([bytes.subarray(0, place), Buffer.of(value, value), bytes.subarray(place)]);
  const text = bytes.toString("latin1");
  if (kind === "number") {
    const numbers = [...text.matchAll(/[0-9a-f]+/g)];
    const chosen = numbers[at % Math.max(1, numbers.length)];
    if (chosen === undefined) return bytes;
    const put = NUMBERS[value % NUMBERS.length];
    return Buffer.from(text.slice(0, chosen.index) + put + text.slice(chosen.index + chosen[0].length), "latin1");
  }
  const lines = text.split("\n");
  const line = at % lines.length;
  if (kind === "repeat") lines.splice(line, 0, lines[line]);
  else [lines[line], lines[value % lines.length]] = [lines[value % lines.length], lines[line]];
  return Buffer.from(lines.join("\n"), "latin1");
}

async function* inChunks(bytes: Uint8Array, chunkBytes: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += chunkBytes) yield bytes.subarray(start, start + chunkBytes);
}

/** The events as text, and how it ended. */
async function read(bytes: Uint8Array, { chunkBytes, skipBad }: Program): Promise<string> {
  let text = "";
  try {
    const trace = await openTraceStream(inChunks(bytes, chunkBytes), "a.trace", { skipBad });
    for await (const batch of trace.batches) text += formatBatch(batch);
    return `${text}end ${JSON.stringify(trace.tally)}`;
  } catch (error) {
    if (!(error instanceof TraceError)) throw error;
    if (!error.message.includes("a.trace")) throw new Error(`the refusal names no file: ${error.message}`);
    return `${text}refused ${error.message}`;
  }
}

async function runTrace(given: Program, journal: Journal): Promise<number> {
  const source = traces[given.format];
  const bytes = given.edits.reduce(edited, Buffer.from(source, "latin1"));
  journal.note(`refheap inspect <(printf '%b' ${JSON.stringify(bytes.toString("latin1"))})`);
  const first = await read(bytes, given);
  const packed = given.isPacked && bytes.length > 0 ? gzipSync(bytes) : bytes;
  const again = await read(packed, { ...given, chunkBytes: 65536 });
  if (first !== again) throw new Error(`read in chunks of ${given.chunkBytes} bytes: ${first}\nread whole: ${again}`);
  return 2;
}

export const traceFiles: Fuzzer<Program> = { program, run: runTrace, inTests: 200 };
