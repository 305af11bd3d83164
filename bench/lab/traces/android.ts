// T1: Android's memory_replay text traces, `TID: malloc PTR SIZE`, one call a line.
// Addresses become block ids in block-events.ts.

import { ALIGNED, CALLOC, type EventBatch, MALLOC, THREAD_END } from "../../../allocator/record/events.ts";
import { BlockEvents } from "./block-events.ts";
import type { LineParser } from "./lines.ts";
import { Scanner } from "./scan.ts";
import type { TraceTally } from "./tally.ts";

const COLON = 58;
const MAX_THREAD = 0xffffffff;
/** Numbers that may follow the times of a free or a realloc. */
const PRESENT_BYTES = 1;
const WORDS = {
  malloc: Buffer.from("malloc"),
  calloc: Buffer.from("calloc"),
  realloc: Buffer.from("realloc"),
  memalign: Buffer.from("memalign"),
  free: Buffer.from("free"),
  threadDone: Buffer.from("thread_done"),
};

/**
 * Parses T1, each entry that AOSP's libmemory_trace reads or writes. Start and end times, and the bytes that were resident
 * when a block was freed or moved (PRESENT_BYTES), are checked and dropped.
 * @see AOSP system/extras/memory_replay/MemoryTrace.cpp, FillInEntryFromString and FormatEntry
 */
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

  readonly eventForm = '"TID: malloc POINTER SIZE"';

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
    if (!this.pointer() || !this.numbers(1, this.isNull)) return '"malloc POINTER SIZE"';
    this.blocks.allocate(batch, MALLOC, thread, this.low, this.high, this.first, 0);
    return "";
  }

  private calloc(thread: number, batch: EventBatch): string {
    if (!this.pointer() || !this.numbers(2, this.isNull)) return '"calloc POINTER COUNT SIZE"';
    this.blocks.allocate(batch, CALLOC, thread, this.low, this.high, this.second, this.first);
    return "";
  }

  private memalign(thread: number, batch: EventBatch): string {
    if (!this.pointer() || !this.numbers(2, this.isNull)) return '"memalign POINTER ALIGNMENT SIZE"';
    this.blocks.allocate(batch, ALIGNED, thread, this.low, this.high, this.second, this.first);
    return "";
  }

  private free(thread: number, batch: EventBatch): string {
    if (!this.pointer() || !this.numbers(0, false, PRESENT_BYTES)) return '"free POINTER"';
    this.blocks.release(batch, thread, this.low, this.high);
    return "";
  }

  private realloc(thread: number, batch: EventBatch): string {
    const parsedNew = this.pointer();
    const { low, high } = this;
    const toNull = (low | high) === 0;
    if (!parsedNew || !this.pointer() || !this.numbers(1, toNull, PRESENT_BYTES)) {
      return '"realloc NEW_POINTER OLD_POINTER SIZE"';
    }
    const fromNull = (this.low | this.high) === 0;
    if (fromNull) this.blocks.allocate(batch, MALLOC, thread, low, high, this.first, 0);
    else if (toNull && this.first === 0) this.blocks.release(batch, thread, this.low, this.high);
    else if (toNull) this.tally.failedCalls++;
    else this.blocks.arrive(batch, thread, this.blocks.leave(this.low, this.high), low, high, this.first);
    return "";
  }

  private threadDone(thread: number, batch: EventBatch): string {
    const { scanner } = this;
    const isRight =
      this.pointer() && scanner.blanks() && (scanner.atEnd || (scanner.passInteger() && scanner.blanks()));
    if (!isRight || !scanner.atEnd) return '"thread_done 0x0" or "thread_done 0x0 END_NS"';
    batch.push(THREAD_END, thread, 0, 0, 0);
    return "";
  }

  private pointer(): boolean {
    if (!this.scanner.blanks() || !this.scanner.hex64()) return false;
    this.low = this.scanner.low;
    this.high = this.scanner.high;
    return true;
  }

  private get isNull(): boolean {
    return (this.low | this.high) === 0;
  }

  /**
   * `count` numbers into `first` and `second`, then nothing, two times, or two times and `more` numbers. Only a call that
   * `failed` may have asked for more than 2^53 bytes.
   */
  private numbers(count: number, failed: boolean, more = 0): boolean {
    const scanner = this.scanner;
    for (let index = 0; index < count; index++) {
      const value = scanner.blanks() ? scanner.wideDecimal() : -1;
      if (value < 0 || (value > Number.MAX_SAFE_INTEGER && !failed)) return false;
      if (index === 0) this.first = value;
      else this.second = value;
    }
    if (!scanner.blanks()) return false;
    if (scanner.atEnd) return true;
    if (!scanner.passInteger() || !scanner.blanks() || !scanner.passInteger() || !scanner.blanks()) return false;
    for (let index = 0; index < more && !scanner.atEnd; index++) {
      if (!scanner.passInteger() || !scanner.blanks()) return false;
    }
    return scanner.atEnd;
  }
}
