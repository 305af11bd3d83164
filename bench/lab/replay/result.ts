// What a replay leaves: one plain record for each (trace, policy, seed), the same bits for the same inputs on every machine.
// Files of results are what sweeps write, `merge` joins, and `compare` and `report` read. No host time is in them.
import type { CounterSnapshot } from "../../../platform/hardware/counters.ts";
import type { ProgramCounts } from "../cost/cost-model.ts";
import type { TraceTally } from "../traces/tally.ts";
import type { PeakShares } from "./attribution.ts";
import type { PageMap } from "./page-map.ts";
import type { Policy } from "./policy.ts";
import type { ReplayTally } from "./replayer.ts";
import type { Mark, Peaks, Samples } from "./sampler.ts";

/** A replay that was to be made: what its result can be recognised by. */
export interface ReplayTask {
  /** As the user named it. */
  readonly trace: string;
  readonly policy: Policy;
  readonly seed: number;
  /** The touch model asked for; none: the trace's own touches. */
  readonly touches?: string;
}

export interface ReplayResult {
  readonly trace: string;
  readonly format: string;
  readonly policy: Policy;
  readonly seed: number;
  /** The touch model's name; "of the trace" if the trace has touches of its own and no model was asked for. */
  readonly touches: string;
  /** RAM of the simulated machine, in bytes. */
  readonly memoryBytes: number;
  /** "" if the replay came to the trace's end, else why it stopped. */
  readonly stopped: string;
  readonly read: TraceTally;
  readonly replayed: ReplayTally;
  readonly counters: CounterSnapshot;
  readonly program: ProgramCounts;
  readonly peaks: Peaks;
  readonly meanRssBytes: number;
  readonly finalRssBytes: number;
  readonly samples: Samples;
  readonly marks: readonly Mark[];
  readonly pageMap: PageMap;
  /** Whose memory it was when RSS was at its peak; results of earlier versions lack it. */
  readonly atPeak?: PeakShares;
}

export interface ResultFile {
  readonly kind: "refheap-results";
  readonly version: 1;
  /** The command that made it, for whoever finds the file. */
  readonly command: string;
  readonly shard: { readonly index: number; readonly of: number };
  /** How many tasks the whole sweep has, over all shards. */
  readonly tasks: number;
  readonly results: readonly ReplayResult[];
}

export function resultFile(
  command: string,
  results: readonly ReplayResult[],
  { shard = { index: 1, of: 1 }, tasks = results.length }: Partial<Pick<ResultFile, "shard" | "tasks">> = {},
): ResultFile {
  return { kind: "refheap-results", version: 1, command, shard, tasks, results };
}

/** @throws Error that names the file and what is wrong. */
export function parseResultFile(text: string, file: string): ResultFile {
  let value: Partial<ResultFile> | null;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error(`${file}: expected results as refheap replay --json writes them: ${(error as Error).message}`);
  }
  if (value?.kind !== "refheap-results" || !Array.isArray(value.results)) {
    throw new Error(`${file}: expected results as refheap replay --json writes them ("kind": "refheap-results")`);
  }
  if (value.version !== 1) throw new Error(`${file}: expected results of version 1, found ${value.version}`);
  return value as ResultFile;
}

/** What identifies a task: no two results of a sweep agree in it. */
export function taskKey(result: ReplayTask): string {
  return JSON.stringify([result.trace, result.policy.name, result.seed, result.touches ?? ""]);
}
