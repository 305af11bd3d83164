// `refheap calibrate`: cost constants of the machine at hand, or the built-in ones with their residuals.
import { Command } from "commander";
import { findCompiler } from "../../harness/c-compiler.ts";
import { formatBytes, formatNanoseconds, formatSignificant, formatTable } from "../../harness/table.ts";
import { type Calibration, calibrate } from "../cost/calibration.ts";
import type { CalibrationCheck, Time } from "../cost/calibration-checks.ts";
import { COST_EVENTS, type MachineModel } from "../cost/cost-model.ts";
import { DRAGONBOARD, machineModel } from "../cost/machine-models.ts";
import { residuals } from "../cost/thread-table.ts";
import { writeWhole } from "./result-files.ts";
import { jsonOption, machineOption } from "./values.ts";

interface CalibrateOptions {
  readonly out?: string;
  readonly name?: string;
  readonly show?: boolean;
  readonly residuals?: boolean;
  readonly machine: string;
  readonly json?: boolean;
}

export function calibrateCommand(): Command {
  return new Command("calibrate")
    .summary("measure what memory costs on this machine")
    .description(
      "Compiles a small C program with the compiler found here (cc, gcc, clang, or $CC), runs it for some seconds, and " +
        "writes a machine for --machine. With --show or --residuals nothing is measured.",
    )
    .option("-o, --out <file>", "write the machine to this file")
    .option("--name <name>", "the machine's name; default: the host's")
    .option("--show", "print the constants of --machine, and how each was found")
    .option("--residuals", "hold --machine against the review thread's nine figures")
    .addOption(machineOption())
    .addOption(jsonOption())
    .action(run);
}

async function run(options: CalibrateOptions): Promise<void> {
  if (options.residuals) return showResiduals(options);
  const { model, checks }: Calibration = options.show
    ? { model: machineModel(options.machine), checks: [] }
    : measure(options.name);
  if (options.out !== undefined) await writeWhole(options.out, `${JSON.stringify(model, null, 2)}\n`);
  process.stdout.write(options.json ? `${JSON.stringify(model, null, 2)}\n` : `${describe(model)}\n`);
  // With --json standard output is the machine alone, a file for --machine.
  if (checks.length > 0) (options.json ? process.stderr : process.stdout).write(`${describeChecks(checks)}\n`);
}

function measure(name?: string): Calibration {
  const compiler = findCompiler();
  if (compiler === null) {
    throw new Error(
      "calibrate: no C compiler answers (tried $CC, cc, gcc, clang); install one, " +
        `or use the built-in machine ${DRAGONBOARD.name}`,
    );
  }
  return calibrate(compiler, name);
}

function describe(model: MachineModel): string {
  const rows = COST_EVENTS.map((event) => {
    const { ns, low, high, how } = model.constants[event];
    return [event, formatSignificant(ns), `${formatSignificant(low)} to ${formatSignificant(high)}`, how];
  });
  const columns = [
    { heading: "event", align: "left" as const },
    { heading: "ns" },
    { heading: "range" },
    { heading: "how", align: "left" as const },
  ];
  return `${model.name}: ${model.description}; last-level cache ${formatBytes(model.cacheBytes)}\n${formatTable(columns, rows)}`;
}

function describeChecks(checks: readonly CalibrationCheck[]): string {
  const time = ({ ns, low, high }: Time): string =>
    `${formatNanoseconds(ns)} (${formatNanoseconds(low)} to ${formatNanoseconds(high)})`;
  const rows = checks.map(({ program, predicted, measured }) => [
    program,
    time(predicted),
    time(measured),
    formatResidual(predicted.ns / measured.ns - 1),
  ]);
  const columns = [
    { heading: "1000 pages mapped and unmapped", align: "left" as const },
    { heading: "predicted (estimate)" },
    { heading: "measured" },
    { heading: "residual" },
  ];
  return `\nself-check: programs timed whole, against the sum of their events\n${formatTable(columns, rows)}`;
}

function formatResidual(relative: number): string {
  return `${relative < 0 ? "−" : "+"}${Math.abs(100 * relative).toFixed(1)} %`;
}

function showResiduals(options: CalibrateOptions): void {
  const model = machineModel(options.machine);
  const all = residuals(model);
  if (options.json) {
    process.stdout.write(`${JSON.stringify(all, null, 2)}\n`);
    return;
  }
  const rows = all.map(({ figure, unit, thread, model: own, relative }) => [
    figure,
    `${formatSignificant(thread)} ${unit}`,
    `${formatSignificant(own)} ${unit}`,
    formatResidual(relative),
  ]);
  const columns = [
    { heading: "touch/mmap bytes", align: "left" as const },
    { heading: "thread" },
    { heading: "model (estimate)" },
    { heading: "residual" },
  ];
  process.stdout.write(`${model.name} against the thread's table\n${formatTable(columns, rows)}\n`);
}
