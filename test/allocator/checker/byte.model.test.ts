// Level "byte" against the plain model of fuzz/checker/byte-model.ts over random programs: after each step the bytes that it touched and
// a sample of all others have the model's marks; at the end every byte has, and nothing was reported.
import fc from "fast-check";
import { test } from "vitest";
import { Model, step } from "../../../fuzz/checker/byte-model.ts";

test.each(["mremap", "copy"] as const)("marks are the model's in any program; realloc by %s", (largeRealloc) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 16 }), (steps) => {
      using model = new Model(largeRealloc);
      for (const given of steps) model.run(given);
      model.checkAll();
    }),
    { numRuns: 12 },
  );
});
