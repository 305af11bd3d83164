// Random programs on tagged heaps against a plain model, a list of live chunks: bytes, bounds, stale pointers. Modes, tuning,
// forks, threads and releases come in between. Single behaviours are in tagging.test.ts and tagged-secondary.test.ts.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Heap, TagFaultError } from "../../../allocator/index.ts";
import { MEMORY } from "../../../fuzz/tagging/tagged-heap.ts";
import { Model, program, runTagged, type Step, settings, step } from "../../../fuzz/tagging/tagged-model.ts";
import { withoutTag } from "../../../platform/hardware/tags.ts";
import { createKernel } from "../../../refpage/kernel.ts";

describe.each(Object.entries(settings))("%s", (_, setting) => {
  test("a random program keeps its bytes and its bounds", () => {
    fc.assert(
      fc.property(program, (given) => {
        runTagged(setting, given);
      }),
      { numRuns: 15 },
    );
  });
});

describe("two heaps of one process", () => {
  const pair = fc.tuple(fc.array(fc.tuple(step, fc.boolean()), { minLength: 1, maxLength: 50 }), fc.nat(0xffff));
  const isTried = ({ kind }: Step): boolean => kind !== "fork" && kind !== "memory-init" && kind !== "mode";

  test("keep apart, are both there in a forked process, and report each for its own memory", () => {
    fc.assert(
      fc.property(pair, ([program, seed]) => {
        const process = createKernel({ memoryBytes: MEMORY }).createProcess();
        const heaps = [0, 1].map((index) => new Heap({ process, tagging: "sync", seed: seed + index }));
        const models = heaps.map((heap) => new Model(heap));
        const [first, second] = models;
        for (const [one, goesFirst] of program) if (isTried(one)) (goesFirst ? first : second).perform(one);
        const child = heaps[0].fork();
        const other = heaps[1].inProcess(child.process);
        for (const [index, heap] of [child, other].entries()) {
          const p = heap.malloc(48);
          const fault = faultOf(() => heap.memory.getUint8(p + 48));
          expect(fault.causes[0]).toMatchObject({ kind: "overflow", pointer: withoutTag(p), size: 48 });
          heap.free(p);
          models[index].checkChild(heap);
        }
        child.checkInvariants();
        other.checkInvariants();
        other[Symbol.dispose]();
        child[Symbol.dispose]();
        for (const [index, heap] of heaps.entries()) {
          while (models[index].live.length > 0) heap.free(models[index].take(0)?.p ?? 0);
          expect(heap.checkInvariants().allocatedChunks).toBe(0);
        }
        process.kernel.checkInvariants();
      }),
      { numRuns: 15 },
    );
  });
});

function faultOf(access: () => unknown): TagFaultError {
  try {
    access();
  } catch (error) {
    if (error instanceof TagFaultError) return error;
    throw error;
  }
  throw new Error("nothing was noticed");
}
