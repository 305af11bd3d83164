// The n-th failure of each kind, for every n, in every scenario, once and from there on: the documented error, the invariants, nothing
// left behind, and the same call works when the failure is over.
import { describe, expect, test } from "vitest";
import { PAGE_SIZE as PAGE } from "../../../platform/hardware/layout.ts";
import { Machine } from "../../../platform/hardware/machine.ts";
import { RLIMIT_MEMLOCK, RLIMIT_NOFILE } from "../../../platform/kernel/abi/rlimit.ts";
import { createKernel } from "../../../refpage/kernel.ts";
import { counter, type Disarm, endOf, failingFrames, failingNumber } from "./failing.ts";
import { AREA, BUFFER, BUFFER_PAGES, PAGES, type Scenario, scenarios, type World } from "./nth-failure-scenarios.ts";

/** Lets the n-th check fail, or all from there on; what it answers ends that, and says whether the n-th was reached. */
type Arm = (world: World, n: number, isOnce: boolean) => Disarm;

function failingLimit(resource: number): Arm {
  return ({ process }, n, isOnce) => {
    const { limits } = process.addressSpace;
    const { refuses, wasReached } = counter(n, isOnce);
    const real = limits.soft.bind(limits);
    Object.defineProperty(limits, "soft", {
      configurable: true,
      value: (asked: number) => (asked === resource && refuses() ? 0 : real(asked)),
    });
    return () => {
      Reflect.deleteProperty(limits, "soft");
      return wasReached();
    };
  };
}

interface Kind {
  readonly errors: readonly string[];
  readonly arm: Arm;
}

const kinds: Readonly<Record<string, Kind>> = {
  frame: {
    errors: ["ENOMEM", "EAGAIN", "EFAULT", "out of memory"],
    arm: ({ kernel }, n, isOnce) => failingFrames(kernel.frames, n, isOnce),
  },
  area: {
    errors: ["ENOMEM", "EAGAIN"],
    arm: ({ kernel }, n, isOnce) => failingNumber(kernel, "maxMapCount", n, isOnce),
  },
  // Room for n - 1 more: no program meets a limit that changes within a call.
  descriptor: {
    errors: ["EMFILE", "EINVAL", "EBADF"],
    arm: ({ process }, n) => {
      process.setrlimit(RLIMIT_NOFILE, process.fds.count + n - 1);
      return () => {
        process.setrlimit(RLIMIT_NOFILE, 1024);
        return n <= 3;
      };
    },
  },
  file: {
    errors: ["ENFILE"],
    arm: ({ kernel }, n) => {
      const { fileMax } = kernel;
      Object.defineProperty(kernel, "fileMax", { configurable: true, writable: true, value: kernel.openFiles + n - 1 });
      return () => {
        Object.defineProperty(kernel, "fileMax", { configurable: true, writable: true, value: fileMax });
        return n <= 3;
      };
    },
  },
  charge: {
    errors: ["ENOMEM", "EAGAIN", "EFAULT", "out of memory"],
    arm: ({ cgroup }, n, isOnce) => failingNumber(cgroup, "limitBytes", n, isOnce),
  },
  lock: { errors: ["EPERM", "ENOMEM", "EAGAIN"], arm: failingLimit(RLIMIT_MEMLOCK) },
  commit: {
    errors: ["ENOMEM"],
    arm: ({ kernel }, n, isOnce) => {
      const { refuses, wasReached } = counter(n, isOnce);
      const real = kernel.commit.bind(kernel);
      Object.defineProperty(kernel, "commit", {
        configurable: true,
        // What is given back is never refused.
        value: (...given: Parameters<typeof real>) => (given[0] > 0 && refuses() ? false : real(...given)),
      });
      return () => {
        Reflect.deleteProperty(kernel, "commit");
        return wasReached();
      };
    },
  },
  copy: {
    errors: ["EFAULT", "SEGV_ACCERR", "SEGV_MAPERR"],
    // The n-th page of the buffer, or all from there on, may not be accessed.
    arm: ({ process }, n, isOnce) => {
      if (n > BUFFER_PAGES) return () => false;
      const from = BUFFER + (n - 1) * PAGE;
      const length = isOnce ? PAGE : (BUFFER_PAGES - n + 1) * PAGE;
      process.mprotect(from, length, 0);
      return () => {
        process.mprotect(from, length, 3);
        return true;
      };
    },
  },
};

const machine = new Machine({ memoryBytes: 2 ** 24 });
/** More than any scenario asks of one kind. */
const MOST = 60;

function createWorld(): World {
  const kernel = createKernel(machine, { overcommit: 1 });
  const cgroup = kernel.createCgroup({ name: "group" });
  const process = kernel.createProcess({ name: "program", cgroup });
  process.mmap(AREA, PAGES * PAGE, 3, 0x32);
  process.mmap(BUFFER, BUFFER_PAGES * PAGE, 3, 0x32);
  for (let page = 0; page < PAGES; page += 2) process.memory.setUint8(AREA + page * PAGE, page + 1);
  for (let page = 0; page < BUFFER_PAGES; page++) process.memory.setUint8(BUFFER + page * PAGE, 0x41);
  const file = process.memfd_create("file");
  process.ftruncate(file, 8 * PAGE);
  const [readEnd, writeEnd] = process.pipe2(0o4000);
  return { kernel, process, cgroup, file, readEnd, writeEnd };
}

/** @returns whether the n-th was reached */
function once(scenario: Scenario, { arm, errors }: Kind, n: number, isOnce: boolean): boolean {
  const free = createdFree;
  const world = createWorld();
  const { kernel, process } = world;
  const disarm = arm(world, n, isOnce);
  const error = endOf(() => scenario(world));
  const wasReached = disarm();
  kernel.checkInvariants();
  if (error !== null) {
    expect(errors, `n = ${n}`).toContain(error);
    // Killed for want of memory, or alive: then it works now.
    if (process.exitStatus === null)
      expect(
        endOf(() => scenario(world)),
        "again",
      ).toBe(null);
  }
  kernel.checkInvariants();
  for (const one of [...kernel.processes.values()]) if (one.exitStatus === null) one.exit(0);
  kernel.checkInvariants();
  expect(kernel.frames.freeFrames, "free frames").toBe(free);
  expect([kernel.openFiles, kernel.committedPages, world.cgroup.chargedFrames]).toEqual([0, 0, 0]);
  return wasReached;
}

const createdFree = createKernel(machine).frames.freeFrames;

test("there are at least 40 scenarios", () => {
  expect(Object.keys(scenarios).length).toBeGreaterThanOrEqual(40);
});

describe.each(Object.entries(kinds))("the n-th %s that cannot be had", (_, kind) => {
  test.each(Object.entries(scenarios))("%s", (name, scenario) => {
    for (const isOnce of [true, false]) {
      for (let n = 1; once(scenario, kind, n, isOnce); n++) if (n > MOST) throw new Error(`${name}: more than ${MOST}`);
    }
  });
});
