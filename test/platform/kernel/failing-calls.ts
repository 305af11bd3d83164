// What tests of failing calls share: a process with something of every kind, and a snapshot of all that must not change.
import { describe, expect, test } from "vitest";
import { PAGE_SIZE } from "../../../platform/hardware/layout.ts";
import { Machine } from "../../../platform/hardware/machine.ts";
import { SystemError } from "../../../platform/kernel/abi/errors.ts";
import { Kernel } from "../../../platform/kernel/kernel.ts";
import type { Process } from "../../../platform/kernel/process.ts";

export const BASE = 0x10_0000_0000;
/** Eight pages at BASE are mapped, what follows is not. */
export const AREA = 8 * PAGE_SIZE;
export const HOLE = BASE + AREA;

/** One for all worlds, so that a page table is made once. */
const machine = new Machine({ memoryBytes: 16 * 2 ** 20, mte: false });

export interface World {
  readonly process: Process;
  /** A memfd of one page, open for reading and writing, and the same for reading only. */
  readonly file: number;
  readonly readOnly: number;
  readonly readEnd: number;
  readonly writeEnd: number;
}

function createWorld(): World {
  const process = new Kernel(machine).createProcess({ name: "program" });
  process.mmap(BASE, AREA, 3, 0x32);
  process.memory.setUint8(BASE, 1);
  process.memory.setUint8(BASE + 3 * PAGE_SIZE, 2);
  const file = process.memfd_create("file");
  process.ftruncate(file, PAGE_SIZE);
  const readOnly = process.open(`/proc/self/fd/${file}`, 0);
  const [readEnd, writeEnd] = process.pipe2(0o4000);
  return { process, file, readOnly, readEnd, writeEnd };
}

/** What a failing call must leave as it was. */
function stateOf({ process, file }: World): unknown {
  const { kernel, addressSpace } = process;
  return {
    smaps: process.procfs("smaps"),
    status: process.procfs("status"),
    pagemap: [...process.pagemap(BASE, AREA)],
    bytes: Buffer.from(process.memory.read(BASE, AREA)).toString("latin1"),
    freeFrames: kernel.frames.freeFrames,
    committed: kernel.committedPages,
    openFiles: kernel.openFiles,
    descriptors: process.fds.numbers(),
    fileSize: process.fstat(file).size,
    position: process.lseek(file, 0, 1),
    limits: [2, 3, 7, 8, 9].map((resource) => process.getrlimit(resource)),
    break: addressSpace.brk,
    futureLocks: addressSpace.defaultFlags,
    faults: process.minorFaults,
    processes: kernel.processes.size,
  };
}

export type Case = readonly [what: string, errno: string, call: (world: World) => unknown];

function outcomeOf(call: () => unknown): unknown {
  try {
    return { code: `no error but ${String(call())}` };
  } catch (error) {
    if (error instanceof SystemError) return { code: error.code, syscall: error.syscall };
    return error;
  }
}

/** One test a row: the call fails with the errno, under its own name, and has changed nothing. */
export function describeFailures(cases: Record<string, readonly Case[]>): void {
  for (const [name, rows] of Object.entries(cases)) {
    describe(name, () => {
      test.each(rows)("%s is %s", (_, errno, call) => {
        const world = createWorld();
        // Reading memory for the snapshot maps clean pages; the first reading is not compared.
        stateOf(world);
        const before = stateOf(world);
        expect(outcomeOf(() => call(world))).toEqual({ code: errno, syscall: name });
        expect(stateOf(world)).toEqual(before);
        world.process.kernel.checkInvariants();
        world.process.exit(0);
      });
    });
  }
}

/** It cannot be put into a message as it is. */
const TEXTLESS = Object.create(null);
const NO_NUMBERS: readonly unknown[] = [
  Number.NaN,
  4096.5,
  Number.POSITIVE_INFINITY,
  "4096",
  undefined,
  8n,
  2 ** 64,
  TEXTLESS,
];

/** One test an argument: what C could not have passed is a RangeError, with any others, and has changed nothing. */
export function describeNoNumbers(
  calls: Record<string, Record<string, (world: World, value: number) => unknown>>,
): void {
  for (const [name, byArgument] of Object.entries(calls)) {
    test.each(Object.entries(byArgument))(`${name}: %s that is no whole number`, (_, call) => {
      const world = createWorld();
      stateOf(world);
      const before = stateOf(world);
      for (const value of NO_NUMBERS) {
        expect(() => call(world, value as number), value === TEXTLESS ? "textless" : String(value)).toThrow(RangeError);
      }
      expect(stateOf(world)).toEqual(before);
      world.process.kernel.checkInvariants();
      world.process.exit(0);
    });
  }
}
