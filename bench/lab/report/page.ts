// The report: one HTML page that needs nothing else. Tables and pictures for each trace, and the command that made it.
// Pictures are drawn before (charts.ts, page-map-chart.ts); the page asks for nothing over a network, and runs no script but script.ts.
import { formatBytes } from "../../harness/table.ts";
import type { MachineModel } from "../cost/cost-model.ts";
import { GROUP_SIZES } from "../replay/page-scan.ts";
import { POLICIES } from "../replay/policy.ts";
import type { ReplayResult } from "../replay/result.ts";
import {
  BYTE_PARTS,
  FAULT_PARTS,
  LINE_MARGIN_LEFT,
  LINE_MARGIN_RIGHT,
  partBars,
  partColours,
  policyColours,
  rssChart,
  timeBars,
} from "./charts.ts";
import { type ComparedTrace, compareResults, type Figure } from "./comparison.ts";
import { formatDifference, formatValue } from "./comparison-text.ts";
import { html, table } from "./html.ts";
import { PAGE_KINDS, pageMapChart, pageMapText } from "./page-map-chart.ts";
import { peakSection, siteSentence } from "./peak-shares.ts";
import { dashesOf, type WidthName } from "./plot.ts";
import { SCRIPT, SCRIPT_HASH, seriesData } from "./script.ts";
import { STYLE } from "./style.ts";
import { summaries } from "./summary.ts";

export interface ReportOptions {
  readonly machine: MachineModel;
  /** The command that makes this report again. */
  readonly command: string;
  readonly baseline?: string;
}

/** The page as text. @throws RangeError if a trace has no result of the baseline. */
export function reportPage(results: readonly ReplayResult[], options: ReportOptions): string {
  const compared = compareResults(results, options.machine, options.baseline);
  const sections = compared.map((one) => traceSection(one, firstSeeds(results, one), options.machine));
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src '${SCRIPT_HASH}'">
<title>refheap: what memory costs under ${plain(compared[0].policies.length)} policies</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>What memory costs, policy by policy</h1>
${answers(compared, results)}
<p class="quiet">Replayed on refheap's simulated kernel and heap. Counts are exact for their seed. Times are
<strong>estimates</strong> for ${html(options.machine.name)} (${html(options.machine.description)}), with the range that
its constants leave.</p>
<pre><code>${html(options.command)}</code></pre>
</header>
<main>
${sections.join("\n")}
${policySection(results)}
</main>
<script>${SCRIPT}</script>
</body>
</html>
`;
}

/** What the page answers, before anything else. */
function answers(compared: readonly ComparedTrace[], results: readonly ReplayResult[]): string {
  return summaries(compared)
    .map(({ trace, sentence }) => {
      const name = new Set(compared.map((one) => one.trace)).size > 1 ? `${html(trace)}: ` : "";
      const sites = siteSentence(results.filter((result) => result.trace === trace));
      return `<p class="answer">${name}${html(`${sentence} ${sites}`.trim())}</p>`;
    })
    .join("\n");
}

/** Pictures and page maps show one replay of each policy: that of its first seed. */
export function firstSeeds(results: readonly ReplayResult[], { trace, touches }: ComparedTrace): ReplayResult[] {
  const own = results.filter((result) => result.trace === trace && result.touches === touches);
  return own.filter((result) => own.find((other) => other.policy.name === result.policy.name) === result);
}

function traceSection(compared: ComparedTrace, results: readonly ReplayResult[], machine: MachineModel): string {
  const [first] = results;
  return `<section>
<h2>${html(compared.trace)}</h2>
<p>${first.replayed.operations} operations (${html(first.format)}), touches: ${html(compared.touches)},
seed ${first.seed}${compared.policies[0].seeds.length > 1 ? ` and ${compared.policies[0].seeds.length - 1} more` : ""}.
Differences are from <code>${html(compared.baseline)}</code>.</p>
${figureTable(compared)}
${peakSection(results, compared.baseline)}
${figure("Resident memory over time", lineLegend(policyColours(results), "asked for by the program"), (width) => rssChart(results, width), seriesAttributes(results))}
${figure("Page faults", legend(partColours(FAULT_PARTS, results)), (width) => partBars(FAULT_PARTS, "page faults", results, width))}
${figure("Bytes initialised", legend(partColours(BYTE_PARTS, results)), (width) => partBars(BYTE_PARTS, "MiB", results, width))}
${figure(`Estimated time on ${machine.name}`, "", (width) => timeBars(compared, machine.name, width))}
<h3>Page maps</h3>
<p class="quiet">Address ranges from top to bottom, only those that were ever mapped; a private page is the process's own
and resident, a zero page reads as zeroes, a clean page as the reference page. Neither of the two costs memory.
Ranges with a private page are drawn in full height, fuller the more of them; those with clean pages half as high; with
zero pages alone as a line.</p>
${legend(PAGE_KINDS)}
${results.map((result, index) => pageMapDetails(result, { open: index === 0 })).join("\n")}
${groupTable(results)}
</section>`;
}

function figureTable({ policies }: ComparedTrace): string {
  const head = policies[0].figures.map(
    ({ name, isEstimate }) => `<th scope="col">${html(name)}${isEstimate ? " (estimate)" : ""}</th>`,
  );
  const rows = policies.map(({ policy, figures, stopped }) => {
    const note = stopped === "" ? "" : `<small>${html(stopped)}</small>`;
    return `<tr><th scope="row">${html(policy)}${note}</th>${figures.map(figureCell).join("")}</tr>`;
  });
  return table(['<th scope="col">policy</th>', ...head], rows, "Figures of each policy", "figures");
}

function figureCell(figure: Figure): string {
  const range = figure.isEstimate
    ? `<small>${formatValue(figure, figure.low)} to ${formatValue(figure, figure.high)}</small>`
    : "";
  const difference = figure.difference === null ? "" : `<small>${html(formatDifference(figure))}</small>`;
  // On a phone there is no room for columns: each figure stands on a line of its own, with its name.
  const name = figure.name + (figure.isEstimate ? " (estimate)" : "");
  return `<td data-name="${html(name)}">${html(formatValue(figure, figure.value))}${range}${difference}</td>`;
}

/** The accounting model of larger base pages. */
function groupTable(results: readonly ReplayResult[]): string {
  const head = ["policy", "4 KiB", ...GROUP_SIZES].map((name) => `<th scope="col">${name}</th>`);
  const rows = results.map(({ policy, peaks }) => {
    const cells = [peaks.rssBytes, ...GROUP_SIZES.map((size) => peaks.groupRssBytes[size])];
    const row = cells.map((bytes) => `<td>${formatBytes(bytes)}</td>`).join("");
    return `<tr><th scope="row">${html(policy.name)}</th>${row}</tr>`;
  });
  return `<h3>Peak RSS if pages were larger</h3>
<p class="quiet">An accounting model of base pages of 16 and 64 KiB: a larger page is resident as soon as a part of it is. Huge pages
are the kernel's own: the policies with pages=huge and pages=64K-folios have them.</p>
${table(head, rows, "Peak RSS by page size")}`;
}

function pageMapDetails(result: ReplayResult, { open }: { readonly open: boolean }): string {
  const { pageMap, policy } = result;
  const pictures = bothWidths((width) => pageMapChart(pageMap, width));
  return `<details${open ? " open" : ""}><summary>${html(policy.name)}</summary>
<figure>${pictures}<figcaption>${pageMap.addresses.length} ranges of ${formatBytes(pageMap.rowBytes)}. ${pageMapText(pageMap)}</figcaption></figure></details>`;
}

function policySection(results: readonly ReplayResult[]): string {
  const policies = new Map(results.map(({ policy }) => [policy.name, policy]));
  const items = [...policies.values()].map((policy) => {
    const base = policy.name.split("+")[0];
    const { name: _, own, ...fields } = policy;
    const fieldText =
      own === undefined
        ? Object.entries(fields)
            .map(([field, value]) => `${field}=${value}`)
            .join(", ")
        : `of ${own.file}`;
    return `<dt><code>${html(policy.name)}</code></dt><dd>${html(own?.what ?? POLICIES[base]?.what ?? "")}
<small class="quiet">${html(fieldText)}</small></dd>`;
  });
  return `<section><h2>The policies</h2><dl>${items.join("\n")}</dl></section>`;
}

function figure(title: string, legendHtml: string, draw: (width: WidthName) => string, attributes = ""): string {
  return `<h3>${html(title)}</h3>${legendHtml}<figure${attributes}>${bothWidths(draw)}</figure>`;
}

/** For the script: the lines' values, and the margins of the frame that they are drawn in. */
function seriesAttributes(results: readonly ReplayResult[]): string {
  const margins = JSON.stringify([LINE_MARGIN_LEFT, LINE_MARGIN_RIGHT]);
  return ` data-series="${html(seriesData(results))}" data-margins="${margins}"`;
}

function bothWidths(draw: (width: WidthName) => string): string {
  return `<div class="wide">${draw("wide")}</div><div class="narrow">${draw("narrow")}</div>`;
}

function legend(entries: readonly (readonly [string, string])[]): string {
  if (entries.length === 0) return "";
  const items = entries.map(([name, colour]) => `<li><i style="background:${colour}"></i>${html(name)}</li>`);
  return `<ul class="legend">${items.join("")}</ul>`;
}

/** Samples of the chart's lines, dashes and all; the thin line at the end is what the program asked for. */
function lineLegend(entries: readonly (readonly [string, string])[], last: string): string {
  const items = entries.map(([name, colour], index) => lineItem(name, colour, 3, dashesOf(index)));
  return `<ul class="legend">${items.join("")}${lineItem(last, "currentColor", 1, "2,3")}</ul>`;
}

function lineItem(name: string, colour: string, width: number, dashes: string): string {
  const line = `<line x1="0" y1="5" x2="36" y2="5" stroke="${colour}" stroke-width="${width}" stroke-dasharray="${dashes}"/>`;
  return `<li><svg class="sample" width="36" height="10" aria-hidden="true">${line}</svg>${html(name)}</li>`;
}

function plain(count: number): string {
  return ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"][count] ?? String(count);
}
