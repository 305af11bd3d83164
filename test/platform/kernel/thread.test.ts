// Threads: contexts with memory of their own view and state, one process behind them; and which signal a bad access becomes.
import { beforeEach, describe, expect, test } from "vitest";
import { BusError, SegmentationFault } from "../../../platform/hardware/faults.ts";
import { PAGE_SIZE } from "../../../platform/hardware/layout.ts";
import { Machine } from "../../../platform/hardware/machine.ts";
import { UncheckedMemory } from "../../../platform/hardware/unchecked-memory.ts";
import { OutOfMemoryError } from "../../../platform/kernel/abi/errors.ts";
import { Kernel } from "../../../platform/kernel/kernel.ts";
import type { Process } from "../../../platform/kernel/process.ts";

const machine = new Machine({ memoryBytes: 16 * 2 ** 20, mte: false });
const RW = 3;
const PRIVATE_ANONYMOUS = 0x22;
let kernel: Kernel;
let process: Process;
let at: number;

beforeEach(() => {
  kernel = new Kernel(machine);
  process = kernel.createProcess();
  at = process.mmap(0, 4 * PAGE_SIZE, RW, PRIVATE_ANONYMOUS);
});

function thrownBy(access: () => unknown): unknown {
  try {
    return access();
  } catch (error) {
    return error;
  }
}

describe("threads of one process", () => {
  test("see one another's stores immediately, also where a copy was made in between", () => {
    const thread = process.createThread();
    thread.memory.setUint8(at, 1);
    expect(process.memory.getUint8(at)).toBe(1);
    const child = process.fork();
    process.memory.setUint8(at, 2);
    expect(thread.memory.getUint8(at)).toBe(2);
    expect(child.memory.getUint8(at)).toBe(1);
  });

  test("have numbers of their own; the main thread's is the pid", () => {
    const thread = process.createThread();
    expect(process.mainThread.tid).toBe(process.pid);
    expect(thread.tid).not.toBe(process.pid);
    expect(process.procfs("status")).toContain("Threads:\t2\n");
  });

  test("charge their faults to the process", () => {
    const before = process.minorFaults;
    process.createThread().memory.setUint8(at, 1);
    expect(process.minorFaults).toBe(before + 1);
  });

  test("cannot lose their memory by a call of the program's", () => {
    expect("detach" in process.memory).toBe(false);
  });

  test("are gone one by one; the process goes on", () => {
    const thread = process.createThread();
    thread.exit();
    thread.exit();
    expect(process.threads).toEqual([process.mainThread]);
    expect(thrownBy(() => thread.memory.getUint8(at))).toBeInstanceOf(SegmentationFault);
    process.memory.setUint8(at, 1);
  });

  test("all end with the process", () => {
    const thread = process.createThread();
    process.exit();
    expect(thread.ended).toBe(true);
    expect(thrownBy(() => thread.memory.getUint8(at))).toBeInstanceOf(SegmentationFault);
  });
});

describe("a bad access", () => {
  test.each(["load", "store"] as const)("where nothing is mapped is SEGV_MAPERR (%s)", (access) => {
    const { memory } = process;
    const hole = at + 4 * PAGE_SIZE + 5;
    const error = thrownBy(() => (access === "load" ? memory.getUint8(hole) : memory.setUint8(hole, 1)));
    expect(error).toBeInstanceOf(SegmentationFault);
    expect(error).toMatchObject({ code: "SEGV_MAPERR", signal: "SIGSEGV", address: hole, access });
  });

  test("that the protection forbids is SEGV_ACCERR", () => {
    process.mprotect(at, PAGE_SIZE, 1);
    expect(thrownBy(() => process.memory.setUint8(at, 1))).toMatchObject({ code: "SEGV_ACCERR", access: "store" });
    process.mprotect(at, PAGE_SIZE, 0);
    expect(thrownBy(() => process.memory.getUint8(at))).toMatchObject({ code: "SEGV_ACCERR", access: "load" });
  });

  test("past the end of a file is a bus error", () => {
    const fd = process.memfd_create("x");
    process.ftruncate(fd, 100);
    const mapped = process.mmap(0, 2 * PAGE_SIZE, RW, 1, fd, 0);
    process.memory.setUint8(mapped + PAGE_SIZE - 1, 1);
    const error = thrownBy(() => process.memory.getUint8(mapped + PAGE_SIZE));
    expect(error).toBeInstanceOf(BusError);
    expect(error).toMatchObject({ code: "BUS_ADRERR", signal: "SIGBUS", address: mapped + PAGE_SIZE });
  });

  test("counts as no minor fault, and each as one signal", () => {
    const before = kernel.counters.snapshot();
    thrownBy(() => process.memory.getUint8(1));
    thrownBy(() => process.memory.getUint8(1));
    expect(kernel.counters.since(before)).toMatchObject({ minorFaults: 0, segmentationFaults: 2 });
  });

  test("over a border stores no part of its value", () => {
    thrownBy(() => process.memory.setFloat64(at + 4 * PAGE_SIZE - 4, -1));
    expect(process.memory.getUint32(at + 4 * PAGE_SIZE - 4)).toBe(0);
    kernel.checkInvariants();
  });
});

describe("no frame for a page that is touched", () => {
  test("is an OutOfMemoryError with pid and address; the access did not happen", () => {
    kernel.frames.failAt(1);
    const error = thrownBy(() => process.memory.setUint8(at + 5, 1));
    expect(error).toBeInstanceOf(OutOfMemoryError);
    expect(error).toMatchObject({ signal: "SIGKILL", pid: process.pid, address: at + 5 });
    expect(process.rssBytes).toBe(0);
    kernel.checkInvariants();
  });

  test("is survived by the kernel, by others and by the process, once memory is given back", () => {
    const hog = kernel.createProcess();
    const huge = hog.mmap(0, 64 * 2 ** 20, RW, PRIVATE_ANONYMOUS);
    expect(thrownBy(() => hog.memory.fill(huge, 1, 64 * 2 ** 20))).toBeInstanceOf(OutOfMemoryError);
    expect(kernel.frames.freeFrames).toBe(0);
    expect(thrownBy(() => process.memory.setUint8(at, 1))).toBeInstanceOf(OutOfMemoryError);
    expect(process.memory.getUint8(at)).toBe(0);
    kernel.checkInvariants();
    hog.madvise(huge, PAGE_SIZE, 4);
    process.memory.setUint8(at, 1);
    hog.exit();
    process.memory.fill(at, 2, 4 * PAGE_SIZE);
    kernel.checkInvariants();
  });

  test("in a cgroup at its limit keeps only that group from memory", () => {
    const cgroup = kernel.createCgroup({ name: "small", limitBytes: 2 * PAGE_SIZE });
    const inside = kernel.createProcess({ cgroup });
    const there = inside.mmap(0, 4 * PAGE_SIZE, RW, PRIVATE_ANONYMOUS);
    inside.memory.fill(there, 1, 2 * PAGE_SIZE);
    expect(thrownBy(() => inside.memory.setUint8(there + 2 * PAGE_SIZE, 1))).toBeInstanceOf(OutOfMemoryError);
    process.memory.fill(at, 1, 4 * PAGE_SIZE);
    inside.madvise(there, PAGE_SIZE, 4);
    inside.memory.setUint8(there + 2 * PAGE_SIZE, 1);
    expect(cgroup).toMatchObject({ chargedFrames: 2, failures: 1 });
    kernel.checkInvariants();
  });
});

test("memory of a process that has ended is out of reach, and what another process then has of its page table too", () => {
  const kernel = new Kernel({ memoryBytes: 16 * 2 ** 20 });
  const ended = kernel.createProcess();
  const { ram, counters } = kernel.machine;
  // As an allocator makes one for its own accesses, beside the thread's.
  const own = new UncheckedMemory(ram, counters, ended.addressSpace.pageTable, ended.mainThread);
  const { memory } = ended;
  const map = (process: Process) => process.mmap(0, PAGE_SIZE, 3, 0x22);
  const at = map(ended);
  own.setInt32(at, 1);
  ended.exit();
  const other = kernel.createProcess();
  expect(map(other)).toBe(at);
  other.memory.setInt32(at, 2);
  for (const stale of [own, memory]) {
    expect(() => stale.getInt32(at)).toThrow(SegmentationFault);
    expect(() => stale.setInt32(at, 3)).toThrow(SegmentationFault);
    expect(() => stale.fill(at, 3, 8)).toThrow(SegmentationFault);
  }
  expect(other.memory.getInt32(at)).toBe(2);
});
