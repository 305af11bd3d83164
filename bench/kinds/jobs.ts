// The jobs of the kinds benchmark, one for each child process, and how such a process is run. What it does is child.ts.

import type { HeapOptions } from "../../allocator/index.ts";
import { runChild } from "../harness/child.ts";

export const KINDS = {
  plain: {},
  pattern: { fill: "pattern" },
  tagged: { tagging: "sync" },
  page: { uninitialised: "page" },
  byte: { uninitialised: "byte" },
} as const satisfies Record<string, HeapOptions>;

export type Kind = keyof typeof KINDS;

/** A round of malloc, store, load and free in a heap of a kind, … */
export interface Job {
  readonly kind: Kind;
  /** … in a process where such heaps ran before, … */
  readonly after: readonly Kind[];
  /** … or run in turns with it. */
  readonly beside: readonly Kind[];
  /** Processor time to measure for. */
  readonly milliseconds: number;
}

/** @returns nanoseconds a round, of the fastest turn */
export async function measure(job: Job): Promise<number> {
  return (await runChild(import.meta.url, job)) as number;
}
