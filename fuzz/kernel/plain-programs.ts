// Random programs of system calls, loads and stores by several processes against a plain model: after each step the kernel's invariants
// hold and the step had the model's outcome; at the end every process sees the model's bytes and every frame is free again.
import fc from "fast-check";
import { PAGE_SIZE } from "../../platform/hardware/layout.ts";
import { Machine } from "../../platform/hardware/machine.ts";
import {
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_POPULATE,
  MAP_PRIVATE,
  MAP_SHARED,
  MREMAP_FIXED,
  MREMAP_MAYMOVE,
  PROT_READ,
  PROT_WRITE,
} from "../../platform/kernel/abi/mman.ts";
import { Kernel } from "../../platform/kernel/kernel.ts";
import { INITIAL_BRK } from "../../platform/kernel/mm/brk.ts";
import { expect } from "../harness/expect.ts";
import type { Fuzzer } from "../harness/fuzzer.ts";
import type { Journal } from "../harness/journal.ts";
import { outcome, type Pair, Pairs } from "./pairs.ts";
import { PlainObject } from "./plain-model.ts";

const BASE = 0x10_0000_0000;
const BASE_PAGE = BASE / PAGE_SIZE;
const PAGES = 24;
const FILE_PAGES = 64;
/** Where "away" is, and the heap that brk moves the end of. */
const AWAY_PAGE = BASE_PAGE + 2 * PAGES;
const HEAP_PAGE = INITIAL_BRK / PAGE_SIZE;
const HEAP_PAGES = 5;
const MOST_PROCESSES = 5;

interface World {
  readonly kernel: Kernel;
  readonly pairs: Pairs;
  readonly file: PlainObject;
  readonly descriptor: number;
  readonly freeAtStart: number;
}

/** One machine for all kernels: page tables that one gives back serve the next. */
const machine = new Machine({ memoryBytes: 16 * 2 ** 20, mte: false });

function createWorld(journal: Journal): World {
  journal.note('import { Kernel } from "refheap/kernel";');
  const kernel = journal.make("kernel", "new Kernel({ memoryBytes: 2 ** 24 })", () => new Kernel(machine));
  const freeAtStart = kernel.frames.freeFrames;
  const process = kernel.createProcess({ name: "program" });
  const descriptor = process.memfd_create("file");
  process.ftruncate(descriptor, FILE_PAGES * PAGE_SIZE);
  const pairs = new Pairs(process, MOST_PROCESSES);
  return { kernel, pairs, file: new PlainObject(), descriptor, freeAtStart };
}

interface Step {
  readonly op:
    | "anonymous"
    | "file"
    | "unmap"
    | "protect"
    | "drop"
    | "move"
    | "away"
    | "grow"
    | "heap"
    | "lock"
    | "unlock"
    | "pipe"
    | "fork"
    | "exit"
    | "store"
    | "load"
    | "fill"
    | "copy";
  readonly who: number;
  readonly page: number;
  readonly count: number;
  readonly other: number;
  readonly value: number;
  readonly options: number;
}

export const step: fc.Arbitrary<Step> = fc.record({
  op: fc.constantFrom(
    ...(["anonymous", "anonymous", "file", "unmap", "protect", "drop", "move", "away", "away"] as const),
    ...(["grow", "heap", "lock", "unlock", "pipe", "fork", "fork", "exit"] as const),
    ...(["store", "store", "store", "load", "load", "fill", "fill", "copy"] as const),
  ),
  who: fc.nat(5),
  page: fc.nat(PAGES - 1),
  count: fc.integer({ min: 1, max: 6 }),
  other: fc.nat(PAGES - 1),
  value: fc.nat(255),
  options: fc.nat(7),
});

function run(world: World, given: Step): void {
  const pair = world.pairs.living(given.who);
  if (pair === null) return;
  const { process, plain } = pair;
  const count = Math.min(given.count, PAGES - given.page);
  const page = BASE_PAGE + given.page;
  const address = page * PAGE_SIZE;
  const length = count * PAGE_SIZE;
  const shared = (given.options & 1) !== 0;
  const write = (given.options & 2) !== 0;
  const populate = (given.options & 4) !== 0 ? MAP_POPULATE : 0;
  const prot = write ? PROT_READ | PROT_WRITE : PROT_READ;
  const flags = (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_FIXED | populate;
  switch (given.op) {
    case "anonymous":
      expect(process.mmap(address, length, prot, flags | MAP_ANONYMOUS)).toBe(address);
      plain.map(page, count, { write, shared }, shared ? new PlainObject() : null, 0);
      break;
    case "file":
      expect(process.mmap(address, length, prot, flags, world.descriptor, given.other * PAGE_SIZE)).toBe(address);
      plain.map(page, count, { write, shared }, world.file, given.other);
      break;
    case "move": {
      const to = BASE_PAGE + Math.min(given.other, PAGES - count);
      const overlap = to < page + count && page < to + count;
      if (!overlap && !plain.isWholeRange(page, count)) break;
      const move = () => process.mremap(address, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, to * PAGE_SIZE);
      expect(outcome(move)).toBe(overlap ? "EINVAL" : to * PAGE_SIZE);
      if (!overlap) plain.move(page, count, to);
      break;
    }
    case "away": {
      // Away, something new all around its place, and back into that; often with memory of its own that has one page stored to.
      if (!shared && write) {
        process.mmap(address, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS);
        plain.map(page, count, { write, shared: false }, null, 0);
        process.memory.setUint8(address, given.value);
        plain.store(address, given.value);
      }
      if (!plain.isWholeRange(page, count)) break;
      process.mremap(address, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, AWAY_PAGE * PAGE_SIZE);
      plain.move(page, count, AWAY_PAGE);
      const from = Math.max(page - (given.other % 3), BASE_PAGE);
      const around = Math.min(page + count + (given.value % 3), BASE_PAGE + PAGES) - from;
      const access = given.value < 64 ? { write: false } : { write: true };
      const bits = access.write ? PROT_READ | PROT_WRITE : PROT_READ;
      process.mmap(from * PAGE_SIZE, around * PAGE_SIZE, bits, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS);
      plain.map(from, around, { ...access, shared: false }, null, 0);
      process.mremap(AWAY_PAGE * PAGE_SIZE, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, address);
      plain.move(AWAY_PAGE, count, page);
      if (populate !== 0) world.pairs.fork(pair);
      break;
    }
    case "grow": {
      // Where the kernel says that it could: at the end of an area, with room behind it.
      const last = page + count - 1;
      if (!plain.isWholeRange(page, count) || !plain.isAnonymous(last)) break;
      const room = Math.min(1 + (given.other % 3), BASE_PAGE + PAGES - last - 1);
      if (room === 0) break;
      const got = outcome(() => process.mremap(address, length, length + room * PAGE_SIZE, 0));
      if (typeof got === "string") break;
      for (let i = 1; i <= room; i++) expect(plain.isMapped(last + i)).toBe(false);
      plain.extend(last, room);
      break;
    }
    case "heap": {
      const pages = given.other % HEAP_PAGES;
      expect(process.brk((HEAP_PAGE + pages) * PAGE_SIZE)).toBe((HEAP_PAGE + pages) * PAGE_SIZE);
      plain.setHeap(HEAP_PAGE, pages);
      const at = HEAP_PAGE * PAGE_SIZE + given.value * 80;
      expect(outcome(() => process.memory.setUint8(at, given.value))).toBe(plain.store(at, given.value));
      break;
    }
    case "pipe":
      throughPipe(pair, address - 8, (BASE_PAGE + given.other) * PAGE_SIZE - 8);
      break;
    case "fill":
      expect(outcome(() => process.memory.fill(address + 7, given.value, length - 7))).toBe(
        eachByte(length - 7, (i) => plain.store(address + 7 + i, given.value)),
      );
      break;
    case "copy": {
      const from = (BASE_PAGE + given.other) * PAGE_SIZE + 100;
      for (let i = 0; i < 64; i++) {
        const byte = plain.load(from + i);
        const want = typeof byte === "string" ? byte : plain.store(address + i, byte);
        const got = outcome(() => process.memory.setUint8(address + i, process.memory.getUint8(from + i)));
        expect(got).toBe(want);
        if (want !== undefined) break;
      }
      break;
    }
    default:
      world.pairs.run(pair, { op: given.op, page, count, value: given.value, access: { read: shared, write } });
  }
}

/** 16 bytes over a page's border are written to a pipe, and read from it over another: all that fits, or none of them. */
function throughPipe({ process, plain }: Pair, from: number, to: number): void {
  const [reader, writer] = process.pipe2();
  const bytes: number[] = [];
  const unreadable = eachByte(16, (i) => {
    const byte = plain.load(from + i);
    if (typeof byte === "string") return byte;
    bytes.push(byte);
    return undefined;
  });
  expect(outcome(() => process.write(writer, from, 16))).toBe(unreadable === undefined ? 16 : "EFAULT");
  if (unreadable === undefined) {
    const refusal = eachByte(16, (i) => plain.store(to + i, bytes[i]));
    expect(outcome(() => process.read(reader, to, 16))).toBe(refusal === undefined ? 16 : "EFAULT");
  }
  process.close(reader);
  process.close(writer);
}

/** The first refusal of a byte in order, or undefined. */
function eachByte(length: number, store: (index: number) => string | undefined): string | undefined {
  for (let i = 0; i < length; i++) {
    const refusal = store(i);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

const comparedPages = [
  ...Array.from({ length: PAGES }, (_, index) => BASE_PAGE + index),
  ...Array.from({ length: HEAP_PAGES }, (_, index) => HEAP_PAGE + index),
];

/** Runs a program to its end. @throws at the first difference from the model, a broken invariant, a frame that is left */
export function runPlainProgram(steps: readonly Step[], journal: Journal): number {
  const world = createWorld(journal);
  const { kernel } = world;
  for (const given of steps) {
    run(world, given);
    kernel.checkInvariants();
  }
  world.pairs.compare(comparedPages);
  kernel.checkInvariants();
  world.pairs.end();
  kernel.checkInvariants();
  expect(kernel.frames.freeFrames, "free frames").toBe(world.freeAtStart);
  return steps.length;
}

export const kernelPrograms: Fuzzer<Step[]> = {
  program: fc.array(step, { minLength: 1, maxLength: 60 }),
  run: runPlainProgram,
  inTests: 40,
};
