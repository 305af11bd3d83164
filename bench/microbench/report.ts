// The page that the microbenchmark prints: the table, the targets, one sentence of conclusion.
// Everything here is arithmetic and text on finished measurements.
import { describeHost, formatHost } from "../harness/machine.ts";
import { type Improvement, medianInterval, outliers, summarise } from "../harness/statistics.ts";
import { type Column, formatNanoseconds, formatSpread, formatTable } from "../harness/table.ts";
import { formatTargets } from "../harness/target.ts";
import type { Effort } from "./measurement.ts";
import { improvementOf, type RowResult, sameSize } from "./results.ts";
import { type Row, THREAD_BASE_RSS_KIB, thread } from "./rows.ts";
import { listTargets } from "./targets.ts";

const columns: readonly Column[] = [
  { heading: "touch/mmap", align: "left" },
  { heading: "variant", align: "left" },
  { heading: "time" },
  { heading: "95 % CI" },
  { heading: "improvement" },
  { heading: "thread" },
  { heading: "improvement" },
  { heading: "native C" },
  { heading: "RSS" },
  { heading: "thread" },
  { heading: "host RSS" },
  { heading: "of base" },
];

export function formatReport(results: readonly RowResult[], effort: Effort, nativeReason?: string): string {
  const { runs, iterations } = effort;
  const scaled = iterations === 1000 ? "" : ` (runs of ${iterations}, scaled)`;
  return [
    "The thread's microbenchmark on the simulated kernel: map, fill, touch, unmap",
    `Time of 1000 iterations${scaled}, median of ${runs} runs; RSS in KiB. ${formatHost(describeHost())}`,
    "",
    formatTable(columns, tableRows(results)),
    "",
    ...footnotes(nativeReason),
    ...outlierLines(results),
    "",
    formatTargets(listTargets(results)),
    "",
    conclusion(results),
  ].join("\n");
}

function tableRows(results: readonly RowResult[]): string[][] {
  const lines: string[][] = [];
  let last: Row | undefined;
  for (const result of results) {
    const first = last === undefined || !sameSize(last, result.row);
    if (first && last !== undefined) lines.push([]);
    lines.push(tableRow(results, result, first));
    last = result.row;
  }
  return lines;
}

function tableRow(results: readonly RowResult[], result: RowResult, first: boolean): string[] {
  const { row, measurement, native } = result;
  const { median, low, high } = medianInterval(measurement.seconds);
  const improvement = improvementOf(results, result);
  const figures = thread.find((one) => sameSize(one, row));
  // The thread measured its own patch, which is the first ABI with frames handed out uninitialised.
  const isThreadRow = row.variant === "refpage-v4-nozero";
  let threadSeconds: number | undefined;
  if (row.fill === "memset") threadSeconds = figures?.memsetSeconds;
  else if (isThreadRow) threadSeconds = figures?.refpageSeconds;
  let threadRss: number | undefined;
  if (row.fill === "memset") threadRss = figures?.memsetRssKib;
  else if (isThreadRow) threadRss = figures?.refpageRssKib;
  return [
    first ? `${row.touchSize}/${row.mmapSize}` : "",
    row.variant,
    formatNanoseconds(median * 1e9),
    formatSpread(median, (high - low) / 2),
    improvement === undefined ? "" : formatImprovement(improvement),
    threadSeconds === undefined ? "" : formatNanoseconds(threadSeconds * 1e9),
    isThreadRow && figures !== undefined ? formatImprovement(figures.improvement) : "",
    native === undefined ? "" : formatNanoseconds(summarise(native.seconds).median * 1e9),
    String(measurement.simulatedRssKib - measurement.simulatedBaseRssKib),
    threadRss === undefined ? "" : String(threadRss),
    String(measurement.hostRssKib),
    `+${measurement.hostRssKib - measurement.hostBaseRssKib}`,
  ];
}

function formatImprovement({ percent, halfWidth }: Improvement): string {
  return `${percent.toFixed(2)} % ± ${halfWidth.toFixed(2)}`;
}

function footnotes(nativeReason?: string): string[] {
  const native =
    nativeReason === undefined
      ? "native C: bench/microbench/microbench.c on this machine's kernel, which has no reference pages."
      : `native C is empty: ${nativeReason}.`;
  return [
    "improvement: over memset of the same round, in percent of it; the median of the rounds, with the 95 % interval that their order gives.",
    `thread: DragonBoard 845c, 2021; its RSS includes about ${THREAD_BASE_RSS_KIB} KiB of the process's own.`,
    native,
    `RSS: of the simulated process, from its smaps_rollup before munmap. host RSS: of a Node process for this row alone,`,
    `at the same moment; beside it what this is over the process before its first mmap.`,
  ];
}

/** Named, so that who reads a figure knows what the median left aside. */
function outlierLines(results: readonly RowResult[]): string[] {
  const found = results.flatMap(({ row, measurement }) => {
    const far = outliers(measurement.seconds);
    if (far.length === 0) return [];
    const rounds = far.map(({ round }) => round).join(", ");
    const times = far.map(({ timesMedian }) => timesMedian.toFixed(2)).join(", ");
    return [`  ${row.name}: round ${rounds} (${times} × its median)`];
  });
  return found.length === 0 ? [] : ["outliers, which medians pass over:", ...found];
}

/** Half an interval above this many points is too wide to conclude from. */
const WIDE_POINTS = 5;

function conclusion(results: readonly RowResult[]): string {
  const parts = thread.flatMap((figures) => {
    const result = results.find((one) => one.row.variant === "refpage-v5-plumbed" && sameSize(one.row, figures));
    const improvement = result && improvementOf(results, result);
    return improvement === undefined
      ? []
      : [
          {
            size: `${figures.touchSize}/${figures.mmapSize}`,
            improvement,
            theirs: figures.improvement.percent.toFixed(1),
          },
        ];
  });
  if (parts.length === 0) return "No conclusion: the chosen rows hold no memset row with its refpage-v5-plumbed row.";
  const wide = parts.filter(({ improvement }) => improvement.halfWidth > WIDE_POINTS);
  if (wide.length > 0) {
    const which = wide.map(({ size, improvement }) => `${size} ${formatImprovement(improvement)}`).join(", ");
    return (
      `No conclusion: intervals wider than ± ${WIDE_POINTS} points (${which}) say that this machine was busy. ` +
      "Run it again when it is idle, or with more --runs."
    );
  }
  const ours = parts.map(({ improvement }) => improvement.percent.toFixed(1)).join(", ");
  const theirs = parts.map((part) => part.theirs).join(", ");
  return `Conclusion: reference pages (second ABI, plumbed) save ${ours} % of memset's time; the thread measured ${theirs} %.`;
}
