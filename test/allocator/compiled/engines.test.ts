// Engines without WebAssembly, or that refuse a memory, a module or an instance: heaps do as they do with it, by their own ways.
import { afterEach, describe, expect, test, vi } from "vitest";
import { Heap } from "../../../allocator/heap/heap.ts";
import type { HeapOptions } from "../../../allocator/options/options.ts";
import { countCompiledCalls } from "../../../fuzz/heap/compiled-calls.ts";
import { engine } from "../../../platform/host/engine.ts";
import { createKernel } from "../../../refpage/kernel.ts";

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
  vi.resetModules();
});

type Made = Pick<typeof import("../../../allocator/heap/heap.ts"), "Heap"> &
  Pick<typeof import("../../../refpage/kernel.ts"), "createKernel">;

/** The library as an engine loads it that has this in the place of WebAssembly. */
async function loadWith(WebAssembly: unknown): Promise<Made> {
  vi.resetModules();
  vi.stubGlobal("WebAssembly", WebAssembly);
  const [heap, kernel] = await Promise.all([
    import("../../../allocator/heap/heap.ts"),
    import("../../../refpage/kernel.ts"),
  ]);
  return { Heap: heap.Heap, createKernel: kernel.createKernel };
}

const refusing = class {
  constructor() {
    throw new EvalError("not permitted");
  }
};
const { Memory, Module, Instance } = engine;

const engines: readonly (readonly [string, unknown])[] = [
  ["without WebAssembly", undefined],
  ["with nothing in it", {}],
  ["that refuses memories", { Memory: refusing, Module, Instance }],
  ["that refuses modules", { Memory, Module: refusing, Instance }],
  ["that refuses instances", { Memory, Module, Instance: refusing }],
];

/** What a program sees of a heap. */
function seen(library: Made, options: HeapOptions): unknown {
  const kernel = library.createKernel({ memoryBytes: 2 ** 26 }, { clock: () => 1000 });
  const heap = new library.Heap({ ...options, kernel, seed: 5 });
  const live: number[] = [];
  const seenPointers: number[] = [];
  for (let step = 0; step < 600; step++) {
    const size = [24, 100, 500, 3000, 70_000][step % 5];
    const made = step % 7 === 0 ? heap.calloc(2, size) : heap.malloc(size);
    live.push(made);
    seenPointers.push(made, heap.memory.getUint8(made));
    if (step % 3 !== 0) heap.free(live.splice((step * 7) % live.length, 1)[0]);
  }
  const child = heap.fork();
  seenPointers.push(child.malloc(40), heap.malloc(40));
  const census = [heap.checkInvariants(), child.checkInvariants()];
  return { seenPointers, census, stats: heap.stats(), counters: kernel.counters.snapshot() };
}

describe.each<HeapOptions>([{}, { fill: "zero" }, { fill: "pattern" }, { tagging: "sync" }])(
  "a heap with %j",
  (options) => {
    test.each(engines)("on an engine %s", async (_what, WebAssembly) => {
      const expected = seen({ Heap, createKernel }, options);
      const library = await loadWith(WebAssembly);
      expect(library.Heap).not.toBe(Heap);
      expect(seen(library, options)).toEqual(expected);
    });

    test("on this one, which compiles it", () => {
      expect(countCompiledCalls(() => seen({ Heap, createKernel }, options))).toBeGreaterThan(100);
    });
  },
);

test("room that was taken for a refused instance is given back", () => {
  const kernel = createKernel({ memoryBytes: 2 ** 26 });
  const begin = kernel.machine.hostMemory?.takeRoom(64) ?? 0;
  kernel.machine.hostMemory?.giveRoom(begin);
  vi.spyOn(engine as { Instance: typeof Instance }, "Instance").mockImplementation(function refuse() {
    throw new RangeError("no room");
  });
  const heap = new Heap({ kernel });
  for (let left = 4; left > 0; left--) heap.free(heap.malloc(40));
  expect(engine.Instance).toHaveBeenCalled();
  expect(kernel.machine.hostMemory?.takeRoom(64)).toBe(begin);
});
