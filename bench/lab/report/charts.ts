// The report's charts of figures: resident memory over time, faults and bytes as stacked bars, estimated time with ranges.
// Drawing itself is plot.ts; which charts a page has is page.ts.
import * as Plot from "@observablehq/plot";
import { formatBytes, formatSignificant } from "../../harness/table.ts";
import type { ReplayResult } from "../replay/result.ts";
import type { ComparedTrace } from "./comparison.ts";
import { colourOf, dashesOf, drawPlot, type WidthName } from "./plot.ts";

const LINE_HEIGHT = 300;
/** Between the drawing's edge and the frame that the lines are in. */
export const LINE_MARGIN_LEFT = 44;
export const LINE_MARGIN_RIGHT = 20;
const BAR_HEIGHT = 46;
const AXIS_HEIGHT = 66;
const BOTTOM_MARGIN = 44;
const MIB = 2 ** 20;
const THINNEST_LINE = 1.5;

/** Parts of a stacked bar: a name, and the figure of a result. */
type Parts = readonly (readonly [string, (result: ReplayResult) => number])[];

export const FAULT_PARTS: Parts = [
  ["clean page read", ({ counters }) => counters.cleanReadFaults],
  ["first store", ({ counters }) => counters.anonymousWriteFaults],
  ["write-protect", ({ counters }) => counters.writeProtectFaults],
  ["userfaultfd message", ({ program }) => program.faultMessages],
  ["other", ({ counters }) => counters.fileFaults + counters.spuriousFaults],
];
export const BYTE_PARTS: Parts = [
  ["kernel: zeroed", ({ counters }) => counters.bytesZeroed / MIB],
  ["kernel: filled", ({ counters }) => counters.bytesFilled / MIB],
  ["kernel: copied", ({ counters }) => counters.bytesCopied / MIB],
  ["program: memset", ({ counters }) => counters.userBytesFilled / MIB],
];

/** Names and colours of the parts that any result has, for a legend. */
export function partColours(parts: Parts, results: readonly ReplayResult[]): [string, string][] {
  const used = parts.filter(([, of]) => results.some((result) => of(result) > 0));
  return used.map(([name], index) => [name, colourOf(index)]);
}

export function policyColours(results: readonly ReplayResult[]): [string, string][] {
  return results.map(({ policy }, index) => [policy.name, colourOf(index)]);
}

/**
 * RSS over the operations of a replay, a line for each policy; the dotted line is what the program asked for. Earlier
 * policies have thicker lines, so that those that run alike can be told apart.
 */
export function rssChart(results: readonly ReplayResult[], width: WidthName): string {
  const lines = results.map(({ samples }, index) => {
    const rows = samples.operation.map((operation, row) => ({
      operation,
      mebibytes: samples.rssBytes[row] / MIB,
    }));
    const strokeWidth = THINNEST_LINE + (results.length - 1 - index);
    const strokeDasharray = dashesOf(index);
    return Plot.line(rows, {
      x: "operation",
      y: "mebibytes",
      // Not the policy's name: Plot takes one that is a CSS colour, as "none" is, for the colour itself.
      stroke: colourOf(index),
      strokeWidth,
      strokeDasharray,
      curve: "step-after",
    });
  });
  const [{ samples, marks }] = results;
  const asked = samples.operation.map((operation, index) => ({ operation, mebibytes: samples.liveBytes[index] / MIB }));
  const options: Plot.PlotOptions = {
    height: LINE_HEIGHT,
    marginLeft: LINE_MARGIN_LEFT,
    marginRight: LINE_MARGIN_RIGHT,
    marginBottom: BOTTOM_MARGIN,
    x: { label: "operation →", labelOffset: BOTTOM_MARGIN - 6, tickFormat: "~s" },
    y: { label: "↑ RSS, MiB", grid: true, zero: true },
    marks: [
      Plot.ruleY([0]),
      Plot.line(asked, {
        x: "operation",
        y: "mebibytes",
        stroke: "currentColor",
        strokeDasharray: "2,3",
        strokeWidth: 1,
      }),
      ...lines,
      Plot.ruleX(marks, { x: "operation", stroke: "currentColor", strokeOpacity: 0.4 }),
      Plot.text(marks, { x: "operation", text: "label", frameAnchor: "top", rotate: 90, textAnchor: "start", dx: 8 }),
    ],
  };
  return drawPlot(
    options,
    width,
    `Resident memory over the operations of the trace, peaks: ${results.map(peakText).join(", ")}`,
  );
}

function peakText({ policy, peaks }: ReplayResult): string {
  return `${policy.name} ${formatBytes(peaks.rssBytes)}`;
}

/** One stacked bar a policy, its name above it so that it needs no margin. */
export function partBars(parts: Parts, unit: string, results: readonly ReplayResult[], width: WidthName): string {
  const rows = results.flatMap((result) =>
    parts.map(([part, of]) => ({ policy: result.policy.name, part, value: of(result) })),
  );
  const used = rows.filter(({ value }) => value > 0);
  const shown = new Set(used.map(({ part }) => part));
  const names = results.map(({ policy }) => {
    const own = rows.filter((row) => row.policy === policy.name && shown.has(row.part));
    return { policy: policy.name, text: `${policy.name}: ${partsText(own)}`, words: partsWords(policy.name, own) };
  });
  return drawPlot(
    barOptions(
      names,
      `${unit} →`,
      [Plot.barX(used, { x: "value", y: "policy", fill: "part", insetTop: 20, insetBottom: 2 })],
      scale(partColours(parts, results)),
    ),
    width,
    `${unit} of each policy, by kind. ${names.map(({ words }) => words).join("; ")}`,
  );
}

interface Part {
  readonly part: string;
  readonly value: number;
}

/** The bar in numbers, in the legend's order, so that it reads without the colours. */
function partsText(parts: readonly Part[]): string {
  return parts.map(({ value }) => formatCount(value)).join(" + ") || "0";
}

function partsWords(policy: string, parts: readonly Part[]): string {
  return `${policy}: ${parts.map(({ part, value }) => `${part} ${formatCount(value)}`).join(", ") || "none"}`;
}

function formatCount(value: number): string {
  return Number.isInteger(value) ? String(value) : formatSignificant(value);
}

/** The estimated time of each policy, with the range that the machine's constants leave. */
export function timeBars(compared: ComparedTrace, machineName: string, width: WidthName): string {
  const rows = compared.policies.map(({ policy, figures }) => {
    const { value, low, high } = figures[figures.length - 1];
    return { policy, value: value / 1e6, low: low / 1e6, high: high / 1e6 };
  });
  const marks = [
    Plot.barX(rows, { x: "value", y: "policy", fill: colourOf(0), fillOpacity: 0.6, insetTop: 20, insetBottom: 2 }),
    Plot.link(rows, {
      x1: "low",
      x2: "high",
      y1: "policy",
      y2: "policy",
      stroke: "currentColor",
      strokeWidth: 2,
      dy: 9,
    }),
  ];
  return drawPlot(
    barOptions(
      rows.map(({ policy, value }) => ({ policy, text: `${policy}: ${formatSignificant(value)}` })),
      "estimated ms →",
      marks,
    ),
    width,
    `Estimated time that memory takes on ${machineName}, in ms, with ranges. ${rows.map(rangeText).join("; ")}`,
  );
}

function rangeText({ policy, value, low, high }: { policy: string; value: number; low: number; high: number }): string {
  return `${policy}: ${formatSignificant(value)}, ${formatSignificant(low)} to ${formatSignificant(high)}`;
}

function barOptions(
  names: { policy: string; text: string }[],
  label: string,
  marks: Plot.Markish[],
  color: Plot.ScaleOptions = {},
): Plot.PlotOptions {
  return {
    height: names.length * BAR_HEIGHT + AXIS_HEIGHT,
    marginLeft: 8,
    marginRight: 16,
    marginBottom: BOTTOM_MARGIN,
    x: { label, labelOffset: BOTTOM_MARGIN - 6, grid: true, tickFormat: "~s", ticks: 5 },
    y: { axis: null, domain: names.map(({ policy }) => policy) },
    color,
    marks: [
      ...marks,
      Plot.ruleX([0]),
      Plot.text(names, { y: "policy", text: "text", frameAnchor: "left", textAnchor: "start", dx: 4, dy: -13 }),
    ],
  };
}

function scale(colours: [string, string][]): Plot.ScaleOptions {
  return { domain: colours.map(([name]) => name), range: colours.map(([, colour]) => colour) };
}
