// `npm run bench -- flame`: where the time of one operation goes, by the engine's own profiler, as a table and as a flame graph.
// Shares only: a profile says nothing of nanoseconds. The tree is profile.ts, the picture picture.ts.
import { writeFileSync } from "node:fs";
import { Session } from "node:inspector/promises";
import { Heap } from "../../allocator/index.ts";
import { benchmarkCommand, positiveInteger, writeJson } from "../harness/command.ts";
import { describeHost, formatHost } from "../harness/machine.ts";
import { keep } from "../harness/sample.ts";
import { formatTable } from "../harness/table.ts";
import { flameGraph } from "./picture.ts";
import { bySelfTime, callTree } from "./profile.ts";

const KIB = 1024;
const MIB = 2 ** 20;
const INTERVAL_MICROSECONDS = 100;
const ROWS = 20;

/** Each is called again and again; its name is what the flame graph stands on. */
const operations: Readonly<Record<string, () => () => void>> = {
  pair: () => {
    const heap = new Heap({ seed: 1 });
    return function pair() {
      for (let i = 0; i < 1000; i++) heap.free(heap.malloc(64));
    };
  },
  "pair-pattern": () => {
    const heap = new Heap({ seed: 1, fill: "pattern" });
    return function pair() {
      for (let i = 0; i < 1000; i++) heap.free(heap.malloc(KIB));
    };
  },
  "pair-large": () => {
    const heap = new Heap({ seed: 1, fill: "pattern" });
    return function pair() {
      for (let i = 0; i < 100; i++) heap.free(heap.malloc(MIB));
    };
  },
  realloc: () => {
    const heap = new Heap({ seed: 1 });
    return function realloc() {
      let pointer = heap.malloc(16);
      for (let bytes = 32; bytes <= MIB; bytes *= 2) pointer = heap.realloc(pointer, bytes);
      heap.free(pointer);
    };
  },
  load: () => {
    const { memory, ...heap } = withBuffer();
    return function load() {
      let sum = 0;
      for (let at = 0; at < MIB; at += 4) sum = (sum + memory.getUint32(heap.pointer + at)) | 0;
      keep(sum);
    };
  },
  fault: () => {
    const heap = new Heap({ seed: 1 });
    return function fault() {
      const pointer = heap.malloc(MIB);
      for (let at = 0; at < MIB; at += 4096) heap.memory.setUint8(pointer + at, 1);
      heap.free(pointer);
    };
  },
};

function withBuffer(): { readonly memory: Heap["memory"]; readonly pointer: number } {
  const heap = new Heap({ seed: 1 });
  const pointer = heap.malloc(MIB);
  heap.memory.fill(pointer, 1, MIB);
  return { memory: heap.memory, pointer };
}

export async function run(argv: string[]): Promise<void> {
  const command = benchmarkCommand("flame", "Where the time of an operation goes.")
    .option("--of <operation>", `one of ${Object.keys(operations).join(", ")}`, "pair")
    .option("--seconds <n>", "how long to look; half as much goes before it", positiveInteger, 4)
    .option("--svg <file>", "draw the flame graph");
  const options = command
    .parse(argv, { from: "user" })
    .opts<{ quick?: boolean; json?: string; of: string; seconds: number; svg?: string }>();
  if (!Object.hasOwn(operations, options.of))
    command.error(`there is no operation "${options.of}": ${Object.keys(operations).join(", ")}`, { exitCode: 2 });
  const seconds = options.quick === true ? 1 : options.seconds;
  const operation = operations[options.of]();
  const session = new Session();
  session.connect();
  await session.post("Profiler.enable");
  await session.post("Profiler.setSamplingInterval", { interval: INTERVAL_MICROSECONDS });
  await session.post("Profiler.start");
  repeat(operation, seconds / 2);
  const warm = process.hrtime.bigint();
  repeat(operation, seconds);
  const { profile } = await session.post("Profiler.stop");
  session.disconnect();
  // The profile's clock began elsewhere, and ended just now.
  const from = profile.endTime - Number(process.hrtime.bigint() - warm) / 1000;
  const tree = callTree(profile, operation.name, from);
  const rows = bySelfTime(tree).slice(0, ROWS);
  const columns = [
    { heading: "of its time" },
    { heading: "function", align: "left" as const },
    { heading: "file", align: "left" as const },
  ];
  const cells = rows.map(({ name, file, self }) => [`${((100 * self) / tree.total).toFixed(1)} %`, name, file]);
  process.stdout.write(
    `Where the time of "${options.of}" goes: ${seconds} s of samples. ${formatHost(describeHost())}\n\n${formatTable(columns, cells)}\n`,
  );
  if (options.svg !== undefined) writeFileSync(options.svg, flameGraph(tree, `${options.of}, npm run bench -- flame`));
  if (options.json !== undefined) writeJson(options.json, "flame", { of: options.of, tree });
}

function repeat(operation: () => void, seconds: number): void {
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) operation();
}
