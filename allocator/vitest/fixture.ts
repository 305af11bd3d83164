// The fixture: a heap for each test that asks for one. At the test's end it must have found nothing and leak nothing.

import { test as base } from "vitest";
import type { Finding } from "../checker/finding.ts";
import type { Root } from "../checker/leaks.ts";
import { Heap } from "../heap/heap.ts";
import type { HeapOptions } from "../options/options.ts";
import { CheckError, findCorruption } from "../testing/observe.ts";
import { unwatchHeap, watchHeap } from "./active-heaps.ts";

/** Options of the fixture's heap: a heap's own, and what is checked at the test's end. */
export interface HeapTestOptions extends HeapOptions {
  /** Whether a chunk that is live and unreachable at the end fails the test. Default `"fail"`. */
  readonly leaks?: "fail" | "ignore";
  /** What counts as reachable: pointers that the test holds on purpose, and ranges of memory. Default: nothing. */
  readonly roots?: readonly Root[];
}

export interface HeapFixtures {
  /** Set with `test.override({ heapOptions: … })`, or in a `test.extend` of your own. */
  heapOptions: HeapTestOptions;
  heap: Heap;
}

/** Bytes are tracked and stacks kept; a small machine, since each test has one of its own. */
const DEFAULTS: HeapOptions = { uninitialised: "byte", stacks: true, memoryBytes: 256 * 2 ** 20 };

/** Vitest's `test` with a `heap`. */
export const test = base.extend<HeapFixtures>({
  heapOptions: {},
  heap: async ({ heapOptions, onTestFinished }, use) => {
    const { leaks = "fail", roots = [], ...given } = heapOptions;
    const hasMachine = given.kernel !== undefined || given.process !== undefined;
    const heap = new Heap({
      ...DEFAULTS,
      ...(hasMachine ? { memoryBytes: undefined } : {}),
      ...withoutTracking(given),
    });
    watchHeap(heap);
    // Hooks of the test itself run before this one, which was there first. What a fixture throws after its use is shown twice.
    onTestFinished(({ task }) => {
      try {
        // A test that failed half-way never came to its frees: its leaks would only hide why it failed.
        const looksForLeaks = leaks === "fail" && task.result?.state !== "fail";
        const errors = findErrors(heap, looksForLeaks ? roots : null);
        // The runner takes an array as several errors, each shown with its own line.
        if (errors.length > 0) throw errors.length === 1 ? errors[0] : errors;
      } finally {
        unwatchHeap(heap);
        heap[Symbol.dispose]();
      }
    });
    await use(heap);
  },
});

/** Tagging and tracking do not go together: who asks for tags gets no tracking by default. */
function withoutTracking(given: HeapOptions): HeapOptions {
  const isTagged = given.tagging !== undefined && given.tagging !== "off";
  return isTagged ? { uninitialised: "off", ...given } : given;
}

/** One error for each place in the program; leaks only if there is nothing worse. */
function findErrors(heap: Heap, roots: readonly Root[] | null): Error[] {
  const { checker } = heap;
  const errors = checker.findings.map((finding) => new CheckError([finding]));
  const corruption = findCorruption(heap);
  if (corruption !== null) return [...errors, new Error(`the heap is corrupted: ${corruption}`)];
  if (errors.length > 0 || roots === null) return errors;
  const leaked: readonly Finding[] = checker.leakCheck({ roots }).findings;
  return leaked.map((finding) => new CheckError([finding]));
}
