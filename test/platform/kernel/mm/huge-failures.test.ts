// Huge pages when something runs out: the n-th frame or block of frames, charge, area or promise, for every n, once and from there on; memory
// without a block of 2 MiB; a cgroup that is full. Each scenario ends with a documented error, the invariants hold, nothing is left behind,
// and it works when there is enough again. What huge pages do when nothing fails is huge.test.ts.
import { describe, expect, test } from "vitest";
import { PTE_FRAME_SHIFT as FRAME_SHIFT } from "../../../../platform/hardware/layout.ts";
import { Machine } from "../../../../platform/hardware/machine.ts";
import type { Kernel } from "../../../../platform/kernel/kernel.ts";
import { HUGE_REFERENCE_PAGES } from "../../../../refpage/huge.ts";
import { createKernel } from "../../../../refpage/kernel.ts";
import { type Disarm, endOf, failingFrames, failingNumber } from "../failing.ts";
import { furnish, H, HUGE, type Scenario, scenarios, type World } from "./huge-scenarios.ts";

interface Kind {
  readonly errors: readonly string[];
  /** Of MADV_COLLAPSE, which alone needs a huge page. */
  readonly collapse: string;
  readonly arm: (world: World, n: number, isOnce: boolean) => Disarm;
}

const MEMORY = ["ENOMEM", "EAGAIN", "EFAULT", "out of memory"];
const kinds: Readonly<Record<string, Kind>> = {
  frame: {
    errors: MEMORY,
    collapse: "ENOMEM",
    arm: ({ kernel }, n, isOnce) => failingFrames(kernel.frames, n, isOnce),
  },
  charge: {
    errors: MEMORY,
    collapse: "EBUSY",
    arm: ({ cgroup }, n, isOnce) => failingNumber(cgroup, "limitBytes", n, isOnce),
  },
  area: {
    errors: ["ENOMEM", "EAGAIN"],
    collapse: "",
    arm: ({ kernel }, n, isOnce) => failingNumber(kernel, "maxMapCount", n, isOnce),
  },
};

/** 96 MiB: 48 blocks, of which the first holds the zero page. */
const machine = new Machine({ memoryBytes: 96 * 2 ** 20, mte: false });
/** Every n up to here, and then in growing steps: what a scenario needs more than that are pages one after the other. */
const EACH = 5;

type Policy = (typeof HUGE_REFERENCE_PAGES)[number];

function start(hugeReferencePages: Policy): World {
  const hugePages = { enabled: "always", shmem: "advise" } as const;
  return furnish(createKernel(machine, { overcommit: 1, hugePages, hugeReferencePages }));
}

/** Ends all that a program may end. @throws AssertionError for what is still used then; the huge zero page stays */
function expectNothingLeft({ kernel, cgroup, pins }: World): void {
  for (const one of [...kernel.processes.values()]) if (one.exitStatus === null) one.exit(0);
  for (const pin of pins) pin.release();
  kernel.checkInvariants();
  expect([usedFrames(kernel), kernel.openFiles, kernel.committedPages, cgroup.chargedFrames]).toEqual([1, 0, 0, 0]);
  // So that the next kernel finds this one's tables.
  kernel.shutDown();
}

function usedFrames(kernel: Kernel): number {
  const { frames, hugeZeroPage } = kernel;
  return frames.frameCount - frames.freeFrames - H * [...hugeZeroPage.holder()].length;
}

/** Scenarios that cannot begin again from what they leave when they are interrupted. */
const ONE_WAY = /^mremap|^a pin that outlives/;

/** A program that is still alive can go on: the same works now, and so does all that needs new huge pages. */
function expectUsable({ process, kernel }: World, name: string, scenario: () => unknown): void {
  if (process.exitStatus !== null) return;
  if (!ONE_WAY.test(name)) expect(endOf(scenario), "again").toBe(null);
  const at = process.mmap(0, 2 * HUGE, 3, 0x22);
  process.memory.setUint8(at + HUGE - 1, 1);
  const child = process.fork();
  child.memory.setUint8(at, 2);
  process.madvise(at, HUGE, 25);
  expect([process.memory.getUint8(at), process.memory.getUint8(at + HUGE - 1)]).toEqual([0, 1]);
  kernel.checkInvariants();
  child.exit(0);
}

/** @returns whether the n-th was reached */
function once(name: string, scenario: Scenario, kind: Kind, policy: Policy, n: number, isOnce: boolean): boolean {
  const world = start(policy);
  const disarm = kind.arm(world, n, isOnce);
  const error = endOf(() => scenario(world));
  const wasReached = disarm();
  world.kernel.checkInvariants();
  if (error !== null) {
    const allowed = name.startsWith("COLLAPSE") ? [...kind.errors, kind.collapse] : kind.errors;
    expect(allowed, `n = ${n}`).toContain(error);
    expectUsable(world, name, () => scenario(world));
  }
  world.kernel.checkInvariants();
  expectNothingLeft(world);
  return wasReached;
}

const policies: readonly Policy[] = HUGE_REFERENCE_PAGES;
const isAboutReferencePages = (name: string) => name.includes("reference page");

describe.each(Object.entries(kinds))("the n-th %s that cannot be had", (_, kind) => {
  test.each(Object.entries(scenarios))("%s", (name, scenario) => {
    for (const policy of isAboutReferencePages(name) ? policies : (["duplicate"] as const)) {
      for (const isOnce of [true, false]) {
        let n = 1;
        while (once(name, scenario, kind, policy, n, isOnce)) n += n < EACH ? 1 : Math.ceil(n * 0.9);
      }
    }
  });
});

/** Another process takes all blocks of 2 MiB, and leaves of each all frames but one. */
function shatter(kernel: Kernel): void {
  const hog = kernel.createProcess({ name: "hog" });
  const pages = kernel.frames.freeFrames;
  const at = hog.mmap(0, pages * 4096, 3, 0x22);
  hog.madvise(at, pages * 4096, 15);
  const { entries } = hog.addressSpace.pageTable;
  for (let page = 0; page < pages; page++) hog.memory.setUint8(at + page * 4096, 1);
  for (let page = 0; page < pages; page++)
    if ((entries[at / 4096 + page] >>> FRAME_SHIFT) % H !== 77) hog.madvise(at + page * 4096, 4096, 4);
}

describe.each(policies)("without a block of 2 MiB, reference pages %s", (policy) => {
  const concerned = Object.entries(scenarios).filter(([name]) => policy === "duplicate" || isAboutReferencePages(name));
  test.each(concerned)("%s", (name, scenario) => {
    const world = start(policy);
    const { kernel } = world;
    shatter(kernel);
    const { hugeWriteFaults, hugeCleanFaults } = kernel.counters;
    const error = endOf(() => scenario(world));
    expect(error).toBe(name.startsWith("COLLAPSE") ? "ENOMEM" : null);
    expect(kernel.counters.hugeWriteFaults).toBe(hugeWriteFaults);
    // What had been made before may be mapped again.
    if (!isAboutReferencePages(name)) expect(kernel.counters.hugeCleanFaults - hugeCleanFaults).toBeLessThan(2);
    kernel.checkInvariants();
    expectNothingLeft(world);
  });
});

describe.each([0, 3, H - 1, H + 20])("in a cgroup with room for %i pages more", (pages) => {
  test.each(Object.entries(scenarios))("%s", (name, scenario) => {
    const world = start("duplicate");
    const { cgroup, kernel } = world;
    cgroup.limitBytes = (cgroup.chargedFrames + pages) * 4096;
    const error = endOf(() => scenario(world));
    expect([null, ...MEMORY, ...(name.startsWith("COLLAPSE") ? ["EBUSY"] : [])]).toContain(error);
    expect(cgroup.peakFrames * 4096).toBeLessThanOrEqual(cgroup.limitBytes);
    kernel.checkInvariants();
    cgroup.limitBytes = Number.POSITIVE_INFINITY;
    expectUsable(world, name, () => scenario(world));
    expectNothingLeft(world);
  });
});

test("there are scenarios of every path, on blocks in every state", () => {
  const world = start("duplicate");
  const { pageTable } = world.process.addressSpace;
  const states = [0, 1, 2, 3, 4].map((block) => {
    const page = (0x10_0000_0000 + block * HUGE) / 4096;
    return pageTable.isHuge(page) ? "huge" : pageTable.isUsed(page) ? "small" : "untouched";
  });
  expect(states).toEqual(["huge", "huge", "small", "small", "untouched"]);
  expect(Object.keys(scenarios).length).toBeGreaterThanOrEqual(40);
  expectNothingLeft(world);
});
