// Size-class maps: the rules that every map obeys, the listed sizes of Scudo's maps, and recorded classes of the real library.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  android32SizeClassMap,
  androidSizeClassMap,
  defaultSizeClassMap,
  describeSizeClassMap,
  fixedSizeClassMap,
  fuchsiaSizeClassMap,
  SizeClassMap,
  svelteSizeClassMap,
  trustySizeClassMap,
} from "../../../allocator/options/size-class-map.ts";

const oneClass = fixedSizeClassMap({
  name: "one class",
  numBits: 1,
  minSizeLog: 5,
  midSizeLog: 5,
  maxSizeLog: 5,
  sizeDelta: 0,
  maxCachedHint: 0,
  maxBytesCachedLog: 0,
});
const coarse = fixedSizeClassMap({
  name: "coarse",
  numBits: 1,
  minSizeLog: 10,
  midSizeLog: 10,
  maxSizeLog: 13,
  sizeDelta: 0,
  maxCachedHint: 8,
  maxBytesCachedLog: 12,
});
/** Up to 2^63, the largest that Scudo's tests use; sizes above 2^53 are still exact numbers. */
const largest = fixedSizeClassMap({
  name: "largest",
  numBits: 3,
  minSizeLog: 4 + 1,
  midSizeLog: 8,
  maxSizeLog: 63,
  sizeDelta: 0,
  maxCachedHint: 128,
  maxBytesCachedLog: 16,
});
const maps = [
  defaultSizeClassMap,
  fuchsiaSizeClassMap,
  androidSizeClassMap,
  android32SizeClassMap,
  svelteSizeClassMap,
  trustySizeClassMap,
  oneClass,
  coarse,
  largest,
];

describe.each(maps.map((map) => [map.name, map] as const))("the %s map", (_, map) => {
  test("each class's size maps back to it, one byte more to the next, one less to itself", () => {
    for (let classId = 1; classId <= map.largestClass; classId++) {
      const size = map.sizeOf(classId);
      expect(map.classOf(size)).toBe(classId);
      if (size >= 2 ** 53) continue;
      if (classId < map.largestClass) expect(map.classOf(size + 1)).toBe(classId + 1);
      expect(map.classOf(size - 1)).toBe(classId);
      expect(size).toBeGreaterThan(map.sizeOf(classId - 1));
    }
  });

  test("every size up to the largest gets the smallest class that holds it", () => {
    const step = Math.max(1, Math.floor(Math.min(map.maxSize, 2 ** 20) / 20000));
    for (let size = 1; size <= Math.min(map.maxSize, 2 ** 20); size += step) {
      const classId = map.classOf(size);
      if (map.sizeOf(classId) < size || map.sizeOf(classId - 1) >= size) expect({ size, classId }).toBe("smallest");
    }
  });

  test("its description has a line a class and a total", () => {
    expect(describeSizeClassMap(map).split("\n")).toHaveLength(map.largestClass + 1);
  });
});

test("a description has sizes, growth, the logarithm rounded down, and what a thread may cache", () => {
  const map = fixedSizeClassMap({
    ...{ name: "few", numBits: 2, minSizeLog: 5, midSizeLog: 6, maxSizeLog: 8, sizeDelta: 0 },
    ...{ maxCachedHint: 10, maxBytesCachedLog: 10 },
  });
  expect(describeSizeClassMap(map)).toBe(
    [
      "C1 => S: 32 diff: +32 0% L 5 Cached: 10 320",
      "C2 => S: 64 diff: +32 100% L 6 Cached: 10 640",
      "C3 => S: 96 diff: +32 50% L 6 Cached: 10 960",
      "C4 => S: 128 diff: +32 33% L 7 Cached: 8 1024",
      "C5 => S: 192 diff: +64 50% L 7 Cached: 5 960",
      "C6 => S: 256 diff: +64 33% L 8 Cached: 4 1024",
      "Total Cached: 9856",
    ].join("\n"),
  );
});

test("Scudo's maps have the sizes that its headers compute", () => {
  expect([...defaultSizeClassMap.sizes.subarray(1)]).toEqual([
    32, 64, 96, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 896, 1024, 1280, 1536, 1792, 2048, 2560, 3072,
    3584, 4096, 5120, 6144, 7168, 8192, 10240, 12288, 14336, 16384, 20480, 24576, 28672, 32768, 40960, 49152, 57344,
    65536, 81920, 98304, 114688, 131072,
  ]);
  expect([...fuchsiaSizeClassMap.sizes].slice(1)).toEqual([...defaultSizeClassMap.sizes].slice(1).map((s) => s + 16));
  expect([trustySizeClassMap.largestClass, trustySizeClassMap.maxSize]).toEqual([1, 128]);
  expect([svelteSizeClassMap.largestClass, svelteSizeClassMap.sizeOf(17), svelteSizeClassMap.maxSize]).toEqual([
    64, 304, 16400,
  ]);
  expect([androidSizeClassMap.largestClass, android32SizeClassMap.largestClass]).toEqual([32, 64]);
  expect([...coarse.sizes].slice(1)).toEqual([1024, 2048, 4096, 8192]);
});

test("a refill takes as many blocks as Scudo's hints say", () => {
  const hints = [...defaultSizeClassMap.sizes].slice(1, 14).map((size) => defaultSizeClassMap.cachedHint(size));
  expect(hints).toEqual([14, 14, 10, 8, 6, 5, 4, 4, 3, 2, 2, 2, 1]);
  const android = [592, 800, 1104, 1648, 2096, 2576, 3120, 4112].map((size) => androidSizeClassMap.cachedHint(size));
  expect(android).toEqual([13, 10, 7, 4, 3, 3, 2, 1]);
  expect(oneClass.cachedHint(32)).toBe(1);
  expect(defaultSizeClassMap.cachedHint(128)).toBe(8);
});

test("the real library's classes for every recorded size", () => {
  const file = new URL("../../golden/scudo/sizes.jsonl", import.meta.url);
  for (const line of readFileSync(file, "utf8").trim().split("\n")) {
    const record = JSON.parse(line) as { from?: number; to?: number; size?: number; class: number };
    const sizes = record.size === undefined ? [record.from ?? 0, record.to ?? 0] : [record.size];
    for (const size of sizes) {
      const needed = Math.ceil(size / 16) * 16 + 16;
      expect(needed > defaultSizeClassMap.maxSize ? 0 : defaultSizeClassMap.classOf(needed)).toBe(record.class);
    }
  }
});

test("a user's map is refused with the size that is wrong", () => {
  const build = (sizes: number[]) => () =>
    new SizeClassMap({ name: "mine", sizes, maxCachedHint: 8, maxBytesCachedLog: 10 });
  expect(build([])).toThrow(/mine: 0 classes/);
  expect(build([32, 40])).toThrow(/40 is not a multiple of 16/);
  expect(build([64, 64])).toThrow(/64 after 64/);
  expect(build(Array.from({ length: 256 }, (_, i) => 32 + 16 * i))).toThrow(/256 classes/);
});
