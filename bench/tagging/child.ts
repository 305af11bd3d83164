// The child process of one job: makes a machine and a heap, measures, writes the figures as JSON. Nothing for people here.
import { nextRandom } from "../../allocator/common/random.ts";
import { Heap, type Tagging } from "../../allocator/index.ts";
import { PAGE_SIZE, TAG_UNIT } from "../../platform/hardware/layout.ts";
import { dcGva, stg } from "../../platform/hardware/mte.ts";
import { createKernel, PROT_MTE, PROT_READ, PROT_WRITE } from "../../refpage/index.ts";
import { keep } from "../harness/sample.ts";
import type { AccessJob, Figures, Job, LargeJob, WorkloadJob } from "./jobs.ts";

const MACHINE_BYTES = 256 * 2 ** 20;
const LARGE_MACHINE_BYTES = 2 ** 31;
const LIVE = 2_000;
const ROUNDS = 7;
const WORDS = 4;

function nanoseconds(): number {
  return Number(process.hrtime.bigint());
}

/** CPU time of this process: in a loop of many operations it leaves out what else runs on the machine. */
function cpuNanoseconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
}

function measureWorkload({ mode, operations }: WorkloadJob): Figures {
  const kernel = createKernel({ memoryBytes: MACHINE_BYTES, mte: mode !== "absent" });
  const tagging: Tagging = mode === "absent" || mode === "off" ? "off" : mode === "stopped" ? "sync" : mode;
  const heap = new Heap({ kernel, seed: 1, tagging });
  if (mode === "stopped") heap.setTagging("off");
  const live = new Float64Array(LIVE);
  for (let index = 0; index < LIVE; index++) live[index] = heap.malloc(sizeOf(index * 37));
  const samples: number[] = [];
  replace(heap, live, operations, 1);
  for (let round = 0; round < ROUNDS; round++) {
    const start = cpuNanoseconds();
    replace(heap, live, operations, round + 2);
    samples.push((cpuNanoseconds() - start) / operations);
  }
  return { nanoseconds: { operation: samples }, rssBytes: heap.process.rssBytes };
}

/** 16 to 1023 bytes, small ones likelier. */
function sizeOf(random: number): number {
  return 16 + ((random & 0x3f) << ((random >>> 6) & 3)) + ((random >>> 8) & 0xff);
}

function replace(heap: Heap, live: Float64Array, operations: number, seed: number): void {
  const { memory } = heap;
  let x = seed | 1;
  let sum = 0;
  for (let operation = 0; operation < operations; operation++) {
    x = nextRandom(x);
    const slot = x % LIVE;
    heap.free(live[slot]);
    const size = sizeOf(x >>> 3);
    const pointer = heap.malloc(size);
    live[slot] = pointer;
    memory.fill(pointer, operation, size);
    for (let word = 0; word < WORDS; word++) memory.setUint32(pointer + word * 4, operation);
    for (let word = 0; word < WORDS; word++) sum += memory.getUint32(pointer + word * 4);
    sum += memory.getUint32(pointer + (size & ~15) - 16 + 12);
  }
  keep(sum);
}

const ACCESS_BYTES = 4 * 2 ** 20;

function measureAccess({ mode, operations }: AccessJob): Figures {
  const heap = new Heap({ kernel: createKernel({ memoryBytes: MACHINE_BYTES }), seed: 1, tagging: mode });
  const chunk = heap.malloc(ACCESS_BYTES);
  heap.memory.fill(chunk, 1, ACCESS_BYTES);
  const load: number[] = [];
  const store: number[] = [];
  for (let round = -2; round < ROUNDS; round++) {
    const start = cpuNanoseconds();
    loadAtRandom(heap, chunk, operations);
    const middle = cpuNanoseconds();
    storeAtRandom(heap, chunk, operations);
    const end = cpuNanoseconds();
    if (round < 0) continue;
    load.push((middle - start) / operations);
    store.push((end - middle) / operations);
  }
  return { nanoseconds: { load, store }, rssBytes: 0 };
}

function loadAtRandom({ memory }: Heap, chunk: number, operations: number): void {
  let x = 1;
  let sum = 0;
  for (let operation = 0; operation < operations; operation++) {
    x = (Math.imul(x, 1103515245) + 12345) & 0x7fffffff;
    sum = (sum + memory.getUint32(chunk + (x & (ACCESS_BYTES - 4)))) | 0;
  }
  keep(sum);
}

function storeAtRandom({ memory }: Heap, chunk: number, operations: number): void {
  let x = 1;
  for (let operation = 0; operation < operations; operation++) {
    x = (Math.imul(x, 1103515245) + 12345) & 0x7fffffff;
    memory.setUint32(chunk + (x & (ACCESS_BYTES - 4)), operation);
  }
}

/** Before a pass over all bytes, whose loop warms up by itself. */
const WARM_UP_BYTES = 2 ** 20;
/** Enough for the engine's last compiler to have seen map, fault and unmap of either kind of heap. */
const WARM_UP_ROUNDS = 20_000;

function measureLarge({ mode, chunkBytes, rounds }: LargeJob): Figures {
  const kernel = createKernel({ memoryBytes: LARGE_MACHINE_BYTES });
  const heap = new Heap({ kernel, seed: 1, tagging: mode === "refpage" ? "sync" : "off" });
  const warmUpBytes = mode === "stg" || mode === "gva" ? WARM_UP_BYTES : chunkBytes;
  for (let round = 0; round < WARM_UP_ROUNDS; round++) heap.free(heap.malloc(warmUpBytes));
  const base = heap.process.rssBytes;
  const malloc: number[] = [];
  let rssBytes = 0;
  for (let round = 0; round < rounds; round++) {
    const start = nanoseconds();
    const pointer = heap.malloc(chunkBytes);
    if (mode === "stg" || mode === "gva") tagWhole(heap, pointer, chunkBytes, mode);
    malloc.push(nanoseconds() - start);
    rssBytes = heap.process.rssBytes - base;
    heap.free(pointer);
  }
  return { nanoseconds: { malloc }, rssBytes };
}

/** What a program must do without reference pages: PROT_MTE on the mapping, then a tag store for each granule or block. */
function tagWhole(heap: Heap, pointer: number, bytes: number, mode: "stg" | "gva"): void {
  const { process: simulated } = heap;
  const { memory } = simulated;
  const begin = pointer - (pointer % PAGE_SIZE);
  const end = Math.ceil((pointer + bytes) / PAGE_SIZE) * PAGE_SIZE;
  simulated.mprotect(begin, end - begin, PROT_READ | PROT_WRITE | PROT_MTE);
  const tagged = begin + 5 * TAG_UNIT;
  const length = end - begin;
  if (mode === "stg") for (let at = 0; at < length; at += 16) stg(memory, tagged + at, tagged);
  else {
    const block = memory.ram.gzvaBlockBytes;
    for (let at = 0; at < length; at += block) dcGva(memory, tagged + at);
  }
}

function run(job: Job): Figures {
  if (job.what === "workload") return measureWorkload(job);
  return job.what === "access" ? measureAccess(job) : measureLarge(job);
}

process.stdout.write(JSON.stringify(run(JSON.parse(process.argv[2]) as Job)));
