// Validity bits: which bytes of RAM were not written since they were handed out. Range operations on one bit a byte, 1 = undefined.
// Positions are physical, frame * 4096 + offset. Who marks, carries and checks them is in memory.ts, bulk.ts and above.
import type { Address, ByteCount, FrameNumber } from "./integers.ts";
import { PAGE_SIZE } from "./layout.ts";
import { type PhysicalMemory, VALIDITY_BYTES_PER_FRAME } from "./physical-memory.ts";

/** Middles of ranges shorter than this many bytes of bits are written by a loop, which beats a typed-array call. */
const SHORT = 32;

/** What a use of undefined bytes was, as told to a {@link ValidityObserver}. */
export const USE_LOAD = 0;
/** A transfer of many bytes to the host: read, readInto. */
export const USE_READ = 1;
export const USE_COMPARE = 2;
export const USE_STRING = 3;
/** The kernel takes the bytes out of the program: write(2), pwrite64(2), process_vm_readv(2). */
export const USE_SYSTEM_CALL = 4;
/** A copy: no use of the values, but it needs memory that may be accessed. */
export const USE_COPY = 5;
/** A store, likewise. */
export const USE_STORE = 6;
export type UseKind = 0 | 1 | 2 | 3 | 4 | 5 | 6;

/** Asked about accesses to undefined bytes. It may throw: the access has not happened then. Ranges are those of the whole access. */
export interface ValidityObserver {
  /** Stores and copies inside [addressableFrom, addressableTo) need not be asked about: the program may access all of it. */
  addressableFrom: number;
  addressableTo: number;
  /** The program uses `size` bytes at `address`; `firstUndefined` is the address of the first undefined one. */
  undefinedUse(kind: UseKind, address: Address, size: ByteCount, firstUndefined: number): void;
  /**
   * A store or copy (USE_STORE, USE_COPY) of `size` bytes at `address` touches undefined bytes outside the addressable range.
   * @returns whether the program may access all of them; if not, it was reported
   */
  mayAccess(kind: UseKind, address: Address, size: ByteCount): boolean;
  /**
   * Where the stretch of [address, end) that begins at `address` ends: bytes that the program may access, as a positive
   * number, or bytes that it may not, as a negative one. Never reports. Without it, nothing of a refused store is.
   */
  addressableRun?(address: Address, end: Address): number;
  /** Bytes that are not all defined were copied; both ranges lie inside a page. */
  copied?(to: Address, from: Address, size: ByteCount): void;
  /** The byte at `faultAddress` could not be accessed: the whole access of `size` bytes at `address` will fault. */
  faulted?(kind: UseKind, address: Address, size: ByteCount, faultAddress: Address): void;
}

/** Marks `length` bytes from a physical position defined. Frames that never had an undefined byte are not looked at. */
export function markDefined(ram: PhysicalMemory, position: number, length: ByteCount): void {
  const end = position + length;
  while (position < end) {
    const frame = Math.floor(position / PAGE_SIZE);
    const next = Math.min(end, (frame + 1) * PAGE_SIZE);
    if (ram.mayBeUndefined[frame] !== 0) {
      fillBits(ram.undefinedBits, position, next, 0);
      if (next - position === PAGE_SIZE) ram.mayBeUndefined[frame] = 0;
    }
    position = next;
  }
}

/** Marks `length` bytes from a physical position undefined. */
export function markUndefined(ram: PhysicalMemory, position: number, length: ByteCount): void {
  if (ram.undefinedBits.length === 0 || length === 0) return;
  const last = Math.floor((position + length - 1) / PAGE_SIZE);
  for (let frame = Math.floor(position / PAGE_SIZE); frame <= last; frame++) ram.mayBeUndefined[frame] = 1;
  fillBits(ram.undefinedBits, position, position + length, 0xff);
}

/** As {@link markUndefined} inside one frame, by frame and offset: for the fast path of free. */
export function markUndefinedInFrame(ram: PhysicalMemory, frame: FrameNumber, offset: number, length: ByteCount): void {
  ram.mayBeUndefined[frame] = 1;
  const bits = ram.undefinedBits;
  const begin = frame * VALIDITY_BYTES_PER_FRAME;
  const end = offset + length;
  if (((offset | end) & 7) !== 0) {
    fillBits(bits, begin * 8 + offset, begin * 8 + end, 0xff);
    return;
  }
  const last = begin + (end >> 3);
  let first = begin + (offset >> 3);
  // By words: chunks are at most a few hundred bytes as a rule, for which a call of the host's fill costs more.
  while (first < last && (first & 3) !== 0) bits[first++] = 0xff;
  const words = ram.undefinedWords;
  for (; first + 4 <= last; first += 4) words[first >> 2] = -1;
  while (first < last) bits[first++] = 0xff;
}

/** Distance from `position` to the first undefined of `length` bytes, or −1 if all are defined. */
export function findUndefined(ram: PhysicalMemory, position: number, length: ByteCount): number {
  if (ram.undefinedBits.length === 0) return -1;
  const bits = ram.undefinedBits;
  const end = position + length;
  for (let at = position; at < end; ) {
    const frame = Math.floor(at / PAGE_SIZE);
    const next = Math.min(end, (frame + 1) * PAGE_SIZE);
    if (ram.mayBeUndefined[frame] !== 0) {
      const found = findInFrame(bits, at, next);
      if (found >= 0) return found - position;
    }
    at = next;
  }
  return -1;
}

function findInFrame(bits: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end) {
    const byte = bits[Math.floor(at / 8)] >> (at & 7);
    if (byte === 0) {
      at += 8 - (at & 7);
      continue;
    }
    const found = at + lowestBit(byte);
    return found < end ? found : -1;
  }
  return -1;
}

function lowestBit(byte: number): number {
  return 31 - Math.clz32(byte & -byte);
}

/** One page's bits on their way from a copy's source to its target, which may overlap or be aligned otherwise. */
const stage = new Uint8Array(VALIDITY_BYTES_PER_FRAME + 1);

/** Gives `length` bytes at `to` the validity of those at `from`. Neither range leaves its frame; they may overlap. */
export function copyBits(ram: PhysicalMemory, to: number, from: number, length: ByteCount): void {
  if (ram.undefinedBits.length === 0 || length === 0) return;
  if (ram.mayBeUndefined[Math.floor(from / PAGE_SIZE)] === 0) {
    markDefined(ram, to, length);
    return;
  }
  const target = Math.floor(to / PAGE_SIZE);
  if (ram.mayBeUndefined[target] === 0 && findUndefined(ram, from, length) < 0) return;
  ram.mayBeUndefined[target] = 1;
  const bits = ram.undefinedBits;
  const bytes = (length + 7) >> 3;
  const source = Math.floor(from / 8);
  const shift = from & 7;
  for (let i = 0; i < bytes; i++) stage[i] = ((bits[source + i] | (bits[source + i + 1] << 8)) >> shift) & 0xff;
  depositBits(bits, to, length);
}

/** Puts the first `length` bits of the stage to a position, eight at a time. */
function depositBits(bits: Uint8Array, to: number, length: ByteCount): void {
  const target = Math.floor(to / 8);
  const shift = to & 7;
  for (let done = 0; done < length; done += 8) {
    const mask = (length - done >= 8 ? 0xff : (1 << (length - done)) - 1) << shift;
    const value = (stage[done >> 3] << shift) & mask;
    const index = target + (done >> 3);
    bits[index] = (bits[index] & ~mask) | value;
    if (mask > 0xff) bits[index + 1] = (bits[index + 1] & ~(mask >> 8)) | (value >> 8);
  }
}

/** Sets the bits of [position, end) to all zeroes or all ones. */
function fillBits(bits: Uint8Array, position: number, end: number, value: 0 | 0xff): void {
  let first = Math.floor(position / 8);
  const last = Math.floor(end / 8);
  const headMask = (0xff << (position & 7)) & 0xff;
  const tailMask = (1 << (end & 7)) - 1;
  if (first === last) {
    const mask = headMask & tailMask;
    bits[first] = value === 0 ? bits[first] & ~mask : bits[first] | mask;
    return;
  }
  if (headMask !== 0xff) {
    bits[first] = value === 0 ? bits[first] & ~headMask : bits[first] | headMask;
    first++;
  }
  if (last - first < SHORT) while (first < last) bits[first++] = value;
  else bits.fill(value, first, last);
  if (tailMask !== 0) bits[last] = value === 0 ? bits[last] & ~tailMask : bits[last] | tailMask;
}
