// The sentence that answers a comparison: how much lower the peak would be, and on what that hangs.
import { expect, test } from "vitest";
import type { ComparedTrace } from "../../../../bench/lab/report/comparison.ts";
import { summaries } from "../../../../bench/lab/report/summary.ts";

function compared(touches: string, peaks: Readonly<Record<string, number>>): ComparedTrace {
  const [baseline] = Object.keys(peaks);
  return {
    trace: "a.trace",
    touches,
    baseline,
    policies: Object.entries(peaks).map(([policy, value]) => {
      const percent = 100 * (value / peaks[baseline] - 1);
      const difference = policy === baseline ? null : { percent, low: percent, high: percent };
      const figure = {
        name: "peak RSS",
        unit: "bytes" as const,
        value,
        low: value,
        high: value,
        isEstimate: false,
        difference,
      };
      return { policy, seeds: [1], stopped: "", figures: [figure] };
    }),
  };
}

function sentence(...ends: ComparedTrace[]): string {
  return summaries(ends)[0].sentence;
}

test("it is about reference pages where they were tried", () => {
  expect(sentence(compared("of the trace", { memset: 1000, none: 10, "pattern-refpage": 400 }))).toBe(
    "With reference pages the peak would be 60.0 % lower than with memset.",
  );
});

test("it is about the policy with the lowest peak otherwise", () => {
  expect(sentence(compared("of the trace", { memset: 1000, none: 900, zero: 1100 }))).toBe(
    "With none the peak would be 10.0 % lower than with memset.",
  );
});

test("without touches it has both ends, and says what they hang on", () => {
  const text = sentence(
    compared("none", { memset: 1000, "pattern-refpage": 10 }),
    compared("all", { memset: 1000, "pattern-refpage": 1010 }),
  );
  expect(text).toMatch(
    /^With reference pages the peak would be from 99.0 % lower to 1.0 % higher than with memset\. It hangs on /,
  );
  expect(text).toContain('"none" and "all" are the ends');
});

test.each([
  [0.59, 0.37, "41.0 to 63.0 % lower than"],
  [1.02, 1.02, "2.0 % higher than"],
  [1, 1, "the same as"],
])("peaks of %d and %d of the baseline are %s", (first, second, words) => {
  const text = sentence(
    compared("none", { memset: 1, "pattern-refpage": first }),
    compared("all", { memset: 1, "pattern-refpage": second }),
  );
  expect(text).toContain(`the peak would be ${words} with memset.`);
});

test("of one policy alone it says what is missing", () => {
  expect(sentence(compared("all", { memset: 1 }))).toMatch(/^One policy alone: memset; another one/);
});
