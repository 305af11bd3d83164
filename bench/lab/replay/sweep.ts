// Many replays: policies × traces × seeds, on all cores by worker threads, or one shard of them.
// Each task is independent and seeded, so the results do not depend on how they were spread.
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { isReadOnce, storedBytes } from "../traces/open.ts";
import type { Policy } from "./policy.ts";
import type { ReplayResult, ReplayTask } from "./result.ts";
import { lacksTouches, type ReplayOptions, runReplay } from "./run-replay.ts";

export type SharedOptions = Pick<ReplayOptions, "memoryBytes" | "verify" | "skipBad" | "format" | "isRepeated">;

export interface SweepOptions extends SharedOptions {
  /** Worker threads; 1: in this thread. Default: the host's cores. */
  readonly jobs?: number;
  /** Called now and then with how many tasks are done, begun ones by their share, and a task that has just got further. */
  readonly onProgress?: (done: number, task: ReplayTask) => void;
}

/** What a worker is asked for, and answers. */
export interface WorkerRequest {
  readonly task: ReplayTask;
  readonly options: SharedOptions;
}
export type WorkerAnswer =
  | { readonly result: ReplayResult }
  | { readonly error: WorkerFailure }
  /** Not the last answer: so much of the task is done. */
  | { readonly share: number };

/** What of an error survives the way to another thread. */
export interface WorkerFailure {
  readonly name: string;
  readonly message: string;
  readonly code?: string;
  readonly path?: string;
}

/** A trace and the touch models that it is replayed with; undefined: its own touches. */
export interface SweptTrace {
  readonly trace: string;
  readonly touches: readonly (string | undefined)[];
}

/** Every trace with each of its touch models under every policy with every seed; the order that results have. */
export function sweepTasks(
  traces: readonly SweptTrace[],
  policies: readonly Policy[],
  seeds: readonly number[],
): ReplayTask[] {
  return traces.flatMap(({ trace, touches: models }) =>
    models.flatMap((touches) => policies.flatMap((policy) => seeds.map((seed) => ({ trace, policy, seed, touches })))),
  );
}

/** The touch models that bound what a trace without touches may cost. */
export const BOTH_ENDS: readonly string[] = ["none", "all"];

/** What each file is replayed with: `asked` if given, its own touches if it has some, else both ends. */
export function sweptTraces(
  files: readonly string[],
  asked: string | undefined,
  options: SharedOptions,
): Promise<SweptTrace[]> {
  return Promise.all(
    files.map(async (trace) => {
      // What can be read once cannot be looked through first.
      const isOpen = asked === undefined && !isReadOnce(trace) && (await lacksTouches(trace, options));
      return { trace, touches: isOpen ? BOTH_ENDS : [asked] };
    }),
  );
}

/** The tasks of shard `index` of `of` (from 1): every `of`-th one, so that traces of different length spread evenly. */
export function shardTasks<T>(tasks: readonly T[], { index, of }: { index: number; of: number }): T[] {
  return tasks.filter((_, position) => position % of === index - 1);
}

/**
 * Runs the tasks; results are in their order.
 * @throws what the first failing task threw; the others are given up.
 */
export async function runSweep(tasks: readonly ReplayTask[], options: SweepOptions = {}): Promise<ReplayResult[]> {
  const { jobs = availableParallelism(), onProgress, ...shared } = options;
  const run = Math.min(jobs, tasks.length) > 1 ? runOnWorkers : runHere;
  // Traces come one after the other: a thread with more tasks than traces meets one again.
  const isRepeated = tasks.length / Math.min(jobs, tasks.length || 1) > new Set(tasks.map(({ trace }) => trace)).size;
  const shares = new Float64Array(tasks.length);
  let done = 0;
  return run(tasks, { ...shared, isRepeated }, jobs, (index, share) => {
    done += share - shares[index];
    shares[index] = share;
    onProgress?.(done, tasks[index]);
  });
}

/** So much of the task at `index` is done. */
type OnShare = (index: number, share: number) => void;

type Run = (
  tasks: readonly ReplayTask[],
  shared: SharedOptions,
  jobs: number,
  onShare: OnShare,
) => Promise<ReplayResult[]>;

const runHere: Run = async (tasks, shared, _jobs, onShare) => {
  const results: ReplayResult[] = [];
  for (const [index, task] of tasks.entries()) {
    results.push(await runTask(task, shared, (share) => onShare(index, share)));
    onShare(index, 1);
  }
  return results;
};

/** `onShare` is called now and then with how much of the trace has been replayed, if its length is known. */
export function runTask(
  task: ReplayTask,
  shared: SharedOptions,
  onShare: (share: number) => void,
): Promise<ReplayResult> {
  const { trace, policy, seed, touches } = task;
  const totalBytes = storedBytes(trace);
  const onProgress = (bytes: number): void => onShare(Math.min(1, bytes / totalBytes));
  return runReplay(trace, { ...shared, policy, seed, touches, onProgress: totalBytes > 0 ? onProgress : undefined });
}

const runOnWorkers: Run = async (tasks, shared, jobs, onShare) => {
  const results = new Array<ReplayResult>(tasks.length);
  let next = 0;
  const workers = Array.from({ length: Math.min(jobs, tasks.length) }, startWorker);
  const drive = async (worker: Worker): Promise<void> => {
    while (next < tasks.length) {
      const index = next++;
      results[index] = await ask(worker, { task: tasks[index], options: shared }, (share) => onShare(index, share));
      onShare(index, 1);
    }
  };
  try {
    await Promise.all(workers.map(drive));
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
  return results;
};

/** The worker's program is a file of its own, beside the command's, in the bundle as in the plain build. */
function startWorker(): Worker {
  return new Worker(new URL("../cli/sweep.worker.js", import.meta.url));
}

/** One task on one worker; its listeners go with the answer, for the worker gets more tasks. */
function ask(worker: Worker, request: WorkerRequest, onShare: (share: number) => void): Promise<ReplayResult> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      worker.off("message", onMessage).off("error", onError).off("exit", onExit);
    };
    const onMessage = (answer: WorkerAnswer): void => {
      if ("share" in answer) {
        onShare(answer.share);
        return;
      }
      settle();
      if ("result" in answer) resolve(answer.result);
      else reject(Object.assign(new Error(answer.error.message), answer.error));
    };
    const onError = (error: Error): void => {
      settle();
      reject(error);
    };
    const onExit = (code: number): void => {
      settle();
      reject(new Error(`a worker thread stopped with code ${code}`));
    };
    worker.on("message", onMessage).on("error", onError).on("exit", onExit);
    worker.postMessage(request);
  });
}
