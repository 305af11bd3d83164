// The statistics that the benchmark tables print, against published values of Student's t and cases done by hand.
import { describe, expect, test } from "vitest";
import { improvementOver, studentQuantile, summarise } from "../../../bench/harness/statistics.ts";

describe("Student's t", () => {
  test.each([
    [1, 12.706],
    [2, 4.303],
    [3, 3.182],
    [4, 2.776],
    [5, 2.571],
    [9, 2.262],
    [18, 2.101],
    [30, 2.042],
    [120, 1.98],
  ])("the 97.5 %% quantile for %i degrees of freedom is %f", (freedom, quantile) => {
    expect(studentQuantile(0.975, freedom)).toBeCloseTo(quantile, 3);
  });
});

describe("a summary", () => {
  test("has the median, not the mean, of skewed samples", () => {
    expect(summarise([1, 1, 1, 1, 100])).toMatchObject({ median: 1, mean: 20.8, count: 5 });
  });

  test("has an interval of t times the standard error", () => {
    expect(summarise([1, 2, 3, 4, 5]).halfWidth).toBeCloseTo(2.776 * Math.sqrt(2.5 / 5), 2);
  });

  test("has no width for one sample, and one sample is no error", () => {
    expect(summarise([7])).toEqual({ median: 7, mean: 7, halfWidth: 0, count: 1 });
  });

  test("of no samples is an error", () => {
    expect(() => summarise([])).toThrow("no samples");
  });
});

describe("an improvement", () => {
  test("is the difference of the means in percent of the reference", () => {
    expect(improvementOver([10, 10, 10], [1, 1, 1])).toEqual({ percent: 90, halfWidth: 0 });
  });

  test("has the pooled interval of the difference, as ministat prints it", () => {
    const { percent, halfWidth } = improvementOver([9, 10, 11], [4, 5, 6]);
    expect(percent).toBeCloseTo(50);
    expect(halfWidth).toBeCloseTo(10 * studentQuantile(0.975, 4) * Math.sqrt(2 / 3), 6);
  });

  test("is negative where the samples are slower", () => {
    expect(improvementOver([1, 1], [2, 2]).percent).toBe(-100);
  });
});
