// What the benchmarks print with: tables that stand in columns, numbers with units, targets that tell a miss, samples by turns.
import { describe, expect, test } from "vitest";
import { startProgress } from "../../../bench/harness/progress.ts";
import { keep, ratioOf, sampleInTurn } from "../../../bench/harness/sample.ts";
import {
  formatBytes,
  formatNanoseconds,
  formatSignificant,
  formatSpread,
  formatTable,
} from "../../../bench/harness/table.ts";
import { formatTargets, isMet } from "../../../bench/harness/target.ts";

describe("a table", () => {
  test("stands in columns, words left and numbers right, with a line below the headings", () => {
    const text = formatTable(
      [{ heading: "operation", align: "left" }, { heading: "time" }],
      [["load", "4 ns"], [], ["store to a page", "12 ns"]],
    );
    expect(text.split("\n")).toEqual([
      "operation         time",
      "───────────────  ─────",
      "load              4 ns",
      "",
      "store to a page  12 ns",
    ]);
  });
});

describe("numbers", () => {
  test.each([
    [0, "0 ns"],
    [4.2, "4.20 ns"],
    [999.4, "999 ns"],
    [1234, "1.23 µs"],
    [56_789_000, "56.8 ms"],
    [3.99e12, "3990 s"],
  ])("%f nanoseconds are %s", (nanoseconds, text) => {
    expect(formatNanoseconds(nanoseconds)).toBe(text);
  });

  test("keep three digits and no exponent", () => {
    expect([0.000123456, 1.5, 98.76, 12345].map(formatSignificant)).toEqual(["0.000123", "1.50", "98.8", "12345"]);
  });

  test("a spread is a share of the value", () => {
    expect(formatSpread(200, 5)).toBe("± 2.50 %");
    expect(formatSpread(0, 5)).toBe("");
  });

  test("bytes are in binary units", () => {
    expect([512, 4096, 1536, 2 ** 30].map(formatBytes)).toEqual(["512 B", "4 KiB", "1.5 KiB", "1 GiB"]);
  });
});

describe("targets", () => {
  const near = { what: "load", measured: 4.5, unit: " times", atMost: 5 };
  const far = { what: "store", measured: 6, unit: " times", atMost: 5 };

  test("are met at their bound", () => {
    expect([near, far, { ...far, measured: 5 }].map(isMet)).toEqual([true, false, true]);
  });

  test("are printed as PASS or miss with figure and bound", () => {
    expect(formatTargets([near, far])).toBe(
      [
        "Targets: 1 of 2 met",
        "  PASS  load: 4.50 times (target ≤ 5 times)",
        "  miss  store: 6.00 times (target ≤ 5 times)",
      ].join("\n"),
    );
  });
});

describe("samples", () => {
  test("are one a round and task, and preparation comes before each batch", () => {
    const calls: string[] = [];
    const task = (name: string) => ({
      name,
      prepare: () => calls.push(`prepare ${name}`),
      batch: () => calls.push(name) && 10,
    });
    const samples = sampleInTurn([task("a"), task("b")], { rounds: 4, warmUpMilliseconds: 0 });
    expect(calls.slice(0, 5)).toEqual(["prepare a", "a", "prepare b", "b", "prepare a"]);
    expect(samples.get("a")?.nanoseconds).toHaveLength(4);
    expect(samples.get("b")?.summary.count).toBe(4);
  });

  test("stop at the budget, but not before a median means something", () => {
    const samples = sampleInTurn([{ name: "a", batch: () => 1 }], {
      rounds: 1_000_000,
      warmUpMilliseconds: 0,
      budgetMilliseconds: 0,
    });
    expect(samples.get("a")?.summary.count).toBe(3);
  });

  test("of two tasks are compared round by round", () => {
    const of = (nanoseconds: number[]) => ({ nanoseconds, summary: { median: 0, mean: 0, halfWidth: 0, count: 0 } });
    expect(ratioOf(of([2, 20, 200]), of([1, 10, 100]))).toBe(2);
  });

  test("take what a batch computes", () => {
    expect(() => keep(1)).not.toThrow();
  });
});

describe("progress", () => {
  function stream(isTTY: boolean) {
    const written: string[] = [];
    return { written, stream: { isTTY, columns: 80, write: (text: string) => written.push(text) } as never };
  }

  test("is shown on a terminal and taken away at the end", () => {
    const { written, stream: terminal } = stream(true);
    const progress = startProgress(2, terminal);
    progress.step("first");
    progress.done();
    expect(written).toEqual(["\r\u001b[2K[1/2] first", "\r\u001b[2K"]);
  });

  test("is not written to a pipe", () => {
    const { written, stream: pipe } = stream(false);
    startProgress(2, pipe).step("first");
    expect(written).toEqual([]);
  });
});
