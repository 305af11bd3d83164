// What the microbenchmark's figures should be, where the rows that a target needs were measured.
import { summarise } from "../harness/statistics.ts";
import type { Target } from "../harness/target.ts";
import { improvementOf, type RowResult, sameSize } from "./results.ts";
import { thread } from "./rows.ts";

/** A fault should cost at most this share of the fill of a page. */
const FAULT_TO_FILL = 1 / 2;

/**
 * What reference pages can save, in percent, where a share of the pages is touched: memset takes a fault, the kernel's fill and its own
 * for each page, f + 2z; a reference page a fault and one fill, f + z, for each touched page. At most 75 % of half, 50 % of all.
 */
function savingFor(touchedShare: number): number {
  return 100 * (1 - (touchedShare * (FAULT_TO_FILL + 1)) / (FAULT_TO_FILL + 2));
}

/** The targets of the project beyond the thread's figures, in the order of the thread's rows; the first is all mapping calls. */
const ownTargets = [99.5, savingFor(1 / 2), savingFor(1)];
const HOST_RSS_TOLERANCE_PERCENT = 10;
const NATIVE_SPEED_UP = 2;

export function listTargets(results: readonly RowResult[]): Target[] {
  return [...improvementTargets(results), ...nativeTargets(results), ...hostRssTargets(results)];
}

function improvementTargets(results: readonly RowResult[]): Target[] {
  return ["refpage-v4-nozero", "refpage-v5-plumbed"].flatMap((variant) =>
    thread.flatMap((figures, i) => {
      const result = results.find((one) => one.row.variant === variant && sameSize(one.row, figures));
      const improvement = result && improvementOf(results, result);
      if (improvement === undefined) return [];
      const size = `${figures.touchSize}/${figures.mmapSize}`;
      const target = { measured: improvement.percent, halfWidth: improvement.halfWidth, unit: " %" };
      return [
        {
          ...target,
          what: `${variant} ${size} improves over memset by more than the thread's`,
          atLeast: figures.improvement.percent,
        },
        { ...target, what: `${variant} ${size} improves by the target of the project`, atLeast: ownTargets[i] },
      ];
    }),
  );
}

function nativeTargets(results: readonly RowResult[]): Target[] {
  return results.flatMap(({ row, measurement, native }) => {
    if (row.fill !== "memset" || native === undefined) return [];
    const ratio = summarise(native.seconds).median / summarise(measurement.seconds).median;
    const what = `${row.name} is faster than the same C program on this machine's kernel by`;
    return [{ what, measured: ratio, unit: " times", atLeast: NATIVE_SPEED_UP }];
  });
}

/** The sparse row: its host memory is as small as that of a plain mapping, and smaller than memset's by the untouched pages. */
function hostRssTargets(results: readonly RowResult[]): Target[] {
  const sparse = thread[0];
  const find = (variant: string) => results.find((one) => one.row.variant === variant && sameSize(one.row, sparse));
  const refpage = find("refpage-v5-plumbed");
  const anonymous = find("anonymous");
  const memset = find("memset");
  const targets: Target[] = [];
  if (refpage !== undefined && anonymous !== undefined) {
    const ours = refpage.measurement.hostRssKib;
    const theirs = anonymous.measurement.hostRssKib;
    targets.push({
      what: "host RSS of refpage-v5-plumbed, sparse row, differs from the anonymous row's by",
      measured: Math.abs((100 * (ours - theirs)) / theirs),
      unit: " %",
      atMost: HOST_RSS_TOLERANCE_PERCENT,
    });
  }
  if (refpage !== undefined && memset !== undefined) {
    const over = ({ measurement }: RowResult) => measurement.hostRssKib - measurement.hostBaseRssKib;
    targets.push({
      what: "host RSS of refpage-v5-plumbed, sparse row, is below the memset row's by the untouched",
      measured: over(memset) - over(refpage),
      unit: " KiB",
      atLeast: Math.floor((0.9 * (sparse.mmapSize - sparse.touchSize)) / 1024),
    });
  }
  return targets;
}
