// How often the host takes a stack for an error and for a finding: once each, which is most of what they cost.
import { afterEach, beforeEach, expect, test } from "vitest";
import { Heap } from "../../../allocator/index.ts";

const { captureStackTrace } = Error;
let captures = 0;

beforeEach(() => {
  captures = 0;
  Error.captureStackTrace = (target: object) => {
    captures++;
    captureStackTrace(target);
  };
});
afterEach(() => {
  Error.captureStackTrace = captureStackTrace;
});

function capturesOf(times: number, action: () => void): number {
  captures = 0;
  for (let i = 0; i < times; i++) {
    try {
      action();
    } catch {
      // What is thrown has its stack already.
    }
  }
  return captures;
}

function create(options = {}) {
  const heap = new Heap({ uninitialised: "byte", seed: 1, ...options });
  const live = heap.malloc(32);
  const freed = heap.malloc(32);
  heap.free(freed);
  return { heap, live, freed };
}

const MISUSES = [
  ["double free", ({ heap, freed }) => heap.free(freed)],
  ["free of an interior pointer", ({ heap, live }) => heap.free(live + 16)],
  ["free of what is no pointer of the heap", ({ heap }) => heap.free(0x4000)],
  ["realloc of a freed block", ({ heap, freed }) => void heap.realloc(freed, 64)],
] as const satisfies [string, (given: ReturnType<typeof create>) => void][];

test.each(MISUSES)("%s: one for the error, and none for a finding while nothing is reported", (_name, misuse) => {
  const given = create();
  given.heap.checker.disableErrorReporting();
  const perError = capturesOf(1, () => misuse(given));
  expect(perError).toBeLessThanOrEqual(2);
  expect(capturesOf(10, () => misuse(given))).toBe(10 * perError);
});

test.each(MISUSES)("%s again and again: one more for the place, and the finding counts", (_name, misuse) => {
  const given = create();
  given.heap.checker.disableErrorReporting();
  const perError = capturesOf(1, () => misuse(given));
  given.heap.checker.enableErrorReporting();
  // The first one keeps its trace.
  expect(capturesOf(10, () => misuse(given))).toBe(10 * (perError + 1) + 1);
  expect(given.heap.checker.findings.map(({ kind, count }) => [kind, count])).toEqual([["invalid-free", 10]]);
});

test("an invalid access again and again: one each, none while nothing is reported", () => {
  const { heap, live } = create();
  expect(capturesOf(10, () => heap.memory.getUint8(live + 32))).toBe(10 + 1);
  expect(heap.checker.findings.map(({ count }) => count)).toEqual([10]);
  heap.checker.disableErrorReporting();
  expect(capturesOf(10, () => heap.memory.getUint8(live + 32))).toBe(0);
  expect(heap.checker.countErrors()).toBe(10);
});

test("a finding that is the same in a heap that has changed is counted, and one from elsewhere is another", () => {
  const { heap, freed } = create();
  const free = () => {
    heap.free(heap.malloc(48));
    heap.free(freed);
  };
  capturesOf(3, free);
  capturesOf(2, () => heap.free(freed));
  expect(heap.checker.findings.map(({ count }) => count)).toEqual([3, 2]);
});

test.each([0, 3, 10, 50, Number.POSITIVE_INFINITY])("the program's limit of %d frames stays what it was", (limit) => {
  const { heap, live, freed } = create();
  const before = Error.stackTraceLimit;
  try {
    Error.stackTraceLimit = limit;
    for (const [, misuse] of MISUSES) capturesOf(1, () => misuse({ heap, live, freed }));
    capturesOf(1, () => heap.memory.getUint8(0x4000));
    capturesOf(1, () => heap.process.munmap(1, 1));
    expect(Error.stackTraceLimit).toBe(limit);
  } finally {
    Error.stackTraceLimit = before;
  }
});
