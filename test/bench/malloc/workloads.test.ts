// The sequences that allocators are compared by: a round leaves what it found, so that rounds are alike; the counts of what refheap
// does in one are exact, and kept here: more of anything is a slowdown that no clock is needed for.
import { describe, expect, test } from "vitest";
import { Heap, type HeapOptions } from "../../../allocator/index.ts";
import { makeWorkloads, pairs, replacement, type Workload } from "../../../bench/malloc/workloads.ts";

/** Sizes by slot after a sequence. A malloc into a slot in use, or a free of an empty one, is an error of the sequence. */
function follow(sequence: Int32Array, sizes: Map<number, number>): Map<number, number> {
  for (let at = 0; at < sequence.length; at += 2) {
    const [slot, size] = [sequence[at], sequence[at + 1]];
    expect(sizes.has(slot)).toBe(size <= 0);
    if (size === 0) sizes.delete(slot);
    else sizes.set(slot, Math.abs(size));
  }
  return sizes;
}

test("each round ends with the chunks that it began with", async () => {
  for (const { setup, round, live, askedBytes } of await makeWorkloads(true)) {
    const before = follow(setup, new Map());
    expect(before.size).toBe(live);
    expect([...before.values()].reduce((sum, size) => sum + size, 0)).toBe(askedBytes);
    expect(new Map([...follow(round, new Map(before))].sort())).toEqual(new Map([...before].sort()));
  }
});

function countsOf({ setup, round, slots }: Workload, options: HeapOptions): object {
  const heap = new Heap({ seed: 1, ...options });
  const pointers = new Float64Array(slots);
  const run = (sequence: Int32Array): void => {
    for (let at = 0; at < sequence.length; at += 2) {
      const [slot, size] = [sequence[at], sequence[at + 1]];
      if (size > 0) pointers[slot] = heap.malloc(size);
      else if (size === 0) heap.free(pointers[slot]);
      else pointers[slot] = heap.realloc(pointers[slot], -size);
    }
  };
  run(setup);
  run(round);
  const { counters } = heap.kernel.machine;
  const before = counters.snapshot();
  run(round);
  const { minorFaults, framesZeroed, userBytesFilled, systemCalls } = counters.since(before);
  heap[Symbol.dispose]();
  return { minorFaults, framesZeroed, userBytesFilled, systemCalls };
}

describe("exact counts of a warm round", () => {
  const nothing = { minorFaults: 0, framesZeroed: 0, userBytesFilled: 0, systemCalls: {} };
  const small = (random: number): number => 16 + ((random >>> 4) % 497);

  test("small pairs and replacement take no fault and no system call", () => {
    expect(countsOf(pairs("pair", 64), {})).toEqual(nothing);
    expect(countsOf(replacement("replace", 1000, small), {})).toEqual(nothing);
  });

  test("a pattern fills each block once, whole", () => {
    const counts = countsOf(pairs("pair", 64), { fill: "pattern" });
    expect(counts).toEqual({ ...nothing, userBytesFilled: 2000 * 96 });
  });
});
