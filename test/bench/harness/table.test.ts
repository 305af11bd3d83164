// Tables that fit a terminal, and text that is broken into lines.
import fc from "fast-check";
import { expect, test } from "vitest";
import { formatTable, formatTables, wrapped } from "../../../bench/harness/table.ts";

const columns = [
  { heading: "policy", align: "left" as const },
  { heading: "peak" },
  { heading: "faults" },
  { heading: "time" },
];
const rows = [
  ["none", "12.5 MiB", "100", "12 ms"],
  ["pattern", "900 KiB", "7", "3 ms"],
];

test("a table that fits stays one", () => {
  expect(formatTables(columns, rows, Number.POSITIVE_INFINITY)).toBe(formatTable(columns, rows));
});

test("columns that do not fit follow in a table below, the first column in each", () => {
  expect(formatTables(columns, rows, 20)).toBe(`policy       peak
───────  ────────
none     12.5 MiB
pattern   900 KiB

policy   faults
───────  ──────
none        100
pattern       7

policy    time
───────  ─────
none     12 ms
pattern   3 ms`);
});

test("no line is wider than the width, if each column fits beside the first; each cell is there once", () => {
  const cell = fc.stringMatching(/^[a-z]{1,9}$/);
  const table = fc.integer({ min: 2, max: 7 }).chain((count) =>
    fc.record({
      headings: fc.array(cell, { minLength: count, maxLength: count }),
      body: fc.array(fc.array(cell, { minLength: count, maxLength: count }), { minLength: 1, maxLength: 4 }),
      width: fc.integer({ min: 20, max: 90 }),
    }),
  );
  fc.assert(
    fc.property(table, ({ headings, body, width }) => {
      const text = formatTables(
        headings.map((heading) => ({ heading })),
        body,
        width,
      );
      for (const line of text.split("\n")) expect(line.length).toBeLessThanOrEqual(width);
      const shown = text.split(/\s+/).filter((word) => /^[a-z]+$/.test(word)).length;
      const tables = text.split("\n\n").length;
      expect(shown).toBe((body.length + 1) * (headings.length - 1 + tables));
    }),
  );
});

test("words are broken into lines of at most the width, longer words stay whole", () => {
  expect(wrapped("one two three fourteen", 9)).toBe("one two\nthree\nfourteen");
});
