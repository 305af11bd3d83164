// How short operations are timed: batches, several tasks in turn so that all meet the same machine, medians per operation.
// tinybench times the long runs of the microbenchmark. Here it would not do: it calls a function for each operation, which drowns a
// load of 4 ns, and takes all samples of one task before the next, so that a machine that slows down meanwhile favours the first.
import { type Summary, summarise } from "./statistics.ts";

/** Runs a batch and returns how many operations it was. What the batch computes must not be predictable: see {@link keep}. */
export interface BatchTask {
  readonly name: string;
  /** Not timed, before each batch. */
  prepare?(): void;
  batch(): number;
  /** Not timed, after each batch. */
  restore?(): void;
}

/** Nanoseconds an operation, one a round. */
export interface Samples {
  readonly nanoseconds: readonly number[];
  readonly summary: Summary;
}

/** How long to go on. A round is one batch of each task. */
export interface Sampling {
  readonly rounds: number;
  /** Time before the first sample that counts, for the engine to compile what the tasks do. Default 100 ms. */
  readonly warmUpMilliseconds?: number;
  /** No new round begins after this much time, once there are {@link FEWEST_ROUNDS}. Default 5 s. */
  readonly budgetMilliseconds?: number;
}

/** Below this a median says little. */
const FEWEST_ROUNDS = 3;

/** Times every task once a round, one batch of each in turn. */
export function sampleInTurn(
  tasks: readonly BatchTask[],
  { rounds, warmUpMilliseconds = 100, budgetMilliseconds = 5000 }: Sampling,
): Map<string, Samples> {
  const times = new Map<string, number[]>(tasks.map((task) => [task.name, []]));
  const round = () => {
    for (const task of tasks) times.get(task.name)?.push(timeBatch(task));
  };
  const start = performance.now();
  do round();
  while (performance.now() - start < warmUpMilliseconds);
  for (const samples of times.values()) samples.length = 0;
  for (let done = 0; done < rounds; done++) {
    if (done >= FEWEST_ROUNDS && performance.now() - start > budgetMilliseconds) break;
    round();
  }
  return new Map([...times].map(([name, nanoseconds]) => [name, { nanoseconds, summary: summarise(nanoseconds) }]));
}

/** Nanoseconds an operation of one batch. */
function timeBatch(task: BatchTask): number {
  task.prepare?.();
  const start = process.hrtime.bigint();
  const operations = task.batch();
  const elapsed = Number(process.hrtime.bigint() - start);
  task.restore?.();
  return elapsed / operations;
}

/** How many times slower `a` is than `b`: the median over the rounds, since the two of one round met the same machine. */
export function ratioOf(a: Samples, b: Samples): number {
  return summarise(a.nanoseconds.map((nanoseconds, round) => nanoseconds / b.nanoseconds[round])).median;
}

let kept = 0;

/** Takes a result so that the engine cannot leave out the work that made it. */
export function keep(value: number): void {
  kept = (kept + value) | 0;
}
