// The same programs in C (corpus/native/) under Valgrind Memcheck, where a compiler and valgrind are: its verdicts.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Variant } from "./corpus/program.ts";

const ERROR_EXIT_CODE = 99;
export const FOLDER = "bench/detection/corpus/native";

export type NativeVerdict = "report" | "nothing" | "not run";

export interface NativeRow {
  readonly name: string;
  /** What Memcheck says of each variant; its first line of the buggy one's report. */
  readonly right: NativeVerdict;
  readonly buggy: NativeVerdict;
  readonly report: string;
}

function has(program: string): boolean {
  return spawnSync(program, ["--version"]).status === 0;
}

/** Why the native programs cannot be run here, or null. */
export function whyNoNative(): string | null {
  if (!existsSync(FOLDER)) return `the sources are not here (${FOLDER})`;
  for (const program of ["cc", "valgrind"]) if (!has(program)) return `there is no ${program}`;
  return null;
}

/** Names of the native programs; each is one of the corpus. */
export function nativeNames(): string[] {
  return readdirSync(FOLDER)
    .filter((name) => name.endsWith(".c"))
    .map((name) => name.slice(0, -2))
    .sort();
}

/** The row of a program that is not run here. */
export function notRun(name: string): NativeRow {
  return { name, right: "not run", buggy: "not run", report: "" };
}

export function runNative(name: string): NativeRow {
  const right = runVariant(name, "right");
  const buggy = runVariant(name, "buggy");
  return { name, right: right.verdict, buggy: buggy.verdict, report: buggy.report };
}

function runVariant(name: string, variant: Variant): { verdict: NativeVerdict; report: string } {
  const folder = mkdtempSync(join(tmpdir(), "refheap-native-"));
  try {
    const binary = join(folder, name);
    const flags = ["-g", "-O0", "-w", ...(variant === "buggy" ? ["-DBUGGY"] : [])];
    const compiled = spawnSync("cc", [...flags, "-o", binary, join(FOLDER, `${name}.c`)], { encoding: "utf8" });
    if (compiled.status !== 0) throw new Error(`cc ${name}.c: ${compiled.stderr}`);
    const options = [`--error-exitcode=${ERROR_EXIT_CODE}`, "--leak-check=full", "--errors-for-leak-kinds=definite"];
    const run = spawnSync("valgrind", ["-q", ...options, binary], { encoding: "utf8", cwd: folder });
    const line = run.stderr.split("\n").find((text) => text.startsWith("==")) ?? "";
    if (run.status !== 0 && run.status !== ERROR_EXIT_CODE)
      throw new Error(`${name}: exit code ${run.status}: ${run.stderr}`);
    return { verdict: run.status === ERROR_EXIT_CODE ? "report" : "nothing", report: line.replace(/^==\d+== /, "") };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
