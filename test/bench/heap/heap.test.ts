// The heap benchmark's jobs, on small sizes: the figures that do not depend on speed are right. Each job is a child process.
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import type { FootprintFigures, Job, LargeFigures, Mode, SmallFigures } from "../../../bench/heap/jobs.ts";

const PAGE = 4096;
const MIB = 2 ** 20;
const child = fileURLToPath(new URL("../../../dist/bench/heap/child.js", import.meta.url));

function measure(job: Job): unknown {
  return JSON.parse(execFileSync(process.execPath, ["--expose-gc", child, JSON.stringify(job)], { encoding: "utf8" }));
}

function footprint(mode: Mode, touchedPercent: number): number {
  const job = { what: "footprint" as const, mode, chunkBytes: MIB, totalBytes: 4 * MIB, touchedPercent };
  return (measure(job) as FootprintFigures).simulatedRssBytes / PAGE;
}

describe("resident pages of four chunks of 1 MiB", () => {
  // Each chunk's headers are in a page of their own, in front of its 256.
  test.each([
    ["none", 0, 4],
    ["refpage", 0, 4],
    ["refpage", 1, 4 + 4 * 3],
    ["refpage", 100, 4 * 257],
    ["memset", 0, 4 * 257],
  ] as const)("%s, %d percent touched: %d", (mode, touchedPercent, pages) => {
    expect(footprint(mode, touchedPercent)).toBe(pages);
  });
});

test("a large malloc by reference page takes one page at every size, by memset all of them", () => {
  const rss = (mode: Mode, chunkBytes: number): number =>
    (measure({ what: "large", mode, chunkBytes, rounds: 1 }) as LargeFigures).simulatedRssBytes;
  expect([MIB, 1024 * MIB].map((size) => rss("refpage", size))).toEqual([PAGE, PAGE]);
  expect(rss("memset", MIB)).toBe(MIB + PAGE);
});

test("small chunks are measured for as many rounds as asked for", () => {
  const job = { what: "small" as const, rounds: 2, operations: 1000, liveChunks: 100 };
  const figures = measure(job) as SmallFigures;
  expect([figures.mallocFree, figures.replacement].map((samples) => samples.length)).toEqual([2, 2]);
});
