// Which reference pages share a frame (R12), and which kind of content a page is found to have (R5): seen from a program, by what it
// reads and what the kernel counts.

import { beforeEach, describe, expect, test } from "vitest";
import { ACCESS_LOAD, PAGE_SIZE, PTE_FRAME_SHIFT } from "../../platform/hardware/layout.ts";
import { VALIDITY_BYTES_PER_FRAME } from "../../platform/hardware/physical-memory.ts";
import { tagRange } from "../../platform/hardware/tag-store.ts";
import { withTag } from "../../platform/hardware/tags.ts";
import { findUndefined } from "../../platform/hardware/validity.ts";
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_MTE, PROT_READ, PROT_WRITE } from "../../platform/kernel/abi/mman.ts";
import { PR_SET_TAGGED_ADDR_CTRL } from "../../platform/kernel/abi/prctl.ts";
import { Kernel } from "../../platform/kernel/kernel.ts";
import type { Process } from "../../platform/kernel/process.ts";
import { installRefpage } from "../../refpage/install.ts";
import { createKernel, refpage_create, refpage_create2 } from "../../refpage/kernel.ts";

const READ_WRITE_MTE = PROT_READ | PROT_WRITE | PROT_MTE;
const GRANULES = 256;
let kernel: Kernel;
let process: Process;

function start(options: { readonly share?: boolean }): void {
  kernel = createKernel({ memoryBytes: 2 ** 24 }, options);
  process = kernel.createProcess();
  // Tags are there, and loads and stores are not checked against them.
  process.prctl(PR_SET_TAGGED_ADDR_CTRL, 1 | (0xfffe << 3));
}

/** The page that contents are written in, always the same one. */
let page: number;

function write(byte: (index: number) => number, tag: (granule: number) => number = () => 0): void {
  process.memory.write(
    page,
    Uint8Array.from({ length: PAGE_SIZE }, (_, index) => byte(index)),
  );
  for (let granule = 0; granule < GRANULES; granule++)
    tagRange(process.memory, withTag(page + granule * 16, tag(granule)), 16);
}

/** Frames that making a reference page of the page's content takes. */
function framesFor(make: () => number): { readonly fd: number; readonly frames: number } {
  const before = kernel.frames.freeFrames;
  const fd = make();
  return { fd, frames: before - kernel.frames.freeFrames };
}

const make = (): number => refpage_create(process, page, 0);

function mapped(fd: number): number {
  return process.mmap(0, PAGE_SIZE, READ_WRITE_MTE, MAP_PRIVATE, fd);
}

describe("reference pages that share equal contents", () => {
  beforeEach(() => {
    start({ share: true });
    page = process.mmap(0, PAGE_SIZE, READ_WRITE_MTE, MAP_PRIVATE | MAP_ANONYMOUS);
  });

  test("have one frame, which stays until the last of them is closed", () => {
    write((index) => index & 255);
    const [first, second] = [framesFor(make), framesFor(make)];
    expect([first.frames, second.frames]).toEqual([1, 0]);
    process.close(first.fd);
    const at = mapped(second.fd);
    expect(process.memory.getUint8(at + 77)).toBe(77);
    kernel.checkInvariants();
    process.munmap(at, PAGE_SIZE);
    const before = kernel.frames.freeFrames;
    process.close(second.fd);
    expect(kernel.frames.freeFrames).toBe(before + 1);
    kernel.checkInvariants();
  });

  test("are forgotten with the last one: the next equal page has a frame of its own", () => {
    write((index) => index & 255);
    process.close(make());
    const third = framesFor(make);
    expect(third.frames).toBe(1);
    expect(process.memory.getUint8(mapped(third.fd) + 9)).toBe(9);
    kernel.checkInvariants();
  });

  test.each([0, 1, 100, 239, 240, 254, 255])("are told apart by the tag of granule %i alone", (different) => {
    write(
      (index) => index & 255,
      (granule) => granule & 1,
    );
    make();
    write(
      (index) => index & 255,
      (granule) => (granule === different ? 9 : granule & 1),
    );
    expect(framesFor(make).frames).toBe(1);
  });

  test.each([0, 1, 2048, 4095])("are told apart by byte %i alone", (different) => {
    write(() => 5);
    make();
    write((index) => (index === different ? 6 : 5));
    expect(framesFor(make).frames).toBe(1);
  });

  test.each([0, 1, 2047, 4095])(
    "of the same kind are told apart by byte %i, and each is equal to itself",
    (different) => {
      for (const byte of [(index: number) => index & 255, () => 5]) {
        write(byte);
        expect(framesFor(make).frames).toBe(1);
        const isPattern = byte(0) === byte(1);
        write((index) => (isPattern || index === different ? byte(index) ^ 1 : byte(index)));
        expect([framesFor(make).frames, framesFor(make).frames]).toEqual([1, 0]);
      }
    },
  );

  test("of the second form are told apart by their period", () => {
    write(() => 0);
    const first = framesFor(() => refpage_create2(process, page, 1));
    const second = framesFor(() => refpage_create2(process, page, 2));
    const third = framesFor(() => refpage_create2(process, page, 2));
    expect([first.frames, second.frames, third.frames]).toEqual([1, 1, 0]);
  });
});

test("pages that differ in undefined bits alone do not share", () => {
  kernel = createKernel({ memoryBytes: 2 ** 24, shadow: true }, { share: true });
  process = kernel.createProcess();
  page = process.mmap(0, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
  process.memory.fill(page, 7, PAGE_SIZE);
  const frame = process.addressSpace.pageTable.entryOf(page / PAGE_SIZE) >>> PTE_FRAME_SHIFT;
  const { undefinedBits } = kernel.machine.ram;
  const bits = undefinedBits.subarray(frame * VALIDITY_BYTES_PER_FRAME, (frame + 1) * VALIDITY_BYTES_PER_FRAME);
  kernel.machine.ram.mayBeUndefined[frame] = 1;
  expect(framesFor(make).frames).toBe(1);
  for (const place of [0, 100, VALIDITY_BYTES_PER_FRAME - 1]) {
    bits[place] = 1;
    expect([framesFor(make).frames, framesFor(make).frames]).toEqual([1, 0]);
    bits[place] = 0;
    expect(framesFor(make).frames).toBe(0);
  }
});

test.each([
  [0, 16],
  [48, 16],
  [2048, 8],
  [4095, 1],
])(
  "a pattern's undefined bits come from its own place, %i bytes into a page, and repeat with its %i bytes",
  (offset, size) => {
    kernel = createKernel({ memoryBytes: 2 ** 24, shadow: true });
    process = kernel.createProcess();
    page = process.mmap(0, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    process.memory.fill(page, 7, PAGE_SIZE);
    const frameOf = (address: number) =>
      process.addressSpace.pageTable.entryOf(address / PAGE_SIZE) >>> PTE_FRAME_SHIFT;
    const { ram } = kernel.machine;
    const isUndefined = (frame: number, byte: number) => findUndefined(ram, frame * PAGE_SIZE + byte, 1) >= 0;
    const content = frameOf(page);
    ram.mayBeUndefined[content] = 1;
    const bit = offset + (size >> 1);
    ram.undefinedBits[content * VALIDITY_BYTES_PER_FRAME + (bit >> 3)] = 1 << (bit & 7);
    const at = process.mmap(0, PAGE_SIZE, PROT_READ, MAP_PRIVATE, refpage_create2(process, page + offset, size));
    process.memory.translate(at, 1, ACCESS_LOAD);
    const made = frameOf(at);
    for (let byte = 0; byte < PAGE_SIZE; byte++) expect(isUndefined(made, byte)).toBe(byte % size === size >> 1);
  },
);

test("a store counts the pages that there are, equal ones that share a frame once", () => {
  const own = new Kernel({ memoryBytes: 2 ** 24 });
  const store = installRefpage(own, { share: true });
  process = own.createProcess();
  page = process.mmap(0, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
  const fds = [make(), make()];
  process.memory.setUint8(page, 1);
  fds.push(make());
  expect(store.count).toBe(2);
  for (const fd of fds) process.close(fd);
  expect(store.count).toBe(0);
});

test("without sharing, which is the default, equal contents have a frame each", () => {
  start({});
  page = process.mmap(0, PAGE_SIZE, READ_WRITE_MTE, MAP_PRIVATE | MAP_ANONYMOUS);
  write(() => 1);
  expect([framesFor(make).frames, framesFor(make).frames]).toEqual([1, 1]);
  kernel.checkInvariants();
});

describe("how a page is copied follows from what is found in it", () => {
  beforeEach(() => {
    start({});
    page = process.mmap(0, PAGE_SIZE, READ_WRITE_MTE, MAP_PRIVATE | MAP_ANONYMOUS);
  });

  /** DC GZVA blocks that the first store to a mapping takes. */
  function gzvaBlocks(fd: number): number {
    const at = mapped(fd);
    const before = kernel.counters.gzvaBlocks;
    process.memory.setUint8(withTag(at, 0) + 0, 1);
    return kernel.counters.gzvaBlocks - before;
  }

  test.each([
    { what: "zeroes under one tag other than 0: by DC GZVA", byte: () => 0, tag: () => 3, isZeroed: true },
    { what: "zeroes without a tag: by the byte", byte: () => 0, tag: () => 0, isZeroed: false },
    {
      what: "zeroes under several tags: the whole page",
      byte: () => 0,
      tag: (granule: number) => 1 + (granule & 1),
      isZeroed: false,
    },
    { what: "one byte under one tag: the whole page", byte: () => 7, tag: () => 3, isZeroed: false },
    {
      what: "zeroes but for the last byte, under one tag",
      byte: (index: number) => (index === 4095 ? 1 : 0),
      tag: () => 3,
      isZeroed: false,
    },
    {
      what: "a first byte, then zeroes, under one tag",
      byte: (index: number) => (index === 0 ? 1 : 0),
      tag: () => 3,
      isZeroed: false,
    },
  ])("$what", ({ byte, tag, isZeroed }) => {
    write(byte, tag);
    expect(gzvaBlocks(make()) > 0).toBe(isZeroed);
    // The second form gets the period, and looks at the first granule only.
    const firstGranule = Array.from({ length: 16 }, (_, index) => byte(index));
    const isZero = firstGranule.every((each) => each === 0) && tag(0) > 0;
    expect(gzvaBlocks(refpage_create2(process, page, 16)) > 0).toBe(isZero);
  });
});
