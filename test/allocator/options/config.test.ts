// Configurations: Scudo's numbers, the values of omitted fields, and what is refused.
import { expect, test } from "vitest";
import {
  androidConfig,
  batchClassSize,
  checkConfig,
  configs,
  customConfig,
  defaultConfig,
  fuchsiaConfig,
  INTERVAL_MAX,
  INTERVAL_MIN,
  trustyConfig,
} from "../../../allocator/options/config.ts";
import { defaultSizeClassMap, trustySizeClassMap } from "../../../allocator/options/size-class-map.ts";

test("every configuration by name is one that the heap can work with", () => {
  for (const config of Object.values(configs)) expect(() => checkConfig(config)).not.toThrow();
});

test("class 0 has blocks of 128 bytes on Linux and of 64 with compact pointers", () => {
  expect(batchClassSize(defaultConfig.primary)).toBe(128);
  expect(batchClassSize(androidConfig.primary)).toBe(64);
  expect(batchClassSize(fuchsiaConfig.primary)).toBe(64);
  expect(batchClassSize(trustyConfig.primary)).toBe(64);
});

test("omitted fields take Scudo's values", () => {
  const config = customConfig({ primary: { sizeClassMap: trustySizeClassMap, regionSizeLog: 24 }, secondaryCache: {} });
  expect(config.maySupportMemoryTagging).toBe(false);
  expect(config.tsd).toEqual({ model: "exclusive" });
  expect(config.primary).toMatchObject({ randomOffset: false, contiguousRegions: true, mapIncrement: 2 ** 18 });
  expect(config.primary.defaultReleaseIntervalMs).toBeUndefined();
  expect(config.secondaryCache).toEqual({
    entriesArraySize: 0,
    quarantineSize: 0,
    defaultMaxEntriesCount: 0,
    defaultMaxEntrySize: 0,
    minReleaseIntervalMs: INTERVAL_MIN,
    maxReleaseIntervalMs: INTERVAL_MAX,
  });
});

test("given fields win, and no cache is asked for by leaving it out", () => {
  const config = customConfig({
    maySupportMemoryTagging: true,
    primary: {
      sizeClassMap: defaultSizeClassMap,
      regionSizeLog: 28,
      groupSizeLog: 19,
      mapIncrement: 8192,
      randomOffset: true,
    },
    tsd: { model: "shared", arraySize: 4, defaultCount: 2 },
  });
  expect(config.primary).toMatchObject({ groupSizeLog: 19, mapIncrement: 8192, randomOffset: true });
  expect(config.tsd).toMatchObject({ arraySize: 4 });
  expect(config.secondaryCache).toBeUndefined();
});

test("a field out of range is named with its value", () => {
  const primary = { sizeClassMap: defaultSizeClassMap, regionSizeLog: 28 };
  expect(() => customConfig({ primary: { ...primary, regionSizeLog: 40 } })).toThrow(/regionSizeLog 40/);
  expect(() => customConfig({ primary: { ...primary, groupSizeLog: 29 } })).toThrow(/groupSizeLog 29/);
  expect(() => customConfig({ primary: { ...primary, groupSizeLog: 16 } })).toThrow(/maxSize 131072/);
  expect(() => customConfig({ primary: { ...primary, mapIncrement: 5000 } })).toThrow(/mapIncrement 5000/);
  const tsd = { model: "shared" as const, arraySize: 2, defaultCount: 3 };
  expect(() => customConfig({ primary, tsd })).toThrow(/defaultCount 3/);
  const secondaryCache = { entriesArraySize: 4, defaultMaxEntriesCount: 5 };
  expect(() => customConfig({ primary, secondaryCache })).toThrow(/defaultMaxEntriesCount 5/);
});
