// Steps on files and pipes; buffers that a script does not name are the runner's own, outside the window.

import { SystemError } from "../../../platform/kernel/abi/errors.ts";
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE } from "../../../platform/kernel/memfd.ts";
import { O_RDONLY, O_RDWR, O_WRONLY } from "../../../platform/kernel/mm/file.ts";
import { runsOf } from "../runs.ts";
import { type Answer, numberOf, ScriptError, type Step } from "../script.ts";
import type { Participant, World } from "../world.ts";

export function memfd(world: World, participant: Participant, step: Step): Answer {
  const { process } = participant;
  const descriptor = process.memfd_create("script");
  try {
    process.ftruncate(descriptor, numberOf(step, "size"));
  } catch (error) {
    process.close(descriptor);
    throw error;
  }
  const handle = world.addHandle(participant, descriptor);
  world.nameObject(process, descriptor, `m${handle}`);
  return { ret: handle };
}

const openModes = [O_RDONLY, O_WRONLY, O_RDWR];

export function reopen(world: World, participant: Participant, step: Step): Answer {
  const mode = openModes[numberOf(step, "mode")];
  if (mode === undefined) throw new ScriptError(`reopen: mode ${step.mode} is not 0, 1 or 2`);
  return world.withDescriptor(participant, step.fd, (descriptor) => {
    try {
      return { ret: world.addHandle(participant, participant.process.open(`/proc/self/fd/${descriptor}`, mode)) };
    } catch (error) {
      // The path through /proc is how it is opened; what the script means is the descriptor.
      if (error instanceof SystemError && error.code === "ENOENT") return { err: "EBADF" };
      throw error;
    }
  });
}

export function dup(world: World, participant: Participant, step: Step): Answer {
  return world.withDescriptor(participant, step.fd, (descriptor) => ({
    ret: world.addHandle(participant, participant.process.dup(descriptor)),
  }));
}

export function close(world: World, participant: Participant, step: Step): Answer {
  const handle = world.handle(step.fd);
  world.withDescriptor(participant, step.fd, (descriptor) => participant.process.close(descriptor));
  if (handle !== undefined) participant.handles.delete(handle);
  return { ret: 0 };
}

export function ftruncate(world: World, participant: Participant, step: Step): Answer {
  const size = numberOf(step, "size");
  world.withDescriptor(participant, step.fd, (descriptor) => participant.process.ftruncate(descriptor, size));
  return { ret: 0 };
}

export function fpunch(world: World, participant: Participant, step: Step): Answer {
  const mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  world.withDescriptor(participant, step.fd, (descriptor) =>
    participant.process.fallocate(descriptor, mode, numberOf(step, "off"), numberOf(step, "len")),
  );
  return { ret: 0 };
}

export function fwrite(world: World, participant: Participant, step: Step): Answer {
  const length = numberOf(step, "len");
  const buffer = world.buffer(participant, length, numberOf(step, "value"));
  return world.withDescriptor(participant, step.fd, (descriptor) => ({
    ret: participant.process.pwrite64(descriptor, buffer, length, numberOf(step, "off")),
  }));
}

export function fread(world: World, participant: Participant, step: Step): Answer {
  const { process } = participant;
  const length = numberOf(step, "len");
  const buffer = world.buffer(participant, length);
  return world.withDescriptor(participant, step.fd, (descriptor) => {
    const count = process.pread64(descriptor, buffer, length, numberOf(step, "off"));
    return { ret: count, data: runsOf(process.memory.read(buffer, count)) };
  });
}

export function write(world: World, participant: Participant, step: Step): Answer {
  return world.withDescriptor(participant, step.fd, (descriptor) => ({
    ret: participant.process.pwrite64(
      descriptor,
      world.address(step.addr),
      numberOf(step, "len"),
      numberOf(step, "off"),
    ),
  }));
}

export function read(world: World, participant: Participant, step: Step): Answer {
  return world.withDescriptor(participant, step.fd, (descriptor) => ({
    ret: participant.process.pread64(
      descriptor,
      world.address(step.addr),
      numberOf(step, "len"),
      numberOf(step, "off"),
    ),
  }));
}

/** write(2) of a user buffer to an empty pipe; `data` is what arrived. */
export function pipe_write(world: World, participant: Participant, step: Step): Answer {
  const { process } = participant;
  const length = numberOf(step, "len");
  const buffer = world.buffer(participant, length);
  return world.withPipe(participant, (readEnd, writeEnd) => {
    const count = process.write(writeEnd, world.address(step.addr), length);
    const arrived = count === 0 ? 0 : process.read(readEnd, buffer, length);
    return { ret: count, data: runsOf(process.memory.read(buffer, arrived)) };
  });
}

/** read(2) into a user buffer from a pipe that one write has filled. */
export function pipe_read(world: World, participant: Participant, step: Step): Answer {
  const { process } = participant;
  const length = numberOf(step, "len");
  const buffer = world.buffer(participant, length, numberOf(step, "value"));
  return world.withPipe(participant, (readEnd, writeEnd) => {
    if (length > 0) process.write(writeEnd, buffer, length);
    return { ret: process.read(readEnd, world.address(step.addr), length) };
  });
}
