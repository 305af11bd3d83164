// Steps that change or ask about mappings: mmap and its relatives, and the limits that bind them.
import { PAGE_SIZE } from "../../../platform/hardware/layout.ts";
import { F_GETFD } from "../../../platform/kernel/abi/fcntl.ts";
import { MAP_FIXED, MREMAP_FIXED } from "../../../platform/kernel/abi/mman.ts";
import { RLIMIT_AS, RLIMIT_DATA, RLIMIT_MEMLOCK, RLIMIT_NOFILE } from "../../../platform/kernel/abi/rlimit.ts";
import type { Process } from "../../../platform/kernel/process.ts";
import { encodeCharacters } from "../runs.ts";
import { type Answer, numberOf, ScriptError, type Step } from "../script.ts";
import { type Participant, WINDOW_BASE, type World } from "../world.ts";

const HUGE_BYTES = 2 ** 21;

export function mmap(world: World, participant: Participant, step: Step): Answer {
  const length = numberOf(step, "len");
  const flags = numberOf(step, "flags");
  const address = world.withDescriptor(participant, step.fd, (descriptor) =>
    participant.process.mmap(
      world.address(step.addr),
      length,
      numberOf(step, "prot"),
      flags,
      descriptor,
      numberOf(step, "off"),
    ),
  );
  return place(world, participant, step, { address, length, chosenByScript: (flags & MAP_FIXED) !== 0 });
}

export function mremap(world: World, participant: Participant, step: Step): Answer {
  const newLength = numberOf(step, "newlen");
  const flags = numberOf(step, "flags");
  const address = participant.process.mremap(
    world.address(step.addr),
    numberOf(step, "len"),
    newLength,
    flags,
    world.address(step.newaddr),
  );
  return place(world, participant, step, { address, length: newLength, chosenByScript: (flags & MREMAP_FIXED) !== 0 });
}

/**
 * An address of the kernel's choice says nothing; its mapping goes immediately unless the script keeps it under a name. A file
 * may also call an address elsewhere that the script chose outside the window, and then means the same.
 */
function place(
  world: World,
  { process }: Participant,
  step: Step,
  mapping: { readonly address: number; readonly length: number; readonly chosenByScript: boolean },
): Answer {
  const { address, length, chosenByScript } = mapping;
  const offset = address - WINDOW_BASE;
  const outside = offset < 0 || offset >= world.windowBytes;
  const elsewhere = outside && (!chosenByScript || step.want.ret === "elsewhere");
  if (typeof step.keep === "string") world.kept.keep(step.keep, address);
  else if (elsewhere) process.munmap(address, length);
  if (!elsewhere) return { ret: offset };
  return { ret: "elsewhere", aligned: length % HUGE_BYTES === 0 ? address % HUGE_BYTES === 0 : undefined };
}

export function munmap(world: World, { process }: Participant, step: Step): Answer {
  return { ret: process.munmap(world.address(step.addr), numberOf(step, "len")) };
}

export function mprotect(world: World, { process }: Participant, step: Step): Answer {
  process.mprotect(world.address(step.addr), numberOf(step, "len"), numberOf(step, "prot"));
  return { ret: 0 };
}

export function madvise(world: World, { process }: Participant, step: Step): Answer {
  process.madvise(world.address(step.addr), numberOf(step, "len"), numberOf(step, "advice"));
  return { ret: 0 };
}

export function msync(world: World, { process }: Participant, step: Step): Answer {
  process.msync(world.address(step.addr), numberOf(step, "len"), numberOf(step, "flags"));
  return { ret: 0 };
}

export function mincore(world: World, { process }: Participant, step: Step): Answer {
  const vector = process.mincore(world.address(step.addr), numberOf(step, "len"));
  return { ret: 0, vec: encodeCharacters(residency(vector)) };
}

/** One character a page: `R` resident, `.` not. */
export function residency(vector: Uint8Array): string {
  return Array.from(vector, (byte) => ((byte & 1) === 1 ? "R" : ".")).join("");
}

/** The length of a range that need not be aligned, where the last bits of 2^64 − 1 tell where it ends: as −1 they are kept. */
function wrappingLengthOf(step: Step): number {
  return step.len === 2 ** 64 ? -1 : numberOf(step, "len");
}

export function mlock(world: World, { process }: Participant, step: Step): Answer {
  process.mlock(world.address(step.addr), wrappingLengthOf(step));
  return { ret: 0 };
}

export function mlock2(world: World, { process }: Participant, step: Step): Answer {
  process.mlock2(world.address(step.addr), wrappingLengthOf(step), numberOf(step, "flags"));
  return { ret: 0 };
}

export function munlock(world: World, { process }: Participant, step: Step): Answer {
  process.munlock(world.address(step.addr), wrappingLengthOf(step));
  return { ret: 0 };
}

export function munlockall(_world: World, { process }: Participant): Answer {
  process.munlockall();
  return { ret: 0 };
}

/** Sets a soft limit; AS and DATA count from what the process uses now, NOFILE from the descriptors that are open. */
export function rlimit(_world: World, { process }: Participant, step: Step): Answer {
  const value = numberOf(step, "value");
  switch (step.which) {
    case "AS":
      process.setrlimit(RLIMIT_AS, (Number(process.procfs("statm").split(" ")[0]) + value) * PAGE_SIZE);
      break;
    case "DATA":
      process.setrlimit(RLIMIT_DATA, statusKib(process, "VmData") * 1024 + value * PAGE_SIZE);
      break;
    case "MEMLOCK":
      process.setrlimit(RLIMIT_MEMLOCK, value * PAGE_SIZE);
      break;
    case "NOFILE":
      process.setrlimit(RLIMIT_NOFILE, limitForMoreFiles(process, value));
      break;
    default:
      throw new ScriptError(`unknown limit ${JSON.stringify(step.which)} (known: AS, DATA, MEMLOCK, NOFILE)`);
  }
  return { ret: 0 };
}

/** A line of /proc/self/status, in KiB. */
export function statusKib(process: Process, name: string): number {
  const [, kib] = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(process.procfs("status")) ?? [];
  if (kib === undefined) throw new Error(`/proc/self/status has no line ${name}`);
  return Number(kib);
}

/** The limit below which exactly `free` descriptors are not open: a limit on numbers, not on a count. */
function limitForMoreFiles(process: Process, free: number): number {
  let limit = 0;
  for (let found = 0; found < free; limit++) {
    if (!isOpen(process, limit)) found++;
  }
  // Descriptors that are open above the last free one lie below the limit too: closed, their numbers can be used again.
  while (isOpen(process, limit)) limit++;
  return limit;
}

function isOpen(process: Process, descriptor: number): boolean {
  try {
    process.fcntl(descriptor, F_GETFD);
    return true;
  } catch {
    return false;
  }
}
