// The fixtures: a heap, or a WebAssembly module on one, for each test that asks for it. At the test's end it must have found nothing and leak nothing.
// Its machine is machines.ts's; what a failed check says is testing/observe.ts.

import { test as base } from "vitest";
import type { Bytes, Imports } from "../../platform/host/engine.ts";
import type { Finding } from "../checker/finding.ts";
import type { Root } from "../checker/leaks.ts";
import { Heap } from "../heap/heap.ts";
import { ownValues } from "../options/option-checks.ts";
import { type HeapOptions, OPTION_NAMES } from "../options/options.ts";
import { CheckError, findCorruption } from "../testing/observe.ts";
import type { ModuleOptions } from "../wasm/guest/compile.ts";
import { Instance, Module } from "../wasm/guest/functions.ts";
import { enterTest, leaveTest } from "./active-heaps.ts";
import { returnKernel, takeKernel } from "./machines.ts";
import { checkFolder, type NamedTask, type PostMortem, watchForPostMortem } from "./post-mortem.ts";
import { recordFindings } from "./test-meta.ts";

/** Options of the fixture's heap: a heap's own, and what is checked at the test's end. */
export interface HeapTestOptions extends HeapOptions {
  /** Whether a chunk that is live and unreachable at the end fails the test. Default `"fail"`. */
  readonly leaks?: "fail" | "ignore";
  /** What counts as reachable: pointers that the test holds on purpose, and ranges of memory. Default: nothing. */
  readonly roots?: readonly Root[];
  /**
   * A folder. If the test fails, the machine's state at its first finding is written there, before the access or call that was wrong
   * took effect: `refheap inspect` opens it, and `Machine.restore` goes on from it.
   */
  readonly postMortem?: string;
}

/** The module of the `wasm` fixture, and how it is put on the heap. */
export interface WasmTestOptions extends ModuleOptions {
  /** The module: bytes, or what `compile` of refheap/wasm made, once for all tests, which has options of its own. */
  readonly module?: Bytes | Module;
  /** What the module imports. */
  readonly imports?: Imports;
  /** Whether a lost block fails the test at its end. Default `"fail"`. */
  readonly leaks?: "fail" | "ignore";
  /** As for heaps: a folder for the state of a test that fails. The module's globals and tables are not part of it. */
  readonly postMortem?: string;
}

/** What a test of refheap/vitest may ask for. */
export interface HeapFixtures {
  /** Set with `test.override({ heapOptions: … })`, or in a `test.extend` of your own. */
  heapOptions: HeapTestOptions;
  /** A heap of the test's own, checked at its end. */
  heap: Heap;
  /** Set with `test.override({ wasmOptions: { module, imports } })`. */
  wasmOptions: WasmTestOptions;
  /** An instance of the module, on a heap of its own. */
  wasm: Instance;
}

/** What is used of the runner's task. */
type TestTask = Parameters<typeof recordFindings>[0] & NamedTask & { readonly result?: { readonly state?: string } };

/** RAM of the fixture's machine, unless the test says otherwise. */
const MEMORY_BYTES = 256 * 2 ** 20;
/** What `heapOptions` may have; the error about a misspelt name says the nearest of all of them. */
const NAMES: readonly string[] = [...OPTION_NAMES, "leaks", "roots", "postMortem"];
/** Bytes are tracked and stacks kept. */
const DEFAULTS: HeapOptions = { uninitialised: "byte", stacks: true };

/** Vitest's `test` with a `heap`, and with a WebAssembly module on a heap of its own. */
export const test = base.extend<HeapFixtures>({
  heapOptions: {},
  heap: async ({ heapOptions, onTestFinished, task }, use) => {
    ownValues(heapOptions, NAMES);
    const { leaks = "fail", roots = [], postMortem: folder, ...given } = heapOptions;
    checkFolder(folder);
    const { heap, end } = openHeap(given);
    await useJudged({ heap, end, leaks, roots, folder, task, onTestFinished, use: () => use(heap) });
  },
  wasmOptions: {},
  wasm: async ({ wasmOptions, onTestFinished, task }, use) => {
    const { module, imports, leaks = "fail", postMortem: folder, ...options } = wasmOptions;
    checkFolder(folder);
    if (module === undefined)
      throw new TypeError("wasm: no module was given; say which one with test.override({ wasmOptions: { module } })");
    // Compiled without waiting: see useJudged.
    const compiled = module instanceof Module ? module : new Module(module, withDefaults(options));
    const instance = new Instance(compiled, imports);
    const end = (): void => instance[Symbol.dispose]();
    const { heap } = instance;
    await useJudged({ heap, end, leaks, folder, task, onTestFinished, use: () => use(instance) });
  },
});

/** Bytes are tracked unless the test says otherwise. */
function withDefaults(options: ModuleOptions): ModuleOptions {
  return { uninitialised: "byte", ...options };
}

/** A heap that a test uses, what is to be checked at the test's end, and what then ends it. */
interface Judged {
  readonly heap: Heap;
  readonly end: () => void;
  readonly leaks: "fail" | "ignore";
  /** Absent: the heap knows its own. */
  readonly roots?: readonly Root[];
  /** Where the state of a test that fails goes. */
  readonly folder: string | undefined;
  readonly task: TestTask;
  readonly onTestFinished: (hook: () => void) => void;
  readonly use: () => Promise<void>;
}

async function useJudged({ heap, end, leaks, roots, folder, task, onTestFinished, use }: Judged): Promise<void> {
  const postMortem = folder === undefined ? null : watchForPostMortem(heap, folder, task);
  // Before anything is awaited, so that the test's function runs in this context, too.
  enterTest(task, heap);
  const finish = (): void => {
    try {
      // A test that failed early never came to its frees: its leaks would only hide why it failed.
      const looksForLeaks = leaks === "fail" && task.result?.state !== "fail";
      const errors = findErrors(heap, looksForLeaks ? { roots } : null);
      recordFindings(task, errors);
      if (errors.length > 0 && postMortem !== null) keepState(postMortem, errors);
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
  await use();
  over("use");
}

/** The failing test says where its state lies. */
function keepState(postMortem: PostMortem, errors: readonly Error[]): void {
  const findings = errors.flatMap((error) => (error instanceof CheckError ? [...error.findings] : []));
  errors[0].message += `\nThe machine's state: refheap inspect ${postMortem.write(findings)}`;
}

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
function findErrors(heap: Heap, leaks: { readonly roots?: readonly Root[] } | null): Error[] {
  const { checker } = heap;
  const errors = checker.findings.map((finding) => new CheckError([finding]));
  const corruption = findCorruption(heap);
  if (corruption !== null) return [...errors, new Error(`the heap is corrupted: ${corruption}`)];
  if (errors.length > 0 || leaks === null) return errors;
  const leaked: readonly Finding[] = checker.leakCheck(leaks).findings;
  return leaked.map((finding) => new CheckError([finding]));
}
