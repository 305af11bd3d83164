// From a byte of rewritten code to the byte of the module as given: the function's rewriting is run once more, and noted.
// Costs nothing until a stack is shown; then a pass over each function that it mentions, once.

import type { Rewritten } from "../rewriting/rewriter.ts";

/** Where instructions of one function began, in its new code and in the module as given. */
interface OffsetMap {
  readonly newOffsets: Uint32Array;
  readonly oldOffsets: Uint32Array;
  readonly count: number;
}

const maps = new WeakMap<Rewritten, Map<number, OffsetMap>>();

/** The module's byte that `newOffset`, a byte of the rewritten module in the body of a defined function, stands for. */
export function originalOffset(rewritten: Rewritten, body: number, newOffset: number): number {
  let byBody = maps.get(rewritten);
  if (byBody === undefined) {
    byBody = new Map();
    maps.set(rewritten, byBody);
  }
  let map = byBody.get(body);
  if (map === undefined) {
    map = trace(rewritten, body);
    byBody.set(body, map);
  }
  return lookUp(map, newOffset - rewritten.bodyStart[body]);
}

function trace(rewritten: Rewritten, body: number): OffsetMap {
  const { module } = rewritten;
  // A straight run may stand there twice (straight-run.ts).
  const capacity = 2 * (module.bodyEnd[body] - module.bodyStart[body]);
  const newOffsets = new Uint32Array(capacity);
  const oldOffsets = new Uint32Array(capacity);
  let count = 0;
  let headLength = 0;
  rewritten.trace(body, {
    instruction(from, start) {
      oldOffsets[count] = from;
      newOffsets[count++] = start;
    },
    head(length) {
      headLength = length;
    },
  });
  for (let i = 0; i < count; i++) newOffsets[i] += headLength;
  return { newOffsets, oldOffsets, count };
}

/** The last instruction that begins at or before the offset. */
function lookUp({ newOffsets, oldOffsets, count }: OffsetMap, offset: number): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (newOffsets[middle] <= offset) low = middle + 1;
    else high = middle;
  }
  return oldOffsets[Math.max(0, low - 1)];
}
