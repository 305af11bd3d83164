// The same script on this machine's kernel and on the simulated one: what the recordings' format says must be the same. Where the real
// kernel is another than the one that is simulated, nothing is compared, with the reason printed.

import { linux } from "../../bench/conformance/linux/linux.ts";
import { makeRecorder, type RecordedKind, type Recorder } from "../../bench/conformance/native/recorder.ts";
import { type Dialect, runScript } from "../../bench/conformance/runner.ts";
import { describeStep, type Script } from "../../bench/conformance/script.ts";
import { thp } from "../../bench/conformance/thp/thp.ts";
import type { Fuzzer } from "../harness/fuzzer.ts";
import type { Journal } from "../harness/journal.ts";
import { type DrawnProgram, hugePrograms, linuxPrograms } from "./drawn.ts";
import { hugeScript, linuxScript } from "./scripts.ts";

/** So often a script that differs is recorded again: what the real kernel does only now and then is not compared. */
const MOST_RECORDINGS = 4;

let made: Promise<Recorder | string> | undefined;
const told = new Set<string>();

/** The recorder if it can record scripts of this kind; prints once why not. */
async function recorderFor(kind: RecordedKind): Promise<Recorder | undefined> {
  made ??= makeRecorder();
  const recorder = await made;
  const reason = typeof recorder === "string" ? recorder : reasonAgainst(recorder, kind);
  if (typeof recorder !== "string" && reason === undefined) return recorder;
  if (!told.has(kind)) console.log(`${kind}: not compared: ${reason}`);
  told.add(kind);
  return undefined;
}

function reasonAgainst(recorder: Recorder, kind: RecordedKind): string | undefined {
  // Who runs tests does not expect the settings of the whole machine to change.
  if (kind === "thp" && process.env.VITEST !== undefined) return "tests leave the machine's huge-page settings alone";
  return recorder.reasonAgainst(kind);
}

async function compare(
  recorder: Recorder,
  kind: RecordedKind,
  dialect: Dialect,
  script: Script,
  journal: Journal,
): Promise<void> {
  let difference = "";
  for (let time = 0; time < MOST_RECORDINGS; time++) {
    const recorded = await recorder.record(script, kind);
    const failure = runScript(dialect, recorded, { tables: true });
    if (failure === undefined) return;
    const { stepNumber, step } = failure;
    const what = `step ${stepNumber}${step === undefined ? "" : ` ${describeStep(step)}`}: ${failure.difference.field}`;
    difference = `${what}, Linux ${JSON.stringify(failure.difference.expected)}, here ${JSON.stringify(failure.difference.got)}`;
    if (time === MOST_RECORDINGS - 1) journal.note(JSON.stringify(recorded));
  }
  throw new Error(difference);
}

function fuzzer(
  kind: RecordedKind,
  dialect: Dialect,
  program: Fuzzer<DrawnProgram>["program"],
  scriptOf: (program: DrawnProgram) => Script,
): Fuzzer<DrawnProgram> {
  return {
    program,
    run: async (drawn, journal) => {
      const script = scriptOf(drawn);
      const recorder = await recorderFor(kind);
      if (recorder === undefined) runScript(dialect, script);
      else await compare(recorder, kind, dialect, script, journal);
      return script.steps.length;
    },
    inTests: 10,
  };
}

export const linuxKernel = fuzzer("linux", linux, linuxPrograms, linuxScript);
export const hugeKernel = fuzzer("thp", thp, hugePrograms, hugeScript);
