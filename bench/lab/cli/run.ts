// `refheap run`: a WebAssembly program under one policy or several, with what memory cost it under each, from its real touches.
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command, Option } from "commander";
import { machineModel } from "../cost/machine-models.ts";
import { type Policy, parsePolicy } from "../replay/policy.ts";
import { compareResults } from "../report/comparison.ts";
import { comparisonCsv } from "../report/comparison-text.ts";
import { checkPolicy, type MeasuredRun, measureRun } from "../wasm/measured-run.ts";
import { printComparison } from "./print-comparison.ts";
import { functionsOf, NO_MALLOC, type ProgramOptions, programOf, withProgram } from "./program-options.ts";
import { checkOutput } from "./result-files.ts";
import { jsonOption, machineOption, policyOption, wholeNumber } from "./values.ts";

interface RunOptions extends ProgramOptions {
  readonly memory: number;
  readonly policy?: readonly Policy[];
  readonly machine: string;
  readonly seed: number;
  readonly record?: string;
  readonly json?: boolean;
  readonly csv?: boolean;
}

const DEFAULT_RUN_POLICIES = ["pattern-memset", "none", "pattern-refpage"];

export function runCommand(): Command {
  return withProgram(
    new Command("run")
      .summary("run a WebAssembly program under policies and show what memory cost it")
      .description(
        "Runs a WASI command with its malloc on the heap under each policy, and prints RSS, faults, bytes initialised and estimated " +
          "time of each, from the program's own loads and stores. Its output is that of the first run; figures go to standard error.",
      ),
  )
    .addOption(policyOption())
    .addOption(machineOption())
    .addOption(
      new Option("-s, --seed <n>", "seed of the heap's random choices")
        .argParser(wholeNumber(0, 2 ** 32 - 1))
        .default(1),
    )
    .addOption(new Option("--record <file>", "write the first run as a trace with its touches, for replay and sweeps"))
    .addOption(jsonOption())
    .addOption(new Option("--csv", "print CSV instead of text").conflicts("json"))
    .addHelpText(
      "after",
      "\nExamples:\n  refheap run program.wasm input.txt\n  refheap run -p pattern-memset,pattern-refpage --record app.rht program.wasm",
    )
    .action(run);
}

async function run(file: string, args: string[], options: RunOptions): Promise<void> {
  const policies = options.policy ?? DEFAULT_RUN_POLICIES.map(parsePolicy);
  for (const policy of policies) checkPolicy(policy);
  if (options.record !== undefined) checkOutput(options.record);
  const machine = machineModel(options.machine);
  const folder = mkdtempSync(join(tmpdir(), "refheap-run-"));
  const quiet = openSync("/dev/null", "w");
  const results: MeasuredRun[] = [];
  try {
    const input = keepInput(folder, policies.length);
    for (const [index, policy] of policies.entries()) {
      const stdin = input === null ? 0 : openSync(input, "r");
      const program = programOf(file, args, options);
      results.push(
        await measureRun({ ...program, stdin, ...(index === 0 ? {} : { stdout: quiet, stderr: quiet }) }, policy, {
          memoryBytes: options.memory,
          functions: functionsOf(options),
          seed: options.seed,
          record: index === 0 ? options.record : undefined,
        }),
      );
      if (stdin !== 0) closeSync(stdin);
    }
  } finally {
    closeSync(quiet);
    rmSync(folder, { recursive: true, force: true });
  }
  const compared = compareResults(results, machine);
  if (options.json) process.stderr.write(`${JSON.stringify(results, null, 2)}\n`);
  else if (options.csv) process.stderr.write(comparisonCsv(compared));
  else printComparison(compared, machine.name, process.stderr);
  for (const { policy, failure } of results)
    if (failure !== "") process.stderr.write(`refheap: the program was stopped under ${policy.name}: ${failure}\n`);
  if (!options.json && !options.csv && !results[0].hasHeap) process.stderr.write(`refheap: ${NO_MALLOC}\n`);
  process.exitCode = results[0].exitCode;
}

/** Standard input, in a file that each run reads from its begin; null where one run reads it, or a person types it. */
function keepInput(folder: string, runs: number): string | null {
  if (runs < 2 || process.stdin.isTTY) return null;
  const file = join(folder, "input");
  writeFileSync(file, readFileSync(0));
  return file;
}
