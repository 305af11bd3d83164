// One script in all ways: what holds with its modules as they are must hold with them rewritten, with the same traps, memories and
// globals. What does not hold as they are is this engine's, and is counted apart.
import { readFileSync } from "node:fs";
import type { RunOptions } from "../runner.ts";
import { type Command, type Constant, isAssertion, isSource, readCommands } from "./commands.ts";
import { bitsOf } from "./constants.ts";
import type { Outcome } from "./outcome.ts";
import { stateOf, WayRun } from "./way-run.ts";
import { AS_IS, REWRITTEN } from "./ways.ts";

/** Counts of assertions. */
export class ScriptTally {
  passed = 0;
  failed = 0;
  /** By reason. */
  readonly skipped = new Map<string, number>();
  readonly refused = new Map<string, number>();
}

/** @throws ScriptError: the file is no script. NotAssembled: its constants cannot be read */
export function runScript(file: string, tally: ScriptTally, options: RunOptions): void {
  const commands = readCommands(readFileSync(file, "utf8"));
  const bits = bitsOf(commands.flatMap(constantsOf));
  const before = new WayRun(AS_IS, bits);
  const expected = commands.map((command) => before.run(command));
  const ways = REWRITTEN.map((way) => {
    const run = new WayRun(way, bits);
    const got = commands.map((command) => run.run(command));
    return { way, run, got };
  });
  const { print = console.log, verbose = false } = options;
  for (const [index, command] of commands.entries()) {
    if (verbose && expected[index].verdict === "failed")
      print(`${file}:${command.line}, as it is: ${command.text}, ${expected[index].detail}`);
    const outcomes = ways.map(({ way, got }) => ({ way: way.name, got: got[index] }));
    const wrong = count(command, expected[index], outcomes, tally);
    if (wrong === null) continue;
    print(`${file}:${command.line}, ${wrong.way}: ${command.text}`);
    print(`  ${wrong.reason}`);
  }
  for (const { way, run } of ways) {
    for (const text of differences(before, run)) {
      tally.failed++;
      print(`${file}, ${way.name}: ${text}`);
    }
    run.dispose();
  }
}

/** @returns what is wrong, or null */
function count(
  command: Command,
  expected: Outcome,
  outcomes: readonly { readonly way: string; readonly got: Outcome }[],
  tally: ScriptTally,
): { way: string; reason: string } | null {
  if (expected.verdict !== "held") {
    const reason = expected.verdict === "failed" ? "not as the script says in this engine" : expected.detail;
    if (isAssertion(command)) add(expected.verdict === "refused" ? tally.refused : tally.skipped, reason);
    return null;
  }
  const refusal = outcomes.find(({ got }) => got.verdict === "refused");
  if (refusal !== undefined) {
    if (isAssertion(command)) add(tally.refused, refusal.got.detail);
    return null;
  }
  const wrong = outcomes.find(({ got }) => got.verdict !== "held" || got.detail !== expected.detail);
  if (wrong === undefined) {
    if (isAssertion(command)) tally.passed++;
    return null;
  }
  tally.failed++;
  const { verdict, detail } = wrong.got;
  return { way: wrong.way, reason: verdict === "held" ? `expected ${expected.detail}, got ${detail}` : detail };
}

function add(counts: Map<string, number>, reason: string): void {
  counts.set(reason, (counts.get(reason) ?? 0) + 1);
}

/** What memories and globals have in the end. Where an instance is missing, a command said why. */
function differences(before: WayRun, after: WayRun): string[] {
  if (before.all.length !== after.all.length) return [];
  return before.all.flatMap((loaded, index) => {
    const got = stateOf(after.all[index]);
    return stateOf(loaded).flatMap((text, at) =>
      text === got[at] ? [] : [`in the end, of module ${index + 1}, expected ${text}, got ${got[at]}`],
    );
  });
}

function constantsOf(command: Command): readonly Constant[] {
  const found: Constant[] = [];
  const add = (constants: readonly Constant[]): void => {
    for (const constant of constants) found.push(constant, ...constant.alternatives);
  };
  if ("action" in command && !isSource(command.action)) add(command.action.values);
  if ("results" in command) add(command.results);
  return found;
}
