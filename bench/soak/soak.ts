// `npm run bench -- soak`: heaps that run for hundreds of millions of operations. Their memory, the host's, and the time of an operation
// must stay flat, every byte come back as it was stored, every mistake be reported, and the books agree at the end.

import { InvalidArgumentError } from "commander";
import { benchmarkCommand, writeJson } from "../harness/command.ts";
import { hostRssKib } from "../harness/host-rss.ts";
import { describeHost, formatHost } from "../harness/machine.ts";
import { startProgress } from "../harness/progress.ts";
import { formatBytes, formatTable } from "../harness/table.ts";
import { formatTargets, type Target } from "../harness/target.ts";
import { measureSnapshot } from "./snapshot-cost.ts";
import { NO_TALLY, Subject, type Tally } from "./subject.ts";

const SEGMENTS = 10;
const STEPS = 20_000;

interface Segment {
  readonly operations: number;
  readonly nanoseconds: number;
  readonly hostRssBytes: number;
  readonly hostHeapBytes: number;
  readonly simulatedRssBytes: number;
}

function makeSubjects(): Subject[] {
  return [
    new Subject(
      "pattern-filled, with a quarantine",
      { fill: "pattern", quarantine: { sizeKb: 256, threadLocalSizeKb: 64, maxChunkSize: 2048 } },
      11,
    ),
    new Subject("tagged", { tagging: "sync" }, 12),
    new Subject("byte-tracked", { uninitialised: "byte" }, 13),
  ];
}

function total(subjects: readonly Subject[]): Tally {
  const sum: Tally = { ...NO_TALLY };
  for (const { tally } of subjects) for (const key of Object.keys(sum) as (keyof Tally)[]) sum[key] += tally[key];
  return sum;
}

/** Runs all subjects in turn until they have made so many operations together. */
function soakUntil(subjects: readonly Subject[], operations: number): number {
  const begin = performance.now();
  while (total(subjects).operations < operations) for (const subject of subjects) subject.run(STEPS);
  return (performance.now() - begin) * 1e6;
}

function measure(subjects: readonly Subject[], operations: number, nanoseconds: number): Segment {
  return {
    operations,
    nanoseconds,
    hostRssBytes: hostRssKib() * 1024,
    hostHeapBytes: process.memoryUsage().heapUsed,
    simulatedRssBytes: subjects.reduce((sum, { heap }) => sum + heap.process.rssBytes, 0),
  };
}

export async function run(argv: string[]): Promise<void> {
  const command = benchmarkCommand("soak", "Long runs: memory and time stay flat, nothing is lost.").option(
    "--operations <n>",
    "operations in all, with K or M behind",
    countOption,
    20_000_000,
  );
  const { operations: asked, quick, json } = command.parse(argv, { from: "user" }).opts();
  const operations = quick ? 2_000_000 : (asked as number);
  const subjects = makeSubjects();
  const progress = startProgress(SEGMENTS);
  const segments: Segment[] = [];
  for (let i = 1; i <= SEGMENTS; i++) {
    progress.step(`${((operations * i) / SEGMENTS / 1e6).toFixed(0)} M operations`);
    const before = total(subjects).operations;
    const nanoseconds = soakUntil(subjects, (operations * i) / SEGMENTS);
    segments.push(measure(subjects, total(subjects).operations - before, nanoseconds));
  }
  progress.done();
  const tally = total(subjects);
  const left = subjects.reduce((sum, subject) => sum + subject.settle(), 0);
  for (const { heap } of subjects) heap.kernel.checkInvariants();
  const framesLeft = framesAfterTheEnd(subjects);
  const snapshot = measureSnapshot();
  print(segments, tally);
  console.log(
    `A snapshot of a heap with 100 MiB touched: ${formatBytes(snapshot.bytes)}, restored in ${snapshot.restoreSeconds.toFixed(2)} s`,
  );
  const targets = [
    ...targetsOf(segments, tally, { left, framesLeft }),
    {
      what: "a snapshot of a heap with 100 MiB touched",
      measured: snapshot.snapshotSeconds,
      unit: " s",
      atMost: 1,
    },
  ];
  console.log(formatTargets(targets));
  if (json !== undefined) writeJson(json as string, "soak", { segments, tally, left, framesLeft, snapshot, targets });
}

/** Frames that are in use once every heap is gone, beyond the zero page and what the kernel keeps: none, if none leaked. */
function framesAfterTheEnd(subjects: readonly Subject[]): number {
  let left = 0;
  for (const { heap } of subjects) {
    const { kernel } = heap;
    heap[Symbol.dispose]();
    kernel.checkInvariants();
    left += kernel.frames.frameCount - 1 - kernel.frames.freeFrames;
  }
  return left;
}

function print(segments: readonly Segment[], tally: Tally): void {
  console.log(formatHost(describeHost()));
  console.log(
    `${tally.operations} operations: ${tally.allocations} allocations, ${tally.frees} frees, ${tally.forks} forks, ${tally.threads} threads, ${tally.mistakes} mistakes`,
  );
  const rows = segments.map((segment, index) => [
    String(index + 1),
    (segment.nanoseconds / segment.operations).toFixed(1),
    formatBytes(Math.round(segment.hostRssBytes / 2 ** 20) * 2 ** 20),
    formatBytes(Math.round(segment.hostHeapBytes / 2 ** 20) * 2 ** 20),
    formatBytes(segment.simulatedRssBytes),
  ]);
  const columns = ["tenth", "ns an operation", "host's memory", "host's objects", "simulated RSS"];
  console.log(
    formatTable(
      columns.map((heading) => ({ heading })),
      rows,
    ),
  );
}

function targetsOf(
  segments: readonly Segment[],
  tally: Tally,
  { left, framesLeft }: { readonly left: number; readonly framesLeft: number },
): Target[] {
  // The first tenth fills caches and compiles code.
  const grown = (figure: (segment: Segment) => number): number => {
    const [early, late] = [segments.slice(1, 4), segments.slice(-3)].map((part) => mean(part.map(figure)));
    return late / early;
  };
  return [
    { what: "bytes lost, chunks refused", measured: tally.lost, unit: "", atMost: 0 },
    { what: "mistakes that were not reported", measured: tally.mistakes - tally.reports, unit: "", atMost: 0 },
    { what: "chunks still counted when all were freed", measured: left, unit: "", atMost: 0 },
    { what: "frames still in use when all heaps had ended", measured: framesLeft, unit: "", atMost: 0 },
    {
      what: "host's memory, last three tenths against second to fourth",
      measured: grown(({ hostRssBytes }) => hostRssBytes),
      unit: " times",
      atMost: 1.05,
    },
    {
      what: "simulated RSS, the same",
      measured: grown(({ simulatedRssBytes }) => simulatedRssBytes),
      unit: " times",
      atMost: 1.05,
    },
    {
      what: "time of an operation, the same",
      measured: grown(({ nanoseconds, operations }) => nanoseconds / operations),
      unit: " times",
      atMost: 1.1,
    },
  ];
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function countOption(text: string): number {
  const match = /^([1-9]\d*)([KM]?)$/.exec(text);
  const count = match === null ? Number.NaN : Number(match[1]) * { "": 1, K: 1e3, M: 1e6 }[match[2] as "" | "K" | "M"];
  if (!(count >= 100_000 && count <= 1e10))
    throw new InvalidArgumentError(`"${text}" is not a count from 100K to 10000M.`);
  return count;
}
