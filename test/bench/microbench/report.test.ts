// What the microbenchmark says of finished measurements: medians of rounds, outliers by name, and no conclusion from wide intervals.
import { expect, test } from "vitest";
import { formatReport } from "../../../bench/microbench/report.ts";
import type { RowResult } from "../../../bench/microbench/results.ts";
import { selectRows } from "../../../bench/microbench/rows.ts";

const ROUNDS = 15;
const footprint = { simulatedRssKib: 4, simulatedBaseRssKib: 0, hostRssKib: 9, hostBaseRssKib: 8 };

/** The sparse size's memset and refpage rows, with seconds of each round. */
function measured(memset: (round: number) => number, refpage: (round: number) => number): RowResult[] {
  const chosen = selectRows("4096/4096000:memset,4096/4096000:refpage-v5-plumbed").filter(
    ({ touchSize }) => touchSize === 4096,
  );
  return chosen.map((row) => {
    const of = row.fill === "memset" ? memset : refpage;
    return { row, measurement: { ...footprint, seconds: Array.from({ length: ROUNDS }, (_, index) => of(index + 1)) } };
  });
}

const report = (results: RowResult[]): string => formatReport(results, { runs: ROUNDS, iterations: 1000 });

test("a machine that is slower in some rounds, for both rows, changes nothing: rounds are compared with themselves", () => {
  const text = report(
    measured(
      (round) => (round % 3 === 0 ? 8 : 2),
      (round) => (round % 3 === 0 ? 0.04 : 0.01),
    ),
  );
  expect(text).toContain("99.50 % ± 0.00");
  expect(text).toMatch(/Conclusion: reference pages .* save 99\.5 %/);
});

test("one round far out is named, and moves no figure", () => {
  const text = report(
    measured(
      () => 2,
      (round) => (round === 7 ? 1.9 : 0.01),
    ),
  );
  expect(text).toContain(
    "outliers, which medians pass over:\n  4096/4096000:refpage-v5-plumbed: round 7 (190.00 × its median)\n",
  );
  expect(text).toContain("99.50 % ± 0.00");
});

test("wide intervals are said, in place of a conclusion and of verdicts", () => {
  const text = report(
    measured(
      () => 2,
      (round) => 0.005 + (round % 5) * 0.2,
    ),
  );
  expect(text).toMatch(
    /^No conclusion: intervals wider than ± 5 points \(4096\/4096000 [\d.]+ % ± [\d.]+\) say that this machine was busy/m,
  );
  expect(text).not.toContain("Conclusion:");
});

test("a target whose bound lies within the interval is open", () => {
  const text = report(
    measured(
      () => 2,
      (round) => 0.01 + (round % 5) * 0.01,
    ),
  );
  expect(text).toMatch(/Targets: \d of \d met, [12] open/);
  expect(text).toMatch(/^ {2}open {2}refpage-v5-plumbed/m);
});
