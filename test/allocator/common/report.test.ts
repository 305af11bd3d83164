// Scudo's reports: every row of S21, word for word.
import { describe, expect, test } from "vitest";
import { HeapError, type HeapErrorKind } from "../../../allocator/common/heap-error.ts";
import * as reports from "../../../allocator/common/report.ts";

function reportOf(act: () => never): HeapError {
  try {
    act();
  } catch (error) {
    if (error instanceof HeapError) return error;
    throw error;
  }
}

const address = 0x1234560;
const SIZE_MAX = 2 ** 64;

const rows: [HeapErrorKind, () => never, string][] = [
  [
    "corrupted-header",
    () => reports.reportHeaderCorruption(address),
    "corrupted chunk header at address 0x000001234560",
  ],
  [
    "invalid-state",
    () => reports.reportInvalidChunkState("recycling", address),
    "invalid chunk state when recycling address 0x000001234560",
  ],
  [
    "misaligned",
    () => reports.reportMisalignedPointer("reallocating", address + 1),
    "misaligned pointer when reallocating address 0x000001234561",
  ],
  [
    "type-mismatch",
    () => reports.reportDeallocTypeMismatch("deallocating", address, 0, 1),
    "allocation type mismatch when deallocating address 0x000001234560 (0 vs 1)",
  ],
  [
    "size-mismatch",
    () => reports.reportDeleteSizeMismatch(address, 123, 456),
    "invalid sized delete when deallocating address 0x000001234560 (123 vs 456)",
  ],
  [
    "alignment-too-big",
    () => reports.reportAlignmentTooBig(33554432, 16777216),
    "invalid allocation alignment: 33554432 exceeds maximum supported alignment of 16777216",
  ],
  [
    "size-too-big",
    () => reports.reportAllocationSizeTooBig(SIZE_MAX, 16, 2 ** 40),
    "requested allocation size 18446744073709551615 (16 after adjustments) exceeds maximum supported size of 1099511627776",
  ],
  ["out-of-memory", () => reports.reportOutOfMemory(128), "out of memory trying to allocate 128 bytes"],
  [
    "batch-class-exhausted",
    () => reports.reportOutOfBatchClass(),
    "BatchClass region is used up, can't hold any free block",
  ],
  [
    "alignment-not-power-of-two",
    () => reports.reportAlignmentNotPowerOfTwo(3),
    "invalid allocation alignment: 3, alignment must be a power of two",
  ],
  [
    "calloc-overflow",
    () => reports.reportCallocOverflow(SIZE_MAX, 2),
    "calloc parameters overflow: count * size (18446744073709551615 * 2) cannot be represented with type size_t",
  ],
  [
    "reallocarray-overflow",
    () => reports.reportReallocarrayOverflow(SIZE_MAX, 2),
    "reallocarray parameters overflow: count * size (18446744073709551615 * 2) cannot be represented with type size_t",
  ],
  [
    "posix-memalign-alignment",
    () => reports.reportInvalidPosixMemalignAlignment(15),
    "invalid alignment requested in posix_memalign: 15, alignment must be a power of two and a multiple of sizeof(void *) == 8",
  ],
  [
    "aligned-alloc-alignment",
    () => reports.reportInvalidAlignedAllocAlignment(64, 65),
    "invalid alignment requested in aligned_alloc: 64, alignment must be a power of two and the requested size 65 must be a multiple of alignment",
  ],
  [
    "pvalloc-overflow",
    () => reports.reportPvallocOverflow(SIZE_MAX),
    "pvalloc parameters overflow: size 18446744073709551615 rounded up to system page size 4096 cannot be represented in type size_t",
  ],
  ["sanity-check", () => reports.reportSanityCheckError("offset"), "maximum possible offset doesn't fit in header"],
  [
    "check-failed",
    () => reports.reportCheckFailed({ file: "flags.ts", line: 12 }, "(A) < (B)", 3, 2),
    "CHECK failed @ flags.ts:12 (A) < (B) ((u64)op1=3, (u64)op2=2)",
  ],
  [
    "map-failed",
    () => reports.reportMapError("Invalid argument"),
    "internal map failure (error desc=Invalid argument)",
  ],
  [
    "map-failed",
    () => reports.reportMapError("Cannot allocate memory", { sizeBytes: 9999 }),
    "internal map failure (error desc=Cannot allocate memory) requesting 9KB",
  ],
  [
    "unmap-failed",
    () => reports.reportUnmapError("Invalid argument", 0x1000, 55),
    "internal unmap failure (error desc=Invalid argument) Addr 0x1000 Size 55",
  ],
  [
    "protect-failed",
    () => reports.reportProtectError("Invalid argument", 0x1000, 55, 3),
    "internal protect failure (error desc=Invalid argument) Addr 0x1000 Size 55 Prot 3",
  ],
  ["rss-limit", () => reports.reportRssLimit(3 * 2 ** 20, 2 ** 20), "hard RSS limit exhausted (1Mb vs 3Mb)"],
  [
    "deadlock",
    () => reports.reportDeadlock(),
    "deadlock: the heap is disabled, this call would wait for malloc_enable for ever",
  ],
];

describe("each report is Scudo's, word for word", () => {
  test.each(rows)("%s", (kind, act, text) => {
    const error = reportOf(act);
    expect(error.kind).toBe(kind);
    expect(error.message).toBe(`Scudo ERROR: ${text}`);
    expect(error.report).toBe(`Scudo ERROR: ${text}\n`);
  });
});

describe("a report", () => {
  test("about a chunk carries its address, another none", () => {
    expect(reportOf(() => reports.reportHeaderCorruption(address)).address).toBe(address);
    expect(reportOf(() => reports.reportOutOfMemory(1)).address).toBeNull();
  });

  test("shows a tag in bits 48 to 51 as the thirteenth digit of the address", () => {
    const tagged = address + 7 * 2 ** 48;
    const error = reportOf(() => reports.reportMisalignedPointer("deallocating", tagged));
    expect(error.message).toContain("0x7000001234560");
  });

  test("of a corrupted header goes on as later versions do when asked to", () => {
    const later = { ...reports.PLAIN_REPORTS, headerReport: "later" as const };
    const zero = reportOf(() => reports.reportHeaderCorruption(address, { headerIsZero: true }, later));
    const damaged = reportOf(() => reports.reportHeaderCorruption(address, {}, later));
    expect(zero.message).toMatch(/: chunk header is zero and might indicate memory corruption or a double free$/);
    expect(damaged.message).toMatch(/: most likely due to memory corruption$/);
  });

  test("is followed by the stacks that are kept for its address", () => {
    const stacks = { allocation: "    at make (user.ts:1:1)", free: "    at drop (user.ts:2:1)" };
    const context = { ...reports.PLAIN_REPORTS, stacksOf: () => stacks };
    const error = reportOf(() => reports.reportInvalidChunkState("deallocating", address, context));
    expect(error.report).toBe(`${error.message}\nallocated at:\n${stacks.allocation}\nfreed at:\n${stacks.free}\n`);
  });

  test("is announced before it is thrown", () => {
    const announced: HeapError[] = [];
    const context = { ...reports.PLAIN_REPORTS, onReport: (error: HeapError) => announced.push(error) };
    const error = reportOf(() => reports.reportOutOfMemory(1, context));
    expect(announced).toEqual([error]);
  });
});
