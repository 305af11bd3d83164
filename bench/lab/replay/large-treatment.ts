// What happens to large chunks where the heap has no option for it: a userfaultfd that supplies pattern pages (R13), as an
// allocator without reference pages might; and the counting of tag stores, which no counter of the machine knows.
import { rotatedPattern } from "../../../allocator/common/fill.ts";
import type { Heap } from "../../../allocator/index.ts";
import { MADV_DONTNEED } from "../../../platform/kernel/abi/mman.ts";
import {
  onUserfault,
  UFFD_API,
  UFFD_MESSAGE_BYTES,
  UFFDIO_API,
  UFFDIO_COPY,
  UFFDIO_REGISTER,
  UFFDIO_REGISTER_MODE_MISSING,
  UFFDIO_UNREGISTER,
} from "../../../platform/kernel/userfaultfd.ts";

const PAGE_BYTES = 4096;
const GRANULE_BYTES = 16;
const GVA_BLOCK_BYTES = 64;

export interface LargeTreatment {
  /** Runs an allocation whose large chunk this treatment will initialise. */
  unfilled(allocate: () => number): number;
  /** A large chunk was made; answers its address (0: it was not). */
  made(address: number, size: number, options: { readonly zeroed: boolean }): number;
  /** Before free or realloc. Answers the chunk's size if it was treated, else 0. */
  before(address: number): number;
  /** After realloc: a large chunk whose first `kept` bytes were treated. */
  after(address: number, size: number, kept: number): void;
  readonly taggedGranules: number;
  readonly gvaBlocks: number;
  readonly faultMessages: number;
}

export const NO_TREATMENT: LargeTreatment = {
  unfilled: (allocate) => allocate(),
  made: (address) => address,
  before: () => 0,
  after() {},
  taggedGranules: 0,
  gvaBlocks: 0,
  faultMessages: 0,
};

/** Whole pages of large chunks are registered; a handler copies the pattern page in. Parts of pages are filled immediately. */
export class UserfaultfdTreatment implements LargeTreatment {
  readonly taggedGranules = 0;
  readonly gvaBlocks = 0;
  faultMessages = 0;
  private readonly heap: Heap;
  private readonly pattern: Uint8Array;
  private readonly fd: number;
  private readonly structure: number;
  private readonly patternPage: number;
  /** Sizes of treated chunks by address. */
  private readonly treated = new Map<number, number>();

  constructor(heap: Heap, pattern: Uint8Array) {
    this.heap = heap;
    this.pattern = pattern;
    this.structure = heap.memalign(PAGE_BYTES, PAGE_BYTES);
    this.patternPage = heap.memalign(PAGE_BYTES, PAGE_BYTES);
    heap.memory.fillPattern(this.patternPage, PAGE_BYTES, pattern);
    this.fd = heap.process.syscall("userfaultfd", 0);
    this.ioctl(UFFDIO_API, UFFD_API, 0);
    onUserfault(heap.process, this.fd, () => this.answer());
  }

  unfilled(allocate: () => number): number {
    const { fill } = this.heap;
    this.heap.fill = "none";
    try {
      return allocate();
    } finally {
      this.heap.fill = fill;
    }
  }

  made(address: number, size: number, { zeroed }: { readonly zeroed: boolean }): number {
    // A mapping from the heap's cache is not registered any more: it was a chunk before, and that was freed.
    if (address !== 0 && !zeroed) this.register(address, size, 0);
    return address;
  }

  before(address: number): number {
    const size = this.treated.get(address);
    if (size === undefined) return 0;
    this.treated.delete(address);
    this.unregister(address, size);
    return size;
  }

  after(address: number, size: number, kept: number): void {
    this.register(address, size, kept);
  }

  /** The pattern in `[address + from, address + size)`; what lies before is left as it is. */
  private register(address: number, size: number, from: number): void {
    const end = address + size;
    const firstPage = roundUp(address + from);
    const lastPage = Math.max(firstPage, roundDown(end));
    const { process } = this.heap;
    this.treated.set(address, size);
    if (from < size) {
      this.fillFrom(address, from, Math.min(firstPage, end) - address);
      if (lastPage < end) this.fillFrom(address, Math.max(from, lastPage - address), size);
      const { pageTable } = process.addressSpace;
      const isDirty = pageTable.next(firstPage / PAGE_BYTES, lastPage / PAGE_BYTES) < lastPage / PAGE_BYTES;
      if (isDirty) process.madvise(firstPage, lastPage - firstPage, MADV_DONTNEED);
    }
    const watchedFrom = roundUp(address);
    if (watchedFrom < lastPage) {
      this.ioctl(UFFDIO_REGISTER, watchedFrom, lastPage - watchedFrom, UFFDIO_REGISTER_MODE_MISSING);
    }
  }

  /** Fills `[address + from, address + to)` so that the pattern begins at `address`. */
  private fillFrom(address: number, from: number, to: number): void {
    const { memory } = this.heap;
    if (this.pattern.length === 1) memory.fill(address + from, this.pattern[0], to - from);
    else memory.fillPattern(address + from, to - from, rotatedPattern(this.pattern, from));
  }

  private unregister(address: number, size: number): void {
    const [start, end] = [roundUp(address), roundDown(address + size)];
    if (start < end) this.ioctl(UFFDIO_UNREGISTER, start, end - start);
  }

  /** The handler thread: one message, one copy. */
  private answer(): void {
    const { process, memory } = this.heap;
    const message = this.structure + 256;
    process.read(this.fd, message, UFFD_MESSAGE_BYTES);
    const address = memory.getUint32(message + 20) * 2 ** 32 + memory.getUint32(message + 16);
    this.ioctl(UFFDIO_COPY, address, this.patternPage, PAGE_BYTES, 0);
    this.faultMessages++;
  }

  private ioctl(request: number, ...fields: number[]): void {
    const { memory, process } = this.heap;
    for (let index = 0; index < fields.length; index++) {
      memory.setUint32(this.structure + index * 8, fields[index]);
      memory.setUint32(this.structure + index * 8 + 4, Math.floor(fields[index] / 2 ** 32));
    }
    process.syscall("ioctl", this.fd, request, this.structure);
  }
}

/** Counts the tag stores of a heap that tags large chunks itself: all granules when made, and again when freed. */
export class TagCounting implements LargeTreatment {
  taggedGranules = 0;
  gvaBlocks = 0;
  readonly faultMessages = 0;
  private readonly instruction: "stg" | "gva";
  private readonly sizes = new Map<number, number>();

  constructor(instruction: "stg" | "gva") {
    this.instruction = instruction;
  }

  unfilled(allocate: () => number): number {
    return allocate();
  }

  made(address: number, size: number): number {
    if (address !== 0) this.after(address, size);
    return address;
  }

  before(address: number): number {
    const size = this.sizes.get(address);
    if (size === undefined) return 0;
    this.sizes.delete(address);
    this.count(size);
    return size;
  }

  after(address: number, size: number): void {
    this.sizes.set(address, size);
    this.count(size);
  }

  private count(size: number): void {
    if (this.instruction === "stg") this.taggedGranules += Math.ceil(size / GRANULE_BYTES);
    else this.gvaBlocks += Math.ceil(size / GVA_BLOCK_BYTES);
  }
}

function roundUp(address: number): number {
  return Math.ceil(address / PAGE_BYTES) * PAGE_BYTES;
}

function roundDown(address: number): number {
  return Math.floor(address / PAGE_BYTES) * PAGE_BYTES;
}
