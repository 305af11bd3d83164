// Scudo's tests of its mapping layer (S33, map): what is no access, unmapped or past a committed part faults, a reservation
// grows page by page, and exhaustion is an answer.
import { describe, expect, test } from "vitest";
import { NO_MEMORY, Program } from "../../allocator/common/program.ts";
import { SegmentationFault } from "../../platform/hardware/faults.ts";
import { Kernel } from "../../platform/kernel/kernel.ts";

const PAGE = 4096;

function createProgram(): Program {
  return new Program(new Kernel({ memoryBytes: 2 ** 24 }).createProcess({ name: "map" }));
}

describe("a reservation", () => {
  test("is no access until a part of it is committed", () => {
    const program = createProgram();
    const address = program.reserve(4 * PAGE);
    expect(() => program.memory.getUint8(address)).toThrow(SegmentationFault);
    expect(() => program.memory.setUint8(address, 1)).toThrow(SegmentationFault);
  });

  test("faults one byte past its committed part", () => {
    const program = createProgram();
    const address = program.reserve(4 * PAGE);
    program.commit(address, 2 * PAGE);
    program.memory.setUint8(address + 2 * PAGE - 1, 1);
    expect(() => program.memory.setUint8(address + 2 * PAGE, 1)).toThrow(SegmentationFault);
  });

  test("can be grown page by page, and keeps what is there", () => {
    const program = createProgram();
    const address = program.reserve(8 * PAGE);
    for (let page = 0; page < 8; page++) {
      expect(program.commit(address + page * PAGE, PAGE)).toBe(true);
      program.memory.fill(address + page * PAGE, page + 1, PAGE);
    }
    for (let page = 0; page < 8; page++) expect(program.memory.getUint8(address + page * PAGE)).toBe(page + 1);
  });

  test("of more than the address space is answered, not thrown", () => {
    expect(createProgram().reserve(2 ** 38)).toBe(NO_MEMORY);
  });
});

test("a store to unmapped memory faults", () => {
  const program = createProgram();
  const address = program.reserve(PAGE);
  program.commit(address, PAGE);
  program.memory.setUint8(address, 1);
  expect(program.unmap(address, PAGE)).toBe(true);
  expect(() => program.memory.setUint8(address, 1)).toThrow(SegmentationFault);
});

test("a protected page faults, and can be opened again", () => {
  const program = createProgram();
  const address = program.reserve(PAGE);
  program.commit(address, PAGE);
  program.protect(address, PAGE, 0);
  expect(() => program.memory.getUint8(address)).toThrow(SegmentationFault);
  program.protect(address, PAGE, 3);
  expect(program.memory.getUint8(address)).toBe(0);
});
