// Where a guest's one WebAssembly memory holds what: the guest's own bytes, frames of the simulated kernel, shadows.
// Only arithmetic; who paints the shadows is guest/addressable.ts, who reads them is the code that rewriting/ inlines.
//
//   0 ………………… limitBytes   the guest's memory: page n of it is frame n of the machine
//   limitBytes … ramBytes   frames that the kernel has for itself: reference pages, page cache
//   validityBase … + limitBytes   one bit for each bit of the guest's memory, 1 = undefined (level "byte" only)
//   originBase … + limitBytes   four bytes for each four: where undefined bits are from (only where that is followed)
//   tracesBase … + limitBytes / 4   for each 16 bytes, which traces led to the chunk that begins there (guest/block-traces.ts)
//   storedBase … + limitBytes / 8   a bit for each byte that the guest stored undefined bits to (level "byte" only)
//   allocationsBase … + 2^24   what the last 2^20 origins were allocated as (guest/origins.ts; only where origins are followed)
//   readyBase … + limitBytes / 4096   a byte for each page: 1 where the module may store to a chunk's header by itself
//   pathBase … + 16   the path of calls that leads to the heap, and what stands for the host's part of it (call-paths.ts)
//   pathBase + 16 … + 5 · 2^16   what the direct ways of malloc and free go by (heap-tables.ts)
//   shadowBase … + 2^29   one byte for each 8 of all 4 GiB that an address can mean, so that none misses the shadow; and a
//   page more, for the last look that takes several bytes
//
// A shadow byte of 0 means "nothing there", so that address space without memory costs none of the host's.

import { ModuleError } from "../binary/module-error.ts";
import { TABLES_END } from "./heap-tables.ts";

export const WASM_PAGE = 65536;
/** Bytes of memory that a shadow byte stands for. */
export const GRANULE = 8;
export const GRANULE_SHIFT = 3;
const KERNEL_BYTES = 2 ** 20;
const SHADOW_BYTES = 2 ** 32 / GRANULE;
/** The two words of the call path, and the tables of the direct ways. */
const TABLES_BYTES = Math.ceil(TABLES_END / WASM_PAGE) * WASM_PAGE;
/** Allocations that are remembered by their origins' numbers, and bytes of each one's row. */
export const KEPT_ALLOCATIONS = 2 ** 20;
export const ALLOCATION_BYTES = 16;
const ALLOCATIONS_BYTES = KEPT_ALLOCATIONS * ALLOCATION_BYTES;
/** What a byte of the guest's memory takes beside itself at each of the bases that follow from its limit. */
const TRACES_SHARE = 1 / 4;
const STORED_SHARE = 1 / 8;
const READY_SHARE = 1 / 4096;
/** Each of the two words of a call path. */
export const PATH_BYTES = 8;

/**
 * What fresh memory holds where its definedness is followed, so that bytes which the host wrote there can be told
 * (guest/validity.ts): no byte of ASCII, of UTF-8's first bytes for most scripts, nor of small numbers.
 */
export const PATTERN = 0xb5;
/** Eight times the same, as a constant of 64 bits has it. */
export const PATTERN_WORD = BigInt.asIntN(64, BigInt(PATTERN) * 0x0101_0101_0101_0101n);

/** All 8 bytes may be loaded and stored. Read by inlined code as −1. */
export const SHADOW_WRITABLE = 0xff;
/** All 8 may be loaded; a store is a fault first (a clean page). Read by inlined code as −2. */
export const SHADOW_READABLE = 0xfe;
/** Bits of every other value: how many of the 8 bytes, from the first, are the program's … */
export const SHADOW_COUNT = 0x0f;
/** … the page takes loads only … */
export const SHADOW_CLEAN = 0x10;
/** … or nothing yet: any access is a fault first. */
export const SHADOW_ABSENT = 0x40;

export interface Layout {
  /** The guest's addresses end here, at any present size of its memory. */
  readonly limitBytes: number;
  readonly ramBytes: number;
  /** −1: there is no validity shadow. */
  readonly validityBase: number;
  /** −1: there are no origins. */
  readonly originBase: number;
  readonly tracesBase: number;
  /** −1: there is no validity shadow. */
  readonly storedBase: number;
  /** −1: there are no origins. */
  readonly allocationsBase: number;
  readonly readyBase: number;
  readonly pathBase: number;
  readonly shadowBase: number;
  /** Pages of 64 KiB of the whole. */
  readonly totalPages: number;
}

export const DEFAULT_LIMIT = 2 ** 30;
const SMALLEST_LIMIT = 2 ** 24;

/** The largest limit whose shadows fit 4 GiB. */
function largestLimit(parts: number): number {
  const room = 2 ** 32 - SHADOW_BYTES - KERNEL_BYTES - TABLES_BYTES - ALLOCATIONS_BYTES - 4 * WASM_PAGE;
  return Math.floor(room / parts / WASM_PAGE) * WASM_PAGE;
}

/**
 * @param limitBytes a multiple of 64 KiB from 16 MiB
 * @throws RangeError: no such limit. ModuleError memory: the module begins with more
 */
export function makeLayout(
  limitBytes: number,
  {
    validity,
    origins,
    initialPages,
  }: { readonly validity: boolean; readonly origins: boolean; readonly initialPages: number },
): Layout {
  const shadows = validity ? 1 + STORED_SHARE + Number(origins) : 0;
  const largest = largestLimit(1 + shadows + TRACES_SHARE + READY_SHARE);
  if (!Number.isInteger(limitBytes / WASM_PAGE) || limitBytes < SMALLEST_LIMIT || limitBytes > largest) {
    throw new RangeError(
      `memoryBytes: ${limitBytes} is not a multiple of ${WASM_PAGE} from ${SMALLEST_LIMIT} to ${largest}`,
    );
  }
  if (initialPages * WASM_PAGE > limitBytes) {
    throw new ModuleError(
      "memory",
      `the module begins with ${initialPages * WASM_PAGE} bytes of memory, more than memoryBytes (${limitBytes})`,
    );
  }
  const ramBytes = limitBytes + KERNEL_BYTES;
  const originBase = ramBytes + (validity ? limitBytes : 0);
  const tracesBase = originBase + (validity && origins ? limitBytes : 0);
  const storedBase = tracesBase + limitBytes * TRACES_SHARE;
  const allocationsBase = storedBase + (validity ? limitBytes * STORED_SHARE : 0);
  const readyBase = allocationsBase + (validity && origins ? ALLOCATIONS_BYTES : 0);
  const pathBase = Math.ceil((readyBase + limitBytes * READY_SHARE) / WASM_PAGE) * WASM_PAGE;
  const shadowBase = pathBase + TABLES_BYTES;
  return {
    limitBytes,
    ramBytes,
    validityBase: validity ? ramBytes : -1,
    originBase: validity && origins ? originBase : -1,
    tracesBase,
    storedBase: validity ? storedBase : -1,
    allocationsBase: validity && origins ? allocationsBase : -1,
    readyBase,
    pathBase,
    shadowBase,
    totalPages: (shadowBase + SHADOW_BYTES) / WASM_PAGE + 1,
  };
}
