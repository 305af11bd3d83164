// The machine's event counters (a PMU): what the kernel and the programs did, for those who ask what it cost.
// Plain numbers that slow paths increment; the load and store path never touches them.

import { keepClass } from "../state/kept.ts";

const FIRST_CAPACITY = 64;
const systemCallNames: string[] = [];

/** A small number for a system call's name, the same for all machines: counting then needs no string. */
export function systemCallId(name: string): number {
  const known = systemCallNames.indexOf(name);
  return known !== -1 ? known : systemCallNames.push(name) - 1;
}

/** Counts since the machine was made. Units are in the names; `frames…` and `bytes…` count the kernel's own work. */
export class Counters {
  /** Faults that were resolved without input or output, all kinds together (Linux min_flt, summed over processes). */
  minorFaults = 0;
  /** Loads that mapped a clean page (the zero page or a reference page). */
  cleanReadFaults = 0;
  /** Stores to a page where nothing was mapped: a private page was made immediately. */
  anonymousWriteFaults = 0;
  /** Stores to a present page that was write-protected: a copy, or a reuse. */
  writeProtectFaults = 0;
  /** Write-protect faults that reused the page since no other process had it. */
  reuseFaults = 0;
  /** Faults that mapped a page of a file. */
  fileFaults = 0;
  /** Faults that found the page already usable. */
  spuriousFaults = 0;

  /** Faults that mapped 2 MiB: by a huge page of the process's own, or by a huge clean page. */
  hugeWriteFaults = 0;
  /** Faults that mapped a clean page of 2 MiB. */
  hugeCleanFaults = 0;
  /** Of the first: stores to a huge clean page, which are write-protect faults; the others are anonymous write faults. */
  hugeReplaceFaults = 0;
  /** Bytes of huge pages that the kernel zeroed or filled; part of bytesZeroed and bytesFilled. */
  hugeBytesInitialised = 0;
  /** Faults that mapped a large folio of less than 2 MiB. */
  folioFaults = 0;
  /** Faults that were to have 2 MiB, or a large folio, and got less, since there was no block of frames or the cgroup was full. */
  hugeFallbacks = 0;
  /** Huge entries that became 512 small ones (thp_split_pmd), folios that became single frames (thp_split_page). */
  hugeSplits = 0;
  /** Huge pages that were taken apart. */
  folioSplits = 0;
  /** Huge pages made of small ones by MADV_COLLAPSE or khugepaged (thp_collapse_alloc). */
  hugeCollapses = 0;

  /** Frames that were taken. */
  framesAllocated = 0;
  /** Frames that were given back. */
  framesFreed = 0;
  /** Frames that left the page allocator zeroed, and the bytes written for that. */
  framesZeroed = 0;
  /** Bytes that the kernel cleared. */
  bytesZeroed = 0;
  /** Frames that the kernel initialised with something other than zeroes: a pattern or a reference page. */
  framesFilled = 0;
  /** Bytes that the kernel filled with a pattern. */
  bytesFilled = 0;
  /** Frames copied for copy-on-write between processes, or from a file page. */
  framesCopied = 0;
  /** Bytes that the kernel copied. */
  bytesCopied = 0;
  /** Page-table entries that were set. */
  ptesSet = 0;
  /** Page-table entries that were cleared. */
  ptesZapped = 0;
  /** Of ptesZapped: huge entries. */
  hugeEntriesZapped = 0;
  /** Signals for which a load or store gave up. */
  segmentationFaults = 0;

  private systemCallCounts = new Float64Array(FIRST_CAPACITY);
  /** Counts that a program's own code may take part in. */
  private filled: Float64Array = new Float64Array(1);
  private blocks: Float64Array = new Float64Array(1);

  /** Bytes that programs wrote by Memory.fill and fillPattern. */
  get userBytesFilled(): number {
    return this.filled[0];
  }

  /** Sets the count. */
  set userBytesFilled(bytes: number) {
    this.filled[0] = bytes;
  }

  /** Keeps {@link userBytesFilled} in this element from now on, where a program that fills memory by itself counts, too. */
  countFillsIn(filled: Float64Array): void {
    filled[0] = this.filled[0];
    this.filled = filled;
  }

  /** DC GZVA blocks that zeroed and tagged memory, the kernel's and the programs'. */
  get gzvaBlocks(): number {
    return this.blocks[0];
  }

  /** Sets the count. */
  set gzvaBlocks(blocks: number) {
    this.blocks[0] = blocks;
  }

  /** As {@link countFillsIn}, of {@link gzvaBlocks}. */
  countBlocksIn(blocks: Float64Array): void {
    blocks[0] = this.blocks[0];
    this.blocks = blocks;
  }

  /** Everything is 0 again. */
  reset(): void {
    const numbers = this as unknown as Record<string, unknown>;
    for (const [name, value] of Object.entries(this)) if (typeof value === "number") numbers[name] = 0;
    this.systemCallCounts.fill(0);
    this.userBytesFilled = 0;
    this.gzvaBlocks = 0;
  }

  /** Counts a system call; `id` comes from systemCallId, once for each name. */
  countSystemCall(id: number): void {
    if (id >= this.systemCallCounts.length) {
      const larger = new Float64Array(Math.max(systemCallNames.length, id + 1) * 2);
      larger.set(this.systemCallCounts);
      this.systemCallCounts = larger;
    }
    this.systemCallCounts[id]++;
  }

  /** System calls by name, those that were made. */
  get systemCalls(): Map<string, number> {
    const calls = new Map<string, number>();
    this.systemCallCounts.forEach((count, id) => {
      if (count > 0) calls.set(systemCallNames[id], count);
    });
    return calls;
  }

  /** The numbers as a plain object, system calls under `systemCalls`. */
  snapshot(): CounterSnapshot {
    const numbers: Record<string, number> = {};
    for (const [name, value] of Object.entries(this)) if (typeof value === "number") numbers[name] = value;
    numbers.userBytesFilled = this.userBytesFilled;
    numbers.gzvaBlocks = this.gzvaBlocks;
    return { ...(numbers as unknown as CounterNumbers), systemCalls: Object.fromEntries(this.systemCalls) };
  }

  /** What was counted since `earlier`. */
  since(earlier: CounterSnapshot): CounterSnapshot {
    const now = this.snapshot();
    const difference: Record<string, number> = {};
    for (const [name, value] of Object.entries(now)) {
      if (typeof value === "number") difference[name] = value - (earlier[name as keyof CounterNumbers] ?? 0);
    }
    const systemCalls: Record<string, number> = {};
    for (const [name, count] of Object.entries(now.systemCalls)) {
      const more = count - (earlier.systemCalls[name] ?? 0);
      if (more > 0) systemCalls[name] = more;
    }
    return { ...(difference as unknown as CounterNumbers), systemCalls };
  }
}

type NumericKeys<T> = { [K in keyof T]: T[K] extends number ? K : never }[keyof T];
type CounterNumbers = { readonly [K in NumericKeys<Counters>]: number };
/** One reading of all counters. */
export type CounterSnapshot = CounterNumbers & {
  /** How often each system call was made, by name. */
  readonly systemCalls: Readonly<Record<string, number>>;
};

keepClass("Counters", Counters);
