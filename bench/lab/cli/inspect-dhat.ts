// `refheap inspect` of a profile that DHAT wrote: its sums, and the call sites with most bytes at the peak.
// Reading it is traces/dhat.ts; why it is no trace stands there.
import { readFileSync } from "node:fs";
import { formatBytes, formatTable } from "../../harness/table.ts";
import { type DhatProfile, isDhatProfile, parseDhat } from "../traces/dhat.ts";
import { beginningOf } from "./beginning.ts";
import { plural } from "./tally-text.ts";

const LOOKED_AT_BYTES = 64;
const SITES_SHOWN = 10;

export function isDhatFile(file: string): boolean {
  return isDhatProfile(beginningOf(file, LOOKED_AT_BYTES) ?? "");
}

export function inspectDhat(file: string): DhatProfile {
  return parseDhat(readFileSync(file, "utf8"), file);
}

export function describeDhat(file: string): string {
  const { command, sites, totals } = inspectDhat(file);
  const shown = [...sites]
    .sort((a, b) => b.peakBytes - a.peakBytes || b.totalBytes - a.totalBytes)
    .slice(0, SITES_SHOWN);
  const columns = ["at the peak", "in all", "calls", "read", "written"].map((heading) => ({ heading }));
  const rows = shown.map((site) => [
    ...[site.peakBytes, site.totalBytes].map(formatBytes),
    String(site.totalBlocks),
    ...[site.readBytes, site.writtenBytes].map(formatBytes),
    placeOf(site.frames),
  ]);
  return [
    `${file}: DHAT's profile of ${command}, ${plural(sites.length, "call site")}`,
    `  ${plural(totals.totalBlocks, "call")}, ${formatBytes(totals.totalBytes)}; ` +
      `live at most ${plural(totals.peakBlocks, "block")}, ${formatBytes(totals.peakBytes)}; ` +
      `at the end ${plural(totals.endBlocks, "block")}, ${formatBytes(totals.endBytes)}`,
    "  it holds no order of calls, so it cannot be replayed: refheap record --native makes a trace of the program",
    ...(rows.length === 0 ? [] : [table([...columns, { heading: "call site", align: "left" as const }], rows)]),
  ].join("\n");
}

/** The first frame that is not the allocator's: `0x4011D6: make (…)` without the address. */
function placeOf(frames: readonly string[]): string {
  const names = frames.map((frame) => frame.replace(/^0x[0-9A-Fa-f]+: /, ""));
  return (
    names.find((name) => !/^(malloc|calloc|realloc|memalign|operator new)\b|vg_replace_malloc/.test(name)) ??
    names[0] ??
    "?"
  );
}

function table(columns: Parameters<typeof formatTable>[0], rows: string[][]): string {
  return formatTable(columns, rows).replaceAll(/^/gm, "  ");
}
