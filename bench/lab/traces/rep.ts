// T3: malloclab .rep traces: four numbers, then `a ID SIZE`, `r ID SIZE`, `f ID`.
// The head's counts are held against what follows.
import { type EventBatch, FREE, MALLOC, MAX_BLOCK_ID, REALLOC } from "../../../allocator/record/events.ts";
import type { LineParser } from "./lines.ts";
import { Scanner } from "./scan.ts";
import type { TraceTally } from "./tally.ts";

const HEAD = ["the suggested heap size", "the number of ids", "the number of operations", "the weight"];
const LETTER_A = 97;
const LETTER_F = 102;
const LETTER_R = 114;
/** `f -1` is a free of null. */
const NULL_ID = Buffer.from("-1");

/** Parses T3. The first two of the head's numbers that matter, ids and operations, are checked. */
export class RepParser implements LineParser {
  private readonly scanner = new Scanner();
  private readonly tally: TraceTally;
  private readonly head: number[] = [];
  private operations = 0;

  constructor(tally: TraceTally) {
    this.tally = tally;
  }

  parseLine(bytes: Uint8Array, start: number, end: number, batch: EventBatch): string {
    const scanner = this.scanner;
    scanner.setLine(bytes, start, end);
    if (scanner.atEnd) {
      this.tally.ignoredLines++;
      return "";
    }
    if (this.head.length < HEAD.length) return this.headNumbers();
    this.operations++;
    if (scanner.take(LETTER_A)) return this.sized(MALLOC, batch) ? "" : this.expected('"a ID SIZE"');
    if (scanner.take(LETTER_R)) return this.sized(REALLOC, batch) ? "" : this.expected('"r ID SIZE"');
    if (scanner.take(LETTER_F)) return this.free(batch) ? "" : this.expected('"f ID"');
    return '"a ID SIZE", "r ID SIZE" or "f ID"';
  }

  finish(): string {
    if (this.head.length === 0 && this.tally.lines === this.tally.ignoredLines) return "";
    if (this.head.length < HEAD.length) return HEAD[this.head.length];
    const promised = this.head[2];
    return promised === this.operations ? "" : `${promised} operations, as the head says, not ${this.operations}`;
  }

  /** The four numbers stand on a line each or on one. */
  private headNumbers(): string {
    while (!this.scanner.atEnd) {
      const value = this.scanner.decimal();
      if (value < 0 || !this.scanner.blanks() || this.head.length === HEAD.length) {
        return `${HEAD[this.head.length] ?? "nothing after the weight"}, a whole number`;
      }
      this.head.push(value);
    }
    return "";
  }

  private sized(kind: number, batch: EventBatch): boolean {
    const id = this.id();
    const size = id >= 0 && !this.scanner.atEnd ? this.scanner.decimal() : -1;
    if (size < 0 || !this.scanner.atEnd) return false;
    batch.push(kind, 0, id, size, 0);
    return true;
  }

  private free(batch: EventBatch): boolean {
    const { scanner } = this;
    const { position } = scanner;
    if (scanner.blanks() && scanner.takeWord(NULL_ID)) {
      this.tally.ignoredLines++;
      return scanner.atEnd;
    }
    scanner.position = position;
    const id = this.id();
    if (id < 0 || !this.scanner.atEnd) return false;
    batch.push(FREE, 0, id, 0, 0);
    return true;
  }

  /** An id below the head's count, then a blank or the end; else −1. */
  private id(): number {
    if (!this.scanner.blanks()) return -1;
    const id = this.scanner.decimal();
    return id < 0 || id >= this.idCount || !this.scanner.blanks() ? -1 : id;
  }

  private get idCount(): number {
    return Math.min(this.head[1], MAX_BLOCK_ID + 1);
  }

  private expected(form: string): string {
    return this.idCount === 0 ? `no operations (0 ids)` : `${form} with ID from 0 to ${this.idCount - 1}`;
  }
}
