// What is measured of one row, and the process of its own in which that happens, so that its RSS is that row's alone.
// The child's side is child.ts.
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Row } from "./rows.ts";

/** RSS in KiB of the first iteration. */
export interface Footprint {
  /** Rss of the simulated process's smaps_rollup just before munmap, and before the first mmap. */
  readonly simulatedRssKib: number;
  readonly simulatedBaseRssKib: number;
  /** RSS of the host process just before munmap, and once machine, kernel and process were made. */
  readonly hostRssKib: number;
  readonly hostBaseRssKib: number;
}

export interface Measurement extends Footprint {
  /** Seconds for 1000 iterations, one entry a run. */
  readonly seconds: readonly number[];
}

export interface Effort {
  readonly runs: number;
  readonly iterations: number;
}

/** The process of one row: warmed up, waiting for the call to run. */
export interface RowProcess {
  readonly row: Row;
  readonly footprint: Footprint;
  /** Seconds for 1000 iterations. */
  run(): Promise<number>;
  stop(): void;
}

const childProgram = fileURLToPath(new URL("./child.js", import.meta.url));

export async function startRow(row: Row, iterations: number): Promise<RowProcess> {
  const child = fork(childProgram, [JSON.stringify({ row, iterations })], { execArgv: ["--expose-gc"] });
  const footprint = (await nextMessage(child, row)) as Footprint;
  return {
    row,
    footprint,
    async run() {
      const answer = nextMessage(child, row);
      child.send("run");
      return (await answer) as number;
    },
    stop: () => child.kill(),
  };
}

/** The child's next message. Rejects if it ends instead. */
function nextMessage(child: ChildProcess, row: Row): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null, signal: string | null) => {
      child.off("message", onMessage);
      reject(new Error(`the process of ${row.name} ended with ${code === null ? `signal ${signal}` : `code ${code}`}`));
    };
    const onMessage = (message: unknown) => {
      child.off("exit", onExit);
      resolve(message);
    };
    child.once("message", onMessage);
    child.once("exit", onExit);
  });
}
