// Replays events on a heap: a loop over batches, block by block, with touches by the trace or by a model.
// What is measured meanwhile is in sampler.ts, what is checked on request in verifier.ts.

import {
  ALIGNED,
  CALLOC,
  type EventBatch,
  FREE,
  MALLOC,
  MARK,
  READ,
  REALLOC,
  WRITE,
} from "../../../allocator/record/events.ts";
import { TAG_UNIT } from "../../../platform/hardware/layout.ts";
import type { Attribution } from "./attribution.ts";
import { BlockTable, DEAD, FAILED } from "./block-table.ts";
import { contentByte } from "./contents.ts";
import type { ReplaySubject } from "./subject.ts";
import type { Toucher } from "./touch-model.ts";
import type { Verifier } from "./verifier.ts";

const PAGE_BYTES = 4096;

/** What a replay met that a sound trace on a large enough machine would not have. */
export interface ReplayTally {
  operations: number;
  /** Calls that the heap answered with null. */
  failedAllocations: number;
  /** Frees, reallocs and touches of ids that no block has. */
  deadFrees: number;
  deadReallocs: number;
  deadTouches: number;
  /** Allocations under an id that a block had: the old one is freed first. */
  doubleAllocations: number;
  /** Loads and stores that the trace itself has. */
  touchEvents: number;
  /** Touches that reached beyond their block and were cut. */
  clippedTouches: number;
  /** Pages touched by the trace or the model. */
  touchedPages: number;
}

export interface ReplayerOptions {
  readonly subject: ReplaySubject;
  readonly toucher: Toucher;
  /** Called before the event with the number `nextSample`; answers the next one. */
  readonly sample: (replayer: Replayer) => number;
  /** Called at marks. */
  readonly mark: (replayer: Replayer, label: string) => void;
}

export class Replayer {
  readonly blocks = new BlockTable();
  readonly tally: ReplayTally = {
    operations: 0,
    failedAllocations: 0,
    deadFrees: 0,
    deadReallocs: 0,
    deadTouches: 0,
    doubleAllocations: 0,
    touchEvents: 0,
    clippedTouches: 0,
    touchedPages: 0,
  };
  private readonly subject: ReplaySubject;
  private readonly toucher: Toucher;
  /** Set before the first batch for a replay that checks the heap. */
  verifier: Verifier | null = null;
  /** Set before the first batch for a replay that says whose memory it is. */
  attribution: Attribution | null = null;
  private readonly sample: (replayer: Replayer) => number;
  private readonly mark: (replayer: Replayer, label: string) => void;
  private nextSample = 0;

  constructor({ subject, toucher, sample, mark }: ReplayerOptions) {
    this.subject = subject;
    this.toucher = toucher;
    this.sample = sample;
    this.mark = mark;
  }

  /** @throws what the heap or the kernel throw: a heap error, an out-of-memory kill. The tally says where that was. */
  replay(batch: EventBatch): void {
    const { kind, id, size, offset, site, count } = batch;
    for (let row = 0; row < count; row++) {
      if (this.tally.operations >= this.nextSample) this.nextSample = this.sample(this);
      this.tally.operations++;
      this.subject.tick();
      switch (kind[row]) {
        case MALLOC:
        case CALLOC:
        case ALIGNED:
          this.allocate(kind[row], id[row], size[row], offset[row], site[row]);
          break;
        case FREE:
          this.free(id[row]);
          break;
        case REALLOC:
          this.realloc(id[row], size[row], site[row]);
          break;
        case READ:
        case WRITE:
          this.touch(kind[row] === WRITE, id[row], offset[row], size[row]);
          break;
        case MARK:
          this.mark(this, batch.labels[size[row]]);
          break;
      }
    }
  }

  private allocate(kind: number, id: number, size: number, offset: number, site: number): void {
    const slot = this.blocks.slot(id);
    const old = this.blocks.address[slot];
    if (old > 0) {
      this.tally.doubleAllocations++;
      this.release(slot, id);
    }
    const address = this.call(kind, size, offset);
    if (address === 0) {
      this.tally.failedAllocations++;
      this.blocks.failed(slot);
      return;
    }
    const bytes = kind === CALLOC ? size * offset : size;
    this.blocks.born(slot, address, bytes);
    this.attribution?.born(slot, bytes, site);
    this.verifier?.born(this.subject, slot, address, bytes, kind === CALLOC);
    this.touchFresh(slot, 0);
  }

  private call(kind: number, size: number, offset: number): number {
    if (kind === MALLOC) return this.subject.malloc(size);
    return kind === CALLOC ? this.subject.calloc(offset, size) : this.subject.memalign(offset, size);
  }

  private free(id: number): void {
    const slot = this.blocks.slot(id);
    const address = this.blocks.address[slot];
    if (address > 0) {
      this.release(slot, id);
      return;
    }
    if (address === DEAD) this.tally.deadFrees++;
    this.blocks.forget(slot, id);
  }

  private release(slot: number, id: number): void {
    const address = this.blocks.address[slot];
    this.verifier?.dying(this.subject, slot, address);
    this.subject.free(address);
    this.attribution?.died(slot);
    this.blocks.died(slot, id);
  }

  private realloc(id: number, size: number, site: number): void {
    const slot = this.blocks.slot(id);
    const old = this.blocks.address[slot];
    if (old <= 0) {
      if (old === DEAD) this.tally.deadReallocs++;
      this.allocate(MALLOC, id, size, 0, site);
      return;
    }
    // realloc(p, 0) frees in C; a trace that means it says free, so the block is kept at its smallest.
    const newSize = Math.max(size, 1);
    const oldSize = this.blocks.size[slot];
    this.verifier?.dying(this.subject, slot, old);
    const address = this.subject.realloc(old, newSize, oldSize);
    if (address === 0) {
      this.tally.failedAllocations++;
      this.verifier?.survived(old, oldSize);
      return;
    }
    this.blocks.moved(slot, address, newSize);
    this.attribution?.moved(slot, newSize, site);
    this.verifier?.moved(this.subject, slot, address, Math.min(oldSize, newSize), newSize);
    if (newSize > oldSize) this.touchFresh(slot, oldSize);
  }

  /** Touches by the model in the part of a block from byte `from` on, which is new. */
  private touchFresh(slot: number, from: number): void {
    const size = this.blocks.size[slot];
    if (size <= from || !this.toucher.beginBlock()) return;
    const address = this.blocks.address[slot];
    if (from > 0 && this.toucher.firstPageOnly) return;
    const start = address + from;
    const end = address + size;
    let pageStart = start;
    for (let index = 0; pageStart < end; index++) {
      if (this.toucher.touches(index)) {
        this.touchByte(slot, pageStart, pageStart - address, true);
      } else if (this.toucher.firstPageOnly) {
        return;
      }
      pageStart = nextPage(pageStart);
    }
  }

  private touch(isWrite: boolean, id: number, offset: number, length: number): void {
    this.tally.touchEvents++;
    const slot = this.blocks.slot(id);
    const address = this.blocks.address[slot];
    if (address <= 0) {
      if (address !== FAILED) this.tally.deadTouches++;
      if (address === DEAD) this.blocks.forget(slot, id);
      return;
    }
    const size = this.blocks.size[slot];
    const end = Math.min(offset + length, size);
    if (end < offset + length) this.tally.clippedTouches++;
    for (let at = address + offset; at < address + end; at = nextPage(at)) {
      this.touchByte(slot, at, at - address, isWrite);
    }
  }

  private touchByte(slot: number, at: number, offset: number, isWrite: boolean): void {
    const { memory } = this.subject;
    this.tally.touchedPages++;
    if (!isWrite) {
      memory.getUint8(at);
      return;
    }
    memory.setUint8(at, contentByte(this.blocks.generation[slot], offset));
    this.attribution?.storedTo(slot, offset);
  }
}

/** First byte of the page after `address`, its tag kept. */
function nextPage(address: number): number {
  const tag = Math.floor(address / TAG_UNIT) * TAG_UNIT;
  const plain = address - tag;
  return tag + plain - (plain % PAGE_BYTES) + PAGE_BYTES;
}
