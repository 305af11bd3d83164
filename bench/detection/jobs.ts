// What the detection benchmark measures in child processes, one level a process, so that the engine compiles for one kind of heap
// and RSS is the level's own. The child's side is child.ts; tables and targets are in ../detection.ts.
import { runChild } from "../harness/child.ts";

export const LEVELS = ["off", "page", "byte"] as const;
export type Level = (typeof LEVELS)[number];

export interface Job {
  readonly level: Level;
  /** `false`: only resident memory is measured. */
  readonly times: boolean;
  readonly rounds: number;
}

/** Nanoseconds an operation by name, the least of the child's rounds; and bytes. */
export interface Figures {
  readonly nanoseconds: Readonly<Record<string, number>>;
  /** Of a heap whose chunks are written, and of one in which one page in eight is. */
  readonly touchedBytes: number;
  readonly hostRssBytes: number;
  /** From the failing load to the finding, with both stacks; 0 where the level has no such report. */
  readonly reportNanoseconds: number;
}

export async function runJob(job: Job): Promise<Figures> {
  return (await runChild(import.meta.url, job, ["--expose-gc"])) as Figures;
}
