// T1: Android's memory_replay text traces, `TID: malloc PTR SIZE`, one call a line.
// Addresses become block ids in block-events.ts.

import { ALIGNED, CALLOC, type EventBatch, MALLOC, THREAD_END } from "../../../allocator/record/events.ts";
import { BlockEvents } from "./block-events.ts";
import type { LineParser } from "./lines.ts";
import { Scanner } from "./scan.ts";
import type { TraceTally } from "./tally.ts";

const COLON = 58;
const MAX_THREAD = 0xffffffff;
const WORDS = {
  malloc: Buffer.from("malloc"),
  calloc: Buffer.from("calloc"),
  realloc: Buffer.from("realloc"),
  memalign: Buffer.from("memalign"),
  free: Buffer.from("free"),
  threadDone: Buffer.from("thread_done"),
};

/** Parses T1. Start and end times, which newer traces put at the end of a line, are checked and dropped. */
export class AndroidParser implements LineParser {
  private readonly blocks: BlockEvents;
  private readonly scanner = new Scanner();
  private readonly tally: TraceTally;
  /** Address and numbers of the line at hand. */
  private low = 0;
  private high = 0;
  private first = 0;
  private second = 0;

  constructor(tally: TraceTally) {
    this.tally = tally;
    this.blocks = new BlockEvents(tally);
  }

  parseLine(bytes: Uint8Array, start: number, end: number, batch: EventBatch): string {
    const scanner = this.scanner;
    scanner.setLine(bytes, start, end);
    if (scanner.atEnd) {
      this.tally.ignoredLines++;
      return "";
    }
    const thread = scanner.decimal();
    const headed = thread >= 0 && thread <= MAX_THREAD && scanner.take(COLON) && scanner.blanks();
    if (headed && scanner.takeWord(WORDS.malloc)) return this.malloc(thread, batch);
    if (headed && scanner.takeWord(WORDS.free)) return this.free(thread, batch);
    if (headed && scanner.takeWord(WORDS.realloc)) return this.realloc(thread, batch);
    if (headed && scanner.takeWord(WORDS.calloc)) return this.calloc(thread, batch);
    if (headed && scanner.takeWord(WORDS.memalign)) return this.memalign(thread, batch);
    if (headed && scanner.takeWord(WORDS.threadDone)) return this.threadDone(thread, batch);
    return '"TID: malloc|calloc|realloc|memalign|free|thread_done POINTER …"';
  }

  private malloc(thread: number, batch: EventBatch): string {
    if (!this.pointer() || !this.numbers(1)) return '"malloc POINTER SIZE"';
    this.blocks.allocate(batch, MALLOC, thread, this.low, this.high, this.first, 0);
    return "";
  }

  private calloc(thread: number, batch: EventBatch): string {
    if (!this.pointer() || !this.numbers(2)) return '"calloc POINTER COUNT SIZE"';
    this.blocks.allocate(batch, CALLOC, thread, this.low, this.high, this.second, this.first);
    return "";
  }

  private memalign(thread: number, batch: EventBatch): string {
    if (!this.pointer() || !this.numbers(2)) return '"memalign POINTER ALIGNMENT SIZE"';
    this.blocks.allocate(batch, ALIGNED, thread, this.low, this.high, this.second, this.first);
    return "";
  }

  private free(thread: number, batch: EventBatch): string {
    if (!this.pointer() || !this.numbers(0)) return '"free POINTER"';
    this.blocks.release(batch, thread, this.low, this.high);
    return "";
  }

  private realloc(thread: number, batch: EventBatch): string {
    const parsedNew = this.pointer();
    const { low, high } = this;
    if (!parsedNew || !this.pointer() || !this.numbers(1)) return '"realloc NEW_POINTER OLD_POINTER SIZE"';
    const fromNull = (this.low | this.high) === 0;
    const toNull = (low | high) === 0;
    if (fromNull) this.blocks.allocate(batch, MALLOC, thread, low, high, this.first, 0);
    else if (toNull && this.first === 0) this.blocks.release(batch, thread, this.low, this.high);
    else if (toNull) this.tally.failedCalls++;
    else this.blocks.arrive(batch, thread, this.blocks.leave(this.low, this.high), low, high, this.first);
    return "";
  }

  private threadDone(thread: number, batch: EventBatch): string {
    if (!this.pointer() || !this.numbers(0)) return '"thread_done 0x0"';
    batch.push(THREAD_END, thread, 0, 0, 0);
    return "";
  }

  private pointer(): boolean {
    if (!this.scanner.blanks() || !this.scanner.hex64()) return false;
    this.low = this.scanner.low;
    this.high = this.scanner.high;
    return true;
  }

  /** `count` numbers into `first` and `second`, then nothing or two times. */
  private numbers(count: number): boolean {
    const scanner = this.scanner;
    for (let index = 0; index < count; index++) {
      const value = scanner.blanks() ? scanner.decimal() : -1;
      if (value < 0) return false;
      if (index === 0) this.first = value;
      else this.second = value;
    }
    if (!scanner.blanks()) return false;
    if (scanner.atEnd) return true;
    return scanner.decimal() >= 0 && scanner.blanks() && scanner.decimal() >= 0 && scanner.blanks() && scanner.atEnd;
  }
}
