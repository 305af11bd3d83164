// Loads and stores by virtual address: the load/store unit of one thread, over the page table of its address space.
// Here are the scalar accesses with their fast paths; the shared slow path is in mmu.ts, bulk operations are in bulk.ts.
import * as bulk from "./bulk.ts";
import type { Counters } from "./counters.ts";
import type { Address, ByteCount } from "./integers.ts";
import {
  ACCESS_LOAD,
  ACCESS_STORE,
  FAST_LOAD,
  FAST_STORE,
  OFFSET_MASK,
  PAGE_MASK,
  PAGE_SIZE,
  PAGES_PER_BYTE,
  PTE_FRAME_MASK,
  PTE_MTE,
  PTE_READ,
  PTE_WRITE,
} from "./layout.ts";
import { type FaultHandler, Mmu, PTE_BANK_MASK, PTE_BANK_SHIFT } from "./mmu.ts";
import { outline } from "./outline.ts";
import type { PageTable } from "./page-table.ts";
import type { PhysicalMemory } from "./physical-memory.ts";
import { USE_LOAD, USE_STORE } from "./validity.ts";

/**
 * Simulated memory as a program sees it. Method names are DataView's. Without their last argument they are little-endian, as the
 * machine is; `false` given for it is big-endian. Addresses are whole numbers below 2^38, with an optional MTE tag at bits 48–51; an
 * access may cross pages and need not be aligned.
 *
 * Every access throws {@link SegmentationFault} or {@link BusError} where a program would get the signal, and
 * RangeError for an address that is no whole number. A store that throws has changed nothing.
 */
export class Memory extends Mmu {
  protected readonly undefinedBits: Uint8Array;
  /** Results of {@link locate}: where in the returned view the value is, and whether that view is the stage. */
  private position = 0;
  private staged = false;
  /** An access over a page border is put together here. */
  private readonly stage = new DataView(new ArrayBuffer(16));

  constructor(ram: PhysicalMemory, counters: Counters, pageTable: PageTable, faults: FaultHandler) {
    super(ram, counters, pageTable, faults);
    this.undefinedBits = ram.undefinedBits;
  }

  // Each fast path compares the address's place in its page, as a number and as bits: they differ for an address that has a fraction or a
  // tag, or is negative, too large or NaN, which the slow path then sorts out. The path is copied because one method for all costs a loop
  // of many kinds of access a tenth, a parser of bytes a fifth to a third, a loop of one kind nothing (CPU time, paired runs, Node 20).

  /** Loads an unsigned byte. */ getUint8(address: Address): number {
    const pages = address * PAGES_PER_BYTE;
    const page = pages & PAGE_MASK;
    const offset = address & OFFSET_MASK;
    const entry = this.entries[page];
    if ((entry & FAST_LOAD) !== PTE_READ || pages - page !== offset * PAGES_PER_BYTE) {
      const position = this.matchedPosition(address, 1, this.matchedLoad);
      if (position >= 0) return this.bytes[position];
      return this.locate(address, 1, ACCESS_LOAD).getUint8(this.position);
    }
    return this.bytes[(((entry & PTE_FRAME_MASK) << 2) | offset) >>> 0];
  }

  /** Stores the low 8 bits of a number. */ setUint8(address: Address, value: number): void {
    const pages = address * PAGES_PER_BYTE;
    const page = pages & PAGE_MASK;
    const offset = address & OFFSET_MASK;
    const entry = this.entries[page];
    if ((entry & FAST_STORE) !== PTE_WRITE || pages - page !== offset * PAGES_PER_BYTE) {
      const position = this.storePosition(address, 1);
      if (position >= 0) {
        this.bytes[position] = value;
        return;
      }
      this.locate(address, 1, ACCESS_STORE).setUint8(this.position, value);
      return;
    }
    this.bytes[(((entry & PTE_FRAME_MASK) << 2) | offset) >>> 0] = value;
  }

  /** Loads a signed byte. */ getInt8(address: Address): number {
    return (this.getUint8(address) << 24) >> 24;
  }

  /** Stores the low 8 bits of a number. */ setInt8(address: Address, value: number): void {
    this.setUint8(address, value);
  }

  /** Loads an unsigned integer of 16 bits. */ getUint16(address: Address, littleEndian = true): number {
    const pages = address * PAGES_PER_BYTE;
    const page = pages & PAGE_MASK;
    const offset = address & OFFSET_MASK;
    const entry = this.entries[page];
    if ((entry & FAST_LOAD) !== PTE_READ || offset > 4094 || pages - page !== offset * PAGES_PER_BYTE) {
      return this.locate(address, 2, ACCESS_LOAD).getUint16(this.position, littleEndian);
    }
    return this.view.getUint16((((entry & PTE_FRAME_MASK) << 2) | offset) >>> 0, littleEndian);
  }

  /** Stores the low 16 bits of a number. */ setUint16(address: Address, value: number, littleEndian = true): void {
    const pages = address * PAGES_PER_BYTE;
    const page = pages & PAGE_MASK;
    const offset = address & OFFSET_MASK;
    const entry = this.entries[page];
    if ((entry & FAST_STORE) !== PTE_WRITE || offset > 4094 || pages - page !== offset * PAGES_PER_BYTE) {
      this.locate(address, 2, ACCESS_STORE).setUint16(this.position, value, littleEndian);
      if (this.staged) this.spill(address, 2);
      return;
    }
    this.view.setUint16((((entry & PTE_FRAME_MASK) << 2) | offset) >>> 0, value, littleEndian);
  }

  /** Loads a signed integer of 16 bits. */ getInt16(address: Address, littleEndian = true): number {
    const pages = address * PAGES_PER_BYTE;
    const page = pages & PAGE_MASK;
    const offset = address & OFFSET_MASK;
    const entry = this.entries[page];
    if ((entry & FAST_LOAD) !== PTE_READ || offset > 4094 || pages - page !== offset * PAGES_PER_BYTE) {
      return this.locate(address, 2, ACCESS_LOAD).getInt16(this.position, littleEndian);
    }
    return this.view.getInt16((((entry & PTE_FRAME_MASK) << 2) | offset) >>> 0, littleEndian);
  }

  /** Stores the low 16 bits of a number. */ setInt16(address: Address, value: number, littleEndian = true): void {
    const pages = address * PAGES_PER_BYTE;
    const page = pages & PAGE_MASK;
    const offset = address & OFFSET_MASK;
    const entry = this.entries[page];
    if ((entry & FAST_STORE) !== PTE_WRITE || offset > 4094 || pages - page !== offset * PAGES_PER_BYTE) {
      this.locate(address, 2, ACCESS_STORE).setInt16(this.position, value, littleEndian);
      if (this.staged) this.spill(address, 2);
      return;
    }
    this.view.setInt16((((entry & PTE_FRAME_MASK) << 2) | offset) >>> 0, value, littleEndian);
  }

  /** Loads an unsigned integer of 32 bits. */ getUint32(address: Address, littleEndian = true): number {
    const pages = address * PAGES_PER_BYTE;
    const page = pages & PAGE_MASK;
    const offset = address & OFFSET_MASK;
    const entry = this.entries[page];
    if ((entry & FAST_LOAD) !== PTE_READ || offset > 4092 || pages - page !== offset * PAGES_PER_BYTE) {
      const position = this.matchedPosition(address, 4, this.matchedLoad);
      if (position >= 0) return this.view.getUint32(position, littleEndian);
      return this.locate(address, 4, ACCESS_LOAD).getUint32(this.position, littleEndian);
    }
    return this.view.getUint32((((entry & PTE_FRAME_MASK) << 2) | offset) >>> 0, littleEndian);
  }

  /** Stores the low 32 bits of a number. */ setUint32(address: Address, value: number, littleEndian = true): void {
    const pages = address * PAGES_PER_BYTE;
    const page = pages & PAGE_MASK;
    const offset = address & OFFSET_MASK;
    const entry = this.entries[page];
    if ((entry & FAST_STORE) !== PTE_WRITE || offset > 4092 || pages - page !== offset * PAGES_PER_BYTE) {
      const position = this.storePosition(address, 4);
      if (position >= 0) {
        this.view.setUint32(position, value, littleEndian);
        return;
      }
      this.locate(address, 4, ACCESS_STORE).setUint32(this.position, value, littleEndian);
      if (this.staged) this.spill(address, 4);
      return;
    }
    this.view.setUint32((((entry & PTE_FRAME_MASK) << 2) | offset) >>> 0, value, littleEndian);
  }

  /** Loads a signed integer of 32 bits. */ getInt32(address: Address, littleEndian = true): number {
    const pages = address * PAGES_PER_BYTE;
    const page = pages & PAGE_MASK;
    const offset = address & OFFSET_MASK;
    const entry = this.entries[page];
    if ((entry & FAST_LOAD) !== PTE_READ || offset > 4092 || pages - page !== offset * PAGES_PER_BYTE) {
      const position = this.matchedPosition(address, 4, this.matchedLoad);
      if (position >= 0) return this.view.getInt32(position, littleEndian);
      return this.locate(address, 4, ACCESS_LOAD).getInt32(this.position, littleEndian);
    }
    return this.view.getInt32((((entry & PTE_FRAME_MASK) << 2) | offset) >>> 0, littleEndian);
  }

  /** Stores the low 32 bits of a number. */ setInt32(address: Address, value: number, littleEndian = true): void {
    const pages = address * PAGES_PER_BYTE;
    const page = pages & PAGE_MASK;
    const offset = address & OFFSET_MASK;
    const entry = this.entries[page];
    if ((entry & FAST_STORE) !== PTE_WRITE || offset > 4092 || pages - page !== offset * PAGES_PER_BYTE) {
      const position = this.storePosition(address, 4);
      if (position >= 0) {
        this.view.setInt32(position, value, littleEndian);
        return;
      }
      this.locate(address, 4, ACCESS_STORE).setInt32(this.position, value, littleEndian);
      if (this.staged) this.spill(address, 4);
      return;
    }
    this.view.setInt32((((entry & PTE_FRAME_MASK) << 2) | offset) >>> 0, value, littleEndian);
  }

  /** Loads a number of single precision. */ getFloat32(address: Address, littleEndian = true): number {
    const pages = address * PAGES_PER_BYTE;
    const page = pages & PAGE_MASK;
    const offset = address & OFFSET_MASK;
    const entry = this.entries[page];
    if ((entry & FAST_LOAD) !== PTE_READ || offset > 4092 || pages - page !== offset * PAGES_PER_BYTE) {
      return this.locate(address, 4, ACCESS_LOAD).getFloat32(this.position, littleEndian);
    }
    return this.view.getFloat32((((entry & PTE_FRAME_MASK) << 2) | offset) >>> 0, littleEndian);
  }

  /** Stores a number, rounded to 32 bits. */ setFloat32(address: Address, value: number, littleEndian = true): void {
    const pages = address * PAGES_PER_BYTE;
    const page = pages & PAGE_MASK;
    const offset = address & OFFSET_MASK;
    const entry = this.entries[page];
    if ((entry & FAST_STORE) !== PTE_WRITE || offset > 4092 || pages - page !== offset * PAGES_PER_BYTE) {
      this.locate(address, 4, ACCESS_STORE).setFloat32(this.position, value, littleEndian);
      if (this.staged) this.spill(address, 4);
      return;
    }
    this.view.setFloat32((((entry & PTE_FRAME_MASK) << 2) | offset) >>> 0, value, littleEndian);
  }

  /** Loads a number of double precision. */ getFloat64(address: Address, littleEndian = true): number {
    const pages = address * PAGES_PER_BYTE;
    const page = pages & PAGE_MASK;
    const offset = address & OFFSET_MASK;
    const entry = this.entries[page];
    if ((entry & FAST_LOAD) !== PTE_READ || offset > 4088 || pages - page !== offset * PAGES_PER_BYTE) {
      const position = this.matchedPosition(address, 8, this.matchedLoad);
      if (position >= 0) return this.view.getFloat64(position, littleEndian);
      return this.locate(address, 8, ACCESS_LOAD).getFloat64(this.position, littleEndian);
    }
    return this.view.getFloat64((((entry & PTE_FRAME_MASK) << 2) | offset) >>> 0, littleEndian);
  }

  /** Stores a number of double precision. */ setFloat64(address: Address, value: number, littleEndian = true): void {
    const pages = address * PAGES_PER_BYTE;
    const page = pages & PAGE_MASK;
    const offset = address & OFFSET_MASK;
    const entry = this.entries[page];
    if ((entry & FAST_STORE) !== PTE_WRITE || offset > 4088 || pages - page !== offset * PAGES_PER_BYTE) {
      const position = this.storePosition(address, 8);
      if (position >= 0) {
        this.view.setFloat64(position, value, littleEndian);
        return;
      }
      this.locate(address, 8, ACCESS_STORE).setFloat64(this.position, value, littleEndian);
      if (this.staged) this.spill(address, 8);
      return;
    }
    this.view.setFloat64((((entry & PTE_FRAME_MASK) << 2) | offset) >>> 0, value, littleEndian);
  }

  /** Loads an unsigned integer of 64 bits. */ getBigUint64(address: Address, littleEndian = true): bigint {
    const pages = address * PAGES_PER_BYTE;
    const page = pages & PAGE_MASK;
    const offset = address & OFFSET_MASK;
    const entry = this.entries[page];
    if ((entry & FAST_LOAD) !== PTE_READ || offset > 4088 || pages - page !== offset * PAGES_PER_BYTE) {
      return this.locate(address, 8, ACCESS_LOAD).getBigUint64(this.position, littleEndian);
    }
    return this.view.getBigUint64((((entry & PTE_FRAME_MASK) << 2) | offset) >>> 0, littleEndian);
  }

  /** Stores the low 64 bits of a bigint. */ setBigUint64(address: Address, value: bigint, littleEndian = true): void {
    const pages = address * PAGES_PER_BYTE;
    const page = pages & PAGE_MASK;
    const offset = address & OFFSET_MASK;
    const entry = this.entries[page];
    if ((entry & FAST_STORE) !== PTE_WRITE || offset > 4088 || pages - page !== offset * PAGES_PER_BYTE) {
      this.locate(address, 8, ACCESS_STORE).setBigUint64(this.position, value, littleEndian);
      if (this.staged) this.spill(address, 8);
      return;
    }
    this.view.setBigUint64((((entry & PTE_FRAME_MASK) << 2) | offset) >>> 0, value, littleEndian);
  }

  /** Loads a signed integer of 64 bits. */ getBigInt64(address: Address, littleEndian = true): bigint {
    const pages = address * PAGES_PER_BYTE;
    const page = pages & PAGE_MASK;
    const offset = address & OFFSET_MASK;
    const entry = this.entries[page];
    if ((entry & FAST_LOAD) !== PTE_READ || offset > 4088 || pages - page !== offset * PAGES_PER_BYTE) {
      return this.locate(address, 8, ACCESS_LOAD).getBigInt64(this.position, littleEndian);
    }
    return this.view.getBigInt64((((entry & PTE_FRAME_MASK) << 2) | offset) >>> 0, littleEndian);
  }

  /** Stores the low 64 bits of a bigint. */ setBigInt64(address: Address, value: bigint, littleEndian = true): void {
    const pages = address * PAGES_PER_BYTE;
    const page = pages & PAGE_MASK;
    const offset = address & OFFSET_MASK;
    const entry = this.entries[page];
    if ((entry & FAST_STORE) !== PTE_WRITE || offset > 4088 || pages - page !== offset * PAGES_PER_BYTE) {
      this.locate(address, 8, ACCESS_STORE).setBigInt64(this.position, value, littleEndian);
      if (this.staged) this.spill(address, 8);
      return;
    }
    this.view.setBigInt64((((entry & PTE_FRAME_MASK) << 2) | offset) >>> 0, value, littleEndian);
  }
  /** Copies `length` bytes, page by page upwards; overlapping ranges are copied as if through a buffer (memmove). */
  copy(to: Address, from: Address, length: ByteCount): void {
    bulk.copy(this, to, from, length);
  }

  /** Sets `length` bytes to `byte`, upwards (memset); what precedes a fault has been stored. */
  fill(address: Address, byte: number, length: ByteCount): void {
    bulk.fill(this, address, byte, length);
  }

  /** Repeats `pattern` over `length` bytes; the first byte of the range gets the first byte of the pattern. */
  fillPattern(address: Address, length: ByteCount, pattern: Uint8Array): void {
    bulk.fillPattern(this, address, length, pattern);
  }

  /** As memcmp: the sign of the first difference of two ranges. */
  compare(a: number, b: number, length: ByteCount): -1 | 0 | 1 {
    return bulk.compare(this, a, b, length);
  }

  /** A host copy of `length` bytes. */
  read(address: Address, length: ByteCount): Uint8Array {
    bulk.checkRange("read", length);
    const target = new Uint8Array(length);
    bulk.readInto(this, address, target);
    return target;
  }

  /** Fills `target` from memory. */
  readInto(address: Address, target: Uint8Array): void {
    bulk.readInto(this, address, target);
  }

  /** Stores the bytes of a host array. */
  write(address: Address, source: Uint8Array): void {
    bulk.write(this, address, source);
  }

  /** The UTF-8 text up to a NUL, or up to `maxLength` bytes if none came before. */
  readString(address: Address, maxLength: number = Number.MAX_SAFE_INTEGER): string {
    return bulk.readString(this, address, maxLength);
  }

  /** Stores `text` as UTF-8 with a NUL behind it. @returns bytes stored, the NUL included. */
  writeString(address: Address, text: string): number {
    return bulk.writeString(this, address, text);
  }

  /**
   * A view that holds the value at `address`, at `this.position`: RAM itself, or the stage if the access crosses a page
   * border. Both pages of such an access are made accessible before anything is stored.
   */
  private locate(address: Address, size: ByteCount, access: number): DataView {
    // Still set if an earlier store over a border threw at a value of the wrong type.
    this.staged = false;
    const position = this.hasShadow
      ? this.definedPosition(address, size, access)
      : access === ACCESS_LOAD
        ? this.matchedPosition(address, size, this.matchedLoad)
        : this.storePosition(address, size);
    if (position >= 0) {
      this.position = position;
      return this.view;
    }
    return this.locateSlowly(address, size, access);
  }

  /**
   * The second tier of a machine with validity bits, for an access inside one page of an untagged area: its position in the
   * first bank once its bytes are defined, or −1 if anything is out of the ordinary. A store that makes bytes defined is not.
   */
  private definedPosition(address: Address, size: ByteCount, access: number): number {
    const page = (address * PAGES_PER_BYTE) & PAGE_MASK;
    const offset = address & OFFSET_MASK;
    const entry = this.entries[page];
    const wanted = access === ACCESS_LOAD ? PTE_READ : PTE_WRITE;
    if ((entry & (wanted | PTE_MTE | PTE_BANK_MASK)) !== wanted || offset + size > PAGE_SIZE) return -1;
    if (page * PAGE_SIZE + offset !== address) return -1;
    const position = ((entry & PTE_FRAME_MASK) << 2) | offset;
    if (position < 0 || this.ignoresValidity) return position;
    const { undefinedBits } = this;
    const index = position >> 3;
    const mask = ((1 << size) - 1) << (position & 7);
    const low = undefinedBits[index];
    const high = mask > 0xff ? undefinedBits[index + 1] << 8 : 0;
    if (((low | high) & mask) === 0) return position;
    const observer = this.validityObserver;
    if (observer !== null) {
      if (access === ACCESS_LOAD || address < observer.addressableFrom || address + size > observer.addressableTo)
        return -1;
    } else if (access === ACCESS_LOAD) return position;
    undefinedBits[index] = low & ~mask;
    if (mask > 0xff) undefinedBits[index + 1] &= ~(mask >> 8);
    return position;
  }

  private locateSlowly(address: Address, size: ByteCount, access: number): DataView {
    const room = PAGE_SIZE - (address & OFFSET_MASK);
    if (this.validityObserver !== null) this.beginAccess(access === ACCESS_LOAD ? USE_LOAD : USE_STORE, address, size);
    if (size <= room) {
      this.position = this.translate(address, size, access);
      if (this.hasShadow) this.position = this.validate(address, size, access);
      return this.ram.views[this.bank];
    }
    const next = address + room;
    this.translate(address, room, access);
    this.translate(next, size - room, access);
    if (this.hasShadow) {
      this.translate(address, room, access);
      this.validate(address, room, access);
      this.translate(next, size - room, access);
      this.validate(next, size - room, access);
      // What a report's handler did to the first page.
      this.translate(address, room, access);
    }
    for (let i = 0; i < size; i++) this.stage.setUint8(i, this.byteUnchecked(address + i));
    this.position = 0;
    this.staged = access === ACCESS_STORE;
    return this.stage;
  }

  /** Reports or defines undefined bytes of the page just translated. @returns its position, which a report may have changed */
  private validate(address: Address, size: ByteCount, access: number): number {
    if (access === ACCESS_LOAD) this.useBytes(USE_LOAD, address, size);
    else this.defineBytes(address, size);
    return this.translateUnchecked(address, access);
  }

  /** Puts a staged store into its two pages. */
  private spill(address: Address, size: ByteCount): void {
    for (let i = 0; i < size; i++) this.setByteUnchecked(address + i, this.stage.getUint8(i));
  }

  private byteUnchecked(address: Address): number {
    const entry = this.entries[(address * PAGES_PER_BYTE) & PAGE_MASK];
    const bank = this.ram.banks[entry >>> PTE_BANK_SHIFT];
    return bank[(((entry & PTE_FRAME_MASK) << 2) | (address & OFFSET_MASK)) >>> 0];
  }

  private setByteUnchecked(address: Address, value: number): void {
    const entry = this.entries[(address * PAGES_PER_BYTE) & PAGE_MASK];
    const bank = this.ram.banks[entry >>> PTE_BANK_SHIFT];
    bank[(((entry & PTE_FRAME_MASK) << 2) | (address & OFFSET_MASK)) >>> 0] = value;
  }
}

outline(Memory, () => ({}));
