// Tagged pointers as numbers: the logical tag of an address, taken off, put on and chosen.
// Nothing here touches memory; allocation tags are in mte.ts (instructions) and tag-store.ts (whole frames).
import type { Address, Tag } from "./integers.ts";
import { TAG_COUNT, TAG_UNIT } from "./layout.ts";

const TAGS_PER_BYTE = 1 / TAG_UNIT;
const ALL_TAGS = 0xffff;

/** @throws RangeError unless `tag` is 0 to 15. */
function checkTag(operation: string, tag: Tag): void {
  if (!Number.isInteger(tag) || tag < 0 || tag >= TAG_COUNT) {
    throw new RangeError(`${operation}: ${tag} is not a tag (0 to 15)`);
  }
}

/**
 * The logical tag of an address, 0 to 15 (bits 59:56 in hardware, 51:48 here).
 * @throws RangeError for a number that is no address with a tag.
 */
export function tagOf(address: Address): number {
  const tag = Math.floor(address * TAGS_PER_BYTE);
  if (!(Number.isInteger(address) && tag >= 0 && tag < TAG_COUNT)) {
    throw new RangeError(`tagOf: ${address} is not an address with a tag from 0 to 15 (0 to 2^52 − 1)`);
  }
  return tag;
}

/** The address without its tag. */
export function withoutTag(address: Address): number {
  return address - tagOf(address) * TAG_UNIT;
}

/** The address with another tag, 0 to 15. */
export function withTag(address: Address, tag: Tag): number {
  checkTag("withTag", tag);
  return withoutTag(address) + tag * TAG_UNIT;
}

/**
 * `steps` tags upwards from `tag`, passing over those whose bit of `exclude` is set; 0 if all 16 are excluded. With no step
 * to go it only leaves an excluded tag (DDI 0487, AArch64.ChooseNonExcludedTag).
 */
export function chooseNonExcludedTag(tag: Tag, steps: number, exclude: number): number {
  if ((exclude & ALL_TAGS) === ALL_TAGS) return 0;
  let chosen = tag;
  if (steps === 0) while ((exclude >> chosen) & 1) chosen = (chosen + 1) & 15;
  for (let step = 0; step < steps; step++) {
    do chosen = (chosen + 1) & 15;
    while ((exclude >> chosen) & 1);
  }
  return chosen;
}

/** How many tags `exclude` leaves. */
export function countAllowedTags(exclude: number): number {
  // Sums of neighbouring bits, then of pairs, then of fours: the usual population count, on 16 bits.
  let bits = ~exclude & ALL_TAGS;
  bits -= (bits >> 1) & 0x5555;
  bits = (bits & 0x3333) + ((bits >> 2) & 0x3333);
  bits = (bits + (bits >> 4)) & 0x0f0f;
  return (bits + (bits >> 8)) & 31;
}
