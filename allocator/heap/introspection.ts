// What a heap tells of itself and what of it can be changed while it runs: statistics, malloc_info, mallopt, the setters.
// Each is a few lines over the file of its name; allocation is c-interface.ts.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { checkPointer, checkSize, format } from "../combined/arguments.ts";
import { iterateChunks } from "../combined/chunk-walk.ts";
import type { Allocator } from "../combined/combined.ts";
import { FILL_NONE, FILL_PATTERN, FILL_ZERO } from "../common/fill.ts";
import type { Memory } from "../common/memory.ts";
import { reportCheckFailed } from "../common/report.ts";
import { gatherFragmentation, gatherStatistics } from "../inspection/gather-statistics.ts";
import { SizeCensus } from "../inspection/malloc-info.ts";
import { cutStatistics, formatFragmentation, formatStatistics } from "../inspection/print-stats.ts";
import type { HeapStatistics } from "../inspection/statistics.ts";
import { oneOf } from "../options/option-checks.ts";
import { FILLS, type Fill, TAGGINGS, type Tagging } from "../options/options.ts";
import { RELEASE_KINDS, type ReleaseKind } from "../primary/primary-release.ts";
import type { RecordedHeap } from "../record/heap-tap.ts";
import { Recording, type RecordOptions } from "../record/recording.ts";
import type { RecordSink } from "../record/trace-writer.ts";
import { type MalloptTarget, mallopt } from "./mallopt.ts";
import type { HeapParts } from "./parts.ts";
import { requireAlive } from "./parts.ts";

/** C's truth values, as the setters take them. */
export type CBoolean = 0 | 1;

const INTERVAL_MAX = 2 ** 31 - 1;

export function printStatistics({ allocator, options }: HeapParts): void {
  options.write(formatStatistics(gatherStatistics(allocator)));
}

/** The text, cut to `size` bytes, at `buffer`. @returns the bytes that the whole text needs, with its NUL */
export function writeStatistics(figures: HeapStatistics, memory: Memory, buffer: number, size: ByteCount): number {
  checkPointer("getStats", buffer);
  checkSize("getStats", "size", size);
  const { bytes, needed } = cutStatistics(formatStatistics(figures), size);
  if (bytes.length > 0) memory.write(buffer, bytes);
  return needed;
}

export function malloc_info({ allocator }: HeapParts, stream: (text: string) => void): 0 {
  if (typeof stream !== "function") throw new TypeError("malloc_info: the stream is a function that takes the text");
  const census = new SizeCensus(allocator.primary.config.sizeClassMap.maxSize);
  allocator.registry.disable();
  try {
    iterateChunks(allocator, 0, Number.POSITIVE_INFINITY, (_pointer, size) => census.add(size));
  } finally {
    allocator.registry.enable();
  }
  stream(census.toXml());
  return 0;
}

export function malloc_iterate(
  { allocator }: HeapParts,
  base: Address,
  size: ByteCount,
  visit: (pointer: Address, size: ByteCount) => void,
): void {
  checkPointer("malloc_iterate", base);
  checkSize("malloc_iterate", "size", size);
  if (typeof visit !== "function") throw new TypeError(`malloc_iterate: ${format(visit)} is no function`);
  if (!allocator.registry.disabled) throw new Error("malloc_iterate: call malloc_disable first");
  iterateChunks(allocator, base, size, (plain, bytes) => visit(allocator.userPointer(plain), bytes));
}

/** mallopt(3) over a heap's parts. */
export function changeOption(parts: HeapParts, code: number, value: number): CBoolean {
  return mallopt(malloptTarget(parts), code, value);
}

function malloptTarget(parts: HeapParts): MalloptTarget {
  const { allocator } = parts;
  const { cache } = allocator.secondary;
  return {
    setReleaseInterval: (milliseconds) => setReleaseInterval(parts, milliseconds),
    purge: ({ all }) => allocator.releaseToOS(all ? "force-all" : "force"),
    setOddEvenTags: ({ on }) => allocator.setOddEvenTags(on),
    setThreadMemInit: ({ disabled }) => allocator.registry.setMemoryInitDisabled(disabled),
    setCacheMaxEntries: (count) => cache?.setMaxEntriesCount(count) ?? false,
    setCacheMaxEntryBytes: (bytes) => {
      cache?.setMaxEntrySize(bytes);
      return cache !== null;
    },
    setThreadCaches: (count) => allocator.registry.setCount(count),
    logStatistics: () => {
      printStatistics(parts);
      const { primary, primaryRelease, options } = allocator;
      options.write(formatFragmentation(gatherFragmentation(primary, primaryRelease)));
    },
  };
}

/** M_DECAY_TIME. Android takes −1, 0 and 1 only, 1 being "as long as its configuration lets", and releases first (S20). */
function setReleaseInterval({ allocator }: HeapParts, milliseconds: number): boolean {
  let interval = milliseconds;
  if (allocator.options.config.name === "android") {
    allocator.releaseToOS("force");
    const place = { file: "introspection.ts", line: 1 };
    const condition = "(value) >= (-1) && (value) <= (1)";
    if (![-1, 0, 1].includes(milliseconds)) reportCheckFailed(place, condition, milliseconds, 1, allocator.reports);
    if (milliseconds === 1) interval = INTERVAL_MAX;
  }
  allocator.primary.setReleaseInterval(interval);
  allocator.secondary.cache?.setReleaseInterval(interval);
  return allocator.secondary.cache !== null;
}

export function fillOf({ allocator }: HeapParts): Fill {
  return FILLS[allocator.fillMode];
}

/** @throws OptionError: no fill */
export function setFill({ allocator }: HeapParts, fill: Fill): void {
  setFillMode(allocator, FILLS.indexOf(oneOf("fill", fill, FILLS)));
}

export function setZeroContents({ allocator }: HeapParts, on: CBoolean): void {
  setFillMode(allocator, isOn("malloc_set_zero_contents", on) ? FILL_ZERO : FILL_NONE);
}

export function setPatternFillContents({ allocator }: HeapParts, on: CBoolean): void {
  setFillMode(allocator, isOn("malloc_set_pattern_fill_contents", on) ? FILL_PATTERN : FILL_NONE);
}

function setFillMode(allocator: Allocator, mode: number): void {
  allocator.fillMode = mode;
  allocator.gate.close();
}

export function setAddLargeAllocationSlack({ allocator }: HeapParts, on: CBoolean): void {
  allocator.addLargeAllocationSlack = isOn("malloc_set_add_large_allocation_slack", on);
}

/** @throws RangeError: no C int */
export function setErrno(parts: HeapParts, errno: number): void {
  if ((errno | 0) !== errno) throw new RangeError(`errno: ${format(errno)} is no whole number of 32 bits`);
  parts.errno = errno;
}

export function setTrackAllocationStacks(parts: HeapParts, on: CBoolean): void {
  requireAlive(parts);
  const isRecording = isOn("malloc_set_track_allocation_stacks", on);
  if (parts.stackTable === null) return;
  const { stackTable } = parts;
  stackTable.isRecording = isRecording;
  parts.allocator.gate.close();
  // A chunk must not be said to be from where an earlier one in its place was allocated.
  parts.isObserved = isRecording || !stackTable.isEmpty || Object.keys(parts.hooks).length > 0;
  if (!parts.isObserved) return;
  parts.compiled?.end();
  parts.compiled = null;
}

/** @throws OptionError: no such mode. RangeError: the heap was made without tagging, or it was switched off before */
export function setTagging(parts: HeapParts, mode: Tagging): void {
  requireAlive(parts);
  oneOf("tagging", mode, TAGGINGS);
  if (parts.tagControl !== null) parts.tagControl.setMode(mode);
  else if (mode !== "off") throw new RangeError(`tagging: "${mode}" for a heap that was made with tagging "off"`);
}

/** @throws OptionError: no such kind */
export function releaseToOS({ allocator }: HeapParts, kind: ReleaseKind): number {
  return allocator.releaseToOS(oneOf("kind", kind, RELEASE_KINDS));
}

/** @throws Error: the heap is being recorded. TypeError, RangeError: no sink, an unknown format */
export function record(parts: HeapParts, heap: RecordedHeap, sink: RecordSink, options: RecordOptions): Recording {
  requireAlive(parts);
  if (parts.recording?.isRecording) throw new Error("record: the heap is being recorded already");
  parts.allocator.gate.close();
  parts.recording = new Recording(heap, sink, options);
  return parts.recording;
}

/** @throws TypeError: neither 0 nor 1 */
function isOn(call: string, on: CBoolean): boolean {
  if (on !== 0 && on !== 1) throw new TypeError(`${call}: ${format(on)} is neither 0 nor 1`);
  return on === 1;
}
