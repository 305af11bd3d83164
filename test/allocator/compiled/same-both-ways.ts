// The same calls on a heap whose malloc and free are compiled, and on one that has no such ways: what is seen must agree. No test in here.
import { expect } from "vitest";
import { HeapError } from "../../../allocator/common/heap-error.ts";
import type { HeapOptions } from "../../../allocator/options/options.ts";
import { bothMachines } from "../../../fuzz/heap/both-ways.ts";
import { countCompiledCalls } from "../../../fuzz/heap/compiled-calls.ts";
import { createKernel } from "../../../refpage/kernel.ts";
import { OpenHeap } from "../open-heap.ts";

/** A heap has its compiled ways from its first whole malloc on, and a class's stack has blocks. */
export function warmUp(heap: OpenHeap, size: number): void {
  for (let left = 4; left > 0; left--) heap.free(heap.malloc(size));
}

/** What a call answers, or throws, in one line. */
export function outcomeOf(act: () => unknown): string {
  try {
    return String(act());
  } catch (error) {
    if (!(error instanceof Error)) return String(error);
    return `${error.name} ${error instanceof HeapError ? error.kind : ""} ${error.message}`;
  }
}

/**
 * Runs `act` on both, after a warm-up with chunks of `size` bytes: answers, statistics, counters, sums of parts and RAM must be the same.
 * `act` may ask how many calls compiled code has done so far. @returns how many of `act`'s it did
 */
export function sameBothWays(
  options: HeapOptions,
  size: number,
  act: (heap: OpenHeap, soFar: () => number) => unknown,
): number {
  const seen: unknown[] = [];
  const counts = bothMachines().map((machine) => {
    let before = 0;
    const count = countCompiledCalls((soFar) => {
      const kernel = createKernel(machine, { clock: () => 1000 });
      const heap = new OpenHeap({ seed: 1, kernel, write: () => {}, ...options });
      warmUp(heap, size);
      before = soFar();
      const answer = act(heap, soFar);
      const { buffer, byteOffset, length } = machine.ram.bankOf(0);
      seen.push({
        answer,
        stats: outcomeOf(() => JSON.stringify(heap.stats())),
        counters: kernel.counters.snapshot(),
        census: outcomeOf(() => JSON.stringify(heap.checkInvariants())),
        ram: Buffer.from(buffer, byteOffset, length),
      });
    });
    return count - before;
  });
  const [{ ram: ram0, ...first }, { ram: ram1, ...second }] = seen as [{ ram: Buffer }, { ram: Buffer }];
  expect(first).toEqual(second);
  expect(ram0.equals(ram1), "RAM is the same").toBe(true);
  expect(counts[1]).toBe(0);
  return counts[0];
}
