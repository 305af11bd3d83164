// T2: what glibc's mtrace() writes: `@ CALLER + PTR SIZE`, one or two lines a call, sizes in hexadecimal.
// Addresses become block ids in block-events.ts.

import { type EventBatch, MALLOC } from "../../../allocator/record/events.ts";
import { BlockEvents } from "./block-events.ts";
import type { LineParser } from "./lines.ts";
import { isBlank, Scanner } from "./scan.ts";
import type { CallSites } from "./sites.ts";
import type { TraceTally } from "./tally.ts";

const AT = 64;
const EQUALS = 61;
const PLUS = 43;
const MINUS = 45;
const LESS = 60;
const GREATER = 62;
const BANG = 33;
/** Reallocs begun and not ended, at most: as many as threads may be inside realloc together. */
const MAX_PENDING = 1024;
const EXPECTED = '"= Start", "= End" or "@ CALLER" and "+ PTR SIZE", "- PTR", "< PTR", "> PTR SIZE" or "! PTR SIZE"';

/**
 * Parses T2. The trace knows no threads. A line is read from its end, for a caller may be anything.
 * `<` and `>` belong together: same caller first, else the oldest one open.
 */
export class MtraceParser implements LineParser {
  private readonly blocks: BlockEvents;
  private readonly scanner = new Scanner();
  private readonly tally: TraceTally;
  private readonly sites: CallSites;
  private readonly pendingIds: number[] = [];
  private readonly pendingCallers: string[] = [];
  /** Size of the line at hand. */
  private size = 0;

  constructor(tally: TraceTally, sites: CallSites) {
    this.tally = tally;
    this.sites = sites;
    this.blocks = new BlockEvents(tally);
  }

  readonly eventForm = '"@ CALLER + PTR SIZE"';

  parseLine(bytes: Uint8Array, start: number, end: number, batch: EventBatch): string {
    while (end > start && isBlank(bytes[end - 1])) end--;
    while (start < end && isBlank(bytes[start])) start++;
    if (start === end || bytes[start] === EQUALS) {
      this.tally.ignoredLines++;
      return start === end || isBanner(bytes, start, end) ? "" : EXPECTED;
    }
    const last = lastWord(bytes, start, end);
    const afterMiddle = beforeBlanks(bytes, start, last);
    const middle = lastWord(bytes, start, afterMiddle);
    const shortSign = signAt(bytes, middle, afterMiddle);
    if ((shortSign === MINUS || shortSign === LESS) && this.callerIsRight(bytes, start, middle)) {
      if (!this.hex(bytes, last, end)) return EXPECTED;
      const { low, high } = this.scanner;
      if (shortSign === MINUS) this.blocks.release(batch, 0, low, high);
      else this.begin(low, high, callerOf(bytes, start, afterMiddle - 1), batch);
      return "";
    }
    const afterSign = beforeBlanks(bytes, start, middle);
    const signStart = lastWord(bytes, start, afterSign);
    const sign = signAt(bytes, signStart, afterSign);
    if (!this.callerIsRight(bytes, start, signStart) || !this.hex(bytes, last, end)) return EXPECTED;
    this.size = this.scanner.wide;
    if (!this.hex(bytes, middle, afterMiddle)) return EXPECTED;
    const { low, high } = this.scanner;
    if (sign === PLUS || sign === GREATER) {
      const rows = batch.count;
      if (sign === PLUS) this.blocks.allocate(batch, MALLOC, 0, low, high, this.size, 0);
      else this.end(low, high, callerOf(bytes, start, afterSign - 1), batch);
      // The last row is the allocation: a free of a forgotten block stands before it.
      if (batch.count > rows) batch.site[batch.count - 1] = this.siteOf(bytes, start, afterSign - 1);
    } else if (sign === BANG) this.tally.failedCalls++;
    else return EXPECTED;
    return "";
  }

  finish(batch: EventBatch): string {
    while (this.pendingIds.length > 0) this.dropOldest(batch);
    return "";
  }

  private begin(low: number, high: number, caller: string, batch: EventBatch): void {
    if (this.pendingIds.length === MAX_PENDING) this.dropOldest(batch);
    this.pendingIds.push(this.blocks.leave(low, high));
    this.pendingCallers.push(caller);
  }

  private end(low: number, high: number, caller: string, batch: EventBatch): void {
    const sameCaller = this.pendingCallers.indexOf(caller);
    const index = Math.max(sameCaller, 0);
    const known = this.pendingIds.length > 0;
    if (!known) this.tally.unknownBlocks++;
    const id = known ? this.pendingIds[index] : -1;
    this.pendingIds.splice(index, 1);
    this.pendingCallers.splice(index, 1);
    this.blocks.arrive(batch, 0, id, low, high, this.size);
  }

  /** The `>` never came (a cut trace): as far as the trace knows the old block is gone. */
  private dropOldest(batch: EventBatch): void {
    this.tally.ignoredLines++;
    this.pendingCallers.shift();
    this.blocks.lose(batch, 0, this.pendingIds.shift()!);
  }

  private hex(bytes: Uint8Array, start: number, end: number): boolean {
    const scanner = this.scanner;
    scanner.bytes = bytes;
    scanner.position = start;
    scanner.end = end;
    return scanner.hex64() && scanner.atEnd;
  }

  /** The caller in `[start, end)` without the `@` in front. */
  private siteOf(bytes: Uint8Array, start: number, end: number): number {
    let from = start < end && bytes[start] === AT ? start + 1 : start;
    while (from < end && isBlank(bytes[from])) from++;
    return this.sites.ofBytes(bytes, from, beforeBlanks(bytes, from, end));
  }

  /** Before the sign stands nothing, or `@ CALLER`. */
  private callerIsRight(bytes: Uint8Array, start: number, signStart: number): boolean {
    return signStart === start || (bytes[start] === AT && isBlank(bytes[start + 1]));
  }
}

/** Where the last word of `[start, end)` begins; `end` is just after it. */
function lastWord(bytes: Uint8Array, start: number, end: number): number {
  let position = end;
  while (position > start && !isBlank(bytes[position - 1])) position--;
  return position;
}

function beforeBlanks(bytes: Uint8Array, start: number, end: number): number {
  let position = end;
  while (position > start && isBlank(bytes[position - 1])) position--;
  return position;
}

/** The byte of a word of one byte; 0 for any other word. */
function signAt(bytes: Uint8Array, start: number, end: number): number {
  return end - start === 1 ? bytes[start] : 0;
}

function callerOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString("latin1");
}

function isBanner(bytes: Uint8Array, start: number, end: number): boolean {
  return /^= (Start|End)\b/.test(callerOf(bytes, start, Math.min(end, start + 16)));
}
