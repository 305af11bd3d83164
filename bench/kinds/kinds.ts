// `npm run bench -- kinds`: a round of malloc, store, load and free in heaps of each kind, alone in a process, in one where a heap of
// another kind ran before, and in turns with such a one. Each figure is from child processes (child.ts), the fastest of several.
import { benchmarkCommand, writeJson } from "../harness/command.ts";
import { describeHost, formatHost } from "../harness/machine.ts";
import { startProgress } from "../harness/progress.ts";
import { formatNanoseconds, formatTable } from "../harness/table.ts";
import { formatTargets, type Target } from "../harness/target.ts";
import { type Job, KINDS, type Kind, measure } from "./jobs.ts";

/** A neighbour may make a heap slower by this. */
const MOST = 1.1;
const ALL = Object.keys(KINDS) as Kind[];
const QUICK: readonly Kind[] = ["plain", "tagged", "byte"];

type Company = "after" | "beside";

interface Row extends Pick<Job, "kind" | Company> {
  readonly nanoseconds: number;
  /** Against the kind alone. */
  readonly ratio: number;
}

function companyOf(kinds: readonly Kind[], kind: Kind): Pick<Job, Company>[] {
  const others = kinds.filter((other) => other !== kind);
  return [
    // What the engine makes of code for one heap is more than what it makes of the same code for any heap: no other kind is to blame.
    { after: [kind], beside: [] },
    ...others.map((other) => ({ after: [other], beside: [] })),
    ...others.map((other) => ({ after: [], beside: [other] })),
    // As a test suite that has all of them.
    ...(kind === "plain" ? [{ after: others, beside: [] }] : []),
  ];
}

export async function run(argv: string[]): Promise<void> {
  const command = benchmarkCommand("kinds", "A heap's round where heaps of other kinds run, too.");
  const { quick, json } = command.parse(argv, { from: "user" }).opts<{ quick?: boolean; json?: string }>();
  const kinds = quick === true ? QUICK : ALL;
  const [milliseconds, times] = quick === true ? [200, 2] : [500, 3];
  const jobs = kinds.flatMap((kind) => [
    { kind, after: [], beside: [], milliseconds },
    ...companyOf(kinds, kind).map((company) => ({ kind, ...company, milliseconds })),
  ]);
  const progress = startProgress(jobs.length * times);
  const least = jobs.map(() => Number.POSITIVE_INFINITY);
  // Turn by turn over all jobs, so that a machine that is slow for a while is so for all of them.
  for (let turn = 0; turn < times; turn++) {
    for (const [index, job] of jobs.entries()) {
      progress.step(nameOf(job));
      least[index] = Math.min(least[index], await measure(job));
    }
  }
  progress.done();
  const alone = new Map<Kind, number>();
  const rows: Row[] = jobs.map(({ kind, after, beside }, index) => {
    const nanoseconds = least[index];
    if (after.length + beside.length === 0) alone.set(kind, nanoseconds);
    return { kind, after, beside, nanoseconds, ratio: nanoseconds / (alone.get(kind) ?? nanoseconds) };
  });
  print(rows);
  if (json !== undefined) writeJson(json, "kinds", { rows });
}

function nameOf({ kind, after, beside }: Pick<Job, "kind" | Company>): string {
  if (after.length > 0) return `${kind} after ${after.join(", ")}`;
  return beside.length > 0 ? `${kind} in turns with ${beside.join(", ")}` : `${kind} alone`;
}

function print(rows: readonly Row[]): void {
  const columns = [
    { heading: "heap", align: "left" as const },
    { heading: "a round" },
    { heading: "against it alone" },
  ];
  const cells = rows.map((row) => [nameOf(row), formatNanoseconds(row.nanoseconds), `${row.ratio.toFixed(2)} ×`]);
  const targets: Target[] = (["after", "beside"] as const).map((company) => {
    const isOther = (row: Row): boolean => row[company].length === 1 && row[company][0] !== row.kind;
    const worst = rows.filter(isOther).sort((a, b) => b.ratio - a.ratio)[0];
    const what = `a heap ${company === "after" ? "after one" : "in turns with one"} of another kind, at worst (${nameOf(worst)})`;
    return { what, measured: worst.ratio, unit: " times", atMost: MOST };
  });
  process.stdout.write(
    `A round of malloc, store, load and free, fastest turns\n${formatHost(describeHost())}\n\n${formatTable(columns, cells)}\n\n${formatTargets(targets)}\n`,
  );
}
