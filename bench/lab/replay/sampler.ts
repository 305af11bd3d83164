// What is kept of a replay over time: samples in columns and page maps, at most a fixed number of either.
// When there are too many, every second one is dropped and the step doubles: memory does not follow the trace's length.
import type { Counters } from "../../../platform/hardware/counters.ts";
import type { Process } from "../../../platform/kernel/process.ts";
import { type GroupSize, type PageScan, scanPages } from "./page-scan.ts";
import type { Replayer } from "./replayer.ts";

const MAX_SAMPLES = 512;
/** Samples between two page scans, which cost more. */
const SAMPLES_PER_SCAN = 8;
const FIRST_STRIDE = 1;
const PAGE_BYTES = 4096;

/** Columns of equal length, one entry a sample; the last one is after the last operation. */
export interface Samples {
  operation: number[];
  rssBytes: number[];
  /** Bytes that the program asked for and has not freed. */
  liveBytes: number[];
  minorFaults: number[];
  /** Bytes written to initialise memory so far, by the kernel and by the program. */
  initialisedBytes: number[];
}

export interface ScanSample {
  readonly operation: number;
  readonly scan: PageScan;
}

export interface Peaks {
  rssBytes: number;
  liveBytes: number;
  groupRssBytes: Record<GroupSize, number>;
}

/** A mark of the trace. */
export interface Mark {
  readonly operation: number;
  readonly label: string;
}

const MAX_MARKS = 100;

export class Sampler {
  readonly marks: Mark[] = [];
  readonly samples: Samples = { operation: [], rssBytes: [], liveBytes: [], minorFaults: [], initialisedBytes: [] };
  readonly scans: ScanSample[] = [];
  readonly peaks: Peaks = { rssBytes: 0, liveBytes: 0, groupRssBytes: { "16 KiB": 0, "64 KiB": 0 } };
  /** Integral of RSS over operations, for its mean. */
  private rssSum = 0;
  private lastOperation = 0;
  private lastRss = 0;
  private stride = FIRST_STRIDE;
  private sampleCount = 0;
  private readonly process: Process;
  private readonly counters: Counters;

  constructor(process: Process, counters: Counters) {
    this.process = process;
    this.counters = counters;
  }

  /** Takes a sample; answers the operation of the next one. */
  take(replayer: Replayer): number {
    const operation = replayer.tally.operations;
    this.record(operation, replayer);
    if (this.sampleCount % SAMPLES_PER_SCAN === 0) this.scan(operation);
    this.sampleCount++;
    if (this.samples.operation.length >= MAX_SAMPLES) this.thin();
    // On the grid of the stride, so that samples stay evenly spread when some have been dropped.
    return (Math.floor(operation / this.stride) + 1) * this.stride;
  }

  /** Keeps the first hundred marks. */
  mark(replayer: Replayer, label: string): void {
    if (this.marks.length < MAX_MARKS) this.marks.push({ operation: replayer.tally.operations, label });
  }

  /** The last sample, always with a scan. */
  finish(replayer: Replayer): void {
    const operation = replayer.tally.operations;
    this.record(operation, replayer);
    this.scan(operation);
    const { peaks } = this;
    peaks.rssBytes = Math.max(peaks.rssBytes, this.process.addressSpace.peakRss * PAGE_BYTES);
    // Scans are taken now and then and may miss the peak, but larger pages never have a smaller one.
    for (const size of Object.keys(peaks.groupRssBytes) as GroupSize[]) {
      peaks.groupRssBytes[size] = Math.max(peaks.groupRssBytes[size], peaks.rssBytes);
    }
  }

  get meanRssBytes(): number {
    return this.lastOperation === 0 ? this.lastRss : this.rssSum / this.lastOperation;
  }

  private record(operation: number, { blocks: { liveBytes }, attribution }: Replayer): void {
    const { samples, counters } = this;
    const rss = this.process.rssBytes;
    this.rssSum += this.lastRss * (operation - this.lastOperation);
    this.lastOperation = operation;
    this.lastRss = rss;
    samples.operation.push(operation);
    samples.rssBytes.push(rss);
    samples.liveBytes.push(liveBytes);
    samples.minorFaults.push(counters.minorFaults);
    samples.initialisedBytes.push(
      counters.bytesZeroed + counters.bytesFilled + counters.bytesCopied + counters.userBytesFilled,
    );
    if (rss > this.peaks.rssBytes) attribution?.peak(operation);
    this.peaks.rssBytes = Math.max(this.peaks.rssBytes, rss);
    this.peaks.liveBytes = Math.max(this.peaks.liveBytes, liveBytes);
  }

  private scan(operation: number): void {
    const scan = scanPages(this.process.addressSpace);
    this.scans.push({ operation, scan });
    for (const size of Object.keys(scan.groupRssBytes) as GroupSize[]) {
      const peak = this.peaks.groupRssBytes;
      peak[size] = Math.max(peak[size], scan.groupRssBytes[size]);
    }
  }

  private thin(): void {
    this.stride *= 2;
    for (const column of Object.values(this.samples) as number[][]) keepEverySecond(column);
    keepEverySecond(this.scans);
  }
}

function keepEverySecond<T>(entries: T[]): void {
  let kept = 0;
  for (let index = 0; index < entries.length; index += 2) entries[kept++] = entries[index];
  entries.length = kept;
}
