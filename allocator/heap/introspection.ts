// What a heap tells of itself and what of it can be changed while it runs: statistics, mallinfo, malloc_info, mallopt, the
// setters, explain, pins, structs and strings. Each is a few lines over the file of its name; allocation is c-interface.ts.

import type { Memory } from "../../platform/hardware/memory.ts";
import type { Process } from "../../platform/kernel/process.ts";
import { FILL_NONE, FILL_PATTERN, FILL_ZERO } from "../common/fill.ts";
import type { ChunkStacks } from "../common/heap-error.ts";
import { reportCheckFailed } from "../common/report.ts";
import { type Explanation, explain } from "../inspection/explain.ts";
import { gatherFragmentation, gatherStatistics } from "../inspection/gather-statistics.ts";
import { type Mallinfo, mallinfo2Of, mallinfoOf } from "../inspection/mallinfo.ts";
import { SizeCensus } from "../inspection/malloc-info.ts";
import { cutStatistics, formatFragmentation, formatStatistics } from "../inspection/print-stats.ts";
import type { HeapStatistics } from "../inspection/statistics.ts";
import { CInterface } from "./c-interface.ts";
import { type MalloptTarget, mallopt } from "./mallopt.ts";
import { type PinnedRange, pinRange } from "./pin.ts";
import { placeLayout, type StructLayout, type StructView, viewStruct } from "./struct.ts";

/** C's truth values, as the setters take them. */
export type CBoolean = 0 | 1;

/** A struct that frees its chunk at the end of a `using` block. */
export type OwnedStruct<Layout extends StructLayout> = StructView<Layout> & Disposable;

const INTERVAL_MAX = 2 ** 31 - 1;

export abstract class Introspection extends CInterface {
  abstract readonly process: Process;
  abstract readonly memory: Memory;
  protected abstract stacksOf(address: number): ChunkStacks | null;

  /** Every figure of the heap, a snapshot. Costs a walk over classes, caches and quarantine batches, not over chunks. */
  stats(): HeapStatistics {
    return gatherStatistics(this.allocator);
  }

  /** __scudo_print_stats: writes Scudo's statistics text to the option `write` (S19.4). */
  print_stats(): void {
    this.allocator.options.write(formatStatistics(this.stats()));
  }

  /**
   * getStats: writes the statistics text to `buffer`, at most `size` bytes, always ended by a NUL if size > 0.
   * @returns the bytes that the whole text needs, with its NUL (S19.6)
   */
  getStats(buffer: number, size: number): number {
    const { bytes, needed } = cutStatistics(formatStatistics(this.stats()), size);
    if (bytes.length > 0) this.memory.write(buffer, bytes);
    return needed;
  }

  /** mallinfo(3): the figures as C's int, cut to 32 bits (S19.2). */
  mallinfo(): Mallinfo {
    return mallinfoOf(this.stats());
  }

  /** mallinfo2(3): the figures as words. */
  mallinfo2(): Mallinfo {
    return mallinfo2Of(this.stats());
  }

  /**
   * malloc_info(3): writes how many live chunks there are of each size below the largest class, as XML (S19.3).
   * @param options 0, as the manual says
   * @param stream takes the text
   * @returns 0
   */
  malloc_info(_options: 0, stream: (text: string) => void): 0 {
    const census = new SizeCensus(this.allocator.primary.config.sizeClassMap.maxSize);
    this.malloc_disable();
    try {
      this.malloc_iterate(0, Number.POSITIVE_INFINITY, (_pointer, size) => census.add(size));
    } finally {
      this.malloc_enable();
    }
    stream(census.toXml());
    return 0;
  }

  abstract malloc_disable(): void;
  abstract malloc_enable(): void;
  abstract malloc_iterate(base: number, size: number, callback: (pointer: number, size: number) => void): void;

  /** mallopt(3) with Scudo's codes (S20): 1 if done, 0 if unknown or refused; errno is untouched. */
  mallopt(code: number, value: number): CBoolean {
    return mallopt(this.malloptTarget(), code, value);
  }

  private malloptTarget(): MalloptTarget {
    const { allocator } = this;
    const { cache } = allocator.secondary;
    return {
      setReleaseInterval: (milliseconds) => this.setReleaseInterval(milliseconds),
      purge: ({ all }) => allocator.releaseToOs(all ? "force-all" : "force"),
      setOddEvenTags: ({ on }) => allocator.setOddEvenTags(on),
      setThreadMemInit: ({ disabled }) => allocator.registry.setMemoryInitDisabled(disabled),
      setCacheMaxEntries: (count) => cache?.setMaxEntriesCount(count) ?? false,
      setCacheMaxEntryBytes: (bytes) => {
        cache?.setMaxEntrySize(bytes);
        return cache !== null;
      },
      setThreadCaches: (count) => allocator.registry.setCount(count),
      logStatistics: () => {
        this.print_stats();
        const { primary, primaryRelease, options } = allocator;
        options.write(formatFragmentation(gatherFragmentation(primary, primaryRelease)));
      },
    };
  }

  /** M_DECAY_TIME. Android takes −1, 0 and 1 only, 1 being "as long as its configuration lets", and releases first (S20). */
  private setReleaseInterval(milliseconds: number): boolean {
    const { allocator } = this;
    let interval = milliseconds;
    if (allocator.options.config.name === "android") {
      allocator.releaseToOs("force");
      const place = { file: "introspection.ts", line: 1 };
      const condition = "(value) >= (-1) && (value) <= (1)";
      if (![-1, 0, 1].includes(milliseconds)) reportCheckFailed(place, condition, milliseconds, 1, allocator.reports);
      if (milliseconds === 1) interval = INTERVAL_MAX;
    }
    allocator.primary.setReleaseInterval(interval);
    allocator.secondary.cache?.setReleaseInterval(interval);
    return allocator.secondary.cache !== null;
  }

  /** malloc_set_zero_contents: fresh memory reads zero, or whatever was there. */
  malloc_set_zero_contents(on: CBoolean): void {
    this.allocator.fillMode = on === 1 ? FILL_ZERO : FILL_NONE;
  }

  /** malloc_set_pattern_fill_contents: fresh memory reads the pattern, or whatever was there. */
  malloc_set_pattern_fill_contents(on: CBoolean): void {
    this.allocator.fillMode = on === 1 ? FILL_PATTERN : FILL_NONE;
  }

  /** malloc_set_add_large_allocation_slack: 16 more bytes behind every large chunk, or none (S20.2). */
  malloc_set_add_large_allocation_slack(on: CBoolean): void {
    this.allocator.addLargeAllocationSlack = on === 1;
  }

  /**
   * malloc_set_track_allocation_stacks: keeps host stack traces of chunks from now on, or stops; what is known stays known.
   * Nothing happens if `allocation_ring_buffer_size` is 0 or less and the option `stacks` was not given (S24.1).
   */
  malloc_set_track_allocation_stacks(on: CBoolean): void {
    if (this.stackTable === null) return;
    this.stackTable.isRecording = on === 1;
    this.isObserved = on === 1 || Object.keys(this.hooks).length > 0;
  }

  /** What lies at an address of the heap, in a sentence and as data; never reports. @throws RangeError: no address */
  explain(address: number): Explanation {
    const { allocator } = this;
    const { memory, primary, secondary, headers } = allocator;
    const stacksOf = (pointer: number) => this.stacksOf(pointer);
    const sources = { memory, primary, secondary, headers, headerPointer: (pointer: number) => pointer, stacksOf };
    return explain(sources, address);
  }

  /**
   * The host's own bytes under `[pointer, pointer + length)`, until released. Copy-on-write is broken first, so that pages of
   * a reference page become resident. @throws SystemError EFAULT: not mapped, or not writable
   */
  pin(pointer: number, length: number): PinnedRange {
    return pinRange(this.process, pointer, length);
  }

  /** A fresh chunk with `text` in UTF-8 and a NUL behind it, or 0 if there is no memory. The caller frees it. */
  string(text: string): number {
    const bytes = new TextEncoder().encode(`${text}\0`);
    const pointer = this.malloc(bytes.length);
    if (pointer !== 0) this.memory.write(pointer, bytes);
    return pointer;
  }

  /**
   * A struct of this layout in a fresh chunk, zeroed; `using` frees it.
   * @throws TypeError: a layout that C could not have. RangeError: no memory.
   */
  struct<Layout extends StructLayout>(layout: Layout): OwnedStruct<Layout> {
    const { size } = placeLayout(layout);
    const pointer = this.calloc(1, size);
    if (pointer === 0) throw new RangeError(`struct: no memory for ${size} bytes`);
    const view = this.structAt(layout, pointer);
    return Object.defineProperty(view, Symbol.dispose, { value: () => this.free(pointer) }) as OwnedStruct<Layout>;
  }

  /** A view of the struct that lies at `pointer` already; nothing is freed by it. */
  structAt<Layout extends StructLayout>(layout: Layout, pointer: number): StructView<Layout> {
    return viewStruct(this.memory, layout, pointer);
  }
}
