// The chunk header: 8 bytes in simulated memory, 16 bytes before the user pointer, packed and guarded by a checksum (S1).
// Packing, loading and storing live here. Which state a chunk must be in, and what to report, is decided in combined.ts.

import type { Address } from "../../platform/hardware/integers.ts";
import type { Memory } from "../../platform/hardware/memory.ts";
import { keepClass } from "../../platform/state/kept.ts";
import type { ClassId } from "../common/integers.ts";
import {
  bsdChecksum,
  type ChecksumForm,
  cookieSum,
  crcChecksum,
  crcDifference,
  granuleChecksum,
  lowBitsDifference,
} from "./checksum.ts";

/**
 * Bytes between a header and its user pointer. The header is the first eight of them:
 *
 * ```text
 *  low word   31                  12 11    10 9   8 7       0     high word   31      16 15      0
 *            │ size, or unused bytes │ origin │ state │ class id │            │ checksum │ offset │
 * ```
 *
 * Class id 0: a large chunk, whose field has the unused bytes behind it. Origin of a freed chunk: 1 if its bytes are zero
 * (was-zeroed). Offset: 16-byte units from the block's begin + 16 to the user pointer.
 */
export const HEADER_SIZE = 16;
/** What begins a block whose chunk is not at its begin (S1.4); the distance in bytes follows. */
export const BLOCK_MARKER = 0x44554353;

export const STATE_AVAILABLE = 0;
export const STATE_ALLOCATED = 1;
export const STATE_QUARANTINED = 2;

export const ORIGIN_MALLOC = 0;
export const ORIGIN_NEW = 1;
export const ORIGIN_NEW_ARRAY = 2;
export const ORIGIN_MEMALIGN = 3;

const STATE_SHIFT = 8;
const ORIGIN_SHIFT = 10;
const SIZE_SHIFT = 12;
/** Bits of the low word that a free keeps: state and origin go. */
export const KEPT_WHEN_FREED = ~0xf00;
/** Leaving the quarantine clears the state only: was-zeroed (S1.1) stays. */
export const KEPT_WHEN_RECYCLED = ~0x300;
export const FREED_QUARANTINED = STATE_QUARANTINED << STATE_SHIFT;
/** Was-zeroed of a freed chunk, in its place. */
export const WAS_ZEROED = 1 << ORIGIN_SHIFT;

/**
 * What {@link ChunkHeaders.load} answers for a wrong checksum: a state that no header has, so that one comparison of the
 * state on the fast path finds both misuse and corruption.
 */
export const CORRUPTED_HEADER = 3 << STATE_SHIFT;

const PER_4_GIB = 1 / 2 ** 32;
/** From here on {@link ChunkHeaders.granuleSum} would not see a pointer's upper bits. */
const GRANULE_SUM_END = 2 ** 38;

/** The low word of a header. `sizeOrUnused` is below 2^20; the result is a signed 32-bit number. */
export function packLow(classId: ClassId, state: number, originOrWasZeroed: number, sizeOrUnused: number): number {
  return classId | (state << STATE_SHIFT) | (originOrWasZeroed << ORIGIN_SHIFT) | (sizeOrUnused << SIZE_SHIFT);
}

export function classIdOf(low: number): number {
  return low & 0xff;
}

export function stateOf(low: number): number {
  return (low >>> STATE_SHIFT) & 3;
}

/** The origin of an allocated chunk; of a freed one, 1 if it was retagged and so zeroed. */
export function originOf(low: number): number {
  return (low >>> ORIGIN_SHIFT) & 3;
}

/** Primary: the requested size. Secondary: bytes from the end of the user's area to the end of the block. */
export function sizeOrUnusedOf(low: number): number {
  return low >>> SIZE_SHIFT;
}

/**
 * Loads and stores headers of one heap, i.e. with one cookie and one form of checksum.
 * `offset` describes the header that was loaded last; it is a field so that a load allocates nothing.
 */
export class ChunkHeaders {
  /** 32 random bits of this heap; without them a program could forge headers. */
  readonly cookie: number;
  private readonly crc: boolean;
  /** Classes that a header can name; one of another is forged, with a right checksum, too. */
  private readonly classCount: number;
  private readonly cookieSum: number;
  /** Offset field of the header last loaded: 16-byte units from block begin + 16 to the user pointer. */
  offset = 0;
  /** High word of that header. */
  private high = 0;

  /** `classCount`: class 0 included. Default 256, as many as the field can name. */
  constructor(options: { cookie: number; form: ChecksumForm; classCount?: number }) {
    this.cookie = options.cookie | 0;
    this.classCount = options.classCount ?? 256;
    this.crc = options.form === "crc32c";
    this.cookieSum = cookieSum(this.cookie);
  }

  /**
   * Loads the header of the chunk at `pointer` into `this.offset` and the result (the low word).
   * @returns the low word as a signed 32-bit number, or {@link CORRUPTED_HEADER} if the checksum is wrong
   */
  load(memory: Memory, pointer: Address): number {
    const word = memory.granuleWord(pointer - HEADER_SIZE);
    const low = word >= 0 ? memory.words[word] : memory.getInt32(pointer - HEADER_SIZE);
    const high = word >= 0 ? memory.words[word + 1] : memory.getInt32(pointer - HEADER_SIZE + 4);
    return this.isWhole(pointer, low, high) ? low : CORRUPTED_HEADER;
  }

  /** Whether two words that were loaded from a header belong together; if so, `offset` is set as by {@link load}. */
  isWhole(pointer: Address, low: number, high: number): boolean {
    const offset = high & 0xffff;
    // Offset 0 of a pointer that can be a chunk's: nearly always. One with a tag is not.
    const isPlain = this.crc && offset === 0 && (pointer & 15) === 0 && pointer < GRANULE_SUM_END;
    const sum = isPlain ? this.granuleSum(pointer, low) : this.checksum(pointer, low, offset);
    if (sum !== high >>> 16 || classIdOf(low) >= this.classCount) return false;
    this.offset = offset;
    this.high = high;
    return true;
  }

  /** Whether a header with a right checksum is at `pointer`; the memory must be readable. Never reports. */
  isValid(memory: Memory, pointer: Address): boolean {
    return this.load(memory, pointer) !== CORRUPTED_HEADER;
  }

  /** Stores a header with its checksum: one 64-bit store of Scudo, two adjacent 32-bit stores here. */
  store(memory: Memory, pointer: Address, low: number, offset: number): void {
    storeWords(memory, pointer - HEADER_SIZE, low, offset | (this.checksum(pointer, low, offset) << 16));
  }

  /** Stores another low word in the chunk's header, which must be the one that was loaded last: half the work of {@link store}. */
  change(memory: Memory, pointer: Address, low: number, newLow: number): void {
    storeWords(memory, pointer - HEADER_SIZE, newLow, this.highFor(pointer, low, this.high, newLow));
  }

  /**
   * The high word that goes with `newLow`, from a whole header of the same chunk. A CRC is linear: what changes in the header
   * says what changes in the sum, for any cookie and pointer.
   */
  highFor(pointer: Address, low: number, high: number, newLow: number): number {
    const changed = low ^ newLow;
    if (this.crc) return high ^ ((changed >>> 12 === 0 ? lowBitsDifference(changed) : crcDifference(changed)) << 16);
    return (high & 0xffff) | (this.checksum(pointer, newLow, high & 0xffff) << 16);
  }

  /** Whether {@link granuleSum} is this heap's checksum; with BSD sums it is false. */
  get hasGranuleSum(): boolean {
    return this.crc;
  }

  /** {@link checksum} of a header with offset 0, by fewer steps; `pointer` is a multiple of 16 below 2^38. */
  granuleSum(pointer: Address, low: number): number {
    return granuleChecksum(this.cookieSum, pointer, low);
  }

  /** The checksum of a header of the chunk at `pointer`. `pointer | 0` is its low half: ToInt32 is modulo 2^32. */
  checksum(pointer: Address, low: number, offset: number): number {
    const pointerHigh = (pointer * PER_4_GIB) | 0;
    return this.crc
      ? crcChecksum(this.cookie, pointer | 0, pointerHigh, low, offset)
      : bsdChecksum(this.cookie, pointer | 0, pointerHigh, low, offset);
  }
}

/** Both words by one translation where the granule needs no fault and no check. */
function storeWords(memory: Memory, address: Address, low: number, high: number): void {
  const word = memory.granuleWord(address);
  if (word < 0) {
    memory.setInt32(address, low);
    memory.setInt32(address + 4, high);
    return;
  }
  const { words } = memory;
  words[word] = low;
  words[word + 1] = high;
}

// What the last load left is of use in that call alone.
keepClass("ChunkHeaders", ChunkHeaders, { atRest: () => ({ offset: 0, high: 0 }) });
