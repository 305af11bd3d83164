// Pinned ranges: host views that are the bytes of simulated memory, across copy-on-write and fork.
import { describe, expect, test } from "vitest";
import { pinRange } from "../../../allocator/heap/pin.ts";
import { Kernel } from "../../../platform/kernel/kernel.ts";

const PAGE = 4096;
const PROT_READ_WRITE = 3;
const MAP_PRIVATE_ANONYMOUS = 0x22;

function createRange(length: number) {
  const process = new Kernel({ memoryBytes: 2 ** 24 }).createProcess();
  return { process, memory: process.memory, pointer: process.mmap(0, length, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS) };
}

/** The views' bytes as one array. */
function joined(views: readonly Uint8Array[]): number[] {
  return views.flatMap((view) => [...view]);
}

describe("a pinned range", () => {
  test("shows exactly its bytes, in whichever pages they lie", () => {
    const { process, memory, pointer } = createRange(3 * PAGE);
    memory.setUint8(pointer + PAGE - 2, 1);
    memory.setUint8(pointer + PAGE, 3);
    const pinned = pinRange(process, pointer + PAGE - 2, 4);
    expect(joined(pinned.views)).toEqual([1, 0, 3, 0]);
    pinned.release();
  });

  test("is the memory itself, in both directions", () => {
    const { process, memory, pointer } = createRange(2 * PAGE);
    using pinned = pinRange(process, pointer, 2 * PAGE);
    for (const view of pinned.views) view.fill(7);
    expect(memory.getUint32(pointer + PAGE - 2)).toBe(0x07070707);
    memory.setUint8(pointer + 5, 9);
    expect(joined(pinned.views)[5]).toBe(9);
  });

  test("is the process's own, not what a forked child shares with it", () => {
    const { process, memory, pointer } = createRange(PAGE);
    memory.setUint8(pointer, 1);
    const child = process.fork();
    using pinned = pinRange(process, pointer, 1);
    pinned.views[0]![0] = 2;
    expect(memory.getUint8(pointer)).toBe(2);
    expect(child.memory.getUint8(pointer)).toBe(1);
  });

  test("may be released twice, and leaves the kernel's counts in order", () => {
    const { process, pointer } = createRange(PAGE);
    const pinned = pinRange(process, pointer, PAGE);
    pinned.release();
    pinned.release();
    process.munmap(pointer, PAGE);
    process.kernel.checkInvariants();
    expect(process.rssBytes).toBe(0);
  });

  test("of memory that is not mapped is an error", () => {
    const { process, pointer } = createRange(PAGE);
    expect(() => pinRange(process, pointer, 100 * PAGE)).toThrow(expect.objectContaining({ code: "EFAULT" }));
  });
});
