// C's allocation functions over the combined allocator: argument rules, errno, hooks, stacks (S16), and C++'s operators (S17).
// Threads, fork, statistics and the rest of a heap's public face are in heap.ts.

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
import type { Allocator } from "../combined/combined.ts";
import { reallocate } from "../combined/reallocate.ts";
import { HeapError } from "../common/heap-error.ts";
import * as reports from "../common/report.ts";
import type { StackTable } from "../common/stacks.ts";
import { storeWord } from "../common/words.ts";
import type { HeapHooks } from "../options/hooks.ts";

const PAGE_SIZE = 4096;
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
  readonly size?: number;
}

const PLAIN_OPERATOR: OperatorOptions = {};

/**
 * The allocation functions of C and C++. Pointers are addresses in the heap's process; 0 is the null pointer. A misuse throws
 * `HeapError`; a number that C could not express throws RangeError or TypeError; in both cases the heap is as before.
 */
export abstract class CInterface {
  /** errno as the last failing call left it: 0, 12 (ENOMEM) or 22 (EINVAL). Successful calls leave it alone. */
  errno = 0;
  protected abstract readonly allocator: Allocator;
  protected abstract readonly hooks: HeapHooks;
  protected abstract readonly stackTable: StackTable | null;
  /** Whether anybody wants to be told of allocations and frees. */
  protected abstract isObserved: boolean;

  /** malloc(3): `size` bytes at an address that is a multiple of 16, or 0 with ENOMEM. Size 0 gives a unique pointer. */
  malloc(size: number): number {
    if (!isSize(size)) rejectSize("malloc", "size", size);
    const pointer = this.allocator.allocate(size, ORIGIN_MALLOC, MIN_ALIGNMENT, false);
    return pointer !== 0 && !this.isObserved ? pointer : this.finish(pointer, size);
  }

  /** calloc(3): `count * size` zero bytes. Large ones are zero pages that were never touched. Overflow: 0 with ENOMEM. */
  calloc(count: number, size: number): number {
    checkSize("calloc", "count", count);
    checkSize("calloc", "size", size);
    const total = count * size;
    if (total >= SIZE_LIMIT) {
      if (!this.allocator.mayReturnNull) reports.reportCallocOverflow(count, size, this.allocator.reports);
      return this.fail(ENOMEM);
    }
    return this.finish(this.allocator.allocate(total, ORIGIN_MALLOC, MIN_ALIGNMENT, true), total);
  }

  /** free(3): gives a chunk back; 0 is ignored. */
  free(pointer: number): void {
    if (!isPointer(pointer)) rejectPointer("free", pointer);
    if (this.isObserved) this.noteFree(pointer);
    if (pointer !== 0) this.allocator.deallocate(pointer, ORIGIN_MALLOC, 0);
  }

  /** C23 free_sized: `size` must be the size asked for. */
  free_sized(pointer: number, size: number): void {
    checkPointer("free_sized", pointer);
    checkSize("free_sized", "size", size);
    if (this.isObserved) this.noteFree(pointer);
    if (pointer !== 0) this.allocator.deallocate(pointer, ORIGIN_MALLOC, size);
  }

  /** C23 free_aligned_sized: as {@link free_sized}, and the chunk must lie at a multiple of `alignment`. */
  free_aligned_sized(pointer: number, alignment: number, size: number): void {
    checkPointer("free_aligned_sized", pointer);
    checkSize("free_aligned_sized", "alignment", alignment);
    checkSize("free_aligned_sized", "size", size);
    if (this.isObserved) this.noteFree(pointer);
    if (pointer === 0) return;
    if (alignment !== 0 && pointer % alignment !== 0) {
      reports.reportAlignedFreeMismatch(pointer, alignment, this.allocator.reports);
    }
    this.allocator.deallocate(pointer, ORIGIN_MALLOC, size);
  }

  /**
   * realloc(3): null allocates, size 0 frees and answers 0. In place where the block has room, else the chunk moves; large ones
   * by moving their pages. 0 with ENOMEM leaves the old chunk as it is.
   */
  realloc(pointer: number, size: number): number {
    checkPointer("realloc", pointer);
    checkSize("realloc", "size", size);
    if (pointer === 0) return this.malloc(size);
    if (size === 0) {
      this.free(pointer);
      return 0;
    }
    if (this.isObserved) return this.reallocObserved(pointer, size);
    const moved = this.resize(pointer, size);
    return moved !== 0 ? moved : this.fail(ENOMEM);
  }

  /** reallocarray(3): realloc to `count * size` bytes; overflow is 0 with ENOMEM. */
  reallocarray(pointer: number, count: number, size: number): number {
    checkSize("reallocarray", "count", count);
    checkSize("reallocarray", "size", size);
    const total = count * size;
    if (total >= SIZE_LIMIT) {
      if (!this.allocator.mayReturnNull) reports.reportReallocarrayOverflow(count, size, this.allocator.reports);
      return this.fail(ENOMEM);
    }
    return this.realloc(pointer, total);
  }

  /** memalign(3). An alignment that is no power of two: 0 with EINVAL (Android rounds it up). Alone in not setting ENOMEM (S16.7). */
  memalign(alignment: number, size: number): number {
    checkSize("memalign", "alignment", alignment);
    checkSize("memalign", "size", size);
    let boundary = alignment;
    if (!isPowerOfTwo(alignment)) {
      if (this.allocator.options.config.name !== "android") {
        if (!this.allocator.mayReturnNull) reports.reportAlignmentNotPowerOfTwo(alignment, this.allocator.reports);
        return this.fail(EINVAL);
      }
      boundary = alignment === 0 ? 1 : 2 ** Math.ceil(Math.log2(alignment));
    }
    const pointer = this.allocator.allocate(size, ORIGIN_MEMALIGN, boundary, false);
    if (pointer !== 0 && this.isObserved) this.noteAllocation(pointer, size);
    return pointer;
  }

  /**
   * posix_memalign(3): stores the chunk's address in the word at `target`.
   * @returns 0, EINVAL (22) or ENOMEM (12); then `*target` and errno are untouched
   */
  posix_memalign(target: number, alignment: number, size: number): number {
    checkPointer("posix_memalign", target);
    checkSize("posix_memalign", "alignment", alignment);
    checkSize("posix_memalign", "size", size);
    if (!isPowerOfTwo(alignment) || alignment % POINTER_SIZE !== 0) {
      if (!this.allocator.mayReturnNull) reports.reportInvalidPosixMemalignAlignment(alignment, this.allocator.reports);
      return EINVAL;
    }
    const pointer = this.allocator.allocate(size, ORIGIN_MEMALIGN, alignment, false);
    if (pointer === 0) return ENOMEM;
    try {
      storeWord(this.allocator.program.userMemory, target, pointer);
    } catch (error) {
      this.allocator.deallocate(pointer, ORIGIN_MEMALIGN, 0);
      throw error;
    }
    if (this.isObserved) this.noteAllocation(pointer, size);
    return 0;
  }

  /** aligned_alloc(3): `size` must be a multiple of `alignment`, a power of two; else 0 with EINVAL. */
  aligned_alloc(alignment: number, size: number): number {
    checkSize("aligned_alloc", "alignment", alignment);
    checkSize("aligned_alloc", "size", size);
    if (!isPowerOfTwo(alignment) || size % alignment !== 0) {
      if (!this.allocator.mayReturnNull) {
        reports.reportInvalidAlignedAllocAlignment(alignment, size, this.allocator.reports);
      }
      return this.fail(EINVAL);
    }
    return this.finish(this.allocator.allocate(size, ORIGIN_MALLOC, alignment, false), size);
  }

  /** valloc(3): page-aligned. */
  valloc(size: number): number {
    checkSize("valloc", "size", size);
    return this.finish(this.allocator.allocate(size, ORIGIN_MEMALIGN, PAGE_SIZE, false), size);
  }

  /** pvalloc(3): page-aligned, the size rounded up to whole pages, at least one. */
  pvalloc(size: number): number {
    checkSize("pvalloc", "size", size);
    const rounded = Math.max(1, Math.ceil(size / PAGE_SIZE)) * PAGE_SIZE;
    if (rounded >= SIZE_LIMIT) {
      if (!this.allocator.mayReturnNull) reports.reportPvallocOverflow(size, this.allocator.reports);
      return this.fail(ENOMEM);
    }
    return this.finish(this.allocator.allocate(rounded, ORIGIN_MEMALIGN, PAGE_SIZE, false), rounded);
  }

  /** malloc_usable_size(3): the bytes asked for, exactly (S18.1); 0 for 0. */
  malloc_usable_size(pointer: number): number {
    checkPointer("malloc_usable_size", pointer);
    return pointer === 0 ? 0 : this.allocator.usableSize(pointer);
  }

  /** C++'s operator new. There is no bad_alloc: a failure is 0, as in Scudo (S17.1); errno is not touched. */
  operatorNew(size: number, options: OperatorOptions = PLAIN_OPERATOR): number {
    checkSize("operatorNew", "size", size);
    const { alignment = MIN_ALIGNMENT } = options;
    if (!isPowerOfTwo(alignment)) throw new RangeError(`operatorNew: alignment ${alignment} is not a power of two`);
    const origin = options.array === true ? ORIGIN_NEW_ARRAY : ORIGIN_NEW;
    const pointer = this.allocator.allocate(size, origin, alignment, false);
    if (pointer !== 0 && this.isObserved) this.noteAllocation(pointer, size);
    return pointer;
  }

  /** C++'s operator delete, sized if a size is given; 0 is ignored. */
  operatorDelete(pointer: number, options: OperatorOptions = PLAIN_OPERATOR): void {
    checkPointer("operatorDelete", pointer);
    const { size = 0 } = options;
    checkSize("operatorDelete", "size", size);
    if (this.isObserved) this.noteFree(pointer);
    const origin = options.array === true ? ORIGIN_NEW_ARRAY : ORIGIN_NEW;
    if (pointer !== 0) this.allocator.deallocate(pointer, origin, size);
  }

  private resize(pointer: number, size: number): number {
    return reallocate(this.allocator, pointer, size);
  }

  private fail(errno: number): 0 {
    this.errno = errno;
    return 0;
  }

  /** Ends a call that sets ENOMEM on failure. */
  private finish(pointer: number, size: number): number {
    if (pointer === 0) return this.fail(ENOMEM);
    if (this.isObserved) this.noteAllocation(pointer, size);
    return pointer;
  }

  private noteAllocation(pointer: number, size: number): void {
    this.stackTable?.recordAllocation(pointer);
    this.hooks.allocate?.(pointer, size);
  }

  /** Before the free; a trace of it is kept for a chunk only, so that a bad pointer's report shows what was known. */
  private noteFree(pointer: number): void {
    this.hooks.deallocate?.(pointer);
    const { stackTable } = this;
    if (pointer !== 0 && stackTable?.isRecording === true && this.allocator.isOwned(pointer))
      stackTable.recordFree(pointer);
  }

  /** S26.1: the old pointer is announced as freed first; on failure it is announced again as allocated. */
  private reallocObserved(pointer: number, size: number): number {
    const { hooks } = this;
    const isOwned = this.allocator.isOwned(pointer);
    const oldSize = isOwned ? this.allocator.usableSize(pointer) : 0;
    if (hooks.reallocDeallocate !== undefined) hooks.reallocDeallocate(pointer);
    else hooks.deallocate?.(pointer);
    try {
      const moved = this.resize(pointer, size);
      if (moved !== 0) this.noteResize(pointer, moved, size);
      else this.announceResize(pointer, pointer, oldSize);
      return moved !== 0 ? moved : this.fail(ENOMEM);
    } catch (error) {
      if (error instanceof HeapError && error.movedTo !== null) this.noteResize(pointer, error.movedTo, size);
      throw error;
    }
  }

  private noteResize(pointer: number, moved: number, size: number): void {
    const { stackTable } = this;
    if (moved !== pointer) stackTable?.recordFree(pointer);
    stackTable?.recordAllocation(moved);
    this.announceResize(pointer, moved, size);
  }

  private announceResize(pointer: number, announced: number, size: number): void {
    const { hooks } = this;
    if (hooks.reallocAllocate !== undefined) hooks.reallocAllocate(pointer, announced, size);
    else hooks.allocate?.(announced, size);
  }
}
