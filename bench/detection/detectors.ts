// Runs a program of the corpus under each detector and says what gave its bug away: a report, a wrong output, or nothing.
import { Heap, type HeapOptions } from "../../allocator/index.ts";
import type { BugKind, CorpusProgram, Variant } from "./corpus/program.ts";

/** `report`: the detector says so. `output`: the answer differs from the right variant's, so that a good test would fail. */
export type Verdict = "report" | "output" | "nothing";

export interface Detector {
  readonly name: string;
  readonly options: HeapOptions;
  /** Whether the checker looks for leaks at the end. */
  readonly leaks: boolean;
}

const MACHINE = { memoryBytes: 64 * 2 ** 20, seed: 7 } as const;

export const detectors: readonly Detector[] = [
  { name: "off", options: { ...MACHINE }, leaks: false },
  { name: "pattern", options: { ...MACHINE, fill: "pattern" }, leaks: false },
  { name: "tagging", options: { ...MACHINE, tagging: "sync" }, leaks: false },
  { name: "page", options: { ...MACHINE, uninitialised: "page" }, leaks: true },
  { name: "byte", options: { ...MACHINE, uninitialised: "byte" }, leaks: true },
];

export interface Outcome {
  readonly verdict: Verdict;
  /** The first report, if there is one. */
  readonly report: string | null;
  readonly output: number | string | null;
}

/** Runs one variant on a heap of its own. `expected`: the right variant's output. */
export function runUnder(
  detector: Detector,
  program: CorpusProgram,
  variant: Variant,
  expected: number | string | null,
): Outcome {
  const heap = new Heap(detector.options);
  try {
    const output = program.run(heap, variant);
    if (detector.leaks) heap.checker.leakCheck();
    const [finding] = heap.checker.findings;
    if (finding !== undefined) return { verdict: "report", report: heap.checker.toText().split("\n")[0], output };
    heap.checkInvariants();
    const differs = expected !== null && !Object.is(output, expected);
    return { verdict: differs ? "output" : "nothing", report: null, output };
  } catch (error) {
    return {
      verdict: "report",
      report: error instanceof Error ? error.message.split("\n")[0] : String(error),
      output: null,
    };
  } finally {
    heap[Symbol.dispose]();
  }
}

/** What each detector makes of a program. */
export interface Row {
  readonly program: CorpusProgram;
  readonly verdicts: Readonly<Record<string, Verdict>>;
  /** Detectors that report the right variant: false reports. */
  readonly falseReports: readonly string[];
}

export function judge(program: CorpusProgram): Row {
  const verdicts: Record<string, Verdict> = {};
  const falseReports: string[] = [];
  for (const detector of detectors) {
    const right = runUnder(detector, program, "right", null);
    if (right.verdict === "report") falseReports.push(detector.name);
    verdicts[detector.name] = runUnder(detector, program, "buggy", right.output).verdict;
  }
  return { program, verdicts, falseReports };
}

/** How many of a kind of bug a detector reports, and how many more it shows in the output. */
export function tally(
  rows: readonly Row[],
  bug: BugKind,
  detector: string,
): { reports: number; outputs: number; of: number } {
  const ofKind = rows.filter(({ program }) => program.bug === bug);
  const count = (verdict: Verdict) => ofKind.filter(({ verdicts }) => verdicts[detector] === verdict).length;
  return { reports: count("report"), outputs: count("output"), of: ofKind.length };
}
