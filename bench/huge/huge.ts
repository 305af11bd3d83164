// `npm run bench -- huge`: what transparent huge pages cost and save on the simulated kernel, each against the same with small pages
// or against the fill that it does. The operations are in tasks.ts.
import { benchmarkCommand, writeJson } from "../harness/command.ts";
import { describeHost, formatHost } from "../harness/machine.ts";
import { startProgress } from "../harness/progress.ts";
import { type BatchTask, ratioOf, type Samples, sampleInTurn } from "../harness/sample.ts";
import { summarise } from "../harness/statistics.ts";
import { type Column, formatNanoseconds, formatSpread, formatTable } from "../harness/table.ts";
import { formatTargets, type Target } from "../harness/target.ts";
import { accesses, call, HUGE_BYTES, hugeFault, plainFill, roundTrip } from "./tasks.ts";

/** "A huge fault ≤ 1.3 × the 2 MiB fill it does." */
const FAULT_FILLS = 1.3;
/** "Map + store + unmap of 1 GiB with huge pages ≤ 1.5 × the small-page one plus that fill." */
const ROUND_TRIPS = 1.5;
/** "A load or store under huge mappings costs what it costs under small ones." */
const ACCESS_RATIO = 1.05;
/** "O(n), not O(512 n)": what a huge page more costs may be what ten small ones cost, not 512. */
const PAGES_RATIO = 10;
/** Each further page costs what the pages before it did: the cost a page of 4 n pages less n, against n less n / 4. */
const GROWTH_RATIO = 1.5;
const CALLS = ["fork", "munmap", "dontneed"] as const;

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

/** Pages that a call is made for, and how many: a page of each size, smallest number first. */
const CALL_PAGES = { huge: [32, 128, 512], small: [4096, 16_384, 65_536] } as const;

/**
 * What one page more costs a call, in nanoseconds a round: the difference of two numbers of pages, so that what the call costs by
 * itself, such as a child's process, is not in it.
 */
function compareCall(name: (typeof CALLS)[number], quick: boolean): Line[] {
  // The most pages of each size last: they are left out of a quick run, which tells nothing of how the cost grows.
  const counts = (size: "huge" | "small"): readonly number[] => CALL_PAGES[size].slice(0, quick ? 2 : 3);
  const tasks = (["huge", "small"] as const).map((size) => counts(size).map((pages) => call(size, name, pages)));
  const rounds = quick ? 11 : 21;
  const samples = sampleInTurn(tasks.flat(), { rounds, warmUpMilliseconds: 500, budgetMilliseconds: 10_000 });
  const total = (task: BatchTask, pages: number): number[] =>
    (samples.get(task.name) as Samples).nanoseconds.map((each) => each * pages);
  const slopes = (which: 0 | 1): number[][] => {
    const pages = counts(which === 0 ? "huge" : "small");
    const totals = tasks[which].map((task, index) => total(task, pages[index]));
    return totals
      .slice(1)
      .map((times, index) =>
        times.map((time, round) => (time - totals[index][round]) / (pages[index + 1] - pages[index])),
      );
  };
  const asSamples = (nanoseconds: readonly number[]): Samples => ({ nanoseconds, summary: summarise(nanoseconds) });
  const [huge, small] = [slopes(0).map(asSamples), slopes(1).map(asSamples)];
  const last = huge[huge.length - 1];
  const line: Line = {
    name: `${name}: a huge page more`,
    samples: last,
    against: "a small page more",
    // Medians, not round by round: a difference of two times may be near 0 in a round.
    ratio: last.summary.median / small[small.length - 1].summary.median,
    atMost: PAGES_RATIO,
  };
  if (quick) return [line];
  const ratio = last.summary.median / huge[0].summary.median;
  const growth = `one of ${CALL_PAGES.huge[0]} to ${CALL_PAGES.huge[1]}`;
  const name512 = `${name}: one of ${CALL_PAGES.huge[1]} to ${CALL_PAGES.huge[2]} huge pages`;
  return [line, { name: name512, samples: last, against: growth, ratio, atMost: GROWTH_RATIO }];
}

function measure(quick: boolean): Line[] {
  const bytes = 64 * MIB;
  const rounds = quick ? 11 : 51;
  const steps: readonly (() => Line | Line[])[] = [
    () => compare(hugeFault(bytes), plainFill(bytes), "the 2 MiB fill", FAULT_FILLS, rounds),
    () => compareRoundTrip(quick ? 256 * MIB : 1024 * MIB, quick ? 5 : 15),
    ...(["load", "store"] as const).map(
      (kind) => () =>
        compare(accesses("huge", kind, bytes), accesses("small", kind, bytes), "small pages", ACCESS_RATIO, rounds),
    ),
    ...CALLS.map((name) => () => compareCall(name, quick)),
  ];
  const progress = startProgress(steps.length);
  const lines = steps.flatMap((step) => {
    const some = [step()].flat();
    progress.step(some[0].name);
    return some;
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
