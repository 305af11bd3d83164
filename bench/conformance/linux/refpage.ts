// The dialect of reference pages: Linux's operations, and those that make and duplicate a reference page's file.

import type { HugeReferencePages } from "../../../refpage/huge.ts";
import { createKernel } from "../../../refpage/kernel.ts";
import { type Dialect, type RunOptions, runFiles, type Tally } from "../runner.ts";
import { type Answer, numberOf, type Script, ScriptError, type Step } from "../script.ts";
import { type Participant, World } from "../world.ts";
import { settingsOf, THP_WINDOW_BYTES } from "./huge-settings.ts";
import { linuxOperations, machineForScripts } from "./linux.ts";
import { dup } from "./operations-file.ts";
import { probe, thp_disable, thp_disabled, touch } from "./operations-huge.ts";

/** First (v4) and second (v5) ABI, by number in the system-call table. */
const REFPAGE_CREATE = 448;
const REFPAGE_CREATE2 = 449;

function refpage_create(world: World, participant: Participant, step: Step): Answer {
  const { process } = participant;
  const content = world.address(step.content);
  const flags = numberOf(step, "flags", 0);
  let descriptor: number;
  if (step.abi === 1) descriptor = process.syscall(REFPAGE_CREATE, content, flags);
  else if (step.abi === 2) descriptor = process.syscall(REFPAGE_CREATE2, content, numberOf(step, "size"), flags);
  else throw new ScriptError(`refpage_create: abi ${JSON.stringify(step.abi)} is neither 1 nor 2`);
  const handle = world.addHandle(participant, descriptor);
  world.nameObject(process, descriptor, `r${handle}`);
  return { ret: handle };
}

const policies = ["nozero", "double", "plumbed"] as const;

function policyOf({ name, policy = "plumbed" }: Script): (typeof policies)[number] {
  const known = policies.find((candidate) => candidate === policy);
  if (known === undefined) {
    throw new ScriptError(`${name}: policy ${JSON.stringify(policy)} is not one of ${policies.join(", ")}`);
  }
  return known;
}

/** Scripts about huge reference pages need room for a few pages of 2 MiB; the window is as large as theirs for all. */
const machine = machineForScripts({ mte: true, memoryBytes: 128 * 2 ** 20 });

/** The huge-page settings of a script, in the words of the recordings about huge pages, and `refpage`: the policy of R16. */
function hugeOptions(script: Script) {
  if (script.env === undefined) return { windowBytes: undefined };
  const { refpage: policy } = script.env as { readonly refpage?: HugeReferencePages };
  return { windowBytes: THP_WINDOW_BYTES, hugePages: settingsOf(script), hugeReferencePages: policy };
}

export const refpage: Dialect = {
  operations: { ...linuxOperations, refpage_create, dup, touch, probe, thp_disable, thp_disabled },
  createWorld: (script) => {
    const { windowBytes, ...huge } = hugeOptions(script);
    return new World(createKernel(machine(), { initialisation: policyOf(script), ...huge }), windowBytes);
  },
};

/** Runs scripts in the format of the reference-page scenarios. */
export function runRefpage(files: readonly string[], options?: RunOptions): Promise<Tally> {
  return runFiles(refpage, files, options);
}
