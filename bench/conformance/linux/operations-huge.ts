// Steps that only scripts about huge pages have: touching and probing a byte a page, and the prctl that forbids huge pages.
import { PAGE_SIZE } from "../../../platform/hardware/layout.ts";
import { PR_GET_THP_DISABLE, PR_SET_THP_DISABLE } from "../../../platform/kernel/abi/prctl.ts";
import { appendRun } from "../runs.ts";
import { type Answer, numberOf, type Step } from "../script.ts";
import { answerOfError, type Participant, type World } from "../world.ts";
import { refusalOf } from "./operations-access.ts";

/** Stores one byte a page, upwards; on a fault `done` counts the stores made. */
export function touch(world: World, { process }: Participant, step: Step): Answer {
  const address = world.address(step.addr);
  const value = numberOf(step, "value");
  const length = numberOf(step, "len");
  let done = 0;
  try {
    for (; done * PAGE_SIZE < length; done++) process.memory.setUint8(address + done * PAGE_SIZE, value);
  } catch (error) {
    return { ...answerOfError(error), done };
  }
  return { ret: 0 };
}

/** Loads one byte a page and goes on after refusals. */
export function probe(world: World, { process }: Participant, step: Step): Answer {
  const address = world.address(step.addr);
  const length = numberOf(step, "len");
  const runs: [number, number][] = [];
  const { stackTraceLimit } = Error;
  // A window has thousands of pages that refuse, and their stack traces were most of what a script costs.
  Error.stackTraceLimit = 0;
  for (let at = 0; at < length; at += PAGE_SIZE) {
    let value = 0;
    const refusal = refusalOf(() => {
      value = process.memory.getUint8(address + at);
      return value;
    });
    appendRun(runs, refusal ?? value, 1);
  }
  Error.stackTraceLimit = stackTraceLimit;
  return { runs };
}

export function thp_disable(_world: World, { process }: Participant, step: Step): Answer {
  return { ret: process.prctl(PR_SET_THP_DISABLE, numberOf(step, "value"), numberOf(step, "flags")) };
}

export function thp_disabled(_world: World, { process }: Participant): Answer {
  return { ret: process.prctl(PR_GET_THP_DISABLE) };
}
