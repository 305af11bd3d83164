// How short operations are timed: batches, several tasks in turn so that all meet the same machine, medians per operation.
// tinybench times the long runs of the microbenchmark; a call for each operation would drown a load of 4 ns.
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

/** Times every task `rounds` times after `warmUp` rounds, one batch of each in turn. */
export function sampleInTurn(
  tasks: readonly BatchTask[],
  { rounds, warmUp = 2 }: { readonly rounds: number; readonly warmUp?: number },
): Map<string, Samples> {
  const times = new Map<string, number[]>(tasks.map((task) => [task.name, []]));
  for (let round = -warmUp; round < rounds; round++) {
    for (const task of tasks) {
      task.prepare?.();
      const start = process.hrtime.bigint();
      const operations = task.batch();
      const elapsed = Number(process.hrtime.bigint() - start);
      task.restore?.();
      if (round >= 0) times.get(task.name)?.push(elapsed / operations);
    }
  }
  return new Map([...times].map(([name, nanoseconds]) => [name, { nanoseconds, summary: summarise(nanoseconds) }]));
}

let kept = 0;

/** Takes a result so that the engine cannot leave out the work that made it. */
export function keep(value: number): void {
  kept = (kept + value) | 0;
}

/** Everything kept, for a benchmark that wants to print or return it. */
export function keptSum(): number {
  return kept;
}
