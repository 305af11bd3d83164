// From counted events to nanoseconds on a named machine: a sum of counts times constants, with an interval.
// The constants of machines are data (machine-models.ts, or a file that `refheap calibrate` wrote); nothing is timed here.
import type { CounterSnapshot } from "../../../platform/hardware/counters.ts";

/** A constant: the best value and the range that it may lie in, in nanoseconds, and where it is from. */
export interface Constant {
  readonly ns: number;
  readonly low: number;
  readonly high: number;
  readonly how: string;
}

/** Kinds of events that cost time. Those ending in Byte count bytes, the others occurrences. */
export const COST_EVENTS = [
  "systemCall",
  "mapCall",
  "writeFault",
  "writeProtectFault",
  "readFault",
  "kernelByte",
  "copiedByte",
  "userByte",
  "tagGranule",
  "gzvaBlock",
  "zappedPage",
  "messageRoundTrip",
  "coldByte",
  "hugeWriteFault",
  "hugeReadFault",
  "hugeByte",
  "zappedHugePage",
] as const;
export type CostEvent = (typeof COST_EVENTS)[number];

export interface MachineModel {
  readonly name: string;
  readonly description: string;
  /** Last-level cache in bytes: a run whose resident set is larger writes to memory, not to the cache. */
  readonly cacheBytes: number;
  readonly constants: Readonly<Record<CostEvent, Constant>>;
}

export type CostCounts = Readonly<Record<CostEvent, number>>;

/** What a program did that the machine's counters do not know. */
export interface ProgramCounts {
  /** Granules tagged by STG and its kin, one by one. */
  readonly tagGranules: number;
  /** Blocks tagged by DC GVA, which the counters of the machine leave out. */
  readonly gvaBlocks: number;
  /** Faults that another thread had to answer (userfaultfd). */
  readonly faultMessages: number;
  /** The largest resident set, in bytes. */
  readonly peakRssBytes: number;
}

/** Time in nanoseconds. An estimate, always: `low` and `high` bound it as far as the constants are known. */
export interface Estimate {
  readonly ns: number;
  readonly low: number;
  readonly high: number;
  readonly parts: readonly EstimatePart[];
}

export interface EstimatePart {
  readonly event: CostEvent;
  readonly count: number;
  readonly ns: number;
  readonly low: number;
  readonly high: number;
}

const PAGE_BYTES = 4096;
/** read(2) of the message and UFFDIO_COPY. */
const CALLS_PER_MESSAGE = 2;
const MAP_CALLS: readonly string[] = ["mmap", "munmap", "mremap"];

/** The events that cost time, from the machine's counters and what the program adds. */
export function costCounts(counters: CounterSnapshot, program: ProgramCounts, cacheBytes: number): CostCounts {
  let mapCall = 0;
  let systemCall = 0;
  for (const [name, count] of Object.entries(counters.systemCalls)) {
    if (MAP_CALLS.includes(name)) mapCall += count;
    else systemCall += count;
  }
  // A message's constant holds its read and its ioctl, and a page copied in instead of zeroed.
  const messages = program.faultMessages;
  const written = counters.bytesZeroed + counters.bytesFilled + counters.bytesCopied;
  const copiedByte = counters.bytesCopied - messages * PAGE_BYTES;
  const hugeFaults = counters.hugeWriteFaults - counters.hugeReplaceFaults;
  return {
    systemCall: systemCall - messages * CALLS_PER_MESSAGE,
    mapCall,
    writeFault: counters.anonymousWriteFaults - hugeFaults + counters.fileFaults + messages,
    writeProtectFault: counters.writeProtectFaults - counters.hugeReplaceFaults,
    readFault: counters.cleanReadFaults - counters.hugeCleanFaults + counters.spuriousFaults,
    kernelByte: written - copiedByte - counters.hugeBytesInitialised,
    copiedByte,
    userByte: counters.userBytesFilled,
    tagGranule: program.tagGranules,
    gzvaBlock: counters.gzvaBlocks + program.gvaBlocks,
    zappedPage: counters.ptesZapped - counters.hugeEntriesZapped,
    messageRoundTrip: messages,
    coldByte: program.peakRssBytes > cacheBytes ? written : 0,
    hugeWriteFault: counters.hugeWriteFaults,
    hugeReadFault: counters.hugeCleanFaults,
    hugeByte: counters.hugeBytesInitialised,
    zappedHugePage: counters.hugeEntriesZapped,
  };
}

/** The interval adds the constants' ranges up as if all erred the same way: it errs on the wide side. */
export function estimate(counts: CostCounts, machine: MachineModel): Estimate {
  const parts = COST_EVENTS.map((event) => part(event, counts[event], machine.constants[event]));
  const total = (key: "ns" | "low" | "high"): number => parts.reduce((sum, one) => sum + one[key], 0);
  return { ns: total("ns"), low: total("low"), high: total("high"), parts };
}

function part(event: CostEvent, count: number, constant: Constant): EstimatePart {
  return { event, count, ns: count * constant.ns, low: count * constant.low, high: count * constant.high };
}

/**
 * How much less `other` takes than `base`, in percent. Both estimates share their constants, so the interval is the exact
 * range of the ratio while every constant goes through its own range: an event that both have equally often does not widen it.
 */
export function improvement(base: CostCounts, other: CostCounts, machine: MachineModel): Interval {
  const baseNs = estimate(base, machine).ns;
  if (baseNs === 0) return { value: 0, low: 0, high: 0 };
  const percent = (ratio: number): number => 100 * (1 - ratio);
  const ratio = estimate(other, machine).ns / baseNs;
  return {
    value: percent(ratio),
    low: percent(extremeRatio(base, other, machine, "largest")),
    high: percent(extremeRatio(base, other, machine, "smallest")),
  };
}

/**
 * The largest or smallest other/base over the box of the constants' ranges. A ratio of two sums has its extremes at corners
 * of the box; starting from any corner, choosing for each constant the end that moves other − ratio × base the wanted way,
 * and taking that corner's ratio next, goes there in a few steps (Dinkelbach's method).
 */
function extremeRatio(
  base: CostCounts,
  other: CostCounts,
  { constants }: MachineModel,
  wanted: "largest" | "smallest",
): number {
  let ratio = wanted === "largest" ? 0 : Number.POSITIVE_INFINITY;
  for (;;) {
    let [otherNs, baseNs] = [0, 0];
    for (const event of COST_EVENTS) {
      const { low, high } = constants[event];
      const rises = ratio === Number.POSITIVE_INFINITY ? base[event] === 0 : other[event] > ratio * base[event];
      const ns = rises === (wanted === "largest") ? high : low;
      otherNs += other[event] * ns;
      baseNs += base[event] * ns;
    }
    if (baseNs === 0) return otherNs === 0 ? 1 : Number.POSITIVE_INFINITY;
    const next = otherNs / baseNs;
    if (wanted === "largest" ? next <= ratio : next >= ratio) return ratio;
    ratio = next;
  }
}

export interface Interval {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}
