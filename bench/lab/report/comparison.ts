// Results held against a baseline policy: per trace and policy the figures, their differences and intervals.
// Counts are exact for a seed; over several seeds they get a confidence interval; time is always an estimate.
import { improvementOver, summarise } from "../../harness/statistics.ts";
import {
  COST_EVENTS,
  type CostCounts,
  costCounts,
  estimate,
  improvement,
  type MachineModel,
} from "../cost/cost-model.ts";
import type { ReplayResult } from "../replay/result.ts";

/** What of a result is compared: a replay has it, and a program that was run (bench/lab/wasm/). */
export type ComparableResult = Pick<
  ReplayResult,
  "trace" | "touches" | "policy" | "seed" | "stopped" | "counters" | "program" | "meanRssBytes"
> & { readonly peaks: { readonly rssBytes: number } };

/** A figure of a result. Less is better in all of them. */
export interface Metric {
  readonly name: string;
  readonly unit: "bytes" | "count" | "ns";
  readonly of: (result: ComparableResult) => number;
}

const METRICS: readonly Metric[] = [
  { name: "peak RSS", unit: "bytes", of: (result) => result.peaks.rssBytes },
  { name: "mean RSS", unit: "bytes", of: (result) => result.meanRssBytes },
  { name: "page faults", unit: "count", of: (result) => result.counters.minorFaults },
  { name: "bytes initialised", unit: "bytes", of: initialisedBytes },
  { name: "system calls", unit: "count", of: systemCalls },
];

/** Bytes written to give memory its first contents, by the kernel and by the program. */
export function initialisedBytes({ counters }: Pick<ComparableResult, "counters">): number {
  return counters.bytesZeroed + counters.bytesFilled + counters.bytesCopied + counters.userBytesFilled;
}

export function systemCalls({ counters }: ComparableResult): number {
  return Object.values(counters.systemCalls).reduce((sum, count) => sum + count, 0);
}

/** A figure and its difference from the baseline's in percent, negative if it is less. */
export interface Figure {
  readonly name: string;
  readonly unit: Metric["unit"];
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly isEstimate: boolean;
  /** null for the baseline itself, and where the baseline's figure is 0. */
  readonly difference: { readonly percent: number; readonly low: number; readonly high: number } | null;
}

export interface ComparedPolicy {
  readonly policy: string;
  readonly seeds: readonly number[];
  readonly stopped: string;
  readonly figures: readonly Figure[];
}

export interface ComparedTrace {
  readonly trace: string;
  readonly touches: string;
  readonly baseline: string;
  readonly policies: readonly ComparedPolicy[];
}

/**
 * Groups results by trace and touch model, and holds each policy against `baseline` (default: the first one there).
 * @throws RangeError if a trace has no result of the baseline.
 */
export function compareResults(
  results: readonly ComparableResult[],
  machine: MachineModel,
  baseline?: string,
): ComparedTrace[] {
  const groups = groupBy(results, (result) => JSON.stringify([result.trace, result.touches]));
  return [...groups.values()].map((group) => {
    const byPolicy = groupBy(group, (result) => result.policy.name);
    const name = baseline ?? group[0].policy.name;
    const base = byPolicy.get(name);
    if (base === undefined) {
      throw new RangeError(
        `no result of policy "${name}" for ${group[0].trace}; there are ${[...byPolicy.keys()].join(", ")}`,
      );
    }
    return {
      trace: group[0].trace,
      touches: group[0].touches,
      baseline: name,
      policies: [...byPolicy].map(([policy, own]) =>
        comparePolicy(policy, own, policy === name ? null : base, machine),
      ),
    };
  });
}

function comparePolicy(
  policy: string,
  own: readonly ComparableResult[],
  base: readonly ComparableResult[] | null,
  machine: MachineModel,
): ComparedPolicy {
  const figures = METRICS.map((metric) => countFigure(metric, own, base));
  return {
    policy,
    seeds: own.map((result) => result.seed),
    stopped: own.find((result) => result.stopped !== "")?.stopped ?? "",
    figures: [...figures, timeFigure(own, base, machine)],
  };
}

function countFigure(
  metric: Metric,
  own: readonly ComparableResult[],
  base: readonly ComparableResult[] | null,
): Figure {
  const values = own.map(metric.of);
  const { mean, halfWidth } = summarise(values);
  const { name, unit } = metric;
  const figure = { name, unit, value: mean, low: mean - halfWidth, high: mean + halfWidth, isEstimate: false };
  if (base === null || summarise(base.map(metric.of)).mean === 0) return { ...figure, difference: null };
  const { percent, halfWidth: half } = improvementOver(base.map(metric.of), values);
  return { ...figure, difference: { percent: -percent, low: -percent - half, high: -percent + half } };
}

/** Time on the named machine; the interval is what the machine's constants leave open. */
function timeFigure(
  own: readonly ComparableResult[],
  base: readonly ComparableResult[] | null,
  machine: MachineModel,
): Figure {
  const counts = meanCounts(own, machine);
  const { ns, low, high } = estimate(counts, machine);
  const figure = { name: "memory time", unit: "ns" as const, value: ns, low, high, isEstimate: true };
  if (base === null) return { ...figure, difference: null };
  const gain = improvement(meanCounts(base, machine), counts, machine);
  return { ...figure, difference: { percent: -gain.value, low: -gain.high, high: -gain.low } };
}

function meanCounts(results: readonly ComparableResult[], machine: MachineModel): CostCounts {
  const all = results.map((result) => costCounts(result.counters, result.program, machine.cacheBytes));
  return Object.fromEntries(
    COST_EVENTS.map((event) => [event, all.reduce((sum, counts) => sum + counts[event], 0) / all.length]),
  ) as unknown as CostCounts;
}

function groupBy<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group === undefined) groups.set(key(item), [item]);
    else group.push(item);
  }
  return groups;
}
