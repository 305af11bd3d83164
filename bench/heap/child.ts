// The child process of one job: makes a machine and a heap, measures, writes the figures as JSON. Nothing for people here.
import { nextRandom } from "../../allocator/common/random.ts";
import { Heap } from "../../allocator/index.ts";
import { createKernel, type Process } from "../../refpage/index.ts";
import { hostRssKib } from "../harness/host-rss.ts";
import { keep } from "../harness/sample.ts";
import type {
  FootprintFigures,
  FootprintJob,
  Job,
  LargeFigures,
  LargeJob,
  Mode,
  SmallFigures,
  SmallJob,
} from "./jobs.ts";

const MACHINE_BYTES = 4 * 2 ** 30;
const PAGE = 4096;

interface Subject {
  readonly heap: Heap;
  readonly process: Process;
}

function createSubject(mode: Mode): Subject {
  const kernel = createKernel({ memoryBytes: MACHINE_BYTES });
  const process = kernel.createProcess({ name: "heap" });
  const heap = new Heap({
    process,
    seed: 1,
    fill: mode === "none" ? "none" : "pattern",
    largeFill: mode === "none" ? "scudo" : mode,
  });
  return { heap, process };
}

function nanoseconds(): number {
  return Number(process.hrtime.bigint());
}

function hostRssBytes(): number {
  globalThis.gc?.();
  return hostRssKib() * 1024;
}

/** Larger than the secondary cache takes, so that each is mapped and unmapped; small, so that the host commits little. */
const WARM_UP_BYTES = 2 ** 20;
const WARM_UP_ROUNDS = 2000;
/** A fill of a whole chunk is one loop, which needs no warming up. */
const WARM_UP_FILLS = 20;

/** Lets the engine compile the paths, and a refpage heap make its file descriptor. */
function warmUp(heap: Heap, mode: Mode): void {
  const rounds = mode === "memset" ? WARM_UP_FILLS : WARM_UP_ROUNDS;
  for (let round = 0; round < rounds; round++) heap.free(heap.malloc(WARM_UP_BYTES));
}

function measureLarge({ mode, chunkBytes, rounds }: LargeJob): LargeFigures {
  const { heap, process: simulated } = createSubject(mode);
  warmUp(heap, mode);
  const base = simulated.rssBytes;
  const hostBase = hostRssBytes();
  const mallocNanoseconds: number[] = [];
  const freeNanoseconds: number[] = [];
  let simulatedRssBytes = 0;
  let hostRss = 0;
  for (let round = 0; round < rounds; round++) {
    const start = nanoseconds();
    const pointer = heap.malloc(chunkBytes);
    const allocated = nanoseconds();
    if (pointer === 0) throw new Error(`malloc(${chunkBytes}) gave null`);
    if (round === 0) {
      simulatedRssBytes = simulated.rssBytes - base;
      hostRss = hostRssBytes() - hostBase;
    }
    const beforeFree = nanoseconds();
    heap.free(pointer);
    freeNanoseconds.push(nanoseconds() - beforeFree);
    mallocNanoseconds.push(allocated - start);
  }
  return { mallocNanoseconds, freeNanoseconds, simulatedRssBytes, hostRssBytes: hostRss };
}

function measureFootprint({ mode, chunkBytes, totalBytes, touchedPercent }: FootprintJob): FootprintFigures {
  const { heap, process: simulated } = createSubject(mode);
  warmUp(heap, mode);
  const count = totalBytes / chunkBytes;
  const pointers = new Float64Array(count);
  const pages = chunkBytes / PAGE;
  const touched = touchedPercent === 0 ? 0 : Math.max(1, Math.round((pages * touchedPercent) / 100));
  const base = simulated.rssBytes;
  const hostBase = hostRssBytes();
  const start = nanoseconds();
  for (let index = 0; index < count; index++) pointers[index] = heap.malloc(chunkBytes);
  const allocated = nanoseconds();
  for (let index = 0; index < count; index++) touch(heap, pointers[index], pages, touched);
  const end = nanoseconds();
  return {
    mallocNanoseconds: allocated - start,
    touchNanoseconds: end - allocated,
    simulatedRssBytes: simulated.rssBytes - base,
    hostRssBytes: hostRssBytes() - hostBase,
  };
}

/** One store on `touched` of the pages, spread evenly. */
function touch({ memory }: Heap, pointer: number, pages: number, touched: number): void {
  for (let index = 0; index < touched; index++)
    memory.setUint8(pointer + Math.floor((index * pages) / touched) * PAGE, 1);
}

const SMALL_BYTES = 64;
/** Sizes of the replaced chunks: 16 to 1008 bytes. */
const REPLACED_BYTES_MASK = 1023;

function measureSmall({ rounds, operations, liveChunks }: SmallJob): SmallFigures {
  const { heap } = createSubject("none");
  const live = new Float64Array(liveChunks);
  for (let index = 0; index < liveChunks; index++) live[index] = heap.malloc(16 + ((index * 37) & REPLACED_BYTES_MASK));
  mallocAndFree(heap, operations);
  replace(heap, live, operations, 1);
  const mallocFree: number[] = [];
  const replacement: number[] = [];
  const before = usedHeapBytes();
  for (let round = 0; round < rounds; round++) {
    const start = nanoseconds();
    mallocAndFree(heap, operations);
    const middle = nanoseconds();
    replace(heap, live, operations, round + 2);
    const end = nanoseconds();
    mallocFree.push((middle - start) / operations);
    replacement.push((end - middle) / operations);
  }
  const growth = usedHeapBytes() - before;
  return { mallocFree, replacement, growthBytesPerOperation: growth / (rounds * operations * 2) };
}

function mallocAndFree(heap: Heap, operations: number): void {
  let sum = 0;
  for (let operation = 0; operation < operations; operation++) {
    const pointer = heap.malloc(SMALL_BYTES);
    sum += pointer & 0xffff;
    heap.free(pointer);
  }
  keep(sum);
}

/** Frees a random live chunk and allocates another of a random size in its place. */
function replace(heap: Heap, live: Float64Array, operations: number, seed: number): void {
  let state = seed;
  for (let operation = 0; operation < operations; operation++) {
    state = nextRandom(state);
    const index = state % live.length;
    heap.free(live[index]);
    live[index] = heap.malloc(16 + (state & REPLACED_BYTES_MASK));
  }
}

function usedHeapBytes(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

function measure(job: Job): object {
  if (job.what === "large") return measureLarge(job);
  if (job.what === "footprint") return measureFootprint(job);
  return measureSmall(job);
}

process.stdout.write(JSON.stringify(measure(JSON.parse(process.argv[2]))));
