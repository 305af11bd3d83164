// The functions of a guest that the heap takes over: which names mean what, their signatures, and what each does with a Heap.
// Pointers and sizes come from the guest as signed 32-bit numbers. Finding the functions in a module is choose-functions.ts.

import type { Address, ByteCount } from "../../../platform/hardware/integers.ts";
import type { Heap } from "../../heap/heap.ts";

/** EINVAL and ENOMEM as WASI and Emscripten number them. */
const EINVAL = 28;
const ENOMEM = 48;
const MIN_ALIGNMENT = 16;

/** Names of what a heap function does, as they may be given in a map of the user's own. */
export type HeapRole =
  | "malloc"
  | "free"
  | "calloc"
  | "realloc"
  | "reallocarray"
  | "memalign"
  | "posix_memalign"
  | "malloc_usable_size"
  | "operator new"
  | "operator new[]"
  | "operator new nothrow"
  | "operator new[] nothrow"
  | "operator delete"
  | "operator delete[]"
  | "rust_alloc"
  | "rust_dealloc"
  | "rust_realloc"
  | "rust_alloc_zeroed"
  | "tlsf_alloc"
  | "tlsf_free"
  | "tlsf_realloc";

/** What a role needs: the heap, and the guest's memory for what C stores itself. */
export interface HeapFunctionContext {
  readonly heap: Heap;
  /** Stores 32 bits where the guest's memory is, as the guest would: with checks and faults. */
  store(address: Address, value: number): void;
}

export interface HeapFunction {
  /** Letters of parameters and result, `i` i32: "ii>i". Several where toolchains differ. */
  readonly signatures: readonly string[];
  call(context: HeapFunctionContext, ...values: number[]): number;
}

const unsigned = (value: number): number => value >>> 0;

function aligned(heap: Heap, alignment: number, size: ByteCount): number {
  if (alignment <= MIN_ALIGNMENT) return heap.malloc(size);
  return heap.memalign(alignment, size);
}

function posixMemalign(
  { heap, store }: HeapFunctionContext,
  target: Address,
  alignment: number,
  size: ByteCount,
): number {
  if (alignment < 4 || (alignment & (alignment - 1)) !== 0) return EINVAL;
  const pointer = aligned(heap, alignment, size);
  if (pointer === 0) return ENOMEM;
  store(target, pointer);
  return 0;
}

/** Rust's realloc keeps an alignment that C's does not know. */
function rustRealloc(heap: Heap, pointer: Address, oldSize: ByteCount, alignment: number, size: ByteCount): number {
  if (alignment <= MIN_ALIGNMENT) return heap.realloc(pointer, size);
  const moved = heap.memalign(alignment, size);
  if (moved === 0) return 0;
  heap.memory.copy(moved, pointer, Math.min(oldSize, size));
  heap.free(pointer);
  return moved;
}

/**
 * AssemblyScript's tlsf keeps a word with the block's size in front of the pointer, which its garbage collector reads. So a chunk
 * begins 16 bytes before the pointer, and the word is its last before it.
 */
export const TLSF_HEADER = 16;

function tlsfAlloc(context: HeapFunctionContext, size: ByteCount): number {
  return withTlsfHeader(context, context.heap.malloc(TLSF_HEADER + size), size);
}

function tlsfRealloc(context: HeapFunctionContext, pointer: Address, size: ByteCount): number {
  return withTlsfHeader(context, context.heap.realloc(pointer - TLSF_HEADER, TLSF_HEADER + size), size);
}

/** The word never says more than the block has: the collector lets arrays grow into what it says. Its low two bits are tags. */
function withTlsfHeader({ store }: HeapFunctionContext, chunk: Address, size: ByteCount): number {
  if (chunk === 0) return 0;
  store(chunk + TLSF_HEADER - 4, size & ~3);
  return chunk + TLSF_HEADER;
}

/** What is given behind the size: an alignment perhaps, and a reference. */
function alignmentBeforeNothrow([first, second]: readonly number[]): number {
  return second === undefined ? MIN_ALIGNMENT : first;
}

function free(heap: Heap, pointer: Address): number {
  heap.free(unsigned(pointer));
  return 0;
}

export const HEAP_FUNCTIONS: Readonly<Record<HeapRole, HeapFunction>> = {
  malloc: { signatures: ["i>i"], call: ({ heap }, size) => heap.malloc(unsigned(size)) },
  free: { signatures: ["i>"], call: ({ heap }, pointer) => free(heap, pointer) },
  calloc: { signatures: ["ii>i"], call: ({ heap }, count, size) => heap.calloc(unsigned(count), unsigned(size)) },
  realloc: { signatures: ["ii>i"], call: ({ heap }, pointer, size) => heap.realloc(unsigned(pointer), unsigned(size)) },
  reallocarray: {
    signatures: ["iii>i"],
    call: ({ heap }, pointer, count, size) => {
      const bytes = unsigned(count) * unsigned(size);
      return bytes >= 2 ** 32 ? 0 : heap.realloc(unsigned(pointer), bytes);
    },
  },
  memalign: {
    signatures: ["ii>i"],
    call: ({ heap }, alignment, size) => aligned(heap, unsigned(alignment), unsigned(size)),
  },
  posix_memalign: {
    signatures: ["iii>i"],
    call: (context, target, alignment, size) =>
      posixMemalign(context, unsigned(target), unsigned(alignment), unsigned(size)),
  },
  malloc_usable_size: { signatures: ["i>i"], call: ({ heap }, pointer) => heap.malloc_usable_size(unsigned(pointer)) },
  // A second parameter is an alignment; those that are given a `const nothrow_t&` as their last are roles of their own.
  "operator new": {
    signatures: ["i>i", "ii>i"],
    call: ({ heap }, size, alignment = MIN_ALIGNMENT) => heap.operatorNew(unsigned(size), { alignment }),
  },
  "operator new[]": {
    signatures: ["i>i", "ii>i"],
    call: ({ heap }, size, alignment = MIN_ALIGNMENT) => heap.operatorNew(unsigned(size), { alignment, array: true }),
  },
  "operator new nothrow": {
    signatures: ["ii>i", "iii>i"],
    call: ({ heap }, size, ...rest) => heap.operatorNew(unsigned(size), { alignment: alignmentBeforeNothrow(rest) }),
  },
  "operator new[] nothrow": {
    signatures: ["ii>i", "iii>i"],
    call: ({ heap }, size, ...rest) =>
      heap.operatorNew(unsigned(size), { alignment: alignmentBeforeNothrow(rest), array: true }),
  },
  "operator delete": {
    signatures: ["i>", "ii>", "iii>"],
    call: ({ heap }, pointer) => {
      heap.operatorDelete(unsigned(pointer));
      return 0;
    },
  },
  "operator delete[]": {
    signatures: ["i>", "ii>", "iii>"],
    call: ({ heap }, pointer) => {
      heap.operatorDelete(unsigned(pointer), { array: true });
      return 0;
    },
  },
  rust_alloc: {
    signatures: ["ii>i"],
    call: ({ heap }, size, alignment) => aligned(heap, unsigned(alignment), unsigned(size)),
  },
  rust_dealloc: { signatures: ["iii>"], call: ({ heap }, pointer) => free(heap, pointer) },
  rust_realloc: {
    signatures: ["iiii>i"],
    call: ({ heap }, pointer, oldSize, alignment, size) =>
      rustRealloc(heap, unsigned(pointer), unsigned(oldSize), unsigned(alignment), unsigned(size)),
  },
  rust_alloc_zeroed: {
    signatures: ["ii>i"],
    call: ({ heap }, size, alignment) => {
      if (unsigned(alignment) <= MIN_ALIGNMENT) return heap.calloc(1, unsigned(size));
      const pointer = heap.memalign(unsigned(alignment), unsigned(size));
      if (pointer !== 0) heap.memory.fill(pointer, 0, unsigned(size));
      return pointer;
    },
  },
  tlsf_alloc: { signatures: ["i>i"], call: (context, size) => tlsfAlloc(context, unsigned(size)) },
  tlsf_free: { signatures: ["i>"], call: ({ heap }, pointer) => free(heap, pointer - TLSF_HEADER) },
  tlsf_realloc: {
    signatures: ["ii>i"],
    call: (context, pointer, size) => tlsfRealloc(context, unsigned(pointer), unsigned(size)),
  },
};
