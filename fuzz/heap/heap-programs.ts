// Heap programs over all option combinations, one or two heaps in a process, against the list of live chunks of heap-model.ts.
import fc from "fast-check";
import type { Kernel } from "../../platform/kernel/kernel.ts";
import { createKernel } from "../../refpage/kernel.ts";
import type { Fuzzer } from "../harness/fuzzer.ts";
import { type DrawnOptions, drawnOptions, heapOptions, shownOptions } from "./drawn-options.ts";
import { runProgram, type Step, step } from "./heap-model.ts";

interface Program {
  readonly heaps: readonly DrawnOptions[];
  readonly steps: readonly Step[];
  readonly seed: number;
  /** Whether the machine's RAM is a buffer of its own: plain and tagged heaps have no compiled ways then. */
  readonly isApart?: boolean;
}

const MEMORY = 2 ** 26;
const shared = new Map<boolean, Kernel>();

export const heapPrograms: Fuzzer<Program> = {
  program: fc.record({
    heaps: fc.array(drawnOptions, { minLength: 1, maxLength: 2 }),
    steps: fc.array(step, { minLength: 1, maxLength: 60 }),
    seed: fc.nat(0xffff),
    isApart: fc.boolean(),
  }),
  run: ({ heaps, steps, seed, isApart = false }, journal) => {
    const known = shared.get(isApart);
    const kernel =
      known ?? createKernel({ memoryBytes: MEMORY, ...(isApart ? { buffer: new ArrayBuffer(MEMORY) } : {}) });
    shared.set(isApart, kernel);
    journal.note('import { Heap, SizeClassMap } from "refheap";');
    journal.note('import { createKernel } from "refheap/kernel";');
    const buffer = isApart ? ", buffer: new ArrayBuffer(2 ** 26)" : "";
    journal.note(`const kernel = createKernel({ memoryBytes: 2 ** 26${buffer} });`);
    try {
      const shown = heaps.map(shownOptions);
      return runProgram(kernel, heaps.map(heapOptions), steps, seed, { journal, shown });
    } catch (error) {
      // What a failed program leaves does not reach the next one.
      shared.delete(isApart);
      throw error;
    }
  },
  inTests: 40,
};
