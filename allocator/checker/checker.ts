// class Checker: the calls a user makes on heap.checker and their answers. Client requests have Valgrind's meanings.
// It is the observer of the program's memory and of its chunks; judging an access is judge.ts, reports are findings.ts and finding-text.ts.

import { requireOptions } from "../../platform/hardware/given-options.ts";
import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { TAG_UNIT } from "../../platform/hardware/layout.ts";
import { hideFields, outline } from "../../platform/hardware/outline.ts";
import { keepClass, keepMaker, keepPlaceOfGiven } from "../../platform/state/kept.ts";
import { format } from "../combined/arguments.ts";
import { HEADER_SIZE } from "../combined/chunk-header.ts";
import { iterateChunks } from "../combined/chunk-walk.ts";
import type { Allocator } from "../combined/combined.ts";
import { HeapError } from "../common/heap-error.ts";
import { type Trace, Traces } from "../common/traces.ts";
import { marksOf } from "../tracking/address-marks.ts";
import { NoAccess } from "../tracking/no-access.ts";
import type { ChunkObserver, TrackedAllocator } from "../tracking/tracked-allocator.ts";
import { firstUndefined } from "../tracking/undefined-bytes.ts";
import { Addressable } from "./addressable.ts";
import { Arenas } from "./arenas.ts";
import { Blocks } from "./blocks.ts";
import { type Block, type Finding, type LeakKind, makeFinding } from "./finding.ts";
import { formatFindings, type TextOptions } from "./finding-text.ts";
import { Findings } from "./findings.ts";
import { type Frame, formatFrame, framesOf, isProgramFrame, parseFrames } from "./frames.ts";
import { readableName } from "./function-names.ts";
import { causeOfRefusal } from "./invalid-frees.ts";
import { Judge } from "./judge.ts";
import { LeakScan, type PointerForm, type Root } from "./leaks.ts";
import { type OriginSources, Origins } from "./origins.ts";
import { type CheckedHeap, Requests } from "./requests.ts";
import { findingsToJson, findingsToSarif, type SarifOptions } from "./sarif.ts";
import { formatSuppressions, isSuppressed, type Suppression } from "./suppressions.ts";

const FRAMES = 16;
/** What a chunk that moved was made by is not known any more. */
const ORIGIN_MALLOC = 0;
const LEAK_KINDS: readonly LeakKind[] = ["definitely lost", "indirectly lost", "possibly lost", "still reachable"];
const POINTER_FORMS: readonly PointerForm[] = ["integer", "float64", "either", "integer32"];

/** What a leak check takes for reachable, and which leaks it reports. */
export interface LeakCheckOptions {
  /** Where live pointers are: values that the program holds, and ranges of memory to scan. Default: nowhere. */
  readonly roots?: readonly Root[];
  /** Default `"either"`. */
  readonly pointers?: PointerForm;
  /** Which kinds become findings. Default: definitely and possibly lost, as Memcheck's. */
  readonly report?: readonly LeakKind[];
  /** Blocks that become no findings and are not counted, by pointer: those that were there before, from {@link Checker.liveBlocks}. */
  readonly except?: ReadonlySet<number>;
}

/** What a leak check goes by where its options say nothing: a WebAssembly guest sets it. */
export interface LeakDefaults {
  roots(): readonly Root[];
  readonly pointers: PointerForm;
  /** What these functions allocated is their runtime's for as long as the program lives, wherever the pointer is kept. */
  readonly runtimeFunctions: ReadonlySet<string>;
}

/** Blocks and bytes of each kind. */
export interface LeakSummary {
  /** No pointer leads to these blocks. */
  readonly definitely: LeakCount;
  /** Only lost blocks point to these. */
  readonly indirectly: LeakCount;
  /** Only pointers into their middle lead to these. */
  readonly possibly: LeakCount;
  /** A root, or a block that is reachable, points to these. */
  readonly reachable: LeakCount;
  /** One for each kind and allocation stack, the most bytes first. */
  readonly findings: readonly Finding[];
}

export interface LeakCount {
  readonly blocks: number;
  readonly bytes: ByteCount;
}

export class Checker extends Requests implements ChunkObserver {
  /** Everything that was found, each error once. */
  readonly results: Findings;
  private readonly heap: CheckedHeap;
  private readonly allocator: Allocator;
  readonly arenas: Arenas;
  readonly blocks: Blocks;
  private readonly origins: Origins;
  private readonly traces = new Traces(FRAMES);
  readonly judge: Judge;
  /** Where live pointers are if a leak check does not say so: of a program that the heap can look into. */
  leakDefaults: LeakDefaults | null = null;

  /** Use `heap.checker`. `parent`: of the process that the heap's own was forked from. */
  constructor(heap: CheckedHeap, allocator: Allocator, parent: Checker | null = null) {
    const arenas = new Arenas();
    const isByte = heap.level === "byte";
    const noAccess = isByte ? marksOf(heap.process.addressSpace).noAccess : new NoAccess(allocator.memory.ram);
    const addressable = new Addressable(heap.process, allocator, noAccess);
    const blocks = new Blocks(heap, arenas, parent?.blocks ?? null);
    const origins = new Origins(originSources(arenas, addressable, blocks, allocator));
    super({ heap, allocator, arenas, noAccess, addressable, origins });
    this.heap = heap;
    this.allocator = allocator;
    this.arenas = arenas;
    this.blocks = blocks;
    this.origins = origins;
    this.results = new Findings(parent?.results ?? null);
    this.judge = new Judge({ addressable, blocks, noAccess, origins, findings: this.results, traces: this.traces });
    hideFields(this);
  }

  /** What was found so far. */
  get findings(): readonly Finding[] {
    return this.results.list;
  }

  /**
   * When a load of undefined bytes is an error: immediately, or only when the program says that it uses them ({@link checkIsDefined}),
   * compares them, reads a string or gives them to a system call. Default `"load"`.
   */
  get reportOn(): "load" | "use" {
    return this.judge.reportsLoads ? "load" : "use";
  }

  /** Sets the moment; a load of undefined bytes is reported when they are loaded, or when something depends on them. */
  set reportOn(moment: "load" | "use") {
    if (moment !== "load" && moment !== "use")
      throw new RangeError(`reportOn: "${moment}" is neither "load" nor "use"`);
    this.judge.reportsLoads = moment === "load";
  }

  /** Called with each new finding before the access goes on; what it throws stops the access. */
  set onFinding(handler: ((finding: Finding) => void) | null) {
    if (handler !== null && typeof handler !== "function")
      throw new TypeError(`onFinding: ${typeof handler} is neither a function nor null`);
    this.results.handler = handler === null ? null : givenHandler(handler);
  }

  /** @throws TypeError: one has something else than kind, functionName and file, or none of them; nothing was added */
  addSuppressions(...suppressions: readonly Suppression[]): void {
    for (const suppression of suppressions) requireSuppression(suppression);
    this.results.suppressions.push(...suppressions.map(asInStacks));
    this.judge.noteChange();
  }

  /** Lines that {@link parseSuppressions} reads and that would suppress what was found so far, one a finding. */
  toSuppressions(): string {
    return formatSuppressions(this.findings);
  }

  /** VALGRIND_COUNT_ERRORS: errors with their repetitions. */
  countErrors(): number {
    return this.results.total;
  }

  /** Errors that suppressions kept off the list, with their repetitions. */
  countSuppressed(): number {
    return this.results.suppressed;
  }

  /** VALGRIND_DISABLE_ERROR_REPORTING and its counterpart; calls nest. */
  disableErrorReporting(): void {
    this.results.disabled++;
  }

  /** Ends what `disableErrorReporting` began; calls nest. */
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

  /** All findings as text, the first one first, each with its stacks. */
  toText(options: TextOptions = {}): string {
    return formatFindings(this.findings, options);
  }

  /** All findings as plain data, for JSON. */
  toJSON(): object[] {
    return findingsToJson(this.findings);
  }

  /** SARIF 2.1.0, as code hosts take it. */
  toSarif(options: SarifOptions = {}): object {
    return findingsToSarif(this.findings, options);
  }

  /**
   * VALGRIND_DO_LEAK_CHECK: what of the heap can be reached from `roots`, and findings for what cannot, without those that are
   * suppressed. A chunk from which an arena deals is listed as the arena's chunks.
   * @throws RangeError: `report` or `pointers` names something that there is not
   */
  leakCheck(options: LeakCheckOptions = {}): LeakSummary {
    requireOptions("leakCheck", options, { roots: "object", pointers: "any", report: "object", except: "object" });
    const {
      roots = this.leakDefaults?.roots() ?? [],
      pointers = this.leakDefaults?.pointers ?? "either",
      report = ["definitely lost", "possibly lost"],
      except,
    } = options;
    this.heap.requireAlive();
    for (const kind of report) requireWord("report", kind, LEAK_KINDS);
    requireWord("pointers", pointers, POINTER_FORMS);
    for (const root of options.roots ?? []) requireRoot(root);
    if (except !== undefined && typeof except.has !== "function")
      throw new TypeError("leakCheck: except is a set of pointers");
    const all = this.scanForLeaks(roots, pointers);
    const found = except === undefined ? all : all.filter(({ pointer }) => !except.has(pointer));
    const count = (kind: LeakKind): LeakCount => {
      const all = found.filter((chunk) => chunk.kind === kind);
      return { blocks: all.length, bytes: all.reduce((sum, { size }) => sum + size, 0) };
    };
    const groups = new Map<string, { kind: LeakKind; chunks: { pointer: Address; size: ByteCount }[] }>();
    for (const chunk of found) {
      if (!report.includes(chunk.kind)) continue;
      const key = `${chunk.kind} ${this.allocationOf(chunk.pointer)}`;
      const group = groups.get(key) ?? { kind: chunk.kind, chunks: [] };
      group.chunks.push(chunk);
      groups.set(key, group);
    }
    const leaks = [...groups.values()].map(({ kind, chunks }) => this.leakFinding(kind, chunks));
    leaks.sort((a, b) => b.bytes - a.bytes);
    const findings = leaks.filter((finding) => !isSuppressed(finding, this.results.suppressions));
    for (const finding of leaks) this.results.add(finding);
    return {
      definitely: count("definitely lost"),
      indirectly: count("indirectly lost"),
      possibly: count("possibly lost"),
      reachable: count("still reachable"),
      findings,
    };
  }

  private scanForLeaks(roots: readonly Root[], pointers: PointerForm) {
    const scan = (from: readonly Root[]) => new LeakScan(this.allocator.memory, this.chunks(), pointers).run(from);
    const found = scan(roots);
    const runtime = this.leakDefaults?.runtimeFunctions;
    if (runtime === undefined) return found;
    const kept = found.filter(({ kind, pointer }) => {
      if (kind !== "definitely lost" && kind !== "possibly lost") return false;
      const [innermost] = parseFrames(this.heap.stacksOf(pointer)?.allocation ?? null).filter(isProgramFrame);
      return innermost !== undefined && runtime.has(innermost.functionName);
    });
    return kept.length === 0 ? found : scan([...roots, ...kept.map(({ pointer }) => pointer)]);
  }

  /** Pointers of the user's live blocks, those of arenas included. */
  liveBlocks(): Set<number> {
    this.heap.requireAlive();
    return new Set(this.chunks().map(({ pointer }) => pointer));
  }

  /** Where a live chunk of the heap or of an arena was allocated, as text that is equal for equal places. */
  private allocationOf(pointer: Address): string {
    const [inArena] = this.arenas.liveIn(pointer, 1);
    if (inArena !== undefined) return inArena.allocated.map((frame) => formatFrame(frame, { stable: false })).join("|");
    return this.heap.stacksOf(pointer)?.allocation ?? "";
  }

  private leakFinding(leakKind: LeakKind, chunks: readonly { pointer: Address; size: ByteCount }[]): Finding {
    const [{ pointer, size }] = chunks;
    const block = this.blocks.arenaChunkAt(pointer) ?? this.blocks.describe(pointer, size, true, null);
    return makeFinding({
      kind: "leak",
      operation: null,
      leakKind,
      address: pointer,
      size,
      offset: 0,
      block,
      stack: block.allocation,
      blocks: chunks.length,
      bytes: chunks.reduce((sum, chunk) => sum + chunk.size, 0),
    });
  }

  /** The user's live chunks, with an arena's in place of the one that they are dealt from. The quarantine's own batches are left out. */
  private chunks(): { pointer: Address; size: ByteCount }[] {
    const own = this.quarantineBatches();
    const chunks: { pointer: Address; size: ByteCount }[] = [];
    iterateChunks(this.allocator, 0, Number.POSITIVE_INFINITY, (pointer, size) => {
      if (own.has(pointer)) return;
      const dealt = this.arenas.isEmpty ? [] : this.arenas.liveIn(pointer, size);
      if (dealt.length === 0) chunks.push({ pointer, size });
      for (const chunk of dealt) chunks.push({ pointer: chunk.address, size: chunk.size });
    });
    return chunks;
  }

  private quarantineBatches(): Set<number> {
    const { allocator } = this;
    const batches = new Set<number>();
    for (const { quarantine } of allocator.registry.all())
      quarantine.forEachBatch(allocator.memory, (at) => batches.add(at));
    allocator.quarantine.forEachBatch((at) => batches.add(at));
    return batches;
  }

  protected override here(): readonly Frame[] {
    return framesOf(this.traces.here());
  }

  /** Watches the program's chunks, as its allocator tells. */
  watch(allocator: TrackedAllocator): void {
    allocator.chunkObserver = this;
  }

  chunkAllocated(pointer: Address, size: ByteCount): void {
    const { judge } = this;
    judge.noteChange();
    judge.addressableFrom = pointer;
    judge.addressableTo = pointer + size;
    this.blocks.freed.forget(pointer);
    if (!this.noAccess.isEmpty) this.noAccess.allow(pointer, size);
    if (!this.arenas.isEmpty) this.arenas.forgetIn(pointer, size);
    this.origins.forget(pointer, size);
  }

  chunkFreed(pointer: Address, size: ByteCount, origin: number): void {
    this.judge.forget();
    if (!this.noAccess.isEmpty) this.noAccess.allow(pointer, size);
    if (!this.arenas.isEmpty) for (const chunk of this.arenas.liveIn(pointer, size)) chunk.freed = this.here();
    this.origins.forget(pointer, size);
    this.blocks.noteEnd(pointer);
    this.blocks.freed.note(pointer, size, origin, this.isLarge(size));
  }

  /** Where the live chunk at `pointer` was allocated; null: the heap keeps no stacks. */
  allocationTrace(pointer: Address): Trace | null {
    return this.heap.allocationTrace(pointer);
  }

  /** A chunk as it was once, which may be gone, and another in its place. `origin`: what made it, if that is known. */
  describeEarlier(pointer: Address, size: ByteCount, allocation: Trace | null, origin: Block["origin"] | null): Block {
    return this.blocks.describeEarlier(pointer, size, allocation?.toString() ?? null, origin);
  }

  /** Kept bytes keep what was said of them, wherever they are now. */
  chunkResized(pointer: Address, oldSize: ByteCount, newSize: ByteCount, oldPointer: Address): void {
    const kept = Math.min(oldSize, newSize);
    this.judge.forget();
    this.noAccess.move(pointer, oldPointer, kept);
    this.origins.move(pointer, oldPointer, kept);
    // Beyond them: what was given up, and what is fresh.
    this.noAccess.allow(oldPointer + kept, oldSize - kept);
    this.noAccess.allow(pointer + kept, newSize - kept);
    if (newSize > oldSize) this.blocks.noteGrowth(pointer, oldSize);
    if (pointer !== oldPointer) this.blocks.freed.note(oldPointer, oldSize, ORIGIN_MALLOC, this.isLarge(oldSize));
    this.blocks.freed.forget(pointer);
  }

  /** Whether a chunk of this size has a mapping of its own. */
  private isLarge(size: ByteCount): boolean {
    return size + HEADER_SIZE > this.allocator.primary.config.sizeClassMap.maxSize;
  }

  freeRefused(pointer: Address, operation: "free" | "realloc", error: unknown): void {
    const about = error instanceof HeapError && error.address !== null ? error.address : pointer;
    this.judge.reportRefusal(operation, pointer, about, error instanceof HeapError ? error.kind : "fault", () =>
      causeOfRefusal(pointer, error, this.heap.explain(pointer % TAG_UNIT)),
    );
  }
}

function asInStacks(suppression: Suppression): Suppression {
  const { functionName } = suppression;
  return functionName === undefined ? suppression : { ...suppression, functionName: readableName(functionName) };
}

/** A misspelt name would suppress everything. */
function requireSuppression(suppression: Suppression): void {
  if (typeof suppression === "string" || Array.isArray(suppression))
    throw new TypeError("addSuppressions: lines of text are given as ...parseSuppressions(text)");
  const names = typeof suppression === "object" && suppression !== null ? Object.keys(suppression) : [];
  const wrong = names.find((name) => !["kind", "functionName", "file"].includes(name));
  if (wrong !== undefined || names.length === 0)
    throw new TypeError(`addSuppressions: "${wrong ?? ""}" is not one of kind, functionName, file`);
}

/** A root that is no pointer would reach nothing, and everything would be lost. */
function requireRoot(root: Root): void {
  const isCount = (value: unknown) => typeof value === "number" && value >= 0;
  const isRange = typeof root === "object" && root !== null && isCount(root.address) && isCount(root.length);
  if (!isRange && (typeof root !== "number" || Number.isNaN(root)))
    throw new TypeError(`leakCheck: roots: ${format(root)} is neither a pointer nor a range { address, length }`);
}

/** A misspelt word would report nothing. */
function requireWord(option: string, word: string, words: readonly string[]): void {
  if (!words.includes(word))
    throw new RangeError(`leakCheck: ${option}: "${String(word)}" is not one of ${words.join(", ")}`);
}

outline(Checker, ({ findings }) => ({ findings: findings.length }));

const leakDefaultsNow = keepMaker(
  "checker.leakDefaults",
  (roots: readonly Root[], pointers: PointerForm, runtimeFunctions: ReadonlySet<string>): LeakDefaults => ({
    roots: () => roots,
    pointers,
    runtimeFunctions,
  }),
);

keepClass("Checker", Checker, {
  // The program that the roots are of is not kept: they are those of now.
  atRest: ({ leakDefaults: now }) => ({
    leakDefaults: now && leakDefaultsNow(now.roots(), now.pointers, now.runtimeFunctions),
  }),
});

const givenHandler = keepPlaceOfGiven<(finding: Finding) => void>("checker.onFinding", () => {});

const originSources = keepMaker(
  "checker.originSources",
  (arenas: Arenas, addressable: Addressable, blocks: Blocks, allocator: Allocator): OriginSources => ({
    chunkAt: (address) => arenas.chunkAt(address) ?? addressable.chunkAt(address),
    describe: (source) => blocks.describeSource(source),
    firstUndefined: (address, size) => firstUndefined(allocator.memory, address, size),
  }),
);
