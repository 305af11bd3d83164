// `npm run bench -- huge`: what transparent huge pages cost and save on the simulated kernel, each against the same with small pages
// or against the fill that it does. The operations are in tasks.ts.
import { benchmarkCommand, writeJson } from "../harness/command.ts";
import { describeHost, formatHost } from "../harness/machine.ts";
import { startProgress } from "../harness/progress.ts";
import { type BatchTask, ratioOf, type Samples, sampleInTurn } from "../harness/sample.ts";
import { type Column, formatNanoseconds, formatSpread, formatTable } from "../harness/table.ts";
import { formatTargets, type Target } from "../harness/target.ts";
import { accesses, call, HUGE_BYTES, hugeFault, plainFill, roundTrip } from "./tasks.ts";

/** "A huge fault ≤ 1.3 × the 2 MiB fill it does." */
const FAULT_FILLS = 1.3;
/** "Map + store + unmap of 1 GiB with huge pages ≤ 1.5 × the small-page one plus that fill." */
const ROUND_TRIPS = 1.5;
/** "A load or store under huge mappings costs what it costs under small ones." */
const ACCESS_RATIO = 1.05;
/** "O(n), not O(512 n)": a huge page may cost a tenth of 512 small ones. */
const PAGES_RATIO = 51.2;

const MIB = 2 ** 20;
const columns: readonly Column[] = [
  { heading: "operation", align: "left" },
  { heading: "time" },
  { heading: "95 % CI" },
  { heading: "held against", align: "left" },
  { heading: "ratio" },
];

interface Line {
  readonly name: string;
  readonly samples: Samples;
  readonly against: string;
  readonly ratio: number;
  readonly atMost: number;
}

/** Two tasks in turn, and how many times the second one's cost the first one is. */
function compare(task: BatchTask, base: BatchTask, against: string, atMost: number, rounds: number): Line {
  const samples = sampleInTurn([task, base], { rounds });
  const [one, other] = [task, base].map(({ name }) => samples.get(name) as Samples);
  return { name: task.name, samples: one, against, ratio: ratioOf(one, other), atMost };
}

/** The round trip of huge pages against that of small ones and the fill together, round by round. */
function compareRoundTrip(bytes: number, rounds: number): Line {
  const [huge, small, fill] = [roundTrip("huge", bytes), roundTrip("small", bytes), plainFill(bytes)];
  const samples = sampleInTurn([huge, small, fill], { rounds, budgetMilliseconds: 20_000 });
  const [hugeSamples, smallSamples, fillSamples] = [huge, small, fill].map(({ name }) => samples.get(name) as Samples);
  const blocks = bytes / HUGE_BYTES;
  const together = smallSamples.nanoseconds.map((one, round) => one + fillSamples.nanoseconds[round] * blocks);
  const ratio = ratioOf(hugeSamples, { ...smallSamples, nanoseconds: together });
  const against = "small pages + the fill";
  return { name: `${huge.name}, ${bytes / MIB} MiB`, samples: hugeSamples, against, ratio, atMost: ROUND_TRIPS };
}

function measure(quick: boolean): Line[] {
  const bytes = 64 * MIB;
  // So many pages that what a call costs by itself, such as a child's process, does not show.
  const manyBytes = quick ? 256 * MIB : 512 * MIB;
  const rounds = quick ? 11 : 51;
  const steps: readonly (() => Line)[] = [
    () => compare(hugeFault(bytes), plainFill(bytes), "the 2 MiB fill", FAULT_FILLS, rounds),
    () => compareRoundTrip(quick ? 256 * MIB : 1024 * MIB, quick ? 5 : 15),
    ...(["load", "store"] as const).map(
      (kind) => () =>
        compare(accesses("huge", kind, bytes), accesses("small", kind, bytes), "small pages", ACCESS_RATIO, rounds),
    ),
    ...(["fork", "munmap", "dontneed"] as const).map(
      (name) => () =>
        compare(call("huge", name, manyBytes), call("small", name, manyBytes), "a small page", PAGES_RATIO, rounds),
    ),
  ];
  const progress = startProgress(steps.length);
  const lines = steps.map((step) => {
    const line = step();
    progress.step(line.name);
    return line;
  });
  progress.done();
  return lines;
}

export async function run(argv: string[]): Promise<void> {
  const command = benchmarkCommand("huge", "Transparent huge pages against small ones, and against the fills they do.");
  const options = command.parse(argv, { from: "user" }).opts<{ quick?: boolean; json?: string }>();
  const lines = measure(options.quick === true);
  const targets: Target[] = lines.map(({ name, against, ratio, atMost }) => ({
    what: `${name} against ${against}`,
    measured: ratio,
    unit: " times",
    atMost,
  }));
  const rows = lines.map(({ name, samples: { summary }, against, ratio }) => [
    name,
    formatNanoseconds(summary.median),
    formatSpread(summary.mean, summary.halfWidth),
    against,
    `${ratio.toFixed(2)} ×`,
  ]);
  const text = [
    "Huge pages on the simulated kernel; time an access, a fault, a page of its size, or a round trip",
    formatHost(describeHost()),
    "",
    formatTable(columns, rows),
    "",
    formatTargets(targets),
  ];
  process.stdout.write(`${text.join("\n")}\n`);
  if (options.json !== undefined) writeJson(options.json, "huge", { lines, targets });
}
