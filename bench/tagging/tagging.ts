// `npm run bench -- tagging`: what memory tagging catches, large chunks included, and what it costs. Beside each figure what a
// heap can do without reference pages. Costs are from child processes (tagging/child.ts).
import { benchmarkCommand, positiveInteger, writeJson } from "../harness/command.ts";
import { describeHost, formatHost } from "../harness/machine.ts";
import { type Progress, startProgress } from "../harness/progress.ts";
import { summarise } from "../harness/statistics.ts";
import { formatBytes, formatNanoseconds, formatSignificant, formatTable } from "../harness/table.ts";
import { formatTargets, type Target } from "../harness/target.ts";
import { type ChunkKind, type DetectionRow, detect, errorKinds, type HeapKind } from "./detection.ts";
import { type AccessJob, type Figures, type Job, type LargeMode, largeModes, measure, workloadModes } from "./jobs.ts";

const TRIALS = 10_000;
const QUICK_TRIALS = 500;
const GIB = 2 ** 30;
/** A pass over every granule of 1 GiB takes long enough that few rounds are plenty. */
const PASS_ROUNDS = 2;
const LARGE_ROUNDS = 20_000;
/** Children of each kind, in turn, so that all meet the same machine. */
const TURNS = 3;
const FOURTEEN_FIFTEENTHS = (100 * 14) / 15;

const chunkKinds: readonly ChunkKind[] = ["small", "large"];
const heapKinds: readonly HeapKind[] = ["refpage", "today"];

function detectAll(trials: number, progress: Progress): DetectionRow[] {
  const rows: DetectionRow[] = [];
  for (const error of errorKinds) {
    for (const chunk of chunkKinds) {
      for (const heap of heapKinds) {
        progress.step(`${error.what}, ${chunk}, ${heap}`);
        rows.push(detect(error, chunk, heap, trials));
      }
    }
  }
  return rows;
}

function percent(share: number): string {
  return (100 * share).toFixed(2);
}

function detectionTable(rows: readonly DetectionRow[]): string {
  const columns = [
    { heading: "error", align: "left" as const },
    ...chunkKinds.flatMap((chunk) =>
      heapKinds.flatMap((heap) => [{ heading: `${chunk}: ${heap} %` }, { heading: "95 % CI" }]),
    ),
  ];
  const cells = errorKinds.map(({ what }) => {
    const ofError = rows.filter((row) => row.what === what);
    return [
      what,
      ...ofError.flatMap((row) => [percent(row.caught / row.trials), `${percent(row.low)}–${percent(row.high)}`]),
    ];
  });
  return formatTable(columns, cells);
}

/** One job several times over in turn with others, as one set of samples: the best round of each child. */
async function measureInTurn(jobs: readonly Job[], progress: Progress): Promise<Figures[]> {
  const gathered = jobs.map(() => ({ nanoseconds: {} as Record<string, number[]>, rssBytes: 0 }));
  for (let turn = 0; turn < TURNS; turn++) {
    for (const [index, job] of jobs.entries()) {
      progress.step(`${job.what} ${job.mode}`);
      const { nanoseconds, rssBytes } = await measure(job);
      for (const [name, samples] of Object.entries(nanoseconds)) {
        gathered[index].nanoseconds[name] ??= [];
        gathered[index].nanoseconds[name].push(Math.min(...samples));
      }
      gathered[index].rssBytes = rssBytes;
    }
  }
  return gathered;
}

/** The median over the turns of the ratio of two jobs' figures. */
function ratio(a: readonly number[], b: readonly number[]): number {
  return summarise(a.map((nanoseconds, turn) => nanoseconds / b[turn])).median;
}

function workloadTable(figures: readonly Figures[]): string {
  const off = figures[workloadModes.indexOf("off")].nanoseconds.operation;
  const rows = workloadModes.map((mode, index) => {
    const samples = figures[index].nanoseconds.operation;
    return [
      mode,
      formatNanoseconds(summarise(samples).median),
      formatSignificant(ratio(samples, off)),
      formatBytes(figures[index].rssBytes),
    ];
  });
  const columns = [
    { heading: "tagging", align: "left" as const },
    { heading: "operation" },
    { heading: "times off" },
    { heading: "RSS" },
  ];
  return formatTable(columns, rows);
}

function accessTable([off, sync]: readonly Figures[]): string {
  const rows = ["load", "store"].map((name) => [
    name,
    formatNanoseconds(summarise(off.nanoseconds[name]).median),
    formatNanoseconds(summarise(sync.nanoseconds[name]).median),
    formatSignificant(ratio(sync.nanoseconds[name], off.nanoseconds[name])),
  ]);
  return formatTable(
    [{ heading: "access", align: "left" }, { heading: "off" }, { heading: "sync" }, { heading: "times off" }],
    rows,
  );
}

const largeNames: Readonly<Record<LargeMode, string>> = {
  untagged: "untagged",
  refpage: "tagged, by reference page",
  stg: "tagged, STG over the whole",
  gva: "tagged, DC GVA over the whole",
};

interface LargeRow {
  readonly mode: LargeMode;
  /** One entry a turn. */
  readonly nanoseconds: readonly number[];
  readonly rssBytes: number;
}

/** The two that are compared are measured in turn; each child's figure is the median of its rounds. */
async function measureLargeModes(progress: Progress): Promise<LargeRow[]> {
  const rows = new Map<LargeMode, { nanoseconds: number[]; rssBytes: number }>();
  for (let turn = 0; turn < TURNS; turn++) {
    for (const mode of largeModes) {
      const isPass = mode === "stg" || mode === "gva";
      if (isPass && turn > 0) continue;
      progress.step(`malloc(1 GiB), ${mode}`);
      const rounds = isPass ? PASS_ROUNDS : LARGE_ROUNDS;
      const { nanoseconds, rssBytes } = await measure({ what: "large", mode, chunkBytes: GIB, rounds });
      const samples = nanoseconds.malloc;
      const row = rows.get(mode) ?? { nanoseconds: [], rssBytes };
      row.nanoseconds.push(isPass ? Math.min(...samples) : summarise(samples).median);
      rows.set(mode, row);
    }
  }
  return largeModes.map((mode) => ({ mode, ...(rows.get(mode) ?? { nanoseconds: [], rssBytes: 0 }) }));
}

function largeTable(rows: readonly LargeRow[]): string {
  const [untagged] = rows;
  const columns = [
    { heading: "malloc(1 GiB)", align: "left" as const },
    { heading: "time" },
    { heading: "times untagged" },
    { heading: "RSS" },
  ];
  const cells = rows.map(({ mode, nanoseconds, rssBytes }) => [
    largeNames[mode],
    formatNanoseconds(summarise(nanoseconds).median),
    formatSignificant(
      nanoseconds.length === untagged.nanoseconds.length
        ? ratio(nanoseconds, untagged.nanoseconds)
        : summarise(nanoseconds).median / summarise(untagged.nanoseconds).median,
    ),
    formatBytes(rssBytes),
  ]);
  return formatTable(columns, cells);
}

function detectionTargets(rows: readonly DetectionRow[]): Target[] {
  return rows
    .filter(({ heap }) => heap === "refpage")
    .map(({ what, chunk, isCertain, caught, trials, high }) => {
      const measured = isCertain ? (100 * caught) / trials : 100 * high;
      const bound = isCertain ? 100 : FOURTEEN_FIFTEENTHS;
      const name = isCertain ? `${what}, ${chunk}: caught` : `${what}, ${chunk}: upper end of the interval`;
      return { what: name, measured, unit: " %", atLeast: Math.round(bound * 100) / 100 };
    });
}

function costTargets(
  workload: readonly Figures[],
  [off, sync]: readonly Figures[],
  large: readonly LargeRow[],
): Target[] {
  const operation = (mode: (typeof workloadModes)[number]): readonly number[] =>
    workload[workloadModes.indexOf(mode)].nanoseconds.operation;
  const [untagged, refpage] = large;
  return [
    {
      what: "heap workload, tagging off against no tagging",
      measured: ratio(operation("off"), operation("absent")),
      unit: " times",
      atMost: 1.05,
    },
    {
      what: "heap workload, sync against off",
      measured: ratio(operation("sync"), operation("off")),
      unit: " times",
      atMost: 1.8,
    },
    {
      what: "load, sync against off",
      measured: ratio(sync.nanoseconds.load, off.nanoseconds.load),
      unit: " times",
      atMost: 2,
    },
    {
      what: "store, sync against off",
      measured: ratio(sync.nanoseconds.store, off.nanoseconds.store),
      unit: " times",
      atMost: 2,
    },
    {
      what: "malloc(1 GiB), tagged against untagged: time",
      measured: ratio(refpage.nanoseconds, untagged.nanoseconds),
      unit: " times",
      atMost: 1.2,
    },
    {
      what: "the same: difference in resident memory",
      measured: Math.abs(refpage.rssBytes - untagged.rssBytes),
      unit: " bytes",
      atMost: 0,
    },
  ];
}

export async function run(argv: string[]): Promise<void> {
  const command = benchmarkCommand(
    "tagging",
    "What memory tagging catches and what it costs, large chunks included.",
  ).option("--trials <count>", "trials of each memory error", positiveInteger);
  const options = command.parse(argv, { from: "user" }).opts<{ quick?: boolean; json?: string; trials?: number }>();
  const trials = options.trials ?? (options.quick ? QUICK_TRIALS : TRIALS);
  const operations = options.quick ? 100_000 : 400_000;
  const accesses = options.quick ? 1_000_000 : 5_000_000;
  const steps =
    errorKinds.length * chunkKinds.length * heapKinds.length +
    TURNS * (workloadModes.length + 2 + 2) +
    largeModes.length -
    2;
  const progress = startProgress(steps);
  const detection = detectAll(trials, progress);
  const workload = await measureInTurn(
    workloadModes.map((mode) => ({ what: "workload" as const, mode, operations })),
    progress,
  );
  const accessJobs: AccessJob[] = (["off", "sync"] as const).map((mode) => ({
    what: "access",
    mode,
    operations: accesses,
  }));
  const access = await measureInTurn(accessJobs, progress);
  const large = await measureLargeModes(progress);
  progress.done();
  const targets = [...detectionTargets(detection), ...costTargets(workload, access, large)];
  const text = [
    "Memory tagging: what it catches and what it costs",
    formatHost(describeHost()),
    "",
    `Caught of ${trials} trials each, mode sync. "refpage": large chunks tagged by reference pages; "today": no reference pages,`,
    "so large chunks have guard pages and tagged headers, and are out of reach while cached, as in Scudo",
    detectionTable(detection),
    "",
    "Replacing one of 2,000 live chunks of 16 to 767 bytes: free, malloc, memset of the whole, 4 stores, 5 loads",
    workloadTable(workload),
    "",
    "One access of 32 bits at a random place of 4 MiB",
    accessTable(access),
    "",
    largeTable(large),
    "",
    formatTargets(targets),
  ];
  process.stdout.write(`${text.join("\n")}\n`);
  if (options.json !== undefined)
    writeJson(options.json, "tagging", { trials, detection, workload, access, large, targets });
}
