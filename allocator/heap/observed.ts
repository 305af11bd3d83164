// What hooks and kept stacks see of allocations and frees (S26.1): those that happen, no refused one.
// Heaps without hooks and stacks never come here.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { MAX_SIZE } from "../combined/arguments.ts";
import { classIdOf, HEADER_SIZE, ORIGIN_MALLOC, ORIGIN_MEMALIGN, originOf } from "../combined/chunk-header.ts";
import { reallocate } from "../combined/reallocate.ts";
import { HeapError } from "../common/heap-error.ts";
import type { HeapParts } from "./parts.ts";
import { requireAlive } from "./parts.ts";

export function noteAllocation({ stackTable, hooks }: HeapParts, pointer: Address, size: ByteCount): void {
  stackTable?.recordAllocation(pointer);
  hooks.allocate?.(pointer, size);
}

/**
 * A free: the hook hears of it before, the stack is kept after. A free that lack of memory interrupts, which nothing can foresee, is
 * announced back as realloc's failure is: as an allocation of what is still there.
 */
export function freeObserved(parts: HeapParts, pointer: Address, origin: number, size: ByteCount): void {
  const { allocator, hooks, stackTable } = parts;
  if (pointer === 0) {
    requireAlive(parts);
    hooks.deallocate?.(0);
    return;
  }
  allocator.program.deliverReports();
  const isRefused = willBeRefused(parts, pointer, origin, size);
  const oldSize = isRefused ? 0 : allocator.usableSize(pointer);
  if (!isRefused) hooks.deallocate?.(pointer);
  try {
    allocator.deallocate(pointer, origin, size);
  } catch (error) {
    if (isRefused) throw error;
    if (allocator.isOwned(pointer)) hooks.allocate?.(pointer, oldSize);
    // The report was about another chunk, which the quarantine looked at again: this one is freed.
    else stackTable?.recordFree(pointer);
    throw error;
  }
  stackTable?.recordFree(pointer);
}

/** Whether the allocator will answer any call that ends a chunk with a report about this very one. */
function isRefusedAnyway({ allocator }: HeapParts, pointer: Address): boolean {
  if (!allocator.isOwned(pointer) || allocator.registry.disabled) return true;
  const plain = allocator.untag(pointer);
  const isLarge = classIdOf(allocator.headers.load(allocator.memory, plain)) === 0;
  return isLarge && !allocator.secondary.isSound(plain - HEADER_SIZE);
}

/** Whether the allocator will answer a free with a report about this very chunk. */
function willBeRefused(parts: HeapParts, pointer: Address, origin: number, size: ByteCount): boolean {
  if (isRefusedAnyway(parts, pointer)) return true;
  const { allocator } = parts;
  const { flags } = parts.options;
  const plain = allocator.untag(pointer);
  const low = allocator.headers.load(allocator.memory, plain);
  const made = originOf(low);
  const isOfOrigin = made === origin || (made === ORIGIN_MEMALIGN && origin === ORIGIN_MALLOC);
  if (flags.dealloc_type_mismatch && !isOfOrigin) return true;
  return flags.delete_size_mismatch && size !== 0 && allocator.sizeOf(plain, low) !== size;
}

/** As {@link willBeRefused} of a realloc: what new and memalign made is not its to resize. */
function reallocWillBeRefused(parts: HeapParts, pointer: Address, size: ByteCount): boolean {
  if (isRefusedAnyway(parts, pointer)) return true;
  const { allocator } = parts;
  if (size >= MAX_SIZE && !allocator.mayReturnNull) return true;
  const low = allocator.headers.load(allocator.memory, allocator.untag(pointer));
  return parts.options.flags.dealloc_type_mismatch && originOf(low) !== ORIGIN_MALLOC;
}

/**
 * A realloc of a non-null pointer to a non-zero size: the old pointer is announced as freed first; on failure it is announced again
 * as allocated. @returns 0 if there is no memory
 */
export function reallocObserved(parts: HeapParts, pointer: Address, size: ByteCount): number {
  const { allocator } = parts;
  allocator.program.deliverReports();
  if (reallocWillBeRefused(parts, pointer, size)) {
    const resized = reallocate(allocator, pointer, size);
    // A disabled heap still resizes what can stay where it is.
    if (resized === 0) return 0;
    announceEnd(parts, pointer);
    noteResize(parts, pointer, resized, size);
    return resized;
  }
  const oldSize = allocator.usableSize(pointer);
  announceEnd(parts, pointer);
  try {
    const moved = reallocate(allocator, pointer, size);
    if (moved !== 0) noteResize(parts, pointer, moved, size);
    else announceResize(parts, pointer, pointer, oldSize);
    return moved;
  } catch (error) {
    if (error instanceof HeapError && error.movedTo !== null) noteResize(parts, pointer, error.movedTo, size);
    else if (allocator.isOwned(pointer)) announceResize(parts, pointer, pointer, oldSize);
    throw error;
  }
}

function announceEnd({ hooks }: HeapParts, pointer: Address): void {
  if (hooks.reallocDeallocate !== undefined) hooks.reallocDeallocate(pointer);
  else hooks.deallocate?.(pointer);
}

function noteResize(parts: HeapParts, pointer: Address, moved: number, size: ByteCount): void {
  const { stackTable } = parts;
  if (moved !== pointer) stackTable?.recordFree(pointer);
  stackTable?.recordAllocation(moved);
  announceResize(parts, pointer, moved, size);
}

function announceResize({ hooks }: HeapParts, pointer: Address, announced: number, size: ByteCount): void {
  if (hooks.reallocAllocate !== undefined) hooks.reallocAllocate(pointer, announced, size);
  else hooks.allocate?.(announced, size);
}
