// Large folios: neighbouring frames that are allocated, charged and freed as one, and how often each is mapped and by whom
// (struct folio, include/linux/rmap.h). Single frames are not listed here; allocating and freeing is frames.ts.

import type { FrameNumber } from "../../hardware/integers.ts";
import { keepClass } from "../../state/kept.ts";

/** Stands for no address space (MM_ID_DUMMY). */
const NO_SPACE = 0;

/** Numbers that a folio has, all in one line of the host's cache: a folio begins at an even frame, and has the room of that pair. */
const FIELDS = 8;
const FIELD_SHIFT = 3 - 1;
const REFERENCES = 0;
/** Huge entries that map it (_entire_mapcount + 1). */
const ENTIRE = 1;
/** Entries of either size that map all or part of it (_large_mapcount + 1). */
const MAPPINGS = 2;
/** Two address spaces that map it and how often (_mm_id, _mm_id_mapcount). */
const FIRST_SPACE = 3;
const FIRST_COUNT = 4;
const SECOND_SPACE = 5;
const SECOND_COUNT = 6;
const FLAGS = 7;
/** Others may map it as well (FOLIO_MM_IDS_SHARED_BIT). */
const SHARED = 1;
/** Some of its pages are mapped no more, so that a split would give memory back (_deferred_list). */
const PARTIAL = 2;
/** Small entries have mapped it: what is kept for each of its frames may have been written. */
const SPLIT = 4;

/**
 * All counts stand at a folio's first frame. Invariants: `references` is `entire` + the mappings of single pages + pins + holders;
 * `mappings` is `entire` + the mappings of single pages.
 */
export class Folios {
  /** By frame: log2 of the number of frames of its folio; 0 for a frame that is no part of a large one. */
  readonly order: Uint8Array;
  private readonly fields: Int32Array;
  /** Partially mapped folios, in the order in which they became so; those that went meanwhile are still named. */
  private deferred: number[] = [];
  /** Folios there are, by order, and those of them that are partially mapped (nr_anon, nr_anon_partially_mapped of sysfs). */
  readonly counts = new Int32Array(16);
  partialCount = 0;

  constructor(frameCount: number) {
    this.order = new Uint8Array(frameCount);
    this.fields = new Int32Array(Math.ceil(frameCount / 2) * FIELDS);
  }

  references(head: FrameNumber): number {
    return this.fields[(head << FIELD_SHIFT) | REFERENCES];
  }

  /** Adds to the references. @returns how many there are now. */
  addReferences(head: FrameNumber, count: number): number {
    const at = (head << FIELD_SHIFT) | REFERENCES;
    this.fields[at] += count;
    return this.fields[at];
  }

  /** Huge entries that map the folio. */
  entire(head: FrameNumber): number {
    return this.fields[(head << FIELD_SHIFT) | ENTIRE];
  }

  /** Entries of either size that map all or part of the folio. */
  mappings(head: FrameNumber): number {
    return this.fields[(head << FIELD_SHIFT) | MAPPINGS];
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
    this.fields[(head << FIELD_SHIFT) | REFERENCES] = 1;
    this.counts[order]++;
  }

  /** Forgets a folio that is neither mapped nor referenced. The order of its frames means nothing from then on. */
  forget(head: number): void {
    this.counts[this.order[head]]--;
    this.clearPartial(head);
    const base = head << FIELD_SHIFT;
    this.fields[base | REFERENCES] = 0;
    this.fields[base | FLAGS] = 0;
  }

  /** Forgets a folio whose frames live on as single ones, with what maps them. */
  dissolve(head: number): void {
    this.forget(head);
    const base = head << FIELD_SHIFT;
    this.fields.fill(0, base, base + FIELDS);
  }

  /** Counts a huge entry more of `space`, or takes one away. */
  addEntire(head: number, space: number): void {
    this.fields[(head << FIELD_SHIFT) | ENTIRE]++;
    this.addMappings(head, space, 1);
  }

  removeEntire(head: number, space: number): void {
    this.fields[(head << FIELD_SHIFT) | ENTIRE]--;
    this.removeMappings(head, space, 1);
  }

  /** As a huge entry of `space` becomes small ones: each is a mapping, and holds the folio. */
  splitEntire(head: number, space: number): void {
    const base = head << FIELD_SHIFT;
    const more = this.sizeOf(head) - 1;
    this.fields[base | ENTIRE]--;
    this.fields[base | REFERENCES] += more;
    this.fields[base | FLAGS] |= SPLIT;
    this.addMappings(head, space, more);
  }

  /** Whether only huge entries have ever mapped the folio. */
  isWhole(head: number): boolean {
    return (this.fields[(head << FIELD_SHIFT) | FLAGS] & SPLIT) === 0;
  }

  /** Counts `count` more entries of one address space that map pages of the folio (folio_add_return_large_mapcount). */
  addMappings(head: number, space: number, count: number): void {
    const { fields } = this;
    const base = head << FIELD_SHIFT;
    fields[base | MAPPINGS] += count;
    if (fields[base | FIRST_SPACE] === space) fields[base | FIRST_COUNT] += count;
    else if (fields[base | SECOND_SPACE] === space) fields[base | SECOND_COUNT] += count;
    else if (fields[base | FIRST_SPACE] === NO_SPACE) {
      fields[base | FIRST_SPACE] = space;
      fields[base | FIRST_COUNT] = count;
      if (fields[base | MAPPINGS] !== count) fields[base | FLAGS] |= SHARED;
    } else {
      fields[base | FLAGS] |= SHARED;
      if (fields[base | SECOND_SPACE] !== NO_SPACE) return;
      fields[base | SECOND_SPACE] = space;
      fields[base | SECOND_COUNT] = count;
    }
  }

  /**
   * Takes `count` entries of one address space away (folio_sub_return_large_mapcount). Only when a space has none left is it
   * looked at whether the folio belongs to one alone again; a third space is not kept in mind, as on Linux.
   */
  removeMappings(head: number, space: number, count: number): void {
    const { fields } = this;
    const base = head << FIELD_SHIFT;
    fields[base | MAPPINGS] -= count;
    if (fields[base | FIRST_SPACE] === space) {
      fields[base | FIRST_COUNT] -= count;
      if (fields[base | FIRST_COUNT] > 0) return;
      fields[base | FIRST_COUNT] = 0;
      fields[base | FIRST_SPACE] = NO_SPACE;
    } else if (fields[base | SECOND_SPACE] === space) {
      fields[base | SECOND_COUNT] -= count;
      if (fields[base | SECOND_COUNT] > 0) return;
      fields[base | SECOND_COUNT] = 0;
      fields[base | SECOND_SPACE] = NO_SPACE;
    }
    const left = fields[base | MAPPINGS];
    if (fields[base | FIRST_COUNT] === left || fields[base | SECOND_COUNT] === left) fields[base | FLAGS] &= ~SHARED;
  }

  /** Whether more than one address space may map pages of the folio (folio_maybe_mapped_shared). */
  mayBeShared(head: number): boolean {
    return (this.fields[(head << FIELD_SHIFT) | FLAGS] & SHARED) !== 0;
  }

  /**
   * Whether a store to a page of the folio may use it in place: one address space has all mappings, nothing else holds it, and
   * more than one page of it is in use, so that keeping it whole is worth it (__wp_can_reuse_large_anon_folio).
   */
  canReuse(head: number): boolean {
    const mappings = this.mappings(head);
    return mappings > 1 && !this.mayBeShared(head) && mappings === this.references(head);
  }

  /** To be called with a folio that has lost the mapping of a page while others stay (deferred_split_folio). */
  notePartial(head: number): void {
    if (this.isPartial(head)) return;
    this.fields[(head << FIELD_SHIFT) | FLAGS] |= PARTIAL;
    this.partialCount++;
    this.deferred.push(head);
  }

  private isPartial(head: number): boolean {
    return (this.fields[(head << FIELD_SHIFT) | FLAGS] & PARTIAL) !== 0;
  }

  clearPartial(head: number): void {
    if (!this.isPartial(head)) return;
    this.fields[(head << FIELD_SHIFT) | FLAGS] &= ~PARTIAL;
    this.partialCount--;
  }

  /** Takes the list of partially mapped folios, each once; the caller splits them, or notes them again. */
  takeDeferred(): number[] {
    const heads = this.deferred.filter((head) => this.isPartial(head));
    this.deferred = [];
    for (const head of heads) this.clearPartial(head);
    return [...new Set(heads)];
  }
}

keepClass("Folios", Folios);
