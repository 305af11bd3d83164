// The page allocator: which frames are free, how often each is used, who pays, and how a frame is initialised when it leaves (R8).
// Page tables, areas and faults are elsewhere. Frame 0 is the zero page and never leaves.
import type { Counters } from "../../hardware/counters.ts";
import { PAGE_SIZE } from "../../hardware/layout.ts";
import type { Machine } from "../../hardware/machine.ts";
import type { PhysicalMemory } from "../../hardware/physical-memory.ts";
import type { MemoryCgroup } from "./cgroup.ts";

/**
 * How frames are initialised (R8). `nozero`: those that will be filled leave uninitialised (v4's __GFP_NOZERO).
 * `double`: every frame leaves zeroed, then it is filled. `plumbed`: the allocator is told the content and writes it once.
 */
export type InitialisationPolicy = "nozero" | "double" | "plumbed";
export const INITIALISATION_POLICIES: readonly InitialisationPolicy[] = ["nozero", "double", "plumbed"];

/** What a load sees in an area before any store, and what the first store's private page starts as. */
export interface CleanPage {
  /** The frame that loads are mapped to. */
  readonly frame: number;
  /** Makes `frame` equal to the clean page, data and tags, by the cheapest way there is, and counts it. */
  initialise(ram: PhysicalMemory, counters: Counters, frame: number): void;
}

/** The frame that every zero page of every process is. */
export const ZERO_FRAME = 0;

/** The zero page: the clean page of every area that has no other. */
export const zeroPage: CleanPage = {
  frame: ZERO_FRAME,
  initialise(ram, counters, frame) {
    ram.fillFrame(frame, 0);
    ram.fillTags(frame, 0);
    ram.fillValidity(frame, 0);
    counters.framesZeroed++;
    counters.bytesZeroed += PAGE_SIZE;
  },
};

/** Frames of the first bank of RAM (physical-memory.ts), the one that fast accesses go to. */
const FIRST_BANK_FRAMES = 2 ** 20;

/** No frame could be had; where a page is meant: any frame will do. */
export const NO_FRAME = -1;

/**
 * Invariants: a frame is free exactly if its reference count is 0 and it lies on the free stack, at or beyond
 * `firstUnused`, or below `homeFrames`; `freeFrames` counts all of them; the charges of each cgroup equal the frames that
 * carry its id.
 *
 * With `homeFrames` (of a kernel for one process whose memory something else than a page table reads, such as a WebAssembly
 * module), page n of the process has frame n and no other. Its bytes are kept by the address space's HomeKeeper, so taking it
 * counts the initialisation but leaves them alone.
 */
export class FrameAllocator {
  readonly ram: PhysicalMemory;
  readonly counters: Counters;
  readonly policy: InitialisationPolicy;
  readonly frameCount: number;
  /** Accesses to frames from this one on take the checked path: those beyond the first bank of RAM, or all with validity bits. */
  readonly firstChecked: number;
  /** References to a frame: one for each page-table entry, page-cache slot, pin and reference page. */
  readonly references: Int32Array;
  /** Page-table entries that map a frame (special ones excluded): Linux's _mapcount + 1. */
  readonly mapCounts: Int32Array;
  /** Pins by get_user_pages that may be written through for long (FOLL_PIN). */
  readonly pins: Int32Array;
  /** 1: an anonymous page that only one process can have mapped (PageAnonExclusive). */
  readonly exclusive: Uint8Array;
  /** 1: an anonymous page that the kernel itself has written to, whatever its entries say (PG_dirty). */
  readonly dirty: Uint8Array;
  /** Drain in which a frame was last put into the batch below; it counts while no other drain has come. */
  private readonly unlockedIn: Int32Array;
  private drains = 1;
  private readonly cgroupIds: Uint16Array;
  readonly cgroups: MemoryCgroup[] = [];

  /** Freed frames, the latest on top, so that the host's cache is warm; and the frames that nobody had yet. */
  private readonly freeStack: Int32Array;
  private freeTop = 0;
  private firstUnused: number;
  private failureCountdown = -1;
  /** Frames from 0 to here belong to the page of the same number; 0: there are no such frames. */
  readonly homeFrames: number;
  private usedHomes = 0;
  /** The frame that never leaves: the zero page, or where the initialisation of frames at home is done and counted. */
  readonly reservedFrame: number;

  constructor(machine: Machine, policy: InitialisationPolicy, homeFrames = 0) {
    this.ram = machine.ram;
    this.counters = machine.counters;
    this.policy = policy;
    this.frameCount = machine.frameCount;
    this.firstChecked = machine.shadow ? 0 : FIRST_BANK_FRAMES;
    this.references = new Int32Array(this.frameCount);
    this.mapCounts = new Int32Array(this.frameCount);
    this.pins = new Int32Array(this.frameCount);
    this.exclusive = new Uint8Array(this.frameCount);
    this.dirty = new Uint8Array(this.frameCount);
    this.unlockedIn = new Int32Array(this.frameCount);
    this.cgroupIds = new Uint16Array(this.frameCount);
    this.freeStack = new Int32Array(this.frameCount);
    this.homeFrames = homeFrames;
    this.reservedFrame = homeFrames === 0 ? ZERO_FRAME : homeFrames;
    this.firstUnused = this.reservedFrame + 1;
    this.references[this.reservedFrame] = 1;
  }

  get freeFrames(): number {
    return this.freeTop + this.frameCount - this.firstUnused + this.homeFrames - this.usedHomes;
  }

  /** Makes the n-th allocation from now fail (1: the next one), once; −1: none. */
  failAt(n: number): void {
    this.failureCountdown = n;
  }

  /**
   * A frame with the content of `clean`, charged to `cgroup`, with one reference; or NO_FRAME.
   * @param page the process's page that it is for, if it is for one
   */
  allocate(clean: CleanPage, cgroup: MemoryCgroup | null, page = NO_FRAME): number {
    if (page < this.homeFrames && page !== NO_FRAME) return this.allocateHome(clean, cgroup, page);
    const frame = this.take(cgroup);
    if (frame === NO_FRAME) return NO_FRAME;
    if (this.policy === "double" && clean !== zeroPage) zeroPage.initialise(this.ram, this.counters, frame);
    clean.initialise(this.ram, this.counters, frame);
    return frame;
  }

  private allocateHome(clean: CleanPage, cgroup: MemoryCgroup | null, page: number): number {
    if (this.take(cgroup, page) === NO_FRAME) return NO_FRAME;
    const { ram, counters, reservedFrame } = this;
    if (this.policy === "double" && clean !== zeroPage) zeroPage.initialise(ram, counters, reservedFrame);
    clean.initialise(ram, counters, reservedFrame);
    ram.copyTags(page, reservedFrame);
    ram.copyValidity(page, reservedFrame);
    return page;
  }

  /** The frame that loads of `page` see before any store. */
  cleanFrame(clean: CleanPage, page: number): number {
    return page < this.homeFrames ? page : clean.frame;
  }

  /** A frame with the data, tags and validity of `source`, as copy-on-write makes it; or NO_FRAME. */
  allocateCopy(source: number, cgroup: MemoryCgroup | null): number {
    const frame = this.take(cgroup);
    if (frame === NO_FRAME) return NO_FRAME;
    if (this.policy === "double") zeroPage.initialise(this.ram, this.counters, frame);
    this.ram.copyFrame(frame, source);
    this.ram.copyTags(frame, source);
    this.ram.copyValidity(frame, source);
    this.counters.framesCopied++;
    this.counters.bytesCopied += PAGE_SIZE;
    return frame;
  }

  /** Takes one reference more. */
  get(frame: number): void {
    this.references[frame]++;
  }

  /** Gives a reference back; the last one frees the frame and uncharges it. */
  put(frame: number): void {
    if (--this.references[frame] === 0) this.release(frame);
  }

  /**
   * A locked area has let go of a page by copying it: the kernel keeps a reference of its own until it drains its batch of
   * such pages (munlock_folio), and so long the page does not count as the last owner's alone.
   */
  noteUnlocked(frame: number): void {
    this.unlockedIn[frame] = this.drains;
  }

  /** Whether only one reference is left, the batch's included. */
  isLastReference(frame: number): boolean {
    return this.references[frame] === 1 && this.unlockedIn[frame] !== this.drains;
  }

  /** What calls that look at the lists of pages do first (lru_add_drain). */
  drainBatches(): void {
    this.drains++;
  }

  private take(cgroup: MemoryCgroup | null, home = NO_FRAME): number {
    if (this.failureCountdown >= 0 && --this.failureCountdown === 0) {
      this.failureCountdown = -1;
      return NO_FRAME;
    }
    if (cgroup !== null && (cgroup.chargedFrames + 1) * PAGE_SIZE > cgroup.limitBytes) {
      cgroup.failures++;
      return NO_FRAME;
    }
    let frame: number;
    if (home !== NO_FRAME) {
      frame = home;
      this.usedHomes++;
    } else if (this.freeTop > 0) frame = this.freeStack[--this.freeTop];
    else if (this.firstUnused < this.frameCount) frame = this.firstUnused++;
    else return NO_FRAME;
    this.references[frame] = 1;
    if (cgroup !== null) {
      this.cgroupIds[frame] = cgroup.id + 1;
      if (++cgroup.chargedFrames > cgroup.peakFrames) cgroup.peakFrames = cgroup.chargedFrames;
    }
    this.counters.framesAllocated++;
    return frame;
  }

  private release(frame: number): void {
    const owner = this.cgroupIds[frame];
    if (owner !== 0) {
      this.cgroups[owner - 1].chargedFrames--;
      this.cgroupIds[frame] = 0;
    }
    this.exclusive[frame] = 0;
    this.dirty[frame] = 0;
    this.unlockedIn[frame] = 0;
    if (frame < this.homeFrames) this.usedHomes--;
    else this.freeStack[this.freeTop++] = frame;
    this.counters.framesFreed++;
  }

  /**
   * A block of 2^order neighbouring frames, aligned to its size, each zeroed and with one reference: what huge pages and
   * devices need. Cost: the free frames, since single frames are what the allocator is made for.
   * @returns the first frame, or NO_FRAME. @throws RangeError for an order outside 0 to 10 (Linux MAX_PAGE_ORDER).
   */
  allocateBlock(order: number, cgroup: MemoryCgroup | null): number {
    if (!Number.isInteger(order) || order < 0 || order > 10)
      throw new RangeError(`order ${order} is not a whole number from 0 to 10`);
    const size = 1 << order;
    if (cgroup !== null && (cgroup.chargedFrames + size) * PAGE_SIZE > cgroup.limitBytes) {
      cgroup.failures++;
      return NO_FRAME;
    }
    const first = this.findBlock(size);
    if (first === NO_FRAME) return NO_FRAME;
    while (this.firstUnused < first + size) this.freeStack[this.freeTop++] = this.firstUnused++;
    this.takeOutOfStack(first, size);
    for (let frame = first; frame < first + size; frame++) {
      // Each frame goes through take() by way of the stack's top, so that counts and charges are made in one place.
      this.freeStack[this.freeTop++] = frame;
      if (this.take(cgroup) === NO_FRAME) {
        this.freeTop--;
        this.giveBackBlock(first, frame, size);
        return NO_FRAME;
      }
      zeroPage.initialise(this.ram, this.counters, frame);
    }
    return first;
  }

  /** Undoes a block whose frame `failed` could not be had: those before it are freed, the rest return to the stack. */
  private giveBackBlock(first: number, failed: number, size: number): void {
    for (let frame = first; frame < failed; frame++) this.put(frame);
    for (let frame = failed; frame < first + size; frame++) this.freeStack[this.freeTop++] = frame;
  }

  private findBlock(size: number): number {
    for (let first = 0; first + size <= this.frameCount; first += size) {
      let free = 0;
      while (free < size && this.references[first + free] === 0) free++;
      if (free === size) return first;
    }
    return NO_FRAME;
  }

  private takeOutOfStack(first: number, size: number): void {
    let kept = 0;
    for (let i = 0; i < this.freeTop; i++) {
      const frame = this.freeStack[i];
      if (frame < first || frame >= first + size) this.freeStack[kept++] = frame;
    }
    this.freeTop = kept;
  }

  /** @throws Error naming the broken invariant. */
  checkInvariants(): void {
    const charges = new Int32Array(this.cgroups.length);
    let used = 0;
    for (let frame = 0; frame < this.firstUnused; frame++) {
      if (this.references[frame] < 0) throw new Error(`frame ${frame} has reference count ${this.references[frame]}`);
      if (this.references[frame] > 0) used++;
      if (this.cgroupIds[frame] !== 0) charges[this.cgroupIds[frame] - 1]++;
    }
    if (used + this.freeFrames !== this.frameCount) {
      throw new Error(`${used} frames are used and ${this.freeFrames} free, of ${this.frameCount}`);
    }
    for (let i = 0; i < this.freeTop; i++) {
      const frame = this.freeStack[i];
      if (this.references[frame] !== 0)
        throw new Error(`free frame ${frame} has reference count ${this.references[frame]}`);
    }
    for (const cgroup of this.cgroups) {
      if (charges[cgroup.id] !== cgroup.chargedFrames) {
        throw new Error(
          `cgroup ${cgroup.name} is charged ${cgroup.chargedFrames} frames but ${charges[cgroup.id]} carry its id`,
        );
      }
    }
  }
}
