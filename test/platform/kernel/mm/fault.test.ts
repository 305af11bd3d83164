// The kinds of faults, each with its counters, its cost in frames, and the page that comes of it.
import { beforeEach, describe, expect, test } from "vitest";
import { PAGE_SIZE } from "../../../../platform/hardware/layout.ts";
import { Machine } from "../../../../platform/hardware/machine.ts";
import { Kernel } from "../../../../platform/kernel/kernel.ts";
import type { Process } from "../../../../platform/kernel/process.ts";

const machine = new Machine({ memoryBytes: 16 * 2 ** 20, mte: false });
const RW = 3;
const PRIVATE_ANONYMOUS = 0x22;
const PAGES = 40;
let kernel: Kernel;
let process: Process;

beforeEach(() => {
  kernel = new Kernel(machine);
  process = kernel.createProcess();
});

function anonymous(): number {
  return process.mmap(0, PAGES * PAGE_SIZE, RW, PRIVATE_ANONYMOUS);
}

/** A memfd of PAGES pages, all of them in its page cache. */
function file(): number {
  const fd = process.memfd_create("file");
  const at = anonymous();
  process.memory.fill(at, 5, PAGES * PAGE_SIZE);
  process.write(fd, at, PAGES * PAGE_SIZE);
  process.munmap(at, PAGES * PAGE_SIZE);
  return fd;
}

/** What `access` adds to the counters. */
function cost(access: () => unknown): Record<string, unknown> {
  const before = kernel.counters.snapshot();
  const faults = process.minorFaults;
  access();
  const counted = kernel.counters.since(before);
  expect(process.minorFaults - faults).toBe(counted.minorFaults);
  kernel.checkInvariants();
  return { ...counted };
}

describe("an untouched page", () => {
  test("that is loaded maps the zero page: one fault, no frame, not resident", () => {
    const at = anonymous();
    expect(cost(() => process.memory.getUint8(at))).toMatchObject({
      minorFaults: 1,
      cleanReadFaults: 1,
      anonymousWriteFaults: 0,
      framesAllocated: 0,
      ptesSet: 1,
    });
    expect(process.rssBytes).toBe(0);
  });

  test("that is stored to gets a zeroed frame in one fault", () => {
    const at = anonymous();
    expect(cost(() => process.memory.setUint8(at, 1))).toMatchObject({
      minorFaults: 1,
      anonymousWriteFaults: 1,
      writeProtectFaults: 0,
      framesAllocated: 1,
      framesZeroed: 1,
    });
    expect(process.memory.getUint8(at + 1)).toBe(0);
    expect(process.rssBytes).toBe(PAGE_SIZE);
  });

  test("that is loaded and then stored to takes a second fault, and its neighbours stay clean", () => {
    const at = anonymous();
    process.memory.read(at, 3 * PAGE_SIZE);
    expect(cost(() => process.memory.setUint8(at + PAGE_SIZE, 1))).toMatchObject({
      minorFaults: 1,
      writeProtectFaults: 1,
      reuseFaults: 0,
      framesAllocated: 1,
      framesZeroed: 1,
      framesCopied: 0,
    });
    expect(process.rssBytes).toBe(PAGE_SIZE);
  });

  test("is faulted once however often it is touched", () => {
    const at = anonymous();
    expect(cost(() => process.memory.fill(at, 1, 100))).toMatchObject({ minorFaults: 1 });
    expect(cost(() => process.memory.fill(at, 1, PAGE_SIZE))).toMatchObject({ minorFaults: 0 });
  });
});

describe("a page of a private file mapping", () => {
  test("that is loaded maps the file's page and the cached ones of its 16 pages, all in one fault", () => {
    const at = process.mmap(0x10_0000_0000, PAGES * PAGE_SIZE, RW, 2 | 0x10, file(), 0);
    expect(cost(() => process.memory.getUint8(at + 20 * PAGE_SIZE))).toMatchObject({
      minorFaults: 1,
      fileFaults: 1,
      framesAllocated: 0,
      ptesSet: 16,
    });
    expect(process.rssBytes).toBe(16 * PAGE_SIZE);
  });

  test("that is stored to is copied, and the file does not change", () => {
    const fd = file();
    const at = process.mmap(0, PAGE_SIZE, RW, 2, fd, 0);
    expect(cost(() => process.memory.setUint8(at, 1))).toMatchObject({
      minorFaults: 1,
      fileFaults: 1,
      framesCopied: 1,
    });
    expect(process.memory.getUint8(at + 1)).toBe(5);
    const other = process.mmap(0, PAGE_SIZE, 1, 1, fd, 0);
    expect(process.memory.getUint8(other)).toBe(5);
  });
});

describe("a page of a shared mapping", () => {
  test("is the file's own: a store reaches the file, other mappings and readers", () => {
    const fd = file();
    const at = process.mmap(0, PAGE_SIZE, RW, 1, fd, 0);
    expect(cost(() => process.memory.setUint8(at, 1))).toMatchObject({
      minorFaults: 1,
      fileFaults: 1,
      framesCopied: 0,
    });
    const buffer = anonymous();
    process.pread64(fd, buffer, 1, 0);
    expect(process.memory.getUint8(buffer)).toBe(1);
  });

  test("of a hole is made by a load, and stays in the file", () => {
    const fd = process.memfd_create("holes");
    process.ftruncate(fd, PAGE_SIZE);
    const at = process.mmap(0, PAGE_SIZE, RW, 1, fd, 0);
    expect(cost(() => process.memory.getUint8(at))).toMatchObject({
      minorFaults: 1,
      framesAllocated: 1,
      framesZeroed: 1,
    });
    process.munmap(at, PAGE_SIZE);
    expect(kernel.frames.freeFrames).toBe(kernel.frames.frameCount - 2);
  });

  test("past the file's end is a bus error until the file is longer", () => {
    const fd = file();
    const at = process.mmap(0, (PAGES + 1) * PAGE_SIZE, RW, 1, fd, 0);
    const beyond = at + PAGES * PAGE_SIZE;
    expect(() => process.memory.setUint8(beyond, 1)).toThrow(expect.objectContaining({ code: "BUS_ADRERR" }));
    process.ftruncate(fd, (PAGES + 1) * PAGE_SIZE);
    process.memory.setUint8(beyond, 1);
    process.ftruncate(fd, 100);
    expect(() => process.memory.getUint8(beyond)).toThrow(expect.objectContaining({ code: "BUS_ADRERR" }));
    expect(process.memory.getUint8(at + 99)).toBe(5);
    expect(process.memory.getUint8(at + 100)).toBe(0);
    kernel.checkInvariants();
  });
});

describe("protection", () => {
  test("a page that was written before it became read-only is not copied when it may be written again", () => {
    const at = anonymous();
    process.memory.setUint8(at, 1);
    process.mprotect(at, PAGE_SIZE, 1);
    process.mprotect(at, PAGE_SIZE, RW);
    expect(cost(() => process.memory.setUint8(at, 2))).toMatchObject({ minorFaults: 0, framesAllocated: 0 });
  });

  test("PROT_NONE keeps the pages and their content", () => {
    const at = anonymous();
    process.memory.setUint8(at, 1);
    process.mprotect(at, PAGE_SIZE, 0);
    expect(process.rssBytes).toBe(PAGE_SIZE);
    expect(() => process.memory.getUint8(at)).toThrow(expect.objectContaining({ code: "SEGV_ACCERR" }));
    process.mprotect(at, PAGE_SIZE, 1);
    expect(process.memory.getUint8(at)).toBe(1);
    kernel.checkInvariants();
  });

  test("memory that may only be written or executed can be read", () => {
    for (const prot of [2, 4]) {
      const at = process.mmap(0, PAGE_SIZE, prot, PRIVATE_ANONYMOUS);
      expect(process.memory.getUint8(at)).toBe(0);
    }
  });
});

describe("MADV_DONTNEED", () => {
  test("gives private pages back, and the next load is zero again", () => {
    const at = anonymous();
    process.memory.fill(at, 1, 4 * PAGE_SIZE);
    expect(cost(() => process.madvise(at, 3 * PAGE_SIZE, 4))).toMatchObject({ framesFreed: 3, ptesZapped: 3 });
    expect([0, 3].map((page) => process.memory.getUint8(at + page * PAGE_SIZE))).toEqual([0, 1]);
  });
});

test("the kernel's faults for a program count as the program's", () => {
  const at = anonymous();
  const fd = file();
  expect(cost(() => process.pread64(fd, at, 3 * PAGE_SIZE, 0))).toMatchObject({ minorFaults: 3 });
  expect(cost(() => process.madvise(at + 3 * PAGE_SIZE, 2 * PAGE_SIZE, 23))).toMatchObject({ minorFaults: 2 });
});
