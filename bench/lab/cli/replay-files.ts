// What a user names, replayed: traces under policies with their touches or both ends, on all cores, with progress.
// `refheap replay` and `refheap report` share it; their options and what they print are their own.

import { remaining, share, startLine } from "../../harness/progress.ts";
import { resolveOwnPolicies } from "../replay/own-policy.ts";
import type { Policy } from "../replay/policy.ts";
import type { ReplayResult } from "../replay/result.ts";
import { runSweep, type SharedOptions, shardTasks, sweepTasks, sweptTraces } from "../replay/sweep.ts";
import { isReadOnce } from "../traces/open.ts";
import { expandArchives } from "../traces/zip.ts";
import { UsageError } from "./exit.ts";
import { plural } from "./tally-text.ts";
import type { Shard } from "./values.ts";

export interface ReplayFilesOptions {
  readonly policies: readonly Policy[];
  readonly seeds: readonly number[];
  readonly touch?: string;
  readonly jobs: number;
  readonly shard?: Shard;
  readonly shared: SharedOptions;
}

/** The results, and how many replays the whole sweep has over all shards. */
export async function replayFiles(
  traces: readonly string[],
  { policies, seeds, touch, jobs, shard, shared }: ReplayFilesOptions,
): Promise<{ readonly results: ReplayResult[]; readonly tasks: number }> {
  const resolved = await resolveOwnPolicies(policies);
  const files = await expandArchives(traces);
  const all = sweepTasks(await sweptTraces(files, touch, shared), resolved, seeds);
  const tasks = shard === undefined ? all : shardTasks(all, shard);
  if (traces.some(isReadOnce) && all.length > 1) {
    throw new UsageError(
      "standard input or a pipe can be replayed once: choose one policy and one seed, or give a file",
    );
  }
  const progress = startLine();
  progress.show(`0 of ${plural(tasks.length, "replay")}`);
  const start = performance.now();
  const results = await runSweep(tasks, {
    ...shared,
    jobs,
    onProgress: (done, task) =>
      progress.show(
        `${Math.floor(done)} of ${plural(tasks.length, "replay")}, ${share(done, tasks.length)}` +
          `${remaining(start, done, tasks.length)}: ${task.trace} ${task.policy.name}`,
      ),
  }).finally(() => progress.done());
  return { results, tasks: all.length };
}
