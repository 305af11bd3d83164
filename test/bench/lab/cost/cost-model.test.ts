// The cost model: the thread's nine figures within 10 %, sums and intervals, and machines read from files.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { findCompiler } from "../../../../bench/harness/c-compiler.ts";
import { parseCalibration, parseCheckTimes } from "../../../../bench/lab/cost/calibration.ts";
import { CHECK_PROGRAMS, calibrationChecks } from "../../../../bench/lab/cost/calibration-checks.ts";
import { CALIBRATION_SOURCE } from "../../../../bench/lab/cost/calibration-source.ts";
import {
  COST_EVENTS,
  type CostCounts,
  costCounts,
  estimate,
  improvement,
} from "../../../../bench/lab/cost/cost-model.ts";
import { DRAGONBOARD, machineModel } from "../../../../bench/lab/cost/machine-models.ts";
import { iterationCounts, MAPPED_PAGES, residuals, THREAD_ROWS } from "../../../../bench/lab/cost/thread-table.ts";
import { main } from "../../../../bench/microbench/program.ts";
import { createKernel } from "../../../../refpage/kernel.ts";

const PAGE = 4096;

describe("the thread's table", () => {
  test.each(residuals(DRAGONBOARD))("$figure: $thread $unit is reproduced within 10 %", ({ relative }) => {
    expect(Math.abs(relative)).toBeLessThan(0.1);
  });

  test("has nine figures", () => {
    expect(residuals(DRAGONBOARD).length).toBe(9);
  });

  test.each(THREAD_ROWS)("the simulated program's counted events give the same times: $touchedPages pages", (row) => {
    for (const fill of ["memset", "refpage-v4"] as const) {
      const kernel = createKernel({ memoryBytes: 2 ** 24 });
      const program = kernel.createProcess();
      const run = (iterations: number): ReturnType<typeof kernel.counters.snapshot> => {
        const before = kernel.counters.snapshot();
        main(program, { fill, mmapSize: MAPPED_PAGES * PAGE, touchSize: row.touchedPages * PAGE, iterations });
        return kernel.counters.since(before);
      };
      const [one, three] = [run(1), run(3)];
      const pages = fill === "memset" ? MAPPED_PAGES : row.touchedPages;
      const extra = { tagGranules: 0, gvaBlocks: 0, faultMessages: 0, peakRssBytes: pages * PAGE };
      const nanoseconds = (counted: typeof one): number =>
        estimate(costCounts(counted, extra, DRAGONBOARD.cacheBytes), DRAGONBOARD).ns;
      const seconds = ((nanoseconds(three) - nanoseconds(one)) / 2) * 1000 * 1e-9;
      const thread = fill === "memset" ? row.memsetSeconds : row.refpageSeconds;
      expect(Math.abs(seconds / thread - 1)).toBeLessThan(0.1);
    }
  });
});

describe("an estimate", () => {
  test("is the sum of counts times constants, between its bounds", () => {
    const counts = iterationCounts(10, 0, DRAGONBOARD.cacheBytes);
    const { ns, low, high, parts } = estimate(counts, DRAGONBOARD);
    expect(ns).toBeCloseTo(parts.reduce((sum, part) => sum + part.count * DRAGONBOARD.constants[part.event].ns, 0));
    expect(low).toBeLessThan(ns);
    expect(high).toBeGreaterThan(ns);
  });

  test("counts a message of userfaultfd once, with its two calls and its copy", () => {
    const { counters } = createKernel({ memoryBytes: 2 ** 24 });
    const counted = { ...counters.snapshot(), bytesCopied: 3 * PAGE, systemCalls: { read: 3, ioctl: 4 } };
    const extra = { tagGranules: 0, gvaBlocks: 0, faultMessages: 3, peakRssBytes: 0 };
    expect(costCounts(counted, extra, 1)).toMatchObject({
      messageRoundTrip: 3,
      writeFault: 3,
      systemCall: 1,
      copiedByte: 0,
      kernelByte: 3 * PAGE,
    });
  });

  test("of equal counts is no improvement, under all constants", () => {
    const counts = iterationCounts(10, 0, DRAGONBOARD.cacheBytes);
    expect(improvement(counts, counts, DRAGONBOARD)).toEqual({ value: 0, low: 0, high: 0 });
  });

  test("says how much less with an interval around the value", () => {
    const memset = iterationCounts(1000, 1000 * PAGE, DRAGONBOARD.cacheBytes);
    const { value, low, high } = improvement(memset, iterationCounts(500, 0, DRAGONBOARD.cacheBytes), DRAGONBOARD);
    expect(value).toBeCloseTo(62.6, 0);
    expect(low).toBeLessThan(value);
    expect(high).toBeGreaterThan(value);
  });
});

test("the interval of an improvement is the range over all corners of the constants' box", () => {
  const events = COST_EVENTS.slice(0, 7);
  const counts = fc.record(Object.fromEntries(COST_EVENTS.map((event) => [event, fc.nat(5)])));
  fc.assert(
    fc.property(counts, counts, (first, second) => {
      const only = (all: object): CostCounts =>
        Object.fromEntries(
          COST_EVENTS.map((event) => [event, events.includes(event) ? all[event as never] : 0]),
        ) as never;
      const [base, other] = [only(first), { ...only(second) }];
      const ratios = Array.from({ length: 2 ** events.length }, (_, corner) => {
        const ns = (each: CostCounts): number =>
          events.reduce((sum, event, bit) => {
            const { low, high } = DRAGONBOARD.constants[event];
            return sum + each[event] * ((corner >> bit) & 1 ? high : low);
          }, 0);
        return ns(other) / ns(base);
      });
      if (events.every((event) => base[event] === 0)) return;
      const { low, value, high } = improvement(base, other, DRAGONBOARD);
      expect(low).toBeCloseTo(100 * (1 - Math.max(...ratios)), 6);
      expect(high).toBeCloseTo(100 * (1 - Math.min(...ratios)), 6);
      expect(low).toBeLessThanOrEqual(value + 1e-9);
      expect(high).toBeGreaterThanOrEqual(value - 1e-9);
    }),
    { numRuns: 200 },
  );
});

describe("a machine", () => {
  const lines = (drop = ""): string =>
    [
      "cacheBytes\t1000",
      ...COST_EVENTS.filter((event) => event !== drop).map((event) => `${event}\t2\t1\t3\tmeasured`),
    ].join("\n");

  test("is made of what the calibration program prints, and read back from its file", () => {
    const model = parseCalibration(lines(), "here");
    expect(model).toMatchObject({ name: "here", cacheBytes: 1000 });
    expect(model.constants.mapCall).toEqual({ ns: 2, low: 1, high: 3, how: "measured" });
    const folder = mkdtempSync(join(tmpdir(), "refheap-machine-"));
    const file = join(folder, "machine.json");
    writeFileSync(file, JSON.stringify(model));
    expect(machineModel(file)).toEqual(model);
    writeFileSync(file, JSON.stringify({ ...model, constants: { ...model.constants, mapCall: { ns: -1 } } }));
    expect(() => machineModel(file)).toThrow(`${file}: expected constants.mapCall with 0 ≤ low ≤ ns ≤ high`);
    writeFileSync(file, "{}");
    expect(() => machineModel(file)).toThrow(`${file}: expected a machine's "name" and "cacheBytes"`);
    rmSync(folder, { recursive: true });
  });

  test("is held against programs timed whole: the sum of their events beside the time", () => {
    // Each event 2 ns (1 to 3), pages beyond the cache cold: a store to one page is 2 calls, a fault, a zap, 2 × 4096 bytes.
    const model = parseCalibration(lines(), "here");
    const times = CHECK_PROGRAMS.map((program) => `check\t${program}\t20000\t10000\t30000`).join("\n");
    const output = `${lines()}\n${times}`;
    expect(parseCalibration(output, "here")).toEqual(model);
    const [first, ...others] = calibrationChecks(model, parseCheckTimes(output));
    expect(first).toEqual({
      program: "a store to one page",
      predicted: { ns: 2 * 8196, low: 8196, high: 3 * 8196 },
      measured: { ns: 20000, low: 10000, high: 30000 },
    });
    expect(others).toHaveLength(4);
    expect(() => calibrationChecks(model, new Map())).toThrow('did not time "a store to one page"');
    for (const program of CHECK_PROGRAMS) expect(CALIBRATION_SOURCE).toContain(`check("${program}", `);
  });

  test("lacks nothing, or the program is named as broken", () => {
    expect(() => parseCalibration(lines("mapCall"), "here")).toThrow("did not print mapCall");
  });

  test("needs a compiler that answers", () => {
    expect(findCompiler({ CC: "no-such-compiler", PATH: "/nowhere" })).toSatisfy(
      (name) => name === null || typeof name === "string",
    );
    for (const event of COST_EVENTS.filter((one) => !["tagGranule", "gzvaBlock"].includes(one))) {
      expect(CALIBRATION_SOURCE).toContain(`"${event}"`);
    }
  });
});
