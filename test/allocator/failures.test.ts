// The n-th failure for every n: the n-th frame that the kernel cannot find, the n-th system call that answers ENOMEM. Each
// heap call then succeeds, answers null or throws; live chunks keep their contents and the heap goes on.
import { describe, expect, test } from "vitest";
import { Heap } from "../../allocator/heap/heap.ts";
import type { HeapOptions } from "../../allocator/options/options.ts";
import { createKernel } from "../../refpage/kernel.ts";
import { failFrame, failMappingCall, isLackOfMemory } from "./inject-failures.ts";

const settings: [string, HeapOptions][] = [
  ["the default", { releaseToOSIntervalMs: 0 }],
  ["pattern by reference pages", { fill: "pattern", fillOnFree: true }],
  ["zero by memset, with a quarantine", { fill: "zero", largeFill: "memset", quarantine: quarantine() }],
];

function quarantine() {
  return { sizeKb: 32, threadLocalSizeKb: 16, maxChunkSize: 2048 };
}

/** What a program does; each step is one heap call, so that a failure leaves the program in a known state. */
class Program {
  heap: Heap;
  readonly live: { pointer: number; size: number; mark: number }[] = [];
  failures = 0;
  private mark = 1;

  constructor(heap: Heap) {
    this.heap = heap;
  }

  run(): void {
    this.begin();
    this.end();
  }

  begin(): void {
    for (const size of [16, 100, 5000, 20_000, 132_000]) this.allocate(size, () => this.heap.malloc(size));
    for (let i = 0; i < 20; i++) this.allocate(64, () => this.heap.malloc(64));
    this.allocate(140_000, () => this.heap.calloc(2, 70_000));
    this.allocate(500, () => this.heap.memalign(4096, 500));
  }

  end(): void {
    for (const [index, size] of [2000, 150_000, 9000, 132_500, 160_000].entries()) this.resize(index, size);
    while (this.live.length > 10) this.release(this.live.length >> 1);
    this.attempt(() => this.heap.releaseToOS("force-all"));
    for (const size of [64, 140_000, 3000]) this.allocate(size, () => this.heap.malloc(size));
    while (this.live.length > 0) if (!this.release(0)) this.live.shift();
  }

  private allocate(size: number, call: () => number): void {
    const pointer = this.attempt(call) ?? 0;
    if (pointer === 0) return;
    const chunk = { pointer, size, mark: this.mark++ };
    // The program's own stores may find no frame either; then it gives the chunk back.
    if (this.attempt(() => this.paint(chunk)) === undefined) this.attempt(() => this.heap.free(pointer));
    else this.live.push(chunk);
  }

  private paint({ pointer, size, mark }: { pointer: number; size: number; mark: number }): true {
    for (const offset of this.offsets(size)) this.heap.memory.setUint8(pointer + offset, mark & 0xff);
    return true;
  }

  private offsets(size: number): number[] {
    return [0, size >> 1, size - 1];
  }

  private resize(index: number, size: number): void {
    const chunk = this.live[index];
    if (chunk === undefined) return;
    const pointer = this.attempt(() => this.heap.realloc(chunk.pointer, size)) ?? 0;
    if (pointer === 0) return;
    this.expectByte(pointer, chunk.mark);
    this.live.splice(index, 1);
    const moved = { pointer, size, mark: chunk.mark };
    if (this.attempt(() => this.paint(moved)) === undefined) this.attempt(() => this.heap.free(pointer));
    else this.live.push(moved);
  }

  private release(index: number): boolean {
    const chunk = this.live[index];
    for (const offset of this.offsets(chunk.size)) this.expectByte(chunk.pointer + offset, chunk.mark);
    if (this.attempt(() => this.heap.free(chunk.pointer) ?? true) === undefined) return false;
    this.live.splice(index, 1);
    return true;
  }

  private expectByte(address: number, mark: number): void {
    expect(this.heap.memory.getUint8(address)).toBe(mark & 0xff);
  }

  private attempt<Result>(call: () => Result): Result | undefined {
    try {
      return call();
    } catch (error) {
      if (!isLackOfMemory(error)) throw error;
      this.failures++;
      expect(this.heap.checkInvariants().unreadableChunks).toBe(0);
      return undefined;
    }
  }
}

describe.each(settings)("with %s", (_, options) => {
  const kernel = createKernel({ memoryBytes: 2 ** 26 });
  const make = () => new Heap({ ...options, kernel, seed: 7 });

  test("the n-th frame cannot be had, for every n", () => {
    let hadFailures = 0;
    for (let n = 1; ; n++) {
      const heap = make();
      const disarm = failFrame(n)(heap);
      const program = new Program(heap);
      program.run();
      hadFailures += program.failures;
      const wasReached = disarm();
      heap.checkInvariants();
      heap.kernel.checkInvariants();
      expect(heap.malloc(100)).not.toBe(0);
      heap[Symbol.dispose]();
      if (!wasReached) break;
    }
    expect(hadFailures).toBeGreaterThan(10);
  });

  test("the n-th mapping call answers ENOMEM, for every n", () => {
    for (let n = 1; ; n++) {
      const heap = make();
      const disarm = failMappingCall(n)(heap);
      new Program(heap).run();
      const wasReached = disarm();
      heap.checkInvariants();
      heap.kernel.checkInvariants();
      expect(heap.malloc(100)).not.toBe(0);
      heap[Symbol.dispose]();
      if (!wasReached) break;
    }
  });

  test("after a fork, when every page that the heap writes to must be copied first", () => {
    let hadFailures = 0;
    for (let n = 1; ; n++) {
      const parent = make();
      const program = new Program(parent);
      program.begin();
      program.heap = parent.fork();
      const disarm = failFrame(n)(program.heap);
      program.end();
      hadFailures += program.failures;
      const wasReached = disarm();
      for (const heap of [parent, program.heap]) {
        expect(heap.checkInvariants().unreadableChunks).toBe(0);
        heap[Symbol.dispose]();
      }
      kernel.checkInvariants();
      if (!wasReached) break;
    }
    expect(hadFailures).toBeGreaterThan(10);
  });
});

test("a free whose fill finds no frame succeeds and is counted, also by the heap of a forked process", () => {
  const heap = new Heap({ memoryBytes: 2 ** 26, fill: "pattern", fillOnFree: true, seed: 7 });
  const pointer = heap.malloc(20_000);
  const fork = heap.fork();
  fork.memory.setUint8(pointer, 1);
  fork.kernel.frames.failAt(2);
  fork.free(pointer);
  fork.kernel.frames.failAt(-1);
  expect(fork.stats().fills.unfilledFrees).toBe(1);
  expect(fork.fork().stats().fills.unfilledFrees).toBe(1);
  expect(heap.stats().fills.unfilledFrees).toBe(0);
  expect(fork.checkInvariants().allocatedChunks).toBe(0);
});
