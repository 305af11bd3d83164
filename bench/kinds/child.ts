// The child process of one job: heaps of some kinds, rounds of malloc, store, load and free, and the fastest turn of one of them.
import { Heap } from "../../allocator/index.ts";
import { type Job, KINDS, type Kind } from "./jobs.ts";

const MEMORY_BYTES = 2 ** 26;
const ROUNDS = 2000;
/** Processor time for each heap that ran before, to compile, and to look at the one that is measured. */
const BEFORE_MILLISECONDS = 250;
const WARM_UP_MILLISECONDS = 400;

function batchOf(kind: Kind): () => void {
  const heap = new Heap({ seed: 1, memoryBytes: MEMORY_BYTES, ...KINDS[kind] });
  const { memory } = heap;
  return () => {
    for (let i = 0; i < ROUNDS; i++) {
      const pointer = heap.malloc(64);
      memory.setUint32(pointer, i);
      if (memory.getUint32(pointer) !== i) throw new Error("a load differs from the store before it");
      heap.free(pointer);
    }
  };
}

/** Runs all batches in turns for some processor time. @returns the fastest turn of the first, in nanoseconds a round */
function fastest(batches: readonly (() => void)[], milliseconds: number): number {
  let least = Number.POSITIVE_INFINITY;
  const end = process.cpuUsage().user + milliseconds * 1000;
  while (process.cpuUsage().user < end) {
    for (const [index, batch] of batches.entries()) {
      const start = performance.now();
      batch();
      if (index === 0) least = Math.min(least, ((performance.now() - start) * 1e6) / ROUNDS);
    }
  }
  return least;
}

function measure({ kind, after, beside, milliseconds }: Job): number {
  for (const before of after) fastest([batchOf(before)], BEFORE_MILLISECONDS);
  const batches = [kind, ...beside].map(batchOf);
  fastest(batches, WARM_UP_MILLISECONDS);
  return fastest(batches, milliseconds);
}

process.stdout.write(String(measure(JSON.parse(process.argv[2]))));
