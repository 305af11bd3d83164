// A rewritten module does what it did: random sequences of loads, stores and bulk operations of every kind, run by the engine as
// they are and on the heap. Results, memory and traps must be the same.
import fc from "fast-check";
import { test } from "vitest";
import { silent } from "../../../../fuzz/harness/journal.ts";
import { runBothWays, step } from "../../../../fuzz/wasm/same-results.ts";

test("random loads, stores and bulk operations have the same results, traps and memory", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 25 }), (steps) => {
      runBothWays(steps, "off", silent);
    }),
    { numRuns: 60 },
  );
});
