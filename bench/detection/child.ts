// The child process of one job: makes a heap of a level, measures, writes the figures as JSON. Nothing for people here.
import { nextRandom } from "../../allocator/common/random.ts";
import { Heap } from "../../allocator/index.ts";
import { hostRssKib } from "../harness/host-rss.ts";
import { keep } from "../harness/sample.ts";
import { memoryLoops } from "../mmu/accesses.ts";
import type { Figures, Job, Level } from "./jobs.ts";

const MIB = 2 ** 20;
const WORKING_SETS = [MIB, 16 * MIB];
const ACCESSES = 2 ** 22;
const PAIRS = 200_000;
const LIVE_CHUNKS = 100_000;
/** Sizes of the replaced chunks: 16 to 1039 bytes. */
const REPLACED_BYTES_MASK = 1023;
const TOUCHED_BYTES = 128 * MIB;

function createHeap(level: Level): Heap {
  return new Heap({ uninitialised: level, seed: 1, memoryBytes: 2 ** 30 });
}

/** A heap that hands freed blocks out again immediately at every level, as only `off` and `page` do by themselves. */
function createReusingHeap(level: Level): Heap {
  const quarantine = { sizeKb: 0, threadLocalSizeKb: 0, maxChunkSize: 0 };
  return new Heap({ uninitialised: level, seed: 1, memoryBytes: 2 ** 28, quarantine });
}

function timed(operations: number, work: () => void): number {
  const start = process.hrtime.bigint();
  work();
  return Number(process.hrtime.bigint() - start) / operations;
}

function measureTimes(level: Level, rounds: number): Record<string, number> {
  const heap = createHeap(level);
  const { memory } = heap.process;
  const base = heap.malloc(Math.max(...WORKING_SETS));
  memory.fill(base, 1, Math.max(...WORKING_SETS));
  const start = Math.ceil(base / 4) * 4;
  const live = liveChunks(heap);
  const reusing = createReusingHeap(level);
  const liveReused = liveChunks(reusing);
  const tasks: Record<string, () => number> = {
    "malloc + free of 64 bytes": () => timed(PAIRS, () => mallocAndFree(heap)),
    "random replacement": () => timed(PAIRS, () => replace(heap, live)),
    "malloc, 64 bytes by words, free": () => timed(PAIRS, () => mallocWriteFree(heap)),
    "the pair, freed blocks reused": () => timed(PAIRS, () => mallocAndFree(reusing)),
    "replacement, freed blocks reused": () => timed(PAIRS, () => replace(reusing, liveReused)),
  };
  for (const bytes of WORKING_SETS) {
    for (const [name, loop] of Object.entries(memoryLoops)) {
      const words = bytes / 4;
      // The last word of the largest set would lie behind the chunk's rounded begin.
      tasks[`${name}, ${bytes / MIB} MiB`] = () => timed(ACCESSES, () => keep(loop(memory, start, words, ACCESSES)));
    }
  }
  const least: Record<string, number> = {};
  for (let round = 0; round < rounds + 1; round++) {
    for (const [name, task] of Object.entries(tasks)) {
      const nanoseconds = task();
      if (round > 0) least[name] = Math.min(least[name] ?? Number.POSITIVE_INFINITY, nanoseconds);
    }
  }
  if (heap.checker.findings.length > 0) throw new Error(heap.checker.toText());
  return least;
}

function liveChunks(heap: Heap): Float64Array {
  const live = new Float64Array(LIVE_CHUNKS);
  for (let index = 0; index < LIVE_CHUNKS; index++)
    live[index] = heap.malloc(16 + ((index * 37) & REPLACED_BYTES_MASK));
  return live;
}

function mallocAndFree(heap: Heap): void {
  let sum = 0;
  for (let i = 0; i < PAIRS; i++) {
    const pointer = heap.malloc(64);
    sum += pointer & 0xffff;
    heap.free(pointer);
  }
  keep(sum);
}

function mallocWriteFree(heap: Heap): void {
  const { memory } = heap.process;
  for (let i = 0; i < PAIRS; i++) {
    const pointer = heap.malloc(64);
    for (let at = 0; at < 64; at += 4) memory.setUint32(pointer + at, i);
    heap.free(pointer);
  }
}

let state = 1;

/** Frees a random live chunk and allocates another of a random size in its place. */
function replace(heap: Heap, live: Float64Array): void {
  for (let i = 0; i < PAIRS; i++) {
    state = nextRandom(state);
    const index = state % live.length;
    heap.free(live[index]);
    live[index] = heap.malloc(16 + (state & REPLACED_BYTES_MASK));
  }
}

function hostRssBytes(): number {
  globalThis.gc?.();
  return hostRssKib() * 1024;
}

/** Touches memory of all kinds: a large chunk written whole, one of which every eighth page is, and small chunks. */
function touch(heap: Heap, bytes: number): void {
  heap.memory.fill(heap.malloc(bytes), 1, bytes);
  const sparse = heap.malloc(bytes);
  for (let at = 0; at < bytes; at += 8 * 4096) heap.memory.setUint8(sparse + at, 1);
  for (let i = 0; i < bytes / 8192; i++) heap.memory.setUint8(heap.malloc(1000), 1);
}

function measureMemory(level: Level): { touchedBytes: number; hostRssBytes: number } {
  // The engine's own memory for compiled code is not what is asked for. These heaps stay alive until the end: memory that the
  // host takes back from them meanwhile would be missing in the figure.
  const warm = Array.from({ length: 4 }, () => createHeap(level));
  for (const one of warm) touch(one, 4 * MIB);
  const heap = createHeap(level);
  const before = hostRssBytes();
  const simulated = heap.process.rssBytes;
  touch(heap, TOUCHED_BYTES);
  const figures = { touchedBytes: heap.process.rssBytes - simulated, hostRssBytes: hostRssBytes() - before };
  keep(warm.reduce((bytes, one) => bytes + one.process.rssBytes, 0));
  return figures;
}

/** The first report of a heap, as of a test that fails: from the load to the finding with its stacks. */
function measureReport(level: Level): number {
  if (level === "off") return 0;
  const times: number[] = [];
  for (let i = 0; i < 20; i++) {
    const heap = new Heap({ uninitialised: level, stacks: true, memoryBytes: 64 * MIB });
    const pointer = heap.malloc(MIB);
    times.push(timed(1, () => keep(heap.memory.getUint8(pointer + 100_000))));
    if (heap.checker.findings.length !== 1) throw new Error(`${level}: nothing was reported`);
    heap[Symbol.dispose]();
  }
  return times.sort((a, b) => a - b)[times.length >> 1];
}

function main({ level, times, rounds }: Job): Figures {
  // Memory first, while the host's own heap is small.
  const memory = measureMemory(level);
  return {
    ...memory,
    nanoseconds: times ? measureTimes(level, rounds) : {},
    reportNanoseconds: measureReport(level),
  };
}

process.stdout.write(JSON.stringify(main(JSON.parse(process.argv[2]) as Job)));
