// Random programs of system calls, loads and stores by several processes against a plain model: after each step the kernel's invariants
// hold and the step had the model's outcome; at the end every process sees the model's bytes and every frame is free again.
import fc from "fast-check";
import { SegmentationFault } from "../../platform/hardware/faults.ts";
import { PAGE_SIZE } from "../../platform/hardware/layout.ts";
import { Machine } from "../../platform/hardware/machine.ts";
import { SystemError } from "../../platform/kernel/abi/errors.ts";
import {
  MADV_DONTNEED,
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
import type { Process } from "../../platform/kernel/process.ts";
import { expect } from "../harness/expect.ts";
import type { Fuzzer } from "../harness/fuzzer.ts";
import type { Journal } from "../harness/journal.ts";
import { PlainObject, PlainProcess } from "./plain-model.ts";

const BASE = 0x10_0000_0000;
const BASE_PAGE = BASE / PAGE_SIZE;
const PAGES = 24;
const FILE_PAGES = 64;
/** Where "away" is, and the heap that brk moves the end of. */
const AWAY_PAGE = BASE_PAGE + 2 * PAGES;
const HEAP_PAGE = INITIAL_BRK / PAGE_SIZE;
const HEAP_PAGES = 5;

/** A process of the kernel beside its model. */
interface Pair {
  readonly process: Process;
  readonly plain: PlainProcess;
  alive: boolean;
}

interface World {
  readonly kernel: Kernel;
  readonly pairs: Pair[];
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
  const pairs = [{ process, plain: new PlainProcess(), alive: true }];
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

/** The errno or si_code that `call` ends with, or what it returns. */
export function outcome<T>(call: () => T): T | string {
  try {
    return call();
  } catch (error) {
    if (error instanceof SystemError || error instanceof SegmentationFault) return error.code;
    throw error;
  }
}

function run(world: World, given: Step): void {
  const pair = world.pairs[given.who % world.pairs.length];
  if (!pair.alive) return;
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
    case "unmap":
      process.munmap(address, length);
      plain.unmap(page, count);
      break;
    case "protect": {
      const want = plain.isWholeRange(page, count) ? undefined : "ENOMEM";
      const access = { read: (given.options & 1) !== 0, write };
      const bits = (access.read ? PROT_READ : 0) | (write ? PROT_WRITE : 0);
      const got = outcome(() => process.mprotect(address, length, bits));
      expect(typeof got === "string" ? got : undefined).toBe(want);
      plain.protect(page, count, access);
      break;
    }
    case "drop": {
      const got = outcome(() => process.madvise(address, length, MADV_DONTNEED));
      expect(typeof got === "string" ? got : undefined).toBe(plain.dontNeed(page, count));
      break;
    }
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
      if (populate !== 0) fork(world, pair);
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
    case "lock":
    case "unlock": {
      const locked = given.op === "lock";
      outcome(() => (locked ? process.mlock(address, length) : process.munlock(address, length)));
      plain.lock(page, count, locked);
      break;
    }
    case "pipe":
      throughPipe(pair, address - 8, (BASE_PAGE + given.other) * PAGE_SIZE - 8);
      break;
    case "fork":
      fork(world, pair);
      break;
    case "exit":
      if (world.pairs.filter(({ alive }) => alive).length > 1) {
        process.exit(0);
        pair.alive = false;
      }
      break;
    case "store": {
      const at = address + given.value * 16;
      expect(outcome(() => process.memory.setUint8(at, given.value))).toBe(plain.store(at, given.value));
      break;
    }
    case "load": {
      const at = address + given.value * 16;
      expect(outcome(() => process.memory.getUint8(at))).toBe(plain.load(at));
      break;
    }
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
  }
}

function fork({ pairs }: World, { process, plain }: Pair): void {
  if (pairs.length < 5) pairs.push({ process: process.fork(), plain: plain.fork(), alive: true });
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

function compareMemory({ pairs }: World): void {
  for (const { process, plain, alive } of pairs) {
    if (!alive) continue;
    for (const page of comparedPages) {
      const want = plain.content(page);
      const got = outcome(() => process.memory.read(page * PAGE_SIZE, PAGE_SIZE));
      if (typeof want === "string") expect(got).toBe(want);
      else expect(Buffer.compare(Buffer.from(got as Uint8Array), Buffer.from(want))).toBe(0);
    }
  }
}

/** Runs a program to its end. @throws at the first difference from the model, a broken invariant, a frame that is left */
export function runPlainProgram(steps: readonly Step[], journal: Journal): number {
  const world = createWorld(journal);
  const { kernel } = world;
  for (const given of steps) {
    run(world, given);
    kernel.checkInvariants();
  }
  compareMemory(world);
  kernel.checkInvariants();
  for (const { process, alive } of world.pairs) if (alive) process.exit(0);
  kernel.checkInvariants();
  expect(kernel.frames.freeFrames, "free frames").toBe(world.freeAtStart);
  return steps.length;
}

export const kernelPrograms: Fuzzer<Step[]> = {
  program: fc.array(step, { minLength: 1, maxLength: 60 }),
  run: runPlainProgram,
  inTests: 40,
};
