// The main benchmark: the thread's microbenchmark, row by row, each in a child process, beside the thread's figures and
// the same program in C on this machine's kernel. How a row is measured and printed is in microbench/.
import { benchmarkCommand, positiveInteger, writeJson } from "./harness/command.ts";
import { startProgress } from "./harness/progress.ts";
import { type Effort, measureRow } from "./microbench/measurement.ts";
import { compileNative } from "./microbench/native.ts";
import { formatReport } from "./microbench/report.ts";
import type { RowResult } from "./microbench/results.ts";
import { rows as allRows, type Row, selectRows, thread } from "./microbench/rows.ts";

interface Options {
  readonly quick?: boolean;
  readonly json?: string;
  readonly rows?: string;
  readonly runs?: number;
  readonly iterations?: number;
}

const thorough: Effort = { runs: 10, iterations: 1000 };
const quick: Effort = { runs: 5, iterations: 100 };

export async function run(argv: string[]): Promise<void> {
  const command = benchmarkCommand("microbench", "The thread's microbenchmark: memset against reference pages.")
    .option(
      "--rows <names>",
      "only rows whose name contains one of these, comma-separated (4096/4096000:memset, v5-plumbed)",
    )
    .option("--runs <n>", `runs a row (default ${thorough.runs}, with --quick ${quick.runs})`, positiveInteger)
    .option(
      "--iterations <n>",
      `iterations a run (default ${thorough.iterations}, with --quick ${quick.iterations})`,
      positiveInteger,
    )
    .parse(argv, { from: "user" });
  const options = command.opts<Options>();
  let rows: readonly Row[] = allRows;
  try {
    if (options.rows !== undefined) rows = selectRows(options.rows);
  } catch (error) {
    command.error(`error: --rows: ${(error as Error).message}`);
  }
  const base = options.quick ? quick : thorough;
  const effort: Effort = { runs: options.runs ?? base.runs, iterations: options.iterations ?? base.iterations };
  const { results, nativeReason } = await measure(rows, effort);
  process.stdout.write(`${formatReport(results, effort, nativeReason)}\n`);
  if (options.json !== undefined)
    writeJson(options.json, "microbench", { effort, thread, nativeReason, rows: results });
}

/** Row after row, never two at once: they would share caches and memory bandwidth. */
async function measure(
  rows: readonly Row[],
  effort: Effort,
): Promise<{ results: RowResult[]; nativeReason: string | undefined }> {
  const progress = startProgress(rows.length);
  const native = compileNative();
  const results: RowResult[] = [];
  try {
    for (const row of rows) {
      progress.step(row.name);
      const measurement = await measureRow(row, effort);
      const runsNatively = row.fill === "anonymous" || row.fill === "memset";
      const nativeMeasurement = runsNatively && "measure" in native ? native.measure(row, effort) : undefined;
      results.push({ row, measurement, native: nativeMeasurement });
    }
  } finally {
    progress.done();
    if ("remove" in native) native.remove();
  }
  return { results, nativeReason: "reason" in native ? native.reason : undefined };
}
