// Copies and comparisons between pages that need neither a fault nor a check, by stretches of neighbouring frames.
// What stops such a stretch is left to bulk.ts, which goes page by page.
import { copyBytes } from "./array-methods.ts";
import type { Address, ByteCount, PageNumber } from "./integers.ts";
import {
  FAST_LOAD,
  FAST_STORE,
  OFFSET_MASK,
  PAGE_MASK,
  PAGE_SHIFT,
  PAGE_SIZE,
  PAGES_PER_BYTE,
  PTE_FRAME_MASK,
  PTE_FRAME_SHIFT,
  PTE_READ,
  PTE_WRITE,
} from "./layout.ts";
import type { Mmu } from "./mmu.ts";

/** Below this many bytes a loop over words beats a typed-array call. */
const SHORT = 160;
/** A stretch is followed over this many pages, so that one that its partner keeps short is not looked through again and again. */
const LONGEST = 16 * PAGE_SIZE;

/** Whether an address is a whole number in the address space, without tag. */
function isPlain(address: Address): boolean {
  const pages = address * PAGES_PER_BYTE;
  return pages - (pages & PAGE_MASK) === (address & OFFSET_MASK) * PAGES_PER_BYTE;
}

/** Bytes from `offset` of `page`, at most `length`, whose pages all have the bits `wanted` of `mask` and neighbouring frames. */
export function plainStretch(
  entries: Int32Array,
  page: PageNumber,
  offset: number,
  length: ByteCount,
  mask: number,
  wanted: number,
): ByteCount {
  let entry = entries[page];
  if ((entry & mask) !== wanted) return 0;
  let frame = entry >>> PTE_FRAME_SHIFT;
  let found = PAGE_SIZE - offset;
  while (found < length) {
    entry = entries[++page];
    if ((entry & mask) !== wanted || entry >>> PTE_FRAME_SHIFT !== ++frame) return found;
    found += PAGE_SIZE;
  }
  return length;
}

/** Where a byte of the first bank is; entries that need no check are of that bank. */
function positionIn(entry: number, offset: number): number {
  return (((entry & PTE_FRAME_MASK) << 2) | offset) >>> 0;
}

/**
 * Copies upwards from the begin, as far as pages need neither a fault nor a check. Where bytes overlap in RAM though their
 * addresses do not (a frame that is mapped twice), it goes page by page, as a loop over the pages would.
 * @returns bytes copied; fewer than `length`: the next one needs more care
 */
export function copyDirectly(memory: Mmu, to: Address, from: Address, length: ByteCount): ByteCount {
  if (!isPlain(to) || !isPlain(from)) return 0;
  const { entries } = memory.pageTable;
  const bank = memory.bytes;
  let toPage = (to * PAGES_PER_BYTE) & PAGE_MASK;
  let fromPage = (from * PAGES_PER_BYTE) & PAGE_MASK;
  let toOffset = to & OFFSET_MASK;
  let fromOffset = from & OFFSET_MASK;
  let left = length;
  while (left > 0) {
    let bytes = plainStretch(entries, fromPage, fromOffset, Math.min(left, LONGEST), FAST_LOAD, PTE_READ);
    bytes = plainStretch(entries, toPage, toOffset, bytes, FAST_STORE, PTE_WRITE);
    if (bytes === 0) break;
    const source = positionIn(entries[fromPage], fromOffset);
    const target = positionIn(entries[toPage], toOffset);
    if (target > source && target < source + bytes)
      bytes = Math.min(bytes, PAGE_SIZE - toOffset, PAGE_SIZE - fromOffset);
    if (bytes < SHORT && (target <= source || target >= source + bytes)) copyShort(memory, target, source, bytes);
    else copyBytes(bank, target, source, source + bytes);
    left -= bytes;
    toOffset += bytes;
    fromOffset += bytes;
    toPage += toOffset >> PAGE_SHIFT;
    fromPage += fromOffset >> PAGE_SHIFT;
    toOffset &= OFFSET_MASK;
    fromOffset &= OFFSET_MASK;
  }
  return length - left;
}

/** Copies upwards between two positions of the first bank: by words, the last bytes one by one. */
function copyShort({ bytes: bank, view }: Mmu, target: number, source: number, bytes: ByteCount): void {
  let done = 0;
  for (; done + 4 <= bytes; done += 4) view.setInt32(target + done, view.getInt32(source + done, true), true);
  for (; done < bytes; done++) bank[target + done] = bank[source + done];
}

/** Copies ranges that overlap, if both are one stretch each; false, with nothing done, if not. */
export function moveDirectly(memory: Mmu, to: Address, from: Address, length: ByteCount): boolean {
  if (!isPlain(to) || !isPlain(from)) return false;
  const { entries } = memory.pageTable;
  const toPage = (to * PAGES_PER_BYTE) & PAGE_MASK;
  const fromPage = (from * PAGES_PER_BYTE) & PAGE_MASK;
  const toOffset = to & OFFSET_MASK;
  const fromOffset = from & OFFSET_MASK;
  if (plainStretch(entries, fromPage, fromOffset, length, FAST_LOAD, PTE_READ) !== length) return false;
  if (plainStretch(entries, toPage, toOffset, length, FAST_STORE, PTE_WRITE) !== length) return false;
  const source = positionIn(entries[fromPage], fromOffset);
  copyBytes(memory.bytes, positionIn(entries[toPage], toOffset), source, source + length);
  return true;
}

/**
 * Compares as far as pages need neither a fault nor a check.
 * @returns bytes that are the same; fewer than `length`: the next one differs, or needs more care
 */
export function sameDirectly(memory: Mmu, a: Address, b: Address, length: ByteCount): ByteCount {
  if (!isPlain(a) || !isPlain(b)) return 0;
  const { entries } = memory.pageTable;
  let aPage = (a * PAGES_PER_BYTE) & PAGE_MASK;
  let bPage = (b * PAGES_PER_BYTE) & PAGE_MASK;
  let aOffset = a & OFFSET_MASK;
  let bOffset = b & OFFSET_MASK;
  let left = length;
  while (left > 0) {
    let bytes = plainStretch(entries, aPage, aOffset, Math.min(left, LONGEST), FAST_LOAD, PTE_READ);
    bytes = plainStretch(entries, bPage, bOffset, bytes, FAST_LOAD, PTE_READ);
    if (bytes === 0) break;
    const same = sameBytes(memory, positionIn(entries[aPage], aOffset), positionIn(entries[bPage], bOffset), bytes);
    left -= same;
    if (same < bytes) break;
    aOffset += bytes;
    bOffset += bytes;
    aPage += aOffset >> PAGE_SHIFT;
    bPage += bOffset >> PAGE_SHIFT;
    aOffset &= OFFSET_MASK;
    bOffset &= OFFSET_MASK;
  }
  return length - left;
}

/** How many of `bytes` bytes at two positions of the first bank are the same, from the begin: by words, the last ones one by one. */
function sameBytes({ bytes: bank, view }: Mmu, a: number, b: number, bytes: ByteCount): ByteCount {
  let same = 0;
  for (; same + 8 <= bytes; same += 8) {
    if (view.getInt32(a + same, true) !== view.getInt32(b + same, true)) break;
    if (view.getInt32(a + same + 4, true) !== view.getInt32(b + same + 4, true)) break;
  }
  while (same < bytes && bank[a + same] === bank[b + same]) same++;
  return same;
}
