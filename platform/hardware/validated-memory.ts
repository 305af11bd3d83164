// Loads and stores of a program on a machine with validity bits: an access to an ordinary page tests its bytes' bits in place.
// Frames without undefined bytes cost one test more than memory.ts's fast paths; everything else falls through to memory.ts.
import { keepClass } from "../state/kept.ts";
import type { Address, ByteCount } from "./integers.ts";
import {
  OFFSET_MASK,
  PAGE_MASK,
  PAGE_SIZE,
  PAGES_PER_BYTE,
  PTE_FRAME_MASK,
  PTE_FRAME_SHIFT,
  PTE_MTE,
  PTE_READ,
  PTE_WRITE,
} from "./layout.ts";
import { Memory } from "./memory.ts";
import { PTE_BANK_MASK } from "./mmu.ts";

/** What an entry must have, and must not, for an access to be ordinary: the permission, but no tags, in the first bank. */
const ORDINARY_LOAD = PTE_READ | PTE_MTE | PTE_BANK_MASK;
const ORDINARY_STORE = PTE_WRITE | PTE_MTE | PTE_BANK_MASK;
/** Not an ordinary access. It is also the last byte of the first bank, which then goes the slower way. */
const ELSEWHERE = -1;

export class ValidatedMemory extends Memory {
  private readonly mayBeUndefined = this.ram.mayBeUndefined;

  /** Position of an ordinary load all of whose bytes are defined, as 32 bits with a sign. */
  private definedLoad(address: Address, size: ByteCount): number {
    const pages = address * PAGES_PER_BYTE;
    const page = pages & PAGE_MASK;
    const offset = address & OFFSET_MASK;
    const entry = this.entries[page];
    if ((entry & ORDINARY_LOAD) !== PTE_READ || offset > PAGE_SIZE - size || pages - page !== offset * PAGES_PER_BYTE)
      return ELSEWHERE;
    const position = ((entry & PTE_FRAME_MASK) << 2) | offset;
    if (this.mayBeUndefined[entry >>> PTE_FRAME_SHIFT] === 0) return position;
    // Beyond the byte's end are the bits of an access that is not aligned.
    if ((position & 7) > 8 - size) return ELSEWHERE;
    const bits = this.undefinedBits[position >>> 3] >> (position & 7);
    return (bits & ((1 << size) - 1)) === 0 ? position : ELSEWHERE;
  }

  /** Position of an ordinary store, whose bytes are defined from now on. */
  private definedStore(address: Address, size: ByteCount): number {
    const pages = address * PAGES_PER_BYTE;
    const page = pages & PAGE_MASK;
    const offset = address & OFFSET_MASK;
    const entry = this.entries[page];
    if ((entry & ORDINARY_STORE) !== PTE_WRITE || offset > PAGE_SIZE - size || pages - page !== offset * PAGES_PER_BYTE)
      return ELSEWHERE;
    const position = ((entry & PTE_FRAME_MASK) << 2) | offset;
    if (this.mayBeUndefined[entry >>> PTE_FRAME_SHIFT] === 0) return position;
    const shift = position & 7;
    if (shift > 8 - size) return ELSEWHERE;
    const mask = ((1 << size) - 1) << shift;
    const { undefinedBits } = this;
    const index = position >>> 3;
    const bits = undefinedBits[index];
    if ((bits & mask) === 0) return position;
    const observer = this.validityObserver;
    if (
      observer === null ||
      this.ignoresValidity ||
      address < observer.addressableFrom ||
      address + size > observer.addressableTo
    )
      return ELSEWHERE;
    undefinedBits[index] = bits & ~mask;
    return position;
  }

  override getUint8(address: Address): number {
    const position = this.definedLoad(address, 1);
    return position === ELSEWHERE ? super.getUint8(address) : this.bytes[position >>> 0];
  }

  override setUint8(address: Address, value: number): void {
    const position = this.definedStore(address, 1);
    if (position === ELSEWHERE) super.setUint8(address, value);
    else this.bytes[position >>> 0] = value;
  }

  override getUint16(address: Address, littleEndian = true): number {
    const position = this.definedLoad(address, 2);
    return position === ELSEWHERE
      ? super.getUint16(address, littleEndian)
      : this.view.getUint16(position >>> 0, littleEndian);
  }

  override setUint16(address: Address, value: number, littleEndian = true): void {
    const position = this.definedStore(address, 2);
    if (position === ELSEWHERE) super.setUint16(address, value, littleEndian);
    else this.view.setUint16(position >>> 0, value, littleEndian);
  }

  override getInt16(address: Address, littleEndian = true): number {
    const position = this.definedLoad(address, 2);
    return position === ELSEWHERE
      ? super.getInt16(address, littleEndian)
      : this.view.getInt16(position >>> 0, littleEndian);
  }

  override setInt16(address: Address, value: number, littleEndian = true): void {
    const position = this.definedStore(address, 2);
    if (position === ELSEWHERE) super.setInt16(address, value, littleEndian);
    else this.view.setInt16(position >>> 0, value, littleEndian);
  }

  override getUint32(address: Address, littleEndian = true): number {
    const position = this.definedLoad(address, 4);
    return position === ELSEWHERE
      ? super.getUint32(address, littleEndian)
      : this.view.getUint32(position >>> 0, littleEndian);
  }

  override setUint32(address: Address, value: number, littleEndian = true): void {
    const position = this.definedStore(address, 4);
    if (position === ELSEWHERE) super.setUint32(address, value, littleEndian);
    else this.view.setUint32(position >>> 0, value, littleEndian);
  }

  override getInt32(address: Address, littleEndian = true): number {
    const position = this.definedLoad(address, 4);
    return position === ELSEWHERE
      ? super.getInt32(address, littleEndian)
      : this.view.getInt32(position >>> 0, littleEndian);
  }

  override setInt32(address: Address, value: number, littleEndian = true): void {
    const position = this.definedStore(address, 4);
    if (position === ELSEWHERE) super.setInt32(address, value, littleEndian);
    else this.view.setInt32(position >>> 0, value, littleEndian);
  }

  override getFloat32(address: Address, littleEndian = true): number {
    const position = this.definedLoad(address, 4);
    return position === ELSEWHERE
      ? super.getFloat32(address, littleEndian)
      : this.view.getFloat32(position >>> 0, littleEndian);
  }

  override setFloat32(address: Address, value: number, littleEndian = true): void {
    const position = this.definedStore(address, 4);
    if (position === ELSEWHERE) super.setFloat32(address, value, littleEndian);
    else this.view.setFloat32(position >>> 0, value, littleEndian);
  }

  override getFloat64(address: Address, littleEndian = true): number {
    const position = this.definedLoad(address, 8);
    return position === ELSEWHERE
      ? super.getFloat64(address, littleEndian)
      : this.view.getFloat64(position >>> 0, littleEndian);
  }

  override setFloat64(address: Address, value: number, littleEndian = true): void {
    const position = this.definedStore(address, 8);
    if (position === ELSEWHERE) super.setFloat64(address, value, littleEndian);
    else this.view.setFloat64(position >>> 0, value, littleEndian);
  }

  override getBigUint64(address: Address, littleEndian = true): bigint {
    const position = this.definedLoad(address, 8);
    return position === ELSEWHERE
      ? super.getBigUint64(address, littleEndian)
      : this.view.getBigUint64(position >>> 0, littleEndian);
  }

  override setBigUint64(address: Address, value: bigint, littleEndian = true): void {
    const position = this.definedStore(address, 8);
    if (position === ELSEWHERE) super.setBigUint64(address, value, littleEndian);
    else this.view.setBigUint64(position >>> 0, value, littleEndian);
  }

  override getBigInt64(address: Address, littleEndian = true): bigint {
    const position = this.definedLoad(address, 8);
    return position === ELSEWHERE
      ? super.getBigInt64(address, littleEndian)
      : this.view.getBigInt64(position >>> 0, littleEndian);
  }

  override setBigInt64(address: Address, value: bigint, littleEndian = true): void {
    const position = this.definedStore(address, 8);
    if (position === ELSEWHERE) super.setBigInt64(address, value, littleEndian);
    else this.view.setBigInt64(position >>> 0, value, littleEndian);
  }
}

keepClass("ValidatedMemory", ValidatedMemory);
