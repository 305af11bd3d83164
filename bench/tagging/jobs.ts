// What the tagging benchmark measures in child processes, one job a process, so that the engine compiles for one kind of heap.
// The child's side is child.ts; tables and targets are in ../tagging.ts.
import { runChild } from "../harness/child.ts";

/**
 * `absent`: a machine without MTE, the heap without tags. `off`: a machine with MTE, the heap without tags. `stopped`: made
 * with tags, then switched off. The others are check modes.
 */
export type WorkloadMode = "absent" | "off" | "stopped" | "async" | "asymm" | "sync";
export const workloadModes: readonly WorkloadMode[] = ["absent", "off", "stopped", "async", "asymm", "sync"];

/** Random replacement among live chunks of 16 to 1 KiB, each written and read. */
export interface WorkloadJob {
  readonly what: "workload";
  readonly mode: WorkloadMode;
  readonly operations: number;
}

/** Loads and stores of 32 bits at random places of one large chunk. */
export interface AccessJob {
  readonly what: "access";
  readonly mode: "off" | "sync";
  readonly operations: number;
}

/** One malloc of a large chunk: without tags, from a tagged reference page, or tagged by the program over all its bytes. */
export type LargeMode = "untagged" | "refpage" | "stg" | "gva";
export const largeModes: readonly LargeMode[] = ["untagged", "refpage", "stg", "gva"];

export interface LargeJob {
  readonly what: "large";
  readonly mode: LargeMode;
  readonly chunkBytes: number;
  readonly rounds: number;
}

export type Job = WorkloadJob | AccessJob | LargeJob;

export interface Figures {
  /** Nanoseconds an operation by name, one entry a round. */
  readonly nanoseconds: Readonly<Record<string, readonly number[]>>;
  /** What the simulated process's resident memory grew by. */
  readonly rssBytes: number;
}

/** Does one job in a process of its own. */
export async function measure(job: Job): Promise<Figures> {
  return (await runChild(import.meta.url, job)) as Figures;
}
