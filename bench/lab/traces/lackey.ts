// T4: Valgrind Lackey's --trace-mem=yes: loads and stores by address, no allocations.
// Its pages are folded, in order of first touch, into large blocks that the parser allocates as it goes.
import { BlockNames } from "../../../allocator/record/block-names.ts";
import { type EventBatch, MALLOC, READ, WRITE } from "../../../allocator/record/events.ts";
import type { LineParser } from "./lines.ts";
import { Scanner } from "./scan.ts";
import type { TraceTally } from "./tally.ts";

const PAGE_BITS = 12;
const PAGE_BYTES = 2 ** PAGE_BITS;
/** Pages of one block: 1 MiB, so that each is a large allocation with a mapping of its own. */
export const LACKEY_BLOCK_PAGES = 256;
const COMMA = 44;
const EQUALS = 61;
const MINUS = 45;
const LETTER_I = 73;
const LETTER_L = 76;
const LETTER_S = 83;
const LETTER_M = 77;
const EXPECTED = '"I  ADDRESS,SIZE", " L ADDRESS,SIZE", " S ADDRESS,SIZE" or " M ADDRESS,SIZE"';

/**
 * Parses T4. Page n in order of first touch is page n % 256 of block ⌊n / 256⌋. Fetches of instructions are counted, not
 * replayed: code is mapped from files. A modify (`M`) is a read and a write.
 */
export class LackeyParser implements LineParser {
  private readonly pages = new BlockNames();
  private readonly scanner = new Scanner();
  private readonly tally: TraceTally;
  private blockCount = 0;

  constructor(tally: TraceTally) {
    this.tally = tally;
  }

  readonly eventForm = '" L ADDRESS,SIZE"';

  parseLine(bytes: Uint8Array, start: number, end: number, batch: EventBatch): string {
    const scanner = this.scanner;
    scanner.setLine(bytes, start, end);
    const first = scanner.atEnd ? EQUALS : bytes[scanner.position];
    // `==PID== text` and `--PID-- text` are Valgrind's own.
    if (first === EQUALS || first === MINUS) {
      this.tally.ignoredLines++;
      return "";
    }
    scanner.position++;
    if (!scanner.blanks() || !scanner.hex64()) return EXPECTED;
    const { low, high } = scanner;
    const size = scanner.take(COMMA) ? scanner.decimal() : -1;
    if (size < 0 || size > PAGE_BYTES || !scanner.atEnd) return EXPECTED;
    if (first === LETTER_I) this.tally.ignoredLines++;
    else if (first === LETTER_L) this.touch(READ, low, high, size, batch);
    else if (first === LETTER_S) this.touch(WRITE, low, high, size, batch);
    else if (first === LETTER_M) {
      this.touch(READ, low, high, size, batch);
      this.touch(WRITE, low, high, size, batch);
    } else return EXPECTED;
    return "";
  }

  /** One event for each page touched; an access may cross into the next. */
  private touch(kind: number, low: number, high: number, size: number, batch: EventBatch): void {
    const offset = low & (PAGE_BYTES - 1);
    const here = Math.min(size, PAGE_BYTES - offset);
    this.touchPage(kind, low, high, here, batch);
    if (here === size) return;
    const next = (low - offset + PAGE_BYTES) >>> 0;
    this.touchPage(kind, next, next === 0 ? (high + 1) >>> 0 : high, size - here, batch);
  }

  private touchPage(kind: number, low: number, high: number, size: number, batch: EventBatch): void {
    const pageLow = ((low >>> PAGE_BITS) | (high << (32 - PAGE_BITS))) >>> 0;
    const pageHigh = high >>> PAGE_BITS;
    let page = this.pages.find(pageLow, pageHigh);
    if (page < 0) {
      page = this.pages.add(pageLow, pageHigh);
      if (page === this.blockCount * LACKEY_BLOCK_PAGES) {
        batch.push(MALLOC, 0, this.blockCount++, LACKEY_BLOCK_PAGES * PAGE_BYTES, 0);
      }
    }
    const offset = (page % LACKEY_BLOCK_PAGES) * PAGE_BYTES + (low & (PAGE_BYTES - 1));
    batch.push(kind, 0, Math.floor(page / LACKEY_BLOCK_PAGES), size, offset);
  }
}
