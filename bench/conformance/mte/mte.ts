// The dialect of memory tagging: single instructions, scripts, and cases with system calls, told apart by their content.
// What each kind of line means is in mte/; faults and values are compared there too.
import { readLines, UnreadableFile } from "../lines.ts";
import type { RunOptions, Tally } from "../runner.ts";
import { runStepCase, type StepCase } from "./cases.ts";
import { type MemoryCase, type RegisterCase, runMemoryCase, runRegisterCase } from "./instructions.ts";
import { MalformedCase } from "./names.ts";
import { CaseFailed } from "./observed.ts";
import { forgetKernels } from "./program.ts";
import { runScriptCase, type ScriptCase } from "./scripts.ts";

/** Runs one recorded case to its end. @throws CaseFailed at the first difference. MalformedCase for another kind of line. */
function runCase(text: string): string {
  let parsed: Record<string, unknown>;
  try {
    parsed = JSON.parse(text) as Record<string, unknown>;
  } catch (error) {
    throw new MalformedCase(`not JSON: ${(error as Error).message}`);
  }
  if (parsed === null || typeof parsed !== "object" || typeof parsed.id !== "string")
    throw new MalformedCase("no case id");
  if (Array.isArray(parsed.steps)) {
    if ("endBytes" in parsed) runScriptCase(parsed as unknown as ScriptCase);
    else runStepCase(parsed as unknown as StepCase);
  } else if (typeof parsed.pages === "string") {
    runMemoryCase(parsed as unknown as MemoryCase);
  } else if (typeof parsed.op === "string" && "xn" in parsed) {
    runRegisterCase(parsed as unknown as RegisterCase);
  } else {
    throw new MalformedCase(`case ${parsed.id} is neither an instruction nor a list of steps`);
  }
  return parsed.id;
}

function idOf(text: string): string {
  return /"id":\s*"([^"]*)"/.exec(text)?.[1] ?? "";
}

/** Replays files of recorded tagging behaviour. A line that is no case, and a file that can't be read, count as failed. */
export async function runMte(files: readonly string[], options: RunOptions = {}): Promise<Tally> {
  const { verbose = false, only, print = console.log } = options;
  const tally: Tally = { passed: 0, failed: 0 };
  for (const file of files) {
    try {
      for await (const line of readLines(file)) {
        const id = idOf(line.text);
        if (only !== undefined && id !== only) continue;
        try {
          runCase(line.text);
          tally.passed++;
          if (verbose) print(`${id}: passed`);
        } catch (error) {
          tally.failed++;
          forgetKernels();
          print(`${id === "" ? "?" : id} (${line.file}:${line.number}), ${describe(error)}`);
        }
      }
    } catch (error) {
      if (!(error instanceof UnreadableFile)) throw error;
      print(error.message);
      tally.failed++;
    }
  }
  return tally;
}

function describe(error: unknown): string {
  if (error instanceof CaseFailed) {
    const { where, expected, got } = error.mismatch;
    return `${where}\n    expected  ${JSON.stringify(expected)}\n    got       ${JSON.stringify(got)}`;
  }
  if (error instanceof MalformedCase) return error.message;
  return `exception\n    ${(error as Error).stack ?? String(error)}`;
}
