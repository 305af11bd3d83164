// How often each frame is used: references, the entries that map it, pins, and what copy-on-write asks of them; large folios too.
// Which frames are free, who pays and what they hold is frames.ts.
import type { FrameNumber } from "../../hardware/integers.ts";
import { Folios } from "./folios.ts";
import { IN_FOLIO } from "./free-frames.ts";

/** Pages that a batch holds (PAGEVEC_SIZE). */
const BATCH_PAGES = 31;

/** Where a page stands after MADV_FREE. */
const NOT_LAZY = 0;
const LAZY_BATCHED = 1;
const LAZY = 2;

/** Invariant: a frame of a large folio has the count IN_FOLIO, and its folio has the counts (folios.ts). */
export abstract class FrameCounts {
  /** Frames of RAM. */
  readonly frameCount: number;
  /** References to a frame: one for each page-table entry, page-cache slot, pin and reference page; IN_FOLIO: see `folios`. */
  readonly references: Int32Array;
  /** Small page-table entries that map a frame (special ones excluded): Linux's _mapcount + 1. */
  readonly mapCounts: Int32Array;
  /** Pins by get_user_pages that may be written through for long (FOLL_PIN); those of a large folio at its first frame. */
  readonly pins: Int32Array;
  /** 1: an anonymous page that only one process can have mapped (PageAnonExclusive). */
  readonly exclusive: Uint8Array;
  /** 1: a page that the kernel itself has written to, or a file's that was stored to, also where no entry says so (PG_dirty); a folio's at its first frame. */
  readonly dirty: Uint8Array;
  /** Drain in which a frame was last put into the batch of pages (see batch()); it counts while no other drain has come. */
  protected readonly batchedIn: Int32Array;
  /** Whether a frame's page is one that MADV_FREE gave up: NOT_LAZY, LAZY_BATCHED or LAZY. */
  protected readonly lazyFree: Uint8Array;
  private drains = 1;
  private batchedPages = 0;
  private readonly lazyBatch: number[] = [];
  private largeFolios: Folios | null = null;

  constructor(frameCount: number) {
    this.frameCount = frameCount;
    this.references = new Int32Array(frameCount);
    this.mapCounts = new Int32Array(frameCount);
    this.pins = new Int32Array(frameCount);
    this.exclusive = new Uint8Array(frameCount);
    this.dirty = new Uint8Array(frameCount);
    this.batchedIn = new Int32Array(frameCount);
    this.lazyFree = new Uint8Array(frameCount);
  }

  /** As at boot; `used`: frames from the first one on that had any count. */
  protected resetCounts(used: number): void {
    for (const table of [this.references, this.mapCounts, this.pins, this.batchedIn]) table.fill(0, 0, used);
    for (const table of [this.exclusive, this.dirty, this.lazyFree]) table.fill(0, 0, used);
    this.drains = 1;
    this.batchedPages = 0;
    this.lazyBatch.length = 0;
    this.largeFolios = null;
  }

  /** Called when a count has fallen to 0 or below: the frame, or a reference to its folio, is given back. */
  protected abstract release(frame: FrameNumber): void;

  /** Gives a reference to a folio back; the last one frees it. */
  protected abstract putFolio(head: FrameNumber): void;

  /** Large folios. Made at the first use: most kernels have none, and their counts take room. */
  get folios(): Folios {
    this.largeFolios ??= new Folios(this.frameCount);
    return this.largeFolios;
  }

  /** The large folios that are mapped in part; the list is empty then. */
  protected takePartial(): readonly number[] {
    return this.largeFolios?.takeDeferred() ?? [];
  }

  /** Takes one reference more. */
  get(frame: FrameNumber): void {
    if (++this.references[frame] <= 0) this.getInFolio(frame);
  }

  /** Gives a reference back; the last one frees the frame, or its folio, and uncharges it. */
  put(frame: FrameNumber): void {
    if (--this.references[frame] <= 0) this.release(frame);
  }

  /** Takes a small entry's mapping of a frame away, and its reference. `space` is the id of the address space that had it. */
  unmap(frame: FrameNumber, space: number): void {
    this.mapCounts[frame]--;
    if (--this.references[frame] <= 0) {
      if (this.references[frame] < 0) this.removeFolioMapping(frame, space);
      this.release(frame);
    }
  }

  /** Counts a small entry that maps a frame; the caller brings the reference. */
  map(frame: FrameNumber, space: number): void {
    this.mapCounts[frame]++;
    if (this.references[frame] < 0) this.folios.addMappings(this.folios.headOf(frame), space, 1);
  }

  /** Counts a huge entry that maps a folio; the caller brings the reference. */
  mapHuge(head: number, space: number): void {
    this.folios.addEntire(head, space);
  }

  /** Takes a huge entry's mapping of a folio away, and its reference. */
  unmapHuge(head: number, space: number): void {
    const { folios } = this;
    folios.removeEntire(head, space);
    if (folios.entire(head) === 0 && folios.mappings(head) > 0 && this.hasUnmappedPage(head)) folios.notePartial(head);
    this.putFolio(head);
  }

  /** As one huge entry of a folio becomes small ones; `wasDirty`: it was stored to. */
  splitHugeMapping(head: number, space: number, wasDirty: boolean): void {
    const { folios, mapCounts } = this;
    const size = folios.sizeOf(head);
    folios.splitEntire(head, space);
    for (let frame = head; frame < head + size; frame++) mapCounts[frame]++;
    this.exclusive.fill(this.exclusive[head], head, head + size);
    if (wasDirty) this.dirty[head] = 1;
  }

  private hasUnmappedPage(head: number): boolean {
    const end = head + this.folios.sizeOf(head);
    for (let frame = head; frame < end; frame++) if (this.mapCounts[frame] === 0) return true;
    return false;
  }

  /** Takes hold of a page for long (FOLL_PIN), with a reference. */
  pin(frame: FrameNumber): void {
    this.get(frame);
    this.pins[this.headOf(frame)]++;
  }

  /** Takes a pin away. */
  unpin(frame: FrameNumber): void {
    this.pins[this.headOf(frame)]--;
    this.put(frame);
  }

  /** Entries of either size that map a frame. */
  mapCountOf(frame: FrameNumber): number {
    const count = this.mapCounts[frame];
    return this.references[frame] < 0 ? count + this.folios.entire(this.folios.headOf(frame)) : count;
  }

  /** The frame at which a frame's pins and its dirty mark stand: its own, or the first of its folio. */
  headOf(frame: FrameNumber): number {
    return this.references[frame] < 0 ? this.folios.headOf(frame) : frame;
  }

  /** Whether the frame is a part of a larger folio. */
  isInFolio(frame: FrameNumber): boolean {
    return this.references[frame] < 0;
  }

  /** Whether the frame was written since it was last clean. */
  isDirty(frame: FrameNumber): boolean {
    return this.dirty[this.headOf(frame)] === 1;
  }

  /** Says that the frame was written. */
  markDirty(frame: FrameNumber): void {
    this.dirty[this.headOf(frame)] = 1;
  }

  /** Whether a store to a page that an entry maps read-only may use it in place (wp_can_reuse_anon_folio). */
  canReuse(frame: FrameNumber): boolean {
    const references = this.references[frame];
    if (references >= 0) return references === 1;
    return this.folios.canReuse(this.folios.headOf(frame));
  }

  /** Whether anything but page-table entries holds a frame, or the folio that it is part of (folio_expected_ref_count). */
  isHeld(frame: FrameNumber): boolean {
    const references = this.references[frame];
    return references >= 0 ? references !== this.mapCounts[frame] : !this.canSplit(this.folios.headOf(frame));
  }

  /** As isHeld, of a frame in the page cache: the cache holds it too, and with it all pages of its folio. */
  isHeldBeyondCache(frame: FrameNumber): boolean {
    if (!this.isInFolio(frame)) return this.references[frame] !== this.mapCounts[frame] + 1;
    const head = this.folios.headOf(frame);
    return this.folios.references(head) !== this.folios.mappings(head) + this.folios.sizeOf(head);
  }

  /**
   * A locked area has got or let go of a page: the kernel puts it into a batch and keeps a reference of its own until the
   * batch is full or drained (mlock_folio, mlock_new_folio, munlock_folio). So long no owner counts as the page's last.
   */
  batch(frame: FrameNumber): void {
    this.batchedIn[frame] = this.drains;
    // A large folio has the batch drained immediately.
    if (++this.batchedPages === BATCH_PAGES || this.isInFolio(frame)) this.drainBatches();
  }

  /** Whether only one reference is left, the batch's included. */
  isLastReference(frame: FrameNumber): boolean {
    return this.canReuse(frame) && this.batchedIn[frame] !== this.drains;
  }

  /** What calls that look at the lists of pages do (lru_add_drain). */
  drainBatches(): void {
    this.drains++;
    this.batchedPages = 0;
    if (this.lazyBatch.length > 0) this.moveLazyBatch();
  }

  /** MADV_FREE of a page. It counts as given up once its batch is full or drained (folio_mark_lazyfree, lru_lazyfree). */
  giveUp(frame: FrameNumber): void {
    if (this.lazyFree[frame] !== NOT_LAZY) return;
    this.lazyFree[frame] = LAZY_BATCHED;
    if (this.lazyBatch.push(frame) === BATCH_PAGES) this.moveLazyBatch();
  }

  /** Whether a page was given up and has left its batch; a store since then shows in its entry. */
  isGivenUp(frame: FrameNumber): boolean {
    return this.lazyFree[frame] === LAZY;
  }

  private moveLazyBatch(): void {
    // A frame that was freed meanwhile is no longer marked.
    for (const frame of this.lazyBatch) if (this.lazyFree[frame] === LAZY_BATCHED) this.lazyFree[frame] = LAZY;
    this.lazyBatch.length = 0;
  }

  /** Takes the mapping of one page of a folio away from `space`; what else maps the folio may have become less than all of it. */
  private removeFolioMapping(frame: FrameNumber, space: number): void {
    const { folios } = this;
    const head = folios.headOf(frame);
    folios.removeMappings(head, space, 1);
    if (this.mapCounts[frame] === 0 && folios.entire(head) === 0 && folios.mappings(head) > 0) folios.notePartial(head);
  }

  private getInFolio(frame: FrameNumber): void {
    this.references[frame] = IN_FOLIO;
    this.folios.addReferences(this.folios.headOf(frame), 1);
  }

  /** Whether only page-table entries hold a folio (can_split_folio). */
  canSplit(head: number): boolean {
    return this.folios.references(head) === this.folios.mappings(head);
  }
}
