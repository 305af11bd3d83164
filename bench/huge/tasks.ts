// What `bench -- huge` times: faults, fills, accesses and system calls on memory of huge pages and on the same memory of small ones.
// How they are paired and printed is huge.ts.
import {
  createKernel,
  MADV_DONTNEED,
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  PAGE_SIZE,
  PROT_READ,
  PROT_WRITE,
  type Process,
} from "../../refpage/index.ts";
import { type BatchTask, keep } from "../harness/sample.ts";

export const HUGE_BYTES = 2 ** 21;
const MIB = 2 ** 20;

export type PageSize = "huge" | "small";

/** A process whose anonymous memory is huge, or not, with RAM for `bytes` of it and a little more. */
function createProcess(size: PageSize, bytes: number): Process {
  const hugePages = { enabled: size === "huge" ? "always" : "never" } as const;
  return createKernel({ memoryBytes: bytes + 64 * MIB, mte: false }, { hugePages }).createProcess();
}

function map(process: Process, bytes: number): number {
  return process.mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/** One store in every `step` bytes. */
function touch(process: Process, base: number, bytes: number, step: number): void {
  const { memory } = process;
  for (let offset = 0; offset < bytes; offset += step) memory.setUint8(base + offset, 1);
}

/** The fill that a huge fault does, in a plain array. */
export function plainFill(bytes: number): BatchTask {
  const array = new Uint8Array(bytes);
  let value = 0;
  return {
    name: "2 MiB fill of a Uint8Array",
    batch() {
      value++;
      for (let from = 0; from < bytes; from += HUGE_BYTES) array.fill(value, from, from + HUGE_BYTES);
      return bytes / HUGE_BYTES;
    },
  };
}

/** The first store to each block. */
export function hugeFault(bytes: number): BatchTask {
  const process = createProcess("huge", bytes);
  let base = 0;
  return {
    name: "huge fault",
    prepare() {
      base = map(process, bytes);
    },
    batch() {
      touch(process, base, bytes, HUGE_BYTES);
      return bytes / HUGE_BYTES;
    },
    restore: () => process.munmap(base, bytes),
  };
}

/** Map, one store a block, unmap: a batch is one round. */
export function roundTrip(size: PageSize, bytes: number): BatchTask {
  const process = createProcess(size, bytes);
  return {
    name: `map, store, unmap: ${size}`,
    batch() {
      const base = map(process, bytes);
      touch(process, base, bytes, HUGE_BYTES);
      process.munmap(base, bytes);
      return 1;
    },
  };
}

const ACCESSES = 2 ** 16;
/** Odd, so that it meets every page before it comes back. */
const STRIDE = 64 * PAGE_SIZE + 4100;

/** Loads, or stores, of 4 bytes over resident memory, from page to page. */
export function accesses(size: PageSize, kind: "load" | "store", bytes: number): BatchTask {
  const process = createProcess(size, bytes);
  const base = map(process, bytes);
  touch(process, base, bytes, PAGE_SIZE);
  const { memory } = process;
  return {
    name: `${kind}: ${size}`,
    batch() {
      let offset = 0;
      let sum = 0;
      for (let i = 0; i < ACCESSES; i++) {
        if (kind === "load") sum += memory.getUint32(base + offset);
        else memory.setUint32(base + offset, i);
        offset = (offset + STRIDE) % (bytes - 4);
        offset -= offset % 4;
      }
      keep(sum);
      return ACCESSES;
    },
  };
}

/** The call on memory that was touched page by page; an operation is a page of the memory's own size. */
export function call(size: PageSize, name: "fork" | "munmap" | "dontneed", pages: number): BatchTask {
  const bytes = pages * (size === "huge" ? HUGE_BYTES : PAGE_SIZE);
  const process = createProcess(size, bytes);
  let base = 0;
  let child: Process | null = null;
  return {
    name: `${name}: ${size}, ${pages}`,
    prepare() {
      base = map(process, bytes);
      touch(process, base, bytes, size === "huge" ? HUGE_BYTES : PAGE_SIZE);
    },
    batch() {
      if (name === "fork") child = process.fork();
      else if (name === "munmap") process.munmap(base, bytes);
      else process.madvise(base, bytes, MADV_DONTNEED);
      return pages;
    },
    restore() {
      child?.exit(0);
      child = null;
      if (name !== "munmap") process.munmap(base, bytes);
    },
  };
}
