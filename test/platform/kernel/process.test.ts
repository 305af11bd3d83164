// The life of a process: start, fork, exit and wait; what is given back, and what a handle that outlives it may still do.
import { beforeEach, describe, expect, test } from "vitest";
import { PAGE_SIZE } from "../../../platform/hardware/layout.ts";
import { Machine } from "../../../platform/hardware/machine.ts";
import { Kernel } from "../../../platform/kernel/kernel.ts";
import type { Process } from "../../../platform/kernel/process.ts";

const machine = new Machine({ memoryBytes: 16 * 2 ** 20, mte: false });
const RW = 3;
const PRIVATE_ANONYMOUS = 0x22;
let kernel: Kernel;
let process: Process;

beforeEach(() => {
  kernel = new Kernel(machine);
  process = kernel.createProcess({ name: "first" });
});

describe("a new process", () => {
  test("has nothing mapped, three descriptors and a pid of its own", () => {
    const second = kernel.createProcess();
    expect(process.procfs("maps")).toBe("");
    expect(process.fds.count).toBe(3);
    expect(second.pid).not.toBe(process.pid);
    expect(kernel.processes.get(second.pid)).toBe(second);
  });

  test("shares no memory with another, at the same address", () => {
    const second = kernel.createProcess();
    for (const of of [process, second]) of.mmap(0x10_0000_0000, PAGE_SIZE, RW, PRIVATE_ANONYMOUS | 0x10);
    process.memory.setUint8(0x10_0000_0000, 1);
    expect(second.memory.getUint8(0x10_0000_0000)).toBe(0);
  });
});

describe("exit", () => {
  test("gives back all frames, promises and files, and its number is gone", () => {
    const other = new Kernel(machine);
    const before = [other.frames.freeFrames, other.committedPages, other.openFiles];
    const of = other.createProcess();
    const at = of.mmap(0, 100 * PAGE_SIZE, RW, PRIVATE_ANONYMOUS);
    of.memory.fill(at, 1, 100 * PAGE_SIZE);
    const shared = of.mmap(0, 10 * PAGE_SIZE, RW, 0x21);
    of.memory.fill(shared, 1, 10 * PAGE_SIZE);
    const fd = of.memfd_create("x");
    of.write(fd, at, 5 * PAGE_SIZE);
    expect(of.exit(3)).toBe(0);
    expect([other.frames.freeFrames, other.committedPages, other.openFiles]).toEqual(before);
    expect(other.processes.size).toBe(0);
    expect(of.exitStatus).toBe(3);
    other.checkInvariants();
  });

  test("with a status that is no whole number is refused, and the process goes on", () => {
    const at = process.mmap(0, PAGE_SIZE, RW, PRIVATE_ANONYMOUS);
    expect(() => process.exit(Number.NaN)).toThrow(RangeError);
    process.memory.setUint8(at, 5);
    expect(process.fds.count).toBe(3);
    kernel.checkInvariants();
  });

  test("leaves no call to the process that has ended", () => {
    process.exit();
    expect(() => process.mmap(0, PAGE_SIZE, RW, PRIVATE_ANONYMOUS)).toThrow(expect.objectContaining({ code: "ESRCH" }));
    expect(() => process.memfd_create("x")).toThrow(expect.objectContaining({ code: "ESRCH" }));
    expect(() => process.fork()).toThrow(expect.objectContaining({ code: "ESRCH" }));
    expect(() => process.createThread()).toThrow(expect.objectContaining({ code: "ESRCH" }));
    expect(() => process.exit()).toThrow(expect.objectContaining({ code: "ESRCH" }));
    expect(process.procfs("maps")).toBe("");
  });

  test("takes memory from its handles, whoever has the page table next", () => {
    const at = process.mmap(0, PAGE_SIZE, RW, PRIVATE_ANONYMOUS);
    process.memory.setUint8(at, 42);
    const { memory } = process;
    process.exit();
    const next = kernel.createProcess();
    next.mmap(at, PAGE_SIZE, RW, PRIVATE_ANONYMOUS | 0x10);
    next.memory.setUint8(at, 43);
    for (const access of [() => memory.getUint8(at), () => memory.setUint8(at, 1), () => memory.fill(at, 1, 9)]) {
      expect(access).toThrow(expect.objectContaining({ code: "SEGV_MAPERR" }));
    }
    expect(process.pagemap(at, PAGE_SIZE)).toEqual(BigUint64Array.of(0n));
    expect(next.memory.getUint8(at)).toBe(43);
  });

  test("of a parent leaves the child's memory as it is", () => {
    const at = process.mmap(0, PAGE_SIZE, RW, PRIVATE_ANONYMOUS);
    process.memory.setUint8(at, 42);
    const child = process.fork();
    process.exit();
    expect(child.memory.getUint8(at)).toBe(42);
    child.memory.setUint8(at, 43);
    kernel.checkInvariants();
  });
});

describe("wait4", () => {
  test("without children fails", () => {
    expect(() => process.wait4()).toThrow(expect.objectContaining({ code: "ECHILD" }));
  });

  test("is null while all children run, and gives each that ended once, with its status", () => {
    const children = [process.fork(), process.fork()];
    expect(process.wait4()).toBeNull();
    children[1].exit(7);
    expect(process.wait4(children[0].pid)).toBeNull();
    expect(process.wait4()).toMatchObject({ pid: children[1].pid, status: 7 });
    expect(process.wait4()).toBeNull();
    children[0].exit(0);
    expect(process.wait4(children[0].pid)).toMatchObject({ pid: children[0].pid, status: 0 });
    expect(() => process.wait4()).toThrow(expect.objectContaining({ code: "ECHILD" }));
  });

  test("is not for grandchildren", () => {
    const child = process.fork();
    const grandchild = child.fork();
    grandchild.exit(1);
    expect(process.wait4()).toBeNull();
    expect(child.wait4()).toMatchObject({ pid: grandchild.pid });
  });
});

describe("syscall", () => {
  test("makes a call by number and by name, and counts both under the name", () => {
    const before = kernel.counters.snapshot();
    const at = process.syscall(9, 0, PAGE_SIZE, RW, PRIVATE_ANONYMOUS, -1, 0);
    process.memory.setUint8(at, 1);
    expect(process.syscall("munmap", at, PAGE_SIZE)).toBe(0);
    expect(kernel.counters.since(before).systemCalls).toEqual({ mmap: 1, munmap: 1 });
  });

  test("reads a name out of the program's memory", () => {
    const at = process.mmap(0, PAGE_SIZE, RW, PRIVATE_ANONYMOUS);
    process.memory.writeString(at, "from memory");
    const fd = process.syscall("memfd_create", at, 0);
    process.ftruncate(fd, PAGE_SIZE);
    process.mmap(0, PAGE_SIZE, 1, 2, fd, 0);
    expect(process.procfs("maps")).toContain("/memfd:from memory (deleted)");
  });

  test("of a module counts under the module's name, and its errors come through", () => {
    kernel.extend({
      name: "doubling",
      systemCalls: [
        { number: 500, name: "twice", call: (thread, value) => (thread.process === process ? value * 2 : -1) },
      ],
    });
    expect(process.syscall(500, 21)).toBe(42);
    expect(process.syscall("twice", 1)).toBe(2);
    expect(kernel.counters.systemCalls.get("twice")).toBe(2);
  });

  test("fails with ENOSYS if there is none", () => {
    expect(() => process.syscall(-1)).toThrow(expect.objectContaining({ code: "ENOSYS", errno: 38 }));
  });
});

test.each([10n, "x", undefined, Number.NaN])(
  "a clock that returns %s is an error that says so, when it is read",
  (time) => {
    const wrong = new Kernel({ memoryBytes: 2 ** 24 }, { clock: () => time as number });
    expect(() => wrong.monotonicNanoseconds()).toThrow(/^clock: .* is not a number of nanoseconds$/);
  },
);

test.each([
  [0.9, 0],
  [1234.7, 1234],
  [2 ** 40 + 0.5, 2 ** 40],
  [-0.5, -1],
])("a clock of %f nanoseconds is read as %i: what is computed from it are whole numbers", (time, whole) => {
  expect(new Kernel({ memoryBytes: 2 ** 24 }, { clock: () => time }).monotonicNanoseconds()).toBe(whole);
});
