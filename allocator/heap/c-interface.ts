// C's allocation functions over a heap's parts: argument rules and errno (S16), and C++'s operators (S17).
// What hooks and stacks see is observed.ts; what the functions mean to a user stands in heap.ts.

import { type OptionKinds, requireOptions } from "../../platform/hardware/given-options.ts";
import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { PAGE_SIZE } from "../../platform/hardware/layout.ts";
import { ERRNO } from "../../platform/kernel/abi/errors.ts";
import {
  checkPointer,
  checkSize,
  isPointer,
  isPowerOfTwo,
  isSize,
  rejectPointer,
  rejectSize,
  SIZE_LIMIT,
} from "../combined/arguments.ts";
import { ORIGIN_MALLOC, ORIGIN_MEMALIGN, ORIGIN_NEW, ORIGIN_NEW_ARRAY } from "../combined/chunk-header.ts";
import { reallocate } from "../combined/reallocate.ts";
import * as reports from "../common/report.ts";
import { storeWord } from "../common/words.ts";
import { compileWays } from "../compiled/compile.ts";
import { freeObserved, noteAllocation, reallocObserved } from "./observed.ts";
import type { HeapParts } from "./parts.ts";
import { requireAlive } from "./parts.ts";

const MIN_ALIGNMENT = 16;
/** sizeof(void *), which posix_memalign's alignments are multiples of. */
const POINTER_SIZE = 8;
const { EINVAL, ENOMEM } = ERRNO;

/** Which operator new or delete, and the alignment and size of its aligned and sized forms. */
export interface OperatorOptions {
  /** The `[]` form. */
  readonly array?: boolean;
  /** A power of two. new aligns to it; delete ignores it, as the reference version does (S17.2). */
  readonly alignment?: number;
  /** delete only: the size of the sized form; 0 or absent: not given. */
  readonly size?: ByteCount;
}

export const PLAIN_OPERATOR: OperatorOptions = {};
const OPERATOR_OPTIONS: OptionKinds = { array: "boolean", alignment: "number", size: "number" };

export function malloc(parts: HeapParts, size: ByteCount): number {
  const { compiled } = parts;
  // `size >>> 0` differs from what is no whole number of 32 bits: that is judged below.
  if (compiled !== null && typeof size === "number" && size >>> 0 === size) {
    const pointer = compiled.allocate(compiled.area, size);
    if (pointer !== 0) return pointer;
  }
  return mallocAnyway(parts, size);
}

/** The first whole way of a heap's is the last one where it can be: what follows is compiled. */
function compile(parts: HeapParts): void {
  const { family } = parts;
  // An ended heap's family is still there.
  if (parts.ended !== null) return;
  if (parts.compiled === null && !parts.isObserved && (family.kind === "plain" || family.kind === "tagged"))
    parts.compiled = compileWays(family.allocator);
}

/** What the compiled ways found unusual may be that their gate is closed, or that the heap has become another. */
function settle(parts: HeapParts): void {
  const { compiled } = parts;
  if (compiled === null || compiled.settle()) return;
  compiled.end();
  parts.compiled = null;
}

/** Apart from the compiled way, so that heaps of other kinds in the process do not change what the engine makes of that one. */
function mallocAnyway(parts: HeapParts, size: ByteCount): number {
  if (!parts.isObserved && typeof size === "number" && size >>> 0 === size) {
    settle(parts);
    const direct = parts.allocator.allocateDirectly(size, ORIGIN_MALLOC);
    if (direct !== 0) return direct;
    compile(parts);
  }
  if (!isSize(size)) rejectSize("malloc", "size", size);
  const pointer = parts.allocator.allocate(size, ORIGIN_MALLOC, MIN_ALIGNMENT, false);
  return pointer !== 0 && !parts.isObserved ? pointer : finish(parts, pointer, size);
}

export function calloc(parts: HeapParts, count: number, size: ByteCount): number {
  checkSize("calloc", "count", count);
  checkSize("calloc", "size", size);
  const total = count * size;
  const { compiled } = parts;
  if (compiled !== null && total >>> 0 === total) {
    const pointer = compiled.allocateZeroed(compiled.area, total);
    if (pointer !== 0) return pointer;
    settle(parts);
  }
  compile(parts);
  const { allocator } = parts;
  if (total >= SIZE_LIMIT) {
    if (!allocator.mayReturnNull) reports.reportCallocOverflow(count, size, allocator.reports);
    return fail(parts, ENOMEM);
  }
  return finish(parts, allocator.allocate(total, ORIGIN_MALLOC, MIN_ALIGNMENT, true), total);
}

export function free(parts: HeapParts, pointer: Address): void {
  const { compiled } = parts;
  if (compiled !== null && typeof pointer === "number") {
    if (compiled.free(compiled.area, pointer) !== 0) return;
  }
  freeAnyway(parts, pointer);
}

function freeAnyway(parts: HeapParts, pointer: Address): void {
  settle(parts);
  // An address that is no pointer has no chunk: the direct way takes it for an unusual one, and it is judged below.
  if (!parts.isObserved && typeof pointer === "number" && parts.allocator.freeDirectly(pointer, ORIGIN_MALLOC)) return;
  if (!isPointer(pointer)) rejectPointer("free", pointer);
  end(parts, pointer, ORIGIN_MALLOC, 0);
}

export function free_sized(parts: HeapParts, pointer: Address, size: ByteCount): void {
  checkPointer("free_sized", pointer);
  checkSize("free_sized", "size", size);
  end(parts, pointer, ORIGIN_MALLOC, size);
}

export function free_aligned_sized(parts: HeapParts, pointer: Address, alignment: number, size: ByteCount): void {
  checkPointer("free_aligned_sized", pointer);
  checkSize("free_aligned_sized", "alignment", alignment);
  checkSize("free_aligned_sized", "size", size);
  if (alignment !== 0 && pointer % alignment !== 0) {
    reports.reportAlignedFreeMismatch(pointer, alignment, parts.allocator.reports);
  }
  end(parts, pointer, ORIGIN_MALLOC, size);
}

export function realloc(parts: HeapParts, pointer: Address, size: ByteCount): number {
  checkPointer("realloc", pointer);
  checkSize("realloc", "size", size);
  if (pointer === 0) return malloc(parts, size);
  if (size === 0) {
    free(parts, pointer);
    return 0;
  }
  const moved = parts.isObserved ? reallocObserved(parts, pointer, size) : reallocate(parts.allocator, pointer, size);
  return moved !== 0 ? moved : fail(parts, ENOMEM);
}

export function reallocarray(parts: HeapParts, pointer: Address, count: number, size: ByteCount): number {
  checkSize("reallocarray", "count", count);
  checkSize("reallocarray", "size", size);
  const total = count * size;
  if (total >= SIZE_LIMIT) {
    const { allocator } = parts;
    if (!allocator.mayReturnNull) reports.reportReallocarrayOverflow(count, size, allocator.reports);
    return fail(parts, ENOMEM);
  }
  return realloc(parts, pointer, total);
}

export function memalign(parts: HeapParts, alignment: number, size: ByteCount): number {
  checkSize("memalign", "alignment", alignment);
  checkSize("memalign", "size", size);
  const { allocator } = parts;
  let boundary = alignment;
  if (!isPowerOfTwo(alignment)) {
    if (allocator.options.config.name !== "android") {
      if (!allocator.mayReturnNull) reports.reportAlignmentNotPowerOfTwo(alignment, allocator.reports);
      return fail(parts, EINVAL);
    }
    boundary = alignment === 0 ? 1 : 2 ** Math.ceil(Math.log2(alignment));
  }
  const pointer = allocator.allocate(size, ORIGIN_MEMALIGN, boundary, false);
  if (pointer !== 0 && parts.isObserved) noteAllocation(parts, pointer, size);
  return pointer;
}

export function posix_memalign(parts: HeapParts, target: Address, alignment: number, size: ByteCount): number {
  checkPointer("posix_memalign", target);
  checkSize("posix_memalign", "alignment", alignment);
  checkSize("posix_memalign", "size", size);
  const { allocator } = parts;
  if (!isPowerOfTwo(alignment) || alignment % POINTER_SIZE !== 0) {
    if (!allocator.mayReturnNull) reports.reportInvalidPosixMemalignAlignment(alignment, allocator.reports);
    return EINVAL;
  }
  const pointer = allocator.allocate(size, ORIGIN_MEMALIGN, alignment, false);
  if (pointer === 0) return ENOMEM;
  try {
    storeWord(allocator.program.userMemory, target, pointer);
  } catch (error) {
    allocator.deallocate(pointer, ORIGIN_MEMALIGN, 0);
    throw error;
  }
  if (parts.isObserved) noteAllocation(parts, pointer, size);
  return 0;
}

export function aligned_alloc(parts: HeapParts, alignment: number, size: ByteCount): number {
  checkSize("aligned_alloc", "alignment", alignment);
  checkSize("aligned_alloc", "size", size);
  const { allocator } = parts;
  if (!isPowerOfTwo(alignment) || size % alignment !== 0) {
    if (!allocator.mayReturnNull) reports.reportInvalidAlignedAllocAlignment(alignment, size, allocator.reports);
    return fail(parts, EINVAL);
  }
  return finish(parts, allocator.allocate(size, ORIGIN_MALLOC, alignment, false), size);
}

export function valloc(parts: HeapParts, size: ByteCount): number {
  checkSize("valloc", "size", size);
  return finish(parts, parts.allocator.allocate(size, ORIGIN_MEMALIGN, PAGE_SIZE, false), size);
}

export function pvalloc(parts: HeapParts, size: ByteCount): number {
  checkSize("pvalloc", "size", size);
  const { allocator } = parts;
  const rounded = Math.max(1, Math.ceil(size / PAGE_SIZE)) * PAGE_SIZE;
  if (rounded >= SIZE_LIMIT) {
    if (!allocator.mayReturnNull) reports.reportPvallocOverflow(size, allocator.reports);
    return fail(parts, ENOMEM);
  }
  return finish(parts, allocator.allocate(rounded, ORIGIN_MEMALIGN, PAGE_SIZE, false), rounded);
}

export function malloc_usable_size(parts: HeapParts, pointer: Address): number {
  checkPointer("malloc_usable_size", pointer);
  if (pointer !== 0) return parts.allocator.usableSize(pointer);
  requireAlive(parts);
  return 0;
}

export function operatorNew(parts: HeapParts, size: ByteCount, options: OperatorOptions): number {
  if (options !== PLAIN_OPERATOR) requireOptions("operatorNew", options, OPERATOR_OPTIONS);
  const { array, alignment = MIN_ALIGNMENT } = options;
  checkSize("operatorNew", "size", size);
  if (!isPowerOfTwo(alignment)) throw new RangeError(`operatorNew: alignment ${alignment} is not a power of two`);
  const origin = array === true ? ORIGIN_NEW_ARRAY : ORIGIN_NEW;
  const pointer = parts.allocator.allocate(size, origin, alignment, false);
  if (pointer !== 0 && parts.isObserved) noteAllocation(parts, pointer, size);
  return pointer;
}

export function operatorDelete(parts: HeapParts, pointer: Address, options: OperatorOptions): void {
  if (options !== PLAIN_OPERATOR) requireOptions("operatorDelete", options, OPERATOR_OPTIONS);
  const { array, size = 0 } = options;
  checkPointer("operatorDelete", pointer);
  checkSize("operatorDelete", "size", size);
  end(parts, pointer, array === true ? ORIGIN_NEW_ARRAY : ORIGIN_NEW, size);
}

/** Gives a chunk back. `size` 0: not given. */
function end(parts: HeapParts, pointer: Address, origin: number, size: ByteCount): void {
  if (parts.isObserved) freeObserved(parts, pointer, origin, size);
  else if (pointer !== 0) parts.allocator.deallocate(pointer, origin, size);
  else requireAlive(parts);
}

function fail(parts: HeapParts, errno: number): 0 {
  parts.errno = errno;
  return 0;
}

/** Ends a call that sets ENOMEM on failure. */
function finish(parts: HeapParts, pointer: Address, size: ByteCount): number {
  if (pointer === 0) return fail(parts, ENOMEM);
  if (parts.isObserved) noteAllocation(parts, pointer, size);
  return pointer;
}
