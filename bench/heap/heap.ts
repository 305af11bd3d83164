// `npm run bench -- heap`: what a pattern-filled malloc costs by reference page and by memset, what stays resident for each
// share of touched pages, and how fast small chunks are. Each figure is from a child process (heap/child.ts).
import { benchmarkCommand, writeJson } from "../harness/command.ts";
import { describeHost, formatHost } from "../harness/machine.ts";
import { type Progress, startProgress } from "../harness/progress.ts";
import { summarise } from "../harness/statistics.ts";
import { formatBytes, formatNanoseconds, formatSpread, formatTable } from "../harness/table.ts";
import { formatTargets, type Target } from "../harness/target.ts";
import {
  type FootprintFigures,
  type FootprintJob,
  type LargeFigures,
  type LargeJob,
  measure,
  modes,
  type SmallFigures,
} from "./jobs.ts";

const KIB = 2 ** 10;
const MIB = 2 ** 20;
const GIB = 2 ** 30;

/** Above the secondary cache's largest entry, so that each malloc is a fresh mapping. */
const largeSizes = [MIB, 16 * MIB, 256 * MIB, GIB];
const footprintSizes = [64 * KIB, 256 * KIB, MIB, 4 * MIB, 16 * MIB, 64 * MIB, 256 * MIB];
const quickFootprintSizes = [64 * KIB, MIB, 256 * MIB];
const touchedPercents = [0, 1, 10, 50, 100];
const FOOTPRINT_TOTAL = 256 * MIB;
/** A pass over 1 GiB takes long enough that a few are plenty. */
const MEMSET_ROUNDS = 3;

interface Measured<Job, Figures> {
  readonly job: Job;
  readonly figures: Figures;
}

type LargeRow = Measured<LargeJob, LargeFigures>;
type FootprintRow = Measured<FootprintJob, FootprintFigures>;

async function measureAll<Job extends LargeJob | FootprintJob, Figures>(
  jobs: readonly Job[],
  progress: Progress,
): Promise<Measured<Job, Figures>[]> {
  const rows: Measured<Job, Figures>[] = [];
  // Never two together: they would share caches and memory bandwidth.
  for (const job of jobs) {
    progress.step(`${job.what} ${formatBytes(job.chunkBytes)} ${job.mode}`);
    rows.push({ job, figures: (await measure(job)) as Figures });
  }
  return rows;
}

function largeJobs(rounds: number): LargeJob[] {
  return largeSizes.flatMap((chunkBytes) =>
    (["memset", "refpage"] as const).map((mode) => {
      return { what: "large" as const, mode, chunkBytes, rounds: mode === "memset" ? MEMSET_ROUNDS : rounds };
    }),
  );
}

function footprintJobs(sizes: readonly number[]): FootprintJob[] {
  return sizes.flatMap((chunkBytes) =>
    touchedPercents.flatMap((touchedPercent) =>
      modes.map((mode) => {
        return { what: "footprint" as const, mode, chunkBytes, totalBytes: FOOTPRINT_TOTAL, touchedPercent };
      }),
    ),
  );
}

function largeTable(rows: readonly LargeRow[]): string {
  const columns = [
    { heading: "chunk" },
    { heading: "fill", align: "left" as const },
    { heading: "malloc" },
    { heading: "95 % CI" },
    { heading: "free" },
    { heading: "RSS simulated" },
    { heading: "RSS host" },
  ];
  const cells = rows.map(({ job, figures }) => {
    const time = summarise(figures.mallocNanoseconds);
    return [
      formatBytes(job.chunkBytes),
      job.mode,
      formatNanoseconds(time.median),
      formatSpread(time.mean, time.halfWidth),
      formatNanoseconds(summarise(figures.freeNanoseconds).median),
      formatBytes(figures.simulatedRssBytes),
      formatBytes(Math.max(0, figures.hostRssBytes)),
    ];
  });
  return formatTable(columns, cells);
}

function footprintTable(rows: readonly FootprintRow[]): string {
  const columns = [
    { heading: "chunk" },
    { heading: "touched" },
    ...modes.flatMap((mode) => [
      { heading: `${mode}: simulated` },
      { heading: "host" },
      { heading: "malloc" },
      { heading: "touch" },
    ]),
  ];
  const keys = [...new Set(rows.map(({ job }) => `${job.chunkBytes} ${job.touchedPercent}`))];
  const cells = keys.map((key) => {
    const [chunkBytes, touchedPercent] = key.split(" ").map(Number);
    const ofModes = modes.flatMap((mode) => {
      const { figures } = footprintRow(rows, { chunkBytes, touchedPercent, mode });
      return [
        formatBytes(figures.simulatedRssBytes),
        formatBytes(Math.max(0, figures.hostRssBytes)),
        formatNanoseconds(figures.mallocNanoseconds),
        formatNanoseconds(figures.touchNanoseconds),
      ];
    });
    return [formatBytes(chunkBytes), `${touchedPercent} %`, ...ofModes];
  });
  return formatTable(columns, cells);
}

function footprintRow(
  rows: readonly FootprintRow[],
  wanted: Pick<FootprintJob, "chunkBytes" | "touchedPercent" | "mode">,
): FootprintRow {
  const found = rows.find(
    ({ job }) =>
      job.chunkBytes === wanted.chunkBytes && job.touchedPercent === wanted.touchedPercent && job.mode === wanted.mode,
  );
  if (found === undefined) throw new Error(`no footprint of ${wanted.chunkBytes} bytes, ${wanted.mode}`);
  return found;
}

function largeMedian(rows: readonly LargeRow[], mode: string, chunkBytes: number): number {
  const found = rows.find(({ job }) => job.mode === mode && job.chunkBytes === chunkBytes);
  if (found === undefined) throw new Error(`no ${mode} malloc of ${chunkBytes} bytes`);
  return summarise(found.figures.mallocNanoseconds).median;
}

/** A JavaScript object takes at least this many bytes; growth far below it means that none is kept or made to stay. */
const SMALLEST_OBJECT_BYTES = 12;

function listTargets(large: readonly LargeRow[], small: SmallFigures): Target[] {
  const refpage = largeMedian(large, "refpage", GIB);
  const rss = large.filter(({ job }) => job.mode === "refpage").map(({ figures }) => figures.simulatedRssBytes);
  const spread = Math.max(...rss) - Math.min(...rss);
  return [
    { what: "malloc(1 GiB) with a pattern by reference page", measured: refpage / 1000, unit: " µs", atMost: 20 },
    {
      what: "memset's malloc(1 GiB) takes longer",
      measured: largeMedian(large, "memset", GIB) / refpage,
      unit: " times",
      atLeast: 1000,
    },
    {
      what: "malloc(1 GiB) against malloc(1 MiB), both by reference page: time",
      measured: refpage / largeMedian(large, "refpage", MIB),
      unit: " times",
      atMost: 2,
    },
    { what: "the same: difference in resident memory", measured: spread / 4096, unit: " pages", atMost: 1 },
    { what: "malloc and free of 64 bytes", measured: summarise(small.mallocFree).median, unit: " ns", atMost: 200 },
    {
      what: "random replacement with 100,000 live chunks",
      measured: summarise(small.replacement).median / 1000,
      unit: " µs",
      atMost: 2,
    },
    {
      what: "JavaScript heap growth an operation",
      measured: Math.max(0, small.growthBytesPerOperation),
      unit: " bytes",
      atMost: SMALLEST_OBJECT_BYTES / 100,
    },
  ];
}

export async function run(argv: string[]): Promise<void> {
  const command = benchmarkCommand(
    "heap",
    "Large fills by reference page and by memset, resident memory, small chunks.",
  );
  const options = command.parse(argv, { from: "user" }).opts<{ quick?: boolean; json?: string }>();
  const rounds = options.quick ? 20 : 200;
  const sizes = options.quick ? quickFootprintSizes : footprintSizes;
  const large = largeJobs(rounds);
  const footprints = footprintJobs(sizes);
  const progress = startProgress(large.length + footprints.length + 1);
  const largeRows = await measureAll<LargeJob, LargeFigures>(large, progress);
  const footprintRows = await measureAll<FootprintJob, FootprintFigures>(footprints, progress);
  progress.step("small chunks");
  const operations = options.quick ? 200_000 : 1_000_000;
  const small = await measure({ what: "small", rounds: options.quick ? 3 : 9, operations, liveChunks: 100_000 });
  progress.done();
  const mallocFree = summarise(small.mallocFree);
  const replacement = summarise(small.replacement);
  const targets = listTargets(largeRows, small);
  const text = [
    "The heap: what a pattern in fresh memory costs",
    formatHost(describeHost()),
    "",
    "One malloc of a large chunk, with a pattern",
    largeTable(largeRows),
    "",
    `Resident memory of ${formatBytes(FOOTPRINT_TOTAL)} in chunks, some of whose pages are then written once`,
    footprintTable(footprintRows),
    "",
    "Small chunks, no fill",
    `  malloc and free of 64 bytes            ${formatNanoseconds(mallocFree.median)} ${formatSpread(mallocFree.mean, mallocFree.halfWidth)}`,
    `  replacing one of 100,000 live chunks   ${formatNanoseconds(replacement.median)} ${formatSpread(replacement.mean, replacement.halfWidth)}`,
    `  JavaScript heap growth                 ${small.growthBytesPerOperation.toFixed(4)} bytes an operation`,
    "",
    formatTargets(targets),
  ];
  process.stdout.write(`${text.join("\n")}\n`);
  if (options.json !== undefined)
    writeJson(options.json, "heap", { large: largeRows, footprints: footprintRows, small, targets });
}
