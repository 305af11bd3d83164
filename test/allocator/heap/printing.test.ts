// Printing and comparing what holds a heap: a few figures, quickly, and never its gigabytes. Two heaps are never equal by value.
import { deepEqual, deepStrictEqual, notDeepStrictEqual } from "node:assert/strict";
import { inspect, isDeepStrictEqual } from "node:util";
import { processError } from "@vitest/utils/error";
import { describe, expect, test } from "vitest";
import { Heap } from "../../../allocator/heap/heap.ts";

/** No text about a machine is longer; a diff has both sides, each with its context. */
const SHORT = 8000;

class Codec {
  readonly part: unknown;
  readonly version: number;
  readonly encode = (): void => {};
  constructor(part: unknown, version: number) {
    this.part = part;
    this.version = version;
  }
}

const makeHeap = () => new Heap({ uninitialised: "byte", stacks: true, seed: 1 });

/** What a program without types finds on a checker. */
const parts = (heap: Heap) => heap.checker as unknown as Readonly<Record<"judge" | "results", object>>;

/** What a user can get hold of, from a heap of its own each time. */
const objects: [string, (heap: Heap) => object][] = [
  ["Heap", (heap) => heap],
  ["Machine", (heap) => heap.kernel.machine],
  ["Kernel", (heap) => heap.kernel],
  ["Process", (heap) => heap.process],
  ["Thread", (heap) => heap.process.mainThread],
  ["Memory", (heap) => heap.memory],
  ["AddressSpace", (heap) => heap.process.addressSpace],
  ["Checker", (heap) => heap.checker],
  ["Judge", (heap) => parts(heap).judge],
  ["Findings", (heap) => parts(heap).results],
  ["Recording", (heap) => heap.record({ write: () => true })],
  ["ResolvedHeapOptions", (heap) => new Heap({ kernel: heap.kernel }).options],
  [
    "an array of findings",
    (heap) => {
      heap.memory.getUint8(heap.malloc(100));
      return [...heap.checker.findings];
    },
  ],
  ["a struct", (heap) => heap.struct({ x: "uint8", next: "pointer" })],
];

/** The whole text of a failed assertion, diff and all, as the runner shows it. */
function failureOf(assertion: () => void): string {
  try {
    assertion();
  } catch (error) {
    const { message, diff, actual, expected } = processError(error) as Record<string, string | undefined>;
    return [message, diff, actual, expected].join("\n");
  }
  return "passed";
}

describe.each(objects)("%s", (_name, take) => {
  const [mine, other] = [take(makeHeap()), take(makeHeap())];

  test("prints in a few lines, alone and inside", () => {
    for (const value of [
      mine,
      { mine },
      [mine],
      new Codec(mine, 1),
      new Map([["mine", mine]]),
      new Error("x", { cause: mine }),
    ]) {
      expect(inspect(value, { depth: Number.POSITIVE_INFINITY, showHidden: false }).length).toBeLessThan(SHORT);
      expect((JSON.stringify(value) ?? "").length).toBeLessThan(SHORT);
    }
  });

  test("makes a short diff when it is part of what differs", () => {
    const assertions = [
      () => expect(new Codec(mine, 1)).toEqual({ part: mine, version: 2 }),
      () => expect(new Codec(mine, 1)).toStrictEqual(new Codec(mine, 1)),
      () => expect({ part: mine }).toEqual({ part: null }),
      () => expect([mine]).toContainEqual({ pid: 1 }),
      () => expect(mine).toBe(5),
      () => expect({ part: mine }).toMatchObject({ part: { pid: 77 } }),
    ];
    for (const assertion of assertions) {
      const text = failureOf(assertion);
      expect(text).not.toBe("passed");
      expect(text.length).toBeLessThan(5 * SHORT);
    }
    for (const compare of [deepEqual, deepStrictEqual]) {
      expect(failureOf(() => compare(new Codec(mine, 1), { part: mine, version: 2 })).length).toBeLessThan(5 * SHORT);
    }
  });

  test("is equal to itself", () => {
    expect({ part: mine }).toEqual({ part: mine });
    deepStrictEqual({ part: mine }, { part: mine });
  });

  test.runIf(take.length > 0 && !["a struct", "an array of findings", "ResolvedHeapOptions"].includes(_name))(
    "is equal to no other, and says so shortly",
    () => {
      expect(isDeepStrictEqual(mine, other)).toBe(false);
      notDeepStrictEqual({ part: mine }, { part: other });
      const text = failureOf(() => expect({ part: mine }).toEqual({ part: other }));
      expect(text).not.toBe("passed");
      expect(text.length).toBeLessThan(5 * SHORT);
    },
  );
});

test("a heap prints what it is", () => {
  const heap = new Heap({ fill: "zero" });
  expect(inspect(heap)).toMatch(/^Heap \{ id: \d+, pid: 1, fill: 'zero', tagging: 'off', uninitialised: 'off' \}$/);
  expect(JSON.parse(JSON.stringify(heap))).toMatchObject({ Heap: { pid: 1, fill: "zero" } });
});

test("a heap that has ended prints as well", () => {
  const heap = new Heap();
  heap[Symbol.dispose]();
  expect(inspect({ heap })).toContain("Heap {");
});
