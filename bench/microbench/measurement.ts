// What a child process measures of one row, and how the parent asks for it. The child's side is child.ts.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Row } from "./rows.ts";

export interface Measurement {
  /** Seconds for 1000 iterations, one entry a run. */
  readonly seconds: readonly number[];
  /** Rss of the simulated process's smaps_rollup just before munmap, and before the first mmap. */
  readonly simulatedRssKib: number;
  readonly simulatedBaseRssKib: number;
  /** RSS of the host process just before munmap, and once machine, kernel and process were made. */
  readonly hostRssKib: number;
  readonly hostBaseRssKib: number;
  /** The host process's highest RSS over all runs (getrusage's ru_maxrss). */
  readonly hostMaxRssKib: number;
}

export interface Effort {
  readonly runs: number;
  readonly iterations: number;
}

const childProgram = fileURLToPath(new URL("./child.js", import.meta.url));
const execute = promisify(execFile);

/** Measures one row in a process of its own, so that its RSS is that row's alone. */
export async function measureRow(row: Row, effort: Effort): Promise<Measurement> {
  const { stdout } = await execute(process.execPath, ["--expose-gc", childProgram, JSON.stringify({ row, effort })]);
  return JSON.parse(stdout) as Measurement;
}
