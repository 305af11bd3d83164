// The main benchmark: the thread's microbenchmark, row by row, each in a child process, beside the thread's figures and
// the same program in C on this machine's kernel. How a row is measured and printed is in microbench/.
import { benchmarkCommand, positiveInteger, writeJson } from "../harness/command.ts";
import { startProgress } from "../harness/progress.ts";
import { loadOwnPolicy, OwnPolicyError } from "../lab/replay/own-policy.ts";
import { type Effort, type RowProcess, startRow } from "./measurement.ts";
import { compileNative, type NativeProgram, type NativeRun, summariseNative } from "./native.ts";
import { formatReport } from "./report.ts";
import type { RowResult } from "./results.ts";
import { rows as allRows, type Row, selectRows, thread, withOwnRows } from "./rows.ts";

interface Options {
  readonly quick?: boolean;
  readonly json?: string;
  readonly rows?: string;
  readonly policy?: string;
  readonly runs?: number;
  readonly iterations?: number;
}

/** How much is run, and in every how manieth round the C program, which takes ten times as long as a simulated row. */
interface Plan extends Effort {
  readonly nativeEvery: number;
}

const thorough: Plan = { runs: 10, iterations: 1000, nativeEvery: 1 };
/** Many short rounds: what disturbs one is past in the next, and the rows of a round lie close together. */
const quick: Plan = { runs: 60, iterations: 20, nativeEvery: 4 };

export async function run(argv: string[]): Promise<void> {
  const command = benchmarkCommand("microbench", "The thread's microbenchmark: memset against reference pages.")
    .option(
      "--rows <names>",
      "only rows whose name contains one of these, comma-separated (4096/4096000:memset, v5-plumbed)",
    )
    .option("--policy <file>", "a module of your own (docs/own-interface.md): a row for its mapPattern at each size")
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
  if (options.policy !== undefined) rows = await ownRows(rows, options.policy, (text) => command.error(text));
  const base = options.quick ? quick : thorough;
  const effort: Effort = { runs: options.runs ?? base.runs, iterations: options.iterations ?? base.iterations };
  const { results, nativeReason } = await measure(rows, { ...effort, nativeEvery: base.nativeEvery });
  process.stdout.write(`${formatReport(results, effort, nativeReason)}\n`);
  if (options.json !== undefined)
    writeJson(options.json, "microbench", { effort, thread, nativeReason, rows: results });
}

async function ownRows(rows: readonly Row[], module: string, refuse: (text: string) => never): Promise<Row[]> {
  try {
    const { name, mapPattern } = await loadOwnPolicy(module);
    if (mapPattern === undefined) refuse(`error: --policy: ${module}: policy.mapPattern is what a row measures`);
    return withOwnRows(rows, name, module);
  } catch (error) {
    if (error instanceof OwnPolicyError) refuse(`error: --policy: ${error.message}`);
    throw error;
  }
}

/**
 * The rows of one size take turns, a run each, so that all meet the same machine; never two together, since they would share
 * caches and memory bandwidth.
 */
async function measure(
  rows: readonly Row[],
  effort: Plan,
): Promise<{ results: RowResult[]; nativeReason: string | undefined }> {
  const progress = startProgress(rows.length + new Set(rows.map(sizeOf)).size * effort.runs);
  const native = compileNative();
  const results: RowResult[] = [];
  const processes: RowProcess[] = [];
  try {
    for (const size of new Set(rows.map(sizeOf))) {
      for (const row of rows.filter((one) => sizeOf(one) === size)) {
        progress.step(`${row.name}: start`);
        processes.push(await startRow(row, effort.iterations));
      }
      results.push(...(await takeTurns(processes, effort, native, (turn) => progress.step(`${size}: run ${turn}`))));
      for (const process of processes.splice(0)) process.stop();
    }
  } finally {
    progress.done();
    for (const process of processes) process.stop();
    if ("remove" in native) native.remove();
  }
  return { results, nativeReason: "reason" in native ? native.reason : undefined };
}

function sizeOf(row: Row): string {
  return `${row.touchSize}/${row.mmapSize}`;
}

async function takeTurns(
  processes: readonly RowProcess[],
  { runs, iterations, nativeEvery }: Plan,
  native: NativeProgram,
  step: (turn: number) => void,
): Promise<RowResult[]> {
  const seconds = processes.map((): number[] => []);
  const nativeRuns = processes.map((): NativeRun[] => []);
  for (let turn = 1; turn <= runs; turn++) {
    step(turn);
    for (const [i, process] of processes.entries()) {
      seconds[i].push(await process.run());
      const runsNatively = process.row.fill === "anonymous" || process.row.fill === "memset";
      const isNativeTurn = (turn - 1) % nativeEvery === 0;
      if (runsNatively && isNativeTurn && "run" in native) nativeRuns[i].push(native.run(process.row, iterations));
    }
  }
  return processes.map(({ row, footprint }, i) => ({
    row,
    measurement: { ...footprint, seconds: seconds[i] },
    native: nativeRuns[i].length === 0 ? undefined : summariseNative(nativeRuns[i]),
  }));
}
