// `refheap compare`: results of earlier replays held against a baseline.
import { Command, Option } from "commander";
import { machineModel } from "../cost/machine-models.ts";
import { compareResults } from "../report/comparison.ts";
import { comparisonCsv } from "../report/comparison-text.ts";
import { printComparison } from "./print-comparison.ts";
import { readResults } from "./result-files.ts";
import { jsonOption, machineOption } from "./values.ts";

interface CompareOptions {
  readonly baseline?: string;
  readonly machine: string;
  readonly json?: boolean;
  readonly csv?: boolean;
}

export function compareCommand(): Command {
  return new Command("compare")
    .summary("hold results of replays against a baseline policy")
    .description(
      "Reads files that refheap replay --out or refheap merge wrote, and prints figures, differences and intervals.",
    )
    .argument("<results...>", "files of results")
    .option("-b, --baseline <policy>", "the policy to hold the others against; default: the first of each trace")
    .addOption(machineOption())
    .addOption(jsonOption())
    .addOption(new Option("--csv", "print CSV instead of text").conflicts("json"))
    .action(compare);
}

async function compare(files: string[], options: CompareOptions): Promise<void> {
  const machine = machineModel(options.machine);
  const compared = compareResults(await readResults(files), machine, options.baseline);
  if (options.json) process.stdout.write(`${JSON.stringify(compared, null, 2)}\n`);
  else if (options.csv) process.stdout.write(comparisonCsv(compared));
  else printComparison(compared, machine.name);
}
