// Frames at home: page n of the one process has frame n, its bytes are where they were, and nothing else of the kernel notices.
import { beforeEach, describe, expect, test } from "vitest";
import { PAGE_SIZE, PTE_FRAME_SHIFT } from "../../../../platform/hardware/layout.ts";
import {
  MADV_DONTNEED,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_PRIVATE,
  MREMAP_MAYMOVE,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
} from "../../../../platform/kernel/abi/mman.ts";
import { Kernel } from "../../../../platform/kernel/kernel.ts";
import type { Process } from "../../../../platform/kernel/process.ts";

const MIB = 2 ** 20;
const HOME_PAGES = (24 * MIB) / PAGE_SIZE;
const READ_WRITE = PROT_READ | PROT_WRITE;

let ram: Uint8Array;
let kernel: Kernel;
let process: Process;
let told: string[];

beforeEach(() => {
  const buffer = new ArrayBuffer(40 * MIB);
  ram = new Uint8Array(buffer);
  kernel = new Kernel({ memoryBytes: 32 * MIB, mte: false, buffer }, { homeFrames: HOME_PAGES });
  process = kernel.createProcess();
  told = [];
  process.addressSpace.mmapBase = HOME_PAGES;
  process.addressSpace.homes = {
    mapped: (start, end) => told.push(`mapped ${start} ${end}`),
    emptied: (start, end) => told.push(`emptied ${start} ${end}`),
    changed: (start, end) => told.push(`changed ${start} ${end}`),
  };
});

function map(address: number, length: number): number {
  return process.mmap(address, length, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED);
}

function frameOf(address: number): number {
  return process.addressSpace.pageTable.entries[address / PAGE_SIZE] >>> PTE_FRAME_SHIFT;
}

describe("a page's frame", () => {
  test("has the page's number, for page 0 as well, and a store lands at its address in the host's memory", () => {
    map(0, 8 * PAGE_SIZE);
    process.memory.setUint8(5 * PAGE_SIZE + 3, 77);
    process.memory.setUint8(2, 66);
    expect(frameOf(5 * PAGE_SIZE)).toBe(5);
    expect([ram[5 * PAGE_SIZE + 3], ram[2]]).toEqual([77, 66]);
    kernel.checkInvariants();
  });

  test("is at home for a clean page too, which is not resident", () => {
    map(0, PAGE_SIZE * 4);
    expect(process.memory.getUint8(PAGE_SIZE)).toBe(0);
    expect(frameOf(PAGE_SIZE)).toBe(1);
    expect(process.rssBytes).toBe(0);
    kernel.checkInvariants();
  });

  test("keeps what the host wrote before the first touch; the initialisation is counted all the same", () => {
    map(0, PAGE_SIZE);
    ram[10] = 9;
    process.memory.setUint8(11, 1);
    expect(process.memory.getUint8(10)).toBe(9);
    expect(kernel.counters.framesZeroed).toBe(1);
    expect(kernel.counters.bytesZeroed).toBe(PAGE_SIZE);
  });

  test("comes back when the page is given up and touched again", () => {
    map(0, 2 * PAGE_SIZE);
    process.memory.setUint8(0, 1);
    const free = kernel.frames.freeFrames;
    process.madvise(0, PAGE_SIZE, MADV_DONTNEED);
    expect(kernel.frames.freeFrames).toBe(free + 1);
    process.memory.setUint8(0, 1);
    expect(frameOf(0)).toBe(0);
    process.munmap(0, 2 * PAGE_SIZE);
    kernel.checkInvariants();
  });

  test("that the kernel needs for itself lies behind all homes", () => {
    map(0, PAGE_SIZE);
    const fd = process.memfd_create("file");
    process.ftruncate(fd, PAGE_SIZE);
    const shared = process.mmap(0, PAGE_SIZE, READ_WRITE, 1, fd);
    process.memory.setUint8(shared, 3);
    expect(frameOf(shared)).toBeGreaterThanOrEqual(HOME_PAGES);
    kernel.checkInvariants();
  });
});

describe("the keeper of homes", () => {
  test("sees what is mapped, emptied and protected", () => {
    map(4 * PAGE_SIZE, 4 * PAGE_SIZE);
    process.madvise(5 * PAGE_SIZE, PAGE_SIZE, MADV_DONTNEED);
    process.mprotect(6 * PAGE_SIZE, PAGE_SIZE, PROT_NONE);
    process.munmap(4 * PAGE_SIZE, PAGE_SIZE);
    expect(told).toEqual(["mapped 4 8", "emptied 5 6", "changed 6 7", "emptied 4 5"]);
  });
});

describe("what cannot be with pages at home", () => {
  test("fork and mremap fail with ENOMEM and change nothing", () => {
    map(0, PAGE_SIZE);
    process.memory.setUint8(0, 5);
    expect(() => process.fork()).toThrow(expect.objectContaining({ code: "ENOMEM" }));
    expect(() => process.mremap(0, PAGE_SIZE, 2 * PAGE_SIZE, MREMAP_MAYMOVE)).toThrow(
      expect.objectContaining({ code: "ENOMEM" }),
    );
    expect(process.memory.getUint8(0)).toBe(5);
    kernel.checkInvariants();
  });

  test("a machine that is all homes, a buffer that is too short", () => {
    expect(() => new Kernel({ memoryBytes: 16 * MIB }, { homeFrames: 4096 })).toThrow(/leaves none of 4096 frames/);
    expect(() => new Kernel({ memoryBytes: 16 * MIB, buffer: new ArrayBuffer(MIB) })).toThrow(/cannot hold/);
  });
});

test("mappings that the kernel places lie below the base that was set", () => {
  const address = process.mmap(0, PAGE_SIZE, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
  expect(address).toBe((HOME_PAGES - 1) * PAGE_SIZE);
});

test("a failed allocation at home leaves the page untouched", () => {
  map(0, PAGE_SIZE);
  kernel.frames.failAt(1);
  expect(() => process.memory.setUint8(0, 1)).toThrow(/memory/);
  process.memory.setUint8(0, 2);
  kernel.checkInvariants();
});
