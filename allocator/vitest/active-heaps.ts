// The heaps of the tests that run now, and which test each belongs to: what `expect(function)` looks at when no heap is named.
// Tests may run at the same time (`test.concurrent`); the host's async contexts tell them apart, where it has them.

import type { Heap } from "../heap/heap.ts";

/** What belongs to one test while it runs, or to one matcher inside it. */
interface Context {
  readonly heaps: Set<Heap>;
  /** The matchers that are running now, the innermost first. */
  readonly matchers: readonly object[];
}

/** AsyncLocalStorage, as far as it is used. */
interface Storage {
  getStore(): Context | undefined;
  enterWith(context: Context): void;
  run<Result>(context: Context, work: () => Result): Result;
}

/** Node's, Bun's and Deno's; null in a browser, where tests of a file run one after another. */
const storage = makeStorage();

function makeStorage(): Storage | null {
  const hooks = globalThis.process?.getBuiltinModule?.("node:async_hooks");
  return hooks === undefined ? null : new hooks.AsyncLocalStorage<Context>();
}

/** Heaps that are looked at for every test that asks. */
const everywhere = new Set<Heap>();
/** Every heap that is watched. */
const watched = new Set<Heap>();
const ofTask = new WeakMap<object, Set<Heap>>();

/** A test begins that has a heap: what it runs from here on, and no other test, is looked at with this heap. */
export function enterTest(task: object, heap: Heap): void {
  const heaps = ofTask.get(task) ?? new Set();
  heaps.add(heap);
  watched.add(heap);
  ofTask.set(task, heaps);
  storage?.enterWith({ heaps, matchers: [] });
}

export function leaveTest(task: object, heap: Heap): void {
  ofTask.get(task)?.delete(heap);
  unwatchHeap(heap);
}

/** Matchers over functions look at this heap, too, until it is unwatched: for a heap that is not the fixture's. */
export function watchHeap(heap: Heap): void {
  watched.add(heap);
  const context = storage?.getStore();
  if (context === undefined) everywhere.add(heap);
  else context.heaps.add(heap);
}

/** Ends what `watchHeap` began. */
export function unwatchHeap(heap: Heap): void {
  watched.delete(heap);
  everywhere.delete(heap);
  storage?.getStore()?.heaps.delete(heap);
}

/**
 * The heaps of the test that asks. `task`: the runner's opinion of which one that is, where the async context does not say (the
 * heap was made in a hook, or the host has no contexts); Vitest 3 has none, and all heaps are looked at.
 */
export function heapsOf(task: object | undefined): readonly Heap[] {
  const inContext = [...(storage?.getStore()?.heaps ?? [])].filter((heap) => watched.has(heap));
  const own = inContext.length > 0 ? inContext : task === undefined ? watched : (ofTask.get(task) ?? []);
  return [...new Set([...own, ...everywhere])].filter((heap) => watched.has(heap));
}

/** Runs a matcher's function. What it does, also when it goes on later, is told apart from what others do meanwhile. */
export function runAs<Result>(matcher: object, work: () => Result): Result {
  if (storage === null) return work();
  const { heaps, matchers } = storage.getStore() ?? { heaps: new Set<Heap>(), matchers: [] };
  return storage.run({ heaps, matchers: [matcher, ...matchers] }, work);
}

/** Whether what happens now is a matcher's function, or something that it started. */
export function isRunning(matcher: object): boolean {
  return storage === null || (storage.getStore()?.matchers.includes(matcher) ?? false);
}
