// class Heap: a Scudo on a process of the simulated kernel. Making one, its threads, fork, release, walks, and its end.
// The allocation functions are in c-interface.ts, statistics and the like in introspection.ts, the allocator in combined.ts.

import type { Memory } from "../../platform/hardware/memory.ts";
import type { Kernel } from "../../platform/kernel/kernel.ts";
import type { Process } from "../../platform/kernel/process.ts";
import type { Thread } from "../../platform/kernel/thread.ts";
import { createKernel } from "../../refpage/kernel.ts";
import { Checker } from "../checker/checker.ts";
import { watchCleanPages } from "../checker/page-watch.ts";
import type { CheckedHeap } from "../checker/requests.ts";
import { iterateChunks } from "../combined/chunk-walk.ts";
import type { Allocator } from "../combined/combined.ts";
import { FILL_NONE, FILL_PATTERN, FILL_ZERO } from "../common/fill.ts";
import type { ChunkStacks } from "../common/heap-error.ts";
import { nextRandom } from "../common/random.ts";
import { type ReportContext, reportDeadlock } from "../common/report.ts";
import { StackTable } from "../common/stacks.ts";
import { gatherStatistics } from "../inspection/gather-statistics.ts";
import { checkHeapInvariants, type HeapCensus } from "../inspection/invariants.ts";
import { formatStatistics } from "../inspection/print-stats.ts";
import type { HeapHooks } from "../options/hooks.ts";
import {
  type Fill,
  type HeapOptions,
  type ResolvedHeapOptions,
  resolveOptions,
  type Tagging,
} from "../options/options.ts";
import type { ReleaseKind } from "../primary/primary-release.ts";
import { Recording, type RecordOptions } from "../record/recording.ts";
import type { RecordSink } from "../record/trace-writer.ts";
import { stacksOfAnyTag, TagControl } from "../tagging/tag-control.ts";
import type { TaggedAllocator } from "../tagging/tagged-allocator.ts";
import type { LargeTagCounts } from "../tagging/tagged-secondary.ts";
import { type HeapFamily, makeFamily } from "./family.ts";
import { Introspection } from "./introspection.ts";

/** What a forked process's heap takes over from the heap that was forked. */
interface Inheritance {
  readonly parent: Heap;
  readonly process: Process;
  /** Whether the heap forked the process itself, and so ends it. */
  readonly ownsProcess: boolean;
}

/**
 * A heap. Its blocks, headers and large mappings are in simulated memory, which it gets by system calls of its process.
 *
 * ```ts
 * const heap = new Heap({ fill: "pattern" });
 * const p = heap.malloc(100);
 * heap.memory.setUint32(p, 42);
 * heap.free(p);
 * ```
 */
export class Heap extends Introspection {
  readonly process: Process;
  readonly options: ResolvedHeapOptions;
  protected readonly allocator: Allocator;
  protected readonly hooks: HeapHooks;
  protected readonly stackTable: StackTable | null;
  protected isObserved: boolean;
  private readonly family: HeapFamily;
  /** Whether the process was made for this heap, and ends with it. */
  private readonly ownsProcess: boolean;
  private thread: Thread;
  private readonly tagControl: TagControl | null;
  private checkerMade: Checker | null = null;
  private recording: Recording | null = null;
  private isDisposed = false;

  /**
   * @param options options as an object, or Scudo's option string
   * @throws OptionError: an unknown or malformed option. HeapError map-failed: no address space for the smallest regions.
   */
  constructor(options: HeapOptions | string = {}, inheritance?: Inheritance) {
    super();
    this.options = inheritance?.parent.options ?? resolveOptions(options);
    this.process = inheritance?.process ?? makeProcess(this.options);
    this.ownsProcess = inheritance?.ownsProcess ?? this.options.process === null;
    const seed = nextRandom(this.options.seed ?? hostRandom());
    this.thread = this.process.mainThread;
    this.hooks = this.options.hooks;
    this.stackTable = makeStackTable(this.options);
    this.isObserved = this.options.stacks !== null || Object.keys(this.hooks).length > 0;
    const parent = inheritance?.parent;
    this.family = makeFamily(
      {
        process: this.process,
        options: this.options,
        reports: this.reportContext(),
        cookie: parent?.allocator.headers.cookie ?? nextRandom(seed),
        seed,
        printStatistics: () => this.options.write(formatStatistics(gatherStatistics(this.allocator))),
      },
      parent?.family,
    );
    this.allocator = this.family.allocator;
    this.tagControl = this.family.kind === "tagged" ? this.makeTagControl(this.family.allocator, parent) : null;
    this.checkerMade = this.watchProgram(this.family);
  }

  /** The checker of a heap that watches what its program reads. */
  private watchProgram(family: HeapFamily): Checker | null {
    if (family.kind !== "page" && family.kind !== "byte") return null;
    const checker = new Checker(this.checkedHeap(), family.allocator);
    if (family.kind === "page") watchCleanPages(family.program, family.allocator, checker.judge);
    else {
      checker.watch(family.allocator);
      family.program.watch(checker.judge);
    }
    return checker;
  }

  /**
   * Finds reads of memory that nobody wrote (option `uninitialised`), accesses outside live chunks, and leaks; takes client
   * requests. Without the option it still checks for leaks.
   */
  get checker(): Checker {
    this.checkerMade ??= new Checker(this.checkedHeap(), this.allocator);
    return this.checkerMade;
  }

  private checkedHeap(): CheckedHeap {
    return {
      process: this.process,
      level: this.options.uninitialised,
      explain: (address) => this.explain(address),
      stacksOf: (pointer) => this.stackTable?.stacksOf(pointer) ?? null,
    };
  }

  private makeTagControl(allocator: TaggedAllocator, parent: Heap | undefined): TagControl {
    const { options, process, stackTable } = this;
    const placeOf = (address: number): string => this.explain(address).sentence;
    const sources = { process, allocator, options, stackTable, placeOf };
    return new TagControl(sources, parent?.tagging ?? options.tagging, { isForked: parent !== undefined });
  }

  /** What a tag mismatch does now; `"off"` if the heap has no tags. */
  get tagging(): Tagging {
    return this.tagControl?.mode ?? "off";
  }

  /**
   * Changes what a tag mismatch does, in every thread of the process; the chunks keep their tags. `"off"` is for good: new chunks
   * have no tags then (S23.5).
   * @throws RangeError: the heap was made without tagging, or it was switched off before
   */
  setTagging(mode: Tagging): void {
    if (this.tagControl === null) {
      if (mode === "off") return;
      throw new RangeError(`tagging: "${mode}" for a heap that was made with tagging "off"`);
    }
    this.tagControl.setMode(mode);
  }

  /** Scudo's malloc_disable_memory_tagging: as {@link setTagging} with `"off"`. */
  malloc_disable_memory_tagging(): void {
    this.setTagging("off");
  }

  /** How large chunks got their tags, and how often they could not; null for a heap made without tagging. */
  get largeTags(): LargeTagCounts | null {
    return this.tagControl?.counts ?? null;
  }

  /** Loads and stores of the thread that runs now, by DataView's names. */
  get memory(): Memory {
    return this.family.program.userMemory;
  }

  get kernel(): Kernel {
    return this.process.kernel;
  }

  /**
   * Runs `work` as `thread`: the heap's calls use that thread's cache, `memory` is its load/store unit, and system calls are
   * its own. Calls may nest.
   */
  withThread<Result>(thread: Thread, work: () => Result): Result {
    const previous = this.thread;
    this.switchTo(thread);
    try {
      return work();
    } finally {
      this.switchTo(previous);
    }
  }

  private switchTo(thread: Thread): void {
    if (thread.process !== this.process)
      throw new RangeError(`thread ${thread.tid} is not of process ${this.process.pid}`);
    this.thread = thread;
    this.process.currentThread = thread;
    this.family.program.runAs(thread);
    this.allocator.registry.switchTo(thread);
  }

  /** Ends a thread: its cache and quarantine go where other threads find them (S25.4), then it exits. */
  endThread(thread: Thread): void {
    if (thread === this.process.mainThread) throw new RangeError("the main thread ends with its process");
    this.withThread(thread, () => this.allocator.registry.endThread(thread));
    if (this.thread === thread) this.switchTo(this.process.mainThread);
    if (!thread.ended) thread.exit();
  }

  /**
   * Gives pages of free blocks back to the kernel (S9.8): `"normal"` as after a free, `"force"` as M_PURGE, `"force-all"` as
   * M_PURGE_ALL, which empties caches and quarantine first. The secondary cache's pages go back whatever the kind.
   * @returns bytes that the primary gave back
   */
  releaseToOS(kind: ReleaseKind = "force"): number {
    return this.allocator.releaseToOs(kind);
  }

  /**
   * malloc_iterate(3): calls back with every allocated chunk whose block begins in `[base, base + size)`. The heap must be disabled, so
   * that it cannot change meanwhile.
   */
  malloc_iterate(base: number, size: number, callback: (pointer: number, size: number) => void): void {
    if (!this.allocator.registry.disabled) throw new Error("malloc_iterate: call malloc_disable first");
    const { allocator } = this;
    iterateChunks(allocator, base, size, (plain, bytes) => callback(allocator.userPointer(plain), bytes));
  }

  /** malloc_disable: any allocation until {@link malloc_enable} is a report, where C's would wait for ever (S25.2). */
  malloc_disable(): void {
    this.allocator.registry.disable();
  }

  malloc_enable(): void {
    if (this.isDisposed) throw new Error("the heap was disposed of");
    this.allocator.registry.enable();
  }

  /** Forks the process. @returns the child's heap, whose `process` is the child; it knows every chunk of this one */
  fork(): Heap {
    if (this.allocator.registry.disabled) reportDeadlock(this.allocator.reports);
    return new Heap({}, { parent: this, process: this.process.fork(), ownsProcess: true });
  }

  /** This heap in a process that was just forked from its own by other means; it does not end with the heap. */
  inProcess(child: Process): Heap {
    if (child.parent !== this.process)
      throw new RangeError(`process ${child.pid} is no child of process ${this.process.pid}`);
    return new Heap({}, { parent: this, process: child, ownsProcess: false });
  }

  /** What fresh memory reads from now on. */
  get fill(): Fill {
    return (["none", "zero", "pattern"] as const)[this.allocator.fillMode];
  }

  set fill(fill: Fill) {
    this.allocator.fillMode = { none: FILL_NONE, zero: FILL_ZERO, pattern: FILL_PATTERN }[fill];
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
    if (this.isDisposed) throw new Error("the heap was disposed of");
    if (this.recording?.isRecording) throw new Error("record: the heap is being recorded already");
    this.recording = new Recording(this, sink, options);
    return this.recording;
  }

  /**
   * Checks that tables, free lists, caches, headers and statistics agree.
   * @returns how many chunks there are
   * @throws Error naming the broken rule
   */
  checkInvariants(): HeapCensus {
    return checkHeapInvariants(this.allocator);
  }

  /** Ends the heap: its process if that was made for it, else its mappings and descriptors, if the process is still there. A recording ends with it. */
  [Symbol.dispose](): void {
    if (this.isDisposed) return;
    this.isDisposed = true;
    this.tagControl?.end();
    if (!this.allocator.registry.disabled) this.allocator.registry.disable();
    if (this.process.exitStatus === null) {
      if (this.ownsProcess) this.process.exit(0);
      else this.allocator.unmapAll();
    }
    this.recording?.stop();
  }

  /** The stacks kept for the chunk at an address, with or without a tag. */
  protected override stacksOf(address: number): ChunkStacks | null {
    const { family, stackTable } = this;
    if (stackTable === null) return null;
    if (family.kind !== "tagged") return stackTable.stacksOf(address);
    return stacksOfAnyTag(stackTable, family.allocator, family.allocator.untag(address));
  }

  private reportContext(): ReportContext {
    return {
      headerReport: this.options.headerReport,
      stacksOf: (address) => this.stacksOf(address),
      onReport: this.options.onReport,
      isDisposed: () => this.isDisposed,
    };
  }
}

/** Frames of a trace when tracking is switched on at run time. */
const TRACKED_FRAMES = 16;

/** Without the option, a table that malloc_set_track_allocation_stacks may switch on, if the flags leave it any entries (S24.1). */
function makeStackTable({ stacks, flags }: ResolvedHeapOptions): StackTable | null {
  if (stacks !== null) return new StackTable(stacks);
  const capacity = flags.allocation_ring_buffer_size;
  return capacity <= 0 ? null : new StackTable({ capacity, frames: TRACKED_FRAMES, isRecording: false });
}

function makeProcess(options: ResolvedHeapOptions): Process {
  if (options.process !== null) return options.process;
  const kernel =
    options.kernel ?? createKernel({ memoryBytes: options.memoryBytes, shadow: options.uninitialised === "byte" });
  return kernel.createProcess({ name: "heap" });
}

/** 32 bits of the host's randomness. */
function hostRandom(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0];
}
