// fork: pages are shared until one side stores; what is copied, counted, left out or wiped.
import { beforeEach, describe, expect, test } from "vitest";
import { PAGE_SIZE } from "../../../../platform/hardware/layout.ts";
import { Machine } from "../../../../platform/hardware/machine.ts";
import * as mman from "../../../../platform/kernel/abi/mman.ts";
import { Kernel } from "../../../../platform/kernel/kernel.ts";
import type { Process } from "../../../../platform/kernel/process.ts";

const machine = new Machine({ memoryBytes: 16 * 2 ** 20, mte: false });
const RW = 3;
const PRIVATE_ANONYMOUS = 0x22;
const PAGES = 8;
let kernel: Kernel;
let process: Process;
let at: number;

beforeEach(() => {
  kernel = new Kernel(machine);
  process = kernel.createProcess();
  at = process.mmap(0, PAGES * PAGE_SIZE, RW, PRIVATE_ANONYMOUS);
});

describe("private pages", () => {
  test("cost no frame at fork, and one for each page that somebody stores to", () => {
    process.memory.fill(at, 1, PAGES * PAGE_SIZE);
    const free = kernel.frames.freeFrames;
    const child = process.fork();
    expect(kernel.frames.freeFrames).toBe(free);
    child.memory.setUint8(at, 2);
    process.memory.setUint8(at + PAGE_SIZE, 3);
    expect(kernel.frames.freeFrames).toBe(free - 2);
    expect([process.memory.getUint8(at), child.memory.getUint8(at + PAGE_SIZE)]).toEqual([1, 1]);
    kernel.checkInvariants();
  });

  test("belong to the one that is left, which takes them over without a copy", () => {
    process.memory.fill(at, 1, PAGES * PAGE_SIZE);
    process.fork().exit();
    const before = kernel.counters.snapshot();
    process.memory.fill(at, 2, PAGES * PAGE_SIZE);
    expect(kernel.counters.since(before)).toMatchObject({
      framesCopied: 0,
      reuseFaults: PAGES,
      writeProtectFaults: PAGES,
    });
  });

  test("are shared by grandchildren too: each store copies for the one that stores", () => {
    process.memory.setUint8(at, 1);
    const child = process.fork();
    const grandchild = child.fork();
    child.memory.setUint8(at, 2);
    grandchild.memory.setUint8(at, 3);
    expect([process, child, grandchild].map(({ memory }) => memory.getUint8(at))).toEqual([1, 2, 3]);
    kernel.checkInvariants();
  });

  test("of a range without private pages are not looked at: the child starts with an empty table", () => {
    process.memory.getUint8(at);
    const child = process.fork();
    expect(child.pagemap(at, PAGE_SIZE)[0]).toBe(0n);
    expect(child.memory.getUint8(at)).toBe(0);
  });
});

test("shared memory stays one: both see the stores of either", () => {
  const shared = process.mmap(0, PAGE_SIZE, RW, 0x21);
  const child = process.fork();
  process.memory.setUint8(shared, 1);
  child.memory.setUint8(shared + 1, 2);
  expect(child.memory.getUint8(shared)).toBe(1);
  expect(process.memory.getUint8(shared + 1)).toBe(2);
  kernel.checkInvariants();
});

test("MADV_DONTFORK leaves the range out, MADV_WIPEONFORK gives the child fresh pages", () => {
  process.memory.fill(at, 1, PAGES * PAGE_SIZE);
  process.madvise(at, PAGE_SIZE, mman.MADV_DONTFORK);
  process.madvise(at + PAGE_SIZE, PAGE_SIZE, mman.MADV_WIPEONFORK);
  const child = process.fork();
  expect(() => child.memory.getUint8(at)).toThrow(expect.objectContaining({ code: "SEGV_MAPERR" }));
  expect(child.memory.getUint8(at + PAGE_SIZE)).toBe(0);
  expect(child.memory.getUint8(at + 2 * PAGE_SIZE)).toBe(1);
  expect(process.memory.getUint8(at + PAGE_SIZE)).toBe(1);
  kernel.checkInvariants();
});

test("guard markers are inherited", () => {
  process.madvise(at, PAGE_SIZE, mman.MADV_GUARD_INSTALL);
  const child = process.fork();
  expect(() => child.memory.getUint8(at)).toThrow(expect.objectContaining({ code: "SEGV_MAPERR" }));
  child.madvise(at, PAGE_SIZE, mman.MADV_GUARD_REMOVE);
  expect(child.memory.getUint8(at)).toBe(0);
  kernel.checkInvariants();
});

test("an area that once held guard markers gives its child even zero pages, though MREMAP_DONTUNMAP took its anon_vma", () => {
  process.madvise(at, PAGE_SIZE, mman.MADV_GUARD_INSTALL);
  const target = process.mmap(0, PAGES * PAGE_SIZE, 0, PRIVATE_ANONYMOUS);
  const flags = mman.MREMAP_MAYMOVE | mman.MREMAP_FIXED | mman.MREMAP_DONTUNMAP;
  process.mremap(at, PAGES * PAGE_SIZE, PAGES * PAGE_SIZE, flags, target);
  process.memory.getUint8(at);
  const child = process.fork();
  expect(child.pagemap(at, PAGE_SIZE)[0]).not.toBe(0n);
  expect(child.memory.getUint8(at)).toBe(0);
  expect(child.minorFaults).toBe(0);
  kernel.checkInvariants();
});

test.each([
  ["before", 0],
  ["behind", 2],
])("an area that joins its neighbours keeps the mark of the one %s it: its child has the zero pages", (_, guarded) => {
  const base = process.mmap(0, 3 * PAGE_SIZE, 3, PRIVATE_ANONYMOUS);
  const hole = base + PAGE_SIZE;
  process.munmap(hole, PAGE_SIZE);
  process.madvise(base + guarded * PAGE_SIZE, PAGE_SIZE, mman.MADV_GUARD_INSTALL);
  process.madvise(base + guarded * PAGE_SIZE, PAGE_SIZE, mman.MADV_GUARD_REMOVE);
  const areas = process.addressSpace.vmas.count;
  process.mmap(hole, PAGE_SIZE, 3, PRIVATE_ANONYMOUS | mman.MAP_FIXED);
  expect(process.addressSpace.vmas.count).toBe(areas - 1);
  process.memory.getUint8(hole);
  const child = process.fork();
  expect(child.pagemap(hole, PAGE_SIZE)[0]).not.toBe(0n);
  kernel.checkInvariants();
});

test("locks are not inherited, limits and the break are", () => {
  process.mlock(at, PAGES * PAGE_SIZE);
  process.mlockall(mman.MCL_FUTURE);
  process.brk(process.brk(0) + 3 * PAGE_SIZE);
  process.setrlimit(9, 2 ** 30);
  const child = process.fork();
  expect(child.procfs("status")).toContain("VmLck:\t       0 kB");
  expect(child.procfs("smaps")).not.toContain(" lo ");
  expect(child.addressSpace.defaultFlags).toBe(0);
  expect(child.brk(0)).toBe(process.brk(0));
  expect(child.getrlimit(9).soft).toBe(2 ** 30);
});

test("a child's promise is refused where memory may not be promised twice, and the parent goes on", () => {
  const strict = new Kernel(machine, { overcommit: 2 });
  const of = strict.createProcess();
  const big = of.mmap(0, 6 * 2 ** 20, RW, PRIVATE_ANONYMOUS);
  of.memory.setUint8(big, 1);
  const free = strict.frames.freeFrames;
  expect(() => of.fork()).toThrow(expect.objectContaining({ code: "ENOMEM", syscall: "fork" }));
  expect(strict.frames.freeFrames).toBe(free);
  of.memory.setUint8(big, 2);
  strict.checkInvariants();
});

test("a cgroup pays for the child's copies", () => {
  const cgroup = kernel.createCgroup({ name: "group" });
  const of = kernel.createProcess({ cgroup });
  const there = of.mmap(0, PAGE_SIZE, RW, PRIVATE_ANONYMOUS);
  of.memory.setUint8(there, 1);
  const child = of.fork();
  child.memory.setUint8(there, 2);
  expect(cgroup.chargedFrames).toBe(2);
  child.exit();
  expect(cgroup.chargedFrames).toBe(1);
});

describe("memory that was moved and joined to an untouched neighbour", () => {
  const ANONYMOUS_FIXED = PRIVATE_ANONYMOUS | mman.MAP_FIXED;
  const MOVE = mman.MREMAP_MAYMOVE | mman.MREMAP_FIXED;
  const BASE = 0x10_0000_0000;
  const page = (index: number) => BASE + index * PAGE_SIZE;

  test.each([
    ["below it", [[10, 2]]],
    ["above it", [[13, 2]]],
    [
      "on both sides",
      [
        [10, 2],
        [13, 2],
      ],
    ],
  ])("%s is there in the child", (_, neighbours) => {
    process.mmap(page(12), PAGE_SIZE, RW, ANONYMOUS_FIXED);
    process.memory.setUint8(page(12), 7);
    process.mremap(page(12), PAGE_SIZE, PAGE_SIZE, MOVE, page(30));
    for (const [first, count] of neighbours) process.mmap(page(first), count * PAGE_SIZE, RW, ANONYMOUS_FIXED);
    process.mremap(page(30), PAGE_SIZE, PAGE_SIZE, MOVE, page(12));
    kernel.checkInvariants();
    expect(process.fork().memory.getUint8(page(12))).toBe(7);
    // One area: the joined neighbours and the page that came back.
    expect(process.procfs("maps").split("\n")).toHaveLength(3);
  });

  test("grown over the gap to its neighbour is there in the child", () => {
    process.mmap(page(0), 2 * PAGE_SIZE, RW, ANONYMOUS_FIXED);
    process.mmap(page(3), PAGE_SIZE, RW, ANONYMOUS_FIXED);
    process.memory.setUint8(page(3), 7);
    process.mremap(page(0), 2 * PAGE_SIZE, 3 * PAGE_SIZE, 0);
    process.memory.setUint8(page(0), 8);
    kernel.checkInvariants();
    const child = process.fork();
    expect([child.memory.getUint8(page(0)), child.memory.getUint8(page(3))]).toEqual([8, 7]);
  });

  test("is not joined in a child that has it from its parent (vmg->copied_from)", () => {
    process.mmap(page(12), PAGE_SIZE, RW, ANONYMOUS_FIXED);
    process.memory.setUint8(page(12), 7);
    const child = process.fork();
    const areas = () => child.procfs("maps").split("\n").length;
    child.mremap(page(12), PAGE_SIZE, PAGE_SIZE, MOVE, page(30));
    child.mmap(page(10), 2 * PAGE_SIZE, RW, ANONYMOUS_FIXED);
    const before = areas();
    child.mremap(page(30), PAGE_SIZE, PAGE_SIZE, MOVE, page(12));
    expect(areas()).toBe(before);
    expect(child.fork().memory.getUint8(page(12))).toBe(7);
  });
});
