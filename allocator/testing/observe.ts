// What a piece of a program did to a heap, as data: the ground that test matchers stand on, and all that node:test needs.

import { requireOptions } from "../../platform/hardware/given-options.ts";
import type { Finding } from "../checker/finding.ts";
import { formatFindings } from "../checker/finding-text.ts";
import type { Root } from "../checker/leaks.ts";
import { HeapError } from "../common/heap-error.ts";
import { type Heap, wholeCheckerOf } from "../heap/heap.ts";

/** What happened while a function ran. */
export interface Observation {
  /** What was found meanwhile, also if it had been found before. */
  readonly findings: readonly Finding[];
  /** How often each of them happened meanwhile. */
  readonly times: ReadonlyMap<Finding, number>;
  /** What the function threw; undefined if nothing. */
  readonly error: unknown;
  /** Change of resident memory, and pages' bytes that became resident at any time, as far as system calls left them so. */
  readonly rssBytes: number;
}

/** Runs `work` and tells what it did; what it throws is kept, not thrown on. Findings are taken off the list: they have been seen now. */
export function observe(heap: Heap, work: () => unknown): Observation {
  const begin = beginObservation(heap);
  let error: unknown;
  try {
    work();
  } catch (thrown) {
    error = thrown;
  }
  const observation = begin.end(error);
  takeOff(heap, observation, observation.findings);
  return observation;
}

/**
 * The same in two parts, for work that waits; findings stay on the list.
 * @param isMine asked at each finding whether it is the work's; default: all are
 */
export function beginObservation(
  heap: Heap,
  isMine: () => boolean = () => true,
): {
  /** Tells what the work did. `error`: what it threw, if it did. */
  end(error: unknown): Observation;
} {
  const { results } = wholeCheckerOf(heap);
  const times = new Map<Finding, number>();
  const handler = (finding: Finding): void => {
    if (isMine()) times.set(finding, (times.get(finding) ?? 0) + 1);
  };
  results.handlers.add(handler);
  const rss = heap.process.rssBytes;
  return {
    end(error: unknown): Observation {
      results.handlers.delete(handler);
      // What somebody took off meanwhile was seen there.
      const findings = [...times.keys()].filter((finding) => results.has(finding));
      return { findings, times, error, rssBytes: heap.process.rssBytes - rss };
    },
  };
}

/** Takes findings off the heap's list, as often as they happened during an observation; earlier occurrences stay. */
export function takeOff(heap: Heap, { times }: Observation, findings: readonly Finding[]): void {
  for (const finding of findings) wholeCheckerOf(heap).results.take(finding, times.get(finding) ?? 0);
}

/** Kinds of HeapError that say that a program has damaged the heap or misused it, as opposed to asking for too much. */
const CORRUPTIONS = new Set([
  "corrupted-header",
  "invalid-state",
  "misaligned",
  "type-mismatch",
  "size-mismatch",
  "alignment-mismatch",
  "tag-fault",
]);

/** Whether an error is a report of corruption or misuse. */
export function isCorruption(error: unknown): error is HeapError {
  return error instanceof HeapError && CORRUPTIONS.has(error.kind);
}

/** What is wrong with the heap's own state: a damaged header, a list that leads nowhere. null: nothing. */
export function findCorruption(heap: Heap): string | null {
  try {
    heap.checkInvariants();
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** A failed check of a heap. Its stack is the program's, so that runners show the program's line. */
export class CheckError extends Error {
  /** The class's name, for what is told apart by name. */
  override readonly name = "CheckError";
  /** What was found. */
  readonly findings: readonly Finding[];

  constructor(findings: readonly Finding[]) {
    super(formatFindings(findings));
    this.findings = findings;
    const [first] = findings;
    if (first !== undefined && first.stack.length > 0)
      this.stack = stackText(`${this.name}: ${this.message.split("\n")[0]}`, first);
  }
}

function stackText(headline: string, { stack }: Finding): string {
  const frames = stack.map(({ functionName, file, line, column }) => {
    const place = `${file}:${line}:${column}`;
    return functionName === "" ? `    at ${place}` : `    at ${functionName} (${place})`;
  });
  return [headline, ...frames].join("\n");
}

/** @throws CheckError: something was found so far */
export function assertNoFindings(heap: Heap): void {
  const { findings } = heap.checker;
  if (findings.length > 0) throw new CheckError([...findings]);
}

/** @throws CheckError: chunks are live that cannot be reached from `roots` */
export function assertNoLeaks(heap: Heap, options: { readonly roots?: readonly Root[] } = {}): void {
  requireOptions("assertNoLeaks", options, { roots: "object" });
  const { findings } = heap.checker.leakCheck(options);
  heap.checker.forget(findings);
  if (findings.length > 0) throw new CheckError(findings);
}
