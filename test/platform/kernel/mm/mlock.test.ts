// mlock: ranges so long that their end wraps, as 64-bit arithmetic has it, and what counts against RLIMIT_MEMLOCK.
import { beforeEach, expect, test } from "vitest";
import { PAGE_SIZE } from "../../../../platform/hardware/layout.ts";
import { Machine } from "../../../../platform/hardware/machine.ts";
import {
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  MCL_CURRENT,
  MCL_FUTURE,
  PROT_READ,
  PROT_WRITE,
} from "../../../../platform/kernel/abi/mman.ts";
import { RLIMIT_MEMLOCK } from "../../../../platform/kernel/abi/rlimit.ts";
import { Kernel } from "../../../../platform/kernel/kernel.ts";
import type { Process } from "../../../../platform/kernel/process.ts";

const machine = new Machine({ memoryBytes: 16 * 2 ** 20, mte: false });
let process: Process;
let at: number;

beforeEach(() => {
  process = new Kernel(machine).createProcess();
  at = process.mmap(0, 4 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
});

test.each([
  [0, -1, 0],
  [1, -1, 0],
  [2, -1, 1],
  [2048, -1, 1],
  [16, -PAGE_SIZE, 0],
  [2048, -2048, 0],
  [2049, -2048, 1],
])("from byte %i of a page, a length of %i locks %i pages", (offset, length, pages) => {
  process.mlock(at + offset, length);
  expect(process.addressSpace.lockedPages).toBe(pages);
  process.mlock(at, 4 * PAGE_SIZE);
  process.munlock(at + offset, length);
  expect(process.addressSpace.lockedPages).toBe(4 - pages);
});

test("a page that the wrapped length leaves must be mapped", () => {
  process.munmap(at, PAGE_SIZE);
  expect(() => process.mlock(at + 2, -1)).toThrow(/ENOMEM/);
  process.mlock(at + 1, -1);
});

test("a page that is locked already counts once against RLIMIT_MEMLOCK", () => {
  process.setrlimit(RLIMIT_MEMLOCK, 3 * PAGE_SIZE);
  process.mlock(at, 2 * PAGE_SIZE);
  process.mlock(at + PAGE_SIZE, 2 * PAGE_SIZE);
  expect(process.addressSpace.lockedPages).toBe(3);
  process.mlock(at, 3 * PAGE_SIZE);
  expect(() => process.mlock(at, 4 * PAGE_SIZE)).toThrow(/ENOMEM/);
  expect(process.addressSpace.lockedPages).toBe(3);
});

test("mlockall of all that is mapped needs RLIMIT_MEMLOCK for it or CAP_IPC_LOCK", () => {
  const pages = process.addressSpace.totalPages;
  process.setrlimit(RLIMIT_MEMLOCK, (pages - 1) * PAGE_SIZE);
  expect(() => process.mlockall(MCL_CURRENT)).toThrow(/ENOMEM/);
  expect(process.mlockall(MCL_FUTURE)).toBe(0);
  expect(process.addressSpace.lockedPages).toBe(0);
  process.setrlimit(RLIMIT_MEMLOCK, pages * PAGE_SIZE);
  process.mlockall(MCL_CURRENT);
  expect(process.addressSpace.lockedPages).toBe(pages);

  const privileged = new Kernel(machine, { ipcLock: true }).createProcess();
  privileged.mmap(0, 4 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
  privileged.setrlimit(RLIMIT_MEMLOCK, PAGE_SIZE);
  privileged.mlockall(MCL_CURRENT);
  expect(privileged.addressSpace.lockedPages).toBe(privileged.addressSpace.totalPages);
});
