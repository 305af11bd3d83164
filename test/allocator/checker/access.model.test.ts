// Every access of random programs against the plain model of fuzz/checker/access-model.ts: one finding where it says so, of the kind, place, size
// and block that it says, and none elsewhere; afterwards the bytes that a store reached, and no others, count as written.
import fc from "fast-check";
import { test } from "vitest";
import { Model, step } from "../../../fuzz/checker/access-model.ts";

test("each access is what the model says", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 10, maxLength: 60 }), (steps) => {
      using model = new Model();
      for (const given of steps) model.run(given);
    }),
    { numRuns: 25 },
  );
});
