// The page allocator: who pays for each frame, and how it is initialised when it leaves (R8). Which frames are free is
// free-frames.ts, how often each is used frame-counts.ts. Frame 0 is the zero page and never leaves.

import type { Counters } from "../../hardware/counters.ts";
import type { FrameNumber, PageNumber } from "../../hardware/integers.ts";
import { PAGE_SIZE } from "../../hardware/layout.ts";
import type { Machine } from "../../hardware/machine.ts";
import { hideFields, outline } from "../../hardware/outline.ts";
import type { PhysicalMemory } from "../../hardware/physical-memory.ts";
import { keepClass, keepValue } from "../../state/kept.ts";
import type { MemoryCgroup } from "./cgroup.ts";
import { FreeFrames, HUGE_FRAMES, HUGE_ORDER, IN_FOLIO, NONE_FREE } from "./free-frames.ts";
import { StraightFrames } from "./straight-frames.ts";

/**
 * How frames are initialised (R8). `nozero`: those that will be filled leave uninitialised (v4's __GFP_NOZERO).
 * `double`: every frame leaves zeroed, then it is filled. `plumbed`: the allocator knows the content and writes it once.
 */
export type InitialisationPolicy = "nozero" | "double" | "plumbed";
export const INITIALISATION_POLICIES: readonly InitialisationPolicy[] = ["nozero", "double", "plumbed"];

/** What a load sees in an area before any store, and what the first store's private page starts as. */
export interface CleanPage {
  /** The frame that loads are mapped to. */
  readonly frame: FrameNumber;
  /** Makes `frame` equal to the clean page, data and tags, by the cheapest way there is, and counts it. */
  initialise(ram: PhysicalMemory, counters: Counters, frame: FrameNumber): void;
  /** The byte that is all of its content, if it has no tags and its frames are counted as zeroed (the zero page) or filled; else −1. */
  byteOf?(ram: PhysicalMemory): number;
  /** The same for `count` neighbouring frames of a large folio, in one pass over them. */
  initialiseFrames?(ram: PhysicalMemory, counters: Counters, first: number, count: number): void;
  /** How areas with this clean page take part in huge pages; without it they do not. The zero page's is the kernel's. */
  readonly huge?: HugeCleanPage;
}

/** A clean page of 2 MiB, and what a store to it makes. */
export interface HugeCleanPage {
  /** The first of HUGE_FRAMES frames that all equal the clean page, made at the first use; NO_FRAME if they could not be had. */
  frame(): number;
  /** Whether the first store to a block makes a huge page, or a small one. */
  readonly stores: "huge" | "small";
}

/** The frame that every zero page of every process is. */
export const ZERO_FRAME = 0;

/** The zero page: the clean page of every area that has no other. */
export const zeroPage: CleanPage = keepValue("the zero page", {
  frame: ZERO_FRAME,
  byteOf: () => 0,
  initialise(ram, counters, frame) {
    ram.fillFrame(frame, 0);
    ram.fillTags(frame, 0);
    ram.fillValidity(frame, 0);
    counters.framesZeroed++;
    counters.bytesZeroed += PAGE_SIZE;
  },
  initialiseFrames(ram, counters, first, count) {
    ram.fillFrames(first, count, 0);
    for (let frame = first; frame < first + count; frame++) {
      ram.fillTags(frame, 0);
      ram.fillValidity(frame, 0);
    }
    counters.framesZeroed += count;
    counters.bytesZeroed += count * PAGE_SIZE;
  },
} satisfies CleanPage);

/** No frame could be had; where a page is meant: any frame will do. */
export const NO_FRAME = NONE_FREE;

/** Frames of the first bank of RAM (physical-memory.ts), the one that fast accesses go to. */
const FIRST_BANK_FRAMES = 2 ** 20;

/**
 * Invariants: `freeFrames` is what free-frames.ts finds, and the frames below `homeFrames` that are not used; a frame of a large
 * folio has the count IN_FOLIO, and its folio has the counts (folios.ts); the charges of each cgroup equal the frames, and those
 * of the folios, that carry its id.
 *
 * With `homeFrames` (of a kernel for one process whose memory something else than a page table reads, such as a WebAssembly
 * module), page n of the process has frame n and no other. Its bytes are kept by the address space's HomeKeeper, so taking it
 * counts the initialisation but leaves them alone.
 */
export class FrameAllocator extends StraightFrames {
  /** The machine's RAM. */
  readonly ram: PhysicalMemory;
  /** The machine's counters. */
  readonly counters: Counters;
  /** Which frames are cleared, and when. */
  readonly policy: InitialisationPolicy;
  /** Accesses to frames from this one on take the checked path: those beyond the first bank of RAM, or all with validity bits. */
  readonly firstChecked: number;
  protected readonly cgroupIds: Uint16Array;
  /** The groups that frames can be charged to. */
  readonly cgroups: MemoryCgroup[] = [];

  protected readonly free: FreeFrames;
  protected usedFrames = 1;
  protected failureCountdown = -1;
  /** Frames from 0 to here belong to the page of the same number; 0: there are no such frames. */
  readonly homeFrames: number;
  private usedHomes = 0;
  /** The frame that never leaves: the zero page, or where the initialisation of frames at home is done and counted. */
  readonly reservedFrame: number;

  constructor(machine: Machine, policy: InitialisationPolicy, homeFrames = 0) {
    super(machine.frameCount);
    this.ram = machine.ram;
    this.counters = machine.counters;
    this.policy = policy;
    this.firstChecked = machine.shadow ? 0 : FIRST_BANK_FRAMES;
    this.cgroupIds = new Uint16Array(this.frameCount);
    this.homeFrames = homeFrames;
    this.reservedFrame = homeFrames === 0 ? ZERO_FRAME : homeFrames;
    this.references[this.reservedFrame] = 1;
    this.free = new FreeFrames(this.frameCount, this.references, this.reservedFrame + 1);
    hideFields(this);
  }

  /** Frames from the first one on that were ever handed out: those behind them are as the machine was made. */
  get everUsed(): number {
    return this.free.everUsed;
  }

  /** Whether somebody outside the machine still holds a frame. */
  get hasPins(): boolean {
    return this.pins.subarray(0, this.everUsed).some((count) => count > 0);
  }

  /** As at boot, with nothing in use. The contents of frames are the machine's to clear. Cost: the frames that were used. */
  reset(): void {
    this.cgroupIds.fill(0, 0, this.everUsed);
    this.resetCounts(this.everUsed);
    this.free.reset();
    this.cgroups.length = 0;
    this.usedFrames = 1;
    this.usedHomes = 0;
    this.failureCountdown = -1;
    this.references[this.reservedFrame] = 1;
  }

  /** Frames that can be had. */
  get freeFrames(): number {
    return this.frameCount - this.usedFrames;
  }

  /** Makes the n-th allocation from now fail (1: the next one), once; −1: none. */
  failAt(n: number): void {
    this.failureCountdown = n;
  }

  /**
   * A frame with the content of `clean`, charged to `cgroup`, with one reference; or NO_FRAME.
   * @param page the process's page that it is for, if it is for one
   */
  allocate(clean: CleanPage, cgroup: MemoryCgroup | null, page = NO_FRAME): FrameNumber {
    if (page < this.homeFrames && page !== NO_FRAME) return this.allocateHome(clean, cgroup, page);
    const frame = this.take(cgroup);
    if (frame === NO_FRAME) return NO_FRAME;
    if (this.policy === "double" && clean !== zeroPage) zeroPage.initialise(this.ram, this.counters, frame);
    clean.initialise(this.ram, this.counters, frame);
    return frame;
  }

  private allocateHome(clean: CleanPage, cgroup: MemoryCgroup | null, page: PageNumber): number {
    if (this.take(cgroup, page) === NO_FRAME) return NO_FRAME;
    const { ram, counters, reservedFrame } = this;
    if (this.policy === "double" && clean !== zeroPage) zeroPage.initialise(ram, counters, reservedFrame);
    clean.initialise(ram, counters, reservedFrame);
    ram.copyTags(page, reservedFrame);
    ram.copyValidity(page, reservedFrame);
    return page;
  }

  /** The frame that loads of `page` see before any store. */
  cleanFrame(clean: CleanPage, page: PageNumber): number {
    return page < this.homeFrames ? page : clean.frame;
  }

  /** A frame with the data, tags and validity of `source`, as copy-on-write makes it; or NO_FRAME. */
  allocateCopy(source: FrameNumber, cgroup: MemoryCgroup | null): FrameNumber {
    const frame = this.take(cgroup);
    if (frame === NO_FRAME) return NO_FRAME;
    if (this.policy === "double") zeroPage.initialise(this.ram, this.counters, frame);
    this.copyInto(frame, source);
    return frame;
  }

  /** Gives a frame the data, tags and validity of another. */
  copyInto(frame: FrameNumber, source: FrameNumber): void {
    this.ram.copyFrame(frame, source);
    this.ram.copyTags(frame, source);
    this.ram.copyValidity(frame, source);
    this.counters.framesCopied++;
    this.counters.bytesCopied += PAGE_SIZE;
  }

  private take(cgroup: MemoryCgroup | null, home = NO_FRAME): FrameNumber {
    if (this.failureCountdown >= 0 && --this.failureCountdown === 0) {
      this.failureCountdown = -1;
      return NO_FRAME;
    }
    if (cgroup !== null && (cgroup.chargedFrames + 1) * PAGE_SIZE > cgroup.limitBytes && !this.makeRoom(cgroup, 1)) {
      return NO_FRAME;
    }
    let frame = home;
    if (home !== NO_FRAME) this.usedHomes++;
    else {
      frame = this.free.pop();
      if (frame === NO_FRAME) {
        if (!this.splitPartial()) return NO_FRAME;
        frame = this.free.pop();
      }
    }
    this.references[frame] = 1;
    this.usedFrames++;
    if (cgroup !== null) {
      this.cgroupIds[frame] = cgroup.id + 1;
      if (++cgroup.chargedFrames > cgroup.peakFrames) cgroup.peakFrames = cgroup.chargedFrames;
    }
    this.counters.framesAllocated++;
    return frame;
  }

  /**
   * What is left to do when memory is short: large folios of which only a part is mapped are split, and the rest of their frames is
   * free (deferred_split_scan). @returns whether any was.
   */
  private splitPartial(): boolean {
    const before = this.usedFrames;
    for (const head of this.takePartial()) if (!this.splitFolio(head)) this.folios.notePartial(head);
    return this.usedFrames < before;
  }

  /** Whether `frames` more fit the cgroup's limit, once what can be given back is; counts the failure if not. */
  private makeRoom(cgroup: MemoryCgroup, frames: number): boolean {
    const fits = () => (cgroup.chargedFrames + frames) * PAGE_SIZE <= cgroup.limitBytes;
    if (fits()) return true;
    cgroup.failures++;
    return this.splitPartial() && fits();
  }

  protected release(frame: FrameNumber): void {
    if (this.references[frame] < 0) {
      this.putInFolio(frame);
      return;
    }
    const owner = this.cgroupIds[frame];
    if (owner !== 0) {
      this.cgroups[owner - 1].chargedFrames--;
      this.cgroupIds[frame] = 0;
    }
    this.exclusive[frame] = 0;
    this.dirty[frame] = 0;
    this.batchedIn[frame] = 0;
    this.lazyFree[frame] = 0;
    this.usedFrames--;
    if (frame < this.homeFrames) this.usedHomes--;
    else this.free.push(frame);
    this.counters.framesFreed++;
  }

  /**
   * A large folio of 2^order frames (order 1 to 9) with the content of `clean`, or with none (null: the caller fills it), charged
   * to `cgroup`, with one reference at its first frame. @returns that frame, or NO_FRAME: nothing is reclaimed for it, a smaller
   * one will do (GFP_TRANSHUGE_LIGHT). Cost: what is written.
   */
  allocateFolio(order: number, clean: CleanPage | null, cgroup: MemoryCgroup | null): FrameNumber {
    if (this.failureCountdown >= 0 && --this.failureCountdown === 0) {
      this.failureCountdown = -1;
      return NO_FRAME;
    }
    const size = 1 << order;
    if (cgroup !== null && !this.makeRoom(cgroup, size)) return NO_FRAME;
    const head = this.free.takeBlock(order);
    if (head === NO_FRAME) return NO_FRAME;
    this.folios.create(head, order);
    this.usedFrames += size;
    if (cgroup !== null) {
      this.cgroupIds[head] = cgroup.id + 1;
      cgroup.chargedFrames += size;
      if (cgroup.chargedFrames > cgroup.peakFrames) cgroup.peakFrames = cgroup.chargedFrames;
    }
    this.counters.framesAllocated += size;
    if (clean !== null) this.initialise(head, size, clean);
    else if (this.policy === "double") initialiseFrames(zeroPage, this.ram, this.counters, head, size);
    return head;
  }

  private initialise(head: number, size: number, clean: CleanPage): void {
    const { counters } = this;
    const before = counters.bytesZeroed + counters.bytesFilled;
    if (this.policy === "double" && clean !== zeroPage) initialiseFrames(zeroPage, this.ram, counters, head, size);
    initialiseFrames(clean, this.ram, counters, head, size);
    if (size === HUGE_FRAMES) counters.hugeBytesInitialised += counters.bytesZeroed + counters.bytesFilled - before;
  }

  private putInFolio(frame: FrameNumber): void {
    this.references[frame] = IN_FOLIO;
    this.putFolio(this.folios.headOf(frame));
  }

  protected putFolio(head: FrameNumber): void {
    const { folios } = this;
    if (folios.addReferences(head, -1) > 0) return;
    const size = folios.sizeOf(head);
    const order = folios.order[head];
    const owner = this.cgroupIds[head];
    if (owner !== 0) {
      this.cgroups[owner - 1].chargedFrames -= size;
      this.cgroupIds[head] = 0;
    }
    if (order === HUGE_ORDER && folios.isWhole(head)) this.exclusive[head] = 0;
    else this.exclusive.fill(0, head, head + size);
    this.dirty[head] = 0;
    folios.forget(head);
    this.usedFrames -= size;
    this.counters.framesFreed += size;
    this.free.giveBlock(head, order);
  }

  /**
   * Makes single frames of a folio that no huge entry maps: mapped ones keep their references, the others are freed
   * (split_folio). @returns whether it was possible: not if anything but page-table entries holds it.
   */
  splitFolio(head: number): boolean {
    const { folios } = this;
    if (folios.entire(head) !== 0 || !this.canSplit(head)) return false;
    const size = folios.sizeOf(head);
    const owner = this.cgroupIds[head];
    const wasDirty = this.dirty[head];
    // No space maps any part of the folio from now on: its counts must be as for a new one.
    folios.dissolve(head);
    this.counters.folioSplits++;
    for (let frame = head; frame < head + size; frame++) {
      this.cgroupIds[frame] = owner;
      this.dirty[frame] = wasDirty;
      this.references[frame] = this.mapCounts[frame];
      if (this.references[frame] === 0) this.release(frame);
    }
    return true;
  }

  /**
   * Takes a folio of the page cache apart that nothing maps: the frame `at` becomes single, the others stay together in halves of
   * halves (folio_split). @returns whether it was possible: not if more than the cache holds it.
   */
  splitCached(head: number, at: number): boolean {
    const { folios } = this;
    const size = folios.sizeOf(head);
    if (folios.mappings(head) !== 0 || folios.references(head) !== size) return false;
    const owner = this.cgroupIds[head];
    const wasDirty = this.dirty[head];
    folios.dissolve(head);
    this.counters.folioSplits++;
    let first = head;
    for (let half = size / 2; half >= 1; half /= 2) {
      const inUpper = at >= first + half;
      this.makeCached(inUpper ? first : first + half, half, owner, wasDirty);
      if (inUpper) first += half;
    }
    this.makeCached(first, 1, owner, wasDirty);
    return true;
  }

  /** A piece of a split folio, of which the page cache holds each frame. */
  private makeCached(first: number, size: number, owner: number, dirty: number): void {
    this.cgroupIds[first] = owner;
    this.dirty[first] = dirty;
    if (size === 1) {
      this.references[first] = 1;
      return;
    }
    this.folios.create(first, Math.log2(size));
    this.folios.addReferences(first, size - 1);
  }

  /** @throws Error naming the broken invariant. */
  checkInvariants(): void {
    const charges = new Int32Array(this.cgroups.length);
    for (let frame = 0; frame < this.frameCount; frame++) {
      if (this.references[frame] < 0 && this.references[frame] !== IN_FOLIO)
        throw new Error(`frame ${frame} has reference count ${this.references[frame]}`);
      if (this.references[frame] === 0 && this.dirty[frame] === 1) throw new Error(`free frame ${frame} is dirty`);
      if (this.references[frame] === 0 && (this.exclusive[frame] | this.lazyFree[frame] | this.mapCounts[frame]) !== 0)
        throw new Error(`free frame ${frame} has marks of a page that it held`);
      if (this.cgroupIds[frame] === 0) continue;
      charges[this.cgroupIds[frame] - 1] += this.isInFolio(frame) ? this.folios.sizeOf(frame) : 1;
    }
    const free = this.free.countFree() + this.homeFrames - this.usedHomes;
    if (free !== this.freeFrames) {
      throw new Error(`${this.usedFrames} frames are used and ${free} free, of ${this.frameCount}`);
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

/** Makes `size` neighbouring frames equal to the clean page: in one pass if it can be. */
function initialiseFrames(
  clean: CleanPage,
  ram: PhysicalMemory,
  counters: Counters,
  first: number,
  size: number,
): void {
  if (clean.initialiseFrames !== undefined) clean.initialiseFrames(ram, counters, first, size);
  else for (let frame = first; frame < first + size; frame++) clean.initialise(ram, counters, frame);
}

/** Page allocators of kernels that were shut down, for the next kernel of the same machine: its tables cost more than the rest. */
const retired = new WeakMap<Machine, FrameAllocator>();

/** The page allocator of a kernel that boots. */
export function bootFrames(machine: Machine, policy: InitialisationPolicy, homeFrames: number): FrameAllocator {
  const kept = retired.get(machine);
  retired.delete(machine);
  if (kept !== undefined && kept.policy === policy && homeFrames === 0) return kept;
  return new FrameAllocator(machine, policy, homeFrames);
}

/** A kernel was shut down; nothing refers to a frame any more. */
export function retireFrames(machine: Machine, frames: FrameAllocator): void {
  frames.reset();
  if (frames.homeFrames === 0) retired.set(machine, frames);
}

outline(FrameAllocator, ({ frameCount, freeFrames }) => ({ frameCount, freeFrames }));

keepClass("FrameAllocator", FrameAllocator, { extents: (frames) => frames.ram.extentsOf(frames.everUsed) });
