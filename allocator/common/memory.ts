// What a program does to the memory of its heap: DataView's loads and stores by address, and the operations on ranges.
// The machine's own class, which has more and which refheap/kernel exports, is platform/hardware/memory.ts.
import type { Address, ByteCount } from "../../platform/hardware/integers.ts";

/**
 * Memory of a heap's process, as the thread that runs now loads and stores it. Addresses are what malloc answers, tag and all; an
 * access may cross pages and need not be aligned.
 *
 * The names are DataView's. Without `littleEndian` they are little-endian, as the machine is; `false` is big-endian. (A DataView
 * is big-endian without it: {@link Heap.view} is one.)
 *
 * Every access throws SegmentationFault or BusError where a program would get the signal, and RangeError for an address that is no
 * whole number. A store that throws has changed nothing.
 */
export interface Memory {
  /** Loads an unsigned byte. */
  getUint8(address: Address): number;
  /** Stores the low 8 bits of a number. */
  setUint8(address: Address, value: number): void;
  /** Loads a signed byte. */
  getInt8(address: Address): number;
  /** Stores the low 8 bits of a number. */
  setInt8(address: Address, value: number): void;
  /** Loads an unsigned integer of 16 bits. */
  getUint16(address: Address, littleEndian?: boolean): number;
  /** Stores the low 16 bits of a number. */
  setUint16(address: Address, value: number, littleEndian?: boolean): void;
  /** Loads a signed integer of 16 bits. */
  getInt16(address: Address, littleEndian?: boolean): number;
  /** Stores the low 16 bits of a number. */
  setInt16(address: Address, value: number, littleEndian?: boolean): void;
  /** Loads an unsigned integer of 32 bits. */
  getUint32(address: Address, littleEndian?: boolean): number;
  /** Stores the low 32 bits of a number. */
  setUint32(address: Address, value: number, littleEndian?: boolean): void;
  /** Loads a signed integer of 32 bits. */
  getInt32(address: Address, littleEndian?: boolean): number;
  /** Stores the low 32 bits of a number. */
  setInt32(address: Address, value: number, littleEndian?: boolean): void;
  /** Loads a number of single precision. */
  getFloat32(address: Address, littleEndian?: boolean): number;
  /** Stores a number, rounded to single precision. */
  setFloat32(address: Address, value: number, littleEndian?: boolean): void;
  /** Loads a number of double precision. */
  getFloat64(address: Address, littleEndian?: boolean): number;
  /** Stores a number of double precision. */
  setFloat64(address: Address, value: number, littleEndian?: boolean): void;
  /** Loads an unsigned integer of 64 bits. */
  getBigUint64(address: Address, littleEndian?: boolean): bigint;
  /** Stores the low 64 bits of a bigint. */
  setBigUint64(address: Address, value: bigint, littleEndian?: boolean): void;
  /** Loads a signed integer of 64 bits. */
  getBigInt64(address: Address, littleEndian?: boolean): bigint;
  /** Stores the low 64 bits of a bigint. */
  setBigInt64(address: Address, value: bigint, littleEndian?: boolean): void;
  /** Copies `length` bytes; overlapping ranges are copied as if through a buffer (memmove). */
  copy(to: Address, from: Address, length: ByteCount): void;
  /** Sets `length` bytes to `byte`, upwards (memset); what precedes a fault has been stored. */
  fill(address: Address, byte: number, length: ByteCount): void;
  /** Repeats `pattern` over `length` bytes; the first byte of the range gets the first byte of the pattern. */
  fillPattern(address: Address, length: ByteCount, pattern: Uint8Array): void;
  /** As memcmp: the sign of the first difference of two ranges. */
  compare(a: number, b: number, length: ByteCount): -1 | 0 | 1;
  /** A host copy of `length` bytes. */
  read(address: Address, length: ByteCount): Uint8Array;
  /** Fills `target` from memory. */
  readInto(address: Address, target: Uint8Array): void;
  /** Stores the bytes of a host array. */
  write(address: Address, source: Uint8Array): void;
  /** The UTF-8 text up to a NUL, or up to `maxLength` bytes if none came before. */
  readString(address: Address, maxLength?: number): string;
  /** Stores `text` as UTF-8 with a NUL behind it. @returns bytes stored, the NUL included */
  writeString(address: Address, text: string): number;
}
