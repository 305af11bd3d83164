// Files in RAM by descriptor: what a write leaves where its buffer cannot be read, and what a length does that stays the same.
import { beforeEach, describe, expect, test } from "vitest";
import { PAGE_SIZE } from "../../../platform/hardware/layout.ts";
import { Machine } from "../../../platform/hardware/machine.ts";
import { MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE } from "../../../platform/kernel/abi/mman.ts";
import { Kernel } from "../../../platform/kernel/kernel.ts";
import type { Process } from "../../../platform/kernel/process.ts";

const machine = new Machine({ memoryBytes: 16 * 2 ** 20, mte: false });
const RW = PROT_READ | PROT_WRITE;
const NOWHERE = 16;
let kernel: Kernel;
let process: Process;
let fd: number;

beforeEach(() => {
  kernel = new Kernel(machine);
  process = kernel.createProcess();
  fd = process.memfd_create("file");
  process.ftruncate(fd, 100);
});

function map(pages: number, flags: number, offset = 0): number {
  return process.mmap(0, pages * PAGE_SIZE, RW, flags, fd, offset);
}

function residency(address: number, pages: number): number[] {
  return [...process.mincore(address, pages * PAGE_SIZE)];
}

describe("a write from a buffer that cannot be read", () => {
  test("fails, but leaves a page of zeroes there and the file as long as where it began", () => {
    expect(() => process.pwrite64(fd, NOWHERE, 8, 3 * PAGE_SIZE + 100)).toThrow(/EFAULT/);
    expect(process.fstat(fd).size).toBe(3 * PAGE_SIZE + 100);
    expect(residency(map(4, MAP_PRIVATE), 4)).toEqual([0, 0, 0, 1]);
    kernel.checkInvariants();
  });

  test("has made the file longer before its buffer is faulted in: the fault maps the new page beside", () => {
    // The buffer is past the end of the file that it is written to.
    const mapping = map(8, MAP_PRIVATE);
    expect(() => process.pwrite64(fd, mapping + 5 * PAGE_SIZE, 8, 3 * PAGE_SIZE + 100)).toThrow(/EFAULT/);
    expect(process.rssBytes).toBe(PAGE_SIZE);
    expect(residency(mapping, 4)).toEqual([0, 0, 0, 1]);
    kernel.checkInvariants();
  });

  test("may lie in the page that it makes, past its first byte, and is then written", () => {
    const mapping = map(8, MAP_PRIVATE);
    expect(process.pwrite64(fd, mapping + 3 * PAGE_SIZE, 8, 3 * PAGE_SIZE + 100)).toBe(8);
    expect(process.fstat(fd).size).toBe(3 * PAGE_SIZE + 108);
    expect(() => process.pwrite64(fd, mapping + 5 * PAGE_SIZE, 8, 5 * PAGE_SIZE)).toThrow(/EFAULT/);
    kernel.checkInvariants();
  });

  test("writes what comes before the page that is missing", () => {
    const buffer = process.mmap(0, 2 * PAGE_SIZE, RW, 0x22);
    process.munmap(buffer + PAGE_SIZE, PAGE_SIZE);
    expect(process.pwrite64(fd, buffer + PAGE_SIZE - 10, 100, 0)).toBe(10);
    expect(process.pwrite64(fd, buffer, 2 * PAGE_SIZE, PAGE_SIZE - 10)).toBe(PAGE_SIZE);
    expect(process.fstat(fd).size).toBe(2 * PAGE_SIZE - 10);
  });
});

describe("a length that stays the same", () => {
  test("drops a page that a failed write left behind the end", () => {
    expect(() => process.pwrite64(fd, NOWHERE, 8, PAGE_SIZE)).toThrow(/EFAULT/);
    const mapping = map(2, MAP_SHARED);
    expect(residency(mapping, 2)).toEqual([0, 1]);
    process.ftruncate(fd, PAGE_SIZE);
    expect(residency(mapping, 2)).toEqual([0, 0]);
    kernel.checkInvariants();
  });

  test("clears what a mapping stored behind the end, and leaves the page where it is mapped", () => {
    const mapping = map(1, MAP_SHARED);
    process.memory.fill(mapping, 7, 200);
    process.ftruncate(fd, 100);
    expect(process.rssBytes).toBe(PAGE_SIZE);
    expect([99, 100, 199].map((offset) => process.memory.getUint8(mapping + offset))).toEqual([7, 0, 0]);
    kernel.checkInvariants();
  });
});
