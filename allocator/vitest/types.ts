// The matchers' types, added to Vitest's `expect` for everybody who imports refheap/vitest.

import type { ExpectedAccess, ExpectedLeak } from "./matchers.ts";

/** Of a function they are about what it does; of a heap, about what was found or is the case. `R`: a promise for async functions. */
export interface HeapMatchers<R = void> {
  /** Uses unwritten bytes. What was found counts as seen, and does not fail the test at its end. */
  toReadUninitialised(expected?: ExpectedAccess): R;
  /** Loads from, stores to or copies from a freed chunk. */
  toUseAfterFree(expected?: ExpectedAccess): R;
  /** Accesses the heap outside the chunk's bytes. */
  toAccessOutOfBounds(expected?: ExpectedAccess): R;
  /** Leaves chunks behind that nothing points to. */
  toLeak(expected?: ExpectedLeak): R;
  /** Is reported for misuse (double free, damaged header …), or leaves the heap damaged. */
  toCorruptHeap(): R;
  /** Makes at most this many bytes of memory resident. */
  toTouchAtMost(bytes: number): R;
  /** The process of the heap has this many resident bytes. */
  toHaveRss(bytes: number): R;
  /** The process of the heap has at most this many resident bytes. */
  toHaveRssAtMost(bytes: number): R;
  /** The process of the heap has at least this many resident bytes. */
  toHaveRssAtLeast(bytes: number): R;
}

declare module "vitest" {
  // biome-ignore lint/suspicious/noExplicitAny: a merged declaration must have Vitest's own type parameters.
  interface Matchers<T = any>
    extends HeapMatchers<T extends (...given: never[]) => Promise<unknown> ? Promise<void> : void> {}
}
