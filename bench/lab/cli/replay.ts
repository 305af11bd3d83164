// `refheap replay`: traces under policies, on all cores, as a table, JSON, CSV or a file of results.
import { availableParallelism } from "node:os";
import { Command, Option } from "commander";
import { machineModel } from "../cost/machine-models.ts";
import { DEFAULT_POLICIES, type Policy, parsePolicy } from "../replay/policy.ts";
import { type ReplayResult, resultFile } from "../replay/result.ts";
import { DEFAULT_MEMORY_BYTES, NO_TOUCHES } from "../replay/run-replay.ts";
import { compareResults } from "../report/comparison.ts";
import { comparisonCsv } from "../report/comparison-text.ts";
import type { TraceFormat } from "../traces/detect.ts";
import { printComparison } from "./print-comparison.ts";
import { replayFiles } from "./replay-files.ts";
import { checkOutput, typedCommand, writeWhole } from "./result-files.ts";
import { describeTally, plural } from "./tally-text.ts";
import {
  byteSize,
  formatOption,
  jsonOption,
  machineOption,
  policyOption,
  type Shard,
  shard,
  skipBadOption,
  touchOption,
  wholeNumber,
} from "./values.ts";

interface ReplayCommandOptions {
  readonly policy?: readonly Policy[];
  readonly touch?: string;
  readonly seed: number;
  readonly repeat: number;
  readonly memory: number;
  readonly machine: string;
  readonly jobs: number;
  readonly shard?: Shard;
  readonly out?: string;
  readonly verify?: boolean;
  readonly skipBad?: boolean;
  readonly format?: TraceFormat;
  readonly json?: boolean;
  readonly csv?: boolean;
}

export function replayCommand(): Command {
  return new Command("replay")
    .summary("replay traces under policies and show what each costs")
    .description(
      "Replays each TRACE on a simulated kernel and heap under each policy, and prints RSS, faults, bytes initialised, " +
        "system calls and an estimate of the time that memory takes. The first policy is what the others are held against. " +
        "Without --touch, a trace's own touches count; where it has none, both ends: no page touched, and all.",
    )
    .argument("<trace...>", "traces to replay; - is standard input")
    .addOption(policyOption())
    .addOption(touchOption())
    .addOption(
      new Option("-s, --seed <n>", "seed of every random choice").argParser(wholeNumber(0, 2 ** 32 - 1)).default(1),
    )
    .addOption(
      new Option("-n, --repeat <n>", "seeds in a row, for intervals").argParser(wholeNumber(1, 1000)).default(1),
    )
    .addOption(
      new Option("--memory <size>", "RAM of the simulated machine")
        .argParser(byteSize)
        .default(DEFAULT_MEMORY_BYTES, "4G"),
    )
    .addOption(machineOption())
    .addOption(
      new Option("-j, --jobs <n>", "threads")
        .argParser(wholeNumber(1, 1024))
        .default(availableParallelism(), "all cores"),
    )
    .addOption(new Option("--shard <i/n>", "only every n-th replay, for refheap merge").argParser(shard))
    .addOption(new Option("-o, --out <file>", "write the results, for compare, report and merge"))
    .addOption(
      new Option("--verify", "check that blocks don't overlap and contents survive; touches both ends of each block"),
    )
    .addOption(skipBadOption())
    .addOption(formatOption())
    .addOption(jsonOption())
    .addOption(new Option("--csv", "print CSV instead of text").conflicts("json"))
    .addHelpText("after", HELP)
    .action(replay);
}

const HELP = `
Examples:
  refheap replay app.mtrace
  refheap replay app.mtrace -p pattern-memset,pattern-refpage --touch fraction=0.2 --repeat 5
  refheap replay *.mtrace --shard 3/8 -o part-3.json`;

async function replay(traces: string[], options: ReplayCommandOptions): Promise<void> {
  const policies = options.policy ?? DEFAULT_POLICIES.map(parsePolicy);
  const seeds = Array.from({ length: options.repeat }, (_, index) => (options.seed + index) >>> 0);
  if (options.out !== undefined) checkOutput(options.out);
  const machine = machineModel(options.machine);
  const { results, tasks } = await replayFiles(traces, {
    policies,
    seeds,
    touch: options.touch,
    jobs: options.jobs,
    shard: options.shard,
    shared: {
      memoryBytes: options.memory,
      verify: options.verify,
      skipBad: options.skipBad,
      format: options.format,
    },
  });
  const file = resultFile(typedCommand(), results, { shard: options.shard, tasks });
  if (options.out !== undefined) await writeWhole(options.out, `${JSON.stringify(file)}\n`);
  if (options.json) process.stdout.write(`${JSON.stringify(file, null, 2)}\n`);
  else if (options.shard === undefined) print(results, options, machine);
  else process.stdout.write(`${plural(results.length, "replay")} of ${tasks} done; join them with refheap merge\n`);
}

function print(results: ReplayResult[], options: ReplayCommandOptions, machine: ReturnType<typeof machineModel>): void {
  const compared = compareResults(results, machine);
  if (options.csv) {
    process.stdout.write(comparisonCsv(compared));
    return;
  }
  printComparison(compared, machine.name);
  for (const trace of new Set(results.map((result) => result.trace))) {
    const [result, ...others] = results.filter((one) => one.trace === trace);
    // One end of both needs no hint at the other; none that was asked for needs none either.
    const isBare = options.touch === undefined && others.every(({ touches }) => touches === result.touches);
    for (const line of [...describeTally(result.read), ...describeReplay(result, isBare)]) {
      process.stderr.write(`${trace}: ${line}\n`);
    }
  }
}

/** @param isBare whether the replay had to do with what the trace says */
function describeReplay({ replayed, touches }: ReplayResult, isBare: boolean): string[] {
  const lines: string[] = [];
  if (isBare && touches === NO_TOUCHES) {
    lines.push(
      "the trace had no touches, so no block was touched; --touch first-page, or another model, says which pages are",
    );
  }
  if (replayed.failedAllocations > 0)
    lines.push(`${plural(replayed.failedAllocations, "allocation")} failed in the replay`);
  const dead = replayed.deadFrees + replayed.deadReallocs + replayed.deadTouches;
  if (dead > 0)
    lines.push(`${plural(dead, "event")} for blocks that don't exist (double frees, unknown ids), left out`);
  if (replayed.clippedTouches > 0)
    lines.push(`${plural(replayed.clippedTouches, "touch", "touches")} beyond a block's end, cut`);
  return lines;
}
