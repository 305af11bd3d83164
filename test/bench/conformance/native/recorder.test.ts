// The recorder on this machine's kernel, where that is the one that is simulated: what it answers of recorded scenarios is what was
// recorded. Elsewhere the tests are skipped, with the reason.

import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { compareAnswers, ObjectNames } from "../../../../bench/conformance/compare.ts";
import { makeRecorder, type Recorder } from "../../../../bench/conformance/native/recorder.ts";
import { parseScript, type Script } from "../../../../bench/conformance/script.ts";

const made = await makeRecorder();
const reason = typeof made === "string" ? made : undefined;
const recorder = made as Recorder;

const scenarios = gunzipSync(readFileSync(new URL("../../../golden/linux/scenarios.jsonl.gz", import.meta.url)))
  .toString()
  .trim()
  .split("\n")
  .map(parseScript);

function scenario(name: string): Script {
  return scenarios.find((script) => script.name === name) as Script;
}

/** The steps in which two recordings of a script differ. */
function differences(one: Script, other: Script): number[] {
  const names = new ObjectNames();
  return one.steps.flatMap(({ want }, index) =>
    compareAnswers(want, other.steps[index].want, names) === undefined ? [] : [index + 1],
  );
}

describe.skipIf(reason !== undefined)(`the recorder${reason === undefined ? "" : ` (skipped: ${reason})`}`, () => {
  test.each(["read_then_write", "guard_page", "mremap_moves", "past_eof_sigbus", "buffer_io"])(
    "%s: the kernel here answers as the recorded one did",
    async (name) => {
      const script = scenario(name);
      expect(differences(script, await recorder.record(script, "linux"))).toEqual([]);
    },
  );

  test("a script does not see what the one before has done", async () => {
    const map = { op: "mmap", addr: 0, len: 4096, prot: 3, flags: 0x32, fd: -1, off: 0, want: {} };
    const observe = { op: "observe", want: {} };
    await recorder.record({ name: "one", steps: [map] }, "linux");
    const { steps } = await recorder.record({ name: "other", steps: [observe] }, "linux");
    expect(steps[0].want.vmas).toEqual([]);
  });

  test("a script that names a process that there is not fails alone", async () => {
    await expect(recorder.record({ name: "one", steps: [{ op: "fork", p: 3, want: {} }] }, "linux")).rejects.toThrow(
      "no such process",
    );
    const { steps } = await recorder.record({ name: "other", steps: [{ op: "fork", want: {} }] }, "linux");
    expect(steps[0].want.ret).toBe(1);
  });
});
