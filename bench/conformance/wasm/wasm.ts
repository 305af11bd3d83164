// Scripts of the official WebAssembly tests (.wast): each runs with its modules as they are, and rewritten for the heap in every way.
import { readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import type { RunOptions, Tally } from "../runner.ts";
import { ScriptError } from "../script.ts";
import { NotAssembled } from "./assemble.ts";
import { runScript, ScriptTally } from "./script-run.ts";

/** Runs scripts, and those that lie in folders. Prints what differs, and what could not be compared, by reason. */
export async function runWasm(files: readonly string[], options: RunOptions = {}): Promise<Tally> {
  const { only, verbose = false, print = console.log } = options;
  const whole = new ScriptTally();
  for (const file of files.flatMap(scriptsOf)) {
    if (only !== undefined && basename(file, ".wast") !== only) continue;
    const { passed, failed } = whole;
    try {
      runScript(file, whole, options);
    } catch (error) {
      if (!(error instanceof ScriptError) && !(error instanceof NotAssembled)) throw error;
      print(`${file}: ${error.message}`);
      whole.failed++;
    }
    if (verbose) print(`${file}: ${whole.passed - passed} passed, ${whole.failed - failed} failed`);
    // Memories of scripts that are done are the garbage collector's, which runs between tasks.
    await new Promise((resolve) => setImmediate(resolve));
  }
  printReasons("not comparable here", whole.skipped, print);
  printReasons("refused, not supported", whole.refused, print);
  return { passed: whole.passed, failed: whole.failed };
}

function scriptsOf(file: string): string[] {
  if (!statSync(file).isDirectory()) return [file];
  return readdirSync(file)
    .filter((name) => name.endsWith(".wast"))
    .sort()
    .map((name) => join(file, name));
}

function printReasons(title: string, reasons: ReadonlyMap<string, number>, print: (line: string) => void): void {
  for (const [reason, count] of [...reasons].sort((a, b) => b[1] - a[1])) print(`${title}: ${count} (${reason})`);
}
