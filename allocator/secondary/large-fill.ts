// Reference pages for large fills: one file descriptor for each (fill, tag), made on first use and kept for the heap's life; or the
// user's own way to map a pattern in their place.
// Who maps them is secondary.ts; what the call does is the kernel's (refpage/). Without one, the caller fills by memset.

import type { Address, ByteCount, Tag } from "../../platform/hardware/integers.ts";
import { PAGE_SIZE } from "../../platform/hardware/layout.ts";
import { tagRange } from "../../platform/hardware/tag-store.ts";
import { OutOfMemoryError, SystemError } from "../../platform/kernel/abi/errors.ts";
import { keepClass } from "../../platform/state/kept.ts";
import { FILL_PATTERN, FILL_ZERO } from "../common/fill.ts";
import type { MapPattern } from "../common/pattern-mapping.ts";
import { NO_MEMORY, type Program } from "../common/program.ts";

const TAGS = 16;
const GRANULE = 16;
/** A descriptor that was not asked for yet, and one that this kernel will never give. */
const UNKNOWN = -1;
const UNSUPPORTED = -2;

/** What {@link ReferencePages.descriptor} answers when there is none: fill some other way. */
export const NO_DESCRIPTOR = -1;

/** Errors after which the heap goes on without a reference page. ENOSYS will not go away; the others may. */
const FALLBACK_CODES = new Set(["EMFILE", "ENFILE", "ENOMEM", "ENOSYS"]);

export class ReferencePages {
  private readonly program: Program;
  readonly pattern: Uint8Array;
  /** Descriptors by `fill * 16 + tag`. They survive a fork, as every descriptor does. */
  private readonly descriptors = new Int32Array(3 * TAGS).fill(UNKNOWN);
  /** How often a fill had to do without, and the last reason. */
  fallbacks = 0;
  lastFailure: string | null = null;

  /** The user's own way to map the pattern; null: reference pages. */
  private readonly mapPattern: MapPattern | null;

  constructor(program: Program, pattern: Uint8Array, mapPattern: MapPattern | null) {
    this.program = program;
    this.pattern = pattern;
    this.mapPattern = mapPattern;
  }

  /** Maps fresh memory that reads as the pattern over what is there. @returns whether that could be done; counted in `fallbacks` if not */
  map(address: Address, length: ByteCount): boolean {
    if (this.mapPattern === null) {
      const descriptor = this.descriptor(FILL_PATTERN);
      return descriptor !== NO_DESCRIPTOR && this.program.commitFile(address, length, descriptor);
    }
    // A copy: the heap's own pattern is not the user's to change.
    if (this.program.commitOwn(address, length, this.mapPattern, this.pattern.slice())) return true;
    this.fallbacks++;
    this.lastFailure = this.program.errno;
    return false;
  }

  /**
   * The file descriptor of the reference page for `fill` (zero or pattern) and `tag`.
   * @param protection extra protection for the page that the contents are read from: PROT_MTE for a tag
   * @returns {@link NO_DESCRIPTOR} if it cannot be had; counted in `fallbacks`
   */
  descriptor(fill: number, tag = 0, protection = 0): number {
    const index = fill * TAGS + tag;
    if (this.descriptors[index] === UNKNOWN) this.descriptors[index] = this.create(fill, tag, protection);
    const descriptor = this.descriptors[index];
    if (descriptor >= 0) return descriptor;
    this.fallbacks++;
    return NO_DESCRIPTOR;
  }

  /** Descriptors held now. */
  get count(): number {
    return this.descriptors.reduce((sum, descriptor) => sum + (descriptor >= 0 ? 1 : 0), 0);
  }

  /** Whether the fd is one of this heap's. */
  has(descriptor: number): boolean {
    return this.descriptors.includes(descriptor);
  }

  private create(fill: number, tag: Tag, protection: number): number {
    const page = this.program.reserve(PAGE_SIZE);
    if (page === NO_MEMORY) return this.fail("ENOMEM");
    try {
      if (!this.program.commit(page, PAGE_SIZE, protection)) return this.fail("ENOMEM");
      return this.createFrom(page, fill, tag);
    } catch (error) {
      if (error instanceof OutOfMemoryError) return this.fail("ENOMEM");
      if (error instanceof SystemError && FALLBACK_CODES.has(error.code)) return this.fail(error.code);
      throw error;
    } finally {
      this.program.unmap(page, PAGE_SIZE);
    }
  }

  private fail(code: string): number {
    this.lastFailure = code;
    return code === "ENOSYS" ? UNSUPPORTED : UNKNOWN;
  }

  /** The later call takes a short pattern; the first one a whole page. A kernel may have either (R1, R2). */
  private createFrom(page: Address, fill: number, tag: Tag): number {
    const { memory, process } = this.program;
    const address = page + tag * 2 ** 48;
    if (tag !== 0) tagRange(memory, address, PAGE_SIZE);
    if (fill !== FILL_ZERO) memory.fillPattern(address, PAGE_SIZE, this.pattern);
    const size = tag !== 0 ? GRANULE : fill === FILL_ZERO ? 1 : this.pattern.length;
    try {
      return process.syscall("refpage_create2", address, size, 0);
    } catch (error) {
      if (!(error instanceof SystemError) || error.code !== "ENOSYS") throw error;
    }
    return process.syscall("refpage_create", address, 0);
  }

  /** The descriptors of the heap that was forked; they are the child's too. */
  copyFrom(other: ReferencePages): void {
    this.descriptors.set(other.descriptors);
    this.fallbacks = other.fallbacks;
    this.lastFailure = other.lastFailure;
  }

  /** Closes all descriptors, when the heap ends; mappings keep their pages. */
  close(): void {
    for (const [index, descriptor] of this.descriptors.entries()) {
      if (descriptor < 0) continue;
      this.program.process.close(descriptor);
      this.descriptors[index] = UNKNOWN;
    }
  }
}

keepClass("ReferencePages", ReferencePages);
