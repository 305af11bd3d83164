// Pinned chunks: the host's own Uint8Arrays over the frames that a range of simulated memory lies in.
// Breaking copy-on-write and keeping the frames in place is the kernel's get_user_pages; here the views are cut to the range.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import type { Process } from "../../platform/kernel/process.ts";

/** A pinned range. Its views are the bytes themselves: a store through one is seen by every load, and the other way round. */
export interface PinnedRange extends Disposable {
  /** In order of address, one view for each stretch of neighbouring frames; together they are `length` bytes. */
  readonly views: readonly Uint8Array[];
  /** Address of the first byte. */
  readonly pointer: Address;
  /** How many bytes are pinned. */
  readonly length: ByteCount;
  /** Unpins. The views must not be used after it: their frames may be given to somebody else. May be called again. */
  release(): void;
}

/**
 * Pins `[pointer, pointer + length)`, first breaking copy-on-write, so that each page becomes one of the process's own.
 * A chunk should be unpinned before it is freed. Where bytes are tracked, the whole range counts as written from here on:
 * the stores through a view are not seen, and none of them may lead to a false report.
 * @throws SystemError EFAULT: a part of the range is not mapped, or not writable
 */
export function pinRange(process: Process, pointer: Address, length: ByteCount): PinnedRange {
  const pinned = process.pin(pointer, length, { write: true });
  const release = (): void => pinned.release();
  return { views: pinned.views(), pointer, length, release, [Symbol.dispose]: release };
}
