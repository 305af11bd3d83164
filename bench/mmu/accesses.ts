// The loops that the MMU benchmark times: 4-byte loads and stores, in order and at random, through simulated memory, a
// typed array and a DataView. One function for each, so that each is compiled for its own kind of object.
import type { Memory } from "../../refpage/index.ts";

/** Random positions come from a linear congruential generator's high bits: a multiplication and an addition, for all alike. */
const MULTIPLIER = 1664525;
const INCREMENT = 1013904223;

/** `words` is a power of two; all functions go over `count` words of 4 bytes and return something of what they saw. */
export type Loop<Subject> = (subject: Subject, base: number, words: number, count: number) => number;

function shiftFor(words: number): number {
  return Math.clz32(words - 1);
}

export const memoryLoops: Record<string, Loop<Memory>> = {
  "load in order": (memory, base, words, count) => {
    let sum = 0;
    for (let i = 0; i < count; i++) sum = (sum + memory.getUint32(base + (i & (words - 1)) * 4)) | 0;
    return sum;
  },
  "load at random": (memory, base, words, count) => {
    const shift = shiftFor(words);
    let sum = 0;
    for (let i = 0, x = 1; i < count; i++) {
      x = (Math.imul(x, MULTIPLIER) + INCREMENT) | 0;
      sum = (sum + memory.getUint32(base + (x >>> shift) * 4)) | 0;
    }
    return sum;
  },
  "store in order": (memory, base, words, count) => {
    for (let i = 0; i < count; i++) memory.setUint32(base + (i & (words - 1)) * 4, i);
    return memory.getUint32(base);
  },
  "store at random": (memory, base, words, count) => {
    const shift = shiftFor(words);
    for (let i = 0, x = 1; i < count; i++) {
      x = (Math.imul(x, MULTIPLIER) + INCREMENT) | 0;
      memory.setUint32(base + (x >>> shift) * 4, i);
    }
    return memory.getUint32(base);
  },
};

export const arrayLoops: Record<string, Loop<Uint32Array>> = {
  "load in order": (array, _base, words, count) => {
    let sum = 0;
    for (let i = 0; i < count; i++) sum = (sum + array[i & (words - 1)]) | 0;
    return sum;
  },
  "load at random": (array, _base, words, count) => {
    const shift = shiftFor(words);
    let sum = 0;
    for (let i = 0, x = 1; i < count; i++) {
      x = (Math.imul(x, MULTIPLIER) + INCREMENT) | 0;
      sum = (sum + array[x >>> shift]) | 0;
    }
    return sum;
  },
  "store in order": (array, _base, words, count) => {
    for (let i = 0; i < count; i++) array[i & (words - 1)] = i;
    return array[0];
  },
  "store at random": (array, _base, words, count) => {
    const shift = shiftFor(words);
    for (let i = 0, x = 1; i < count; i++) {
      x = (Math.imul(x, MULTIPLIER) + INCREMENT) | 0;
      array[x >>> shift] = i;
    }
    return array[0];
  },
};

export const viewLoops: Record<string, Loop<DataView>> = {
  "load in order": (view, _base, words, count) => {
    let sum = 0;
    for (let i = 0; i < count; i++) sum = (sum + view.getUint32((i & (words - 1)) * 4, true)) | 0;
    return sum;
  },
  "load at random": (view, _base, words, count) => {
    const shift = shiftFor(words);
    let sum = 0;
    for (let i = 0, x = 1; i < count; i++) {
      x = (Math.imul(x, MULTIPLIER) + INCREMENT) | 0;
      sum = (sum + view.getUint32((x >>> shift) * 4, true)) | 0;
    }
    return sum;
  },
  "store in order": (view, _base, words, count) => {
    for (let i = 0; i < count; i++) view.setUint32((i & (words - 1)) * 4, i, true);
    return view.getUint32(0, true);
  },
  "store at random": (view, _base, words, count) => {
    const shift = shiftFor(words);
    for (let i = 0, x = 1; i < count; i++) {
      x = (Math.imul(x, MULTIPLIER) + INCREMENT) | 0;
      view.setUint32((x >>> shift) * 4, i, true);
    }
    return view.getUint32(0, true);
  },
};

/** Blocks of `blockBytes` at odd places all over `bytes`, as a heap's chunks lie. */
export const memoryBlocks = {
  fill: (memory: Memory, base: number, bytes: number, blockBytes: number, count: number): number => {
    const room = bytes - blockBytes;
    for (let i = 0, x = 1; i < count; i++) {
      x = (Math.imul(x, MULTIPLIER) + INCREMENT) | 0;
      memory.fill(base + ((x >>> 4) % room), i & 255, blockBytes);
    }
    return memory.getUint8(base);
  },
  copy: (memory: Memory, base: number, bytes: number, blockBytes: number, count: number): number => {
    const half = bytes / 2;
    const room = half - blockBytes;
    for (let i = 0, x = 1; i < count; i++) {
      x = (Math.imul(x, MULTIPLIER) + INCREMENT) | 0;
      memory.copy(base + ((x >>> 4) % room), base + half + ((x >>> 7) % room), blockBytes);
    }
    return memory.getUint8(base);
  },
  compare: (memory: Memory, base: number, bytes: number, blockBytes: number, count: number): number => {
    const half = bytes / 2;
    const room = half - blockBytes;
    let sum = 0;
    for (let i = 0, x = 1; i < count; i++) {
      x = (Math.imul(x, MULTIPLIER) + INCREMENT) | 0;
      sum += memory.compare(base + ((x >>> 4) % room), base + half + ((x >>> 7) % room), blockBytes);
    }
    return sum;
  },
};

/** Both kinds of a raw block: bytes to fill and copy, a DataView to compare by words. */
export interface RawBytes {
  readonly array: Uint8Array;
  readonly view: DataView;
}

export const arrayBlocks = {
  fill: ({ array }: RawBytes, _base: number, bytes: number, blockBytes: number, count: number): number => {
    const room = bytes - blockBytes;
    for (let i = 0, x = 1; i < count; i++) {
      x = (Math.imul(x, MULTIPLIER) + INCREMENT) | 0;
      const from = (x >>> 4) % room;
      array.fill(i & 255, from, from + blockBytes);
    }
    return array[0];
  },
  copy: ({ array }: RawBytes, _base: number, bytes: number, blockBytes: number, count: number): number => {
    const half = bytes / 2;
    const room = half - blockBytes;
    for (let i = 0, x = 1; i < count; i++) {
      x = (Math.imul(x, MULTIPLIER) + INCREMENT) | 0;
      const from = half + ((x >>> 7) % room);
      array.copyWithin((x >>> 4) % room, from, from + blockBytes);
    }
    return array[0];
  },
  compare: ({ array, view }: RawBytes, _base: number, bytes: number, blockBytes: number, count: number): number => {
    const half = bytes / 2;
    const room = half - blockBytes;
    let sum = 0;
    for (let i = 0, x = 1; i < count; i++) {
      x = (Math.imul(x, MULTIPLIER) + INCREMENT) | 0;
      const a = (x >>> 4) % room;
      const b = half + ((x >>> 7) % room);
      let same = 0;
      for (; same + 4 <= blockBytes; same += 4)
        if (view.getInt32(a + same, true) !== view.getInt32(b + same, true)) break;
      while (same < blockBytes && array[a + same] === array[b + same]) same++;
      sum += same === blockBytes ? 0 : array[a + same] - array[b + same];
    }
    return sum;
  },
};
