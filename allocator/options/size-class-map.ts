// Size-class maps: which class serves a block of a given size, how big its blocks are, how many a thread may cache.
// Scudo's two kinds (fixed steps, explicit table) and its seven maps. Memory and free lists live elsewhere (primary.ts).

import type { ByteCount } from "../../platform/hardware/integers.ts";
import { keepClass } from "../../platform/state/kept.ts";
import type { ClassId } from "../common/integers.ts";

/** A map with a fixed number of steps per power of two; the fields are those of Scudo's `FixedSizeClassMap` (S6.1). */
export interface FixedMapParameters {
  readonly name: string;
  /** Significant bits of a size, so 2^(numBits − 1) steps per power of two. */
  readonly numBits: number;
  /** Log2 of the step between the smallest classes. */
  readonly minSizeLog: number;
  /** Log2 of the size up to which steps are even. */
  readonly midSizeLog: number;
  /** Log2 of the largest size, before `sizeDelta`. */
  readonly maxSizeLog: number;
  /** Bytes added to every class, room for a header (16 on Android). */
  readonly sizeDelta: number;
  /** The most blocks that a refill takes, and the pointers that a transfer batch holds. */
  readonly maxCachedHint: number;
  /** Log2 of the bytes that a refill takes at most (at least one block). */
  readonly maxBytesCachedLog: number;
}

/** A map by an explicit list of sizes (Scudo's `TableSizeClassMap`, S6.1). */
export interface TableMapParameters {
  readonly name: string;
  /** Block sizes in bytes, ascending multiples of 16. */
  readonly sizes: readonly number[];
  readonly maxCachedHint: number;
  readonly maxBytesCachedLog: number;
}

/** Up to this size, `classOf` is one look-up; larger sizes are searched. */
const LOOKUP_LIMIT_BYTES = 1 << 18;

/**
 * A size-class map. Class ids run from 1 to `largestClass`; class 0 holds the primary's own batches.
 * Invariants (tested for every map, S6.7): sizes ascend strictly; `classOf(sizeOf(c)) = c`; `classOf(sizeOf(c) + 1) = c + 1`.
 */
export class SizeClassMap {
  /** For messages and statistics. */
  readonly name: string;
  /** Bytes of each class's blocks by class id; entry 0 is 0 (config.ts derives class 0 from the pointer size). */
  readonly sizes: Float64Array;
  /** Number of the class of the largest blocks. */
  readonly largestClass: number;
  /** Bytes of the largest class's blocks. */
  readonly maxSize: number;
  /** How many blocks of a class a thread's cache holds at most, where their bytes do not limit it. */
  readonly maxCachedHint: number;
  /** Log2 of the bytes of a class that a thread's cache holds. */
  readonly maxBytesCachedLog: number;
  /** Class id by (size + 15) / 16, for sizes up to the look-up limit: one load on the allocation path. */
  readonly classBySize16: Uint8Array;

  /** @throws RangeError naming the first size or parameter that no chunk header could hold or no block could have. */
  constructor(parameters: TableMapParameters) {
    const { name, sizes, maxCachedHint, maxBytesCachedLog } = parameters;
    checkSizes(name, sizes);
    if (!Number.isInteger(maxCachedHint) || maxCachedHint < 0 || maxCachedHint > 0xffff) {
      throw new RangeError(
        `size class map ${name}: maxCachedHint ${maxCachedHint} is not a whole number from 0 to 65535`,
      );
    }
    this.name = name;
    this.sizes = Float64Array.of(0, ...sizes);
    this.largestClass = sizes.length;
    this.maxSize = sizes[sizes.length - 1];
    this.maxCachedHint = maxCachedHint;
    this.maxBytesCachedLog = maxBytesCachedLog;
    const limit = Math.min(this.maxSize, LOOKUP_LIMIT_BYTES);
    this.classBySize16 = new Uint8Array(limit / 16 + 1);
    for (let index = 0, classId = 1; index < this.classBySize16.length; index++) {
      while (this.sizes[classId] < index * 16) classId++;
      this.classBySize16[index] = classId;
    }
    // It follows from the sizes, and is too long to be printed or compared.
    Object.defineProperty(this, "classBySize16", { enumerable: false });
  }

  /** Bytes of a block of class `classId` (1 to `largestClass`). */
  sizeOf(classId: ClassId): ByteCount {
    return this.sizes[classId];
  }

  /** The smallest class whose blocks hold `size` bytes; `size` is at most `maxSize`. */
  classOf(size: ByteCount): number {
    if (size <= (this.classBySize16.length - 1) * 16) return this.classBySize16[Math.ceil(size / 16)];
    let low = 1;
    let high = this.largestClass;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.sizes[middle] < size) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** How many blocks of `size` bytes one refill takes: clamp(2^maxBytesCachedLog / size, 1, maxCachedHint) (S6.2). */
  cachedHint(size: ByteCount): number {
    return Math.max(1, Math.min(this.maxCachedHint, Math.floor(2 ** this.maxBytesCachedLog / size)));
  }
}

/**
 * The map with the sizes that `FixedSizeClassMap` computes (S6.1).
 * @throws RangeError when a class size is no multiple of 16 or there are more than 255 classes
 */
export function fixedSizeClassMap(parameters: FixedMapParameters): SizeClassMap {
  const { name, maxCachedHint, maxBytesCachedLog } = parameters;
  return new SizeClassMap({ name, sizes: fixedSizes(parameters), maxCachedHint, maxBytesCachedLog });
}

/** The class sizes of a fixed map, class 1 first. Exact up to 2^63: every size has at most `numBits` significant bits. */
function fixedSizes(parameters: FixedMapParameters): number[] {
  const { numBits, minSizeLog, midSizeLog, maxSizeLog, sizeDelta } = parameters;
  const stepsPerPower = 2 ** (numBits - 1);
  const midClass = 2 ** (midSizeLog - minSizeLog);
  const sizes: number[] = [];
  for (let classId = 1; classId <= midClass; classId++) sizes.push(classId * 2 ** minSizeLog + sizeDelta);
  for (let k = 1; k <= (maxSizeLog - midSizeLog) * stepsPerPower; k++) {
    const power = 2 ** (midSizeLog + Math.floor(k / stepsPerPower));
    sizes.push(power + (power / stepsPerPower) * (k % stepsPerPower) + sizeDelta);
  }
  return sizes;
}

/** One line a class: id, size, difference, growth, log2, hint and cached bytes; then the total that a thread may cache (S6.9). */
export function describeSizeClassMap(map: SizeClassMap): string {
  const lines: string[] = [];
  let previous = 0;
  let total = 0;
  for (let classId = 1; classId <= map.largestClass; classId++) {
    const size = map.sizeOf(classId);
    const hint = map.cachedHint(size);
    const growth = previous === 0 ? 0 : Math.floor(((size - previous) * 100) / previous);
    const log = Math.floor(Math.log2(size));
    total += 2 * hint * size;
    lines.push(
      `C${classId} => S: ${size} diff: +${size - previous} ${growth}% L ${log} Cached: ${hint} ${hint * size}`,
    );
    previous = size;
  }
  lines.push(`Total Cached: ${total}`);
  return lines.join("\n");
}

function checkSizes(name: string, sizes: readonly number[]): void {
  if (sizes.length < 1 || sizes.length > 255) {
    throw new RangeError(
      `size class map ${name}: ${sizes.length} classes, but a chunk header's class id allows 1 to 255`,
    );
  }
  let previous = 0;
  for (const size of sizes) {
    if (!Number.isInteger(size) || size % 16 !== 0 || size < 32) {
      throw new RangeError(`size class map ${name}: ${size} is not a multiple of 16 of at least 32 bytes`);
    }
    if (size <= previous) throw new RangeError(`size class map ${name}: ${size} after ${previous}, sizes must ascend`);
    previous = size;
  }
}

/** Scudo's `DefaultSizeClassMap` (S6.3). */
export const defaultSizeClassMap = fixedSizeClassMap({
  name: "default",
  numBits: 3,
  minSizeLog: 5,
  midSizeLog: 8,
  maxSizeLog: 17,
  sizeDelta: 0,
  maxCachedHint: 14,
  maxBytesCachedLog: 10,
});

/** Scudo's `FuchsiaSizeClassMap`: the default sizes plus a header (S6.6). */
export const fuchsiaSizeClassMap = fixedSizeClassMap({
  name: "fuchsia",
  numBits: 3,
  minSizeLog: 5,
  midSizeLog: 8,
  maxSizeLog: 17,
  sizeDelta: 16,
  maxCachedHint: 12,
  maxBytesCachedLog: 10,
});

/** Scudo's `AndroidSizeClassMap` for 64-bit machines (S6.4). */
export const androidSizeClassMap = new SizeClassMap({
  name: "android",
  sizes: [
    32, 48, 64, 80, 96, 112, 144, 176, 192, 224, 288, 352, 448, 592, 800, 1104, 1648, 2096, 2576, 3120, 4112, 4624,
    7120, 8720, 11664, 14224, 16400, 18448, 23056, 29456, 33296, 65552,
  ],
  maxCachedHint: 13,
  maxBytesCachedLog: 13,
});

/** Scudo's `AndroidSizeClassMap` for 32-bit machines (S6.5). */
export const android32SizeClassMap = new SizeClassMap({
  name: "android32",
  sizes: [
    32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 240, 272, 288, 304, 336, 352, 368, 400, 464, 528, 576, 672,
    816, 880, 928, 1024, 1072, 1184, 1328, 1552, 1840, 2112, 2320, 2496, 2656, 2832, 3232, 3584, 4016, 4144, 4400, 4592,
    5264, 5712, 6448, 8208, 8592, 9360, 10320, 11600, 12304, 12816, 15504, 16528, 17680, 18448, 23568, 28432, 29456,
    32784, 49168, 65552,
  ],
  maxCachedHint: 14,
  maxBytesCachedLog: 13,
});

/** Scudo's `SvelteSizeClassMap` for 64-bit machines: small devices (S6.6). */
export const svelteSizeClassMap = fixedSizeClassMap({
  name: "svelte",
  numBits: 4,
  minSizeLog: 4,
  midSizeLog: 8,
  maxSizeLog: 14,
  sizeDelta: 16,
  maxCachedHint: 13,
  maxBytesCachedLog: 10,
});

/** Scudo's `TrustySizeClassMap`: one class of 128 bytes (S6.6). */
export const trustySizeClassMap = fixedSizeClassMap({
  name: "trusty",
  numBits: 1,
  minSizeLog: 7,
  midSizeLog: 7,
  maxSizeLog: 7,
  sizeDelta: 0,
  maxCachedHint: 8,
  maxBytesCachedLog: 10,
});

keepClass("SizeClassMap", SizeClassMap);
