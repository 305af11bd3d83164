// The n-th frame cannot be had, for every n of every operation that takes frames: the operation says so in its own way,
// nothing leaks, the invariants hold, and the same operation succeeds afterwards.
import { describe, expect, test } from "vitest";
import { PAGE_SIZE } from "../../../platform/hardware/layout.ts";
import { Machine } from "../../../platform/hardware/machine.ts";
import { OutOfMemoryError, SystemError } from "../../../platform/kernel/abi/errors.ts";
import {
  MADV_POPULATE_READ,
  MADV_POPULATE_WRITE,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_POPULATE,
  MAP_PRIVATE,
  MAP_SHARED,
  PROT_READ,
  PROT_WRITE,
} from "../../../platform/kernel/abi/mman.ts";
import { Kernel } from "../../../platform/kernel/kernel.ts";
import type { Process } from "../../../platform/kernel/process.ts";

const BASE = 0x10_0000_0000;
const PAGES = 4;
const LENGTH = PAGES * PAGE_SIZE;
/** A buffer beside the mapping under test, written to before anything fails. */
const BUFFER = BASE + 64 * PAGE_SIZE;
const RW = PROT_READ | PROT_WRITE;

interface World {
  readonly kernel: Kernel;
  readonly process: Process;
  readonly file: number;
}

/** What an operation came to: a result, an errno, or the kill. */
function outcome(operation: () => unknown): unknown {
  try {
    return operation();
  } catch (error) {
    if (error instanceof SystemError) return error.code;
    if (error instanceof OutOfMemoryError) return "killed";
    throw error;
  }
}

/** One machine for all kernels: page tables that one gives back serve the next. */
const machine = new Machine({ memoryBytes: 16 * 2 ** 20, mte: false });

function createWorld(): World {
  const kernel = new Kernel(machine);
  const process = kernel.createProcess({ name: "program" });
  const file = process.memfd_create("file");
  process.ftruncate(file, LENGTH);
  process.mmap(BUFFER, LENGTH, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED);
  process.memory.fill(BUFFER, 7, LENGTH);
  return { kernel, process, file };
}

interface Operation {
  readonly prepare?: (world: World) => void;
  readonly run: (world: World) => unknown;
  /** How many frames it takes when there are enough. */
  readonly frames: number;
  /** What it comes to when the n-th of them is missing. */
  readonly failing: (n: number) => unknown;
  /** What it comes to when there are enough. */
  readonly result?: unknown;
}

const anonymous = ({ process }: World): unknown =>
  process.mmap(BASE, LENGTH, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED);
const ofFile =
  (type: number) =>
  ({ process, file }: World): unknown =>
    process.mmap(BASE, LENGTH, RW, type | MAP_FIXED, file);
const storeEach = ({ process }: World): void => {
  for (let page = 0; page < PAGES; page++) process.memory.setUint8(BASE + page * PAGE_SIZE, page + 1);
};

/** Bytes that were moved before the n-th page failed; nothing at all is an errno. */
const shortBy = (errno: string) => (n: number) => (n === 1 ? errno : (n - 1) * PAGE_SIZE);

const operations: Record<string, Operation> = {
  "stores to untouched pages": { prepare: anonymous, run: storeEach, frames: PAGES, failing: () => "killed" },
  "mmap with MAP_POPULATE goes on without the page": {
    run: ({ process }) => process.mmap(BASE, LENGTH, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_POPULATE),
    frames: PAGES,
    failing: () => BASE,
    result: BASE,
  },
  "stores to pages shared by fork": {
    prepare: (world) => {
      anonymous(world);
      storeEach(world);
      world.process.fork();
    },
    run: storeEach,
    frames: PAGES,
    failing: () => "killed",
  },
  "fork of pinned pages": {
    prepare: (world) => {
      anonymous(world);
      storeEach(world);
      world.process.pin(BASE, LENGTH, { write: true });
    },
    run: ({ process }) => process.fork().pid > 0,
    frames: PAGES,
    failing: () => "ENOMEM",
    result: true,
  },
  "loads of a file's holes": {
    prepare: ofFile(MAP_SHARED),
    run: ({ process }) => process.memory.read(BASE, LENGTH).length,
    frames: PAGES,
    failing: () => "killed",
    result: LENGTH,
  },
  "stores to a private mapping of a file's holes": {
    prepare: ofFile(MAP_PRIVATE),
    run: storeEach,
    frames: 2 * PAGES,
    failing: () => "killed",
  },
  MADV_POPULATE_WRITE: {
    prepare: anonymous,
    run: ({ process }) => process.madvise(BASE, LENGTH, MADV_POPULATE_WRITE),
    frames: PAGES,
    failing: () => "ENOMEM",
    result: 0,
  },
  "MADV_POPULATE_READ of a file": {
    prepare: ofFile(MAP_SHARED),
    run: ({ process }) => process.madvise(BASE, LENGTH, MADV_POPULATE_READ),
    frames: PAGES,
    failing: () => "ENOMEM",
    result: 0,
  },
  mlock: {
    prepare: anonymous,
    run: ({ process }) => process.mlock(BASE, LENGTH),
    frames: PAGES,
    failing: () => "EAGAIN",
    result: 0,
  },
  "write to a file": {
    run: ({ process, file }) => process.pwrite64(file, BUFFER, LENGTH, 0),
    frames: PAGES,
    failing: shortBy("ENOMEM"),
    result: LENGTH,
  },
  "read into untouched pages": {
    prepare: (world) => {
      anonymous(world);
      world.process.pwrite64(world.file, BUFFER, LENGTH, 0);
    },
    run: ({ process, file }) => process.pread64(file, BASE, LENGTH, 0),
    frames: PAGES,
    failing: shortBy("EFAULT"),
    result: LENGTH,
  },
  "process_vm_writev into untouched pages": {
    prepare: anonymous,
    run: ({ process }) => process.process_vm_writev(process.pid, [[BUFFER, LENGTH]], [[BASE, LENGTH]]),
    frames: PAGES,
    // Only the first page's failure ends the call: pages short of what was asked for are tried again.
    failing: (n) => (n === 1 ? "EFAULT" : LENGTH),
    result: LENGTH,
  },
  "a pin for writing": {
    prepare: anonymous,
    run: ({ process }) => {
      const pinned = process.pin(BASE, LENGTH, { write: true });
      pinned.release();
      return "pinned";
    },
    frames: PAGES,
    failing: () => "ENOMEM",
    result: "pinned",
  },
};

describe.each(Object.entries(operations))("%s", (_, { prepare, run, frames, failing, result }) => {
  test("takes as many frames as expected", () => {
    const world = createWorld();
    prepare?.(world);
    const before = world.kernel.counters.framesAllocated;
    expect(outcome(() => run(world))).toBe(result);
    expect(world.kernel.counters.framesAllocated - before).toBe(frames);
  });

  test.each(Array.from({ length: frames }, (_unused, index) => index + 1))("without frame %i", (n) => {
    const world = createWorld();
    const { kernel, process } = world;
    prepare?.(world);
    kernel.frames.failAt(n);
    expect(outcome(() => run(world))).toBe(failing(n));
    kernel.checkInvariants();
    expect(outcome(() => run(world))).toBe(result);
    kernel.checkInvariants();
    expect(process.memory.read(BUFFER, LENGTH)).toEqual(new Uint8Array(LENGTH).fill(7));
    for (const each of [...kernel.processes.values()]) each.exit(0);
  });
});

test("after a failure at any frame nothing is left when the processes have ended", () => {
  for (const { prepare, run, frames } of Object.values(operations)) {
    for (let n = 1; n <= frames; n++) {
      const world = createWorld();
      const { kernel } = world;
      prepare?.(world);
      kernel.frames.failAt(n);
      outcome(() => run(world));
      const pinned = kernel.frames.pins.reduce((sum, pins) => sum + pins, 0);
      for (const process of [...kernel.processes.values()]) process.exit(0);
      kernel.checkInvariants();
      // All but the zero page, and what a pin that was never released still holds.
      expect(kernel.frames.freeFrames).toBe(kernel.frames.frameCount - 1 - pinned);
    }
  }
});
