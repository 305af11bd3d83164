// What the heap benchmark measures in child processes, one job a process, so that each has a fresh machine and its own RSS.
// The child's side is child.ts; tables and targets are in ../heap.ts.
import { runChild } from "../harness/child.ts";

/** How fresh memory gets its pattern: not at all, by a pass over it, or by a mapping of a reference page. */
export type Mode = "none" | "memset" | "refpage";

export const modes: readonly Mode[] = ["none", "memset", "refpage"];

/** One malloc of a large chunk, again and again. */
export interface LargeJob {
  readonly what: "large";
  readonly mode: Mode;
  readonly chunkBytes: number;
  readonly rounds: number;
}

export interface LargeFigures {
  /** Of each malloc, and of the free behind it. */
  readonly mallocNanoseconds: readonly number[];
  readonly freeNanoseconds: readonly number[];
  readonly simulatedRssBytes: number;
  readonly hostRssBytes: number;
}

/** `totalBytes` in chunks of `chunkBytes`, of which a share of the pages is then written. */
export interface FootprintJob {
  readonly what: "footprint";
  readonly mode: Mode;
  readonly chunkBytes: number;
  readonly totalBytes: number;
  readonly touchedPercent: number;
}

export interface FootprintFigures {
  readonly mallocNanoseconds: number;
  readonly touchNanoseconds: number;
  /** What resident memory grew by, in the simulated process and in the host process. */
  readonly simulatedRssBytes: number;
  readonly hostRssBytes: number;
}

/** Small chunks: malloc and free in turn, and random replacement among many live ones. */
export interface SmallJob {
  readonly what: "small";
  readonly rounds: number;
  readonly operations: number;
  readonly liveChunks: number;
}

export interface SmallFigures {
  /** Nanoseconds an operation, one entry a round. */
  readonly mallocFree: readonly number[];
  readonly replacement: readonly number[];
  /** Growth of the JavaScript heap, collected before and after, in bytes an operation. */
  readonly growthBytesPerOperation: number;
}

export type Job = LargeJob | FootprintJob | SmallJob;
export type Figures<One extends Job> = One extends LargeJob
  ? LargeFigures
  : One extends FootprintJob
    ? FootprintFigures
    : SmallFigures;

/** Does one job in a process of its own. */
export async function measure<One extends Job>(job: One): Promise<Figures<One>> {
  return (await runChild(import.meta.url, job, ["--expose-gc"])) as Figures<One>;
}
