// Random programs on mappings of reference pages against a plain model of R4, R5, R9 and R10: contents, faults, residency.
// The model knows pages and bytes; it knows nothing of page tables, areas or frames.
import fc from "fast-check";
import { expect, test } from "vitest";
import { createKernel, Machine, type Process, refpage_create2 } from "../../refpage/index.ts";
import "../seed.ts";

const PAGE = 4096;
const BASE = 2 ** 32;
const PAGES = 8;
const MAP_PRIVATE_FIXED = 0x12;
const MAP_ANONYMOUS = 0x20;
const MADV_DONTNEED = 4;
/** Bytes of the patterns that descriptors hold; the last is one that private stores also use. */
const patterns = [[0], [0xaa], [1, 2], [9, 8, 7, 6], [1, 2, 3, 4, 5, 6, 7, 8]];

/** What one page of the model's address space is: `pattern` −1 is anonymous memory. */
interface ModelPage {
  readonly pattern: number;
  /** Bytes stored in the private page, by offset; undefined while there is none. */
  readonly copy: ReadonlyMap<number, number> | undefined;
  /** Whether a load needs no fault. */
  readonly present: boolean;
}

type Space = (ModelPage | undefined)[];

const bytesAt = ({ pattern, copy }: ModelPage, offset: number): number => {
  const clean = pattern < 0 ? [0] : (patterns[pattern] as number[]);
  return copy?.get(offset) ?? (clean[offset % clean.length] as number);
};

/** Stores, and says whether that costs a fault. */
function storeInModel(space: Space, at: number, offset: number, value: number): boolean {
  const page = space[at] as ModelPage;
  space[at] = { ...page, copy: new Map([...(page.copy ?? []), [offset, value]]), present: true };
  return page.copy === undefined;
}

/** One machine for all runs: page tables that one run gives back serve the next. */
const machine = new Machine({ memoryBytes: 2 ** 24, mte: false });

const place = fc.nat(PAGES - 1);
const length = fc.integer({ min: 1, max: 3 });
const offset = fc.nat(PAGE - 1);
const step = fc.oneof(
  fc.record({ op: fc.constant("map" as const), at: place, length, pattern: fc.integer({ min: -1, max: 4 }) }),
  fc.record({ op: fc.constant("store" as const), at: place, offset, value: fc.nat(255) }),
  fc.record({ op: fc.constant("load" as const), at: place, offset }),
  fc.record({ op: fc.constant("dontneed" as const), at: place, length }),
  fc.record({ op: fc.constant("munmap" as const), at: place, length }),
  fc.record({
    op: fc.constant("copy" as const),
    at: place,
    to: place,
    offset,
    length: fc.integer({ min: 1, max: 16 }),
  }),
);

for (const initialisation of ["nozero", "double", "plumbed"] as const) {
  test(`any program sees reference contents, its own stores and the model's faults and residency (${initialisation})`, () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => {
        const kernel = createKernel(machine, { initialisation });
        const process = kernel.createProcess({ name: "random" });
        const scratch = process.mmap(0, PAGE, 3, MAP_PRIVATE_FIXED - 0x10 + MAP_ANONYMOUS);
        const descriptors = patterns.map((pattern) => {
          process.memory.write(scratch, Uint8Array.from(pattern));
          return refpage_create2(process, scratch, pattern.length);
        });
        process.munmap(scratch, PAGE);
        const space: Space = new Array(PAGES).fill(undefined);
        for (const one of steps) takeStep(process, descriptors, space, one);
        compareAll(process, space);
        process.munmap(BASE, PAGES * PAGE);
        for (const descriptor of descriptors) process.close(descriptor);
        kernel.checkInvariants();
        expect(process.rssBytes).toBe(0);
        process.exit(0);
      }),
      { numRuns: 60 },
    );
  });
}

type RandomStep = typeof step extends fc.Arbitrary<infer T> ? T : never;

function takeStep(process: Process, descriptors: readonly number[], space: Space, one: RandomStep): void {
  const end = "length" in one && one.op !== "copy" ? Math.min(PAGES, one.at + one.length) : one.at + 1;
  const address = BASE + one.at * PAGE;
  const bytes = (end - one.at) * PAGE;
  if (one.op === "map") {
    const fd = one.pattern < 0 ? -1 : (descriptors[one.pattern] as number);
    process.mmap(address, bytes, 3, MAP_PRIVATE_FIXED + (one.pattern < 0 ? MAP_ANONYMOUS : 0), fd, 0);
    space.fill({ pattern: one.pattern, copy: undefined, present: false }, one.at, end);
  } else if (one.op === "munmap") {
    process.munmap(address, bytes);
    space.fill(undefined, one.at, end);
  } else if (one.op === "dontneed") {
    if (space.slice(one.at, end).includes(undefined)) return;
    process.madvise(address, bytes, MADV_DONTNEED);
    for (let at = one.at; at < end; at++) space[at] = { ...(space[at] as ModelPage), copy: undefined, present: false };
  } else if (one.op === "store") {
    expectFaults(
      process,
      space[one.at] === undefined ? undefined : storeInModel(space, one.at, one.offset, one.value),
      () => process.memory.setUint8(address + one.offset, one.value),
    );
  } else if (one.op === "load") {
    const page = space[one.at];
    if (page !== undefined) space[one.at] = { ...page, present: true };
    expectFaults(process, page === undefined ? undefined : !page.present, () => {
      expect(process.memory.getUint8(address + one.offset)).toBe(bytesAt(page as ModelPage, one.offset));
    });
  } else {
    copyBytes(process, space, one);
  }
}

/** A load and a store a byte, as a program copies. */
function copyBytes(
  process: Process,
  space: Space,
  one: { at: number; to: number; offset: number; length: number },
): void {
  if (space[one.at] === undefined || space[one.to] === undefined) return;
  for (let at = one.offset; at < Math.min(PAGE, one.offset + one.length); at++) {
    const value = bytesAt(space[one.at] as ModelPage, at);
    space[one.at] = { ...(space[one.at] as ModelPage), present: true };
    storeInModel(space, one.to, PAGE - 1 - at, value);
    process.memory.setUint8(BASE + one.to * PAGE + PAGE - 1 - at, process.memory.getUint8(BASE + one.at * PAGE + at));
  }
}

/** `fault`: whether the access costs one; undefined where nothing is mapped. */
function expectFaults(process: Process, fault: boolean | undefined, access: () => void): void {
  if (fault === undefined) {
    expect(access).toThrow(expect.objectContaining({ code: "SEGV_MAPERR" }));
    return;
  }
  const before = process.minorFaults;
  access();
  expect(process.minorFaults - before).toBe(fault ? 1 : 0);
}

function compareAll(process: Process, space: Space): void {
  expect(process.rssBytes / PAGE).toBe(space.filter((page) => page?.copy !== undefined).length);
  for (const [at, page] of space.entries()) {
    if (page === undefined) continue;
    const address = BASE + at * PAGE;
    expect(process.mincore(address, PAGE)[0]).toBe(page.present ? 1 : 0);
    const expected = Uint8Array.from({ length: PAGE }, (_, index) => bytesAt(page, index));
    const child = process.fork();
    child.memory.setUint8(address, 0x77);
    expect(Buffer.compare(process.memory.read(address, PAGE), expected)).toBe(0);
    expected[0] = 0x77;
    expect(Buffer.compare(child.memory.read(address, PAGE), expected)).toBe(0);
    child.exit(0);
  }
}
