// What a trace holds, in one pass: events by kind, sizes, live blocks and bytes, lifetimes; no heap involved.
import {
  ALIGNED,
  CALLOC,
  EVENT_WORDS,
  type EventBatch,
  FREE,
  MALLOC,
  READ,
  REALLOC,
  WRITE,
} from "../../../allocator/record/events.ts";
import { BlockTable } from "./block-table.ts";

/** Upper bounds of the size classes of the histogram, in bytes; the last one is everything larger. */
const SIZE_BOUNDS: readonly number[] = [16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, Infinity];

export interface Inspection {
  readonly events: Record<string, number>;
  threads: number;
  /** Requests and their bytes by size: malloc, calloc, aligned and realloc. */
  readonly requests: { atMost: number; count: number; bytes: number }[];
  peakLiveBlocks: number;
  peakLiveBytes: number;
  endLiveBlocks: number;
  endLiveBytes: number;
  /** Frees of ids that no block had. */
  deadFrees: number;
  largestRequest: number;
}

const MAX_THREADS = 65536;

export class Inspector {
  private readonly blocks = new BlockTable();
  private readonly threadIds = new Set<number>();
  private readonly kinds = new Float64Array(EVENT_WORDS.length);
  readonly result: Inspection = {
    events: {},
    threads: 0,
    requests: SIZE_BOUNDS.map((atMost) => ({ atMost, count: 0, bytes: 0 })),
    peakLiveBlocks: 0,
    peakLiveBytes: 0,
    endLiveBlocks: 0,
    endLiveBytes: 0,
    deadFrees: 0,
    largestRequest: 0,
  };

  add(batch: EventBatch): void {
    for (let row = 0; row < batch.count; row++) {
      const kind = batch.kind[row];
      this.kinds[kind]++;
      if (this.threadIds.size < MAX_THREADS) this.threadIds.add(batch.thread[row]);
      if (kind === FREE) this.free(batch.id[row]);
      else if (kind === MALLOC || kind === ALIGNED || kind === REALLOC) this.request(batch.id[row], batch.size[row]);
      else if (kind === CALLOC) this.request(batch.id[row], batch.size[row] * batch.offset[row]);
    }
  }

  finish(): Inspection {
    const { result, blocks } = this;
    EVENT_WORDS.forEach((word, kind) => {
      if (this.kinds[kind] > 0) result.events[word] = this.kinds[kind];
    });
    result.threads = this.threadIds.size;
    result.endLiveBlocks = blocks.liveCount;
    result.endLiveBytes = blocks.liveBytes;
    return result;
  }

  get hasTouches(): boolean {
    return this.kinds[READ] + this.kinds[WRITE] > 0;
  }

  private request(id: number, size: number): void {
    const { result, blocks } = this;
    const slot = blocks.slot(id);
    if (blocks.address[slot] > 0) blocks.moved(slot, 1, size);
    else blocks.born(slot, 1, size);
    const bucket = result.requests[SIZE_BOUNDS.findIndex((bound) => size <= bound)];
    bucket.count++;
    bucket.bytes += size;
    result.largestRequest = Math.max(result.largestRequest, size);
    result.peakLiveBlocks = Math.max(result.peakLiveBlocks, blocks.liveCount);
    result.peakLiveBytes = Math.max(result.peakLiveBytes, blocks.liveBytes);
  }

  private free(id: number): void {
    const slot = this.blocks.slot(id);
    if (this.blocks.address[slot] > 0) this.blocks.died(slot, id);
    else this.result.deadFrees++;
  }
}
