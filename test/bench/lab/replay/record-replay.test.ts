// What a program does on a recorded heap, its replay does again: the machine counts the same events.
// What is in a recording is tested in test/allocator/record/.
import fc from "fast-check";
import { expect, test } from "vitest";
import { Heap } from "../../../../allocator/index.ts";
import { heapOptions } from "../../../../bench/lab/replay/heap-subject.ts";
import { parsePolicy } from "../../../../bench/lab/replay/policy.ts";
import { replayTrace } from "../../../../bench/lab/replay/run-replay.ts";
import type { CounterSnapshot } from "../../../../platform/hardware/counters.ts";
import { Kernel } from "../../../../platform/kernel/kernel.ts";
import { installRefpage } from "../../../../refpage/install.ts";
import { traceOf } from "../traces/events-of.ts";

const MEMORY_BYTES = 2 ** 26;
const SEED = 7;

interface Step {
  readonly what: "malloc" | "calloc" | "memalign" | "realloc" | "free" | "fill" | "copy" | "load";
  readonly block: number;
  readonly size: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  what: fc.constantFrom("malloc", "calloc", "memalign", "realloc", "free", "fill", "copy", "load"),
  block: fc.nat(7),
  size: fc.oneof(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 1, max: 200_000 })),
});

/** A program of eight variables, each null or a block. */
function run(heap: Heap, steps: readonly Step[]): void {
  const pointers = new Array<number>(8).fill(0);
  const sizes = new Array<number>(8).fill(0);
  const set = (block: number, pointer: number, size: number): void => {
    pointers[block] = pointer;
    sizes[block] = size;
  };
  for (const { what, block, size } of steps) {
    const pointer = pointers[block];
    const { memory } = heap;
    if (what === "free") {
      heap.free(pointer);
      set(block, 0, 0);
    } else if (what === "realloc") set(block, heap.realloc(pointer, size), size);
    else if (pointer === 0) {
      const made = { calloc: () => heap.calloc(1, size), memalign: () => heap.memalign(4096, size) }[what as "calloc"];
      set(block, made?.() ?? heap.malloc(size), size);
    } else {
      const length = Math.max(1, Math.min(size, sizes[block]) >> 1);
      if (what === "fill") memory.fill(pointer + (sizes[block] - length), 5, length);
      else if (what === "copy") memory.copy(pointer, pointer + (sizes[block] - length), length);
      else memory.getUint8(pointer + sizes[block] - length);
    }
  }
}

/** A heap as a replay makes it. */
function makeHeap(policyName: string): Heap {
  const policy = parsePolicy(policyName);
  const kernel = new Kernel(
    { memoryBytes: MEMORY_BYTES, mte: false },
    { initialisation: policy.initialisation, clock: () => 0, seed: SEED },
  );
  installRefpage(kernel);
  return new Heap({ ...heapOptions(policy), kernel, seed: SEED });
}

/** What the machine counted, but for the bytes that the program itself filled: a page's first store stands for all of them. */
function comparable({ userBytesFilled: _, ...counters }: CounterSnapshot): unknown {
  return counters;
}

test.each(["none", "pattern-memset", "pattern-refpage", "zero"])(
  "a recorded program and its replay fault, map and initialise alike under %s",
  async (name) => {
    const policyName = `${name}+releaseIntervalMs=-1`;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 80 }), async (steps) => {
        const chunks: Uint8Array[] = [];
        const heap = makeHeap(policyName);
        const recording = heap.record({ write: (bytes) => chunks.push(bytes) });
        run(heap, steps);
        const { events } = recording.stop();
        const trace = await traceOf(Buffer.concat(chunks));
        const replay = await replayTrace(trace, {
          policy: parsePolicy(policyName),
          seed: SEED,
          memoryBytes: MEMORY_BYTES,
        });
        expect(replay.stopped).toBe("");
        expect(replay.replayed).toMatchObject({ operations: events, clippedTouches: 0, deadTouches: 0, deadFrees: 0 });
        expect(comparable(replay.counters)).toEqual(comparable(heap.kernel.counters.snapshot()));
        expect(replay.finalRssBytes).toBe(heap.process.rssBytes);
        heap[Symbol.dispose]();
      }),
      { numRuns: 6 },
    );
  },
);
