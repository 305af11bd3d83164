// HeapError: what a heap throws where Scudo would write a report and abort. What lives here: the class, its kinds, number formats.
// The texts themselves are in report.ts; option errors, which carry more, are in option-error.ts.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { hideLibraryFrames, type RawTrace, traceText, untraced } from "../../platform/host/stack.ts";

/**
 * One kind a report (S21); later versions' reports (S31) and the RSS limits have kinds of their own. `"ended"` is a call of a heap
 * that was disposed of, or whose process has ended.
 */
export type HeapErrorKind =
  | "corrupted-header"
  | "invalid-state"
  | "misaligned"
  | "type-mismatch"
  | "size-mismatch"
  | "alignment-mismatch"
  | "alignment-too-big"
  | "size-too-big"
  | "out-of-memory"
  | "batch-class-exhausted"
  | "alignment-not-power-of-two"
  | "calloc-overflow"
  | "reallocarray-overflow"
  | "posix-memalign-alignment"
  | "aligned-alloc-alignment"
  | "pvalloc-overflow"
  | "invalid-option"
  | "sanity-check"
  | "check-failed"
  | "map-failed"
  | "unmap-failed"
  | "protect-failed"
  | "rss-limit"
  | "deadlock"
  | "tag-fault"
  | "ended";

/** Host stack traces of a chunk, as text, one frame a line; null where none was kept (S24, `stacks: true`). */
export interface ChunkStacks {
  /** Of the allocation; null if it was not kept. */
  readonly allocation: string | null;
  /** Of the free; null if it was not kept, or if the chunk is live. */
  readonly free: string | null;
}

/** Frames of the trace of a second free. */
const FRAMES = 16;

/**
 * A misuse or failure that Scudo reports and dies of; here the heap stays usable.
 * `report` is Scudo's text word for word, final newline included, followed by the stacks when they are kept. The message is the
 * same text, with the words that people have for it behind it where Scudo's do not say so (a double free).
 */
export class HeapError extends Error {
  /** The class's name, for what is told apart by name. */
  override readonly name: string = "HeapError";
  /** What was detected. */
  readonly kind: HeapErrorKind;
  /** The chunk's address as the report prints it (without a tag); null where the report is about no address. */
  readonly address: Address | null;
  /** Where the chunk was allocated and freed. Not named `stacks`: Vitest keeps parsed frames under that name of an error. */
  readonly chunkStacks: ChunkStacks | null;
  /**
   * Where the caller's chunk is now, for a report about *another* chunk that the quarantine's recycling found while `realloc`
   * was giving the old place back; null for every other report.
   */
  movedTo: number | null = null;
  /** The report's own line. */
  readonly #text: string;
  /** Where a chunk was freed again; null: it was not. */
  readonly #again: RawTrace | null;
  #report: string | null = null;

  constructor(
    kind: HeapErrorKind,
    address: Address | null,
    text: string,
    stacks: ChunkStacks | null = null,
    plainWords: string | null = null,
  ) {
    super(untraced(plainWords === null ? text : `${text} (${plainWords})`));
    const trace = hideLibraryFrames(this, FRAMES);
    this.kind = kind;
    this.address = address;
    this.chunkStacks = stacks;
    this.#text = text;
    this.#again = plainWords === null || stacks === null ? null : trace;
  }

  /** Scudo's own report: what Scudo would write to the log before it aborts. Made when it is first read. */
  get report(): string {
    this.#report ??= `${this.#text}\n${formatStacks(this.chunkStacks)}${formatAgain(this.#again)}`;
    return this.#report;
  }
}

/** The third stack, of the second free: where the program stands. */
function formatAgain(trace: RawTrace | null): string {
  return trace === null ? "" : `freed again at:\n${traceText(trace, FRAMES)}\n`;
}

function formatStacks(stacks: ChunkStacks | null): string {
  if (stacks === null) return "";
  const allocated = stacks.allocation === null ? "" : `allocated at:\n${stacks.allocation}\n`;
  const freed = stacks.free === null ? "" : `freed at:\n${stacks.free}\n`;
  return allocated + freed;
}

const MINIMUM_POINTER_DIGITS = 12;

/** Scudo's %p: `0x` and at least 12 hexadecimal digits. @see S21.1 */
export function formatPointer(address: Address): string {
  return `0x${BigInt(address).toString(16).padStart(MINIMUM_POINTER_DIGITS, "0")}`;
}

const SIZE_LIMIT = 2 ** 64;

/**
 * Scudo's %zu. A JavaScript number cannot hold SIZE_MAX = 2^64 − 1: the nearest is 2^64, which is no size_t;
 * so 2^64 and above are printed as SIZE_MAX, and a negative number as the size_t it would be in C.
 */
export function formatSize(size: ByteCount): string {
  if (size >= SIZE_LIMIT) return "18446744073709551615";
  return BigInt.asUintN(64, BigInt(Math.trunc(size))).toString();
}
