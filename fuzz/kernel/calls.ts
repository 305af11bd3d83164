// Every system call, from several processes, with plausible and implausible arguments: each answers with a result or with an error of
// its documented type, the invariants hold after it, and when the last process has ended nothing is left. What the
// calls do to memory is the plain model's (plain-programs.ts).
import fc from "fast-check";
import { BusError, SegmentationFault } from "../../platform/hardware/faults.ts";
import { Machine } from "../../platform/hardware/machine.ts";
import { ERRNO, OutOfMemoryError, SystemError } from "../../platform/kernel/abi/errors.ts";
import { systemCalls } from "../../platform/kernel/abi/system-calls.ts";
import type { Kernel } from "../../platform/kernel/kernel.ts";
import type { Process } from "../../platform/kernel/process.ts";
import { createKernel } from "../../refpage/kernel.ts";
import { expect } from "../harness/expect.ts";
import type { Fuzzer } from "../harness/fuzzer.ts";
import type { Journal } from "../harness/journal.ts";
import { edgeNumbers, HostileError, hostile, type Spelled, spelledValue } from "../harness/values.ts";

const PAGE = 4096;
const BASE = 0x10_0000_0000;
/** Pages at BASE that are mapped at the start, so that addresses mean something. */
const PAGES = 16;
const MOST_PROCESSES = 5;

const names = [...new Set(Object.values(systemCalls).map(({ name }) => name))];
/** Calls that Process has as methods, with arguments as JavaScript has them. */
const methods = [
  ...(["mmap", "munmap", "mprotect", "madvise", "mremap", "mincore", "msync", "mlock", "mlock2", "munlock"] as const),
  ...(["mlockall", "munlockall", "brk", "kill", "wait4", "getrlimit", "setrlimit", "prctl", "memfd_create"] as const),
  ...(["ftruncate", "fallocate", "pipe2", "open", "close", "dup", "dup3", "fcntl", "fstat", "lseek", "read"] as const),
  ...(["write", "pread64", "pwrite64", "fsync", "fdatasync", "poll", "ioctl", "process_vm_readv"] as const),
  ...(["process_vm_writev", "pin", "procfs", "pagemap", "sigaction", "sigprocmask"] as const),
];
/** Ends the process, and is tried on its own terms. */
const ending = new Set<string>(["exit", "exit_group"]);

const pageOf = fc
  .tuple(fc.nat(PAGES + 4), fc.constantFrom(0, 0, 0, 1, -1, 8, 100, 4095))
  .map(([page, by]) => BASE + page * PAGE + by);
const plausible = fc.oneof(
  pageOf,
  fc.integer({ min: 1, max: 6 }).map((count) => count * PAGE),
  fc.nat(8),
  fc.constantFrom(0x12, 0x22, 0x32, 0x31, 0x21, 0x11, 0x8022, 0x10_0022, 3, 1, 7, 9, 14, 21, 22, 23),
);
const argument: fc.Arbitrary<Spelled> = fc.oneof(
  { weight: 12, arbitrary: plausible },
  { weight: 3, arbitrary: edgeNumbers },
  { weight: 1, arbitrary: hostile },
  { weight: 1, arbitrary: fc.constantFrom("maps", "smaps", "/proc/self/maps", "/proc/self/fd/3", "", "x") },
);

export interface Call {
  readonly who: number;
  readonly name: string;
  readonly arguments: readonly Spelled[];
}

export const call: fc.Arbitrary<Call> = fc.oneof(
  { weight: 4, arbitrary: callOf(fc.constantFrom(...names.filter((name) => !ending.has(name)))) },
  { weight: 6, arbitrary: callOf(fc.constantFrom(...methods).map((name) => `.${name}`)) },
  { weight: 3, arbitrary: callOf(fc.constantFrom("load", "store", "fill", ".fork", "refpage_create2", "mapping")) },
  { weight: 1, arbitrary: callOf(fc.constantFrom(".exit", "execve", "thread")) },
);

function callOf(name: fc.Arbitrary<string>): fc.Arbitrary<Call> {
  return fc.record({ who: fc.nat(4), name, arguments: fc.array(argument, { maxLength: 6 }) });
}

const machine = new Machine({ memoryBytes: 2 ** 24, mte: false });

type Method = (...given: unknown[]) => unknown;

export function perform(process: Process, { name, arguments: spelled }: Call, processes: Process[]): void {
  const given = spelled.map(spelledValue);
  const [first, second, third] = given as number[];
  // Loads and stores take numbers unchecked, as a DataView does: they are the hot path.
  const [at, byte, length] = [first, second, third].map((value) => (typeof value === "number" ? value : 0));
  if (name === "load") process.memory.getUint8(at);
  else if (name === "store") process.memory.setUint8(at, byte);
  else if (name === "fill") process.memory.fill(at, byte, Math.min(length || 0, 2 ** 20));
  else if (name === "thread") process.createThread();
  else if (name === "mapping") process.mmap(BASE + (spelled.length % 4) * 3 * PAGE, 3 * PAGE, 3, 0x32);
  else if (name === ".fork") {
    if (processes.length < MOST_PROCESSES) processes.push(process.fork());
  } else if (name === "fork") {
    if (processes.length < MOST_PROCESSES) {
      const pid = process.syscall("fork");
      processes.push(process.kernel.processes.get(pid) as Process);
    }
  } else if (name.startsWith(".")) (process[name.slice(1) as "munmap"] as Method)(...given);
  else process.syscall(name, ...(given as number[]));
}

/** Whether a call may end so: an errno, a fault, no memory, an argument that C could not have passed. */
export function isDocumented(error: unknown): boolean {
  if (error instanceof HostileError) return true;
  if (error instanceof SystemError) return Object.hasOwn(ERRNO, error.code);
  if (error instanceof OutOfMemoryError || error instanceof SegmentationFault || error instanceof BusError) return true;
  return (error instanceof RangeError || error instanceof TypeError) && isPlain(error);
}

/** A sentence about an argument; what the engine says of its own (a stack that overflowed, a property of undefined) is a fault. */
function isPlain({ message }: Error): boolean {
  return !/Maximum call stack|Cannot read|Cannot destructure|is not a function|is not iterable|Invalid array|is not defined|undefined \(|Cannot convert|Cannot mix|Cannot set/.test(
    message,
  );
}

function runCalls(calls: readonly Call[], journal: Journal): number {
  journal.note('import { createKernel } from "refheap/kernel";');
  const make = (): Kernel => createKernel(machine, { seed: 1, clock: () => 0, maxMapCount: 64 });
  const kernel = journal.make(
    "kernel",
    "createKernel({ memoryBytes: 2 ** 24, mte: false }, { maxMapCount: 64 })",
    make,
  );
  const free = kernel.frames.freeFrames;
  const processes = [kernel.createProcess({ name: "program" })];
  processes[0].mmap(BASE, PAGES * PAGE, 3, 0x32);
  const file = processes[0].memfd_create("file");
  processes[0].ftruncate(file, 4 * PAGE);
  for (const one of calls) {
    const process = processes[one.who % processes.length];
    if (!kernel.processes.has(process.pid) || process.exitStatus !== null) continue;
    try {
      perform(process, one, processes);
    } catch (error) {
      if (!isDocumented(error)) throw error;
    }
    kernel.checkInvariants();
  }
  for (const process of processes) if (process.exitStatus === null) process.exit(0);
  kernel.checkInvariants();
  expect(kernel.frames.freeFrames, "free frames").toBe(free);
  expect(kernel.openFiles, "open files").toBe(0);
  expect(kernel.committedPages, "committed pages").toBe(0);
  return calls.length;
}

export const systemCallPrograms: Fuzzer<Call[]> = {
  program: fc.array(call, { minLength: 1, maxLength: 40 }),
  run: runCalls,
  inTests: 100,
};
