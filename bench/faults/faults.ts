// `npm run bench -- faults`: what each kind of page fault costs, against the 4 KiB fill that most of them have to do.
// The faults themselves are in faults/tasks.ts.

import { benchmarkCommand, writeJson } from "../harness/command.ts";
import { describeHost, formatHost } from "../harness/machine.ts";
import { startProgress } from "../harness/progress.ts";
import { ratioOf, type Samples, sampleInTurn } from "../harness/sample.ts";
import { type Column, formatNanoseconds, formatSpread, formatTable } from "../harness/table.ts";
import { formatTargets, type Target } from "../harness/target.ts";
import { faultTasks, plainFill, READ_ANONYMOUS, READ_REFPAGE, WRITE_ANONYMOUS, WRITE_REFPAGE } from "./tasks.ts";

/** "A write fault at most 3 times the cost of the 4 KiB fill that it does; a read fault of a clean page at most 1 µs." */
const WRITE_FAULT_FILLS = 3;
const READ_FAULT_NANOSECONDS = 1000;

const columns: readonly Column[] = [
  { heading: "operation", align: "left" },
  { heading: "time" },
  { heading: "95 % CI" },
  { heading: "to the fill" },
];

interface Line {
  readonly name: string;
  readonly samples: Samples;
  /** Samples of the fill taken in turn with these. */
  readonly fill: Samples;
}

/** Each kind of fault in turn with the fill, so that both meet the same caches and the same neighbours. */
function measure(rounds: number): Line[] {
  const tasks = faultTasks();
  const fill = plainFill();
  const progress = startProgress(tasks.length);
  const lines = tasks.map((task) => {
    progress.step(task.name);
    const samples = sampleInTurn([task, fill], { rounds });
    return { name: task.name, samples: get(samples, task.name), fill: get(samples, fill.name) };
  });
  progress.done();
  return lines;
}

function get(samples: Map<string, Samples>, name: string): Samples {
  const found = samples.get(name);
  if (found === undefined) throw new Error(`no samples of ${name}`);
  return found;
}

function timesFill({ samples, fill }: Line): number {
  return ratioOf(samples, fill);
}

function listTargets(lines: readonly Line[]): Target[] {
  return lines.flatMap((line): Target[] => {
    if (line.name === WRITE_ANONYMOUS || line.name === WRITE_REFPAGE) {
      return [
        {
          what: `${line.name} costs the 4 KiB fill`,
          measured: timesFill(line),
          unit: " times",
          atMost: WRITE_FAULT_FILLS,
        },
      ];
    }
    if (line.name === READ_ANONYMOUS || line.name === READ_REFPAGE) {
      return [{ what: line.name, measured: line.samples.summary.median, unit: " ns", atMost: READ_FAULT_NANOSECONDS }];
    }
    return [];
  });
}

export async function run(argv: string[]): Promise<void> {
  const command = benchmarkCommand("faults", "Page faults by kind, against the 4 KiB fill that they do.");
  const options = command.parse(argv, { from: "user" }).opts<{ quick?: boolean; json?: string }>();
  const rounds = options.quick ? 101 : 501;
  const lines = measure(rounds);
  const fill = lines[0].fill.summary;
  const targets = listTargets(lines);
  const rows = lines.map((line) => {
    const { summary } = line.samples;
    const ratio = `${timesFill(line).toFixed(2)} ×`;
    return [line.name, formatNanoseconds(summary.median), formatSpread(summary.mean, summary.halfWidth), ratio];
  });
  const text = [
    "Page faults on the simulated kernel, over the 1000 pages of the thread's mapping; time a page, the access included",
    `Medians of ${rounds} rounds. ${formatHost(describeHost())}`,
    "",
    formatTable(columns, [
      ["4 KiB fill of a Uint8Array", formatNanoseconds(fill.median), formatSpread(fill.mean, fill.halfWidth), "1.00 ×"],
      ...rows,
    ]),
    "",
    formatTargets(targets),
  ];
  process.stdout.write(`${text.join("\n")}\n`);
  if (options.json !== undefined) writeJson(options.json, "faults", { rounds, lines, targets });
}
