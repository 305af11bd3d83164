// A comparison as text for a terminal, and as CSV for a spreadsheet.
// The HTML report has tables of its own (bench/lab/report/).
import { formatBytes, formatNanoseconds, formatSignificant, formatTables, wrapped } from "../../harness/table.ts";
import type { ComparedTrace, Figure } from "./comparison.ts";

/** @param width columns that a line may have */
export function formatComparison(
  compared: ComparedTrace,
  machineName: string,
  width = Number.POSITIVE_INFINITY,
): string {
  const names = compared.policies[0].figures.map((figure) => figure.name);
  const columns = [
    { heading: "policy", align: "left" as const },
    ...names.map((name) => ({ heading: name === "memory time" ? "memory time, estimated" : name })),
  ];
  const rows = compared.policies.map(({ policy, figures, stopped }) => [
    policy + (stopped === "" ? "" : ` (${stopped})`),
    ...figures.map(formatFigure),
  ]);
  const seeds = compared.policies[0].seeds.length;
  return [
    `${compared.trace}: touches ${compared.touches}; differences from ${compared.baseline}`,
    formatTables(columns, rows, width),
    wrapped(
      `Time is an estimate for ${machineName}, with the range that its constants leave; ${
        seeds === 1 ? "counts are exact for the seed" : `counts are means of ${seeds} seeds with 95 % intervals`
      }.`,
      width,
    ),
  ].join("\n");
}

/** Value and difference: `12.5 MiB −34.1 %`. */
function formatFigure(figure: Figure): string {
  const value = formatValue(figure, figure.value);
  const range = figure.isEstimate ? ` (${formatValue(figure, figure.low)} to ${formatValue(figure, figure.high)})` : "";
  return `${value}${range}${figure.difference === null ? "" : ` ${formatDifference(figure)}`}`;
}

export function formatValue({ unit }: Pick<Figure, "unit">, value: number): string {
  if (unit === "bytes") return formatBytes(Math.round(value));
  if (unit === "ns") return formatNanoseconds(value);
  return Number.isInteger(value) ? String(value) : formatSignificant(value);
}

export function formatDifference({ difference, isEstimate }: Figure): string {
  if (difference === null) return "";
  const percent = `${signed(difference.percent)} %`;
  if (difference.low === difference.high) return percent;
  if (isEstimate) return `${percent} [${signed(difference.low)}, ${signed(difference.high)}]`;
  return `${percent} ± ${((difference.high - difference.low) / 2).toFixed(1)}`;
}

function signed(value: number): string {
  const rounded = Math.abs(value) >= 1000 ? value.toFixed(0) : value.toFixed(1);
  if (Number(rounded) === 0) return "0.0";
  return value < 0 ? `−${rounded.slice(1)}` : `+${rounded}`;
}

/** One line a figure; numbers in plain units (bytes, counts, nanoseconds, percent). */
export function comparisonCsv(compared: readonly ComparedTrace[]): string {
  const head =
    "trace,touches,policy,figure,unit,value,low,high,estimate,difference_percent,difference_low,difference_high";
  const lines = compared.flatMap(({ trace, touches, policies }) =>
    policies.flatMap(({ policy, figures }) =>
      figures.map((figure) =>
        [
          ...[trace, touches, policy, figure.name, figure.unit].map(csvField),
          figure.value,
          figure.low,
          figure.high,
          figure.isEstimate ? "yes" : "no",
          figure.difference?.percent ?? "",
          figure.difference?.low ?? "",
          figure.difference?.high ?? "",
        ].join(","),
      ),
    ),
  );
  return `${[head, ...lines].join("\n")}\n`;
}

function csvField(text: string): string {
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
