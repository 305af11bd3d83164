// Where the savings are: the live blocks at the peak by size and by call site, with what of them was never stored to.
// The figures are made while replaying (bench/lab/replay/attribution.ts).
import { formatBytes } from "../../harness/table.ts";
import type { PeakShares, Share } from "../replay/attribution.ts";
import type { ReplayResult } from "../replay/result.ts";
import { html, table } from "./html.ts";

/** Of the baseline, whose peak it is that others lower; "" if no result knows. */
export function peakSection(results: readonly ReplayResult[], baseline: string): string {
  const shares = (results.find(({ policy }) => policy.name === baseline) ?? results[0])?.atPeak;
  if (shares === undefined || shares.total.blocks === 0) return "";
  const { total, sizes, sites, operation } = shares;
  const sizeRows = sizes.map(({ atMost, ...share }) =>
    row(atMost === null ? "larger" : `≤ ${formatBytes(atMost)}`, share, total),
  );
  const siteRows = sites.map(({ site, ...share }) => row(site, share, total));
  return `<h3>Where the savings are</h3>
<p class="quiet">The blocks that were alive at the peak of <code>${html(baseline)}</code> (operation ${operation}). <em>Untouched</em>
are bytes of large blocks on pages that the program had not stored to: a fill by memset makes them resident, a reference page
does not.</p>
${table(head("size"), sizeRows, "Savings by size")}
${siteRows.length === 0 ? "" : table(head("call site"), siteRows, "Savings by call site")}`;
}

/** "Most of it from 12 call sites", if call sites are known and anything can be saved. */
export function siteSentence(results: readonly ReplayResult[]): string {
  const shares = results.map(({ atPeak }) => atPeak).filter((one): one is PeakShares => one !== undefined);
  const best = shares.reduce<PeakShares | null>(
    (most, one) => (most === null || one.total.untouchedBytes > most.total.untouchedBytes ? one : most),
    null,
  );
  if (best === null || best.total.untouchedBytes === 0 || best.sites.length === 0) return "";
  return `Most of it is from ${best.sitesOfMost} call ${best.sitesOfMost === 1 ? "site" : "sites"}.`;
}

function head(first: string): string[] {
  return [first, "blocks", "bytes", "untouched", "of all untouched"].map((name) => `<th scope="col">${name}</th>`);
}

function row(name: string, { blocks, bytes, untouchedBytes }: Share, total: Share): string {
  const percent = total.untouchedBytes === 0 ? 0 : (100 * untouchedBytes) / total.untouchedBytes;
  const cells = [String(blocks), formatBytes(bytes), formatBytes(untouchedBytes), `${percent.toFixed(1)} %`];
  return `<tr><th scope="row">${html(name)}</th>${cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>`;
}
