// The corpus under every detector: byte reports every use of uninitialised memory, and no detector reports a right program.
import { describe, expect, test } from "vitest";
import { corpus } from "../../../bench/detection/corpus/corpus.ts";
import { detectors, judge, type Row, tally } from "../../../bench/detection/detectors.ts";

const rows: readonly Row[] = corpus.map(judge);

describe.each(rows)("$program.name", ({ program, verdicts, falseReports }) => {
  test("no detector reports the right variant", () => {
    expect(falseReports).toEqual([]);
  });

  test("the buggy one is reported by byte", () => {
    expect(verdicts.byte).toBe("report");
  });

  test("is told apart from others by its name, and says what is wrong", () => {
    expect(corpus.filter(({ name }) => name === program.name)).toHaveLength(1);
    expect(program.what.length).toBeGreaterThan(20);
  });
});

test("there are at least sixty, most of them reads of uninitialised memory", () => {
  expect(corpus.length).toBeGreaterThanOrEqual(60);
  expect(corpus.filter(({ bug }) => bug === "uninitialised").length).toBeGreaterThanOrEqual(50);
});

test("page finds reads of large chunks' clean pages only, and tagging misuse only", () => {
  const found = (detector: string) =>
    rows.filter(({ verdicts }) => verdicts[detector] === "report").map(({ program }) => program.name);
  expect(found("page").filter((name) => /large|image-last/.test(name)).length).toBeGreaterThanOrEqual(5);
  expect(
    rows.filter(({ program, verdicts }) => program.bug === "uninitialised" && verdicts.tagging === "report"),
  ).toEqual([]);
});

test("what the table says", () => {
  const table = ["uninitialised", "use-after-free", "out-of-bounds", "invalid-free", "leak"].map((bug) =>
    [
      bug,
      ...detectors.map(({ name }) => {
        const { reports, outputs, of } = tally(rows, bug as Row["program"]["bug"], name);
        return `${name} ${reports}+${outputs}/${of}`;
      }),
    ].join(", "),
  );
  expect(table).toMatchInlineSnapshot(`
    [
      "uninitialised, off 0+29/59, pattern 0+55/59, tagging 0+27/59, page 5+26/59, byte 59+0/59",
      "use-after-free, off 0+0/5, pattern 0+0/5, tagging 4+0/5, page 0+0/5, byte 5+0/5",
      "out-of-bounds, off 1+2/6, pattern 1+2/6, tagging 3+1/6, page 1+2/6, byte 6+0/6",
      "invalid-free, off 2+0/2, pattern 2+0/2, tagging 2+0/2, page 2+0/2, byte 2+0/2",
      "leak, off 0+0/2, pattern 0+0/2, tagging 0+0/2, page 2+0/2, byte 2+0/2",
    ]
  `);
});
