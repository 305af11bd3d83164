// The same program in C on the real kernel of this machine: compiled when there is a compiler, else a reason why not.
// Only the anonymous and memset rows can run there.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findCompiler, succeeds } from "../harness/c-compiler.ts";
import type { Row } from "./rows.ts";

export interface NativeMeasurement {
  /** Seconds for 1000 iterations, one entry a run; each run is a process. */
  readonly seconds: readonly number[];
  readonly maxRssKib: number;
}

/** One run: seconds for 1000 iterations, and the process's highest RSS. */
export interface NativeRun {
  readonly seconds: number;
  readonly maxRssKib: number;
}

/** A compiled program, or why there is none. */
export type NativeProgram =
  | { readonly reason: string }
  | { readonly compiler: string; run(row: Row, iterations: number): NativeRun; remove(): void };

// From dist/bench/microbench to the source, which is not compiled by tsc and stays where it is.
const source = fileURLToPath(new URL("../../../bench/microbench/microbench.c", import.meta.url));

export function compileNative(): NativeProgram {
  if (process.platform !== "linux") return { reason: `needs Linux, this is ${process.platform}` };
  const compiler = findCompiler();
  if (compiler === null) return { reason: "no C compiler (cc, gcc or clang) is installed" };
  const folder = mkdtempSync(join(tmpdir(), "refheap-"));
  const program = join(folder, "microbench");
  const remove = () => rmSync(folder, { recursive: true, force: true });
  if (!succeeds(compiler, ["-O2", "-o", program, source])) {
    remove();
    return { reason: `${compiler} could not compile bench/microbench/microbench.c` };
  }
  return { compiler, remove, run: (row, iterations) => run(program, row, iterations) };
}

function run(program: string, row: Row, iterations: number): NativeRun {
  const programArguments = [row.mmapSize, row.touchSize, iterations].map(String);
  if (row.fill === "memset") programArguments.push("memset");
  const output = execFileSync(program, programArguments, { encoding: "utf8" });
  const [nanoseconds, maxRssKib] = output.trim().split(" ").map(Number);
  return { seconds: nanoseconds / iterations / 1e6, maxRssKib };
}

export function summariseNative(runs: readonly NativeRun[]): NativeMeasurement {
  return {
    seconds: runs.map(({ seconds }) => seconds),
    maxRssKib: Math.max(...runs.map(({ maxRssKib }) => maxRssKib)),
  };
}
