// Records what a program does to a heap: allocations, frees and first touches of each page of each block, as trace events.
// Where the calls are seen is heap-tap.ts; where the events go is up to the caller.
import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { TAG_UNIT } from "../../platform/hardware/layout.ts";
import { EventBatch, FREE, READ, REALLOC, THREAD_END, THREAD_START, type WRITE } from "./events.ts";
import { LiveBlocks, NONE, READ_BIT, WRITE_BIT } from "./live-blocks.ts";

const PAGE_BYTES = 4096;

/**
 * Loads and stores are summarised: a page of a block is reported once as read and once as written, with the bytes of that
 * first access. More would not change which pages are resident, and a trace stays as long as its allocations.
 */
export class Recorder {
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
    this.freeForgotten(start);
    this.push(kind, this.blocks.add(start, bytes), size, offset);
  }

  /** A block was freed; null and unknown addresses are not recorded. */
  freed(address: Address): void {
    const block = this.blocks.remove(address % TAG_UNIT);
    if (block !== NONE) this.push(FREE, block, 0, 0);
  }

  /** A block has a new size, and perhaps a new address. @returns false for an unknown block, which is not recorded */
  moved(oldAddress: Address, address: Address, size: ByteCount): boolean {
    const oldStart = oldAddress % TAG_UNIT;
    if (this.blocks.find(oldStart) === NONE) return false;
    const start = address % TAG_UNIT;
    if (start !== oldStart) this.freeForgotten(start);
    this.push(REALLOC, this.blocks.move(oldStart, start, size), size, 0);
    return true;
  }

  /** An address is not given out twice: the free of what was there has not been seen. */
  private freeForgotten(start: Address): void {
    const block = this.blocks.remove(start);
    if (block !== NONE) this.push(FREE, block, 0, 0);
  }

  /** An access of the program; what lies in no block is not recorded. */
  accessed(kind: typeof READ | typeof WRITE, address: Address, length: ByteCount): void {
    // A program may keep the memory that it was given while it was recorded.
    if (this.isEnded) return;
    const start = address % TAG_UNIT;
    const { blocks } = this;
    const block = blocks.at(start);
    if (block === NONE) return;
    const bit = kind === READ ? READ_BIT : WRITE_BIT;
    const blockStart = blocks.startOf(block);
    const firstPage = Math.floor(blockStart / PAGE_BYTES);
    const end = Math.min(start + length, blocks.endOf(block));
    for (let at = start; at < end; ) {
      const page = Math.floor(at / PAGE_BYTES);
      const stop = Math.min(end, (page + 1) * PAGE_BYTES);
      if (blocks.touch(block, page - firstPage, bit)) this.push(kind, block, stop - at, at - blockStart);
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
