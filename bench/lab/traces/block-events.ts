// Events of traces that name blocks by address (T1, T2): address in, event with a dense id out.
// What a trace of a real program gets wrong (unknown blocks, lost frees, failed calls) is counted here.
import { BlockNames } from "../../../allocator/record/block-names.ts";
import { type EventBatch, FREE, MALLOC, REALLOC } from "../../../allocator/record/events.ts";
import type { TraceTally } from "./tally.ts";

/** Addresses are pairs of 32-bit words, exact for 64-bit pointers with tags. The address 0 is C's null. */
export class BlockEvents {
  private readonly names = new BlockNames();
  private readonly tally: TraceTally;

  constructor(tally: TraceTally) {
    this.tally = tally;
  }

  /** A call that gave a block at the address; at 0, a failed call. */
  allocate(
    batch: EventBatch,
    kind: number,
    thread: number,
    low: number,
    high: number,
    size: number,
    offset: number,
  ): void {
    if ((low | high) === 0) {
      this.tally.failedCalls++;
      return;
    }
    this.freeForgotten(batch, thread, low, high);
    batch.push(kind, thread, this.names.add(low, high), size, offset);
  }

  /** free(address); freeing null is legal and no event. */
  release(batch: EventBatch, thread: number, low: number, high: number): void {
    if ((low | high) === 0) {
      this.tally.ignoredLines++;
      return;
    }
    const id = this.names.remove(low, high);
    if (id < 0) this.tally.unknownBlocks++;
    else batch.push(FREE, thread, id, 0, 0);
  }

  /** First half of a realloc: the block leaves its address. Its id, or −1 for an unknown one. */
  leave(low: number, high: number): number {
    const id = this.names.detach(low, high);
    if (id < 0) this.tally.unknownBlocks++;
    return id;
  }

  /** Second half: the block that left (−1: none that is known) is at the address now, with a new size. */
  arrive(batch: EventBatch, thread: number, id: number, low: number, high: number, size: number): void {
    this.freeForgotten(batch, thread, low, high);
    if (id < 0) {
      batch.push(MALLOC, thread, this.names.add(low, high), size, 0);
    } else {
      this.names.attach(low, high, id);
      batch.push(REALLOC, thread, id, size, 0);
    }
  }

  /** A block that left and never arrived: its realloc's second half is missing. */
  lose(batch: EventBatch, thread: number, id: number): void {
    if (id < 0) return;
    this.names.release(id);
    batch.push(FREE, thread, id, 0, 0);
  }

  /** An address cannot be given out twice: the trace lost the free between. */
  private freeForgotten(batch: EventBatch, thread: number, low: number, high: number): void {
    const id = this.names.remove(low, high);
    if (id < 0) return;
    this.tally.missingFrees++;
    batch.push(FREE, thread, id, 0, 0);
  }
}
