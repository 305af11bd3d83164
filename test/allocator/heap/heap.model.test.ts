// Random programs against a plain model of the live chunks: no overlap, alignment, contents, usable size, fills, invariants.
// Named configurations, options drawn at random, and two heaps in one process; at the end the resident set is small again.
import fc from "fast-check";
import { describe, test } from "vitest";
import { customConfig } from "../../../allocator/options/config.ts";
import type { HeapOptions } from "../../../allocator/options/options.ts";
import { fixedSizeClassMap } from "../../../allocator/options/size-class-map.ts";
import { heapOptions, drawnOptions as options } from "../../../fuzz/heap/drawn-options.ts";
import { runProgram, step } from "../../../fuzz/heap/heap-model.ts";
import { createKernel } from "../../../refpage/kernel.ts";

const tinyMap = fixedSizeClassMap({
  name: "tiny",
  numBits: 1,
  minSizeLog: 10,
  midSizeLog: 10,
  maxSizeLog: 13,
  sizeDelta: 0,
  maxCachedHint: 8,
  maxBytesCachedLog: 12,
});
/** Regions that 2 MiB fill, so that the primary overflows into larger classes and the secondary. */
const tinyConfig = customConfig({
  name: "tiny",
  primary: { sizeClassMap: tinyMap, regionSizeLog: 21, groupSizeLog: 20, contiguousRegions: false },
  secondaryCache: { entriesArraySize: 8, defaultMaxEntriesCount: 8, defaultMaxEntrySize: 2 ** 20 },
});

const settings: [string, HeapOptions][] = [
  ["default", {}],
  ["android, pattern by reference pages", { config: "android", fill: "pattern", pattern: [1, 2, 3, 4] }],
  ["fuchsia, zero", { config: "fuchsia", fill: "zero", largeFill: "memset" }],
  ["tiny regions, pattern as Scudo", { config: tinyConfig, fill: "pattern", largeFill: "scudo" }],
  ["pattern by memset, fill on free", { fill: "pattern", largeFill: "memset", fillOnFree: true }],
  ["quarantine", { quarantine: { sizeKb: 64, threadLocalSizeKb: 16, maxChunkSize: 4096 }, fill: "zero" }],
  [
    "no waiting to release, BSD checksum",
    { releaseToOSIntervalMs: 0, checksum: "bsd", fill: "pattern", fillOnFree: true },
  ],
];

const steps = fc.array(step, { minLength: 1, maxLength: 60 });
const seeds = fc.nat(0xffff);
/** FC_RUNS: how many times as many programs as usual. */
const factor = Number(process.env.FC_RUNS ?? 1);

describe.each(settings)("%s", (_, given) => {
  const kernel = createKernel({ memoryBytes: 2 ** 26 });

  test("a random program, its threads and its children see nothing but what malloc promises", () => {
    fc.assert(
      fc.property(steps, seeds, (program, seed) => void runProgram(kernel, [given], program, seed)),
      { numRuns: 15 * factor },
    );
  });
});

describe("options drawn at random", () => {
  const kernel = createKernel({ memoryBytes: 2 ** 26 });

  test("one heap", () => {
    fc.assert(
      fc.property(
        options,
        steps,
        seeds,
        (given, program, seed) => void runProgram(kernel, [heapOptions(given)], program, seed),
      ),
      { numRuns: 40 * factor },
    );
  });

  test("two heaps in one process", () => {
    const two = fc.tuple(options, options);
    fc.assert(
      fc.property(
        two,
        steps,
        seeds,
        (given, program, seed) => void runProgram(kernel, given.map(heapOptions), program, seed),
      ),
      { numRuns: 30 * factor },
    );
  });
});
