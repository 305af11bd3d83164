// Drawn kernel programs as scripts: every step is one that the simulated kernel takes, with or without steps before it taken away.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { linux } from "../../../bench/conformance/linux/linux.ts";
import { wordsOf } from "../../../bench/conformance/native/words.ts";
import { runScript } from "../../../bench/conformance/runner.ts";
import { thp } from "../../../bench/conformance/thp/thp.ts";
import { hugePrograms, linuxPrograms } from "../../../fuzz/linux/drawn.ts";
import { hugeScript, linuxScript } from "../../../fuzz/linux/scripts.ts";

const worlds = [
  { kind: "small pages", programs: linuxPrograms, scriptOf: linuxScript, dialect: linux },
  { kind: "huge pages", programs: hugePrograms, scriptOf: hugeScript, dialect: thp },
];

describe.each(worlds)("programs of $kind", ({ programs, scriptOf, dialect }) => {
  test("become scripts that recorder and simulation take, with any steps left of them", () => {
    fc.assert(
      fc.property(programs, fc.nat(40), (program, cut) => {
        const script = scriptOf({ ...program, steps: program.steps.toSpliced(cut, 3) });
        expect(wordsOf(script).split("\n")).toHaveLength(script.steps.length + 1);
        // Nothing is wanted, so that the first step may differ; a step that cannot be taken would throw.
        runScript(dialect, script);
      }),
      { numRuns: 15 },
    );
  });

  test("end with what every process sees", () => {
    const [program] = fc.sample(programs, { numRuns: 1, seed: 3 });
    const { steps } = scriptOf(program);
    expect(steps.at(-1)?.op).toBe("observe");
  });
});
