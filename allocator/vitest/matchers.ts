// The matchers: what a function does to a heap, or what a heap is like. Each takes a function that is run, or a heap.
// Their types are types.ts; running and observing is ../testing/observe.ts.

import { SegmentationFault } from "../../platform/hardware/faults.ts";
import type { ByteCount } from "../../platform/hardware/integers.ts";
import type { Finding, Operation } from "../checker/finding.ts";
import { countBytes, formatFindings } from "../checker/finding-text.ts";
import type { Root } from "../checker/leaks.ts";
import { HeapError } from "../common/heap-error.ts";
import { Heap } from "../heap/heap.ts";
import { beginObservation, findCorruption, isCorruption, type Observation, takeOff } from "../testing/observe.ts";
import { heapsOf, isRunning, runAs } from "./active-heaps.ts";

/** What a finding must be like; what is not given may be anything. */
export interface ExpectedAccess {
  /** What the program did. */
  readonly operation?: Operation;
  /** Bytes of the access. */
  readonly size?: number;
  /** From the begin of the block to the access. */
  readonly offset?: number;
  /** From the begin of the block to the first undefined byte. */
  readonly firstUndefinedOffset?: number;
  /** Size of the block. */
  readonly blockSize?: number;
  /** A function of the stack, by name. */
  readonly functionName?: string;
  /** Bytes of the block that the undefined bits are from, where origins are tracked. */
  readonly originSize?: number;
  /** A function that the undefined bits are from: one that allocated their block, or whose stack frame they were in. */
  readonly originFunction?: string;
}

/** What a leak must be like; what is not given may be anything. */
export interface ExpectedLeak {
  /** How many blocks are lost. */
  readonly blocks?: number;
  /** How many bytes they have together. */
  readonly bytes?: number;
  /** Pointers that the test still holds, and ranges of memory that hold pointers. */
  readonly roots?: readonly Root[];
}

export interface MatcherResult {
  readonly pass: boolean;
  readonly message: () => string;
  readonly actual?: unknown;
  readonly expected?: unknown;
}

/** What Vitest tells a matcher, as far as it is used. */
export interface MatcherContext {
  /** Absent without `.not`. */
  readonly isNot?: boolean;
  readonly task?: object;
}

type Work = () => unknown;
export type Subject = Heap | Work;

interface Observed {
  readonly heap: Heap;
  readonly observation: Observation;
}

/** A matcher's answer, and the findings that it is about: those count as seen, all others stay and fail the test. */
interface Verdict extends MatcherResult {
  /** Seen if the matcher finds what it was to find. */
  readonly matched: readonly Finding[];
  /** Told in the message if it does not. */
  readonly told: readonly Finding[];
}

/** Runs a function under observation of its test's heaps; a heap by itself is what it has found so far. */
function observeSubject(
  context: MatcherContext,
  subject: Subject,
  judge: (observed: readonly Observed[]) => Verdict,
): MatcherResult | Promise<MatcherResult> {
  const settle = (observed: readonly Observed[]): MatcherResult => {
    const { matched, told, ...result } = judge(observed);
    const isMet = result.pass !== (context.isNot === true);
    // Without what it was not to find, there is nothing to take off.
    const seen = isMet ? (result.pass ? matched : []) : told;
    for (const { heap, observation } of observed) takeOff(heap, observation, seen);
    if (result.pass && isMet) throwUnexplained(observed);
    return result;
  };
  if (subject instanceof Heap) return settle([{ heap: subject, observation: observationOf(subject) }]);
  if (typeof subject !== "function") throw new TypeError("expected a function that uses a heap, or a heap");
  const heaps = heapsOf(context.task);
  if (heaps.length === 0) throw new TypeError("no heap is watched: use the fixture, or watchHeap(heap)");
  const matcher = {};
  const begun = heaps.map((heap) => ({ heap, ...beginObservation(heap, () => isRunning(matcher)) }));
  const finish = (error: unknown) => settle(begun.map(({ heap, end }) => ({ heap, observation: end(error) })));
  let returned: unknown;
  try {
    returned = runAs(matcher, subject);
  } catch (error) {
    return finish(error);
  }
  if (isThenable(returned)) return Promise.resolve(returned).then(() => finish(undefined), finish);
  return finish(undefined);
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

/** Everything that a heap has found so far. */
function observationOf(heap: Heap): Observation {
  const findings = [...heap.checker.findings];
  const times = new Map(findings.map((finding) => [finding, finding.count]));
  return { findings, times, error: undefined, rssBytes: heap.process.rssBytes };
}

/** What a matcher looks for, by its own name and in words. */
interface Wanted {
  readonly matcher: string;
  readonly what: string;
  readonly isKind: (finding: Finding) => boolean;
}

/** Passes if a finding of the kind is as expected. Other errors of the function go on. */
function matchFindings(
  context: MatcherContext,
  subject: Subject,
  { matcher, what, isKind }: Wanted,
  expected: ExpectedAccess,
): MatcherResult | Promise<MatcherResult> {
  checkNames(matcher, expected, ACCESS_NAMES);
  requireTracking(matcher, subject instanceof Heap ? [subject] : heapsOf(context.task));
  return observeSubject(context, subject, (observed) => {
    const findings = observed.flatMap(({ observation }) => [...observation.findings]);
    const told = findings.filter(isKind);
    const matched = told.filter((finding) => isAsExpected(finding, expected));
    const pass = matched.length > 0;
    if (!pass) throwOn(observed);
    const found = findings.length === 0 ? "it did nothing wrong" : `found:\n\n${formatFindings(findings)}`;
    return {
      pass,
      matched,
      told,
      message: () =>
        pass ? `expected ${what} not to happen, ${found}` : `expected ${what}${formatExpected(expected)}, but ${found}`,
    };
  });
}

/** Accesses to a heap are looked at by its own checker, or by the code of the WebAssembly guest that it is for. */
function tracks({ options, checker }: Heap): boolean {
  return options.uninitialised !== "off" || checker.leakDefaults !== null;
}

/** Of a heap that tracks nothing, each answer would be "nothing happened". */
function requireTracking(matcher: string, heaps: readonly Heap[]): void {
  if (heaps.length === 0 || heaps.some(tracks)) return;
  throw new TypeError(`${matcher}: the heap tracks nothing; make it with uninitialised: "byte" or "page"`);
}

function throwOn(observed: readonly Observed[]): void {
  const { error } = observed[0].observation;
  if (error !== undefined) throw error;
}

/** What a matcher found explains an error of the heap, a fault and a guest's trap, but no error of the program's own. */
function throwUnexplained(observed: readonly Observed[]): void {
  const { error } = observed[0].observation;
  const isTrap = error instanceof Error && error.name === "RuntimeError";
  if (!isTrap && !(error instanceof HeapError) && !(error instanceof SegmentationFault)) throwOn(observed);
}

function isAsExpected(finding: Finding, expected: ExpectedAccess): boolean {
  const { operation, size, offset, firstUndefinedOffset, blockSize, functionName, originSize, originFunction } =
    expected;
  const { block, firstUndefined, stack, origin, originFrame } = finding;
  const first = block === null || firstUndefined === null ? null : firstUndefined - block.pointer;
  return (
    (operation === undefined || finding.operation === operation) &&
    (size === undefined || finding.size === size) &&
    (offset === undefined || finding.offset === offset) &&
    (firstUndefinedOffset === undefined || first === firstUndefinedOffset) &&
    (blockSize === undefined || block?.size === blockSize) &&
    (functionName === undefined || stack.some((frame) => frame.functionName === functionName)) &&
    (originSize === undefined || origin?.size === originSize) &&
    (originFunction === undefined ||
      originFrame?.functionName === originFunction ||
      origin?.allocation.some((frame) => frame.functionName === originFunction) === true)
  );
}

function formatExpected(expected: ExpectedAccess): string {
  const parts = Object.entries(expected).map(([name, value]) => `${name} ${value}`);
  return parts.length === 0 ? "" : ` (${parts.join(", ")})`;
}

/** In plain JavaScript nothing else notices a misspelt name, and without its condition a matcher passes too easily. */
function checkNames(matcher: string, expected: object, names: readonly string[]): void {
  const unknown = Object.keys(expected).find((name) => !names.includes(name));
  if (unknown === undefined) return;
  throw new TypeError(`${matcher}: no expectation is called ${unknown}; there are ${names.join(", ")}`);
}

const ACCESS_NAMES = [
  ...["operation", "size", "offset", "firstUndefinedOffset", "blockSize", "functionName"],
  ...["originSize", "originFunction"],
];

export function toReadUninitialised(this: MatcherContext, subject: Subject, expected: ExpectedAccess = {}) {
  const isKind = ({ kind }: Finding) => kind === "uninitialised";
  return matchFindings(
    this,
    subject,
    { matcher: "toReadUninitialised", what: "a read of uninitialised memory", isKind },
    expected,
  );
}

export function toUseAfterFree(this: MatcherContext, subject: Subject, expected: ExpectedAccess = {}) {
  const isKind = ({ cause }: Finding) => cause === "use-after-free";
  return matchFindings(this, subject, { matcher: "toUseAfterFree", what: "a use after free", isKind }, expected);
}

export function toAccessOutOfBounds(this: MatcherContext, subject: Subject, expected: ExpectedAccess = {}) {
  const isKind = ({ cause }: Finding) => cause === "out-of-bounds";
  return matchFindings(
    this,
    subject,
    { matcher: "toAccessOutOfBounds", what: "an access out of bounds", isKind },
    expected,
  );
}

/** Chunks that a function leaves behind unreachable; of a heap, all that are unreachable. */
export function toLeak(this: MatcherContext, subject: Subject, expected: ExpectedLeak = {}) {
  checkNames("toLeak", expected, ["blocks", "bytes", "roots"]);
  const { blocks, bytes, roots = [] } = expected;
  const before = new Map(heapsOf(this.task).map((heap) => [heap, heap.checker.liveBlocks()]));
  return observeSubject(this, subject, (observed) => {
    const findings = observed.flatMap(({ heap }) => {
      const except = subject instanceof Heap ? undefined : before.get(heap);
      return findLost(heap, roots, except);
    });
    const lostBlocks = findings.reduce((sum, finding) => sum + finding.blocks, 0);
    const lostBytes = findings.reduce((sum, finding) => sum + finding.bytes, 0);
    const pass =
      lostBlocks > 0 && (blocks === undefined || lostBlocks === blocks) && (bytes === undefined || lostBytes === bytes);
    if (!pass) throwOn(observed);
    const wanted =
      blocks === undefined && bytes === undefined
        ? "a leak"
        : `${blocks ?? "some"} blocks, ${bytes ?? "some"} bytes lost`;
    const found = lostBlocks === 0 ? "nothing leaked" : formatFindings(findings);
    return {
      pass,
      matched: [],
      told: [],
      message: () => (pass ? `expected no leak, but ${found}` : `expected ${wanted}, but ${found}`),
    };
  });
}

/** Leaks that are not among the findings yet, and stay out of them. */
function findLost(heap: Heap, roots: readonly Root[], except: ReadonlySet<number> | undefined): readonly Finding[] {
  const { checker } = heap;
  const report = ["definitely lost", "indirectly lost", "possibly lost"] as const;
  const { findings } = checker.leakCheck({ roots, report, except });
  checker.forget(findings);
  return findings;
}

/** The function is reported for misuse, or leaves a heap whose state is damaged. */
export function toCorruptHeap(this: MatcherContext, subject: Subject) {
  return observeSubject(this, subject, (observed) => {
    const { error } = observed[0].observation;
    const damage = observed.map(({ heap }) => findCorruption(heap)).find((text) => text !== null);
    const misuses = observed
      .flatMap(({ observation }) => [...observation.findings])
      .filter(({ kind }) => kind === "invalid-free");
    const pass = damage !== undefined || isCorruption(error) || misuses.length > 0;
    if (!pass) throwOn(observed);
    const what = damage ?? (isCorruption(error) ? error.message : formatFindings(misuses));
    return {
      pass,
      matched: misuses,
      told: misuses,
      message: () =>
        pass ? `expected the heap to stay whole, but: ${what}` : "expected the heap to be corrupted, but it is whole",
    };
  });
}

/** Memory that becomes resident while the function runs, in bytes, and stays so. */
export function toTouchAtMost(this: MatcherContext, subject: Subject, bytes: ByteCount) {
  return observeSubject(this, subject, (observed) => {
    throwOn(observed);
    const touched = observed.reduce((sum, { observation }) => sum + observation.rssBytes, 0);
    return {
      pass: touched <= bytes,
      matched: [],
      told: [],
      actual: touched,
      expected: bytes,
      message: () =>
        `expected ${touched <= bytes ? "more than" : "at most"} ${countBytes(bytes)} touched, but it is ${countBytes(touched)}`,
    };
  });
}

function compareRss(subject: Heap, wanted: string, bytes: ByteCount, isMet: (rss: number) => boolean): MatcherResult {
  const rss = subject.process.rssBytes;
  return {
    pass: isMet(rss),
    actual: rss,
    expected: bytes,
    message: () => `expected RSS ${wanted} ${countBytes(bytes)}, but it is ${countBytes(rss)}`,
  };
}

/** The heap's process has exactly this many resident bytes. */
export function toHaveRss(subject: Heap, bytes: ByteCount) {
  return compareRss(subject, "of", bytes, (rss) => rss === bytes);
}

export function toHaveRssAtMost(subject: Heap, bytes: ByteCount) {
  return compareRss(subject, "of at most", bytes, (rss) => rss <= bytes);
}

export function toHaveRssAtLeast(subject: Heap, bytes: ByteCount) {
  return compareRss(subject, "of at least", bytes, (rss) => rss >= bytes);
}
