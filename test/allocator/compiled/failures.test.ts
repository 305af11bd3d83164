// Compiled ways of a heap whose n-th frame cannot be had, for every n: each call fails or succeeds as on a heap that has no such ways, and
// leaves the same behind. What must hold of it all is failures.test.ts, of heaps of every kind.
import { describe, expect, test } from "vitest";
import type { HeapOptions } from "../../../allocator/options/options.ts";
import { failFrame, failMappingCall } from "../inject-failures.ts";
import type { OpenHeap } from "../open-heap.ts";
import { outcomeOf, sameBothWays } from "./same-both-ways.ts";

const SETTINGS: readonly HeapOptions[] = [{}, { fill: "zero", releaseToOSIntervalMs: 0 }, { tagging: "sync" }];
const SIZES = [40, 40, 500, 2000, 40, 3000, 20_000, 500];

/** Calls that take frames: pages that are new, that were given back, and that a child has as well. */
function program(heap: OpenHeap): string[] {
  const live: number[] = [];
  const outcomes: string[] = [];
  const attempt = (act: () => unknown): void => void outcomes.push(outcomeOf(act));
  const round = (): void => {
    for (const [index, size] of SIZES.entries()) {
      attempt(() => live.push(index % 4 === 3 ? heap.calloc(1, size) : heap.malloc(size)));
      if (index % 3 === 2) attempt(() => heap.free(live[0]) ?? live.shift());
    }
  };
  round();
  attempt(() => heap.releaseToOS("force-all"));
  round();
  attempt(() => void heap.fork());
  round();
  for (const pointer of live) attempt(() => heap.free(pointer));
  return outcomes;
}

describe.each(SETTINGS)("with %j", (options) => {
  test.each([
    ["frame cannot be had", failFrame],
    ["mapping call answers ENOMEM", failMappingCall],
  ] as const)("the n-th %s, for every n", (_what, fail) => {
    let compiled = 0;
    let failed = 0;
    for (let n = 1; ; n++) {
      let wasReached = false;
      compiled += sameBothWays(options, 40, (heap) => {
        const disarm = fail(n)(heap);
        const outcomes = program(heap);
        wasReached = disarm();
        heap.kernel.checkInvariants();
        if (outcomes.some((text) => text.includes("Error"))) failed++;
        return outcomes;
      });
      if (!wasReached) break;
    }
    expect(compiled).toBeGreaterThan(20);
    if (fail === failFrame) expect(failed).toBeGreaterThan(0);
  });
});
