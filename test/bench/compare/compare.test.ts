// What two runs of a benchmark say together: differences beyond chance are named, all others are not.
import { expect, test } from "vitest";
import { compareRows } from "../../../bench/compare/compare.ts";
import { rowsOf } from "../../../bench/compare/rows.ts";

const steady = [100, 101, 99, 100, 102, 98, 100];
const scaled = (by: number): number[] => steady.map((each) => each * by);

test("a row that takes twice as long is slower, one that takes half as long is faster", () => {
  const base = [
    { name: "a", samples: steady },
    { name: "b", samples: steady },
  ];
  const next = [
    { name: "b", samples: scaled(0.5) },
    { name: "a", samples: scaled(2) },
  ];
  expect(compareRows(base, next).map(({ name, verdict }) => [name, verdict])).toEqual([
    ["a", "slower"],
    ["b", "faster"],
  ]);
});

test("a difference inside the interval, or of a trifle, does not count", () => {
  const wide = [50, 150, 60, 140, 100];
  expect(
    compareRows([{ name: "a", samples: wide }], [{ name: "a", samples: [60, 160, 70, 150, 110] }])[0].verdict,
  ).toBe("same");
  expect(compareRows([{ name: "a", samples: steady }], [{ name: "a", samples: scaled(1.02) }])[0].verdict).toBe("same");
});

test("rows that only one run has are left out", () => {
  expect(compareRows([{ name: "a", samples: steady }], [{ name: "b", samples: steady }])).toEqual([]);
});

test("samples are found in any form of file, and named by the words beside them, not by their place", () => {
  const row = { subject: "refheap", workload: "pair 64 B", nanoseconds: steady };
  const other = { subject: "glibc", workload: "pair 64 B", nanoseconds: [1, 2] };
  const names = (rows: object[]): string[] =>
    rowsOf({ benchmark: "malloc", host: { cores: 2 }, rows }).map(({ name }) => name);
  expect(names([row, other])).toEqual(names([other, row]).reverse());
  expect(new Set(names([row, other])).size).toBe(2);
  expect(rowsOf({ rounds: 5, rows: [{ ...row, nanoseconds: [1] }] })).toEqual([]);
});
