// Run-length coding, as the recordings use it for characters and for bytes.
import { expect, test } from "vitest";
import { appendRun, encodeCharacters, runsOf } from "../../../bench/conformance/runs.ts";

test("characters are counted, a count of one is left out", () => {
  expect(encodeCharacters("AAA..-z")).toBe("3A2.-z");
  expect(encodeCharacters("")).toBe("");
  expect(encodeCharacters("-".repeat(590))).toBe("590-");
});

test("bytes become value and count", () => {
  expect(runsOf(Uint8Array.of(7, 7, 0, 7))).toEqual([
    [7, 2],
    [0, 1],
    [7, 1],
  ]);
  expect(runsOf(new Uint8Array(0))).toEqual([]);
});

test("an appended run joins the last one if it has the same value", () => {
  const runs: [number, number][] = [];
  appendRun(runs, -1, 4096);
  appendRun(runs, -1, 10);
  appendRun(runs, 0, 0);
  appendRun(runs, 2, 1);
  expect(runs).toEqual([
    [-1, 4106],
    [2, 1],
  ]);
});
