// Promises of memory under vm.overcommit_memory 0, 1 and 2, to the page (__vm_enough_memory): what is refused, what a refusal
// leaves as it was, and what is given back.
import { describe, expect, test } from "vitest";
import { PAGE_SIZE } from "../../../../platform/hardware/layout.ts";
import { Machine } from "../../../../platform/hardware/machine.ts";
import { MAP_FIXED, MAP_NORESERVE, MREMAP_DONTUNMAP, MREMAP_MAYMOVE } from "../../../../platform/kernel/abi/mman.ts";
import { Kernel, type KernelOptions } from "../../../../platform/kernel/kernel.ts";
import { bootCommitSettings } from "../../../../platform/kernel/mm/overcommit.ts";
import type { Process } from "../../../../platform/kernel/process.ts";

const FRAMES = 4096;
const machine = new Machine({ memoryBytes: FRAMES * PAGE_SIZE, mte: false });
const RW = 3;
const PRIVATE_ANONYMOUS = 0x22;
const SHARED_ANONYMOUS = 0x21;
/** Of 4096 frames: half is the limit, 1/32 the administrator's. A process with nothing mapped leaves nothing for others. */
const LIMIT = 2048;
const ADMIN_RESERVE = 128;
/** The most that a fresh process may be promised: the sum has to stay below what is allowed. */
const MOST = LIMIT - ADMIN_RESERVE - 1;

function start(overcommit: 0 | 1 | 2, options: KernelOptions = {}): { kernel: Kernel; process: Process } {
  const kernel = new Kernel(machine, { ...options, overcommit });
  return { kernel, process: kernel.createProcess() };
}

function map(process: Process, pages: number, flags = PRIVATE_ANONYMOUS, prot = RW, at = 0): number {
  return process.mmap(at, pages * PAGE_SIZE, prot, flags);
}

function expectRefused(process: Process, call: () => unknown): void {
  const { kernel } = process;
  const before = [kernel.committedPages, process.procfs("maps")];
  expect(call).toThrow(expect.objectContaining({ code: "ENOMEM" }));
  expect([kernel.committedPages, process.procfs("maps")]).toEqual(before);
  kernel.checkInvariants();
}

describe("mode 0", () => {
  test("refuses only a promise that all of RAM could not keep, after any promises before", () => {
    const { kernel, process } = start(0);
    expectRefused(process, () => map(process, FRAMES + 1));
    for (let i = 0; i < 3; i++) map(process, FRAMES);
    expect(kernel.committedPages).toBe(3 * FRAMES);
    expectRefused(process, () => map(process, FRAMES + 1, SHARED_ANONYMOUS));
  });

  test("does not count memory mapped with MAP_NORESERVE, or that cannot be stored to", () => {
    const { kernel, process } = start(0);
    map(process, 4 * FRAMES, PRIVATE_ANONYMOUS | MAP_NORESERVE);
    const readOnly = map(process, 4 * FRAMES, PRIVATE_ANONYMOUS, 1);
    expect(kernel.committedPages).toBe(0);
    expectRefused(process, () => process.mprotect(readOnly, 4 * FRAMES * PAGE_SIZE, RW));
    process.mprotect(readOnly, FRAMES * PAGE_SIZE, RW);
    expect(kernel.committedPages).toBe(FRAMES);
  });
});

describe("mode 1", () => {
  test("promises anything, and still counts", () => {
    const { kernel, process } = start(1);
    map(process, 8 * FRAMES);
    map(process, 8 * FRAMES, SHARED_ANONYMOUS);
    process.fork();
    expect(kernel.committedPages).toBe(24 * FRAMES);
    kernel.checkInvariants();
  });
});

describe("mode 2", () => {
  test("keeps the sum below the limit less the administrator's reserve: to reach it is refused", () => {
    const { kernel, process } = start(2);
    expectRefused(process, () => map(process, MOST + 1));
    const at = map(process, MOST);
    expect(kernel.committedPages).toBe(MOST);
    process.munmap(at, MOST * PAGE_SIZE);
    expect(kernel.committedPages).toBe(0);
    map(process, MOST);
  });

  test("keeps 1/32 of what a process has mapped for others, at most the user's reserve", () => {
    const { process } = start(2);
    map(process, 320);
    expectRefused(process, () => map(process, MOST - 320 - 9));
    map(process, MOST - 320 - 10);
    // Without access, nothing is promised; but the process is larger, and its reserve is bounded by the user's 128 pages.
    const { process: large } = start(2);
    map(large, 32 * 1000, PRIVATE_ANONYMOUS, 0);
    expectRefused(large, () => map(large, MOST - 128 + 1));
    map(large, MOST - 128);
  });

  test("takes the size of the process that asks: another one may still have what a large one may not", () => {
    const { kernel, process } = start(2);
    map(process, 32 * 100, PRIVATE_ANONYMOUS, 0);
    expectRefused(process, () => map(process, MOST));
    map(kernel.createProcess(), MOST);
  });

  test("follows overcommitRatio", () => {
    for (const [overcommitRatio, most] of [
      [100, 4096 - 128 - 1],
      [10, 409 - 128 - 1],
    ]) {
      const { process } = start(2, { overcommitRatio });
      expectRefused(process, () => map(process, most + 1));
      map(process, most);
    }
    const { process } = start(2, { overcommitRatio: 0 });
    expectRefused(process, () => map(process, 1));
  });

  test("counts MAP_NORESERVE as if it were not there", () => {
    const { kernel, process } = start(2);
    expectRefused(process, () => map(process, MOST + 1, PRIVATE_ANONYMOUS | MAP_NORESERVE));
    map(process, 100, PRIVATE_ANONYMOUS | MAP_NORESERVE);
    expect(kernel.committedPages).toBe(100);
  });

  test("counts shared anonymous memory once, whoever maps it, until the last is gone", () => {
    const { kernel, process } = start(2);
    expectRefused(process, () => map(process, MOST + 1, SHARED_ANONYMOUS));
    const at = map(process, MOST - 60, SHARED_ANONYMOUS);
    const child = process.fork();
    expect(kernel.committedPages).toBe(MOST - 60);
    process.munmap(at, (MOST - 60) * PAGE_SIZE);
    expect(kernel.committedPages).toBe(MOST - 60);
    child.exit();
    expect(kernel.committedPages).toBe(0);
  });

  test("refuses a break, an mprotect and an mremap that would pass it", () => {
    const { kernel, process } = start(2);
    const at = map(process, 10);
    const readOnly = map(process, MOST, PRIVATE_ANONYMOUS, 1);
    const end = process.brk(0);
    expect(process.brk(end + MOST * PAGE_SIZE)).toBe(end);
    expectRefused(process, () => process.mprotect(readOnly, MOST * PAGE_SIZE, RW));
    expectRefused(process, () => process.mremap(at, 10 * PAGE_SIZE, MOST * PAGE_SIZE, MREMAP_MAYMOVE));
    process.munmap(readOnly, MOST * PAGE_SIZE);
    const half = map(process, 1000);
    expectRefused(process, () =>
      process.mremap(half, 1000 * PAGE_SIZE, 1000 * PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP),
    );
    expect(kernel.committedPages).toBe(1010);
  });

  test("refuses a fork whose child could not have its own copy of everything, and leaves no child", () => {
    const { kernel, process } = start(2);
    const at = map(process, 1000);
    process.memory.setUint8(at, 1);
    const free = kernel.frames.freeFrames;
    expectRefused(process, () => process.fork());
    expect([kernel.frames.freeFrames, kernel.processes.size]).toEqual([free, 1]);
    process.munmap(at + 900 * PAGE_SIZE, 100 * PAGE_SIZE);
    const child = process.fork();
    expect(kernel.committedPages).toBe(1800);
    child.exit();
    expect(kernel.committedPages).toBe(900);
  });

  test("asks for a mapping over another only what it promises beyond", () => {
    const { kernel, process } = start(2);
    const at = map(process, 1800);
    map(process, 1800, PRIVATE_ANONYMOUS | MAP_FIXED, RW, at);
    expect(kernel.committedPages).toBe(1800);
    expectRefused(process, () => map(process, 1900, PRIVATE_ANONYMOUS | MAP_FIXED, RW, at - 50 * PAGE_SIZE));
    kernel.checkInvariants();
  });

  test("leaves out memory without a promise when it moves", () => {
    const { kernel, process } = start(2);
    const readOnly = map(process, 100, PRIVATE_ANONYMOUS, 1);
    map(process, MOST - 3);
    kernel.commit(2, kernel.createProcess().addressSpace);
    process.mremap(readOnly, 100 * PAGE_SIZE, 300 * PAGE_SIZE, MREMAP_MAYMOVE);
    expect(kernel.committedPages).toBe(MOST - 1);
    kernel.uncommit(2);
    kernel.checkInvariants();
  });
});

test("a machine boots with reserves of 1/32 of its memory, at most 8 MiB and 128 MiB", () => {
  const gibibyte = 2 ** 30 / PAGE_SIZE;
  expect(bootCommitSettings(gibibyte, 50)).toEqual({
    limitPages: gibibyte / 2,
    adminReservePages: 2048,
    userReservePages: 8192,
  });
  expect(bootCommitSettings(16 * gibibyte, 80)).toEqual({
    limitPages: Math.floor((16 * gibibyte * 80) / 100),
    adminReservePages: 2048,
    userReservePages: 32768,
  });
});
