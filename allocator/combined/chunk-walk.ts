// Walks over all blocks of a heap, finding the chunk in each: for malloc_iterate, statistics and the invariants (S18.4).
// Reads simulated memory and changes nothing.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import type { ClassId } from "../common/integers.ts";
import { BLOCK_MARKER, classIdOf, HEADER_SIZE, STATE_ALLOCATED, stateOf } from "./chunk-header.ts";
import type { Allocator } from "./combined.ts";

/** What a walk tells of a block; `low` is the low word of its chunk's header, or `CORRUPTED_HEADER`. */
export type BlockVisitor = (classId: ClassId, block: Address, pointer: Address, low: number) => void;

/** The user pointer of the chunk in a block, by the marker that an aligned chunk leaves at the block's begin (S1.4). */
export function chunkOfBlock(allocator: Allocator, block: Address): Address {
  const { memory } = allocator;
  if (memory.getUint32(block) !== BLOCK_MARKER) return block + HEADER_SIZE;
  return block + HEADER_SIZE + memory.getUint32(block + 4);
}

/** Every carved block of every class but 0, by address in each region, then every large block in order of allocation. */
function forEachBlock(allocator: Allocator, visit: BlockVisitor): void {
  const { primary } = allocator;
  for (let classId = 1; classId < primary.classCount; classId++) forEachBlockOfClass(allocator, classId, visit);
  const { secondary } = allocator;
  for (let block = secondary.first; block !== 0; block = secondary.nextBlock(block)) {
    const pointer = block + HEADER_SIZE;
    visit(0, block, pointer, allocator.headers.load(allocator.memory, pointer));
  }
}

/** Every carved block of one class of the primary. */
export function forEachBlockOfClass(allocator: Allocator, classId: ClassId, visit: BlockVisitor): void {
  const { regions, blockSizes } = allocator.primary;
  const size = blockSizes[classId];
  const end = regions.begin[classId] + regions.carved[classId];
  for (let block = regions.begin[classId]; block < end; block += size) {
    const pointer = chunkOfBlock(allocator, block);
    // A marker's distance may be damaged: a chunk outside its block is skipped. One of size 0 may begin at the block's end.
    const isInside = pointer % 16 === 0 && pointer <= block + size;
    const chunk = isInside ? pointer : block + HEADER_SIZE;
    visit(classId, block, chunk, allocator.headers.load(allocator.memory, chunk));
  }
}

/**
 * Visits every allocated chunk whose *block* begins in `[base, base + size)`: address and requested size. Two
 * adjacent ranges report each chunk once. Quarantine batches are chunks too.
 */
export function iterateChunks(
  allocator: Allocator,
  base: Address,
  size: ByteCount,
  visit: (pointer: Address, size: ByteCount) => void,
): void {
  forEachBlock(allocator, (classId, block, pointer, low) => {
    if (block < base || block >= base + size) return;
    if (stateOf(low) !== STATE_ALLOCATED || classIdOf(low) !== classId) return;
    visit(pointer, allocator.sizeOf(pointer, low));
  });
}
