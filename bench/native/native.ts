// `npm run bench -- native`: how close `refheap record --native` and a replay come to what programs really need, and how much slower the
// recorder makes them. The programs are programs.ts; the recorder is bench/lab/native/.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findCompiler } from "../harness/c-compiler.ts";
import { benchmarkCommand, writeJson } from "../harness/command.ts";
import { describeHost, formatHost } from "../harness/machine.ts";
import { startProgress } from "../harness/progress.ts";
import { summarise } from "../harness/statistics.ts";
import { formatBytes, formatSignificant, formatTable } from "../harness/table.ts";
import { formatTargets, type Target } from "../harness/target.ts";
import { convertRaw, rawFiles } from "../lab/native/native-recording.ts";
import { type NativeRecorder, prepareNativeRecorder } from "../lab/native/recorder-library.ts";
import { parsePolicy } from "../lab/replay/policy.ts";
import { runReplay } from "../lab/replay/run-replay.ts";
import { installedPrograms, type Program, writeInputs } from "./programs.ts";

interface Options {
  readonly quick?: boolean;
  readonly json?: string;
  readonly only?: string;
}

/** What one program needed, and what a replay of its recording says; bytes. */
interface Comparison {
  readonly program: string;
  /** VmHWM. All three are less that of the same program with nothing to do. */
  readonly real: number;
  /** The peak of a replay as the program ran, with glibc's malloc, and with Scudo's. */
  readonly glibc: number;
  readonly scudo: number;
  /** Processor time while it is recorded, in that of the program alone. */
  readonly slowdown: number;
}

const source = fileURLToPath(new URL("../../../bench/native/peak.c", import.meta.url));
const KIB = 1024;
const OFF_TARGET_PERCENT = 15;
const SLOWDOWN_TARGET = 3;

export async function run(argv: string[]): Promise<void> {
  const command = benchmarkCommand("native", "Native programs recorded and replayed, beside what they really need.")
    .option("--only <text>", "the programs whose command lines contain this")
    .parse(argv, { from: "user" });
  const options = command.opts<Options>();
  const compiler = findCompiler();
  if (process.platform !== "linux" || compiler === null) {
    process.stdout.write("nothing measured: it needs Linux with glibc, and a C compiler\n");
    return;
  }
  const programs = installedPrograms().filter(({ shown }) => shown.includes(options.only ?? ""));
  const folder = mkdtempSync(join(tmpdir(), "refheap-native-"));
  const progress = startProgress(programs.length);
  const compared: Comparison[] = [];
  try {
    writeInputs(folder);
    execFileSync(compiler, ["-O2", "-o", join(folder, "peak"), source]);
    for (const program of programs) {
      progress.step(program.shown);
      compared.push(await compare(program, folder, options.quick ? 1 : 5));
    }
  } finally {
    progress.done();
    rmSync(folder, { recursive: true, force: true });
  }
  process.stdout.write(`${formatHost(describeHost())}\n\n${report(compared)}\n`);
  if (options.json !== undefined) writeJson(options.json, "native", { programs: compared });
}

async function compare({ command, idle, shown }: Program, folder: string, runs: number): Promise<Comparison> {
  const times = (work: () => Usage): Usage[] => Array.from({ length: runs }, work);
  const base = times(() => usageOf(idle, folder));
  const alone = times(() => usageOf(command, folder));
  const trace = join(folder, "program.rht");
  record(idle, folder, trace);
  const idlePeaks = await replayedPeaks(trace);
  const recorded = times(() => record(command, folder, trace));
  const peaks = await replayedPeaks(trace);
  const middle = (usages: readonly Usage[], of: keyof Usage): number =>
    summarise(usages.map((usage) => usage[of])).median;
  return {
    program: shown,
    real: middle(alone, "peakBytes") - middle(base, "peakBytes"),
    glibc: peaks.glibc - idlePeaks.glibc,
    scudo: peaks.scudo - idlePeaks.scudo,
    slowdown: middle(recorded, "microseconds") / middle(alone, "microseconds"),
  };
}

async function replayedPeaks(trace: string): Promise<{ readonly glibc: number; readonly scudo: number }> {
  const peak = async (policy: string): Promise<number> =>
    (await runReplay(trace, { policy: parsePolicy(policy), seed: 1 })).peaks.rssBytes;
  return { glibc: await peak("glibc"), scudo: await peak("none") };
}

interface Usage {
  readonly peakBytes: number;
  readonly microseconds: number;
}

/** @throws Error: the program failed */
function usageOf(command: readonly string[], folder: string, environment: NodeJS.ProcessEnv = {}): Usage {
  const file = join(folder, "usage");
  const set = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  // By env(1), so that the one who measures is not recorded.
  const { status } = spawnSync(join(folder, "peak"), [file, "env", ...set, ...command], {
    cwd: folder,
    stdio: "ignore",
  });
  if (status !== 0) throw new Error(`${command.join(" ")}: ended with code ${status}`);
  const [kib, microseconds] = readFileSync(file, "utf8").trim().split(" ").map(Number);
  return { peakBytes: kib * KIB, microseconds };
}

/** Runs the program with the recorder, and leaves a trace in `trace`: of the process that did most, where a script starts others. */
function record(command: readonly string[], folder: string, trace: string): Usage {
  const recorder: NativeRecorder = prepareNativeRecorder(trace);
  try {
    const usage = usageOf(command, folder, recorder.environment);
    const [largest] = rawFiles(recorder.rawFolder).sort((a, b) => statSync(b.path).size - statSync(a.path).size);
    if (largest === undefined || convertRaw(largest.path, trace) === null)
      throw new Error(`${command.join(" ")}: nothing was recorded`);
    return usage;
  } finally {
    recorder.remove();
  }
}

function report(compared: readonly Comparison[]): string {
  const columns = ["really", "with glibc", "off by", "with Scudo", "slower while recorded"];
  const rows = compared.map((one) => [
    one.program,
    formatBytes(one.real),
    formatBytes(one.glibc),
    `${signed(offBy(one))} %`,
    formatBytes(one.scudo),
    `${formatSignificant(one.slowdown)} times`,
  ]);
  return [
    "Peak of resident memory, each less that of the same program with nothing to do: the kernel's, and of replays of its recording",
    formatTable([{ heading: "program", align: "left" }, ...columns.map((heading) => ({ heading }))], rows),
    "",
    formatTargets(compared.flatMap(targetsOf)),
  ].join("\n");
}

function targetsOf(one: Comparison): Target[] {
  return [
    { what: `${one.program}: off by`, measured: Math.abs(offBy(one)), unit: " %", atMost: OFF_TARGET_PERCENT },
    { what: `${one.program}: slower`, measured: one.slowdown, unit: " times", atMost: SLOWDOWN_TARGET },
  ];
}

function offBy({ real, glibc }: Comparison): number {
  return (100 * (glibc - real)) / real;
}

function signed(value: number): string {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(1)}`;
}
