// Records what a program does to a heap: allocations, frees and first touches of each page of each block, as trace events.
// Where the calls are seen is heap-tap.ts; where the events go is up to the caller.
import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { TAG_UNIT } from "../../platform/hardware/layout.ts";
import { BlockNames } from "./block-names.ts";
import { EventBatch, FREE, READ, REALLOC, THREAD_END, THREAD_START, type WRITE } from "./events.ts";
import { LiveBlocks } from "./live-blocks.ts";

const PAGE_BYTES = 4096;
const READ_BIT = 1;
const WRITE_BIT = 2;

/**
 * Loads and stores are summarised: a page of a block is reported once as read and once as written, with the bytes of that
 * first access. More would not change which pages are resident, and a trace stays as long as its allocations.
 */
export class Recorder {
  private readonly names = new BlockNames();
  private readonly batch = new EventBatch();
  private readonly blocks = new LiveBlocks();
  /** Numbers of the threads seen, by any value that stands for a thread; the first is 0. */
  private readonly threads = new Map<object, number>();
  private nextThread = 0;
  private runningThread: object | null = null;
  private thread = 0;
  private isEnded = false;
  private readonly emit: (batch: EventBatch) => void;

  /** @param emit called with full batches; the batch is reused when it returns */
  constructor(emit: (batch: EventBatch) => void) {
    this.emit = emit;
  }

  /** What comes next is this thread's doing. */
  runAs(thread: object): void {
    if (thread === this.runningThread) return;
    this.runningThread = thread;
    const known = this.threads.get(thread);
    this.thread = known ?? this.nextThread++;
    if (known !== undefined) return;
    this.threads.set(thread, this.thread);
    // The first was there before the recording.
    if (this.thread > 0) this.push(THREAD_START, 0, 0, 0);
  }

  /** A thread has ended; one that did nothing before is not recorded. */
  threadEnded(thread: object): void {
    if (!this.threads.has(thread)) return;
    this.runAs(thread);
    this.push(THREAD_END, 0, 0, 0);
    this.threads.delete(thread);
    this.runningThread = null;
  }

  /** A call of this kind made a block; `offset` is calloc's count or the alignment. Address 0: it failed, nothing is recorded. */
  made(kind: number, address: Address, size: ByteCount, offset: number, bytes = size): void {
    if (address === 0) return;
    const start = address % TAG_UNIT;
    const id = this.names.add(...words(start));
    this.blocks.insert({ id, start, size: bytes, touched: new Uint8Array(pagesOf(start, bytes)) });
    this.push(kind, id, size, offset);
  }

  /** A block was freed; null and unknown addresses are not recorded. */
  freed(address: Address): void {
    const block = this.blocks.remove(address % TAG_UNIT);
    if (block === null) return;
    this.names.remove(...words(block.start));
    this.push(FREE, block.id, 0, 0);
  }

  /** A block has a new size, and perhaps a new address. @returns false for an unknown block, which is not recorded */
  moved(oldAddress: number, address: Address, size: ByteCount): boolean {
    const old = this.blocks.remove(oldAddress % TAG_UNIT);
    if (old === null) return false;
    const start = address % TAG_UNIT;
    this.names.detach(...words(old.start));
    this.names.attach(...words(start), old.id);
    const touched = new Uint8Array(pagesOf(start, size));
    touched.set(old.touched.subarray(0, touched.length));
    this.blocks.insert({ id: old.id, start, size, touched });
    this.push(REALLOC, old.id, size, 0);
    return true;
  }

  /** An access of the program; what lies in no block is not recorded. */
  accessed(kind: typeof READ | typeof WRITE, address: Address, length: ByteCount): void {
    // A program may keep the memory that it was given while it was recorded.
    if (this.isEnded) return;
    const start = address % TAG_UNIT;
    const block = this.blocks.at(start);
    if (block === null) return;
    const bit = kind === READ ? READ_BIT : WRITE_BIT;
    const firstPage = Math.floor(block.start / PAGE_BYTES);
    const end = Math.min(start + length, block.start + block.size);
    for (let at = start; at < end; ) {
      const page = Math.floor(at / PAGE_BYTES);
      const stop = Math.min(end, (page + 1) * PAGE_BYTES);
      if ((block.touched[page - firstPage] & bit) === 0) {
        block.touched[page - firstPage] |= bit;
        this.push(kind, block.id, stop - at, at - block.start);
      }
      at = stop;
    }
  }

  mark(label: string): void {
    this.batch.pushMark(this.thread, label);
    if (this.batch.isFull) this.flush();
  }

  /** Hands over what was not handed over yet; later accesses are not recorded. */
  end(): void {
    if (this.isEnded) return;
    this.isEnded = true;
    this.flush();
  }

  /** Hands over what there is, though a batch is not full yet. */
  flush(): void {
    if (this.batch.count > 0) this.emit(this.batch);
    this.batch.clear();
  }

  private push(kind: number, id: number, size: ByteCount, offset: number): void {
    this.batch.push(kind, this.thread, id, size, offset);
    if (this.batch.isFull) this.flush();
  }
}

function pagesOf(start: number, size: ByteCount): number {
  return Math.floor((start + Math.max(size, 1) - 1) / PAGE_BYTES) - Math.floor(start / PAGE_BYTES) + 1;
}

function words(address: Address): [number, number] {
  return [address >>> 0, Math.floor(address / 2 ** 32)];
}
