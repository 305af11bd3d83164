// Heaps with compiled ways in snapshots: where the ways keep their state is no part of it, and a restored heap gets ways of its own.
import { afterEach, describe, expect, test, vi } from "vitest";
import { Heap } from "../../../allocator/heap/heap.ts";
import type { HeapOptions } from "../../../allocator/options/options.ts";
import { countCompiledCalls } from "../../../fuzz/heap/compiled-calls.ts";
import { Machine } from "../../../platform/hardware/machine.ts";
import { engine } from "../../../platform/host/engine.ts";
import { createKernel } from "../../../refpage/kernel.ts";

afterEach(() => void vi.restoreAllMocks());

const clock = () => 1000;

function makeHeap(options: HeapOptions): Heap {
  return new Heap({ ...options, kernel: createKernel({ memoryBytes: 2 ** 26 }, { clock }), seed: 4 });
}

/** Calls of two threads, after which some chunks live. @returns their pointers */
function use(heap: Heap): number[] {
  const live: number[] = [];
  const thread = heap.process.createThread();
  for (let step = 0; step < 200; step++) {
    const call = () => {
      live.push(step % 5 === 0 ? heap.calloc(1, 100) : heap.malloc(1 + ((step * 37) % 700)));
      if (step % 3 === 0) heap.free(live.splice(step % live.length, 1)[0]);
    };
    if (step % 40 < 20) call();
    else heap.withThread(thread, call);
  }
  return live;
}

const restored = (machine: Machine): Heap => Heap.on(Machine.restore(machine.snapshot(), { "kernel.clock": clock }))[0];

const KINDS: readonly HeapOptions[] = [
  {},
  { fill: "zero" },
  { fill: "pattern" },
  { config: "android" },
  { tagging: "sync" },
];

describe.each(KINDS)("a heap with %j", (options) => {
  test("has the digest of one that did the same and never was compiled", () => {
    const compiled = makeHeap(options);
    expect(countCompiledCalls(() => use(compiled))).toBeGreaterThan(50);
    vi.spyOn(engine as { Instance: typeof engine.Instance }, "Instance").mockImplementation(function refuse() {
      throw new RangeError("no room");
    });
    const plain = makeHeap(options);
    expect(countCompiledCalls(() => use(plain))).toBe(0);
    expect(compiled.kernel.machine.digest()).toBe(plain.kernel.machine.digest());
  });

  test("has the same digest once it is restored, and goes on compiled, with the same pointers", () => {
    const heap = makeHeap(options);
    use(heap);
    const before = heap.kernel.machine.digest();
    const twin = restored(heap.kernel.machine);
    expect(heap.kernel.machine.digest()).toBe(before);
    expect(twin.kernel.machine.digest()).toBe(before);
    let pointers: number[] = [];
    expect(countCompiledCalls(() => (pointers = use(twin)))).toBeGreaterThan(50);
    expect(use(heap)).toEqual(pointers);
    expect(twin.kernel.machine.digest()).toBe(heap.kernel.machine.digest());
    expect(twin.checkInvariants()).toEqual(heap.checkInvariants());
  });

  test("is restored from a snapshot of a restored one, and ends", () => {
    const heap = makeHeap(options);
    use(heap);
    const twin = restored(heap.kernel.machine);
    use(twin);
    const third = restored(twin.kernel.machine);
    expect(third.kernel.machine.digest()).toBe(twin.kernel.machine.digest());
    third[Symbol.dispose]();
    expect(() => third.malloc(1)).toThrow("disposed");
    expect(twin.checkInvariants().allocatedChunks).toBeGreaterThan(0);
  });

  test("is in a snapshot with a sibling and a child, each with its state", () => {
    const heap = makeHeap(options);
    use(heap);
    const sibling = new Heap({ ...options, process: heap.process, seed: 9 });
    use(sibling);
    const child = heap.fork();
    use(child);
    use(heap);
    const machine = Machine.restore(heap.kernel.machine.snapshot(), { "kernel.clock": clock });
    expect(machine.digest()).toBe(heap.kernel.machine.digest());
    const twins = Heap.on(machine);
    for (const [index, each] of [heap, sibling, child].entries()) {
      expect(twins[index].checkInvariants()).toEqual(each.checkInvariants());
      expect(use(twins[index])).toEqual(use(each));
    }
  });
});
