// class Checker: what a heap's user asks of the checker and is told by it. Client requests have Valgrind's meanings.
// It is the observer of the program's memory and of its chunks; judging an access is judge.ts, reports are findings.ts and text.ts.

import { iterateChunks } from "../combined/chunk-walk.ts";
import type { Allocator } from "../combined/combined.ts";
import { batchNext } from "../combined/quarantine-cache.ts";
import { StackTable } from "../common/stacks.ts";
import type { ByteAllocator, ChunkListener } from "../tracking/byte-allocator.ts";
import { Arenas } from "./arenas.ts";
import { Blocks } from "./blocks.ts";
import type { Finding, LeakKind } from "./finding.ts";
import { Findings } from "./findings.ts";
import { type Frame, parseFrames } from "./frames.ts";
import { Judge } from "./judge.ts";
import { LeakScan, type PointerForm, type Root } from "./leaks.ts";
import { NoAccess } from "./no-access.ts";
import { type CheckedHeap, Requests } from "./requests.ts";
import { findingsToJson, findingsToSarif } from "./sarif.ts";
import type { Suppression } from "./suppressions.ts";
import { formatFindings, type TextOptions } from "./text.ts";

/** Large chunks' mappings may be gone when somebody uses them after free; so they are remembered here. */
const LARGE = 65536;
const FRAMES = 16;

export interface LeakCheckOptions {
  /** Where live pointers are: values that the program holds, and ranges of memory to scan. Default: nowhere. */
  readonly roots?: readonly Root[];
  /** Default `"either"`. */
  readonly pointers?: PointerForm;
  /** Which kinds become findings. Default: definitely and possibly lost, as Memcheck's. */
  readonly report?: readonly LeakKind[];
}

/** Blocks and bytes of each kind. */
export interface LeakSummary {
  readonly definitely: LeakCount;
  readonly indirectly: LeakCount;
  readonly possibly: LeakCount;
  readonly reachable: LeakCount;
  /** One for each kind and allocation stack, the most bytes first. */
  readonly findings: readonly Finding[];
}

export interface LeakCount {
  readonly blocks: number;
  readonly bytes: number;
}

export class Checker extends Requests implements ChunkListener {
  /** Everything that was found, each error once. */
  readonly results = new Findings();
  private readonly heap: CheckedHeap;
  private readonly allocator: Allocator;
  private readonly blocks: Blocks;
  private readonly traces = new StackTable({ capacity: 1, frames: FRAMES });
  readonly judge: Judge;

  /** Use `heap.checker`. */
  constructor(heap: CheckedHeap, allocator: Allocator) {
    const arenas = new Arenas();
    const noAccess = new NoAccess();
    const blocks = new Blocks(heap, arenas);
    super({ heap, allocator, arenas, noAccess });
    this.heap = heap;
    this.allocator = allocator;
    this.blocks = blocks;
    this.judge = new Judge({
      allocator,
      blocks,
      noAccess,
      findings: this.results,
      here: () => this.here(),
    });
  }

  /** What was found so far. */
  get findings(): readonly Finding[] {
    return this.results.list;
  }

  /**
   * When a load of undefined bytes is an error: at once, or only when the program says that it uses them ({@link checkIsDefined}),
   * compares them, reads a string or gives them to a system call. Default `"load"`.
   */
  get reportOn(): "load" | "use" {
    return this.judge.reportsLoads ? "load" : "use";
  }

  set reportOn(moment: "load" | "use") {
    if (moment !== "load" && moment !== "use")
      throw new RangeError(`reportOn: "${moment}" is neither "load" nor "use"`);
    this.judge.reportsLoads = moment === "load";
  }

  /** Told of each new finding before the access goes on; what it throws stops the access. */
  set onFinding(handler: ((finding: Finding) => void) | null) {
    this.results.handler = handler;
  }

  addSuppressions(...suppressions: readonly Suppression[]): void {
    this.results.suppressions.push(...suppressions);
  }

  /** VALGRIND_COUNT_ERRORS: errors with their repetitions. */
  countErrors(): number {
    return this.results.total;
  }

  /** VALGRIND_DISABLE_ERROR_REPORTING and its counterpart; calls nest. */
  disableErrorReporting(): void {
    this.results.disabled++;
  }

  enableErrorReporting(): void {
    if (this.results.disabled > 0) this.results.disabled--;
  }

  /** Forgets all findings and block names. */
  clear(): void {
    this.results.clear();
    this.blocks.forgetNames();
  }

  /** Takes findings off the list; if they happen again they are new. */
  forget(findings: readonly Finding[]): void {
    this.results.remove(findings);
  }

  toText(options: TextOptions = {}): string {
    return formatFindings(this.findings, options);
  }

  toJSON(): object[] {
    return findingsToJson(this.findings);
  }

  /** SARIF 2.1.0. */
  toSarif(): object {
    return findingsToSarif(this.findings);
  }

  /**
   * VALGRIND_DO_LEAK_CHECK: what of the heap can be reached from `roots`, and findings for what cannot. Arena chunks are part of
   * the chunk that they lie in.
   */
  leakCheck({
    roots = [],
    pointers = "either",
    report = ["definitely lost", "possibly lost"],
  }: LeakCheckOptions = {}): LeakSummary {
    const found = new LeakScan(this.allocator.memory, this.chunks(), pointers).run(roots);
    const count = (kind: LeakKind): LeakCount => {
      const all = found.filter((chunk) => chunk.kind === kind);
      return { blocks: all.length, bytes: all.reduce((sum, { size }) => sum + size, 0) };
    };
    const groups = new Map<string, { kind: LeakKind; chunks: { pointer: number; size: number }[]; stack: Frame[] }>();
    for (const chunk of found) {
      if (!report.includes(chunk.kind)) continue;
      const trace = this.heap.stacksOf(chunk.pointer)?.allocation ?? null;
      const key = `${chunk.kind} ${trace ?? chunk.pointer}`;
      const group = groups.get(key) ?? { kind: chunk.kind, chunks: [], stack: parseFrames(trace) };
      group.chunks.push(chunk);
      groups.set(key, group);
    }
    const findings = [...groups.values()].map(({ kind, chunks, stack }) => this.leakFinding(kind, chunks, stack));
    findings.sort((a, b) => b.bytes - a.bytes);
    for (const finding of findings) this.results.add(finding);
    return {
      definitely: count("definitely lost"),
      indirectly: count("indirectly lost"),
      possibly: count("possibly lost"),
      reachable: count("still reachable"),
      findings,
    };
  }

  private leakFinding(
    leakKind: LeakKind,
    chunks: readonly { pointer: number; size: number }[],
    stack: readonly Frame[],
  ): Finding {
    const [{ pointer, size }] = chunks;
    return {
      kind: "leak",
      operation: null,
      cause: null,
      leakKind,
      address: pointer,
      size,
      firstUndefined: null,
      offset: 0,
      block: this.blocks.describe(pointer, size, true, null),
      stack,
      count: 1,
      blocks: chunks.length,
      bytes: chunks.reduce((sum, chunk) => sum + chunk.size, 0),
    };
  }

  /** The user's live chunks: the quarantine's own batches are none. */
  private chunks(): { pointer: number; size: number }[] {
    const own = this.quarantineBatches();
    const chunks: { pointer: number; size: number }[] = [];
    iterateChunks(this.allocator, 0, Number.POSITIVE_INFINITY, (pointer, size) => {
      if (!own.has(pointer)) chunks.push({ pointer, size });
    });
    return chunks;
  }

  private quarantineBatches(): Set<number> {
    const { allocator } = this;
    const batches = new Set<number>();
    for (const cache of [allocator.quarantine.global, ...allocator.registry.all().map((tsd) => tsd.quarantine)]) {
      for (let batch = cache.first; batch !== 0; batch = batchNext(allocator.memory, batch)) batches.add(batch);
    }
    return batches;
  }

  protected override here(): Frame[] {
    return parseFrames(this.traces.here());
  }

  /** Watches the program's bytes; the allocator tells of its chunks. */
  watch(allocator: ByteAllocator): void {
    allocator.listener = this;
  }

  chunkAllocated(pointer: number, size: number): void {
    const { judge } = this;
    judge.addressableFrom = pointer;
    judge.addressableTo = pointer + size;
    if (!this.noAccess.isEmpty) this.noAccess.allow(pointer, size);
  }

  chunkFreed(pointer: number, size: number): void {
    const { judge } = this;
    judge.addressableFrom = 0;
    judge.addressableTo = 0;
    if (!this.noAccess.isEmpty) this.noAccess.allow(pointer, size);
    this.blocks.noteEnd(pointer);
    if (size > LARGE) this.blocks.noteFreedLarge(pointer, size);
  }

  chunkResized(pointer: number, oldSize: number, newSize: number): void {
    this.judge.addressableTo = 0;
    this.noAccess.allow(pointer, newSize);
    if (newSize > oldSize) this.blocks.noteGrowth(pointer, oldSize);
  }
}
