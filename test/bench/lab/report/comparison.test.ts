// Comparisons: differences from the baseline, intervals from seeds and from constants, as text and CSV.
import { beforeAll, expect, test } from "vitest";
import { DRAGONBOARD } from "../../../../bench/lab/cost/machine-models.ts";
import { parsePolicy } from "../../../../bench/lab/replay/policy.ts";
import { parseResultFile, type ReplayResult, resultFile } from "../../../../bench/lab/replay/result.ts";
import { replayTrace } from "../../../../bench/lab/replay/run-replay.ts";
import { compareResults } from "../../../../bench/lab/report/comparison.ts";
import { comparisonCsv, formatComparison, formatDifference } from "../../../../bench/lab/report/comparison-text.ts";
import { traceOf } from "../traces/events-of.ts";

const TRACE = `refheap-trace 1\n${Array.from({ length: 20 }, (_, id) => `0 malloc ${id} 300000`).join("\n")}\n`;
let results: ReplayResult[];

async function replay(policy: string, seed: number): Promise<ReplayResult> {
  const options = { policy: parsePolicy(policy), seed, touches: "fraction=0.5", memoryBytes: 2 ** 26 };
  return replayTrace(await traceOf(TRACE), options);
}

beforeAll(async () => {
  results = [];
  for (const policy of ["pattern-memset", "pattern-refpage"]) {
    for (const seed of [1, 2, 3]) results.push(await replay(policy, seed));
  }
});

test("the first policy is the baseline, and the others' differences are from it", () => {
  const [compared] = compareResults(results, DRAGONBOARD);
  expect(compared.baseline).toBe("pattern-memset");
  const [memset, refpage] = compared.policies;
  expect(memset.figures.every((figure) => figure.difference === null)).toBe(true);
  const [peak] = refpage.figures;
  expect(peak.difference?.percent).toBeCloseTo(-50, -1);
  expect(peak.difference?.low).toBeLessThan(peak.difference?.percent ?? 0);
});

test("one seed has exact counts, and time keeps the interval of its constants", () => {
  const single = results.filter(({ seed }) => seed === 1);
  const figures = compareResults(single, DRAGONBOARD)[0].policies[1].figures;
  for (const figure of figures) {
    expect(figure.low === figure.high).toBe(!figure.isEstimate);
  }
  expect(figures.filter(({ isEstimate }) => isEstimate).map(({ name }) => name)).toEqual(["memory time"]);
});

test("another baseline can be asked for, and one that is not there is named", () => {
  expect(compareResults(results, DRAGONBOARD, "pattern-refpage")[0].baseline).toBe("pattern-refpage");
  expect(() => compareResults(results, DRAGONBOARD, "none")).toThrow(
    'no result of policy "none" for a.trace; there are pattern-memset, pattern-refpage',
  );
});

test("the text names trace, touches, baseline and machine, and calls time an estimate", () => {
  const text = formatComparison(compareResults(results, DRAGONBOARD)[0], DRAGONBOARD.name);
  expect(text).toContain("a.trace: touches fraction=0.5; differences from pattern-memset");
  expect(text).toContain("memory time, estimated");
  expect(text).toContain("Time is an estimate for dragonboard-845c");
  expect(text).toContain("means of 3 seeds with 95 % intervals");
});

test("a difference shows its sign and its interval", () => {
  const figure = { name: "x", unit: "count" as const, value: 1, low: 1, high: 1 };
  const difference = { percent: -12.34, low: -13.34, high: -11.34 };
  expect(formatDifference({ ...figure, isEstimate: false, difference })).toBe("−12.3 % ± 1.0");
  expect(formatDifference({ ...figure, isEstimate: true, difference })).toBe("−12.3 % [−13.3, −11.3]");
  expect(formatDifference({ ...figure, isEstimate: false, difference: { percent: 5, low: 5, high: 5 } })).toBe(
    "+5.0 %",
  );
  expect(formatDifference({ ...figure, isEstimate: false, difference: null })).toBe("");
});

test("CSV has a line for each figure, in plain numbers", () => {
  const lines = comparisonCsv(compareResults(results, DRAGONBOARD)).trim().split("\n");
  expect(lines.length).toBe(1 + 2 * 6);
  expect(lines[0].split(",").length).toBe(12);
  expect(lines[1]).toMatch(/^a\.trace,fraction=0\.5,pattern-memset,peak RSS,bytes,\d+,\d+,\d+,no,,,$/);
});

test("a file of results is read back, and anything else is refused by name", () => {
  const file = resultFile("refheap replay a.trace", results);
  expect(parseResultFile(JSON.stringify(file), "r.json")).toEqual(file);
  expect(() => parseResultFile("{}", "r.json")).toThrow(
    'r.json: expected results as refheap replay --json writes them ("kind"',
  );
  expect(() => parseResultFile("{", "r.json")).toThrow(
    "r.json: expected results as refheap replay --json writes them: ",
  );
  expect(() => parseResultFile(JSON.stringify({ ...file, version: 2 }), "r.json")).toThrow("version 1, found 2");
});
