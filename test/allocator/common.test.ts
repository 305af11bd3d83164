// Scudo's tests of its common platform layer (S33, common) on the simulated kernel: resident memory follows what is touched,
// fresh and given-back memory is zero.
import { expect, test } from "vitest";
import { NO_MEMORY, Program } from "../../allocator/common/program.ts";
import { PROT_READ } from "../../platform/kernel/abi/mman.ts";
import { Kernel } from "../../platform/kernel/kernel.ts";

const PAGE = 4096;
const MIB = 2 ** 20;

function createProgram(memoryBytes = 256 * MIB): Program {
  return new Program(new Kernel({ memoryBytes }).createProcess({ name: "common" }));
}

function mapped(program: Program, length: number): number {
  const address = program.reserve(length);
  expect(address).not.toBe(NO_MEMORY);
  expect(program.commit(address, length)).toBe(true);
  return address;
}

function touchAll(program: Program, address: number, length: number): void {
  for (let offset = 0; offset < length; offset += PAGE) program.memory.setUint8(address + offset, 1);
}

test("resident memory grows by touching, not by mapping, falls by releasing, and can be touched again", () => {
  const program = createProgram();
  const length = 64 * MIB;
  const address = mapped(program, length);
  const base = program.process.rssBytes;
  touchAll(program, address, length);
  expect(program.process.rssBytes - base).toBe(length);
  expect(program.releasePages(address, length)).toBe(true);
  expect(program.process.rssBytes).toBe(base);
  touchAll(program, address, length);
  expect(program.process.rssBytes - base).toBe(length);
});

test("a fresh mapping is all zero, and again after its pages are released", () => {
  const program = createProgram();
  const address = mapped(program, MIB);
  const isZero = (): boolean => program.memory.read(address, MIB).every((byte) => byte === 0);
  expect(isZero()).toBe(true);
  program.memory.fill(address, 0xff, MIB);
  program.releasePages(address, MIB);
  expect(isZero()).toBe(true);
});

test("the clock is the kernel's monotonic one", () => {
  let nanoseconds = 5;
  const kernel = new Kernel({ memoryBytes: 16 * MIB }, { clock: () => nanoseconds });
  const program = new Program(kernel.createProcess());
  expect(program.now()).toBe(5);
  nanoseconds = 7;
  expect(program.now()).toBe(7);
});

test.each(["protect", "unmap"] as const)("%s of what cannot be is Scudo's report, but ENOMEM is an answer", (call) => {
  const counted = createProgram();
  mapped(counted, 4 * PAGE);
  const maxMapCount = counted.process.addressSpace.vmas.count;
  const program = new Program(new Kernel({ memoryBytes: 16 * MIB }, { maxMapCount }).createProcess({ name: "common" }));
  const address = mapped(program, 4 * PAGE);
  const act = (at: number, length: number) =>
    call === "protect" ? program.protect(at, length, PROT_READ) : program.unmap(at, length);
  const where = `Addr 0x${(address + 8).toString(16)} Size ${PAGE}${call === "protect" ? " Prot 1" : ""}`;
  const expected = { kind: `${call}-failed`, address: address + 8 };
  expect(() => act(address + 8, PAGE)).toThrow(
    expect.objectContaining({
      ...expected,
      message: expect.stringContaining(`internal ${call} failure (error desc=Invalid argument) ${where}`),
    }),
  );
  expect(act(address + PAGE, PAGE)).toBe(false);
  touchAll(program, address, 4 * PAGE);
  expect(act(address, 4 * PAGE)).toBe(true);
  expect(() => program.memory.setUint8(address + PAGE, 1)).toThrow("SEGV");
});
