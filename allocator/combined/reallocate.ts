// Reallocation: in place, by moving a large chunk's pages, or by copying (S5). A function over the combined allocator.
// Null pointers, size 0 and errno are C's business (c-interface.ts).

import { FILL_NONE, FILL_ZERO, fillMemory, rotatedPattern } from "../common/fill.ts";
import { HeapError } from "../common/heap-error.ts";
import { reportAllocationSizeTooBig, reportDeallocTypeMismatch, reportMisalignedPointer } from "../common/report.ts";
import { classIdOf, HEADER_SIZE, ORIGIN_MALLOC, originOf, packLow, STATE_ALLOCATED, stateOf } from "./chunk-header.ts";
import { type Allocator, MAX_SIZE } from "./combined.ts";

const ALIGNMENT = 16;
const PAGE_SIZE = 4096;

/**
 * Makes the chunk at `pointer` `newSize` bytes long. It stays where it is if its block has room and no page would be saved
 * (S5.3); a large chunk's pages are moved, not copied, and so stay as sparse as they were.
 * @returns the chunk's address; 0: no memory, and the old chunk is untouched
 */
export function reallocate(allocator: Allocator, pointer: number, newSize: number): number {
  if (newSize >= MAX_SIZE) {
    if (allocator.mayReturnNull) return 0;
    reportAllocationSizeTooBig(newSize, 0, MAX_SIZE, allocator.reports);
  }
  if ((pointer & (ALIGNMENT - 1)) !== 0) reportMisalignedPointer("reallocating", pointer, allocator.reports);
  const low = allocator.headers.load(allocator.memory, pointer);
  const offset = allocator.headers.offset;
  if (stateOf(low) !== STATE_ALLOCATED) allocator.reportState("reallocating", pointer, low);
  if (allocator.options.flags.dealloc_type_mismatch && originOf(low) !== ORIGIN_MALLOC) {
    reportDeallocTypeMismatch("reallocating", pointer, originOf(low), 0, allocator.reports);
  }
  const oldSize = allocator.sizeOf(pointer, low);
  const blockEnd = allocator.blockEnd(pointer, low, offset);
  if (pointer + newSize <= blockEnd && (newSize > oldSize || oldSize - newSize < PAGE_SIZE)) {
    resizeInPlace(allocator, pointer, low, offset, oldSize, newSize, blockEnd);
    return pointer;
  }
  const mayMove = classIdOf(low) === 0 && allocator.options.largeRealloc === "mremap";
  const moved = mayMove ? moveLarge(allocator, pointer, oldSize, newSize, blockEnd) : 0;
  return moved !== 0 ? moved : copyToNew(allocator, pointer, low, offset, oldSize, newSize);
}

/** S5.4, S5.5: what is given up is filled; growth relies on the block having been filled whole. */
function resizeInPlace(
  allocator: Allocator,
  pointer: number,
  low: number,
  offset: number,
  oldSize: number,
  newSize: number,
  blockEnd: number,
): void {
  const fill = allocator.currentFill;
  if (newSize < oldSize && fill !== FILL_NONE) {
    // Less than a page: with its ends and the header touched, nothing can stop half-way.
    allocator.program.touch(pointer - HEADER_SIZE);
    allocator.program.touch(wordAt(pointer + newSize));
    allocator.program.touch(wordAt(pointer + oldSize - 1));
    fillTail(allocator, pointer + newSize, oldSize - newSize, fill);
  }
  const sizeOrUnused = classIdOf(low) === 0 ? blockEnd - (pointer + newSize) : newSize;
  const newLow = packLow(classIdOf(low), STATE_ALLOCATED, originOf(low), sizeOrUnused);
  allocator.headers.store(allocator.memory, pointer, newLow, offset);
  allocator.noteResize(pointer, oldSize, newSize);
}

/** S5.6. A failure on the way, e.g. no frame for a page of the new chunk, leaves the old one as it was. */
function copyToNew(
  allocator: Allocator,
  pointer: number,
  low: number,
  offset: number,
  oldSize: number,
  newSize: number,
): number {
  const fresh = allocator.allocate(newSize, ORIGIN_MALLOC, ALIGNMENT, false);
  if (fresh === 0) return 0;
  try {
    allocator.memory.copy(fresh, pointer, Math.min(oldSize, newSize));
  } catch (error) {
    allocator.deallocate(fresh, ORIGIN_MALLOC, 0);
    throw error;
  }
  allocator.noteCopy(fresh, oldSize, newSize);
  try {
    allocator.headers.load(allocator.memory, pointer);
    allocator.quarantineOrDeallocate(pointer, low, offset);
  } catch (error) {
    // What stopped the free before it began leaves the old chunk, and so the new one goes. Later it is gone for good.
    if (allocator.headers.load(allocator.memory, pointer) === low) allocator.deallocate(fresh, ORIGIN_MALLOC, 0);
    else if (error instanceof HeapError) error.movedTo = fresh;
    throw error;
  }
  return fresh;
}

/**
 * Moves a large chunk's mapping, if the new chunk is large too and clean pages of the mapping read as new ones must. The
 * chunk keeps its place within its pages, so that up to a page of slack may lie between its end and the guard page.
 */
function moveLarge(allocator: Allocator, pointer: number, oldSize: number, newSize: number, blockEnd: number): number {
  const fill = allocator.currentFill;
  const block = pointer - HEADER_SIZE;
  const { secondary } = allocator;
  if (Math.ceil(newSize / ALIGNMENT) * ALIGNMENT + HEADER_SIZE <= allocator.primary.config.sizeClassMap.maxSize)
    return 0;
  if (!secondary.readsAs(block, fill)) return 0;
  const tail = Math.min(newSize, blockEnd - pointer) - oldSize;
  // Scudo's new mapping would read zero there even in pattern mode (S14.3).
  const tailFill = allocator.options.largeFill === "none" && fill !== FILL_NONE ? FILL_ZERO : fill;
  if (tail > 0 && tailFill !== FILL_NONE) fillTail(allocator, pointer + oldSize, tail, tailFill);
  const moved = secondary.move(block, pointer, newSize + allocator.largeSlack);
  if (moved === 0) return 0;
  const user = moved + HEADER_SIZE;
  const unused = secondary.blockEnd(moved) - (user + newSize);
  allocator.headers.store(allocator.memory, user, packLow(0, STATE_ALLOCATED, ORIGIN_MALLOC, unused), 0);
  allocator.noteResize(user, oldSize, newSize);
  return user;
}

/** The aligned word that a byte lies in. */
function wordAt(address: number): number {
  return address - (address % 4);
}

function fillTail(allocator: Allocator, address: number, length: number, mode: number): void {
  fillMemory(allocator.memory, address, length, mode, rotatedPattern(allocator.pattern, address));
}
