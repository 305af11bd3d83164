// A plain model of heaps, a list of live chunks each, and random programs over it: threads, forks, two heaps in one process.
// Which options the programs run with is decided in drawn-options.ts.
import fc from "fast-check";
import { Heap } from "../../allocator/heap/heap.ts";
import type { HeapOptions } from "../../allocator/options/options.ts";
import type { Kernel } from "../../platform/kernel/kernel.ts";
import type { Process } from "../../platform/kernel/process.ts";
import type { Thread } from "../../platform/kernel/thread.ts";
import { expect } from "../harness/expect.ts";
import { type Journal, silent } from "../harness/journal.ts";

/** A live chunk: its bytes are `seed`, `seed + 1`, … at the sampled places. */
interface Live {
  readonly pointer: number;
  readonly size: number;
  readonly seed: number;
  /** From calloc, and not moved since: its block was zeroed to the end, and growth in place fills nothing (S14.5). */
  readonly isZeroed: boolean;
}

/** Every byte of small chunks; of large ones the ends and a few in between. */
function sampled(size: number): number[] {
  if (size <= 512) return Array.from({ length: size }, (_, index) => index);
  const step = Math.max(1, Math.floor(size / 16));
  return [0, 1, 15, 16, 63, ...Array.from({ length: 16 }, (_, index) => index * step), size - 17, size - 16, size - 1];
}

/** The first bytes behind an old end. */
function gained(from: number, size: number): number[] {
  return from === 0 ? [] : Array.from({ length: Math.min(64, Math.max(0, size - from)) }, (_, index) => from + index);
}

/** What a heap should hold. */
export class Model {
  readonly live: Live[];
  readonly heap: Heap;
  readonly options: HeapOptions;
  /** The other heap's chunks in the same process. */
  neighbour: Model | null = null;
  private nextSeed = 1;

  constructor(heap: Heap, options: HeapOptions, live: readonly Live[] = []) {
    this.heap = heap;
    this.options = options;
    this.live = [...live];
  }

  add(pointer: number, size: number, alignment: number, isZeroed = false): void {
    expect(pointer % alignment).toBe(0);
    const usable = this.heap.malloc_usable_size(pointer);
    if (this.options.exactUsableSize === false) expect(usable).toBeGreaterThanOrEqual(size);
    else expect(usable).toBe(size);
    const others = [...this.live, ...(this.neighbour?.live ?? [])];
    const overlapping = others.find((one) => one.pointer < pointer + size && pointer < one.pointer + one.size);
    expect(overlapping).toBeUndefined();
    const chunk = { pointer, size, seed: this.nextSeed++, isZeroed };
    this.live.push(chunk);
    this.scribble(chunk);
  }

  private scribble({ pointer, size, seed }: Live): void {
    for (const offset of sampled(size)) this.heap.memory.setUint8(pointer + offset, (seed + offset) & 0xff);
  }

  checkContents({ pointer, size, seed }: Live, limit = size): void {
    for (const offset of sampled(size)) {
      if (offset < limit) expect(this.heap.memory.getUint8(pointer + offset)).toBe((seed + offset) & 0xff);
    }
  }

  /** What the fill promises of fresh bytes `[from, size)`; Scudo's large pattern may also be zero. */
  checkFresh(pointer: number, from: number, size: number, isZeroed: boolean, mayBeZero = false): void {
    const { fill = "none" } = this.options;
    const pattern = [this.options.pattern ?? 0xab].flat() as number[];
    for (const offset of [...sampled(size), ...gained(from, size)]) {
      if (offset < from) continue;
      const byte = this.heap.memory.getUint8(pointer + offset);
      const expected = pattern[offset % pattern.length];
      if (isZeroed || fill === "zero") expect(byte).toBe(0);
      else if (fill === "pattern" && (mayBeZero || this.options.largeFill === "scudo"))
        expect([0, expected]).toContain(byte);
      else if (fill === "pattern") expect(byte).toBe(expected);
    }
  }

  /** Nothing was lost, nothing is there that should not be, and the heap's parts agree. */
  check(): void {
    const census = this.heap.checkInvariants();
    expect(census.allocatedChunks).toBe(this.live.length + census.quarantineBatches);
    expect(census.unreadableChunks).toBe(0);
  }

  /** Frees everything, which must read as it was left. */
  freeAll(): void {
    for (const chunk of this.live) {
      this.checkContents(chunk);
      this.heap.free(chunk.pointer);
    }
    this.live.length = 0;
    this.heap.releaseToOS("force-all");
    this.check();
  }
}

const size = fc.oneof(
  { weight: 6, arbitrary: fc.nat(600) },
  { weight: 3, arbitrary: fc.nat(9000) },
  { weight: 2, arbitrary: fc.nat(140_000) },
  { weight: 2, arbitrary: fc.integer({ min: 131_000, max: 700_000 }) },
);

/** Sizes that a chunk may gain or lose within its block or its last page; null: another size altogether. */
const slightly = fc.option(fc.integer({ min: -6000, max: 3000 }), { freq: 2 });

/** One call of a random program; `where` picks the process and the heap in it. */
export const step = fc.record({
  where: fc.nat(),
  call: fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant("malloc" as const), size }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("calloc" as const), size }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("memalign" as const), size, log: fc.nat(18) }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant("realloc" as const), size, by: slightly, pick: fc.nat() }) },
    { weight: 6, arbitrary: fc.record({ kind: fc.constant("free" as const), pick: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("release" as const), pick: fc.nat(2) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("thread" as const), pick: fc.nat(2) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("fork" as const) }) },
  ),
});
export type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function perform(model: Model, one: Step["call"]): void {
  const { heap, live } = model;
  if (one.kind === "malloc" || one.kind === "calloc") {
    const pointer = one.kind === "malloc" ? heap.malloc(one.size) : heap.calloc(1, one.size);
    expect(pointer).not.toBe(0);
    model.checkFresh(pointer, 0, one.size, one.kind === "calloc");
    model.add(pointer, one.size, 16, one.kind === "calloc");
  } else if (one.kind === "memalign") {
    const pointer = heap.memalign(2 ** one.log, one.size);
    expect(pointer).not.toBe(0);
    model.checkFresh(pointer, 0, one.size, false);
    model.add(pointer, one.size, Math.max(16, 2 ** one.log));
  } else if (one.kind === "realloc" && live.length > 0) {
    const [old] = live.splice(one.pick % live.length, 1);
    const newSize = Math.max(1, one.by === null ? one.size : old.size + one.by);
    // Where all the room is the program's, all of it is kept.
    const kept = model.options.exactUsableSize === false ? heap.malloc_usable_size(old.pointer) : old.size;
    const pointer = heap.realloc(old.pointer, newSize);
    model.checkContents({ ...old, pointer }, Math.min(old.size, newSize));
    // Bytes gained in the chunk's own block must read as fresh ones too, unless its user had the whole block already.
    const isFresh = pointer !== old.pointer || model.options.exactUsableSize !== false;
    const mayBeZero = pointer === old.pointer && old.isZeroed;
    if (isFresh) model.checkFresh(pointer, kept, newSize, false, mayBeZero);
    model.add(pointer, newSize, 16, mayBeZero);
  } else if (one.kind === "free" && live.length > 0) {
    const [chunk] = live.splice(one.pick % live.length, 1);
    model.checkContents(chunk);
    heap.free(chunk.pointer);
  } else if (one.kind === "release") {
    heap.releaseToOS((["normal", "force", "force-all"] as const)[one.pick]);
  }
}

/** A process with one or two heaps, and the threads that call them. */
class Side {
  readonly models: Model[];
  readonly process: Process;
  private readonly threads: Thread[];
  private thread: Thread;

  constructor(models: Model[]) {
    this.models = models;
    this.process = models[0].heap.process;
    this.threads = [this.process.mainThread, this.process.createThread(), this.process.createThread()];
    this.thread = this.threads[0];
    if (models.length > 1) {
      models[0].neighbour = models[1];
      models[1].neighbour = models[0];
    }
  }

  perform(model: Model, one: Step["call"]): void {
    if (one.kind === "thread") this.thread = this.threads[one.pick];
    else model.heap.withThread(this.thread, () => perform(model, one));
  }

  fork(): Side {
    const { models, thread } = this;
    const child = models[0].heap.withThread(thread, () => this.process.fork());
    return new Side(
      models.map((model) => {
        const heap = model.heap.withThread(thread, () => model.heap.inProcess(child));
        return new Model(heap, model.options, model.live);
      }),
    );
  }

  end(): void {
    for (const model of this.models) model.freeAll();
    for (const thread of this.threads.slice(1)) for (const { heap } of this.models) heap.endThread(thread);
    for (const model of this.models) {
      model.heap.releaseToOS("force-all");
      model.check();
    }
    // Class 0, and the pages of caches that were not drained.
    expect(this.process.rssBytes).toBeLessThan(this.models.length * 2 ** 20);
    for (const { heap } of this.models) heap[Symbol.dispose]();
    expect(this.process.rssBytes).toBe(0);
    expect(this.process.procfs("maps")).toBe("");
    this.process.exit(0);
  }
}

/** More would only be slow. */
const MOST_SIDES = 3;

/** Where a program is written down, and its heaps' options as text. */
export interface Written {
  readonly journal: Journal;
  readonly shown: readonly string[];
}

/**
 * Runs a random program with one heap for each of `given` in one process; every process is checked to its end.
 * @returns how many calls were compared
 */
export function runProgram(
  kernel: Kernel,
  given: readonly HeapOptions[],
  steps: readonly Step[],
  seed: number,
  { journal, shown }: Written = { journal: silent, shown: [] },
): number {
  const process = journal.wrap(kernel, "kernel").createProcess({ name: "model" });
  const models = given.map((options, index) => {
    const text = `new Heap({ ...${shown[index]}, process, seed: ${seed + index} })`;
    const make = () => new Heap({ ...options, process: journal.unwrap(process), seed: seed + index });
    return new Model(journal.make("heap", text, make), options);
  });
  const sides = [new Side(models)];
  for (const { where, call } of steps) {
    const side = sides[where % sides.length];
    const model = side.models[Math.floor(where / sides.length) % side.models.length];
    if (call.kind === "fork") {
      if (sides.length < MOST_SIDES) sides.push(side.fork());
      for (const { models } of sides) for (const one of models) one.check();
    } else {
      side.perform(model, call);
      for (const one of side.models) one.check();
    }
  }
  for (const side of sides) side.end();
  kernel.checkInvariants();
  return steps.length;
}
