// Random programs do what the model says: values, memory, reports in their order, and every shadow bit of memory.
import fc from "fast-check";
import { expect, test } from "vitest";
import { silent } from "../../../../fuzz/harness/journal.ts";
import { runDefinedness } from "../../../../fuzz/wasm/definedness.ts";

test("random programs: results, memory, shadows and reports are the model's", () => {
  let reported = 0;
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 30 }), (seed) => {
      reported += runDefinedness(seed, silent).reports;
    }),
    { numRuns: 80 },
  );
  expect(reported).toBeGreaterThan(60);
});
