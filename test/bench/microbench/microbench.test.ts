// The microbenchmark: its program does what the thread's does, its rows are the thread's, its report says what was measured.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Fill, main } from "../../../bench/microbench/program.ts";
import { rows, selectRows, thread } from "../../../bench/microbench/rows.ts";
import { createKernel, PAGE_SIZE } from "../../../refpage/index.ts";

const MMAP_SIZE = 100 * PAGE_SIZE;
const TOUCH_SIZE = 10 * PAGE_SIZE;

function count(fill: Fill) {
  const kernel = createKernel();
  const process = kernel.createProcess({ name: "microbench" });
  const before = kernel.counters.snapshot();
  main(process, { fill, mmapSize: MMAP_SIZE, touchSize: TOUCH_SIZE, iterations: 3 });
  kernel.checkInvariants();
  expect(process.rssBytes).toBe(0);
  return kernel.counters.since(before);
}

describe("the program", () => {
  test("anonymous: faults on the touched pages only", () => {
    expect(count("anonymous")).toMatchObject({ anonymousWriteFaults: 30, userBytesFilled: 0, bytesFilled: 0 });
  });

  test("memset: faults on every page, and writes every byte twice", () => {
    const { anonymousWriteFaults, bytesZeroed, userBytesFilled } = count("memset");
    expect({ anonymousWriteFaults, bytesZeroed, userBytesFilled }).toEqual({
      anonymousWriteFaults: 300,
      bytesZeroed: 3 * MMAP_SIZE,
      userBytesFilled: 3 * MMAP_SIZE,
    });
  });

  test.each(["refpage-v4", "refpage-v5"] as const)(
    "%s: faults on the touched pages, and the kernel writes them once",
    (fill) => {
      const { anonymousWriteFaults, bytesFilled, systemCalls } = count(fill);
      // One more fault and fill is the page that the pattern was written to, by the program, before the call.
      expect(anonymousWriteFaults).toBe(31);
      expect(bytesFilled).toBeGreaterThanOrEqual(3 * TOUCH_SIZE);
      expect(bytesFilled).toBeLessThanOrEqual(3 * TOUCH_SIZE + PAGE_SIZE);
      expect(systemCalls).toMatchObject({ mmap: 4, munmap: 4, close: 1 });
    },
  );
});

describe("the rows", () => {
  test("are each of the thread's sizes without fill, with memset, and with both ABIs under all policies", () => {
    expect(rows).toHaveLength(thread.length * (2 + 2 * 3));
    expect(new Set(rows.map((row) => row.name)).size).toBe(rows.length);
  });

  test("are chosen by parts of their names", () => {
    expect(selectRows("4096000/4096000:memset, v5-plumbed").map((row) => row.name)).toEqual([
      "4096/4096000:refpage-v5-plumbed",
      "2048000/4096000:refpage-v5-plumbed",
      "4096000/4096000:memset",
      "4096000/4096000:refpage-v5-plumbed",
    ]);
  });

  test("a pattern that chooses none is an error that shows a right name", () => {
    expect(() => selectRows("v6")).toThrow(/no row's name contains "v6" \(names are like 4096\/4096000:memset/);
  });
});

describe("the command", () => {
  test("prints table, targets and conclusion, nothing on stderr, and writes the same figures as JSON", () => {
    const folder = mkdtempSync(join(tmpdir(), "refheap-bench-"));
    const file = join(folder, "figures.json");
    const options = [
      "--rows",
      "4096/4096000:memset,4096/4096000:refpage-v5-plumbed",
      "--runs",
      "2",
      "--iterations",
      "2",
    ];
    const { status, stdout, stderr } = spawnSync(process.execPath, ["dist/bench/main.js", ...options, "--json", file], {
      encoding: "utf8",
    });
    const figures = JSON.parse(readFileSync(file, "utf8"));
    rmSync(folder, { recursive: true });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatch(/refpage-v5-plumbed .* %/);
    expect(stdout).toMatch(/Targets: \d+ of \d+ met/);
    // Two runs of two iterations may differ by anything.
    expect(stdout).toMatch(
      /(?:\nConclusion: reference pages .* save [\d.]+ % of memset's time; the thread measured 98.8 %|\nNo conclusion: intervals wider .*)\.\n$/,
    );
    expect(figures).toMatchObject({ benchmark: "microbench", effort: { runs: 2, iterations: 2 } });
    expect(figures.rows).toHaveLength(2);
    expect(figures.rows[0].measurement.simulatedRssKib - figures.rows[0].measurement.simulatedBaseRssKib).toBe(4000);
    expect(figures.rows[1].measurement.simulatedRssKib - figures.rows[1].measurement.simulatedBaseRssKib).toBe(4);
  });
});
