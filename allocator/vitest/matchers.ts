// The matchers: what a function does to a heap, or what a heap is like. Each takes a function that is run, or a heap.
// Their types are types.ts; running and observing is ../testing/observe.ts.

import type { Finding, Operation } from "../checker/finding.ts";
import type { Root } from "../checker/leaks.ts";
import { countBytes, formatFindings } from "../checker/text.ts";
import { Heap } from "../heap/heap.ts";
import { beginObservation, findCorruption, isCorruption, type Observation } from "../testing/observe.ts";
import { activeHeaps } from "./active-heaps.ts";

/** What a finding must be like; what is not given may be anything. */
export interface ExpectedAccess {
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
}

export interface ExpectedLeak {
  readonly blocks?: number;
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

type Work = () => unknown;
export type Subject = Heap | Work;

interface Observed {
  readonly heap: Heap;
  readonly observation: Observation;
}

/** Runs a function under observation of the active heaps; a heap by itself is what it has found so far. */
function observeSubject(
  subject: Subject,
  judge: (observed: readonly Observed[]) => MatcherResult,
): MatcherResult | Promise<MatcherResult> {
  if (subject instanceof Heap) {
    const findings = [...subject.checker.findings];
    const observation: Observation = { findings, error: undefined, rssBytes: subject.process.rssBytes };
    const result = judge([{ heap: subject, observation }]);
    if (result.pass) subject.checker.forget(findings);
    return result;
  }
  if (typeof subject !== "function") throw new TypeError("expected a function that uses a heap, or a heap");
  const heaps = activeHeaps();
  if (heaps.length === 0) throw new TypeError("no heap is watched: use the fixture, or watchHeap(heap)");
  const begun = heaps.map((heap) => ({ heap, ...beginObservation(heap) }));
  const finish = (error: unknown) => judge(begun.map(({ heap, end }) => ({ heap, observation: end(error) })));
  let returned: unknown;
  try {
    returned = subject();
  } catch (error) {
    return finish(error);
  }
  if (returned instanceof Promise) return returned.then(() => finish(undefined), finish);
  return finish(undefined);
}

/** Passes if a finding of the kind is as expected. Other errors of the function go on, unless a report explains them. */
function matchFindings(
  subject: Subject,
  what: string,
  isKind: (finding: Finding) => boolean,
  expected: ExpectedAccess,
): MatcherResult | Promise<MatcherResult> {
  return observeSubject(subject, (observed) => {
    const findings = observed.flatMap(({ observation }) => [...observation.findings]);
    const pass = findings.some((finding) => isKind(finding) && isAsExpected(finding, expected));
    if (!pass) throwOn(observed);
    const found = findings.length === 0 ? "it did nothing wrong" : `found:\n\n${formatFindings(findings)}`;
    return {
      pass,
      message: () =>
        pass ? `expected ${what} not to happen, ${found}` : `expected ${what}${formatExpected(expected)}, but ${found}`,
    };
  });
}

function throwOn(observed: readonly Observed[]): void {
  const { error } = observed[0].observation;
  if (error !== undefined) throw error;
}

function isAsExpected(finding: Finding, expected: ExpectedAccess): boolean {
  const { operation, size, offset, firstUndefinedOffset, blockSize, functionName } = expected;
  const { block, firstUndefined, stack } = finding;
  const first = block === null || firstUndefined === null ? null : firstUndefined - block.pointer;
  return (
    (operation === undefined || finding.operation === operation) &&
    (size === undefined || finding.size === size) &&
    (offset === undefined || finding.offset === offset) &&
    (firstUndefinedOffset === undefined || first === firstUndefinedOffset) &&
    (blockSize === undefined || block?.size === blockSize) &&
    (functionName === undefined || stack.some((frame) => frame.functionName === functionName))
  );
}

function formatExpected(expected: ExpectedAccess): string {
  const parts = Object.entries(expected).map(([name, value]) => `${name} ${value}`);
  return parts.length === 0 ? "" : ` (${parts.join(", ")})`;
}

/** In plain JavaScript nothing else tells of a misspelt name, and without its condition a matcher passes too easily. */
function checkNames(matcher: string, expected: object, names: readonly string[]): void {
  const unknown = Object.keys(expected).find((name) => !names.includes(name));
  if (unknown === undefined) return;
  throw new TypeError(`${matcher}: no expectation is called ${unknown}; there are ${names.join(", ")}`);
}

const ACCESS_NAMES = ["operation", "size", "offset", "firstUndefinedOffset", "blockSize", "functionName"];

export function toReadUninitialised(subject: Subject, expected: ExpectedAccess = {}) {
  checkNames("toReadUninitialised", expected, ACCESS_NAMES);
  return matchFindings(subject, "a read of uninitialised memory", ({ kind }) => kind === "uninitialised", expected);
}

export function toUseAfterFree(subject: Subject, expected: ExpectedAccess = {}) {
  checkNames("toUseAfterFree", expected, ACCESS_NAMES);
  return matchFindings(subject, "a use after free", ({ cause }) => cause === "use-after-free", expected);
}

export function toAccessOutOfBounds(subject: Subject, expected: ExpectedAccess = {}) {
  checkNames("toAccessOutOfBounds", expected, ACCESS_NAMES);
  return matchFindings(subject, "an access out of bounds", ({ cause }) => cause === "out-of-bounds", expected);
}

/** Chunks that a function leaves behind unreachable; of a heap, all that are unreachable. */
export function toLeak(subject: Subject, expected: ExpectedLeak = {}) {
  checkNames("toLeak", expected, ["blocks", "bytes", "roots"]);
  const { blocks, bytes, roots = [] } = expected;
  const before = new Map(activeHeaps().map((heap) => [heap, liveChunks(heap)]));
  return observeSubject(subject, (observed) => {
    const findings: Finding[] = [];
    for (const { heap } of observed) {
      const { checker } = heap;
      const lost = checker.leakCheck({ roots, report: ["definitely lost", "indirectly lost", "possibly lost"] });
      checker.forget(lost.findings);
      const known = subject instanceof Heap ? undefined : before.get(heap);
      findings.push(...lost.findings.filter((finding) => known === undefined || !known.has(finding.address)));
    }
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
    return { pass, message: () => (pass ? `expected no leak, but ${found}` : `expected ${wanted}, but ${found}`) };
  });
}

function liveChunks(heap: Heap): Set<number> {
  const chunks = new Set<number>();
  heap.malloc_disable();
  try {
    heap.malloc_iterate(0, Number.POSITIVE_INFINITY, (pointer) => chunks.add(pointer));
  } finally {
    heap.malloc_enable();
  }
  return chunks;
}

/** The function is reported for misuse, or leaves a heap whose state is damaged. */
export function toCorruptHeap(subject: Subject) {
  return observeSubject(subject, (observed) => {
    const { error } = observed[0].observation;
    const damage = observed.map(({ heap }) => findCorruption(heap)).find((text) => text !== null);
    const pass = damage !== undefined || isCorruption(error);
    if (!pass) throwOn(observed);
    const what = isCorruption(error) ? error.message : damage;
    return {
      pass,
      message: () =>
        pass ? `expected the heap to stay whole, but: ${what}` : "expected the heap to be corrupted, but it is whole",
    };
  });
}

/** Memory that becomes resident while the function runs, in bytes, and stays so. */
export function toTouchAtMost(subject: Subject, bytes: number) {
  return observeSubject(subject, (observed) => {
    throwOn(observed);
    const touched = observed.reduce((sum, { observation }) => sum + observation.rssBytes, 0);
    return {
      pass: touched <= bytes,
      actual: touched,
      expected: bytes,
      message: () =>
        `expected ${touched <= bytes ? "more than" : "at most"} ${countBytes(bytes)} touched, but it is ${countBytes(touched)}`,
    };
  });
}

function compareRss(subject: Heap, wanted: string, bytes: number, isMet: (rss: number) => boolean): MatcherResult {
  const rss = subject.process.rssBytes;
  return {
    pass: isMet(rss),
    actual: rss,
    expected: bytes,
    message: () => `expected RSS ${wanted} ${countBytes(bytes)}, but it is ${countBytes(rss)}`,
  };
}

/** The heap's process has exactly this many resident bytes. */
export function toHaveRss(subject: Heap, bytes: number) {
  return compareRss(subject, "of", bytes, (rss) => rss === bytes);
}

export function toHaveRssAtMost(subject: Heap, bytes: number) {
  return compareRss(subject, "of at most", bytes, (rss) => rss <= bytes);
}

export function toHaveRssAtLeast(subject: Heap, bytes: number) {
  return compareRss(subject, "of at least", bytes, (rss) => rss >= bytes);
}
