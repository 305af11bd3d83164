// The trials of the detection table: what is certain is always caught, what is chance lies about 14 in 15, and a heap without
// reference pages misses stale pointers to large chunks. The heap's own guarantees are tested in test/allocator.
import { describe, expect, test } from "vitest";
import { detect, errorKinds } from "../../../bench/tagging/detection.ts";

const TRIALS = 300;

describe.each(errorKinds.map((error) => [error.what, error] as const))("%s", (_, error) => {
  test.each(["small", "large"] as const)("of %s chunks is caught as often as the table claims", (chunk) => {
    const { caught, high, trials } = detect(error, chunk, "refpage", TRIALS);
    expect(trials).toBe(TRIALS);
    if (error.isCertain) expect(caught).toBe(TRIALS);
    else expect(high).toBeGreaterThan(14 / 15);
  });
});

test("without reference pages a large chunk's stale pointer is missed once its address is used again", () => {
  const error = errorKinds.find(({ what }) => what === "use after free, 1 reuse later");
  expect(error).toBeDefined();
  if (error !== undefined) expect(detect(error, "large", "today", TRIALS).high).toBeLessThan(0.05);
});

test("the interval is Wilson's: of 300 of 300 it begins at 98.7 %", () => {
  const { low, high } = detect(errorKinds[0], "small", "refpage", TRIALS);
  expect([low.toFixed(3), high]).toEqual(["0.987", 1]);
});
