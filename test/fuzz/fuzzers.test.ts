// Each fuzzer for a fixed number of programs from a fixed seed, the same on every machine, and every program that once failed. For
// longer runs from other seeds: `npm run fuzz -- --minutes 10`.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { fuzzers } from "../../fuzz/fuzzers.ts";
import { silent } from "../../fuzz/harness/journal.ts";
import { describeFailure, runBatch } from "../../fuzz/harness/run.ts";

const SEED = 20261130;
const LONG = 120_000;

describe("random programs", () => {
  test.each(Object.keys(fuzzers))("%s: nothing is found", { timeout: LONG }, async (name) => {
    const fuzzer = await fuzzers[name].load();
    const tally = { programs: 0, operations: 0 };
    const failure = await runBatch(name, fuzzer, { seed: SEED, count: fuzzer.inTests }, tally);
    expect(failure === undefined ? "" : describeFailure(failure).join("\n")).toBe("");
    expect(tally.programs).toBe(fuzzer.inTests);
    expect(tally.operations).toBeGreaterThanOrEqual(tally.programs);
  });
});

interface Regression {
  readonly fuzzer: string;
  /** What was wrong. */
  readonly found: string;
  readonly program: unknown;
}

const lines = readFileSync(new URL("regressions.jsonl", import.meta.url), "utf8")
  .trim()
  .split("\n");
const regressions = lines.map((line) => JSON.parse(line) as Regression);

describe("what was found once", () => {
  test.each(regressions)("$fuzzer: $found", async ({ fuzzer, program }) => {
    const { run } = await fuzzers[fuzzer].load();
    expect(await run(program, silent)).toBeGreaterThan(0);
  });
});
