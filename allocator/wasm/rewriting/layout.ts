// Where a guest's one WebAssembly memory holds what: the guest's own bytes, frames of the simulated kernel, shadows.
// Only arithmetic; who paints the shadows is guest/addressable.ts, who reads them is the code that rewriting/ inlines.
//
//   0 ………………… limitBytes   the guest's memory: page n of it is frame n of the machine
//   limitBytes … ramBytes   frames that the kernel has for itself: reference pages, page cache
//   validityBase … + limitBytes   one bit for each bit of the guest's memory, 1 = undefined (level "byte" only)
//   originBase … + limitBytes   four bytes for each four: where undefined bits are from (only where that is followed)
//   pathBase … + 16   the path of calls that leads to the heap, and how many have begun (call-paths.ts); a WebAssembly page
//   shadowBase … + 2^29   one byte for each 8 of all 4 GiB that an address can mean, so that none misses the shadow; and a
//   page more, for the last look that takes several bytes
//
// A shadow byte of 0 means "nothing there", so that address space without memory costs none of the host's.

import { ModuleError } from "../binary/module-error.ts";

export const WASM_PAGE = 65536;
/** Bytes of memory that a shadow byte stands for. */
export const GRANULE = 8;
export const GRANULE_SHIFT = 3;
const KERNEL_BYTES = 2 ** 20;
const SHADOW_BYTES = 2 ** 32 / GRANULE;
/** Each of the two words of a call path. */
export const PATH_BYTES = 8;

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
  readonly pathBase: number;
  readonly shadowBase: number;
  /** Pages of 64 KiB of the whole. */
  readonly totalPages: number;
}

export const DEFAULT_LIMIT = 2 ** 30;
const SMALLEST_LIMIT = 2 ** 24;

/** The largest limit whose shadows fit 4 GiB. */
function largestLimit(parts: number): number {
  const room = 2 ** 32 - SHADOW_BYTES - KERNEL_BYTES - 2 * WASM_PAGE;
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
  const largest = largestLimit(1 + Number(validity) + Number(validity && origins));
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
  const pathBase = originBase + (validity && origins ? limitBytes : 0);
  const shadowBase = pathBase + WASM_PAGE;
  return {
    limitBytes,
    ramBytes,
    validityBase: validity ? ramBytes : -1,
    originBase: validity && origins ? originBase : -1,
    pathBase,
    shadowBase,
    totalPages: (shadowBase + SHADOW_BYTES) / WASM_PAGE + 1,
  };
}
