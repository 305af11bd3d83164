// Scudo's reports, one function a row of S21, each of which never returns: it throws a HeapError with the text word for word.
// What decides that a report is due lives with the component concerned; no state is read or changed here.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { type ChunkStacks, formatPointer, formatSize, HeapError, type HeapErrorKind } from "./heap-error.ts";

/** What was being done to a chunk when its state or alignment was found wrong (R-state, R-misaligned, R-type-mismatch). */
export type ChunkAction = "recycling" | "deallocating" | "reallocating" | "sizing";

/** How a heap wants its reports: the texts' version, where stacks come from, who is called first. */
export interface ReportContext {
  /** `"later"` adds the second half that R-corrupt has in later versions (S31). */
  readonly headerReport: "reference" | "later";
  /** The stacks kept for a chunk's address, or null. */
  stacksOf(address: Address): ChunkStacks | null;
  /** Called before the throw, as Scudo's abort-message hook is (S21.1); what it throws replaces the report. */
  onReport(error: HeapError): void;
}

/** Reference texts, no stacks, no hook called. */
export const PLAIN_REPORTS: ReportContext = {
  headerReport: "reference",
  stacksOf: () => null,
  onReport: () => {},
};

function die(
  context: ReportContext,
  kind: HeapErrorKind,
  address: Address | null,
  text: string,
  plainWords: string | null = null,
): never {
  const stacks = address === null ? null : context.stacksOf(address);
  const error = new HeapError(kind, address, `Scudo ERROR: ${text}`, stacks, plainWords);
  context.onReport(error);
  throw error;
}

/** R-corrupt: a header whose checksum is wrong. `headerIsZero`: the whole word is 0, which later versions say. */
export function reportHeaderCorruption(
  address: Address,
  options: { readonly headerIsZero?: boolean } = {},
  context: ReportContext = PLAIN_REPORTS,
): never {
  const text = `corrupted chunk header at address ${formatPointer(address)}`;
  if (context.headerReport === "reference") die(context, "corrupted-header", address, text);
  const cause = options.headerIsZero
    ? "chunk header is zero and might indicate memory corruption or a double free"
    : "most likely due to memory corruption";
  die(context, "corrupted-header", address, `${text}: ${cause}`);
}

/** What people call an action on a chunk that was freed before. */
const FREED_BEFORE: Partial<Record<ChunkAction, string>> = {
  deallocating: "double free",
  reallocating: "realloc of a freed chunk",
};

/** R-state: double free and friends. `isFreed`: the chunk's header is whole and says that it was freed. */
export function reportInvalidChunkState(
  action: ChunkAction,
  address: Address,
  context = PLAIN_REPORTS,
  { isFreed = false }: { readonly isFreed?: boolean } = {},
): never {
  const text = `invalid chunk state when ${action} address ${formatPointer(address)}`;
  die(context, "invalid-state", address, text, isFreed ? (FREED_BEFORE[action] ?? null) : null);
}

/** R-misaligned: a pointer that is no multiple of 16. */
export function reportMisalignedPointer(action: ChunkAction, address: Address, context = PLAIN_REPORTS): never {
  die(context, "misaligned", address, `misaligned pointer when ${action} address ${formatPointer(address)}`);
}

/** R-type-mismatch; origins 0 malloc, 1 new, 2 new[], 3 memalign. */
export function reportDeallocTypeMismatch(
  action: ChunkAction,
  address: Address,
  recordedOrigin: number,
  givenOrigin: number,
  context = PLAIN_REPORTS,
): never {
  const text = `allocation type mismatch when ${action} address ${formatPointer(address)} (${recordedOrigin} vs ${givenOrigin})`;
  die(context, "type-mismatch", address, text);
}

/** R-size-mismatch; sizes in bytes. */
export function reportDeleteSizeMismatch(
  address: Address,
  givenSize: number,
  recordedSize: number,
  context = PLAIN_REPORTS,
): never {
  const sizes = `(${formatSize(givenSize)} vs ${formatSize(recordedSize)})`;
  die(
    context,
    "size-mismatch",
    address,
    `invalid sized delete when deallocating address ${formatPointer(address)} ${sizes}`,
  );
}

/** Later versions' check of an aligned free against the chunk's alignment (S31). Not in the reference version. */
export function reportAlignedFreeMismatch(address: Address, givenAlignment: number, context = PLAIN_REPORTS): never {
  const text = `invalid aligned delete when deallocating address ${formatPointer(address)} (alignment ${formatSize(givenAlignment)})`;
  die(context, "alignment-mismatch", address, text);
}

/** R-align-too-big; alignments in bytes. */
export function reportAlignmentTooBig(alignment: number, maximum: number, context = PLAIN_REPORTS): never {
  const text = `invalid allocation alignment: ${formatSize(alignment)} exceeds maximum supported alignment of ${formatSize(maximum)}`;
  die(context, "alignment-too-big", null, text);
}

/** R-size-too-big; `adjustedSize` is the size with header and alignment as size_t wraps it, 0 from realloc. */
export function reportAllocationSizeTooBig(
  size: ByteCount,
  adjustedSize: number,
  maximum: number,
  context = PLAIN_REPORTS,
): never {
  const asked = `requested allocation size ${formatSize(size)} (${formatSize(adjustedSize)} after adjustments)`;
  die(context, "size-too-big", null, `${asked} exceeds maximum supported size of ${formatSize(maximum)}`);
}

/** R-oom. */
export function reportOutOfMemory(size: ByteCount, context = PLAIN_REPORTS): never {
  die(context, "out-of-memory", null, `out of memory trying to allocate ${formatSize(size)} bytes`);
}

/** R-batch-class: the region of class 0 is used up (S8.11). */
export function reportOutOfBatchClass(context = PLAIN_REPORTS): never {
  die(context, "batch-class-exhausted", null, "BatchClass region is used up, can't hold any free block");
}

/** R-pow2, of memalign. */
export function reportAlignmentNotPowerOfTwo(alignment: number, context = PLAIN_REPORTS): never {
  const text = `invalid allocation alignment: ${formatSize(alignment)}, alignment must be a power of two`;
  die(context, "alignment-not-power-of-two", null, text);
}

/** R-calloc. */
export function reportCallocOverflow(count: number, size: ByteCount, context = PLAIN_REPORTS): never {
  die(context, "calloc-overflow", null, `calloc parameters ${overflow(count, size)}`);
}

/** As R-calloc, for reallocarray (the reference version's wrapper has the text of later ones). */
export function reportReallocarrayOverflow(count: number, size: ByteCount, context = PLAIN_REPORTS): never {
  die(context, "reallocarray-overflow", null, `reallocarray parameters ${overflow(count, size)}`);
}

function overflow(count: number, size: ByteCount): string {
  const product = `count * size (${formatSize(count)} * ${formatSize(size)})`;
  return `overflow: ${product} cannot be represented with type size_t`;
}

const POINTER_BYTES = 8;

/** R-posix. */
export function reportInvalidPosixMemalignAlignment(alignment: number, context = PLAIN_REPORTS): never {
  const rule = `alignment must be a power of two and a multiple of sizeof(void *) == ${POINTER_BYTES}`;
  const text = `invalid alignment requested in posix_memalign: ${formatSize(alignment)}, ${rule}`;
  die(context, "posix-memalign-alignment", null, text);
}

/** R-aligned. */
export function reportInvalidAlignedAllocAlignment(alignment: number, size: ByteCount, context = PLAIN_REPORTS): never {
  const rule = `alignment must be a power of two and the requested size ${formatSize(size)} must be a multiple of alignment`;
  const text = `invalid alignment requested in aligned_alloc: ${formatSize(alignment)}, ${rule}`;
  die(context, "aligned-alloc-alignment", null, text);
}

const PAGE_BYTES = 4096;

/** R-pvalloc. */
export function reportPvallocOverflow(size: ByteCount, context = PLAIN_REPORTS): never {
  const rounded = `size ${formatSize(size)} rounded up to system page size ${PAGE_BYTES}`;
  die(
    context,
    "pvalloc-overflow",
    null,
    `pvalloc parameters overflow: ${rounded} cannot be represented in type size_t`,
  );
}

/** R-sanity: a configuration whose offsets, sizes or class ids do not fit the header (S1.6). */
export function reportSanityCheckError(
  field: "offset" | "size (or unused bytes)" | "class ID",
  context = PLAIN_REPORTS,
): never {
  die(context, "sanity-check", null, `maximum possible ${field} doesn't fit in header`);
}

/** R-check; `condition` as Scudo prints it, e.g. `(A) < (B)`. */
export function reportCheckFailed(
  place: { readonly file: string; readonly line: number },
  condition: string,
  left: number,
  right: number,
  context = PLAIN_REPORTS,
): never {
  const operands = `((u64)op1=${formatSize(left)}, (u64)op2=${formatSize(right)})`;
  die(context, "check-failed", null, `CHECK failed @ ${place.file}:${place.line} ${condition} ${operands}`);
}

/** R-map; the size is said when the reason was ENOMEM and the size is known. `reason` is strerror's text. */
export function reportMapError(
  reason: string,
  options: { readonly sizeBytes?: ByteCount } = {},
  context = PLAIN_REPORTS,
): never {
  const size =
    options.sizeBytes === undefined ? "" : ` requesting ${formatSize(Math.floor(options.sizeBytes / 1024))}KB`;
  die(context, "map-failed", null, `internal map failure (error desc=${reason})${size}`);
}

/** R-unmap. */
export function reportUnmapError(reason: string, address: Address, size: ByteCount, context = PLAIN_REPORTS): never {
  const text = `internal unmap failure (error desc=${reason}) Addr 0x${address.toString(16)} Size ${formatSize(size)}`;
  die(context, "unmap-failed", address, text);
}

/** R-protect; `protection` as mprotect's flags. */
export function reportProtectError(
  reason: string,
  address: Address,
  size: ByteCount,
  protection: number,
  context = PLAIN_REPORTS,
): never {
  const where = `Addr 0x${address.toString(16)} Size ${formatSize(size)} Prot ${protection.toString(16)}`;
  die(context, "protect-failed", address, `internal protect failure (error desc=${reason}) ${where}`);
}

/**
 * A heap call between malloc_disable and malloc_enable: in C it waits for ever (S25.2), which nothing could end here.
 */
export function reportDeadlock(context = PLAIN_REPORTS): never {
  die(context, "deadlock", null, "deadlock: the heap is disabled, this call would wait for malloc_enable for ever");
}

/** The hard limit on RSS was passed; refheap's own report, since the reference version has none (S15.1, S21.3). */
export function reportRssLimit(rssBytes: number, limitBytes: number, context = PLAIN_REPORTS): never {
  const text = `hard RSS limit exhausted (${toMegabytes(limitBytes)}Mb vs ${toMegabytes(rssBytes)}Mb)`;
  die(context, "rss-limit", null, text);
}

function toMegabytes(bytes: ByteCount): number {
  return Math.floor(bytes / 2 ** 20);
}
