// Options of heaps drawn at random: configurations with size classes of their own, fills, quarantines, release intervals. Valid ones
// only; fuzz/options draws those that are refused.
import fc from "fast-check";
import type { HeapOptions } from "../../allocator/options/options.ts";
import { SizeClassMap } from "../../allocator/options/size-class-map.ts";
import { Source, show } from "../harness/journal.ts";

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
    return { name: "drawn", sizes: ascending.map((bytes) => Math.max(32, bytes)).filter(isNew), ...hints };
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

const config = fc.record(
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

/** Options as plain data; `heapOptions` makes them what a heap takes. */
export const drawnOptions = fc.record(
  {
    config: fc.oneof(config, fc.constantFrom("default" as const, "android" as const, "fuchsia" as const)),
    fill: fc.constantFrom("none" as const, "zero" as const, "pattern" as const),
    pattern: fc
      .constantFrom(1, 2, 4, 8, 16)
      .chain((length) => fc.array(fc.nat(255), { minLength: length, maxLength: length })),
    largeFill: fc.constantFrom("refpage" as const, "memset" as const, "scudo" as const),
    largeRealloc: fc.constantFrom("mremap" as const, "copy" as const),
    hugePages: fc.constantFrom("scudo" as const, "never" as const, "madvise" as const, "always" as const),
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

export type DrawnOptions = typeof drawnOptions extends fc.Arbitrary<infer T> ? T : never;

export function heapOptions(drawn: DrawnOptions): HeapOptions {
  const { config, ...others } = drawn;
  if (config === undefined) return others;
  if (typeof config === "string") return { ...others, config };
  const primary = { ...config.primary, sizeClassMap: new SizeClassMap(config.primary.sizeClassMap) };
  return { ...others, config: { ...config, primary } };
}

/** The options as a program would write them. */
export function shownOptions(drawn: DrawnOptions): string {
  const { config } = drawn;
  if (config === undefined || typeof config === "string") return show(drawn);
  const sizeClassMap = new Source(`new SizeClassMap(${show(config.primary.sizeClassMap)})`);
  return show({ ...drawn, config: { ...config, primary: { ...config.primary, sizeClassMap } } });
}
