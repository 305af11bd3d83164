// The headers that malloc gives chunks, by their size, as a table for code that puts no header together by itself: a module's
// (wasm/rewriting/direct-ways.ts), a heap's (compiled/code.ts).

import type { ByteCount } from "../../platform/hardware/integers.ts";
import type { SizeClassMap } from "../options/size-class-map.ts";
import { granuleChecksum } from "./checksum.ts";
import { HEADER_SIZE, ORIGIN_MALLOC, packLow, STATE_ALLOCATED } from "./chunk-header.ts";

/** Of chunks, and so of the sizes between two classes. */
const MIN_ALIGNMENT = 16;

/**
 * Fills two words a size, low and high, but for what pointer and cookie contribute to the sum: as many sizes as there is room for, and as
 * have blocks of up to `largestBlock` bytes.
 * @returns the largest size that has a header
 */
export function fillHeaders(words: Int32Array, map: SizeClassMap, largestBlock: ByteCount): ByteCount {
  const end = words.length / 2;
  let size = 0;
  for (let needed = HEADER_SIZE; needed <= map.maxSize && size < end; needed += MIN_ALIGNMENT) {
    const classId = map.classOf(needed);
    if (map.sizeOf(classId) > largestBlock) break;
    for (; size + HEADER_SIZE <= needed && size < end; size++) {
      const low = packLow(classId, STATE_ALLOCATED, ORIGIN_MALLOC, size);
      words[2 * size] = low;
      words[2 * size + 1] = granuleChecksum(0, 0, low) << 16;
    }
  }
  return size - 1;
}
