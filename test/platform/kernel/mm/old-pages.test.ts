// Referenced of smaps after fork: nothing in the child at first, then what it stores to; the parent's count does not change.
import { beforeEach, expect, test } from "vitest";
import { PAGE_SIZE } from "../../../../platform/hardware/layout.ts";
import { Machine } from "../../../../platform/hardware/machine.ts";
import * as mman from "../../../../platform/kernel/abi/mman.ts";
import { Kernel } from "../../../../platform/kernel/kernel.ts";
import type { Process } from "../../../../platform/kernel/process.ts";

const RW = mman.PROT_READ | mman.PROT_WRITE;
const ANONYMOUS = mman.MAP_PRIVATE | mman.MAP_ANONYMOUS;
const BASE = 0x10_0000_0000;
const PAGES = 1024;
const page = (index: number) => BASE + index * PAGE_SIZE;
let parent: Process;

beforeEach(() => {
  parent = new Kernel(new Machine({ memoryBytes: 32 * 2 ** 20, mte: false })).createProcess();
  parent.mmap(BASE, PAGES * PAGE_SIZE, RW, ANONYMOUS | mman.MAP_FIXED);
});

function referenced(process: Process, file: "smaps" | "smaps_rollup" = "smaps_rollup"): number {
  const lines = [...process.procfs(file).matchAll(/^Referenced: +(\d+) kB$/gm)];
  return lines.reduce((sum, [, kilobytes]) => sum + Number(kilobytes), 0) / 4;
}

test("a fresh child has referenced nothing, in no block, and its parent all that it had", () => {
  for (const index of [0, 1, 31, 32, 511, 512, 1023]) parent.memory.setUint8(page(index), 1);
  const child = parent.fork();
  for (const file of ["smaps", "smaps_rollup"] as const)
    expect([referenced(child, file), referenced(parent, file)]).toEqual([0, 7]);
});

test("what either of them stores to counts, and what the child maps anew", () => {
  parent.memory.fill(BASE, 1, 8 * PAGE_SIZE);
  const child = parent.fork();
  child.memory.setUint8(page(3), 1);
  child.memory.setUint8(page(9), 1);
  parent.memory.setUint8(page(5), 1);
  // The last that has the page takes it over: no copy.
  child.memory.setUint8(page(5), 1);
  expect([referenced(child), referenced(parent)]).toEqual([3, 8]);
  child.madvise(page(0), PAGE_SIZE, mman.MADV_DONTNEED);
  child.memory.setUint8(page(0), 1);
  expect(referenced(child)).toBe(4);
});

test("a child that forks goes on counting what it stored to, and no more; the grandchild has nothing", () => {
  parent.memory.fill(BASE, 1, 8 * PAGE_SIZE);
  const child = parent.fork();
  child.memory.fill(BASE, 2, 2 * PAGE_SIZE);
  const grandchild = child.fork();
  expect([referenced(grandchild), referenced(child), referenced(parent)]).toEqual([0, 2, 8]);
  grandchild.memory.setUint8(BASE, 3);
  expect([referenced(grandchild), referenced(child)]).toEqual([1, 2]);
});

test("a huge page counts as a whole, once something of it is stored to", () => {
  parent.kernel.hugePages.enabled = "always";
  parent.mmap(page(2048), 4 * 2 ** 20, RW, ANONYMOUS | mman.MAP_FIXED);
  parent.memory.setUint8(page(2048), 1);
  const child = parent.fork();
  expect([referenced(child), referenced(parent)]).toEqual([0, 512]);
  parent.exit(0);
  child.memory.setUint8(page(2048), 2);
  expect(referenced(child)).toBe(512);
});
