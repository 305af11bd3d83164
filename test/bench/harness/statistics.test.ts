// The statistics that the benchmark tables print, against published values of Student's t and cases done by hand.
import { describe, expect, test } from "vitest";
import {
  improvementOver,
  medianInterval,
  outliers,
  pairedImprovement,
  studentQuantile,
  summarise,
} from "../../../bench/harness/statistics.ts";

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

describe("a median's interval", () => {
  const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

  test.each([
    [1, 1, 1],
    [5, 1, 5],
    [6, 1, 6],
    [9, 2, 8],
    [10, 2, 9],
    [15, 4, 12],
    [30, 10, 21],
    [101, 41, 61],
  ])("of %i samples is from the %i. to the %i., as tables of the sign test have it", (count, low, high) => {
    expect(medianInterval(upTo(count).toReversed())).toEqual({ median: (count + 1) / 2, low, high });
  });

  test("does not move with one sample far out; of none it is an error", () => {
    const samples = upTo(15);
    expect(medianInterval([...samples.slice(0, 14), 1e9])).toEqual(medianInterval(samples));
    expect(() => medianInterval([])).toThrow("no samples");
  });

  test("holds the true median in 95 % of many draws", () => {
    let state = 12345;
    const random = (): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state / 2 ** 32;
    };
    let held = 0;
    for (let draw = 0; draw < 2000; draw++) {
      const { low, high } = medianInterval(Array.from({ length: 15 }, () => -Math.log(random())));
      if (low <= Math.LN2 && Math.LN2 <= high) held++;
    }
    expect(held / 2000).toBeGreaterThan(0.95);
    expect(held / 2000).toBeLessThan(0.98);
  });
});

describe("a paired improvement", () => {
  test("is taken round by round: what slows a round down slows both", () => {
    expect(pairedImprovement([10, 20, 40, 10, 80, 10], [5, 10, 20, 5, 40, 5])).toEqual({ percent: 50, halfWidth: 0 });
    expect(pairedImprovement([1, 1], [2, 4])).toEqual({ percent: -200, halfWidth: 100 });
  });
});

describe("outliers", () => {
  test("are far from the median by the others' own spread, and by a tenth of it", () => {
    expect(outliers([10, 10.1, 9.9, 10, 10, 30, 10, 4])).toEqual([
      { round: 6, timesMedian: 3 },
      { round: 8, timesMedian: 0.4 },
    ]);
    expect(outliers([10, 10, 10, 10, 10.5])).toEqual([]);
    expect(outliers([10, 20, 15, 12, 18, 30])).toEqual([]);
    expect(outliers([1, 1, 9])).toEqual([]);
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
