// The process of one JavaScript or WebAssembly allocator and one workload: runs a round whenever the parent asks, and answers its time.
// The protocol is driver.c's: first the bytes of host memory that the set-up added, then nanoseconds an operation a line.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { MemPool } from "@thi.ng/malloc";
import { Heap } from "../../allocator/index.ts";
import { engine } from "../../platform/host/engine.ts";
import { hostRssKib } from "../harness/host-rss.ts";
import type { Subject } from "./subjects.ts";

/** C's functions, as far as the sequences call them. */
interface Calls {
  malloc(bytes: number): number;
  calloc(bytes: number): number;
  realloc(pointer: number, bytes: number): number;
  free(pointer: number): void;
  /** Bytes of its memory that are in use now, if it can say so better than the host. */
  residentBytes?(): number;
}

const POOL_BYTES = 2 ** 29;
/** After this many calls another of the simulated threads runs. */
const TURN = 64;

function refheapCalls(heap: Heap): Calls {
  return {
    malloc: (bytes) => heap.malloc(bytes),
    calloc: (bytes) => heap.calloc(1, bytes),
    realloc: (pointer, bytes) => heap.realloc(pointer, bytes),
    free: (pointer) => heap.free(pointer),
    residentBytes: () => heap.process.rssBytes,
  };
}

function poolCalls(): Calls {
  const pool = new MemPool({ buf: new ArrayBuffer(POOL_BYTES), align: 16 });
  return {
    malloc: (bytes) => pool.malloc(bytes),
    calloc: (bytes) => pool.calloc(bytes),
    realloc: (pointer, bytes) => pool.realloc(pointer, bytes),
    free: (pointer) => {
      pool.free(pointer);
    },
  };
}

interface ModuleCalls {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly _initialize?: () => void;
  readonly malloc: (bytes: number) => number;
  readonly calloc?: (count: number, bytes: number) => number;
  readonly realloc: (pointer: number, bytes: number) => number;
  readonly free: (pointer: number) => void;
}

function moduleCalls(file: string): Calls {
  const bytes = readFileSync(fileURLToPath(new URL(`../../../bench/malloc/${file}`, import.meta.url)));
  const abort = (): never => {
    throw new Error(`${file} aborted`);
  };
  const instance = new engine.Instance(new engine.Module(bytes), { env: { abort } });
  const given = instance.exports as unknown as ModuleCalls;
  given._initialize?.();
  const { malloc, calloc, realloc, free, memory } = given;
  const zeroed = (size: number): number => {
    const pointer = malloc(size);
    new Uint8Array(memory.buffer, pointer, size).fill(0);
    return pointer;
  };
  return {
    malloc,
    free,
    realloc,
    calloc: calloc === undefined ? zeroed : (size) => calloc(1, size),
    residentBytes: () => memory.buffer.byteLength,
  };
}

/** One sequence of calls. Written out for each way to allocate, so that no call is chosen in the loop. */
function replay(calls: Calls, sequence: Int32Array, slots: Float64Array, from: number, to: number): void {
  for (let at = from; at < to; at += 2) {
    const slot = sequence[at];
    const size = sequence[at + 1];
    if (size > 0) slots[slot] = calls.malloc(size);
    else if (size === 0) calls.free(slots[slot]);
    else slots[slot] = calls.realloc(slots[slot], -size);
  }
}

function numbers(file: string): Int32Array {
  const bytes = readFileSync(file);
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}

const [subjectText, setupFile, roundFile, slotCount, zeroedText, repeatsText, threadsText] = process.argv.slice(2);
const subject: Subject = JSON.parse(subjectText);
const [setup, round] = [numbers(setupFile), numbers(roundFile)];
const slots = new Float64Array(Number(slotCount) + 1);
const repeats = Number(repeatsText);
const heap = subject.family === "refheap" ? new Heap({ seed: 1, ...subject.options }) : null;
const plain =
  heap !== null ? refheapCalls(heap) : subject.module !== undefined ? moduleCalls(subject.module) : poolCalls();
const calls = zeroedText === "1" ? { ...plain, malloc: plain.calloc } : plain;
const threads =
  heap !== null && Number(threadsText) > 1
    ? Array.from({ length: Number(threadsText) }, () => heap.process.createThread())
    : null;

function runRound(): void {
  if (heap === null || threads === null) {
    replay(calls, round, slots, 0, round.length);
    return;
  }
  for (let from = 0, turn = 0; from < round.length; from += 2 * TURN, turn++) {
    const to = Math.min(round.length, from + 2 * TURN);
    heap.withThread(threads[turn % threads.length], () => replay(calls, round, slots, from, to));
  }
}

const resident = plain.residentBytes ?? (() => hostRssKib() * 1024);
const before = resident();
replay(calls, setup, slots, 0, setup.length);
process.stdout.write(`${resident() - before}\n`);
for await (const _line of createInterface({ input: process.stdin })) {
  const start = process.hrtime.bigint();
  for (let repeat = 0; repeat < repeats; repeat++) runRound();
  const elapsed = Number(process.hrtime.bigint() - start);
  process.stdout.write(`${elapsed / (repeats * (round.length / 2))}\n`);
}
