// Steps that make, end and look into processes.
import { type Answer, numberOf, type Step, vectorOf } from "../script.ts";
import type { Participant, World } from "../world.ts";

/** A process id that no process has. */
const NO_SUCH_PROCESS = 4_000_000;

export function fork(world: World, participant: Participant): Answer {
  const { process, handles } = participant;
  const child = world.addParticipant(process.fork(), new Map(handles));
  world.populateBuffer(participant);
  world.populateBuffer(child);
  return { ret: child.number };
}

export function exit(world: World, participant: Participant): Answer {
  world.end(participant);
  return { ret: 0 };
}

export function process_vm_readv(world: World, { process }: Participant, step: Step): Answer {
  const { pid, local, remote, flags } = transferOf(world, step);
  return { ret: process.process_vm_readv(pid, local, remote, flags) };
}

export function process_vm_writev(world: World, { process }: Participant, step: Step): Answer {
  const { pid, local, remote, flags } = transferOf(world, step);
  return { ret: process.process_vm_writev(pid, local, remote, flags) };
}

interface Transfer {
  readonly pid: number;
  readonly local: [number, number][];
  readonly remote: [number, number][];
  readonly flags: number;
}

function transferOf(world: World, step: Step): Transfer {
  const vector = (key: string): [number, number][] =>
    vectorOf(step, key).map(([address, length]) => [world.address(address), length]);
  const target = world.participants[numberOf(step, "target")];
  return {
    pid: target?.process.pid ?? NO_SUCH_PROCESS,
    local: vector("local"),
    remote: vector("remote"),
    flags: numberOf(step, "flags"),
  };
}
