// The fixture: a heap for each test that asks for one. At the test's end it must have found nothing and leak nothing.
// Its machine is machines.ts's; what a failed check says is testing/observe.ts.

import { test as base } from "vitest";
import type { Finding } from "../checker/finding.ts";
import type { Root } from "../checker/leaks.ts";
import { Heap } from "../heap/heap.ts";
import type { HeapOptions } from "../options/options.ts";
import { CheckError, findCorruption } from "../testing/observe.ts";
import { enterTest, leaveTest } from "./active-heaps.ts";
import { returnKernel, takeKernel } from "./machines.ts";
import { recordFindings } from "./test-meta.ts";

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

/** RAM of the fixture's machine, unless the test says otherwise. */
const MEMORY_BYTES = 256 * 2 ** 20;
/** Bytes are tracked and stacks kept. */
const DEFAULTS: HeapOptions = { uninitialised: "byte", stacks: true };

/** Vitest's `test` with a `heap`. */
export const test = base.extend<HeapFixtures>({
  heapOptions: {},
  heap: async ({ heapOptions, onTestFinished, task }, use) => {
    const { leaks = "fail", roots = [], ...given } = heapOptions;
    const { heap, end } = openHeap(given);
    // Before anything is awaited, so that the test's function runs in this context, too.
    enterTest(task, heap);
    const finish = (): void => {
      try {
        // A test that failed half-way never came to its frees: its leaks would only hide why it failed.
        const looksForLeaks = leaks === "fail" && task.result?.state !== "fail";
        const errors = findErrors(heap, looksForLeaks ? roots : null);
        recordFindings(task, errors);
        // The runner takes an array as several errors, each shown with its own line.
        if (errors.length > 0) throw errors.length === 1 ? errors[0] : errors;
      } finally {
        leaveTest(task, heap);
        end();
      }
    };
    // The heap is checked when the last of both is over: hooks of the test itself, which run before this one that was there
    // first, and an aroundEach that uses the heap after the test. What a fixture throws after its use is shown twice.
    const waiting = new Set(["hooks", "use"]);
    const over = (part: "hooks" | "use"): void => {
      waiting.delete(part);
      if (waiting.size === 0) finish();
    };
    onTestFinished(() => over("hooks"));
    await use(heap);
    over("use");
  },
});

/** The test's heap and what ends it: on a machine that the worker keeps, unless the test brings its own. */
function openHeap(given: HeapOptions): { heap: Heap; end: () => void } {
  const options = { ...DEFAULTS, ...withoutTracking(given) };
  const { memoryBytes = MEMORY_BYTES, ...rest } = options;
  if (given.kernel !== undefined || given.process !== undefined) {
    const own = new Heap(given.memoryBytes === undefined ? rest : options);
    return { heap: own, end: () => own[Symbol.dispose]() };
  }
  const kernel = takeKernel({ memoryBytes, shadow: options.uninitialised === "byte" });
  const heap = new Heap({ ...rest, kernel });
  const end = (): void => {
    heap[Symbol.dispose]();
    returnKernel(kernel);
  };
  return { heap, end };
}

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
