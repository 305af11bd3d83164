// How often each kind of memory error is caught, by trials on a tagged heap: the same code for a heap whose large chunks come
// from tagged reference pages and for one as Scudo is today, on a kernel without them. Loads only, so that a miss does no harm.
import { Heap, HeapError } from "../../allocator/index.ts";
import { SegmentationFault } from "../../platform/hardware/faults.ts";
import { TAG_UNIT } from "../../platform/hardware/layout.ts";
import { Kernel } from "../../platform/kernel/kernel.ts";
import { createKernel } from "../../refpage/kernel.ts";

export type ChunkKind = "small" | "large";
/** Large chunks from tagged reference pages, or untagged between guard pages as in Scudo. */
export type HeapKind = "refpage" | "today";

export interface ErrorKind {
  readonly what: string;
  /** Whether every trial must be caught, as opposed to 14 in 15. */
  readonly isCertain: boolean;
  /** Makes the error once. */
  readonly commit: (trial: Trial) => void;
}

export interface DetectionRow {
  readonly what: string;
  readonly isCertain: boolean;
  readonly chunk: ChunkKind;
  readonly heap: HeapKind;
  readonly trials: number;
  readonly caught: number;
  /** 95 % interval of the share caught (Wilson). */
  readonly low: number;
  readonly high: number;
}

const MACHINE_BYTES = 256 * 2 ** 20;
const SMALL_MAX = 2048;
const LARGE_MIN = 140_000;
const LARGE_MAX = 400_000;
/** Chunks that live through a row, so that neighbours are real. */
const COMPANIONS = 150;
const PAGE = 4096;

/** One heap and its random numbers, for all trials of a row. */
class Trial {
  readonly heap: Heap;
  readonly chunk: ChunkKind;
  private state: number;
  private readonly companions: { pointer: number; size: number }[] = [];

  constructor(chunk: ChunkKind, kind: HeapKind, seed: number) {
    const options = { memoryBytes: MACHINE_BYTES };
    const kernel = kind === "refpage" ? createKernel(options) : new Kernel(options);
    this.heap = new Heap({ kernel, tagging: "sync", onTagFailure: "untagged", seed, write: () => {} });
    this.chunk = chunk;
    this.state = seed;
    for (let i = 0; i < COMPANIONS; i++) this.companions.push(this.allocate());
  }

  /** A whole number below `limit`. */
  random(limit: number): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let bits = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return Math.floor((((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  /** A multiple of 16: an overflow inside the last granule is outside of what tags can see. */
  size(): number {
    const [low, high] = this.chunk === "small" ? [16, SMALL_MAX] : [LARGE_MIN, LARGE_MAX];
    return Math.ceil((low + this.random(high - low)) / 16) * 16;
  }

  allocate(size = this.size()): { pointer: number; size: number } {
    return { pointer: this.heap.malloc(size), size };
  }

  /** A companion, which stays alive. */
  anyone(): { pointer: number; size: number } {
    return this.companions[this.random(COMPANIONS)];
  }

  /** Some other companion takes the place of one, so that the heap does not stand still. */
  shuffle(): void {
    const index = this.random(COMPANIONS);
    this.heap.free(this.companions[index].pointer);
    this.companions[index] = this.allocate();
  }

  load(address: number): void {
    this.heap.memory.getUint8(address);
  }
}

function overflow(bytes: number): ErrorKind {
  return {
    what: `linear overflow by ${bytes}`,
    isCertain: true,
    commit: (trial) => {
      const { pointer, size } = trial.allocate();
      try {
        for (let i = 0; i < bytes; i++) trial.load(pointer + size + i);
      } finally {
        trial.heap.free(pointer);
      }
    },
  };
}

function underflow(bytes: number): ErrorKind {
  return {
    what: `linear underflow by ${bytes}`,
    isCertain: true,
    commit: (trial) => {
      const { pointer } = trial.allocate();
      try {
        for (let i = 1; i <= bytes; i++) trial.load(pointer - i);
      } finally {
        trial.heap.free(pointer);
      }
    },
  };
}

function after(reuses: number): string {
  return reuses === 0 ? "immediately" : `${reuses} ${reuses === 1 ? "reuse" : "reuses"} later`;
}

/** A chunk that was freed, with `reuses` allocations of its size since, of which `last` is alive; 0: none. */
function freedAndReused(trial: Trial, reuses: number): { pointer: number; size: number; last: number } {
  const { pointer, size } = trial.allocate();
  trial.heap.free(pointer);
  let last = 0;
  for (let reuse = 0; reuse < reuses; reuse++) {
    if (last !== 0) trial.heap.free(last);
    last = trial.heap.malloc(size);
  }
  return { pointer, size, last };
}

/** A free, `reuses` times the same size again, then a load through the first pointer. */
function useAfterFree(reuses: number): ErrorKind {
  return {
    what: `use after free, ${after(reuses)}`,
    isCertain: reuses <= 1,
    commit: (trial) => {
      const { pointer, size, last } = freedAndReused(trial, reuses);
      try {
        trial.load(pointer + trial.random(size));
      } finally {
        if (last !== 0) trial.heap.free(last);
      }
    },
  };
}

const wildPointer: ErrorKind = {
  what: "wild pointer into a live chunk",
  isCertain: false,
  commit: (trial) => {
    const { pointer, size } = trial.anyone();
    // Any tag but the right one would be caught for sure; a wild one is right as often as chance has it.
    trial.load((pointer % TAG_UNIT) + trial.random(size) + trial.random(16) * TAG_UNIT);
  },
};

const farIndex: ErrorKind = {
  what: "index far beyond the end",
  isCertain: false,
  commit: (trial) => {
    const { pointer } = trial.anyone();
    const target = trial.anyone();
    trial.load(pointer - (pointer % TAG_UNIT) + (target.pointer % TAG_UNIT) + trial.random(target.size));
    if (target.pointer === pointer) throw new RangeError("the chunk's own bytes");
  },
};

function doubleFree(reuses: number): ErrorKind {
  return {
    what: `double free, ${after(reuses)}`,
    isCertain: reuses <= 1,
    commit: (trial) => {
      const { pointer, last } = freedAndReused(trial, reuses);
      let isMissed = false;
      try {
        trial.heap.free(pointer);
        isMissed = true;
      } finally {
        if (last !== 0 && !isMissed) trial.heap.free(last);
      }
    },
  };
}

export const errorKinds: readonly ErrorKind[] = [
  ...[1, 16, 17, PAGE].map(overflow),
  ...[1, 16, 17, PAGE].map(underflow),
  ...[0, 1, 2, 3, 8].map(useAfterFree),
  wildPointer,
  farIndex,
  ...[0, 1, 3].map(doubleFree),
];

/** Runs one row. */
export function detect(error: ErrorKind, chunk: ChunkKind, heap: HeapKind, trials: number): DetectionRow {
  const trial = new Trial(chunk, heap, 1);
  let caught = 0;
  let counted = 0;
  while (counted < trials) {
    const outcome = attempt(error, trial);
    if (outcome === "void") continue;
    counted++;
    if (outcome === "caught") caught++;
    if (counted % 8 === 0) trial.shuffle();
  }
  trial.heap[Symbol.dispose]();
  return { what: error.what, isCertain: error.isCertain, chunk, heap, trials, caught, ...wilson(caught, trials) };
}

function attempt(error: ErrorKind, trial: Trial): "caught" | "missed" | "void" {
  try {
    error.commit(trial);
    return "missed";
  } catch (thrown) {
    if (thrown instanceof HeapError || thrown instanceof SegmentationFault) return "caught";
    if (thrown instanceof RangeError) return "void";
    throw thrown;
  }
}

/** Wilson's score interval at 95 %. */
function wilson(caught: number, trials: number): { low: number; high: number } {
  const z = 1.959964;
  const share = caught / trials;
  const denominator = 1 + (z * z) / trials;
  const middle = (share + (z * z) / (2 * trials)) / denominator;
  const half = (z / denominator) * Math.sqrt((share * (1 - share)) / trials + (z * z) / (4 * trials * trials));
  return { low: Math.max(0, middle - half), high: Math.min(1, middle + half) };
}
