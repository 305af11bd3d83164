// `npm run bench -- malloc`: refheap beside every heap that a JavaScript program can have, and beside native ones, on the same sequences
// of calls. The sequences are workloads.ts, the allocators subjects.ts, how rounds are run runner.ts, the picture picture.ts.
import { writeFileSync } from "node:fs";
import { benchmarkCommand, writeJson } from "../harness/command.ts";
import { describeHost, formatHost } from "../harness/machine.ts";
import { startProgress } from "../harness/progress.ts";
import { summarise } from "../harness/statistics.ts";
import { formatSignificant, formatTables } from "../harness/table.ts";
import { formatTargets, type Target } from "../harness/target.ts";
import { growthPicture } from "./picture.ts";
import { type Measured, measure, type Rounds, Workshop } from "./runner.ts";
import { listSubjects, type Subject, whyNot } from "./subjects.ts";
import { makeWorkloads, type Workload } from "./workloads.ts";

const FULL: Rounds = { rounds: 21, warmUpMilliseconds: 500, calls: 40_000, budgetMilliseconds: 15_000 };
const QUICK: Rounds = { rounds: 5, warmUpMilliseconds: 250, calls: 8000, budgetMilliseconds: 5000 };
const WIDTH = 150;

interface Left {
  readonly subject: string;
  readonly workload: string;
  readonly reason: string;
}

/** The time that the fastest tenth of the rounds stayed below: others' work only ever makes a round longer. */
export function lowTime(nanoseconds: readonly number[]): number {
  const sorted = [...nanoseconds].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 10)];
}

function timeOf(rows: readonly Measured[], subject: string, workload: string): number {
  const row = rows.find((each) => each.subject === subject && each.workload === workload);
  return row === undefined ? Number.NaN : lowTime(row.nanoseconds);
}

function timeTable(rows: readonly Measured[], workloads: readonly Workload[], subjects: readonly Subject[]): string {
  const columns = [
    { heading: "ns a call", align: "left" as const },
    ...subjects.map(({ name }) => ({ heading: name })),
  ];
  const cells = workloads.map(({ name }) => [
    name,
    ...subjects.map((subject) => {
      const row = rows.find((each) => each.subject === subject.name && each.workload === name);
      if (row === undefined) return "–";
      const { halfWidth } = summarise(row.nanoseconds);
      return `${formatSignificant(lowTime(row.nanoseconds))} ± ${formatSignificant(halfWidth)}`;
    }),
  ]);
  return formatTables(columns, cells, WIDTH);
}

function memoryTable(rows: readonly Measured[], subjects: readonly Subject[]): string {
  const names = [...new Set(rows.filter((row) => row.residentPerAsked !== null).map(({ workload }) => workload))];
  const columns = [
    { heading: "resident / asked", align: "left" as const },
    ...subjects.map(({ name }) => ({ heading: name })),
  ];
  const cells = names.map((name) => [
    name,
    ...subjects.map((subject) => {
      const row = rows.find((each) => each.subject === subject.name && each.workload === name);
      return row === undefined || row.residentPerAsked === null ? "–" : row.residentPerAsked.toFixed(2);
    }),
  ]);
  return formatTables(columns, cells, WIDTH);
}

/** Ratios of two subjects in one run, and one time. What was not measured is left out. */
function listTargets(rows: readonly Measured[]): Target[] {
  const targets: Target[] = [];
  const add = (workload: string, subject: string, peer: string, atMost: number): void => {
    const measured = timeOf(rows, subject, workload) / timeOf(rows, peer, workload);
    if (!Number.isNaN(measured))
      targets.push({ what: `${workload}, ${subject} to ${peer}`, measured, unit: " times", atMost });
  };
  for (const workload of ["pair 64 B", "pair 1 KiB"]) {
    add(workload, "refheap", "AssemblyScript TLSF", 1);
    add(workload, "refheap", "dlmalloc in wasm", 1);
    add(workload, "refheap", "Scudo", 1);
  }
  for (const workload of ["pair 64 B", "pair 1 KiB", "pair 64 KiB"])
    add(workload, "refheap, pattern", "Scudo, pattern", 1.2);
  for (const live of ["1000", "100000", "1000000"]) {
    const workload = `replace, ${live} live`;
    for (const peer of ["AssemblyScript TLSF", "dlmalloc in wasm"]) add(workload, "refheap", peer, 1);
    if (live !== "1000") add(workload, "refheap", "Scudo", 1.5);
    add(workload, "refheap, tagged", "refheap", 1.5);
    add(workload, "refheap, byte-tracked", "refheap", 1.25);
  }
  for (const peer of ["AssemblyScript TLSF", "dlmalloc in wasm", "@thi.ng/malloc"])
    for (const workload of ["realloc 16 B … 1 MiB", "realloc of two in turns"]) add(workload, "refheap", peer, 1);
  const large = 2 * timeOf(rows, "refheap, pattern", "pair 1 MiB");
  if (!Number.isNaN(large))
    targets.push({ what: "a pair of 1 MiB with a pattern", measured: large / 1000, unit: " µs", atMost: 2 });
  return targets;
}

export async function run(argv: string[]): Promise<void> {
  const command = benchmarkCommand("malloc", "refheap beside other heaps of JavaScript, WebAssembly and native ones.")
    .option("--svg <file>", "also draw the growth from 1e3 to 1e6 live chunks")
    .option("--only <text>", "the workloads whose names contain this");
  const options = command
    .parse(argv, { from: "user" })
    .opts<{ quick?: boolean; json?: string; svg?: string; only?: string }>();
  const rounds = options.quick ? QUICK : FULL;
  const { only = "" } = options;
  const workloads = (await makeWorkloads(options.quick === true)).filter(({ name }) => name.includes(only));
  if (workloads.length === 0) command.error(`no workload's name contains "${only}"`, { exitCode: 2 });
  const subjects = listSubjects();
  const workshop = new Workshop();
  const rows: Measured[] = [];
  const left: Left[] = [];
  const progress = startProgress(workloads.length);
  try {
    for (const workload of workloads) {
      progress.step(workload.name);
      const able = subjects.filter((subject) => {
        const reason = (subject.family === "native" ? workshop.nativeMissing : null) ?? whyNot(subject, workload);
        if (reason !== null) left.push({ subject: subject.name, workload: workload.name, reason });
        return reason === null;
      });
      rows.push(...(await measure(workshop, workload, able, rounds)));
    }
  } finally {
    workshop.remove();
  }
  progress.done();
  const shown = subjects.filter(({ name }) => rows.some(({ subject }) => subject === name));
  const absent = subjects.filter((subject) => !shown.includes(subject));
  const targets = listTargets(rows);
  const text = [
    "Allocators on the same sequences of calls: time a call that a tenth of the rounds stayed below, ± half of the mean's 95 % interval",
    `At most ${rounds.rounds} rounds, all allocators in random order within each. ${formatHost(describeHost())}`,
    "",
    timeTable(rows, workloads, shown),
    "",
    memoryTable(rows, shown),
    "",
    ...absent.map(
      ({ name, missing }) => `Left out: ${name}, ${missing ?? workshop.nativeMissing ?? "it cannot do any workload"}`,
    ),
    "",
    formatTargets(targets),
  ];
  process.stdout.write(`${text.join("\n")}\n`);
  if (options.svg !== undefined) writeFileSync(options.svg, growthPicture(rows));
  if (options.json !== undefined) writeJson(options.json, "malloc", { rounds, rows, left, targets });
}
