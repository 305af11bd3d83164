// Heaps of any options under misuse and failures: second frees, wild pointers, frames and mapping calls that fail, limits on
// descriptors, address space and locks, forks in between, locked memory, other threads, kernels without reference pages. Each call ends in what it promises or in a typed error, and after each the live chunks read as
// they were left, the heap's parts agree, and the next call works.
import fc from "fast-check";
import { HeapError } from "../../allocator/common/heap-error.ts";
import { Heap } from "../../allocator/heap/heap.ts";
import type { HeapOptions } from "../../allocator/options/options.ts";
import { SegmentationFault } from "../../platform/hardware/faults.ts";
import { OutOfMemoryError, SystemError } from "../../platform/kernel/abi/errors.ts";
import { RLIMIT_AS, RLIMIT_MEMLOCK, RLIMIT_NOFILE } from "../../platform/kernel/abi/rlimit.ts";
import { Kernel } from "../../platform/kernel/kernel.ts";
import { createKernel } from "../../refpage/kernel.ts";
import { expect } from "../harness/expect.ts";
import type { Fuzzer } from "../harness/fuzzer.ts";
import { type Journal, show } from "../harness/journal.ts";
import { type DrawnOptions, drawnOptions, heapOptions, shownOptions } from "./drawn-options.ts";

const KINDS = [
  ...(["malloc", "malloc", "calloc", "memalign", "realloc", "realloc", "free", "free", "release"] as const),
  ...(["free twice", "realloc freed", "free inside", "free wild", "disabled"] as const),
  ...(["frames", "descriptors", "space", "locks", "areas", "fork", "fork", "lock all", "unlock", "thread"] as const),
];

const FAMILIES = ["plain", "sync", "async", "asymm", "page", "byte"] as const;

interface Step {
  readonly kind: (typeof KINDS)[number];
  readonly size: number;
  readonly pick: number;
}

interface Program {
  readonly options: DrawnOptions;
  readonly family: (typeof FAMILIES)[number];
  /** Whether the kernel is Linux as it is. */
  readonly isLinux: boolean;
  /** Whether the machine's RAM is a buffer of its own: plain and tagged heaps have no compiled ways then. */
  readonly isApart?: boolean;
  readonly steps: readonly Step[];
  readonly seed: number;
}

const size = fc.oneof(
  { weight: 5, arbitrary: fc.integer({ min: 1, max: 700 }) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 70_000 }) },
  { weight: 3, arbitrary: fc.integer({ min: 60_000, max: 400_000 }) },
);

const program: fc.Arbitrary<Program> = fc.record({
  options: drawnOptions,
  family: fc.constantFrom(...FAMILIES),
  isLinux: fc.boolean(),
  isApart: fc.boolean(),
  steps: fc.array(fc.record({ kind: fc.constantFrom(...KINDS), size, pick: fc.nat() }), {
    minLength: 1,
    maxLength: 50,
  }),
  seed: fc.nat(0xffff),
});

interface Live {
  readonly pointer: number;
  readonly size: number;
  readonly byte: number;
}

class Misuser {
  readonly live: Live[] = [];
  private readonly freed: number[] = [];
  private readonly heap: Heap;
  private readonly kernel: Kernel;
  private readonly hasQuarantine: boolean;
  private byte = 0;

  constructor(heap: Heap, kernel: Kernel, hasQuarantine: boolean) {
    this.hasQuarantine = hasQuarantine;
    this.heap = heap;
    this.kernel = kernel;
  }

  perform({ kind, size: bytes, pick }: Step): void {
    const { heap, live } = this;
    if (kind === "malloc")
      this.adopt(
        attempt(() => heap.malloc(bytes)),
        bytes,
      );
    else if (kind === "calloc")
      this.adopt(
        attempt(() => heap.calloc(1, bytes)),
        bytes,
      );
    else if (kind === "memalign")
      this.adopt(
        attempt(() => heap.memalign(2 ** (4 + (pick % 12)), bytes)),
        bytes,
      );
    else if (kind === "release") heap.releaseToOS((["normal", "force", "force-all"] as const)[pick % 3]);
    else if (kind === "frames") this.failing(pick, bytes);
    else if (kind === "descriptors" || kind === "space" || kind === "locks" || kind === "areas") this.limit(kind, pick);
    else if (kind === "free wild") this.misuse(kind, bytes, pick);
    else if (kind === "lock all" || kind === "unlock") this.lock(kind, pick);
    else if (kind === "thread") this.elsewhere(pick, bytes);
    else if (kind === "fork") this.fork(pick, bytes);
    // A quarantine's own batch may lie in the freed block: an allocated chunk, which Scudo too lets the program free.
    else if (kind === "free twice" || kind === "realloc freed") {
      if (!this.hasQuarantine) this.misuse(kind, bytes, pick);
    } else if (live.length === 0) return;
    else if (kind === "free") this.free(pick);
    else if (kind === "realloc") this.realloc(bytes, pick);
    else if (kind === "free inside") {
      expect(kindOf(() => heap.free(live[pick % live.length].pointer + 1 + (pick % 15)))).not.toBe("done");
    } else {
      heap.malloc_disable();
      expect(kindOf(() => heap.free(live[pick % live.length].pointer))).toBe("deadlock");
      heap.malloc_enable();
    }
  }

  /** A call with the n-th frame missing. */
  private failing(pick: number, bytes: number): void {
    this.kernel.frames.failAt(1 + (pick % 6));
    try {
      if (pick % 3 === 0) this.free(pick);
      else if (pick % 3 === 1) this.realloc(bytes, pick);
      else {
        const pointer = attempt(() => this.heap.malloc(bytes));
        this.kernel.frames.failAt(-1);
        this.adopt(pointer, bytes);
      }
    } finally {
      this.kernel.frames.failAt(-1);
    }
  }

  /** Memory that stays: what is there, what is to come, with its pages or without. */
  private lock(kind: "lock all" | "unlock", pick: number): void {
    const { process } = this.heap;
    if (kind === "unlock") process.munlockall();
    else attemptCall(() => process.mlockall([1, 2, 3, 5, 6, 7][pick % 6]));
  }

  /** A free and an allocation by another thread, which ends with them or stays. */
  private elsewhere(pick: number, bytes: number): void {
    const { heap } = this;
    const thread = heap.process.createThread();
    heap.withThread(thread, () => {
      this.free(pick);
      this.adopt(
        attempt(() => heap.malloc(bytes)),
        bytes,
      );
    });
    if (pick % 2 === 0) heap.endThread(thread);
  }

  /** A child, and then its parent, do something for which a frame is missing: each page that they store to is a copy. */
  private fork(pick: number, bytes: number): void {
    let child: Heap | null = null;
    attemptCall(() => {
      child = this.heap.fork();
      return 0;
    });
    if (child === null) return;
    const twin = new Misuser(child, this.kernel, this.hasQuarantine);
    twin.live.push(...this.live);
    twin.byte = this.byte;
    try {
      twin.failing(pick, bytes);
      twin.check();
      this.failing(pick >> 4, bytes);
      this.check();
      // As any free: the lists of free blocks may need memory that there is not.
      for (let left = twin.live.length; left > 0; left--) twin.free(left - 1);
      twin.check();
    } finally {
      (child as Heap)[Symbol.dispose]();
    }
  }

  /** What the process may have: nothing more than now, or as much as it likes again. */
  private limit(kind: "descriptors" | "space" | "locks" | "areas", pick: number): void {
    const { process } = this.heap;
    const isTight = pick % 2 === 0;
    const none = Number.POSITIVE_INFINITY;
    if (kind === "descriptors") process.setrlimit(RLIMIT_NOFILE, isTight ? process.fds.count : 1024);
    else if (kind === "space")
      process.setrlimit(RLIMIT_AS, isTight ? process.addressSpace.totalPages * 4096 : none, none);
    else if (kind === "locks") process.setrlimit(RLIMIT_MEMLOCK, isTight ? 0 : 8 * 2 ** 20, none);
    else if (isTight) process.munmap(0x3f_0000_0000, 4096);
  }

  private misuse(kind: "free twice" | "realloc freed" | "free wild", bytes: number, pick: number): void {
    const { heap, freed, live } = this;
    const stale = freed[pick % Math.max(1, freed.length)];
    if (kind === "free wild") {
      const wild = [0x10, 0x1000, 2 ** 37, heap.process.mainThread.tid * 16, 2 ** 38 - 16][pick % 5];
      expect(
        kindOf(() => heap.free(wild)),
        "a wild free",
      ).not.toBe("done");
    } else if (stale !== undefined && !live.some(({ pointer, size }) => near(pointer, size, stale))) {
      const act = () => (kind === "free twice" ? heap.free(stale) : heap.realloc(stale, bytes));
      expect(kindOf(act), kind).not.toBe("done");
    }
  }

  private free(pick: number): void {
    const chunk = this.live[pick % Math.max(1, this.live.length)];
    if (chunk === undefined) return;
    const answer = attempt(() => {
      this.heap.free(chunk.pointer);
      return 1;
    });
    if (answer === 0) return;
    this.live.splice(this.live.indexOf(chunk), 1);
    this.freed.push(chunk.pointer);
  }

  private realloc(bytes: number, pick: number): void {
    const at = pick % Math.max(1, this.live.length);
    const chunk = this.live[at];
    if (chunk === undefined) return;
    const pointer = attempt(() => this.heap.realloc(chunk.pointer, bytes));
    if (pointer === 0) return;
    this.kernel.frames.failAt(-1);
    this.live.splice(at, 1);
    this.expectBytes({ ...chunk, pointer, size: Math.min(bytes, chunk.size) });
    if (pointer !== chunk.pointer) this.freed.push(chunk.pointer);
    this.adopt(pointer, bytes);
  }

  private adopt(pointer: number, bytes: number): void {
    if (pointer === 0) return;
    this.byte = (this.byte % 250) + 1;
    const chunk = { pointer, size: bytes, byte: this.byte };
    for (const at of places(bytes)) this.heap.memory.setUint8(pointer + at, chunk.byte);
    this.live.push(chunk);
  }

  private expectBytes({ pointer, size: bytes, byte }: Live): void {
    for (const at of places(bytes)) {
      const got = this.heap.memory.getUint8(pointer + at);
      // What realloc gained in the middle was never written.
      if (got !== byte && at !== bytes - 1 && at !== bytes >> 1) expect(got, `byte ${at} of ${bytes}`).toBe(byte);
    }
  }

  check(): void {
    for (const { pointer, byte } of this.live) expect(this.heap.memory.getUint8(pointer), "a first byte").toBe(byte);
    const { allocatedChunks, quarantineBatches, unreadableChunks } = this.heap.checkInvariants();
    expect({ chunks: allocatedChunks - quarantineBatches, unreadableChunks }).toEqual({
      chunks: this.live.length,
      unreadableChunks: 0,
    });
  }
}

function near(pointer: number, bytes: number, stale: number): boolean {
  const [low, at] = [pointer % 2 ** 40, stale % 2 ** 40];
  return at >= low - 70_000 && at <= low + bytes + 70_000;
}

function places(bytes: number): number[] {
  return [0, bytes >> 1, bytes - 1];
}

/** What a call answers; 0 where it was refused for want of memory, descriptors, areas or locks. */
function attempt(act: () => number): number {
  try {
    return act();
  } catch (error) {
    if (error instanceof OutOfMemoryError) return 0;
    if (error instanceof HeapError && ["out-of-memory", "map-failed"].includes(error.kind)) return 0;
    throw error;
  }
}

/** A system call that may be refused for want of memory or of leave. */
function attemptCall(act: () => number): void {
  try {
    act();
  } catch (error) {
    if (error instanceof OutOfMemoryError) return;
    if (error instanceof SystemError && ["ENOMEM", "EAGAIN", "EPERM"].includes(error.code)) return;
    throw error;
  }
}

function kindOf(act: () => unknown): string {
  try {
    act();
    return "done";
  } catch (error) {
    if (error instanceof HeapError) return error.kind;
    if (error instanceof SegmentationFault || error instanceof SystemError) return error.code;
    if (error instanceof OutOfMemoryError) return "no memory";
    throw error;
  }
}

const kernels = new Map<string, Kernel>();

function runMisuse({ options, family, isLinux, isApart = false, steps, seed }: Program, journal: Journal): number {
  const shadow = family === "byte";
  const name = `${shadow} ${isLinux} ${isApart}`;
  const known = kernels.get(name);
  const memoryBytes = 2 ** 26;
  const machine = { memoryBytes, shadow, ...(isApart ? { buffer: new ArrayBuffer(memoryBytes) } : {}) };
  const kernel = known ?? (isLinux ? new Kernel(machine) : createKernel(machine));
  kernels.set(name, kernel);
  const process = kernel.createProcess({ name: "misuse" });
  const kind: HeapOptions =
    family === "plain" ? {} : family === "page" || family === "byte" ? { uninitialised: family } : { tagging: family };
  // Tags are in the pointers of whole words, and no configuration of the user's own promises those.
  const isOwn = typeof options.config === "object" || options.config === "fuchsia";
  const drawn = kind.tagging !== undefined && isOwn ? { ...options, config: undefined } : options;
  const given = { ...heapOptions(drawn), ...kind, seed };
  journal.note('import { Heap, SizeClassMap } from "refheap";');
  journal.note('import { createKernel, Kernel } from "refheap/kernel";');
  const create = isLinux ? "new Kernel" : "createKernel";
  const buffer = isApart ? ", buffer: new ArrayBuffer(2 ** 26)" : "";
  journal.note(`const kernel = ${create}({ memoryBytes: 2 ** 26, shadow: ${shadow}${buffer} });`);
  const wrapped = journal.wrap(process, "process");
  journal.note("const process = kernel.createProcess();");
  const make = () => new Heap({ ...given, write: () => {}, process: journal.unwrap(wrapped) });
  try {
    const heap = journal.make(
      "heap",
      `new Heap({ ...${shownOptions(drawn)}, ...${show(kind)}, seed: ${seed}, process })`,
      make,
    );
    const misuser = new Misuser(heap, kernel, options.quarantine !== undefined);
    for (const step of steps) {
      misuser.perform(step);
      misuser.check();
    }
    process.setrlimit(RLIMIT_AS, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
    process.munlockall();
    for (const { pointer } of misuser.live.splice(0)) heap.free(pointer);
    misuser.check();
    process.exit(0);
    kernel.checkInvariants();
    return steps.length;
  } catch (error) {
    // What a failed program leaves does not reach the next one.
    kernels.delete(name);
    throw error;
  }
}

export const heapMisuse: Fuzzer<Program> = { program, run: runMisuse, inTests: 40 };
