// A guest: the memory of one WebAssembly module as the memory of a simulated process, the heap on it, and what happens when a check
// of an address asks. Making an instance is instance.ts; which functions go to the heap is choose-functions.ts.

import type { Address, ByteCount } from "../../../platform/hardware/integers.ts";
import { ACCESS_LOAD, ACCESS_STORE, PAGE_SIZE, PTE_READ, PTE_WRITE } from "../../../platform/hardware/layout.ts";
import { type EngineMemory, engine } from "../../../platform/host/engine.ts";
import { MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, PROT_READ, PROT_WRITE } from "../../../platform/kernel/abi/mman.ts";
import type { Kernel } from "../../../platform/kernel/kernel.ts";
import type { InitialisationPolicy } from "../../../platform/kernel/mm/frames.ts";
import type { Process } from "../../../platform/kernel/process.ts";
import { createKernel } from "../../../refpage/kernel.ts";
import type { Operation } from "../../checker/finding.ts";
import { readNamesWith } from "../../checker/function-names.ts";
import { classIdOf, HEADER_SIZE, ORIGIN_MEMALIGN, originOf } from "../../combined/chunk-header.ts";
import { HeapError } from "../../common/heap-error.ts";
import { Heap, partsOf, wholeCheckerOf } from "../../heap/heap.ts";
import type { HeapParts } from "../../heap/parts.ts";
import type { HeapHooks } from "../../options/hooks.ts";
import type { HeapOptions } from "../../options/options.ts";
import { ModuleError } from "../binary/module-error.ts";
import { demangle } from "../debug/demangle/demangle.ts";
import { linkedNamesOf } from "../debug/demangle/read-names.ts";
import { type Layout, WASM_PAGE } from "../rewriting/layout.ts";
import { Addressable } from "./addressable.ts";
import { BlockTraces } from "./block-traces.ts";
import { BlockValidity } from "./block-validity.ts";
import { DirectHeap } from "./direct-heap.ts";
import { guestConfig } from "./guest-config.ts";
import { HEAP_FUNCTIONS, type HeapRole } from "./heap-functions.ts";
import { Homes } from "./homes.ts";
import { Origins } from "./origins.ts";
import { PathTraces } from "./path-traces.ts";
import { Validity } from "./validity.ts";
import { WholeCalls } from "./whole-calls.ts";

/**
 * Stacks are kept of this many blocks, since a leak's may be any; frames as Memcheck's --num-callers. A stack costs some microseconds,
 * once for each path of calls (path-traces.ts).
 */
const STACKS = { capacity: 65536, frames: 12 };

/** What a guest is made of. */
export interface GuestOptions {
  readonly layout: Layout;
  /** The module's memory, in pages of 64 KiB. */
  readonly initialPages: number;
  readonly maximumPages: number | null;
  /** Addresses below are null pointers. */
  readonly nullBytes: number;
  readonly heap: HeapOptions;
  /** A delete that does not belong to a block's new is a HeapError, as the user's own option says, and not a finding only. */
  readonly throwsMismatches: boolean;
  /** How the kernel initialises frames (R8). */
  readonly initialisation: InitialisationPolicy;
  /** What free does with a pointer that is no block's: a HeapError for the guest and its caller, or only a finding. */
  readonly invalidFree: "throw" | "report";
}

/** A module's memory as a process of the simulated kernel, with the heap on it. */
export class Guest {
  /** Where the tables of the checker lie. */
  readonly layout: Layout;
  /** The module's memory. */
  readonly memory: EngineMemory;
  /** The kernel of its process. */
  readonly kernel: Kernel;
  /** The process that the module is. */
  readonly process: Process;
  /** The heap on its memory. */
  readonly heap: Heap;
  /** Which of its bytes may be accessed. */
  readonly addressable: Addressable;
  /** What of the memory is undefined; null: it is not followed. */
  readonly validity: Validity | null;
  private readonly blockValidity: BlockValidity | null;
  /** Where undefined bits are from; null: that is not followed. */
  readonly origins: Origins | null;
  private readonly traces: BlockTraces | null;
  /** Stacks by the paths of calls that the module keeps. */
  readonly paths: PathTraces;
  /** Calls of which what they are asked for was reported. */
  readonly calls = new WholeCalls();
  /** What the module allocates and frees by itself. */
  readonly direct: DirectHeap;
  private readonly options: GuestOptions;
  /** The module's memory now, in pages of 64 KiB. */
  pages: number;
  /**
   * What must live as long as the host's functions can be called: V8 keeps the code by which a table calls an imported function
   * with the module that imported it, but does not keep that module for the table (seen with V8 11.3).
   */
  readonly kept: unknown[] = [];
  /** Called when the memory has grown. */
  readonly growHandlers: ((pages: number) => void)[] = [];
  /**
   * Whether the guest has asked the heap for memory, whose blocks lie above the guest's own: from then on `memory.size` says that all
   * below the limit is memory, since programs look whether a pointer lies below it (wasi-libc's preopens do).
   */
  private isHeapUsed = false;
  private onTouch: ((operation: "load" | "store", address: Address, size: ByteCount) => void) | null = null;
  private isDisposed = false;

  /** @param memory the engine's memory, all zeroes, of the layout's size */
  constructor(options: GuestOptions, memory: EngineMemory) {
    const { layout, initialPages } = options;
    this.options = options;
    this.layout = layout;
    this.memory = memory;
    this.pages = initialPages;
    const homeFrames = layout.limitBytes / PAGE_SIZE;
    this.kernel = createKernel(
      { memoryBytes: layout.ramBytes, mte: false, buffer: memory.buffer },
      { homeFrames, initialisation: options.initialisation },
    );
    this.process = this.kernel.createProcess({ name: "guest" });
    const bytes = new Uint8Array(memory.buffer);
    const space = this.process.addressSpace;
    const imageEnd = initialPages * WASM_PAGE;
    space.mmapBase = homeFrames;
    space.startBrk = imageEnd;
    space.brk = imageEnd;
    this.addressable = new Addressable(bytes, layout, space.pageTable, {
      start: Math.min(options.nullBytes, imageEnd),
      end: imageEnd,
    });
    this.validity = layout.validityBase < 0 ? null : new Validity(bytes, layout, space.pageTable, imageEnd);
    space.homes = new Homes(space, this.addressable, bytes, layout);
    if (imageEnd > 0) {
      this.process.mmap(0, imageEnd, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED);
    }
    this.heap = this.makeHeap();
    const frames = partsOf(this.heap).options.stacks?.frames ?? STACKS.frames;
    this.paths = new PathTraces(memory.buffer, layout, frames);
    const traces = this.keepTraces(partsOf(this.heap), frames);
    this.traces = traces;
    this.origins = layout.originBase < 0 ? null : new Origins(this.heap, memory.buffer, layout, traces);
    const blocks = { sizeOf: (pointer: Address) => this.sizeOf(pointer) };
    this.blockValidity = this.validity && new BlockValidity(this.validity, blocks, this.origins);
    const isHeard = Object.keys(options.heap.hooks ?? {}).length > 0;
    this.direct = new DirectHeap(this.heap, this.addressable, memory.buffer, layout, !isHeard);
    const { freed } = wholeCheckerOf(this.heap).blocks;
    freed.hearsAll = false;
    freed.known = traces;
    freed.otherOrigin = "malloc";
    readNamesWith({ readable: demangle, linked: linkedNamesOf });
  }

  private keepTraces(parts: HeapParts, frames: number): BlockTraces | null {
    const { stackTable } = parts;
    if (stackTable === null) return null;
    const { isRecording } = stackTable;
    const traces = new BlockTraces(this.memory.buffer, this.layout, this.paths, parts.allocator, {
      frames,
      isRecording,
    });
    parts.stackTable = traces;
    return traces;
  }

  private makeHeap(): Heap {
    const { heap, layout } = this.options;
    return new Heap({
      stacks: STACKS,
      ...heap,
      config: heap.config ?? guestConfig(layout.limitBytes),
      largeRealloc: "copy",
      process: this.process,
      hooks: this.hooksAround(heap.hooks ?? {}),
    });
  }

  /** The shadow and the checker follow every chunk, whoever allocates it; hooks of the user's own are called as ever. */
  private hooksAround(given: HeapHooks): HeapHooks {
    const reallocated = given.reallocAllocate;
    return {
      allocate: (pointer, size) => {
        this.noteAllocation(pointer, size);
        given.allocate?.(pointer, size);
      },
      deallocate: (pointer) => {
        given.deallocate?.(pointer);
        this.noteFree(pointer);
      },
      reallocDeallocate: (pointer) => {
        (given.reallocDeallocate ?? given.deallocate)?.(pointer);
        this.noteFree(pointer);
      },
      reallocAllocate: (oldPointer, newPointer, size) => {
        this.noteAllocation(newPointer, size);
        if (reallocated !== undefined) reallocated(oldPointer, newPointer, size);
        else given.allocate?.(newPointer, size);
      },
    };
  }

  /** The size of the live chunk that begins at `pointer`, by its header, or −1. */
  private sizeOf(pointer: Address): number {
    const { allocator } = partsOf(this.heap);
    if (pointer <= 0 || !allocator.isAllocated(pointer)) return -1;
    const low = allocator.headers.load(allocator.memory, pointer);
    if (classIdOf(low) === 0 && !allocator.secondary.isSound(pointer - HEADER_SIZE)) return -1;
    return allocator.sizeOf(pointer, low);
  }

  /** Bytes from a live chunk's begin to the end of its block. */
  private roomOf(pointer: Address): ByteCount {
    const { headers, memory } = partsOf(this.heap).allocator;
    const low = headers.load(memory, pointer);
    return partsOf(this.heap).allocator.blockEnd(pointer, low, headers.offset) - pointer;
  }

  private noteAllocation(pointer: Address, size: ByteCount): void {
    this.addressable.chunkAllocated(pointer, size);
    this.direct.noteAllocation(pointer, size);
    wholeCheckerOf(this.heap).chunkAllocated(pointer, size);
    this.blockValidity?.noteAllocation(pointer, size);
  }

  private noteFree(pointer: Address): void {
    const size = this.sizeOf(pointer);
    if (size < 0) return;
    this.addressable.chunkFreed(pointer, this.roomOf(pointer));
    this.blockValidity?.noteFree(pointer, size);
    wholeCheckerOf(this.heap).chunkFreed(pointer, size, this.originOf(pointer));
  }

  /**
   * An inlined check asks: `size` bytes at `address` are not plainly the program's, or their page is not there.
   * @throws SegmentationFault: there is no memory. What a handler of findings throws
   */
  access(address: Address, size: ByteCount, access: number): void {
    const foreign = this.addressable.firstForeign(address, size);
    const isPartial = foreign > address && access === ACCESS_LOAD && isAlignedWord(address, size);
    const operation = access === ACCESS_STORE ? "store" : "load";
    if (foreign >= 0 && !isPartial && !this.calls.isPart(operation, address, size))
      this.report(operation, address, size, foreign);
    this.makePresent(address, size, access);
  }

  /** The same of a range that is no instruction's own access: every byte of it counts, and what is done with it later is the same finding. */
  accessWhole(address: Address, size: ByteCount, access: number): void {
    const foreign = this.addressable.firstForeign(address, size);
    const operation = access === ACCESS_STORE ? "store" : "load";
    if (foreign >= 0 && !this.calls.isPart(operation, address, size)) {
      this.calls.note(operation, address, size);
      this.report(operation, address, size, foreign);
    }
    this.makePresent(address, size, access);
  }

  /** Faults the pages of an access in, as the MMU would, and brings the shadow in line. @throws SegmentationFault */
  makePresent(address: Address, size: ByteCount, access: number): void {
    const { entries } = this.process.addressSpace.pageTable;
    const needed = access === ACCESS_STORE ? PTE_WRITE : PTE_READ;
    const last = Math.floor((address + Math.max(1, size) - 1) / PAGE_SIZE);
    for (let page = Math.floor(address / PAGE_SIZE); page <= last; page++) {
      const from = Math.max(address, page * PAGE_SIZE);
      if ((entries[page] & needed) === 0) {
        this.process.mainThread.handleFault(from, access);
        this.validity?.touched(page);
      }
      const to = Math.min(address + size, (page + 1) * PAGE_SIZE);
      this.onTouch?.(access === ACCESS_STORE ? "store" : "load", from, to - from);
      this.addressable.reveal(page, from, access === ACCESS_STORE);
    }
  }

  /**
   * From now on `onTouch` is called when the guest loads from, and when it stores to, a page of a block for the first time, or again
   * after the kernel took it: also where other blocks or the heap's own fill had the page before. It may be called more often.
   */
  watchTouches(onTouch: (operation: "load" | "store", address: Address, size: ByteCount) => void): void {
    this.onTouch = onTouch;
    this.addressable.watchesTouches = true;
  }

  private report(operation: Operation, address: Address, size: ByteCount, foreign: number): void {
    this.direct.takeChanges();
    wholeCheckerOf(this.heap).judge.report("invalid-access", operation, address, size, foreign);
  }

  /** A store that the host makes for the guest, as the guest would. */
  store32(address: Address, value: number): void {
    this.access(address, 4, ACCESS_STORE);
    new DataView(this.memory.buffer).setInt32(address, value, true);
    this.validity?.define(address, 4);
  }

  /** The stack pointer was set below the stack's end. */
  stackOverflow(pointer: Address): void {
    this.report("store", pointer, 0, pointer);
  }

  /** memory.grow: moves the break. @returns the size before in pages of 64 KiB, or −1 */
  grow(delta: number): number {
    const { maximumPages, layout } = this.options;
    const before = this.pages;
    const wanted = before + delta;
    if (wanted > Math.min(maximumPages ?? 65536, layout.limitBytes / WASM_PAGE)) return -1;
    if (delta === 0) return before;
    const end = wanted * WASM_PAGE;
    if (this.process.brk(end) !== end) return -1;
    this.pages = wanted;
    this.addressable.imageEnd = end;
    this.showPages();
    return before;
  }

  private showPages(): void {
    const shown = this.isHeapUsed ? this.options.layout.limitBytes / WASM_PAGE : this.pages;
    for (const handler of this.growHandlers) handler(shown);
  }

  /** What a guest's function becomes that the heap took over. It throws HeapErrors. */
  heapFunction(role: HeapRole): (...values: number[]) => number {
    const { call } = HEAP_FUNCTIONS[role];
    const context = { heap: this.heap, store: (address: Address, value: number) => this.store32(address, value) };
    const { blockValidity, paths, direct } = this;
    if (!MALLOCS.has(role)) wholeCheckerOf(this.heap).blocks.freed.otherOrigin = null;
    const attempt = (first: number, second: number, third: number, fourth: number): number =>
      blockValidity === null
        ? call(context, first, second, third, fourth)
        : blockValidity.around(role, first, () => call(context, first, second, third, fourth));
    return (first, second, third, fourth) => {
      if (!this.isHeapUsed) {
        this.isHeapUsed = true;
        this.showPages();
      }
      direct.takeChanges();
      paths.begin();
      try {
        return attempt(first, second, third, fourth);
      } catch (error) {
        return this.heapFailed(error, () => attempt(first, second, third, fourth));
      } finally {
        paths.end();
        direct.settle();
      }
    };
  }

  /**
   * @param again the call that failed. A block whose delete does not belong to its new is reported, and given back as the program
   * wants it, unless the heap's own option asked for such errors
   * @throws what is given, unless it says that a pointer is no block's and that is only to be reported
   */
  private heapFailed(error: unknown, again: () => number): number {
    if (error instanceof HeapError && error.address !== null && FREE_ERRORS.has(error.kind)) {
      const isMismatch = error.kind === "type-mismatch" && !this.options.throwsMismatches;
      // C's realloc takes what aligned_alloc gave, of which Scudo's does not know.
      if (!isMismatch || this.originOf(error.address) !== ORIGIN_MEMALIGN)
        wholeCheckerOf(this.heap).freeRefused(error.address, "free", error);
      if (isMismatch) return this.withoutOrigins(again);
      if (this.options.invalidFree === "report") return 0;
    }
    this.paths.abandon();
    throw error;
  }

  private originOf(pointer: Address): number {
    const { headers, memory } = partsOf(this.heap).allocator;
    return originOf(headers.load(memory, pointer));
  }

  private withoutOrigins(run: () => number): number {
    const { flags } = partsOf(this.heap).allocator.options;
    flags.dealloc_type_mismatch = false;
    try {
      return run();
    } finally {
      flags.dealloc_type_mismatch = true;
    }
  }

  /** @throws Error naming a broken invariant of the kernel, the heap or the shadow */
  checkInvariants(): void {
    this.kernel.checkInvariants();
    this.heap.checkInvariants();
    this.addressable.checkInvariants(this.liveChunks());
    for (const { pointer } of this.liveChunks()) this.checkOrigin(pointer);
  }

  private checkOrigin(pointer: Address): void {
    const noted = this.traces?.madeBy(pointer) ?? -1;
    const made = this.originOf(pointer);
    if (noted >= 0 && noted !== made)
      throw new Error(`chunk ${pointer} was made by ${made}, by its trace's number by ${noted}`);
  }

  private liveChunks(): { readonly pointer: Address; readonly size: ByteCount }[] {
    const pointers = [...this.heap.checker.liveBlocks()];
    return pointers.map((pointer) => ({ pointer, size: this.sizeOf(pointer) })).filter(({ size }) => size >= 0);
  }

  /** Ends the heap, its process and what was found. */
  [Symbol.dispose](): void {
    if (this.isDisposed) return;
    this.isDisposed = true;
    // The memory goes as a whole: there is no need to clean its pages.
    this.process.addressSpace.homes = null;
    this.heap[Symbol.dispose]();
    this.process.exit(0);
  }
}

/**
 * Functions that go over strings by words read beyond the end of a block, in the word that its last byte is in. Memcheck's
 * `--partial-loads-ok=yes`, its default.
 */
function isAlignedWord(address: Address, size: ByteCount): boolean {
  return (size === 4 || size === 8 || size === 16) && address % size === 0;
}

/** Of a module that has only these, each block is from malloc. */
const MALLOCS: ReadonlySet<HeapRole> = new Set([
  "malloc",
  "calloc",
  "realloc",
  "reallocarray",
  "malloc_usable_size",
  "free",
  "tlsf_alloc",
  "tlsf_realloc",
  "tlsf_free",
]);

/** Errors of the heap that say that a pointer is no block's. */
const FREE_ERRORS: ReadonlySet<string> = new Set([
  "corrupted-header",
  "invalid-state",
  "misaligned",
  "type-mismatch",
  "size-mismatch",
]);

/** A memory for a guest: reserved, and committed by the host as it is written. @throws ModuleError memory: the engine has none */
export function makeMemory({ totalPages }: Layout): EngineMemory {
  try {
    return new engine.Memory({ initial: totalPages, maximum: totalPages });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ModuleError(
      "memory",
      `the engine has no ${totalPages} pages of memory: ${reason}; give a smaller memoryBytes`,
    );
  }
}

export { ACCESS_LOAD, ACCESS_STORE };
