// Memory that was not stored to and is made defined or undefined: it stays untouched, and its marks follow it wherever it goes.
import { describe, expect, test } from "vitest";
import { Heap } from "../../../allocator/index.ts";
import { Machine } from "../../../platform/hardware/machine.ts";
import {
  MADV_DONTNEED,
  MADV_GUARD_INSTALL,
  MADV_GUARD_REMOVE,
  MADV_POPULATE_READ,
  MADV_WIPEONFORK,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_PRIVATE,
  MAP_SHARED,
  MREMAP_DONTUNMAP,
  MREMAP_FIXED,
  MREMAP_MAYMOVE,
  PROT_READ,
  PROT_WRITE,
} from "../../../platform/kernel/abi/mman.ts";

const MIB = 2 ** 20;
const PAGE = 4096;
const BYTES = 64 * MIB;
const PRIVATE = MAP_PRIVATE | MAP_ANONYMOUS;
const RW = PROT_READ | PROT_WRITE;

function create() {
  const heap = new Heap({ uninitialised: "byte", memoryBytes: 32 * MIB, seed: 1 });
  return { heap, checker: heap.checker, process: heap.process };
}
const seen = (heap: Heap) => heap.checker.findings.map(({ kind, operation }) => `${kind} ${operation}`);
const bits = (heap: Heap, address: number, length: number) => [...heap.checker.getValidityBits(address, length)];
const isDefined = (heap: Heap, address: number) => bits(heap, address, 1)[0] === 0;

describe.each(["malloc", "calloc", "mmap"] as const)("64 MiB of %s", (kind) => {
  const allocate = ({ heap, process }: ReturnType<typeof create>) => {
    if (kind === "mmap") return process.mmap(0, BYTES, RW, PRIVATE);
    return kind === "malloc" ? heap.malloc(BYTES) : heap.calloc(1, BYTES);
  };

  test.each(["makeDefined", "makeUndefined", "makeNoAccess", "makeDefinedIfAddressable"] as const)(
    "%s makes no page resident, though the machine has half as much",
    (request) => {
      const given = create();
      const p = allocate(given);
      given.heap.memory.getUint8(p + 8192);
      const before = given.process.rssBytes;
      given.checker[request](p + 5, BYTES - 10);
      expect(given.process.rssBytes).toBe(before);
    },
  );

  test("the bytes are as they were made, and those beside them as they were", () => {
    const given = create();
    const { heap, checker } = given;
    const p = allocate(given);
    const fresh = kind === "malloc" ? 0xff : 0;
    checker.makeUndefined(p + 16 * PAGE + 5, 4 * PAGE);
    checker.makeDefined(p + 17 * PAGE + 7, 2 * PAGE);
    expect(bits(heap, p + 16 * PAGE + 3, 4)).toEqual([fresh, fresh, 0xff, 0xff]);
    expect(bits(heap, p + 17 * PAGE + 6, 2)).toEqual([0xff, 0]);
    expect(bits(heap, p + 19 * PAGE + 6, 2)).toEqual([0, 0xff]);
    expect(bits(heap, p + 20 * PAGE + 4, 2)).toEqual([0xff, fresh]);
    expect(bits(heap, p + 30 * PAGE, 1)).toEqual([fresh]);
  });
});

describe("marks of untouched memory", () => {
  test("are lost with its pages: what comes there next is as any fresh page", () => {
    const { heap, checker, process } = create();
    const p = process.mmap(0, 8 * PAGE, RW, PRIVATE);
    checker.makeUndefined(p, 8 * PAGE);
    process.madvise(p, PAGE, MADV_DONTNEED);
    process.madvise(p + PAGE, PAGE, MADV_GUARD_INSTALL);
    process.madvise(p + PAGE, PAGE, MADV_GUARD_REMOVE);
    process.mmap(p + 2 * PAGE, PAGE, RW, PRIVATE | MAP_FIXED);
    expect([0, 1, 2, 3].map((page) => isDefined(heap, p + page * PAGE))).toEqual([true, true, true, false]);
  });

  test("are in frames that a load, a populate or a system call makes", () => {
    const { heap, checker, process } = create();
    const p = process.mmap(0, 8 * PAGE, RW, PRIVATE);
    checker.makeUndefined(p + 8, 8 * PAGE - 8);
    process.madvise(p, PAGE, MADV_POPULATE_READ);
    expect(bits(heap, p + 7, 2)).toEqual([0, 0xff]);
    process.write(process.memfd_create("f", 0), p + PAGE, 8);
    heap.memory.getUint8(p + 2 * PAGE);
    expect(seen(heap)).toEqual(["uninitialised system call", "uninitialised load"]);
  });

  test("of a freed chunk say nothing of the next one there", () => {
    const { heap, checker } = create();
    const sizes = [60_000, MIB];
    for (const size of sizes) {
      const p = heap.malloc(size);
      checker.makeDefined(p, size);
      heap.free(p);
      checker.clear();
      const again = heap.malloc(size);
      heap.memory.getUint8(again + size / 2);
      expect(seen(heap)).toEqual(["uninitialised load"]);
      checker.clear();
    }
  });
});

describe.each(["defined", "undefined", "no access"] as const)("memory made %s", (made) => {
  const mark = ({ checker }: Heap, address: number, length: number) => {
    if (made === "defined") checker.makeDefined(address, length);
    else if (made === "undefined") checker.makeUndefined(address, length);
    else checker.makeNoAccess(address, length);
  };
  const finding = {
    defined: [],
    undefined: ["uninitialised load"],
    "no access": ["invalid-access load"],
  }[made];
  const found = (heap: Heap, address: number) => {
    heap.checker.clear();
    heap.memory.getUint8(address);
    return seen(heap);
  };

  test.each([true, false])("stays so when mremap moves it (touched: %s)", (isTouched) => {
    const { heap, checker, process } = create();
    const p = process.mmap(0, 4 * PAGE, RW, PRIVATE);
    if (made === "defined") checker.makeUndefined(p, 4 * PAGE);
    if (isTouched) for (let page = 0; page < 4; page++) heap.memory.setUint8(p + page * PAGE, 1);
    mark(heap, p + PAGE + 8, 2 * PAGE);
    const behind = process.mmap(0, 16 * PAGE, RW, PRIVATE);
    const moved = process.mremap(p, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, behind + 4 * PAGE);
    expect(found(heap, moved + PAGE + 8)).toEqual(finding);
    expect(found(heap, moved + 3 * PAGE + 7)).toEqual(finding);
    expect(found(heap, moved + 3 * PAGE + 8)).toEqual(made === "defined" ? ["uninitialised load"] : []);
    expect(found(heap, moved + 5 * PAGE)).toEqual([]);
    process.mmap(p, 4 * PAGE, RW, PRIVATE | MAP_FIXED);
    expect(found(heap, p + PAGE + 8)).toEqual([]);
  });

  test("leaves nothing behind with MREMAP_DONTUNMAP, nor where memory grew before", () => {
    const { heap, process } = create();
    const p = process.mmap(0, 2 * PAGE, RW, PRIVATE);
    mark(heap, p, 2 * PAGE);
    const moved = process.mremap(p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP);
    expect(found(heap, p)).toEqual([]);
    expect(found(heap, moved)).toEqual(finding);
    process.mremap(moved, 2 * PAGE, PAGE, 0);
    process.mremap(moved, PAGE, 2 * PAGE, 0);
    expect(found(heap, moved + PAGE)).toEqual([]);
    expect(found(heap, moved)).toEqual(finding);
  });

  test.each([true, false])("is so in a forked child, and each changes its own (touched: %s)", (isTouched) => {
    const { heap, process } = create();
    const p = process.mmap(0, 2 * PAGE, RW, PRIVATE);
    if (isTouched) heap.memory.fill(p, 1, 2 * PAGE);
    if (made === "defined") heap.checker.makeUndefined(p, 2 * PAGE);
    mark(heap, p + 8, PAGE);
    const child = heap.fork();
    child.checker.makeDefined(p + 100, 8);
    expect(found(child, p + 8)).toEqual(finding);
    expect(found(child, p + 100)).toEqual([]);
    expect(found(heap, p + 100)).toEqual(finding);
    heap.checker.makeDefined(p + 8, 8);
    expect(found(child, p + 8)).toEqual(finding);
    child[Symbol.dispose]();
  });

  test("is so in a process that was forked before the heap went there, and after a snapshot", () => {
    const { heap, process } = create();
    const p = process.mmap(0, 4 * PAGE, RW, PRIVATE);
    if (made === "defined") heap.checker.makeUndefined(p, 4 * PAGE);
    mark(heap, p, 4 * PAGE);
    const child = heap.inProcess(process.fork());
    expect(found(child, p + PAGE)).toEqual(finding);
    const [restored] = Heap.on(Machine.restore(heap.kernel.machine.snapshot()));
    restored.checker.makeDefined(p + 2 * PAGE, 8);
    expect(found(restored, p + 2 * PAGE + 8)).toEqual(finding);
    expect(found(restored, p + 3 * PAGE)).toEqual(finding);
  });

  test.each([
    ["private, stored to", PRIVATE, true],
    ["private, loaded", PRIVATE, false],
    ["shared", MAP_SHARED | MAP_ANONYMOUS, true],
    ["of a file", MAP_PRIVATE, true],
  ] as const)("may be read-only: %s", (_name, flags, isStored) => {
    const { heap, process } = create();
    const fd = (flags & MAP_ANONYMOUS) !== 0 ? -1 : process.memfd_create("f", 0);
    if (fd !== -1) process.ftruncate(fd, 4 * PAGE);
    const p = process.mmap(0, 4 * PAGE, RW, flags, fd, 0);
    if (isStored) heap.memory.fill(p, 1, 2 * PAGE);
    else heap.memory.getUint8(p);
    const child = process.fork();
    process.mprotect(p, 4 * PAGE, PROT_READ);
    if (made === "defined") heap.checker.makeUndefined(p, 4 * PAGE);
    mark(heap, p + 8, 2 * PAGE);
    expect(found(heap, p + 8)).toEqual(finding);
    expect(found(heap, p + 2 * PAGE + 7)).toEqual(finding);
    child.exit(0);
  });
});

test("a child that gets zeroes in place of an area's pages gets no marks of theirs, but for what may not be accessed", () => {
  const { heap, checker, process } = create();
  const p = process.mmap(0, 2 * PAGE, RW, PRIVATE);
  process.madvise(p, 2 * PAGE, MADV_WIPEONFORK);
  checker.makeUndefined(p, PAGE);
  checker.makeNoAccess(p + PAGE, PAGE);
  const child = heap.fork();
  child.memory.getUint8(p);
  child.memory.getUint8(p + PAGE);
  expect(seen(child)).toEqual(["invalid-access load"]);
  child[Symbol.dispose]();
});
