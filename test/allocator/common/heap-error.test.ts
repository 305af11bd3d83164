// Number formats of the reports, which stand for Scudo's string formatter (S33, strings): widths, minima, maxima.
import { describe, expect, test } from "vitest";
import { formatPointer, formatSize, HeapError } from "../../../allocator/common/heap-error.ts";

describe("%p", () => {
  test.each([
    [0, "0x000000000000"],
    [0x1234, "0x000000001234"],
    [2 ** 38 - 1, "0x003fffffffff"],
    [2 ** 48 - 1, "0xffffffffffff"],
    [2 ** 52 - 1, "0xfffffffffffff"],
  ])("%d is %s", (address, text) => {
    expect(formatPointer(address)).toBe(text);
  });
});

describe("%zu", () => {
  test.each([
    [0, "0"],
    [2 ** 31 - 1, "2147483647"],
    [2 ** 32 - 1, "4294967295"],
    [Number.MAX_SAFE_INTEGER, "9007199254740991"],
    [2 ** 63, "9223372036854775808"],
    [2 ** 64, "18446744073709551615"],
    [-1, "18446744073709551615"],
    [-(2 ** 31), "18446744071562067968"],
  ])("%d is %s", (size, text) => {
    expect(formatSize(size)).toBe(text);
  });
});

test("a report is its text, a newline, and the stacks there are", () => {
  expect(new HeapError("invalid-state", null, "text").report).toBe("text\n");
  const half = new HeapError("invalid-state", 1, "text", { allocation: "    at a", free: null });
  expect(half.report).toBe("text\nallocated at:\n    at a\n");
});
