// The commonest fault as one straight path: the first store to a private page, with nothing unusual about page, area or kernel.
// Anything else gives up with nothing done and goes the whole way of fault.ts; both have the same effects.
import { fillBytes } from "../../hardware/array-methods.ts";
import type { Counters } from "../../hardware/counters.ts";
import type { AreaId, PageNumber, PageTableEntry } from "../../hardware/integers.ts";
import { PAGE_SIZE, PTE_ANON, PTE_FRAME_SHIFT, PTE_PRESENT, PTE_READ, PTE_WRITE } from "../../hardware/layout.ts";
import { hideLinks, outline } from "../../hardware/outline.ts";
import { ENTRIES_PER_BLOCK } from "../../hardware/page-table.ts";
import type { PhysicalMemory } from "../../hardware/physical-memory.ts";
import { keepClass } from "../../state/kept.ts";
import type { AddressSpace, FaultAccount } from "./address-space.ts";
import { type CleanPage, type FrameAllocator, NO_FRAME, zeroPage } from "./frames.ts";
import type { HugePageSettings } from "./huge-settings.ts";
import { VM_LOCKED, VM_MTE, VM_UFFD_MISSING, VM_WRITE } from "./vm-flags.ts";
import type { VmaTable } from "./vma.ts";

/** Of an area's flags these decide: stores are permitted, and no page is supplied by a user, tagged or batched. */
const DECIDING_FLAGS = VM_WRITE | VM_UFFD_MISSING | VM_MTE | VM_LOCKED;
const ENTRY_BITS = PTE_PRESENT | PTE_ANON | PTE_READ | PTE_WRITE;
const BLOCK_SHIFT = 9;
const NOT_DONE = 0;
const NO_AREA = -1;
/** As `end`: no page is in the range. */
const CLOSED = 0;

/**
 * A range of pages of which nothing is unusual: the area that stores met twice, as long as no area has changed since. What is so of all
 * its pages was looked at when it was opened; what else holds all tables that the path needs is here, one hop away.
 *
 * Invariant: while `changes` is the areas' own, [start, end) is empty or one area whose stores may go straight (`isOrdinary`).
 */
export class FirstStores {
  private start = 0;
  private end = CLOSED;
  private lastArea = NO_AREA;
  private changes = 0;
  private clean: CleanPage = zeroPage;
  /** The byte that fills a page, or −1: the clean page knows how. */
  private byte = -1;
  private isZeroed = false;
  /** Whether a page is zeroed before it is filled (R8). */
  private isDouble = false;
  private readonly space: AddressSpace;
  private readonly vmas: VmaTable;
  private readonly frames: FrameAllocator;
  private readonly hugePages: HugePageSettings;
  private readonly counters: Counters;
  private readonly ram: PhysicalMemory;
  private readonly firstBank: Uint8Array;
  private readonly entries: Int32Array;
  private readonly populated: Uint16Array;

  constructor(space: AddressSpace) {
    const { kernel, vmas, pageTable } = space;
    const { ram } = kernel.machine;
    this.space = space;
    this.vmas = vmas;
    this.frames = kernel.frames;
    this.hugePages = kernel.hugePages;
    this.counters = kernel.counters;
    this.ram = ram;
    this.firstBank = ram.banks[0];
    this.entries = pageTable.entries;
    this.populated = pageTable.populated;
    hideLinks(this);
  }

  /** A first store to the area `id` went the whole way. From the second one on the next may go straight: many areas see but one. */
  note(id: AreaId): void {
    const { vmas } = this;
    if (this.lastArea !== id || this.changes !== vmas.changes) {
      this.lastArea = id;
      this.changes = vmas.changes;
      this.end = CLOSED;
    } else if (this.isOrdinary(id)) this.open(id);
  }

  private isOrdinary(id: AreaId): boolean {
    const { vmas, frames } = this;
    if ((vmas.flags[id] & DECIDING_FLAGS) !== VM_WRITE || vmas.anonymous[id] === 0 || vmas.anonVma[id] === 0)
      return false;
    return this.space.cgroup === null && frames.homeFrames === 0;
  }

  private open(id: AreaId): void {
    const { vmas } = this;
    const clean = vmas.cleanPages[id];
    this.start = vmas.startPage[id];
    this.end = vmas.endPage[id];
    this.clean = clean;
    this.byte = clean.byteOf?.(this.ram) ?? -1;
    this.isZeroed = clean === zeroPage;
    this.isDouble = this.frames.policy === "double" && !this.isZeroed;
  }

  /** The fault of a store at `page`, where no entry is. @returns the new entry; 0: nothing was done */
  store(charged: FaultAccount, page: PageNumber): PageTableEntry {
    if (page < this.start || page >= this.end || this.changes !== this.vmas.changes) return NOT_DONE;
    const { populated, space, counters } = this;
    const inBlock = populated[page >> BLOCK_SHIFT];
    // None: there may be no page table. All: a huge entry, whose copies need not be there.
    if (inBlock % ENTRIES_PER_BLOCK === 0 || space.freshMarks !== null || this.hugePages.hasFolioSizes) return NOT_DONE;
    const frame = this.frames.takeStraight();
    if (frame === NO_FRAME) return NOT_DONE;
    const entry = (frame << PTE_FRAME_SHIFT) | ENTRY_BITS;
    this.entries[page] = entry;
    populated[page >> BLOCK_SHIFT] = inBlock + 1;
    space.rssAnonymous++;
    charged.minorFaults++;
    counters.framesAllocated++;
    counters.minorFaults++;
    counters.anonymousWriteFaults++;
    counters.ptesSet++;
    if (this.isDouble) zeroPage.initialise(this.ram, counters, frame);
    if (this.byte < 0) this.clean.initialise(this.ram, counters, frame);
    else this.fill(frame);
    return entry;
  }

  /** What the clean page's initialise() does if a byte is all of its content. */
  private fill(frame: number): void {
    const { counters } = this;
    if (this.isZeroed) {
      counters.framesZeroed++;
      counters.bytesZeroed += PAGE_SIZE;
    } else {
      counters.framesFilled++;
      counters.bytesFilled += PAGE_SIZE;
    }
    this.ram.fillTags(frame, 0);
    const position = frame * PAGE_SIZE;
    fillBytes(this.firstBank, this.byte, position, position + PAGE_SIZE);
  }

  /** @throws Error naming the broken invariant. */
  checkInvariants(): void {
    const { vmas } = this;
    if (this.end === CLOSED || this.changes !== vmas.changes) return;
    const id = vmas.lookup(this.start);
    const isArea = id !== NO_AREA && vmas.startPage[id] === this.start && vmas.endPage[id] === this.end;
    if (!isArea || !this.isOrdinary(id) || vmas.cleanPages[id] !== this.clean)
      throw new Error(
        `stores to pages ${this.start} to ${this.end} go straight, but they are no area that this holds for`,
      );
  }
}

outline(FirstStores, () => ({}));

// Where stores go straight is found again: a state does not differ by it.
keepClass("FirstStores", FirstStores, {
  atRest: () => ({
    start: 0,
    end: CLOSED,
    lastArea: NO_AREA,
    changes: 0,
    clean: zeroPage,
    byte: -1,
    isZeroed: false,
    isDouble: false,
  }),
});
