// Pins: the kernel's hold on pages. A write pin breaks copy-on-write first, a read pin unshares, and a fork copies what is pinned.
import { beforeEach, describe, expect, test } from "vitest";
import { PAGE_SIZE } from "../../../../platform/hardware/layout.ts";
import { Machine } from "../../../../platform/hardware/machine.ts";
import { Kernel } from "../../../../platform/kernel/kernel.ts";
import type { Process } from "../../../../platform/kernel/process.ts";

const machine = new Machine({ memoryBytes: 16 * 2 ** 20, mte: false });
const RW = 3;
const PRIVATE_ANONYMOUS = 0x22;
let kernel: Kernel;
let process: Process;
let at: number;

beforeEach(() => {
  kernel = new Kernel(machine);
  process = kernel.createProcess();
  at = process.mmap(0, 4 * PAGE_SIZE, RW, PRIVATE_ANONYMOUS);
});

function frameOf(of: Process, address: number): number {
  return Number(of.pagemap(address, 1)[0] & 0x7fffffffffffffn);
}

describe("a pin", () => {
  test("for writing makes private pages of untouched memory, and its views are the program's memory", () => {
    const pin = process.pin(at, 2 * PAGE_SIZE, { write: true });
    for (const view of pin.views()) view.fill(9);
    expect(process.memory.getUint8(at)).toBe(9);
    expect(process.memory.getUint8(at + 2 * PAGE_SIZE - 1)).toBe(9);
    process.memory.setUint8(at + 5, 1);
    expect(pin.views()[0][5]).toBe(1);
    pin.release();
    kernel.checkInvariants();
  });

  test("for reading takes the zero page where nothing was stored", () => {
    const pin = process.pin(at, PAGE_SIZE, { write: false });
    expect(pin.frames).toEqual([0]);
    pin.release();
    expect(process.rssBytes).toBe(0);
    kernel.checkInvariants();
  });

  test("of bytes within pages has views of exactly those bytes, one for each stretch of frames", () => {
    process.memory.setUint8(at + PAGE_SIZE, 1);
    process.memory.setUint8(at, 1);
    process.memory.setUint8(at + 2 * PAGE_SIZE, 1);
    const pin = process.pin(at + 100, 2 * PAGE_SIZE, { write: true });
    const views = pin.views();
    expect(views.reduce((sum, { length }) => sum + length, 0)).toBe(2 * PAGE_SIZE);
    let value = 0;
    for (const view of views) for (let i = 0; i < view.length; i++) view[i] = value++ & 0xff;
    const read = process.memory.read(at + 100, 2 * PAGE_SIZE);
    expect(read.every((byte, i) => byte === (i & 0xff))).toBe(true);
    pin.release();
  });

  test("keeps its frames when the memory is unmapped, until it is released once", () => {
    const free = kernel.frames.freeFrames;
    const pin = process.pin(at, PAGE_SIZE, { write: true });
    process.munmap(at, 4 * PAGE_SIZE);
    expect(kernel.frames.freeFrames).toBe(free - 1);
    kernel.checkInvariants();
    pin.release();
    pin.release();
    expect(pin.frames).toEqual([]);
    expect(kernel.frames.freeFrames).toBe(free);
    kernel.checkInvariants();
  });

  test("outlives the process", () => {
    const free = kernel.frames.freeFrames;
    const pin = process.pin(at, PAGE_SIZE, { write: true });
    process.exit();
    kernel.checkInvariants();
    pin.views()[0].fill(1);
    pin.release();
    expect(kernel.frames.freeFrames).toBe(free);
  });

  test("that reaches a page which may not be written pins nothing", () => {
    process.mprotect(at + PAGE_SIZE, PAGE_SIZE, 1);
    const free = kernel.frames.freeFrames;
    expect(() => process.pin(at, 2 * PAGE_SIZE, { write: true })).toThrow(expect.objectContaining({ code: "EFAULT" }));
    expect(kernel.frames.pins.some((count) => count !== 0)).toBe(false);
    // The first page was faulted in, and that stays.
    expect(kernel.frames.freeFrames).toBe(free - 1);
    kernel.checkInvariants();
  });

  test("of nothing is refused", () => {
    expect(() => process.pin(at, 0, { write: false })).toThrow(RangeError);
  });
});

describe("pins and fork", () => {
  test("a write pin of a page shared with a child copies it first; the child keeps the old one", () => {
    process.memory.setUint8(at, 1);
    const child = process.fork();
    const shared = frameOf(child, at);
    const pin = process.pin(at, PAGE_SIZE, { write: true });
    expect(pin.frames[0]).not.toBe(shared);
    pin.views()[0][0] = 2;
    expect([process.memory.getUint8(at), child.memory.getUint8(at)]).toEqual([2, 1]);
    pin.release();
    kernel.checkInvariants();
  });

  test("a read pin of a shared page unshares it, so that later stores reach the pinned frame", () => {
    process.memory.setUint8(at, 1);
    const child = process.fork();
    const pin = process.pin(at, PAGE_SIZE, { write: false });
    process.memory.setUint8(at, 2);
    expect(pin.views()[0][0]).toBe(2);
    expect(child.memory.getUint8(at)).toBe(1);
    pin.release();
    kernel.checkInvariants();
  });

  test("a fork copies pinned pages immediately and shares the others", () => {
    process.memory.fill(at, 1, 2 * PAGE_SIZE);
    const pin = process.pin(at, PAGE_SIZE, { write: true });
    const before = kernel.counters.snapshot();
    const child = process.fork();
    expect(kernel.counters.since(before).framesCopied).toBe(1);
    expect(frameOf(child, at)).not.toBe(pin.frames[0]);
    expect(frameOf(child, at + PAGE_SIZE)).toBe(frameOf(process, at + PAGE_SIZE));
    process.memory.setUint8(at, 5);
    expect(pin.views()[0][0]).toBe(5);
    expect(child.memory.getUint8(at)).toBe(1);
    kernel.checkInvariants();
    pin.release();
    kernel.checkInvariants();
  });
});

test("process_vm calls move bytes both ways, page by page, between two processes", () => {
  const child = process.fork();
  process.memory.fill(at, 7, 2 * PAGE_SIZE);
  expect(
    child.process_vm_readv(
      process.pid,
      [[at + 10, 5000]],
      [
        [at, 1],
        [at + 1, PAGE_SIZE],
        [at + 5000, 10_000],
      ],
    ),
  ).toBe(5000);
  expect(child.memory.getUint8(at + 5009)).toBe(7);
  expect(child.memory.getUint8(at + 5010)).toBe(0);
  child.memory.fill(at, 8, PAGE_SIZE);
  expect(child.process_vm_writev(process.pid, [[at, 100]], [[at + PAGE_SIZE - 50, 100]])).toBe(100);
  expect(process.memory.getUint8(at + PAGE_SIZE + 49)).toBe(8);
  expect(process.memory.getUint8(at + PAGE_SIZE + 50)).toBe(7);
  kernel.checkInvariants();
});

test("a process_vm call stops at the first page that the other cannot give", () => {
  const child = process.fork();
  process.memory.fill(at, 7, PAGE_SIZE);
  process.munmap(at + PAGE_SIZE, PAGE_SIZE);
  expect(child.process_vm_readv(process.pid, [[at, 3 * PAGE_SIZE]], [[at + 96, 3 * PAGE_SIZE]])).toBe(4000);
});
