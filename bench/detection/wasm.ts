// The same programs in C (corpus/native/) as WebAssembly modules under `refheap check`, where clang and its linker for WebAssembly are.
// What Memcheck says of them is native.ts's.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Variant } from "./corpus/program.ts";
import { FOLDER, type NativeVerdict } from "./native.ts";

const ERROR_EXIT_CODE = 99;
const COMPILERS = ["clang", "clang-19", "clang-18", "clang-17", "clang-16"];
const COMMAND = fileURLToPath(new URL("../../cli/main.js", import.meta.url));
/** What `read` finds on standard input. */
const INPUT = "0123456789";

export interface WasmRow {
  readonly name: string;
  /** Why it is no module, such as Memcheck's own client requests; null: it is. */
  readonly reason: string | null;
  readonly right: NativeVerdict;
  readonly buggy: NativeVerdict;
  /** First line of the buggy variant's report. */
  readonly report: string;
}

/** A compiler that links programs for WASI, or null. */
function findCompiler(): string | null {
  const folder = mkdtempSync(join(tmpdir(), "refheap-wasm-"));
  try {
    return COMPILERS.find((compiler) => compile(compiler, "histogram", "right", folder) === null) ?? null;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

let compiler: string | null | undefined;

/** Why the programs cannot be run as modules here, or null. */
export function whyNoWasm(): string | null {
  if (!existsSync(FOLDER)) return `the sources are not here (${FOLDER})`;
  compiler ??= findCompiler();
  return compiler === null ? `there is no clang for wasm32-wasi (${COMPILERS.join(", ")})` : null;
}

/** @returns the compiler's first error, or null */
function compile(using: string, name: string, variant: Variant, folder: string): string | null {
  const flags = ["--target=wasm32-wasi", "-g", "-O0", "-w", ...(variant === "buggy" ? ["-DBUGGY"] : [])];
  const output = join(folder, `${name}.wasm`);
  const { status, stderr } = spawnSync(using, [...flags, "-o", output, join(FOLDER, `${name}.c`)], {
    encoding: "utf8",
  });
  if (status === 0 && existsSync(output)) return null;
  return (
    String(stderr)
      .split("\n")
      .find((line) => line.includes("error:")) ?? `${using}: exit code ${status}`
  );
}

/** To be called where {@link whyNoWasm} has no reason. */
export function runWasm(name: string, command = COMMAND): WasmRow {
  const right = runVariant(name, "right", command);
  const buggy = runVariant(name, "buggy", command);
  return { name, reason: buggy.reason, right: right.verdict, buggy: buggy.verdict, report: buggy.report };
}

function runVariant(
  name: string,
  variant: Variant,
  command: string,
): { reason: string | null; verdict: NativeVerdict; report: string } {
  const folder = mkdtempSync(join(tmpdir(), "refheap-wasm-"));
  try {
    const reason = compile(compiler!, name, variant, folder);
    if (reason !== null) return { reason, verdict: "not run", report: "" };
    const options = ["check", "-q", `--error-exitcode=${ERROR_EXIT_CODE}`, join(folder, `${name}.wasm`)];
    const run = spawnSync(process.execPath, [command, ...options], { encoding: "utf8", input: INPUT });
    if (run.status !== 0 && run.status !== ERROR_EXIT_CODE)
      throw new Error(`${name}: exit code ${run.status}: ${run.stderr}`);
    const isReported = run.status === ERROR_EXIT_CODE;
    return {
      reason,
      verdict: isReported ? "report" : "nothing",
      report: isReported ? run.stderr.split("\n")[0] : "",
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
