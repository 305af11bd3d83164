// A heap whose large chunks get their pattern by a kernel interface of the user's: what it asks for, and what becomes of failures.
import { describe, expect, test } from "vitest";
import { Heap, type HeapOptions, type MapPattern } from "../../../allocator/index.ts";
import { PAGE_SIZE } from "../../../platform/hardware/layout.ts";
import { SystemError } from "../../../platform/kernel/abi/errors.ts";
import { MAP_FIXED, MAP_PRIVATE, PROT_READ, PROT_WRITE } from "../../../platform/kernel/abi/mman.ts";
import type { Process } from "../../../platform/kernel/process.ts";
import { refpage_create2 } from "../../../refpage/kernel.ts";

const LARGE = 300_000;

function heapWith(mapPattern: MapPattern, more: HeapOptions = {}): Heap {
  return new Heap({ memoryBytes: 2 ** 26, seed: 1, fill: "pattern", pattern: [1, 2], mapPattern, ...more });
}

/** Stands for an interface of the user's: a reference page, by way of a page of the program's. */
const byDescriptor: MapPattern = (process: Process, { address, length, prot, flags, pattern }) => {
  const page = process.mmap(0, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | 0x20);
  process.memory.fillPattern(page, PAGE_SIZE, pattern);
  const fd = refpage_create2(process, page, pattern.length);
  process.mmap(address, length, prot, flags, fd);
  process.close(fd);
  process.munmap(page, PAGE_SIZE);
  return address;
};

describe("a large chunk's pattern", () => {
  test("is asked for with where, how and what, and costs no pass over the bytes", () => {
    const asked: unknown[] = [];
    using heap = heapWith((process, mapping) => {
      asked.push(mapping);
      return byDescriptor(process, mapping);
    });
    const p = heap.malloc(LARGE);
    expect(heap.memory.getUint16(p)).toBe(0x0201);
    expect(heap.memory.getUint16(p + LARGE - 2)).toBe(0x0201);
    expect(asked).toEqual([
      {
        address: expect.any(Number),
        length: Math.ceil(LARGE / PAGE_SIZE) * PAGE_SIZE,
        prot: PROT_READ | PROT_WRITE,
        flags: MAP_PRIVATE | MAP_FIXED,
        pattern: Uint8Array.of(1, 2),
      },
    ]);
    expect(heap.stats().fills).toMatchObject({ refpageMappings: 1, refpageFallbacks: 0 });
  });

  test("is there again after the cache gave the pages back", () => {
    let calls = 0;
    using heap = heapWith((process, mapping) => {
      calls++;
      return byDescriptor(process, mapping);
    });
    const p = heap.malloc(LARGE);
    heap.memory.fill(p, 9, LARGE);
    heap.free(p);
    const again = heap.malloc(LARGE);
    expect(heap.memory.getUint16(again + 5000)).toBe(0x0201);
    expect(calls).toBe(1);
  });

  test("is written by the heap where the interface fails, and small chunks' always", () => {
    using heap = heapWith(() => {
      throw new SystemError("ENOMEM", "mmap");
    });
    const p = heap.malloc(LARGE);
    expect(heap.memory.getUint16(p + LARGE - 2)).toBe(0x0201);
    expect(heap.memory.getUint16(heap.malloc(10))).toBe(0x0201);
    expect(heap.stats().fills).toMatchObject({ refpageMappings: 0, refpageFallbacks: 1 });
  });
});

test.each([
  [
    "throws",
    () => {
      throw new TypeError("mine");
    },
    "mine",
  ],
  ["answers another address", (_: Process, { address }: { address: number }) => address + PAGE_SIZE, "not the address"],
  ["answers nothing", () => undefined as never, "mapPattern answered undefined"],
] as [string, MapPattern, string][])(
  "an interface that %s is an error, and the heap goes on",
  (_, mapPattern, message) => {
    let isBroken = true;
    using heap = heapWith((process, mapping) => (isBroken ? mapPattern : byDescriptor)(process, mapping));
    const { freeFrames } = heap.process.kernel.frames;
    const before = heap.process.procfs("maps");
    expect(() => heap.malloc(LARGE)).toThrow(message);
    expect(heap.process.procfs("maps")).toBe(before);
    expect(heap.process.kernel.frames.freeFrames).toBe(freeFrames);
    isBroken = false;
    const p = heap.malloc(LARGE);
    expect(heap.memory.getUint16(p)).toBe(0x0201);
    heap.free(p);
    // From the cache, with another clean page: what was there reads as before, and the block is not lost.
    const zeroes = heap.calloc(1, LARGE);
    heap.free(zeroes);
    isBroken = true;
    expect(() => heap.malloc(LARGE)).toThrow(message);
    isBroken = false;
    expect(heap.memory.getUint16(heap.malloc(LARGE))).toBe(0x0201);
    heap.process.kernel.checkInvariants();
  },
);

test.each([
  [{ tagging: "sync" }, "tagging"],
  [{ uninitialised: "byte" }, "uninitialised"],
  [{ largeFill: "memset" }, "largeFill"],
  [{ mapPattern: 7 as never }, "a function"],
] as [HeapOptions, string][])("%j with an interface of one's own is refused", (options, message) => {
  expect(() => heapWith(byDescriptor, options)).toThrow(message);
});
