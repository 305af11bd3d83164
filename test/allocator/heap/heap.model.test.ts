// Random programs against a plain model of the live chunks: no overlap, alignment, contents, usable size, fills, invariants.
// Named configurations, options drawn at random, and two heaps in one process; at the end the resident set is small again.
import fc from "fast-check";
import { describe, test } from "vitest";
import { type CustomConfig, customConfig } from "../../../allocator/options/config.ts";
import type { HeapOptions } from "../../../allocator/options/options.ts";
import { fixedSizeClassMap, SizeClassMap } from "../../../allocator/options/size-class-map.ts";
import { createKernel } from "../../../refpage/kernel.ts";
import { runProgram, step } from "./heap-model.ts";

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

/** A list of classes as a user may give it. The largest holds a batch of the quarantine. */
const classes = fc
  .record({
    sizes: fc.uniqueArray(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 20 }),
    largest: fc.integer({ min: 3001, max: 6000 }),
    maxCachedHint: fc.integer({ min: 1, max: 14 }),
    maxBytesCachedLog: fc.integer({ min: 6, max: 16 }),
  })
  .map(({ sizes, largest, ...hints }) => {
    const ascending = [...sizes.sort((a, b) => a - b), largest].map((units) => units * 16);
    return new SizeClassMap({
      name: "drawn",
      sizes: ascending.map((bytes) => Math.max(32, bytes)).filter(isNew),
      ...hints,
    });
  });

function isNew(value: number, index: number, list: readonly number[]): boolean {
  return list.indexOf(value) === index;
}

const secondaryCache = fc.nat(12).chain((slots) =>
  fc.record({
    entriesArraySize: fc.constant(slots),
    defaultMaxEntriesCount: fc.nat(slots),
    defaultMaxEntrySize: fc.constantFrom(0, 2 ** 18, 2 ** 19, 2 ** 21),
  }),
);

const config: fc.Arbitrary<CustomConfig> = fc.record(
  {
    primary: fc.record(
      {
        sizeClassMap: classes,
        regionSizeLog: fc.integer({ min: 20, max: 24 }),
        groupSizeLog: fc.integer({ min: 17, max: 20 }),
        randomOffset: fc.boolean(),
        mapIncrement: fc.integer({ min: 1, max: 64 }).map((pages) => pages * 4096),
        contiguousRegions: fc.boolean(),
        maxBatches: fc.integer({ min: 1, max: 8 }),
        compactPointerBytes: fc.constantFrom(4 as const, 8 as const),
      },
      { requiredKeys: ["sizeClassMap", "regionSizeLog"] },
    ),
    tsd: fc.oneof(
      fc.constant({ model: "exclusive" as const }),
      fc.integer({ min: 1, max: 4 }).map((count) => ({ model: "shared" as const, arraySize: 4, defaultCount: count })),
    ),
    secondaryCache,
  },
  { requiredKeys: ["primary"] },
);

const options: fc.Arbitrary<HeapOptions> = fc.record(
  {
    config: fc.oneof(config, fc.constantFrom("default" as const, "android" as const, "fuchsia" as const)),
    fill: fc.constantFrom("none" as const, "zero" as const, "pattern" as const),
    pattern: fc
      .constantFrom(1, 2, 4, 8, 16)
      .chain((length) => fc.array(fc.nat(255), { minLength: length, maxLength: length })),
    largeFill: fc.constantFrom("refpage" as const, "memset" as const, "scudo" as const),
    largeRealloc: fc.constantFrom("mremap" as const, "copy" as const),
    fillOnFree: fc.boolean(),
    quarantine: fc.record({
      sizeKb: fc.nat(128),
      threadLocalSizeKb: fc.integer({ min: 1, max: 64 }),
      maxChunkSize: fc.constantFrom(64, 2048, 20_000),
    }),
    checksum: fc.constantFrom("crc32c" as const, "bsd" as const),
    releaseToOSIntervalMs: fc.constantFrom(-1, 0, 1, 5000),
    secondaryCachePolicy: fc.constantFrom("array" as const, "lru" as const),
    exactUsableSize: fc.boolean(),
  },
  { requiredKeys: [] },
);

const steps = fc.array(step, { minLength: 1, maxLength: 60 });
const seeds = fc.nat(0xffff);
/** FC_RUNS: how many times as many programs as usual. */
const factor = Number(process.env.FC_RUNS ?? 1);

describe.each(settings)("%s", (_, given) => {
  const kernel = createKernel({ memoryBytes: 2 ** 26 });

  test("a random program, its threads and its children see nothing but what malloc promises", () => {
    fc.assert(
      fc.property(steps, seeds, (program, seed) => runProgram(kernel, [given], program, seed)),
      { numRuns: 15 * factor },
    );
  });
});

describe("options drawn at random", () => {
  const kernel = createKernel({ memoryBytes: 2 ** 26 });

  test("one heap", () => {
    fc.assert(
      fc.property(options, steps, seeds, (given, program, seed) => runProgram(kernel, [given], program, seed)),
      { numRuns: 40 * factor },
    );
  });

  test("two heaps in one process", () => {
    const two = fc.tuple(options, options);
    fc.assert(
      fc.property(two, steps, seeds, (given, program, seed) => runProgram(kernel, given, program, seed)),
      { numRuns: 30 * factor },
    );
  });
});
