// heap.checker as its users see it: what was found, client requests, leak checks. What the library tells it, and its parts, are not
// in this type; they are checker.ts's.

import type { Checker as WholeChecker } from "./checker.ts";

type Inner =
  | "results"
  | "judge"
  | "arenas"
  | "blocks"
  | "watch"
  | "chunkAllocated"
  | "chunkFreed"
  | "chunkResized"
  | "freeRefused";

/** Finds misuse of a heap's memory; made by the heap. */
export interface Checker extends Omit<WholeChecker, Inner> {}
