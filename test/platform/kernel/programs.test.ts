// Random programs of system calls, loads and stores: after each step the kernel's invariants hold and the step had the
// model's outcome; at the end every process sees the bytes that the plain model says, and every frame is free again.
import fc from "fast-check";
import { test } from "vitest";
import { silent } from "../../../fuzz/harness/journal.ts";
import { runPlainProgram, step } from "../../../fuzz/kernel/plain-programs.ts";

test("every process sees the bytes of the plain model, the invariants hold after every step, no frame is left", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 5, maxLength: 60 }), (steps) => {
      runPlainProgram(steps, silent);
    }),
    { numRuns: 100 },
  );
});
