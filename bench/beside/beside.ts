// `npm run bench -- beside DIST`: this build and another one in one process, in short turns, the fastest turn of each. On a machine
// that is busy with other things whole runs cannot be compared; the fastest of many turns that alternate can.
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { benchmarkCommand, writeJson } from "../harness/command.ts";
import { describeHost, formatHost } from "../harness/machine.ts";
import { startProgress } from "../harness/progress.ts";
import { keep } from "../harness/sample.ts";
import { formatNanoseconds, formatTable } from "../harness/table.ts";
import type { Batch, Library, operations } from "./operations.ts";

/** Processor time for the engine to compile, and to take turns in, an operation. */
const WARM_UP_MILLISECONDS = 400;
const MILLISECONDS = 600;
const SIDES = ["other", "this"] as const;

type Side = (typeof SIDES)[number];
type Operations = typeof operations;

/** A copy of the operations of its own for each side: the same module under another name. */
async function load(
  side: Side,
  library: string,
): Promise<{ readonly library: Library; readonly operations: Operations }> {
  const own = new URL(`./operations.js?${side}`, import.meta.url);
  const [{ operations: loaded }, { Heap }, wasm] = await Promise.all([
    import(own.href) as Promise<{ operations: Operations }>,
    import(library) as Promise<Pick<Library, "Heap">>,
    import(new URL("wasm/index.js", library).href) as Promise<Library["wasm"]>,
  ]);
  return { library: { Heap, wasm }, operations: loaded };
}

function processorMilliseconds(): number {
  return process.cpuUsage().user / 1000;
}

/** The fastest turn of each side, in nanoseconds an operation. */
function compare(batches: Record<Side, Batch>, share: number): Record<Side, number> {
  const least = { other: Number.POSITIVE_INFINITY, this: Number.POSITIVE_INFINITY };
  for (const side of SIDES) {
    const end = processorMilliseconds() + WARM_UP_MILLISECONDS * share;
    while (processorMilliseconds() < end) keep(Number(batches[side].run()));
  }
  const end = processorMilliseconds() + MILLISECONDS * share;
  for (let turn = 0; processorMilliseconds() < end; turn++) {
    for (const side of turn % 2 === 0 ? SIDES : [...SIDES].reverse()) {
      const { run, count } = batches[side];
      const start = performance.now();
      keep(Number(run()));
      least[side] = Math.min(least[side], ((performance.now() - start) * 1e6) / count);
    }
  }
  return least;
}

export async function run(argv: string[]): Promise<void> {
  const command = benchmarkCommand("beside", "This build and another one, operation by operation, in one process.")
    .argument("<dist>", "the other build's dist folder")
    .option("--only <text>", "the operations whose names contain this", "");
  command.parse(argv, { from: "user" });
  const options = command.opts<{ quick?: boolean; json?: string; only: string }>();
  const entry = resolve(command.args[0], "allocator/index.js");
  if (!existsSync(entry)) command.error(`${command.args[0]} is no build: there is no ${entry}`, { exitCode: 2 });
  const other = await load("other", pathToFileURL(entry).href);
  const own = await load("this", new URL("../../allocator/index.js", import.meta.url).href);
  const names = Object.keys(own.operations).filter((name) => name.includes(options.only));
  if (names.length === 0) command.error(`no operation's name contains "${options.only}"`, { exitCode: 2 });
  const progress = startProgress(names.length);
  const rows = names.map((name) => {
    progress.step(name);
    const batches = { other: other.operations[name](other.library), this: own.operations[name](own.library) };
    return { name, ...compare(batches, options.quick === true ? 0.25 : 1) };
  });
  progress.done();
  const columns = [
    { heading: "operation", align: "left" as const },
    { heading: "other" },
    { heading: "this" },
    { heading: "this to other" },
  ];
  const cells = rows.map((row) => [
    row.name,
    formatNanoseconds(row.other),
    formatNanoseconds(row.this),
    `${(row.this / row.other).toFixed(2)} ×`,
  ]);
  process.stdout.write(
    `This build beside ${command.args[0]}: the fastest of the turns. ${formatHost(describeHost())}\n\n${formatTable(columns, cells)}\n`,
  );
  if (options.json !== undefined) writeJson(options.json, "beside", { rows });
}
