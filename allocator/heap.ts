// class Heap: a Scudo on a process of the simulated kernel. Making one, its threads, fork, release, walks, and its end.
// The allocation functions are in c-interface.ts, statistics and the like in introspection.ts, the allocator in combined.ts.

import type { Memory } from "../platform/hardware/memory.ts";
import type { Kernel } from "../platform/kernel/kernel.ts";
import type { Process } from "../platform/kernel/process.ts";
import type { Thread } from "../platform/kernel/thread.ts";
import { createKernel } from "../refpage/kernel.ts";
import { iterateChunks } from "./chunk-walk.ts";
import { Allocator } from "./combined.ts";
import { FILL_NONE, FILL_PATTERN, FILL_ZERO } from "./fill.ts";
import { gatherStatistics } from "./gather-statistics.ts";
import type { HeapHooks } from "./hooks.ts";
import { Introspection } from "./introspection.ts";
import { checkHeapInvariants, type HeapCensus } from "./invariants.ts";
import { type Fill, type HeapOptions, type ResolvedHeapOptions, resolveOptions } from "./options.ts";
import type { ReleaseKind } from "./primary-release.ts";
import { formatStatistics } from "./print-stats.ts";
import { Program } from "./program.ts";
import { nextRandom } from "./random.ts";
import { type ReportContext, reportDeadlock } from "./report.ts";
import { StackTable } from "./stacks.ts";

/** What a forked process's heap takes over from the heap that was forked. */
interface Inheritance {
  readonly parent: Heap;
  readonly process: Process;
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
  protected readonly isObserved: boolean;
  private readonly program: Program;
  /** Whether the process was made for this heap, and ends with it. */
  private readonly ownsProcess: boolean;
  private thread: Thread;
  private isDisposed = false;

  /**
   * @param options options as an object, or Scudo's option string
   * @throws OptionError: an unknown or malformed option. HeapError map-failed: no address space for the smallest regions.
   */
  constructor(options: HeapOptions | string = {}, inheritance?: Inheritance) {
    super();
    this.options = inheritance?.parent.options ?? resolveOptions(options);
    this.process = inheritance?.process ?? makeProcess(this.options);
    this.ownsProcess = inheritance !== undefined || this.options.process === null;
    this.program = new Program(this.process);
    this.thread = this.process.mainThread;
    this.hooks = this.options.hooks;
    this.stackTable = this.options.stacks === null ? null : new StackTable(this.options.stacks);
    this.isObserved = this.stackTable !== null || Object.keys(this.hooks).length > 0;
    const seed = nextRandom(this.options.seed ?? hostRandom());
    this.allocator = new Allocator(
      {
        program: this.program,
        options: this.options,
        reports: this.reportContext(),
        cookie: inheritance?.parent.allocator.headers.cookie ?? nextRandom(seed),
        seed,
        printStatistics: () => this.options.write(formatStatistics(gatherStatistics(this.allocator))),
      },
      inheritance?.parent.allocator,
    );
  }

  /** Loads and stores of the thread that runs now, by DataView's names. */
  get memory(): Memory {
    return this.program.userMemory;
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
    this.program.runAs(thread);
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
    iterateChunks(this.allocator, base, size, callback);
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
    return this.inProcess(this.process.fork());
  }

  /** This heap in a process that was just forked from its own by other means. */
  inProcess(child: Process): Heap {
    if (child.parent !== this.process)
      throw new RangeError(`process ${child.pid} is no child of process ${this.process.pid}`);
    return new Heap({}, { parent: this, process: child });
  }

  /** What fresh memory reads from now on. */
  get fill(): Fill {
    return (["none", "zero", "pattern"] as const)[this.allocator.fillMode];
  }

  set fill(fill: Fill) {
    this.allocator.fillMode = { none: FILL_NONE, zero: FILL_ZERO, pattern: FILL_PATTERN }[fill];
  }

  /**
   * Checks that tables, free lists, caches, headers and statistics agree.
   * @returns how many chunks there are
   * @throws Error naming the broken rule
   */
  checkInvariants(): HeapCensus {
    return checkHeapInvariants(this.allocator);
  }

  /** Ends the heap: its process if that was made for it, else its mappings and descriptors. */
  [Symbol.dispose](): void {
    if (this.isDisposed) return;
    this.isDisposed = true;
    if (!this.allocator.registry.disabled) this.allocator.registry.disable();
    if (this.ownsProcess) this.process.exit(0);
    else this.allocator.unmapAll();
  }

  private reportContext(): ReportContext {
    return {
      headerReport: this.options.headerReport,
      stacksOf: (address) => this.stackTable?.stacksOf(address) ?? null,
      onReport: this.options.onReport,
    };
  }
}

function makeProcess(options: ResolvedHeapOptions): Process {
  if (options.process !== null) return options.process;
  const kernel = options.kernel ?? createKernel({ memoryBytes: options.memoryBytes });
  return kernel.createProcess({ name: "heap" });
}

/** 32 bits of the host's randomness. */
function hostRandom(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0];
}
