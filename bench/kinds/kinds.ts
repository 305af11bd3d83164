// `npm run bench -- kinds`: a plain heap's round of malloc, store, load and free in a process where other kinds of heap ran before, or run
// in turns with it. Each call of the command is one process: compare a call without options with others.
import { Heap, type HeapOptions } from "../../allocator/index.ts";
import { benchmarkCommand, writeJson } from "../harness/command.ts";
import { describeHost, formatHost } from "../harness/machine.ts";
import { formatNanoseconds } from "../harness/table.ts";

const MEMORY_BYTES = 2 ** 26;
const ROUNDS = 2000;
/** Processor time for each heap that ran before, to compile, and to look at the plain one. */
const BEFORE_MILLISECONDS = 250;
const WARM_UP_MILLISECONDS = 400;
const MILLISECONDS = 800;

const kinds: Readonly<Record<string, HeapOptions>> = {
  plain: {},
  pattern: { fill: "pattern" },
  tagged: { tagging: "sync" },
  page: { uninitialised: "page" },
  byte: { uninitialised: "byte" },
};

function batchOf(kind: string): () => void {
  const heap = new Heap({ seed: 1, memoryBytes: MEMORY_BYTES, ...kinds[kind] });
  const { memory } = heap;
  return () => {
    for (let i = 0; i < ROUNDS; i++) {
      const pointer = heap.malloc(64);
      memory.setUint32(pointer, i);
      if (memory.getUint32(pointer) !== i) throw new Error("a load differs from the store before it");
      heap.free(pointer);
    }
  };
}

/** Runs all batches in turns for some processor time. @returns the fastest turn of the first, in nanoseconds a round */
function fastest(batches: readonly (() => void)[], milliseconds: number): number {
  let least = Number.POSITIVE_INFINITY;
  const end = process.cpuUsage().user + milliseconds * 1000;
  while (process.cpuUsage().user < end) {
    for (const [index, batch] of batches.entries()) {
      const start = performance.now();
      batch();
      if (index === 0) least = Math.min(least, ((performance.now() - start) * 1e6) / ROUNDS);
    }
  }
  return least;
}

export async function run(argv: string[]): Promise<void> {
  const names = Object.keys(kinds).join(", ");
  const command = benchmarkCommand("kinds", "A plain heap's round where other kinds of heap run, too.")
    .option("--after <kinds>", `kinds that ran before, with commas between: ${names}`, "")
    .option("--beside <kinds>", "kinds that run in turns with it", "");
  const options = command
    .parse(argv, { from: "user" })
    .opts<{ quick?: boolean; json?: string; after: string; beside: string }>();
  const [after, beside] = [options.after, options.beside].map((text) => text.split(",").filter((name) => name !== ""));
  const wrong = [...after, ...beside].find((name) => !Object.hasOwn(kinds, name));
  if (wrong !== undefined) command.error(`there is no kind of heap "${wrong}": ${names}`, { exitCode: 2 });
  for (const kind of after) fastest([batchOf(kind)], BEFORE_MILLISECONDS);
  const batches = ["plain", ...beside].map(batchOf);
  fastest(batches, WARM_UP_MILLISECONDS);
  const nanoseconds = fastest(batches, options.quick === true ? MILLISECONDS / 4 : MILLISECONDS);
  const place = [
    after.length > 0 ? `after ${after.join(", ")}` : "",
    beside.length > 0 ? `in turns with ${beside.join(", ")}` : "",
  ].filter((text) => text !== "");
  process.stdout.write(
    `A plain heap's malloc, store, load and free, ${place.join(", ") || "alone"}: ${formatNanoseconds(nanoseconds)}\n${formatHost(describeHost())}\n`,
  );
  if (options.json !== undefined) writeJson(options.json, "kinds", { after, beside, nanoseconds });
}
