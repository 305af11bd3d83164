// `npm run bench -- replay`: how fast traces replay, whether memory stays bounded, and whether results repeat to the bit.
// The traces of real programs in bench/data are read as they are; the long one is made here.
import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { Readable } from "node:stream";
import { EventBatch, FREE, MALLOC } from "../../allocator/record/events.ts";
import { benchmarkCommand, writeJson } from "../harness/command.ts";
import { hostRssKib } from "../harness/host-rss.ts";
import { describeHost, formatHost } from "../harness/machine.ts";
import { startProgress } from "../harness/progress.ts";
import { summarise } from "../harness/statistics.ts";
import { formatBytes, formatSpread, formatTable } from "../harness/table.ts";
import { formatTargets, type Target } from "../harness/target.ts";
import { createHeapSubject } from "../lab/replay/heap-subject.ts";
import { DEFAULT_POLICIES, parsePolicy } from "../lab/replay/policy.ts";
import { SeededRandom } from "../lab/replay/random.ts";
import { replayTrace, runReplay } from "../lab/replay/run-replay.ts";
import { runSweep, sweepTasks } from "../lab/replay/sweep.ts";
import { openTraceStream } from "../lab/traces/open.ts";
import { encodeTrace } from "../lab/traces/write.ts";

const DATA = new URL("../../../bench/data/", import.meta.url);
const LIVE_BLOCKS = 20_000;
const MEMORY_BYTES = 2 ** 30;
/** Memory may grow by this over the last seven eighths of a trace. */
const GROWTH_LIMIT_BYTES = 32 * 2 ** 20;

const LONG = { policy: parsePolicy("none"), seed: 1, touches: "none", memoryBytes: MEMORY_BYTES };

interface Options {
  readonly quick?: boolean;
  readonly json?: string;
}

export async function run(argv: string[]): Promise<void> {
  const command = benchmarkCommand("replay", "Replays traces: speed, memory, and results that repeat.");
  const options = command.parse(argv, { from: "user" }).opts<Options>();
  const rounds = options.quick ? 3 : 9;
  const events = options.quick ? 200_000 : 1_000_000;
  const progress = startProgress(rounds + 4);
  process.stdout.write(`${formatHost(describeHost())}\n\n`);

  const encoded: Uint8Array[] = [];
  for await (const chunk of encodeTrace(longTrace(events), "binary")) encoded.push(chunk);
  const rates: number[] = [];
  const processorRates: number[] = [];
  for (let round = 0; round < rounds; round++) {
    progress.step("a long trace");
    const { wall, processor } = await operationsPerSecond(encoded);
    rates.push(wall);
    processorRates.push(processor);
  }
  const rate = summarise(rates);
  const processorRate = summarise(processorRates);
  progress.step("memory on the way through a longer one");
  const growth = await growthOver(8 * events);
  progress.step("the same twice");
  const isSame = await repeats();
  progress.step("the sweep");
  const sweepSeconds = await timeSweep();
  progress.done();

  const rows = [
    [
      "replay without touches",
      `${(rate.median / 1e6).toFixed(2)} M operations/s`,
      formatSpread(rate.mean, rate.halfWidth),
    ],
    [
      "the same by the process's own time",
      `${(processorRate.median / 1e6).toFixed(2)} M operations/s`,
      formatSpread(processorRate.mean, processorRate.halfWidth),
    ],
    [
      `host memory, from operation ${events} to ${8 * events}`,
      `${growth < 0 ? "−" : "+"}${formatBytes(Math.abs(growth))}`,
      "",
    ],
    [
      `sweep of ${DEFAULT_POLICIES.length} policies, ${traces().length} traces, ${availableParallelism()} threads`,
      `${sweepSeconds.toFixed(2)} s`,
      "",
    ],
  ];
  const columns = [{ heading: "what", align: "left" as const }, { heading: "figure" }, { heading: "spread" }];
  const targets: Target[] = [
    { what: "operations without touches", measured: rate.median / 1e6, unit: " M/s", atLeast: 10 },
    {
      what: "growth of host memory with the trace",
      measured: growth / 2 ** 20,
      unit: " MiB",
      atMost: GROWTH_LIMIT_BYTES / 2 ** 20,
    },
    { what: "results that differ when repeated", measured: isSame ? 0 : 1, unit: "", atMost: 0 },
    { what: "the sweep", measured: sweepSeconds, unit: " s", atMost: 30 },
  ];
  process.stdout.write(`${formatTable(columns, rows)}\n\n${formatTargets(targets)}\n`);
  if (options.json !== undefined)
    writeJson(options.json, "replay", { rates, processorRates, growth, isSame, sweepSeconds, targets });
}

/** The traces that come with the benchmarks: three real programs under glibc's mtrace, converted. */
function traces(): string[] {
  return readdirSync(DATA)
    .filter((name) => name.endsWith(".rht.gz"))
    .map((name) => new URL(name, DATA).pathname);
}

/** Reads and replays a trace that is encoded already: decoding is in the time, making it is not. */
async function operationsPerSecond(encoded: readonly Uint8Array[]): Promise<{ wall: number; processor: number }> {
  const trace = await openTraceStream(Readable.from(encoded), "long");
  const subject = createHeapSubject(LONG);
  const start = performance.now();
  const startUsage = process.cpuUsage();
  const { replayed } = await replayTrace(trace, LONG, () => subject);
  const { user, system } = process.cpuUsage(startUsage);
  const milliseconds = performance.now() - start;
  return { wall: (1e3 * replayed.operations) / milliseconds, processor: (1e6 * replayed.operations) / (user + system) };
}

/** Host memory from an eighth of a trace to its end, in bytes. */
async function growthOver(events: number): Promise<number> {
  const rss: number[] = [];
  const watched = watch(longTrace(events), events, () => rss.push(hostRssKib() * 1024));
  await replayTrace(await openTraceStream(encodeTrace(watched, "binary"), "long"), LONG);
  return rss[rss.length - 1] - rss[0];
}

/** Calls back after an eighth of the events, and at the end. */
async function* watch(
  batches: AsyncIterable<EventBatch>,
  events: number,
  look: () => void,
): AsyncGenerator<EventBatch> {
  let seen = 0;
  for await (const batch of batches) {
    if (seen < events / 8 && seen + batch.count >= events / 8) look();
    seen += batch.count;
    yield batch;
  }
  look();
}

/** Mallocs and frees of small blocks and some large ones, at most 20,000 alive; the same each time. */
async function* longTrace(events: number): AsyncGenerator<EventBatch> {
  const random = new SeededRandom(1);
  const alive = new Uint8Array(LIVE_BLOCKS);
  const batch = new EventBatch();
  for (let event = 0; event < events; event++) {
    const id = random.next() % LIVE_BLOCKS;
    if (alive[id] === 1) batch.push(FREE, 0, id, 0, 0);
    else batch.push(MALLOC, 0, id, sizeFor(random.next()), 0);
    alive[id] ^= 1;
    if (batch.isFull || event === events - 1) {
      yield batch;
      batch.clear();
    }
  }
}

/** Sizes as programs have them: most below 100 bytes, one in 4096 large. */
function sizeFor(number: number): number {
  if (number % 4096 === 0) return 100_000 + ((number >>> 12) % 100_000);
  return 8 + ((number >>> 12) % (number % 16 === 0 ? 2000 : 100));
}

/** Whether two replays with touches by chance give the same bits. */
async function repeats(): Promise<boolean> {
  const hashes: string[] = [];
  for (let time = 0; time < 2; time++) {
    const result = await runReplay(traces()[0], {
      policy: parsePolicy("pattern-refpage"),
      seed: 7,
      touches: "fraction=0.3",
    });
    hashes.push(createHash("sha256").update(JSON.stringify(result)).digest("hex"));
  }
  return hashes[0] === hashes[1];
}

async function timeSweep(): Promise<number> {
  const start = performance.now();
  const swept = traces().map((trace) => ({ trace, touches: [undefined] }));
  await runSweep(sweepTasks(swept, DEFAULT_POLICIES.map(parsePolicy), [1]));
  return (performance.now() - start) / 1000;
}
