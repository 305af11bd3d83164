// T6: our own text format, the twin of the binary one: reading it, a line an event.
// Grammar in docs/traces.md; writing it and the columns of an event in allocator/record/.
import {
  ALIGNED,
  CALLOC,
  EVENT_WORDS,
  type EventBatch,
  FREE,
  MARK,
  MAX_BLOCK_ID,
  READ,
  THREAD_END,
  THREAD_START,
  WRITE,
} from "../../../allocator/record/events.ts";
import { TEXT_HEAD } from "../../../allocator/record/text-writer.ts";
import type { LineParser } from "./lines.ts";
import { Scanner } from "./scan.ts";
import type { TraceTally } from "./tally.ts";

const HASH = 35;
const MAX_THREAD = 0xffffffff;
const WORD_BYTES = EVENT_WORDS.map((word) => Buffer.from(word));
/** What follows the word, by kind. */
const OPERANDS = [
  "ID SIZE",
  "ID COUNT SIZE",
  "ID SIZE",
  "ID ALIGNMENT SIZE",
  "ID",
  "ID OFFSET LENGTH",
  "ID OFFSET LENGTH",
  "",
  "",
  '"LABEL" in JSON',
];

/** Parses T6. Everything after a `#` that begins a word is a comment, but in a mark's label. */
export class TextParser implements LineParser {
  private readonly scanner = new Scanner();
  private readonly tally: TraceTally;
  private headSeen = false;

  constructor(tally: TraceTally) {
    this.tally = tally;
  }

  parseLine(bytes: Uint8Array, start: number, end: number, batch: EventBatch): string {
    const scanner = this.scanner;
    scanner.setLine(bytes, start, end);
    if (scanner.atEnd || bytes[scanner.position] === HASH) {
      this.tally.ignoredLines++;
      return "";
    }
    if (!this.headSeen) return this.head();
    const thread = scanner.decimal();
    if (thread < 0 || thread > MAX_THREAD || !scanner.blanks()) return 'a thread number, as in "0 malloc 0 100"';
    for (let kind = 0; kind < WORD_BYTES.length; kind++) {
      if (scanner.takeWord(WORD_BYTES[kind])) {
        return this.event(kind, thread, batch) ? "" : `"THREAD ${EVENT_WORDS[kind]} ${OPERANDS[kind]}"`;
      }
    }
    return `one of ${EVENT_WORDS.join(", ")} after the thread`;
  }

  finish(): string {
    return this.headSeen || this.tally.lines === this.tally.ignoredLines ? "" : `"${TEXT_HEAD}" before the first event`;
  }

  private head(): string {
    const { scanner } = this;
    const found = scanner.takeWord(HEAD_WORD) && scanner.blanks() && scanner.decimal() === 1 && this.ended();
    this.headSeen = true;
    if (found) this.tally.ignoredLines++;
    return found ? "" : `"${TEXT_HEAD}" before the first event`;
  }

  private event(kind: number, thread: number, batch: EventBatch): boolean {
    if (kind === MARK) return this.mark(thread, batch);
    if (kind === THREAD_START || kind === THREAD_END) {
      if (!this.ended()) return false;
      batch.push(kind, thread, 0, 0, 0);
      return true;
    }
    const id = this.number();
    const offset = hasOffset(kind) ? this.number() : 0;
    const size = kind === FREE ? 0 : this.number();
    if (id < 0 || id > MAX_BLOCK_ID || offset < 0 || size < 0 || !this.ended()) return false;
    batch.push(kind, thread, id, size, offset);
    return true;
  }

  private mark(thread: number, batch: EventBatch): boolean {
    const { scanner } = this;
    scanner.blanks();
    const { bytes, position, end } = scanner;
    const label = parseLabel(Buffer.from(bytes.buffer, bytes.byteOffset + position, end - position).toString("utf8"));
    if (label === null) return false;
    batch.pushMark(thread, label);
    return true;
  }

  /** A blank and a number; −1 if there is none. */
  private number(): number {
    return this.scanner.blanks() ? this.scanner.decimal() : -1;
  }

  private ended(): boolean {
    const { scanner } = this;
    return scanner.blanks() && (scanner.atEnd || scanner.bytes[scanner.position] === HASH);
  }
}

const HEAD_WORD = Buffer.from("refheap-trace");

function hasOffset(kind: number): boolean {
  return kind === CALLOC || kind === ALIGNED || kind === READ || kind === WRITE;
}

function parseLabel(json: string): string | null {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === "string" ? value : null;
  } catch {
    return null;
  }
}
