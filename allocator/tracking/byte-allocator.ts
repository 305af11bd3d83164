// The allocator of a heap that tracks each byte. Every byte outside live chunks counts as undefined, and so do those of a live chunk
// until they are written: so malloc has nothing to mark, a free marks what it gives back, calloc marks its zeroes defined.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { GRANULE_SIZE, PAGE_SIZE } from "../../platform/hardware/layout.ts";
import { keepClass } from "../../platform/state/kept.ts";
import { classIdOf, HEADER_SIZE, originOf, sizeOrUnusedOf } from "../combined/chunk-header.ts";
import { TrackedAllocator } from "./tracked-allocator.ts";
import {
  markAllUndefined,
  markRangeDefined,
  markRangeUndefined,
  markShortUndefined,
  ownPages,
} from "./undefined-bytes.ts";

export class ByteAllocator extends TrackedAllocator {
  /** A chunk of the direct way is announced here, every other one by {@link allocate}. */
  override allocateDirectly(size: ByteCount, origin: number): Address {
    const pointer = super.allocateDirectly(size, origin);
    if (pointer !== 0) this.chunkObserver?.chunkAllocated(pointer, size);
    return pointer;
  }

  /** A chunk that moves takes along what is known of its bytes, by {@link noteCopy}: the whole way does that. */
  override movableSize(): ByteCount {
    return -1;
  }

  override allocate(size: ByteCount, origin: number, alignment: number, zeroContents: boolean): Address {
    if (alignment <= GRANULE_SIZE && !zeroContents) {
      const direct = this.allocateDirectly(size, origin);
      if (direct !== 0) return direct;
    }
    const pointer = this.allocateSlowly(size, origin, alignment, zeroContents);
    if (pointer === 0) return 0;
    if (zeroContents) this.defineZeroes(pointer, size);
    this.chunkObserver?.chunkAllocated(pointer, size);
    return pointer;
  }

  /** calloc's bytes count as written. A large one's zero pages do already: its header's page and its tail must not. */
  private defineZeroes(pointer: Address, size: ByteCount): void {
    const { memory } = this;
    if (classIdOf(this.headers.load(memory, pointer)) !== 0) {
      markRangeDefined(memory, this.program.process.addressSpace, pointer, size);
      return;
    }
    const block = pointer - HEADER_SIZE;
    const begin = this.secondary.commitBase(block);
    const tail = Math.min(this.secondary.blockEnd(block) - (pointer + size), PAGE_SIZE);
    try {
      markAllUndefined(memory, begin, pointer - begin);
      if (tail > 0) markAllUndefined(memory, pointer + size, tail);
    } catch (error) {
      this.secondary.deallocate(block);
      throw error;
    }
  }

  /** The bits of pages that a fork left shared are another process's too: such pages become the process's own first. */
  protected override beginFree(pointer: Address, low: number, offset: number): number {
    if (classIdOf(low) !== 0) ownPages(this.memory, pointer, sizeOrUnusedOf(low));
    return super.beginFree(pointer, low, offset);
  }

  protected override noteFree(pointer: Address, low: number): void {
    const size = this.sizeOf(pointer, low);
    // To the end of the granule: what is behind a chunk is undefined as it is, and whole groups of bits are set faster.
    const { addressSpace } = this.program.process;
    if (classIdOf(low) !== 0)
      markShortUndefined(this.memory, addressSpace, pointer, Math.ceil(size / GRANULE_SIZE) * GRANULE_SIZE);
    this.chunkObserver?.chunkFreed(pointer, size, originOf(low));
  }

  override prepareResize(pointer: Address, _low: number, oldSize: ByteCount, newSize: ByteCount): void {
    if (newSize < oldSize) ownPages(this.memory, pointer + newSize, oldSize - newSize);
  }

  override noteResize(pointer: Address, low: number, oldSize: ByteCount, newSize: ByteCount): void {
    this.markGivenUp(pointer, low, oldSize, newSize);
    this.chunkObserver?.chunkResized(pointer, oldSize, newSize, pointer);
  }

  override noteMove(pointer: Address, low: number, oldSize: ByteCount, newSize: ByteCount, oldPointer: Address): void {
    this.markGivenUp(pointer, low, oldSize, newSize);
    this.chunkObserver?.chunkResized(pointer, oldSize, newSize, oldPointer);
  }

  /** A moved chunk's pages end with the new size's; those behind are not there any more. */
  private markGivenUp(pointer: Address, low: number, oldSize: ByteCount, newSize: ByteCount): void {
    if (newSize >= oldSize) return;
    const end = Math.min(pointer + oldSize, this.blockEnd(pointer, low, this.headers.offset));
    if (end <= pointer + newSize) return;
    markRangeUndefined(this.memory, this.program.process.addressSpace, pointer + newSize, end - pointer - newSize);
  }

  override noteCopy(pointer: Address, oldSize: ByteCount, newSize: ByteCount, oldPointer: Address): void {
    this.chunkObserver?.chunkResized(pointer, oldSize, newSize, oldPointer);
  }
}

keepClass("ByteAllocator", ByteAllocator);
