// Runs a workload on all allocators together: a process each, alive at the same time, asked for one round at a time in random order,
// so that what the machine does meanwhile meets all of them. What the rounds say is malloc.ts's.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { nextRandom } from "../../allocator/common/random.ts";
import { findCompiler } from "../harness/c-compiler.ts";
import type { Subject } from "./subjects.ts";
import type { Workload } from "./workloads.ts";

export interface Measured {
  readonly subject: string;
  readonly workload: string;
  /** One a round. */
  readonly nanoseconds: readonly number[];
  /** Bytes of memory that the live chunks took, over the bytes asked for them; null: the workload keeps none. */
  readonly residentPerAsked: number | null;
}

export interface Rounds {
  readonly rounds: number;
  /** Time in rounds that do not count, for the engine to compile them; a native allocator gets a tenth. */
  readonly warmUpMilliseconds: number;
  /** Calls in a round, about. */
  readonly calls: number;
  /** No new round of a workload begins after this time, once there are {@link FEWEST_ROUNDS}. */
  readonly budgetMilliseconds: number;
}

/** Below this a tenth of the rounds says nothing. */
const FEWEST_ROUNDS = 5;

const CHILD = fileURLToPath(new URL("child.js", import.meta.url));
const DRIVER = fileURLToPath(new URL("../../../bench/malloc/driver.c", import.meta.url));

/** A folder for sequences and the native driver. */
export class Workshop {
  readonly folder = mkdtempSync(join(tmpdir(), "refheap-malloc-"));
  /** Why there are no native allocators here; null: there are. */
  readonly nativeMissing: string | null;

  constructor() {
    const compiler = process.platform === "linux" ? findCompiler() : null;
    if (compiler === null) {
      this.nativeMissing = "no C compiler, or no Linux";
      return;
    }
    const driver = join(this.folder, "driver");
    const { status, stderr } = spawnSync(compiler, ["-O2", "-fno-builtin", "-o", driver, DRIVER], { encoding: "utf8" });
    this.nativeMissing = status === 0 ? null : `the driver cannot be compiled: ${stderr.trim()}`;
  }

  start(subject: Subject, workload: Workload, repeats: number): Runner {
    const setup = join(this.folder, "setup");
    const round = join(this.folder, "round");
    const given = [setup, round, String(workload.slots), workload.zeroed ? "1" : "0", String(repeats)];
    if (subject.family === "native") {
      const environment = { ...process.env, ...subject.environment };
      return new Runner(spawn(join(this.folder, "driver"), given, { env: environment }));
    }
    const all = ["--expose-gc", CHILD, JSON.stringify(subject), ...given, String(workload.threads)];
    return new Runner(spawn(process.execPath, all));
  }

  /** Each workload's sequences take the place of the last one's. */
  write({ setup, round }: Workload): void {
    writeFileSync(join(this.folder, "setup"), setup);
    writeFileSync(join(this.folder, "round"), round);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A process that answers each line by a number. */
class Runner {
  private readonly child: ChildProcess;
  private readonly lines: AsyncIterator<string>;
  private complaints = "";

  constructor(child: ChildProcess) {
    this.child = child;
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.complaints += text;
    });
    this.lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  }

  async answer(): Promise<number> {
    const { value, done } = await this.lines.next();
    if (done === true) throw new Error(`an allocator's process ended: ${this.complaints.slice(-400)}`);
    return Number(value);
  }

  round(): Promise<number> {
    this.child.stdin?.write("\n");
    return this.answer();
  }

  async end(): Promise<void> {
    if (this.child.exitCode !== null) return;
    const ended = once(this.child, "exit");
    this.child.stdin?.end();
    await ended;
  }
}

/** All rounds of one workload; the subjects can do it. */
export async function measure(
  workshop: Workshop,
  workload: Workload,
  subjects: readonly Subject[],
  { rounds, warmUpMilliseconds, calls, budgetMilliseconds }: Rounds,
): Promise<Measured[]> {
  workshop.write(workload);
  const repeats = Math.max(1, Math.round(calls / (workload.round.length / 2)));
  const runs: { subject: Subject; runner: Runner; nanoseconds: number[]; resident: number }[] = [];
  try {
    for (const subject of subjects) {
      const runner = workshop.start(subject, workload, repeats);
      runs.push({ subject, runner, nanoseconds: [], resident: 0 });
      // One after the other: a start takes a processor of its own.
      runs[runs.length - 1].resident = await runner.answer();
      let left = warmUpMilliseconds * (subject.family === "native" ? 1e5 : 1e6);
      const callsOfRound = repeats * (workload.round.length / 2);
      while (left > 0) left -= (await runner.round()) * callsOfRound;
    }
    let state = 1;
    const begin = performance.now();
    for (let round = 0; round < rounds; round++) {
      if (round >= FEWEST_ROUNDS && performance.now() - begin > budgetMilliseconds) break;
      const order = [...runs];
      for (let left = order.length; left > 0; left--) {
        state = nextRandom(state);
        const [run] = order.splice(state % left, 1);
        run.nanoseconds.push(await run.runner.round());
      }
    }
  } finally {
    await Promise.all(runs.map(({ runner }) => runner.end()));
  }
  return runs.map(({ subject, nanoseconds, resident }) => ({
    subject: subject.name,
    workload: workload.name,
    nanoseconds,
    residentPerAsked: workload.live === 0 ? null : resident / workload.askedBytes,
  }));
}
