// Reallocation: in place, by moving a large chunk's pages, or by copying (S5). A function over the combined allocator.
// Null pointers, size 0 and errno are handled in c-interface.ts.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { PAGE_SIZE } from "../../platform/hardware/layout.ts";
import { FILL_NONE, FILL_ZERO, fillMemory, rotatedPattern } from "../common/fill.ts";
import { HeapError } from "../common/heap-error.ts";
import type { Program } from "../common/program.ts";
import {
  reportAllocationSizeTooBig,
  reportDeadlock,
  reportDeallocTypeMismatch,
  reportMisalignedPointer,
} from "../common/report.ts";
import { MAX_SIZE } from "./arguments.ts";
import { classIdOf, HEADER_SIZE, ORIGIN_MALLOC, originOf, packLow, STATE_ALLOCATED, stateOf } from "./chunk-header.ts";
import type { Allocator } from "./combined.ts";

const ALIGNMENT = 16;

/**
 * Makes the chunk at `pointer` `newSize` bytes long. It stays where it is if its block has room and no page would be saved
 * (S5.3); a large chunk's pages are moved, not copied, and so stay as sparse as they were.
 * @returns the chunk's pointer; 0: no memory, and the old chunk is untouched
 */
export function reallocate(allocator: Allocator, pointer: Address, newSize: ByteCount): number {
  const moved = moveSmall(allocator, pointer, newSize);
  if (moved !== 0) return moved;
  try {
    return resize(allocator, pointer, newSize);
  } catch (error) {
    allocator.noteRefusal(pointer, error);
    throw error;
  }
}

/**
 * The direct way of a small chunk that moves: {@link copyToNew} with one look at its header.
 * @returns 0, with nothing done, for all that has anything unusual about it
 */
function moveSmall(allocator: Allocator, pointer: Address, newSize: ByteCount): number {
  const keptSize = allocator.movableSize(pointer, newSize);
  if (keptSize < 0) return 0;
  allocator.program.deliverReports();
  const fresh = allocator.allocateDirectly(newSize, ORIGIN_MALLOC);
  if (fresh === 0) return 0;
  copyOrDiscard(allocator, fresh, pointer, Math.min(keptSize, newSize));
  if (!allocator.freeDirectly(pointer, ORIGIN_MALLOC)) {
    const low = allocator.headers.load(allocator.memory, pointer);
    endOld(allocator, pointer, low, 0, fresh);
  }
  return fresh;
}

function resize(allocator: Allocator, pointer: Address, newSize: ByteCount): number {
  if (newSize >= MAX_SIZE) {
    if (allocator.mayReturnNull) return 0;
    reportAllocationSizeTooBig(newSize, 0, MAX_SIZE, allocator.reports);
  }
  const plain = allocator.untag(pointer);
  if ((plain & (ALIGNMENT - 1)) !== 0) reportMisalignedPointer("reallocating", plain, allocator.reports);
  const low = allocator.loadHeader(plain, "reallocating");
  const { offset } = allocator.headers;
  if (stateOf(low) !== STATE_ALLOCATED) allocator.reportState("reallocating", plain, low);
  if (allocator.options.flags.dealloc_type_mismatch && originOf(low) !== ORIGIN_MALLOC) {
    reportDeallocTypeMismatch("reallocating", plain, originOf(low), 0, allocator.reports);
  }
  allocator.checkTag(pointer, plain, low, "reallocating");
  if (classIdOf(low) === 0) allocator.secondary.checkHeader(plain - HEADER_SIZE);
  allocator.program.deliverReports();
  const oldSize = allocator.sizeOf(plain, low);
  const blockEnd = allocator.blockEnd(plain, low, offset);
  if (plain + newSize <= blockEnd && (newSize > oldSize || oldSize - newSize < PAGE_SIZE)) {
    resizeInPlace(allocator, plain, low, offset, oldSize, newSize, blockEnd);
    return allocator.resizedPointer(plain, pointer);
  }
  const mayMove = classIdOf(low) === 0 && allocator.options.largeRealloc === "mremap";
  const moved = mayMove ? moveLarge(allocator, plain, low, oldSize, newSize, blockEnd) : 0;
  if (moved !== 0) return allocator.resizedPointer(moved, pointer);
  return copyToNew(allocator, plain, low, offset, newSize);
}

/** S5.4, S5.5: what is given up is filled; growth relies on the block having been filled whole. */
function resizeInPlace(
  allocator: Allocator,
  plain: Address,
  low: number,
  offset: number,
  oldSize: ByteCount,
  newSize: ByteCount,
  blockEnd: Address,
): void {
  const { program } = allocator;
  const fill = allocator.currentFill;
  const isFilled = newSize < oldSize && fill !== FILL_NONE;
  // What is written below has its frames first, so that nothing can stop after the first store.
  program.touch(plain - HEADER_SIZE);
  if (isFilled) program.prepare(plain + newSize, oldSize - newSize);
  allocator.prepareResize(plain, low, oldSize, newSize);
  if (isFilled) fillTail(allocator, plain + newSize, oldSize - newSize, fill);
  allocator.noteResize(plain, low, oldSize, newSize);
  const sizeOrUnused = classIdOf(low) === 0 ? blockEnd - (plain + newSize) : newSize;
  const newLow = packLow(classIdOf(low), STATE_ALLOCATED, originOf(low), sizeOrUnused);
  allocator.headers.store(allocator.memory, plain, newLow, offset);
}

/** S5.6. A failure on the way, e.g. no frame for a page of the new chunk, leaves the old one as it was. */
function copyToNew(allocator: Allocator, plain: Address, low: number, offset: number, newSize: ByteCount): number {
  const fresh = allocator.allocate(newSize, ORIGIN_MALLOC, ALIGNMENT, false);
  if (fresh === 0) return 0;
  copyOrDiscard(allocator, fresh, plain, Math.min(allocator.promisedSize(plain, low, offset), newSize));
  allocator.noteCopy(fresh, allocator.sizeOf(plain, low), newSize, plain);
  allocator.headers.load(allocator.memory, plain);
  endOld(allocator, plain, low, offset, fresh);
  return fresh;
}

/** Copies to a fresh chunk, which goes if that fails. */
function copyOrDiscard(allocator: Allocator, fresh: Address, plain: Address, length: ByteCount): void {
  try {
    allocator.memory.copy(fresh, plain, length);
  } catch (error) {
    allocator.discard(fresh);
    throw error;
  }
}

/** Frees a chunk that was copied to `fresh`, and whose header was the last to be loaded. */
function endOld(allocator: Allocator, plain: Address, low: number, offset: number, fresh: Address): void {
  try {
    allocator.quarantineOrDeallocate(plain, low, offset);
  } catch (error) {
    // What stopped the free before it began leaves the old chunk, and so the new one goes. Later the old one is gone.
    if (allocator.isAllocated(plain)) allocator.discard(fresh);
    else if (error instanceof HeapError) error.movedTo = fresh;
    throw error;
  }
}

/**
 * Moves a large chunk's mapping, if the new chunk is large too and clean pages of the mapping read as new ones must. The
 * chunk keeps its place within its pages, so that up to a page of slack may lie between its end and the guard page.
 * @returns the new address without tag; 0: not moved, and nothing has changed
 */
function moveLarge(
  allocator: Allocator,
  plain: Address,
  low: number,
  oldSize: ByteCount,
  newSize: ByteCount,
  blockEnd: Address,
): number {
  const { secondary, program, largeSlack } = allocator;
  const fill = allocator.currentFill;
  const block = plain - HEADER_SIZE;
  if (Math.ceil(newSize / ALIGNMENT) * ALIGNMENT + HEADER_SIZE <= allocator.primary.config.sizeClassMap.maxSize)
    return 0;
  if (!secondary.readsAs(block, fill)) return 0;
  // It stands for an allocation and a free, which a disabled heap does not take.
  if (allocator.registry.disabled) reportDeadlock(allocator.reports);
  // Scudo's new mapping would read zero behind the old bytes even in pattern mode (S14.3).
  const tailFill = allocator.options.largeFill === "scudo" && fill !== FILL_NONE ? FILL_ZERO : fill;
  // Bytes on the pages that move which do not read as fresh ones must: behind the chunk, or given up by it.
  const keptSize = allocator.promisedSize(plain, low, 0);
  const tailBegin = Math.min(keptSize, newSize);
  const tailEnd =
    newSize > oldSize ? Math.min(newSize, blockEnd - plain) : Math.min(oldSize, endOfPage(plain, newSize + largeSlack));
  if (newSize < oldSize) prepareTouched(program, plain + tailBegin, plain + tailEnd);
  else if (tailFill !== FILL_NONE) fillTouched(allocator, plain + tailBegin, plain + tailEnd, tailFill);
  const mapping = secondary.move(block, plain, oldSize, newSize, largeSlack);
  if (mapping === null) return 0;
  const moved = mapping.block + HEADER_SIZE;
  const unused = mapping.commitEnd - (moved + newSize);
  if (newSize < oldSize && tailFill !== FILL_NONE) fillTouched(allocator, moved + tailBegin, moved + tailEnd, tailFill);
  const newLow = packLow(0, STATE_ALLOCATED, originOf(low), unused);
  allocator.headers.store(allocator.memory, moved, newLow, 0);
  allocator.noteMove(moved, newLow, oldSize, newSize, plain);
  return moved;
}

/** The offset from `plain` at which the page of its byte `offset` ends; a whole number of pages is no page more. */
function endOfPage(plain: Address, offset: number): number {
  return Math.ceil((plain + offset) / PAGE_SIZE) * PAGE_SIZE - plain;
}

/** Makes touched pages of a range the process's own. @throws OutOfMemoryError */
function prepareTouched(program: Program, from: Address, end: Address): void {
  for (let at = from; at < end; at = nextPage(at)) if (program.isTouched(at)) program.touch(wordAt(at));
}

/** Fills what a range has of touched pages; clean ones read right as they are. */
function fillTouched(allocator: Allocator, from: Address, end: Address, mode: number): void {
  for (let at = from; at < end; at = nextPage(at)) {
    if (allocator.program.isTouched(at)) fillTail(allocator, at, Math.min(end, nextPage(at)) - at, mode);
  }
}

function nextPage(address: Address): number {
  return (Math.floor(address / PAGE_SIZE) + 1) * PAGE_SIZE;
}

/** The aligned word that a byte lies in. */
function wordAt(address: Address): number {
  return address - (address % 4);
}

function fillTail(allocator: Allocator, address: Address, length: ByteCount, mode: number): void {
  fillMemory(allocator.memory, address, length, mode, rotatedPattern(allocator.pattern, address));
}
