// Which of a guest's heap functions have a direct way (rewriting/direct-ways.ts), and of what kind each is: those whose arguments say
// all that heap-functions.ts does with them for an ordinary chunk.

import { ORIGIN_MALLOC, ORIGIN_NEW, ORIGIN_NEW_ARRAY } from "../../combined/chunk-header.ts";
import type { DirectWay } from "../rewriting/direct-code.ts";
import type { HeapRole } from "./heap-functions.ts";

const NONE = -1;

function allocation(operand: number, given: Partial<DirectWay> = {}): DirectWay {
  return {
    kind: "allocate",
    origin: ORIGIN_MALLOC,
    operand,
    factor: NONE,
    isZeroed: false,
    alignment: NONE,
    ...given,
  };
}

function release(origin: number): DirectWay {
  return { kind: "free", origin, operand: 0, factor: NONE, isZeroed: false, alignment: NONE };
}

const WAYS: Partial<Record<HeapRole, DirectWay>> = {
  malloc: allocation(0),
  calloc: allocation(0, { factor: 1, isZeroed: true }),
  memalign: allocation(1, { alignment: 0 }),
  free: release(ORIGIN_MALLOC),
  "operator new": allocation(0, { origin: ORIGIN_NEW }),
  "operator new[]": allocation(0, { origin: ORIGIN_NEW_ARRAY }),
  "operator new nothrow": allocation(0, { origin: ORIGIN_NEW }),
  "operator new[] nothrow": allocation(0, { origin: ORIGIN_NEW_ARRAY }),
  "operator delete": release(ORIGIN_NEW),
  "operator delete[]": release(ORIGIN_NEW_ARRAY),
  rust_alloc: allocation(0, { alignment: 1 }),
  rust_alloc_zeroed: allocation(0, { alignment: 1, isZeroed: true }),
  rust_dealloc: release(ORIGIN_MALLOC),
};

/** The direct way of a role's function with so many parameters, or null. */
export function directWayOf(role: HeapRole, params: number): DirectWay | null {
  const way = WAYS[role];
  if (way === undefined) return null;
  // With a second parameter, new has an alignment.
  if ((role === "operator new" || role === "operator new[]") && params === 2) return { ...way, alignment: 1 };
  if (role.endsWith(" nothrow") && params === 3) return { ...way, alignment: 1 };
  return way;
}
