// One large mapping as a row of numbers: what a large-block header records, what a cache entry keeps, what calls hand on.
// Rows are made once and filled again, so that no operation allocates; who fills which is large-block-list.ts and secondary.ts.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { keepClass } from "../../platform/state/kept.ts";

/**
 * ```text
 *  mapBase        commitBase            block    user              commitEnd          mapBase + mapSize
 *     │ guard page(s) │ … │ large header │ header │ user's bytes … tail │ guard page(s)      │
 *                          48 bytes        16 bytes
 * ```
 * `block` lies right behind the large header; the user pointer is `block + 16`.
 */
export class LargeMapping {
  block = 0;
  /** The pages that can be used, and the whole reservation with its guard pages; bytes. */
  commitBase = 0;
  commitSize = 0;
  mapBase = 0;
  mapSize = 0;
  /** What an untouched page of it reads: an id that the family's secondary gives. */
  cleanId = 0;

  get commitEnd(): number {
    return this.commitBase + this.commitSize;
  }

  get mapEnd(): number {
    return this.mapBase + this.mapSize;
  }

  set(mapBase: Address, mapSize: ByteCount, commitBase: Address, commitSize: ByteCount): this {
    this.mapBase = mapBase;
    this.mapSize = mapSize;
    this.commitBase = commitBase;
    this.commitSize = commitSize;
    return this;
  }

  copyFrom(other: LargeMapping): this {
    this.block = other.block;
    this.cleanId = other.cleanId;
    return this.set(other.mapBase, other.mapSize, other.commitBase, other.commitSize);
  }
}

keepClass("LargeMapping", LargeMapping);
