// The tag check of MTE: compares a pointer's tag with the tags of the granules that an access touches.
// The instructions that read and write tags live in mte.ts; the modes are set by the kernel's prctl.
import type { ByteCount, FrameNumber, Tag } from "./integers.ts";
import { ACCESS_LOAD, GRANULE_SHIFT, OFFSET_MASK, PAGE_SIZE } from "./layout.ts";
import type { PhysicalMemory } from "./physical-memory.ts";
import { TAG_BYTES_PER_FRAME } from "./physical-memory.ts";

/** SCTLR_EL1.TCF0: what a mismatch does. */
export const TAG_CHECK_NONE = 0;
/** Loads and stores fault before they happen. */
export const TAG_CHECK_SYNC = 1;
/** Loads and stores happen; a flag is set that the next kernel entry turns into a signal. */
export const TAG_CHECK_ASYNC = 2;
/** Loads as in sync, stores as in async. */
export const TAG_CHECK_ASYMM = 3;
export type TagCheckMode = 0 | 1 | 2 | 3;

/** The offset in its page of the first byte whose granule has another tag, or PAGE_SIZE if all match. */
export function findTagMismatch(
  ram: PhysicalMemory,
  frame: FrameNumber,
  offset: number,
  size: ByteCount,
  tag: Tag,
): number {
  const last = (offset + size - 1) >> GRANULE_SHIFT;
  const tags = ram.tags;
  const start = frame * TAG_BYTES_PER_FRAME;
  const pair = tag * 0x11;
  const word = Math.imul(tag, 0x11111111);
  for (let granule = offset >> GRANULE_SHIFT; granule <= last; granule++) {
    // Eight granules together, in a longer range.
    if ((granule & 7) === 0 && granule + 7 <= last && ram.tagWords[(start + (granule >> 1)) >> 2] === word) {
      granule += 7;
      continue;
    }
    const both = tags[start + (granule >> 1)];
    // Two granules together where both are asked for.
    if (both === pair && (granule & 1) === 0) granule++;
    else if (((both >> ((granule & 1) << 2)) & 15) !== tag)
      return Math.max(offset, granule << GRANULE_SHIFT) & OFFSET_MASK;
  }
  return PAGE_SIZE;
}

/** Whether a mismatch of this access faults immediately, as opposed to setting the asynchronous flag. */
export function faultsSynchronously(mode: TagCheckMode, access: number): boolean {
  return mode === TAG_CHECK_SYNC || (mode === TAG_CHECK_ASYMM && access === ACCESS_LOAD);
}
