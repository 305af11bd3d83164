// `refheap inspect`: what is in a trace, before anything is replayed, or in a snapshot of a machine (inspect-state.ts).
import { Command } from "commander";
import { readingProgress, startLine } from "../../harness/progress.ts";
import { formatBytes, formatTable } from "../../harness/table.ts";
import { type Inspection, Inspector } from "../replay/inspection.ts";
import type { TraceFormat } from "../traces/detect.ts";
import { openTrace, storedBytes, type Trace } from "../traces/open.ts";
import { expandArchives } from "../traces/zip.ts";
import { UsageError } from "./exit.ts";
import { describeDhat, inspectDhat, isDhatFile } from "./inspect-dhat.ts";
import { describeState, inspectState, isSnapshot, type StateOptions } from "./inspect-state.ts";
import { describeTally, plural } from "./tally-text.ts";
import { anAddress, formatOption, jsonOption, listOf, skipBadOption, wholeNumber } from "./values.ts";

interface InspectOptions extends StateOptions {
  readonly format?: TraceFormat;
  readonly skipBad?: boolean;
  readonly json?: boolean;
}

export function inspectCommand(): Command {
  return new Command("inspect")
    .summary("say what a trace or a snapshot holds")
    .description(
      "Reads each FILE. Of a trace: format, events, sizes and live memory; nothing is replayed. Of a snapshot that a machine or a failed test wrote: processes, heaps, findings. " +
        "Of a profile by valgrind --tool=dhat: its sums and call sites.",
    )
    .argument("<file...>", "traces or snapshots to read; - is standard input")
    .option(
      "--address <address>",
      "say what lies at an address of a snapshot; may be given several times",
      listOf(anAddress),
    )
    .option("--maps <pid>", "print /proc/PID/maps of a process of a snapshot", listOf(wholeNumber(1, 2 ** 22)))
    .addOption(formatOption())
    .addOption(skipBadOption())
    .addOption(jsonOption())
    .action(inspect);
}

async function inspect(files: string[], options: InspectOptions): Promise<void> {
  const inspected: object[] = [];
  for (const file of await expandArchives(files)) {
    if (isSnapshot(file)) {
      if (options.json) inspected.push(inspectState(file, options));
      else process.stdout.write(`${describeState(file, options)}\n`);
      continue;
    }
    if (options.address !== undefined || options.maps !== undefined)
      throw new UsageError(`${file} is a trace; --address and --maps are for snapshots`);
    if (isDhatFile(file)) {
      if (options.json) inspected.push({ profile: file, ...inspectDhat(file) });
      else process.stdout.write(`${describeDhat(file)}\n`);
      continue;
    }
    const progress = startLine();
    const trace = await openTrace(file, { ...options, ...readingProgress(file, storedBytes(file), progress) });
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
