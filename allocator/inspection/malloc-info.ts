// malloc_info's XML: how many live chunks there are of each requested size (S19.3).
// Walking the chunks is the caller's; here they are counted and written down.
import type { ByteCount } from "../../platform/hardware/integers.ts";

/** Counts requested sizes below the largest class; larger ones are not in the text. */
export class SizeCensus {
  private readonly counts: Float64Array;

  constructor(largestClassSize: number) {
    this.counts = new Float64Array(largestClassSize);
  }

  /** Counts one live chunk of `size` bytes. */
  add(size: ByteCount): void {
    if (size < this.counts.length) this.counts[size]!++;
  }

  /** Sizes with at least one chunk, ascending, in Scudo's XML. */
  toXml(): string {
    let rows = "";
    for (const [size, count] of this.counts.entries()) {
      if (count !== 0) rows += `<alloc size="${size}" count="${count}"/>\n`;
    }
    return `<malloc version="scudo-1">\n${rows}</malloc>\n`;
  }
}
