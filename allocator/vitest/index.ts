// Entry "refheap/vitest": Vitest's test with a heap, and matchers for what code does to it. Importing it extends `expect`.

import { expect } from "vitest";
import * as matchers from "./matchers.ts";
import "./types.ts";

expect.extend(matchers);

export { expect } from "vitest";
export { formatFinding, formatFindings } from "../checker/finding-text.ts";
export { Heap } from "../heap/heap.ts";
export { unwatchHeap, watchHeap } from "./active-heaps.ts";
export { type HeapFixtures, type HeapTestOptions, test, type WasmTestOptions } from "./fixture.ts";
export type { ExpectedAccess, ExpectedLeak } from "./matchers.ts";
export type { HeapMatchers } from "./types.ts";
