// What a reference page holds and how a private page is made equal to it: the content kinds of R6.
// Creating the page is create.ts, the file around it file.ts.

import type { Counters } from "../platform/hardware/counters.ts";
import type { ByteCount, FrameNumber, Tag } from "../platform/hardware/integers.ts";
import { PAGE_SIZE } from "../platform/hardware/layout.ts";
import type { PhysicalMemory } from "../platform/hardware/physical-memory.ts";
import { uniformTag } from "../platform/hardware/tag-store.ts";

/**
 * How the kernel fills a private page. `user-set`: copy data and tags of the reference page. `pattern`: repeat a pattern of
 * 1, 2, 4, 8 or 16 bytes. `mte-tagged`: zero the data and set one tag in the same pass (DC GZVA).
 */
export type ContentKind = "user-set" | "pattern" | "mte-tagged";

export interface Content {
  readonly kind: ContentKind;
  /** Bytes after which the data repeat: 1 to 16 for a pattern, else the page size. */
  readonly period: number;
  /** The tag of every granule, or −1 if the granules' tags differ and must be copied. */
  readonly tag: Tag;
}

/** Widest pattern with a fill of its own: a 16-byte UUID, which is also one tag granule. */
const WIDEST_PATTERN = 16;

/** Whether the data of a frame repeat after `period` bytes; one pass over the page, as the patch makes at creation. */
function repeatsAfter(ram: PhysicalMemory, frame: FrameNumber, period: number): boolean {
  const bank = ram.bankOf(frame);
  const start = ram.positionOf(frame);
  for (let i = period; i < PAGE_SIZE; i++) if (bank[start + i] !== bank[start + i - period]) return false;
  return true;
}

function isZero(ram: PhysicalMemory, frame: FrameNumber): boolean {
  return ram.bankOf(frame)[ram.positionOf(frame)] === 0 && repeatsAfter(ram, frame, 1);
}

/** v4: the kind is found by scanning the page once (arch_prep_refpage_private_data, prep_refpage_private_data). */
export function deduceContent(ram: PhysicalMemory, frame: FrameNumber): Content {
  const tag = uniformTag(ram, frame);
  if (tag > 0 && isZero(ram, frame)) return { kind: "mte-tagged", period: 1, tag };
  // v4 knows patterns of one byte, and keeps tags only with the copy of the whole page.
  if (tag === 0 && repeatsAfter(ram, frame, 1)) return { kind: "pattern", period: 1, tag };
  return { kind: "user-set", period: PAGE_SIZE, tag };
}

/** v5: the kind follows from the size that the caller declares; nothing is scanned but a single granule. */
export function declaredContent(ram: PhysicalMemory, frame: FrameNumber, size: ByteCount): Content {
  const tag = uniformTag(ram, frame);
  if (size > WIDEST_PATTERN) return { kind: "user-set", period: PAGE_SIZE, tag };
  if (tag > 0 && isZero(ram, frame)) return { kind: "mte-tagged", period: 1, tag };
  return { kind: "pattern", period: size, tag };
}

/** Makes `frame` equal to the reference page `source`, by the cheapest way that its content allows, and counts it. */
export function copyContent(
  ram: PhysicalMemory,
  counters: Counters,
  content: Content,
  source: FrameNumber,
  frame: FrameNumber,
  gzvaBlockBytes: number,
): void {
  counters.framesFilled++;
  counters.bytesFilled += PAGE_SIZE;
  if (content.kind === "mte-tagged") {
    ram.fillFrame(frame, 0);
    ram.fillTags(frame, content.tag);
    counters.gzvaBlocks += PAGE_SIZE / gzvaBlockBytes;
  } else if (content.kind === "pattern" && content.period === 1) {
    ram.fillFrame(frame, ram.bankOf(source)[ram.positionOf(source)]);
  } else if (content.kind === "pattern") {
    copyPattern(ram, source, frame, content.period);
  } else {
    ram.copyFrame(frame, source);
  }
  if (content.kind !== "mte-tagged") {
    if (content.tag >= 0) ram.fillTags(frame, content.tag);
    else ram.copyTags(frame, source);
  }
  ram.copyValidity(frame, source);
}

/**
 * Makes `count` neighbouring frames equal to the reference page each, in one pass over them (R16): a byte is filled, wider contents
 * are laid down once and doubled. Counts are those of as many single frames.
 */
export function copyContentToFrames(
  ram: PhysicalMemory,
  counters: Counters,
  content: Content,
  source: FrameNumber,
  first: number,
  count: number,
  gzvaBlockBytes: number,
): void {
  counters.framesFilled += count;
  counters.bytesFilled += count * PAGE_SIZE;
  const byte = ram.bankOf(source)[ram.positionOf(source)];
  if (content.kind === "mte-tagged") ram.fillFrames(first, count, 0);
  else if (content.kind === "pattern" && content.period === 1) ram.fillFrames(first, count, byte);
  else {
    if (content.kind === "pattern") copyPattern(ram, source, first, content.period);
    else ram.copyFrame(first, source);
    ram.repeatFrame(first, count);
  }
  if (content.kind === "mte-tagged") counters.gzvaBlocks += (count * PAGE_SIZE) / gzvaBlockBytes;
  for (let frame = first; frame < first + count; frame++) {
    if (content.tag >= 0) ram.fillTags(frame, content.tag);
    else ram.copyTags(frame, source);
    ram.copyValidity(frame, source);
  }
}

/** Lays the pattern at the frame's begin and doubles it: reads `period` bytes of the source, not a page. */
function copyPattern(ram: PhysicalMemory, source: FrameNumber, frame: FrameNumber, period: number): void {
  const from = ram.bankOf(source);
  const to = ram.bankOf(frame);
  const start = ram.positionOf(source);
  const target = ram.positionOf(frame);
  for (let i = 0; i < period; i++) to[target + i] = from[start + i];
  ram.replicate(frame, period);
}
