// `refheap inspect`: what is in a trace, before anything is replayed.
import { Command } from "commander";
import { formatBytes, formatTable } from "../../harness/table.ts";
import { type Inspection, Inspector } from "../replay/inspection.ts";
import type { TraceFormat } from "../traces/detect.ts";
import { openTrace, type Trace } from "../traces/open.ts";
import { expandArchives } from "../traces/zip.ts";
import { readingProgress, startProgress } from "./progress.ts";
import { describeTally, plural } from "./tally-text.ts";
import { formatOption, jsonOption, skipBadOption } from "./values.ts";

interface InspectOptions {
  readonly format?: TraceFormat;
  readonly skipBad?: boolean;
  readonly json?: boolean;
}

export function inspectCommand(): Command {
  return new Command("inspect")
    .summary("say what a trace holds")
    .description("Reads each TRACE once and says its format, events, sizes and live memory. Nothing is replayed.")
    .argument("<trace...>", "traces to read; - is standard input")
    .addOption(formatOption())
    .addOption(skipBadOption())
    .addOption(jsonOption())
    .action(inspect);
}

async function inspect(files: string[], options: InspectOptions): Promise<void> {
  const inspected: object[] = [];
  for (const file of await expandArchives(files)) {
    const progress = startProgress();
    const trace = await openTrace(file, { ...options, ...readingProgress(file, progress) });
    const inspector = new Inspector();
    try {
      for await (const batch of trace.batches) inspector.add(batch);
    } finally {
      progress.done();
    }
    const result = inspector.finish();
    inspected.push({ trace: file, format: trace.format, read: trace.tally, ...result });
    if (!options.json) process.stdout.write(`${describe(trace, result, inspector.hasTouches)}\n`);
  }
  if (options.json) process.stdout.write(`${JSON.stringify(inspected, jsonNumbers, 2)}\n`);
}

/** JSON knows no infinity. */
function jsonNumbers(_key: string, value: unknown): unknown {
  return value === Infinity ? null : value;
}

function describe(trace: Trace, result: Inspection, hasTouches: boolean): string {
  const events = Object.entries(result.events).map(([word, count]) => `${count} ${word}`);
  const rows = result.requests
    .filter(({ count }) => count > 0)
    .map(({ atMost, count, bytes }) => [
      atMost === Infinity ? "larger" : `≤ ${formatBytes(atMost)}`,
      String(count),
      formatBytes(bytes),
    ]);
  return [
    `${trace.file}: ${trace.format}, ${plural(trace.tally.events, "event")} of ${plural(result.threads, "thread")}`,
    `  events: ${events.join(", ") || "none"}`,
    `  live at most ${plural(result.peakLiveBlocks, "block")}, ${formatBytes(result.peakLiveBytes)}; ` +
      `at the end ${plural(result.endLiveBlocks, "block")}, ${formatBytes(result.endLiveBytes)}`,
    `  largest request ${formatBytes(result.largestRequest)}; ` +
      `${hasTouches ? "touches are in the trace" : "no touches: a replay needs a touch model"}`,
    ...describeTally(trace.tally).map((line) => `  ${line}`),
    ...(result.deadFrees > 0 ? [`  ${plural(result.deadFrees, "free")} of ids that no block has`] : []),
    ...(rows.length > 0
      ? [indent(formatTable([{ heading: "request" }, { heading: "calls" }, { heading: "bytes" }], rows))]
      : []),
  ].join("\n");
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, "  ");
}
