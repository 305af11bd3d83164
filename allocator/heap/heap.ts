// class Heap: a Scudo on a process of the simulated kernel, as its users see it. Each method is one line over the heap's parts.
// Making and forking the parts is make-parts.ts, C's functions are c-interface.ts, and what else there is has a file of its name.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import type { Machine } from "../../platform/hardware/machine.ts";
import { outline } from "../../platform/hardware/outline.ts";
import type { Kernel } from "../../platform/kernel/kernel.ts";
import type { Process } from "../../platform/kernel/process.ts";
import type { Thread } from "../../platform/kernel/thread.ts";
import { keepAs } from "../../platform/state/kept.ts";
import type { Checker as WholeChecker } from "../checker/checker.ts";
import type { Checker } from "../checker/face.ts";
import { checkPointer, checkSize } from "../combined/arguments.ts";
import type { Memory } from "../common/memory.ts";
import type { Explanation } from "../inspection/explain.ts";
import { gatherStatistics } from "../inspection/gather-statistics.ts";
import { checkHeapInvariants, type HeapCensus } from "../inspection/invariants.ts";
import { type Mallinfo, mallinfo2Of, mallinfoOf } from "../inspection/mallinfo.ts";
import type { HeapStatistics } from "../inspection/statistics.ts";
import type { Fill, HeapOptions, ResolvedHeapOptions, Tagging } from "../options/options.ts";
import type { ReleaseKind } from "../primary/primary-release.ts";
import { announceHeaps } from "../record/announce.ts";
import type { Recording, RecordOptions } from "../record/recording.ts";
import type { RecordSink } from "../record/trace-writer.ts";
import type { LargeTagCounts } from "../tagging/tagged-secondary.ts";
import * as c from "./c-interface.ts";
import { disposeHeap, enrol } from "./end.ts";
import * as introspection from "./introspection.ts";
import { forkParts, joinParts, makeHeapParts } from "./make-parts.ts";
import { checkerOf, explainAddress, type HeapParts, requireAlive } from "./parts.ts";
import { type PinnedRange, pinRange } from "./pin.ts";
import { makeString, makeStruct, type OwnedStruct, type StructLayout, type StructView, viewStruct } from "./struct.ts";
import * as threads from "./threads.ts";
import { type HeapView, viewMemory } from "./view.ts";

/** The parts of a heap, for the library and its tests; no entry point of the package exports it. */
export let partsOf: (heap: Heap) => HeapParts;

let heapOver: (parts: HeapParts) => Heap;

/** A heap's checker with its inner parts, for the library and its tests. */
export function wholeCheckerOf(heap: Heap): WholeChecker {
  return checkerOf(partsOf(heap));
}

/**
 * A heap. Its blocks, headers and large mappings are in simulated memory, which it gets by system calls of its process.
 * Pointers are addresses in that process, 0 is the null pointer. A misuse throws HeapError, a number that C could not express
 * RangeError or TypeError; the heap is as before then. After the heap's end every call throws HeapError of the kind `"ended"`.
 *
 * ```ts
 * const heap = new Heap({ fill: "pattern" });
 * const p = heap.malloc(100);
 * heap.memory.setUint32(p, 42);
 * heap.free(p);
 * ```
 */
export class Heap {
  readonly #parts: HeapParts;

  static {
    partsOf = (heap) => heap.#parts;
    heapOver = (parts) => Heap.#over(parts);
    announceHeaps(Heap);
    outline(Heap, ({ process, options: { fill, tagging, uninitialised } }) => ({
      pid: process.pid,
      fill,
      tagging,
      uninitialised,
    }));
  }

  /** The parts of the heap that is being made over them: the way in of forks and snapshots, which users do not see. */
  static #handedOver: HeapParts | null = null;

  static #over(parts: HeapParts): Heap {
    Heap.#handedOver = parts;
    try {
      return new Heap();
    } finally {
      Heap.#handedOver = null;
    }
  }

  /**
   * @param options options as an object, or Scudo's option string
   * @throws OptionError: an unknown or malformed option. RangeError: a machine or configuration without what the options need.
   * HeapError map-failed: no address space for the smallest regions.
   */
  constructor(options: HeapOptions | string = {}) {
    this.#parts = Heap.#handedOver ?? makeHeapParts(options);
    keepHeap(this, this.#parts);
    if (Heap.#handedOver === null) enrol(this, this.#parts);
  }

  /** The living heaps on a machine, in the order in which they were made: of one that was restored from a snapshot, for instance. */
  static on(machine: Machine): Heap[] {
    return [...machine.residents].filter((resident) => resident instanceof Heap);
  }

  /** malloc(3): `size` bytes at an address that is a multiple of 16, or 0 with ENOMEM. Size 0 gives a unique pointer. */
  malloc(size: ByteCount): Address {
    return c.malloc(this.#parts, size);
  }

  /** calloc(3): `count * size` zero bytes. Large ones are zero pages that were never touched. Overflow: 0 with ENOMEM. */
  calloc(count: number, size: ByteCount): Address {
    return c.calloc(this.#parts, count, size);
  }

  /** free(3): gives a chunk back; 0 is ignored. */
  free(pointer: Address): void {
    c.free(this.#parts, pointer);
  }

  /** C23 free_sized: `size` must be the size asked for. */
  free_sized(pointer: Address, size: ByteCount): void {
    c.free_sized(this.#parts, pointer, size);
  }

  /** C23 free_aligned_sized: as {@link free_sized}, and the chunk must lie at a multiple of `alignment`. */
  free_aligned_sized(pointer: Address, alignment: ByteCount, size: ByteCount): void {
    c.free_aligned_sized(this.#parts, pointer, alignment, size);
  }

  /**
   * realloc(3): null allocates, size 0 frees and answers 0. In place where the block has room, else the chunk moves; large ones
   * by moving their pages. 0 with ENOMEM leaves the old chunk as it is.
   */
  realloc(pointer: Address, size: ByteCount): Address {
    return c.realloc(this.#parts, pointer, size);
  }

  /** reallocarray(3): realloc to `count * size` bytes; overflow is 0 with ENOMEM. */
  reallocarray(pointer: Address, count: number, size: ByteCount): Address {
    return c.reallocarray(this.#parts, pointer, count, size);
  }

  /** memalign(3). An alignment that is no power of two: 0 with EINVAL (Android rounds it up). Alone in not setting ENOMEM (S16.7). */
  memalign(alignment: ByteCount, size: ByteCount): Address {
    return c.memalign(this.#parts, alignment, size);
  }

  /**
   * posix_memalign(3): stores the chunk's address in the word at `target`.
   * @returns 0, EINVAL (22) or ENOMEM (12); then `*target` and errno are untouched
   */
  posix_memalign(target: Address, alignment: ByteCount, size: ByteCount): number {
    return c.posix_memalign(this.#parts, target, alignment, size);
  }

  /** aligned_alloc(3): `size` must be a multiple of `alignment`, a power of two; else 0 with EINVAL. */
  aligned_alloc(alignment: ByteCount, size: ByteCount): Address {
    return c.aligned_alloc(this.#parts, alignment, size);
  }

  /** valloc(3): page-aligned. */
  valloc(size: ByteCount): Address {
    return c.valloc(this.#parts, size);
  }

  /** pvalloc(3): page-aligned, the size rounded up to whole pages, at least one. */
  pvalloc(size: ByteCount): Address {
    return c.pvalloc(this.#parts, size);
  }

  /** malloc_usable_size(3): the bytes asked for, exactly (S18.1); 0 for 0. With `exactUsableSize: false` all the room. */
  malloc_usable_size(pointer: Address): ByteCount {
    return c.malloc_usable_size(this.#parts, pointer);
  }

  /** C++'s operator new. There is no bad_alloc: a failure is 0, as in Scudo (S17.1); errno is not touched. */
  operatorNew(size: ByteCount, options: c.OperatorOptions = c.PLAIN_OPERATOR): Address {
    return c.operatorNew(this.#parts, size, options);
  }

  /** C++'s operator delete, sized if a size is given; 0 is ignored. */
  operatorDelete(pointer: Address, options: c.OperatorOptions = c.PLAIN_OPERATOR): void {
    c.operatorDelete(this.#parts, pointer, options);
  }

  /** errno as the last failing call left it: 0, 12 (ENOMEM) or 22 (EINVAL). Successful calls leave it alone. */
  get errno(): number {
    return this.#parts.errno;
  }

  /** Sets errno. @throws RangeError: no whole number of 32 bits, as C's int is */
  set errno(errno: number) {
    introspection.setErrno(this.#parts, errno);
  }

  /** Loads and stores of the thread that runs now, by DataView's names. */
  get memory(): Memory {
    return this.#parts.program.userMemory;
  }

  /** The process whose heap this is. */
  get process(): Process {
    return this.#parts.process;
  }

  /** The kernel of that process. */
  get kernel(): Kernel {
    return this.#parts.process.kernel;
  }

  /** The options, checked and with every default filled in. */
  get options(): ResolvedHeapOptions {
    return this.#parts.options;
  }

  /** Finds reads of unwritten memory (option `uninitialised`), accesses outside chunks, leaks (always); takes client requests. */
  get checker(): Checker {
    return checkerOf(this.#parts);
  }

  /** What a tag mismatch does now; `"off"` if the heap has no tags. */
  get tagging(): Tagging {
    return this.#parts.tagControl?.mode ?? "off";
  }

  /**
   * Changes what a tag mismatch does, in every thread of the process; the chunks keep their tags. `"off"` is final: new chunks
   * have no tags then (S23.5). Other tagged heaps of the process keep their checks.
   * @throws OptionError: no such mode. RangeError: the heap was made without tagging, or it was switched off before
   */
  setTagging(mode: Tagging): void {
    introspection.setTagging(this.#parts, mode);
  }

  /** Scudo's malloc_disable_memory_tagging: as {@link setTagging} with `"off"`. */
  malloc_disable_memory_tagging(): void {
    introspection.setTagging(this.#parts, "off");
  }

  /** How large chunks got their tags, and how often they could not; null for a heap made without tagging. */
  get largeTags(): LargeTagCounts | null {
    return this.#parts.tagControl?.counts ?? null;
  }

  /**
   * Runs `work` as `thread`: the heap's calls use that thread's cache, `memory` is its load/store unit, and system calls are
   * its own. Calls may nest. @throws RangeError: a thread of another process, or one that has ended
   */
  withThread<Result>(thread: Thread, work: () => Result): Result {
    return threads.withThread(this.#parts, thread, work);
  }

  /** Ends a thread: its cache and quarantine go where other threads find them (S25.4), then it exits. */
  endThread(thread: Thread): void {
    threads.endThread(this.#parts, thread);
  }

  /** Forks the process. @returns the child's heap, whose `process` is the child; it knows every chunk of this one */
  fork(): Heap {
    const parts = forkParts(this.#parts);
    return enrol(Heap.#over(parts), parts);
  }

  /** This heap in a process that was just forked from its own by other means; it does not end with the heap. */
  inProcess(child: Process): Heap {
    const parts = joinParts(this.#parts, child);
    return enrol(Heap.#over(parts), parts);
  }

  /** What fresh memory reads from now on. Setting it throws OptionError for what is no fill. */
  get fill(): Fill {
    return introspection.fillOf(this.#parts);
  }

  /** Sets what chunks are filled with from now on. */
  set fill(fill: Fill) {
    introspection.setFill(this.#parts, fill);
  }

  /** malloc_set_zero_contents: fresh memory reads zero, or its last content. */
  malloc_set_zero_contents(on: introspection.CBoolean): void {
    introspection.setZeroContents(this.#parts, on);
  }

  /** malloc_set_pattern_fill_contents: fresh memory reads the pattern, or its last content. */
  malloc_set_pattern_fill_contents(on: introspection.CBoolean): void {
    introspection.setPatternFillContents(this.#parts, on);
  }

  /** malloc_set_add_large_allocation_slack: 16 more bytes behind every large chunk, or none (S20.2). */
  malloc_set_add_large_allocation_slack(on: introspection.CBoolean): void {
    introspection.setAddLargeAllocationSlack(this.#parts, on);
  }

  /**
   * malloc_set_track_allocation_stacks: keeps stack traces of chunks from now on, or stops; those of chunks that stay are kept.
   * Nothing happens if `allocation_ring_buffer_size` is 0 or less and the option `stacks` was not given (S24.1).
   */
  malloc_set_track_allocation_stacks(on: introspection.CBoolean): void {
    introspection.setTrackAllocationStacks(this.#parts, on);
  }

  /** mallopt(3) with Scudo's codes (S20): 1 if done, 0 if unknown or refused; errno is untouched. */
  mallopt(code: number, value: number): introspection.CBoolean {
    return introspection.changeOption(this.#parts, code, value);
  }

  /**
   * Gives pages of free blocks back to the kernel (S9.8): `"normal"` as after a free, `"force"` as M_PURGE, `"force-all"` as
   * M_PURGE_ALL, which empties caches and quarantine first. The secondary cache's pages go back with either kind.
   * @returns bytes that the primary gave back
   */
  releaseToOS(kind: ReleaseKind = "force"): ByteCount {
    return introspection.releaseToOS(this.#parts, kind);
  }

  /**
   * malloc_iterate(3): calls back with every allocated chunk whose block begins in `[base, base + size)`. The heap must be disabled, so
   * that it cannot change meanwhile.
   */
  malloc_iterate(base: Address, size: ByteCount, visit: (pointer: Address, size: ByteCount) => void): void {
    introspection.malloc_iterate(this.#parts, base, size, visit);
  }

  /** malloc_disable: any allocation until {@link malloc_enable} is a report, where C's would wait for ever (S25.2). */
  malloc_disable(): void {
    this.#parts.allocator.registry.disable();
  }

  /** Ends what `malloc_disable` began. */
  malloc_enable(): void {
    this.#parts.allocator.registry.enable();
  }

  /** Every figure of the heap, a snapshot. Costs a walk over classes, caches and quarantine batches, not over chunks. */
  stats(): HeapStatistics {
    return gatherStatistics(this.#parts.allocator);
  }

  /** __scudo_print_stats: writes Scudo's statistics text to the option `write` (S19.4). */
  print_stats(): void {
    introspection.printStatistics(this.#parts);
  }

  /**
   * getStats: writes the statistics text to `buffer`, at most `size` bytes, always ended by a NUL if size > 0.
   * @returns the bytes that the whole text needs, with its NUL (S19.6)
   */
  getStats(buffer: Address, size: ByteCount): ByteCount {
    return introspection.writeStatistics(this.stats(), this.memory, buffer, size);
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
   * @param _options 0, as the manual says
   * @param stream takes the text
   * @returns 0
   */
  malloc_info(_options: 0, stream: (text: string) => void): 0 {
    return introspection.malloc_info(this.#parts, stream);
  }

  /** What lies at an address of the heap, in a sentence and as data; never reports. @throws RangeError: no address */
  explain(address: Address): Explanation {
    return explainAddress(this.#parts, address);
  }

  /**
   * Checks that tables, free lists, caches, headers and statistics agree.
   * @returns how many chunks there are
   * @throws Error naming the broken rule
   */
  checkInvariants(): HeapCensus {
    return checkHeapInvariants(this.#parts.allocator);
  }

  /**
   * A stand-in for a DataView over `[pointer, pointer + length)`, for code that takes one; its `bytes` is one for a Uint8Array. Every
   * access is a load or store of the program, and checked as such. Nothing is loaded or pinned by making it.
   * @param length bytes; without it those of the chunk
   */
  view(pointer: Address, length: ByteCount = c.malloc_usable_size(this.#parts, pointer)): HeapView {
    checkPointer("view", pointer);
    checkSize("view", "length", length);
    requireAlive(this.#parts);
    return viewMemory(this, pointer, length);
  }

  /**
   * The host's own bytes under `[pointer, pointer + length)`, until released. Copy-on-write is broken first, so that pages of
   * a reference page become resident. @throws SystemError EFAULT: not mapped, or not writable
   */
  pin(pointer: Address, length: ByteCount): PinnedRange {
    return pinRange(requireAlive(this.#parts).process, pointer, length);
  }

  /** A fresh chunk with `text` in UTF-8 and a NUL behind it, or 0 if there is no memory. The caller frees it. */
  string(text: string): Address {
    return makeString(this, text);
  }

  /**
   * A struct of this layout in a fresh chunk, zeroed; `using` frees it.
   * @throws TypeError: a layout that C could not have. RangeError: no memory.
   */
  struct<Layout extends StructLayout>(layout: Layout): OwnedStruct<Layout> {
    return makeStruct(this, layout);
  }

  /** A view of the struct that lies at `pointer` already; nothing is freed by it. */
  structAt<Layout extends StructLayout>(layout: Layout, pointer: Address): StructView<Layout> {
    requireAlive(this.#parts);
    return viewStruct(this, layout, pointer);
  }

  /**
   * Writes what the program does from now on as an allocation trace, which `refheap replay` and `refheap report` read: every call
   * that succeeds, and for each page of each block its first load and its first store through {@link memory}.
   *
   * Blocks from before, memory objects taken before, what the kernel reads or writes, and forks of the heap are not recorded.
   * A heap that is not recorded pays nothing for this.
   *
   * ```ts
   * using recording = heap.record(createWriteStream("app.rht"));
   * ```
   * @param sink takes the trace's bytes, some thousand events at a time: a writable stream, or any object with `write`
   * @throws Error: the heap is being recorded. TypeError, RangeError: no sink, an unknown format
   */
  record(sink: RecordSink, options: RecordOptions = {}): Recording {
    return introspection.record(this.#parts, this, sink, options);
  }

  /**
   * Ends the heap: its process if that was made for it, else its mappings and descriptors. A recording ends with it.
   * @throws after everything was given back: the report of an asynchronous tag mismatch that waited for the next system call, or what
   * a recording's sink threw
   */
  [Symbol.dispose](): void {
    disposeHeap(this.#parts);
  }
}

/** How a snapshot keeps a heap: as its parts. */
const keepHeap = keepAs("heap", (parts: HeapParts) => heapOver(parts));
