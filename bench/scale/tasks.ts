// The operations that `bench -- scale` times while one thing grows: reserved bytes, areas, or touched pages.
// Each is a batch with its preparation outside the timed part; series and targets are in ../scale.ts.
import {
  createKernel,
  MADV_DONTNEED,
  MAP_ANONYMOUS,
  MAP_NORESERVE,
  MAP_PRIVATE,
  PAGE_SIZE,
  PROT_READ,
  PROT_WRITE,
  type Process,
} from "../../refpage/index.ts";
import { type BatchTask, keep } from "../harness/sample.ts";

const FLAGS = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

function newProcess(): Process {
  return createKernel().createProcess({ name: "scale" });
}

/** map, one store, unmap: the cost of a mapping that is hardly used. */
export function mapStoreUnmap(lengthBytes: number): BatchTask {
  const process = newProcess();
  const iterations = 500;
  return {
    name: "map + store + unmap",
    batch() {
      for (let i = 0; i < iterations; i++) {
        const base = process.mmap(0, lengthBytes, PROT_READ | PROT_WRITE, FLAGS, -1, 0);
        process.memory.setUint8(base, 1);
        process.munmap(base, lengthBytes);
      }
      return iterations;
    },
  };
}

/** What a process holds when an operation starts. */
export interface Holdings {
  /** Length of one mapping in bytes. */
  readonly reserveBytes: number;
  /** Pages stored to in its middle, neighbours of each other. */
  readonly touchedPages: number;
  /** Further areas of a page each, untouched. */
  readonly areas: number;
}

interface Held {
  readonly process: Process;
  /** The one mapping, where its touched pages start. */
  base: number;
  touched: number;
}

function mapAndTouch(held: Held, { reserveBytes, touchedPages }: Holdings): void {
  const { process } = held;
  held.base = process.mmap(0, reserveBytes, PROT_READ | PROT_WRITE, FLAGS, -1, 0);
  const middle = Math.floor((reserveBytes - touchedPages * PAGE_SIZE) / 2 / PAGE_SIZE) * PAGE_SIZE;
  held.touched = held.base + middle;
  touch(held, touchedPages);
}

function touch({ process, touched }: Held, touchedPages: number): void {
  for (let page = 0; page < touchedPages; page++) process.memory.setUint8(touched + page * PAGE_SIZE, 1);
}

/** Maps `count` areas of a page that cannot merge: every other one is read-only. @returns the address of the lowest. */
function mapAreas(process: Process, count: number): number {
  let lowest = Infinity;
  for (let i = 0; i < count; i++) {
    const protection = i % 2 === 0 ? PROT_READ : PROT_READ | PROT_WRITE;
    lowest = Math.min(lowest, process.mmap(0, PAGE_SIZE, protection, FLAGS, -1, 0));
  }
  return lowest;
}

function hold(holdings: Holdings): Held {
  const held = { process: newProcess(), base: 0, touched: 0 };
  if (holdings.areas > 0) mapAreas(held.process, holdings.areas);
  mapAndTouch(held, holdings);
  return held;
}

/** The five operations that must cost O(touched pages + areas), never O(reserved). */
export function operations(holdings: Holdings): BatchTask[] {
  return [munmapOf(holdings), dontneedOf(holdings), ...forkAndExitOf(holdings), smapsOf(holdings)];
}

function munmapOf(holdings: Holdings): BatchTask {
  const held = hold(holdings);
  return {
    name: "munmap",
    batch() {
      held.process.munmap(held.base, holdings.reserveBytes);
      return 1;
    },
    restore: () => mapAndTouch(held, holdings),
  };
}

function dontneedOf(holdings: Holdings): BatchTask {
  const held = hold(holdings);
  return {
    name: "MADV_DONTNEED",
    batch() {
      held.process.madvise(held.base, holdings.reserveBytes, MADV_DONTNEED);
      return 1;
    },
    restore: () => touch(held, holdings.touchedPages),
  };
}

function forkAndExitOf(holdings: Holdings): BatchTask[] {
  const forking = hold(holdings);
  const ending = hold(holdings);
  let child: Process | undefined;
  const end = ({ process }: Held) => {
    if (child === undefined) return;
    child.exit(0);
    process.wait4(child.pid);
    child = undefined;
  };
  return [
    {
      name: "fork",
      batch() {
        child = forking.process.fork();
        return 1;
      },
      restore: () => end(forking),
    },
    {
      name: "exit",
      prepare() {
        child = ending.process.fork();
      },
      batch() {
        child?.exit(0);
        return 1;
      },
      restore() {
        if (child !== undefined) ending.process.wait4(child.pid);
        child = undefined;
      },
    },
  ];
}

function smapsOf(holdings: Holdings): BatchTask {
  const { process } = hold(holdings);
  return {
    name: "smaps",
    batch() {
      keep(process.procfs("smaps").length);
      return 1;
    },
  };
}

/** Finds of an area by page, at random among `areas`; and with them mmap and munmap of one area more. */
export function areaTasks(areas: number): BatchTask[] {
  const process = newProcess();
  const lowestPage = mapAreas(process, areas) / PAGE_SIZE;
  const { vmas } = process.addressSpace;
  const finds = 20_000;
  const mappings = 200;
  return [
    {
      name: "find of an area",
      batch() {
        let sum = 0;
        for (let i = 0, x = 1; i < finds; i++) {
          x = (Math.imul(x, 1664525) + 1013904223) | 0;
          sum += vmas.lookup(lowestPage + ((x >>> 8) % areas));
        }
        keep(sum);
        return finds;
      },
    },
    {
      name: "map + store + unmap of one more",
      batch() {
        for (let i = 0; i < mappings; i++) {
          const base = process.mmap(0, 4 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
          process.memory.setUint8(base, 1);
          process.munmap(base, 4 * PAGE_SIZE);
        }
        return mappings;
      },
    },
  ];
}
