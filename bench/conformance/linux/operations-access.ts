// Steps that load and store as a program does: byte by byte, upwards, until a signal.
import { PAGE_SIZE } from "../../../platform/hardware/layout.ts";
import { appendBytes, appendRun } from "../runs.ts";
import { type Answer, numberOf, type Step } from "../script.ts";
import { answerOfError, type Participant, type World } from "../world.ts";

export function load(world: World, { process }: Participant, step: Step): Answer {
  return { ret: process.memory.getUint8(world.address(step.addr)) };
}

export function store(world: World, { process }: Participant, step: Step): Answer {
  process.memory.setUint8(world.address(step.addr), numberOf(step, "value"));
  return { ret: 0 };
}

export function fill(world: World, { process }: Participant, step: Step): Answer {
  const address = world.address(step.addr);
  const value = numberOf(step, "value");
  return upwards(numberOf(step, "len"), (done) => process.memory.setUint8(address + done, value));
}

export function copy(world: World, { process }: Participant, step: Step): Answer {
  const to = world.address(step.to);
  const from = world.address(step.from);
  const { memory } = process;
  return upwards(numberOf(step, "len"), (done) => memory.setUint8(to + done, memory.getUint8(from + done)));
}

/** One access a byte; a signal ends the step and tells how far it came. */
function upwards(length: number, access: (done: number) => void): Answer {
  let done = 0;
  try {
    for (; done < length; done++) access(done);
  } catch (error) {
    return { ...answerOfError(error), done };
  }
  return { ret: 0 };
}

const refusals: Record<string, number> = { SEGV_MAPERR: -1, SEGV_ACCERR: -2, BUS_ADRERR: -3 };

export function dump(world: World, { process }: Participant, step: Step): Answer {
  const start = world.address(step.addr);
  const end = start + numberOf(step, "len");
  const runs: [number, number][] = [];
  for (let address = start; address < end; ) {
    const stop = Math.min(end, address - (address % PAGE_SIZE) + PAGE_SIZE);
    const refusal = refusalOf(() => process.memory.getUint8(address));
    if (refusal === undefined) appendBytes(runs, process.memory.read(address, stop - address));
    else appendRun(runs, refusal, stop - address);
    address = stop;
  }
  return { runs };
}

/** The code with which a load is refused, or undefined. */
export function refusalOf(access: () => number): number | undefined {
  try {
    access();
  } catch (error) {
    return refusals[answerOfError(error).code ?? ""];
  }
  return undefined;
}
