// Large folios: neighbouring frames that are allocated, charged and freed as one, and how often each is mapped and by whom
// (struct folio, include/linux/rmap.h). Single frames are not listed here; allocating and freeing is frames.ts.

import type { FrameNumber } from "../../hardware/integers.ts";
import { keepClass } from "../../state/kept.ts";

/** Stands for no address space (MM_ID_DUMMY). */
const NO_SPACE = 0;

/**
 * All counts stand at a folio's first frame. Invariants: `references` is `entire` + the mappings of single pages + pins + holders;
 * `mappings` is `entire` + the mappings of single pages.
 */
export class Folios {
  /** By frame: log2 of the number of frames of its folio; 0 for a frame that is no part of a large one. */
  readonly order: Uint8Array;
  readonly references: Int32Array;
  /** Huge entries that map it (_entire_mapcount + 1). */
  readonly entire: Int32Array;
  /** Entries of either size that map all or part of it (_large_mapcount + 1). */
  readonly mappings: Int32Array;
  /** Two address spaces that map it and how often, and whether others may (_mm_id, _mm_id_mapcount, FOLIO_MM_IDS_SHARED_BIT). */
  private readonly firstSpace: Int32Array;
  private readonly firstCount: Int32Array;
  private readonly secondSpace: Int32Array;
  private readonly secondCount: Int32Array;
  private readonly shared: Uint8Array;
  /** 1: some of its pages are mapped no more, so that a split would give memory back (_deferred_list). */
  private readonly partial: Uint8Array;
  /** Folios with `partial`, in the order in which they became so; those that went meanwhile are still named. */
  private deferred: number[] = [];
  /** Folios there are, by order, and those of them that are partially mapped (nr_anon, nr_anon_partially_mapped of sysfs). */
  readonly counts = new Int32Array(16);
  partialCount = 0;

  constructor(frameCount: number) {
    this.order = new Uint8Array(frameCount);
    this.references = new Int32Array(frameCount);
    this.entire = new Int32Array(frameCount);
    this.mappings = new Int32Array(frameCount);
    this.firstSpace = new Int32Array(frameCount);
    this.firstCount = new Int32Array(frameCount);
    this.secondSpace = new Int32Array(frameCount);
    this.secondCount = new Int32Array(frameCount);
    this.shared = new Uint8Array(frameCount);
    this.partial = new Uint8Array(frameCount);
  }

  /** The first frame of the folio that `frame` belongs to. */
  headOf(frame: FrameNumber): number {
    return frame & -(1 << this.order[frame]);
  }

  /** Frames of the folio that starts at `head`. */
  sizeOf(head: number): number {
    return 1 << this.order[head];
  }

  /** A new folio with one reference, not mapped. */
  create(head: number, order: number): void {
    this.order.fill(order, head, head + (1 << order));
    this.references[head] = 1;
    this.counts[order]++;
  }

  /** Forgets a folio that is neither mapped nor referenced. The order of its frames means nothing from then on. */
  forget(head: number): void {
    this.counts[this.order[head]]--;
    this.references[head] = 0;
    this.clearPartial(head);
  }

  /** Forgets a folio whose frames live on as single ones, with what maps them. */
  dissolve(head: number): void {
    this.forget(head);
    this.mappings[head] = 0;
    this.firstSpace[head] = NO_SPACE;
    this.firstCount[head] = 0;
    this.secondSpace[head] = NO_SPACE;
    this.secondCount[head] = 0;
    this.shared[head] = 0;
  }

  /** Counts `count` more entries of one address space that map pages of the folio (folio_add_return_large_mapcount). */
  addMappings(head: number, space: number, count: number): void {
    this.mappings[head] += count;
    if (this.firstSpace[head] === space) this.firstCount[head] += count;
    else if (this.secondSpace[head] === space) this.secondCount[head] += count;
    else if (this.firstSpace[head] === NO_SPACE) {
      this.firstSpace[head] = space;
      this.firstCount[head] = count;
      if (this.mappings[head] !== count) this.shared[head] = 1;
    } else {
      this.shared[head] = 1;
      if (this.secondSpace[head] !== NO_SPACE) return;
      this.secondSpace[head] = space;
      this.secondCount[head] = count;
    }
  }

  /**
   * Takes `count` entries of one address space away (folio_sub_return_large_mapcount). Only when a space has none left is it
   * looked at whether the folio belongs to one alone again; a third space is not kept in mind, as on Linux.
   */
  removeMappings(head: number, space: number, count: number): void {
    this.mappings[head] -= count;
    if (this.firstSpace[head] === space) {
      this.firstCount[head] -= count;
      if (this.firstCount[head] > 0) return;
      this.firstCount[head] = 0;
      this.firstSpace[head] = NO_SPACE;
    } else if (this.secondSpace[head] === space) {
      this.secondCount[head] -= count;
      if (this.secondCount[head] > 0) return;
      this.secondCount[head] = 0;
      this.secondSpace[head] = NO_SPACE;
    }
    const left = this.mappings[head];
    if (this.firstCount[head] === left || this.secondCount[head] === left) this.shared[head] = 0;
  }

  /** Whether more than one address space may map pages of the folio (folio_maybe_mapped_shared). */
  mayBeShared(head: number): boolean {
    return this.shared[head] === 1;
  }

  /**
   * Whether a store to a page of the folio may use it in place: one address space has all mappings, nothing else holds it, and
   * more than one page of it is in use, so that keeping it whole is worth it (__wp_can_reuse_large_anon_folio).
   */
  canReuse(head: number): boolean {
    return this.mappings[head] > 1 && this.shared[head] === 0 && this.mappings[head] === this.references[head];
  }

  /** To be told of a folio that has lost the mapping of a page while others stay (deferred_split_folio). */
  notePartial(head: number): void {
    if (this.partial[head] === 1) return;
    this.partial[head] = 1;
    this.partialCount++;
    this.deferred.push(head);
  }

  clearPartial(head: number): void {
    if (this.partial[head] === 0) return;
    this.partial[head] = 0;
    this.partialCount--;
  }

  /** Takes the list of partially mapped folios, each once; the caller splits them, or notes them again. */
  takeDeferred(): number[] {
    const heads = this.deferred.filter((head) => this.partial[head] === 1);
    this.deferred = [];
    for (const head of heads) this.clearPartial(head);
    return [...new Set(heads)];
  }
}

keepClass("Folios", Folios);
