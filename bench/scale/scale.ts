// `npm run bench -- scale`: what system calls cost while one thing grows and the rest stays: reserved bytes, areas, touched
// pages. The operations are in scale/tasks.ts; here are the series, the table and the targets.
import { benchmarkCommand, writeJson } from "../harness/command.ts";
import { describeHost, formatHost } from "../harness/machine.ts";
import { startProgress } from "../harness/progress.ts";
import { type BatchTask, sampleInTurn } from "../harness/sample.ts";
import { formatBytes, formatNanoseconds, formatTable } from "../harness/table.ts";
import { formatTargets, type Target } from "../harness/target.ts";
import { areaTasks, mapStoreUnmap, operations } from "./tasks.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;

/** Medians of each operation, in nanoseconds, at growing sizes. */
interface Series {
  readonly title: string;
  readonly sizes: readonly number[];
  readonly labels: readonly string[];
  readonly medians: ReadonlyMap<string, readonly number[]>;
}

interface SeriesPlan {
  readonly title: string;
  readonly sizes: readonly number[];
  readonly label: (size: number) => string;
  readonly tasks: (size: number) => BatchTask[];
}

/** Neighbouring pages stored to while the reserve or the areas grow. */
const FEW_PAGES = 256;

const plans = {
  mapping: {
    title: "A mapping of growing length, one store",
    sizes: [4 * MIB, 256 * MIB, 16 * GIB],
    label: formatBytes,
    tasks: (lengthBytes) => [mapStoreUnmap(lengthBytes)],
  },
  reserve: {
    title: `Growing reserve, ${FEW_PAGES} touched pages`,
    sizes: [16 * MIB, 256 * MIB, 4 * GIB, 64 * GIB],
    label: formatBytes,
    tasks: (reserveBytes) => operations({ reserveBytes, touchedPages: FEW_PAGES, areas: 0 }),
  },
  touched: {
    title: "Growing number of touched pages, 4 GiB reserved",
    sizes: [64, 1024, 16384, 65536],
    label: (pages) => `${pages} pages`,
    tasks: (touchedPages) => operations({ reserveBytes: 4 * GIB, touchedPages, areas: 0 }),
  },
  areas: {
    title: `Growing number of areas, ${FEW_PAGES} touched pages in one of them`,
    sizes: [10, 1000, 60_000],
    label: (areas) => `${areas} areas`,
    tasks: (areas) => operations({ reserveBytes: 16 * MIB, touchedPages: FEW_PAGES, areas }),
  },
  finding: {
    title: "Growing number of areas, none touched",
    sizes: [10, 100, 1000, 10_000, 60_000],
    label: (areas) => `${areas} areas`,
    tasks: areaTasks,
  },
} satisfies Record<string, SeriesPlan>;

interface Effort {
  readonly rounds: number;
  /** For all tasks of one size together. */
  readonly budgetMilliseconds: number;
}

const thorough: Effort = { rounds: 101, budgetMilliseconds: 10_000 };
const quick: Effort = { rounds: 31, budgetMilliseconds: 700 };
const WARM_UP_MILLISECONDS = 300;

/** The tasks of one size take their turns together and are dropped before the next size: each holds a machine. */
function measure(plan: SeriesPlan, { rounds, budgetMilliseconds }: Effort, step: (what: string) => void): Series {
  const medians = new Map<string, number[]>();
  // Once without keeping the figures: the first size must not pay for the compiler.
  sampleInTurn(plan.tasks(plan.sizes[0]), { rounds: 1, warmUpMilliseconds: WARM_UP_MILLISECONDS });
  for (const size of plan.sizes) {
    step(`${plan.title}: ${plan.label(size)}`);
    for (const [name, { summary }] of sampleInTurn(plan.tasks(size), { rounds, budgetMilliseconds })) {
      medians.set(name, [...(medians.get(name) ?? []), summary.median]);
    }
  }
  return { title: plan.title, sizes: plan.sizes, labels: plan.sizes.map(plan.label), medians };
}

function formatSeries({ title, labels, medians }: Series): string {
  const columns = [
    { heading: "operation", align: "left" as const },
    ...labels.map((heading) => ({ heading })),
    { heading: "last to first" },
  ];
  const rows = [...medians].map(([name, values]) => [
    name,
    ...values.map(formatNanoseconds),
    `${(values[values.length - 1] / values[0]).toFixed(2)} ×`,
  ]);
  return `${title}\n${formatTable(columns, rows)}`;
}

/** The largest of a series over its smallest. */
function spread(values: readonly number[]): number {
  return Math.max(...values) / Math.min(...values);
}

type Measured = Record<keyof typeof plans, Series>;

/** How much costlier an operation may be at the other end of a series that must not matter. */
const SAME_COST = 1.5;

function listTargets({ mapping, reserve, touched, areas, finding }: Measured): Target[] {
  const values = (series: Series, name: string) => series.medians.get(name) ?? [];
  const targets: Target[] = [
    {
      what: "map + store + unmap at 4 MiB, 256 MiB and 16 GiB: the dearest over the cheapest",
      measured: spread(values(mapping, "map + store + unmap")),
      unit: " times",
      atMost: SAME_COST,
    },
  ];
  for (const [name, medians] of reserve.medians) {
    targets.push({
      what: `${name} at 16 MiB to 64 GiB reserved: the dearest over the cheapest`,
      measured: spread(medians),
      unit: " times",
      atMost: SAME_COST,
    });
  }
  // Linear growth costs the same a page (or area) at both ends; the bound leaves room for what a larger set misses in caches.
  targets.push(...linear(touched, "page"), ...linear(areas, "area"));
  const finds = values(finding, "find of an area");
  targets.push({
    what: "find of an area among 60000 over among 10 (logarithms: 4.8; linear: 6000)",
    measured: finds[finds.length - 1] / finds[0],
    unit: " times",
    atMost: 15,
  });
  return targets;
}

const LINEAR_ROOM = 3;

function linear({ sizes, medians }: Series, unit: string): Target[] {
  const growth = sizes[sizes.length - 1] / sizes[0];
  return [...medians].map(([name, values]) => ({
    what: `${name} at ${sizes[sizes.length - 1]} ${unit}s over ${sizes[0]}: the cost of one grows by`,
    measured: values[values.length - 1] / values[0] / growth,
    unit: " times",
    atMost: LINEAR_ROOM,
  }));
}

export async function run(argv: string[]): Promise<void> {
  const command = benchmarkCommand("scale", "System calls at growing reserve, areas and touched pages.");
  const options = command.parse(argv, { from: "user" }).opts<{ quick?: boolean; json?: string }>();
  const effort = options.quick ? quick : thorough;
  const names = Object.keys(plans) as (keyof typeof plans)[];
  const progress = startProgress(names.reduce((steps, name) => steps + plans[name].sizes.length, 0));
  const measured = Object.fromEntries(
    names.map((name) => [name, measure(plans[name], effort, (what) => progress.step(what))]),
  ) as Measured;
  progress.done();
  const targets = listTargets(measured);
  const text = [
    "System calls of the simulated kernel while one thing grows",
    `Medians of up to ${effort.rounds} rounds. ${formatHost(describeHost())}`,
    "",
    ...names.map((name) => `${formatSeries(measured[name])}\n`),
    formatTargets(targets),
  ];
  process.stdout.write(`${text.join("\n")}\n`);
  if (options.json !== undefined) {
    const series = names.map((name) => ({ ...measured[name], medians: Object.fromEntries(measured[name].medians) }));
    writeJson(options.json, "scale", { effort, series, targets });
  }
}
