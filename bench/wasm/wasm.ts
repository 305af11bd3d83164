// `npm run bench -- wasm`: what a module costs on the heap, under the checks and with undefined bits followed, against the same module
// unmodified in the same run. The programs are programs.c, built once (programs.wasm); rounds are interleaved.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Instance, Module, type ModuleOptions } from "../../allocator/wasm/index.ts";
import { benchmarkCommand, writeJson } from "../harness/command.ts";
import { describeHost, formatHost } from "../harness/machine.ts";
import { startProgress } from "../harness/progress.ts";
import { keep, ratioOf, type Samples, sampleInTurn } from "../harness/sample.ts";
import { type Column, formatBytes, formatNanoseconds, formatTable } from "../harness/table.ts";
import { formatTargets, type Target } from "../harness/target.ts";
import { measureMemcheck, whyNoMemcheck } from "./memcheck.ts";
import { formatMemory, measureMemory } from "./memory-table.ts";
import { measureReports } from "./report-costs.ts";

// From dist/bench/wasm to the module, which is not compiled by tsc and stays where it is.
const FILE = fileURLToPath(new URL("../../../bench/wasm/programs.wasm", import.meta.url));
const SOURCE = fileURLToPath(new URL("../../../bench/wasm/programs.c", import.meta.url));
/** A module of half a MiB, for what rewriting costs: an Emscripten package that the tests use, too. */
const LARGE = fileURLToPath(import.meta.resolve("vscode-oniguruma/release/onig.wasm"));
const PROGRAMS = ["sort", "matrix", "compress", "json"] as const;
/** Rounds of each program in a batch: four milliseconds of the unmodified one. */
const BATCHES: Readonly<Record<(typeof PROGRAMS)[number], number>> = { sort: 1, matrix: 16, compress: 20, json: 40 };
/** Rounds of which the memory is measured. */
const ROUNDS = 2;
/** Until the engine has its best code of all instances, which it compiles beside them: a busy machine is late with it. */
const WARM_UP_MILLISECONDS = 3000;
const MIB = 2 ** 20;

interface Way {
  readonly name: string;
  readonly options: ModuleOptions;
  /** Largest ratios to the unmodified module: time of the slowest program, code. Seconds a MiB to instantiate. */
  readonly time: number;
  readonly code: number;
  readonly seconds: number;
}

const WAYS: readonly Way[] = [
  { name: "heap only", options: { checks: "none", heap: { stacks: false } }, time: 1.3, code: 4, seconds: 0.5 },
  { name: "addresses", options: {}, time: 2.5, code: 4, seconds: 0.5 },
  { name: "undefined bits", options: { uninitialised: "byte" }, time: 8, code: 12, seconds: 1.5 },
  {
    name: "with origins",
    options: { uninitialised: "byte", trackOrigins: true },
    time: 10,
    code: 12,
    seconds: 1.5,
  },
];

/** What a report may cost, and memory beside the guest's by what it touched. */
const FIRST_REPORT_MILLISECONDS = 1;
const NEXT_REPORT_MICROSECONDS = 5;
const MEMORY_BESIDE = 2.3;

type Program = (rounds: number) => number;

interface Subject {
  readonly name: string;
  readonly programs: Readonly<Record<string, Program>>;
}

const nothing = { wasi_snapshot_preview1: new Proxy({}, { get: () => () => 0 }) };

function start(exports: object): Readonly<Record<string, Program>> {
  const all = exports as Record<string, Program>;
  (all._initialize as unknown as () => void)?.();
  return all;
}

interface Made {
  readonly name: string;
  readonly codeRatio: number;
  readonly secondsPerMib: number;
}

/** The code section is nearly all of it. Once, as a program does it: the engine has not compiled the rewriter yet. */
function measureMaking(bytes: Uint8Array, { name, options }: Way): Made {
  const begin = performance.now();
  const module = new Module(bytes, options);
  const seconds = (performance.now() - begin) / 1000;
  const { rewritten } = module.compiled;
  return { name, codeRatio: rewritten.bytes.length / bytes.length, secondsPerMib: seconds / (bytes.length / MIB) };
}

function measureProgram(
  subjects: readonly Subject[],
  program: (typeof PROGRAMS)[number],
  rounds: number,
): Map<string, Samples> {
  const inBatch = BATCHES[program];
  return sampleInTurn(
    subjects.map(({ name, programs }) => ({
      name,
      batch: () => {
        keep(programs[program](inBatch));
        return inBatch;
      },
    })),
    { rounds, warmUpMilliseconds: WARM_UP_MILLISECONDS, budgetMilliseconds: 20_000 },
  );
}

const columns: readonly Column[] = [
  { heading: "program", align: "left" },
  { heading: "unmodified" },
  ...WAYS.map(({ name }) => ({ heading: name })),
  { heading: "Memcheck" },
];

export async function run(argv: string[]): Promise<void> {
  const command = benchmarkCommand(
    "wasm",
    "WebAssembly modules on the heap and under the checks, against themselves.",
  ).option("--memory", "only what memory costs each program, which is the same on every machine");
  const options = command.parse(argv, { from: "user" }).opts<{ quick?: boolean; json?: string; memory?: boolean }>();
  if (options.memory) {
    const rows = measureMemory(readFileSync(FILE), PROGRAMS, start, nothing, ROUNDS);
    process.stdout.write(`${formatMemory(rows)}\n`);
    return;
  }
  const rounds = options.quick ? 5 : 21;
  const bytes = readFileSync(FILE);
  const large = readFileSync(LARGE);
  const progress = startProgress(PROGRAMS.length + WAYS.length + 3);
  const made = WAYS.map((way) => {
    progress.step(`instantiates: ${way.name}`);
    return measureMaking(large, way);
  });
  const engine = (globalThis as unknown as { WebAssembly: EngineLike }).WebAssembly;
  const plain = new engine.Instance(new engine.Module(bytes), nothing);
  const instances = WAYS.map((way) => new Instance(new Module(bytes, way.options), nothing));
  const subjects: Subject[] = [
    { name: "unmodified", programs: start(plain.exports) },
    ...instances.map((instance, index) => ({ name: WAYS[index].name, programs: start(instance.exports) })),
  ];
  const measured = PROGRAMS.map((program) => {
    progress.step(program);
    return { program, samples: measureProgram(subjects, program, rounds) };
  });
  progress.step("reports");
  const reports = WAYS.filter(({ options }) => options.uninitialised === "byte").map((way) => ({
    name: way.name,
    costs: measureReports(way.options),
  }));
  progress.step("Memcheck");
  const noMemcheck = whyNoMemcheck(SOURCE);
  const memcheck = noMemcheck === null ? measureMemcheck(SOURCE, PROGRAMS) : new Map<string, number>();
  progress.step("memory");
  const memory = measureMemory(bytes, PROGRAMS, start, nothing, ROUNDS);
  progress.done();
  const findings = instances.map(({ checker }) => checker.findings.length);
  const ratio = (samples: Map<string, Samples>, name: string) =>
    ratioOf(samples.get(name)!, samples.get("unmodified")!);
  const ofReports: Target[] = reports.flatMap(({ name, costs }) => [
    {
      what: `${name}: a report, the first of its place`,
      measured: costs.firstMilliseconds,
      unit: " ms",
      atMost: FIRST_REPORT_MILLISECONDS,
    },
    {
      what: `${name}: the same report again`,
      measured: costs.againMicroseconds,
      unit: " µs",
      atMost: NEXT_REPORT_MICROSECONDS,
    },
    {
      what: `${name}: memory beside what the guest touched`,
      measured: costs.memoryRatio,
      unit: " times",
      atMost: MEMORY_BESIDE,
    },
  ]);
  const ofWays: Target[] = WAYS.flatMap(({ name, time, code, seconds }, index) => [
    {
      what: `${name}: the slowest program`,
      measured: Math.max(...measured.map(({ samples }) => ratio(samples, name))),
      unit: " times",
      atMost: time,
    },
    { what: `${name}: size of the code`, measured: made[index].codeRatio, unit: " times", atMost: code },
    { what: `${name}: rewritten and compiled`, measured: made[index].secondsPerMib, unit: " s a MiB", atMost: seconds },
    { what: `${name}: findings in programs that have none`, measured: findings[index], unit: "", atMost: 0 },
  ]);
  const targets = [...ofWays, ...ofReports];
  const rows = measured.map(({ program, samples }) => [
    program,
    formatNanoseconds(samples.get("unmodified")!.summary.median),
    ...WAYS.map(({ name }) => `${ratio(samples, name).toFixed(2)} ×`),
    memcheck.has(program) ? `${memcheck.get(program)!.toFixed(1)} ×` : "–",
  ]);
  const text = [
    `WebAssembly on the heap: programs.wasm (${formatBytes(bytes.length)}), time a round against the module unmodified; code and seconds are of a module of ${formatBytes(large.length)}`,
    `Medians of at most ${rounds} interleaved rounds. ${formatHost(describeHost())}`,
    "",
    formatTable(columns, rows),
    noMemcheck === null
      ? "Memcheck: the same C built natively (cc -O2) under valgrind, by its own time alone."
      : `No column for Memcheck: ${noMemcheck}.`,
    "",
    `What memory cost each program, ${ROUNDS} rounds, by its own touches:`,
    formatMemory(memory),
    "",
    formatTargets(targets),
  ];
  process.stdout.write(`${text.join("\n")}\n`);
  if (options.json !== undefined) {
    writeJson(options.json, "wasm", {
      rounds,
      programs: measured.map(({ program, samples }) => ({ program, samples: Object.fromEntries(samples) })),
      made,
      reports,
      memcheck: Object.fromEntries(memcheck),
      memory,
      targets,
    });
  }
  for (const instance of instances) instance[Symbol.dispose]();
}

/** What of the engine's WebAssembly is used. */
interface EngineLike {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: object };
}
