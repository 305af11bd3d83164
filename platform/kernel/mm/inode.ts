// An inode with a page cache in RAM (tmpfs, memfd, shared anonymous memory): its size, its pages, and who maps it.
// Mapping and unmapping are in mmap.ts and zap.ts; reading and writing by descriptor are in memfd.ts.

import type { ByteCount, FileOffset, FilePage } from "../../hardware/integers.ts";
import { OFFSET_MASK, PAGE_SHIFT, PAGE_SIZE } from "../../hardware/layout.ts";
import { keepClass } from "../../state/kept.ts";
import { F_SEAL_SEAL } from "../abi/fcntl.ts";
import type { AddressSpace } from "./address-space.ts";
import type { MemoryCgroup } from "./cgroup.ts";
import { type FrameAllocator, NO_FRAME, zeroPage } from "./frames.ts";

/** Invariant: each page of the cache holds one reference to its frame; `mappers` counts the areas of each address space. */
export class Inode {
  readonly number: number;
  /** Length in bytes. */
  size: ByteCount;
  /** F_SEAL_… (memfd.ts). A file that was not made for sealing is sealed against seals. */
  seals = F_SEAL_SEAL;
  /** Permission to execute the file, which MFD_NOEXEC_SEAL takes away. */
  isExecutable = true;
  /** Page index → frame. */
  readonly pages = new Map<number, number>();
  readonly mappers = new Map<AddressSpace, number>();
  /** Open files that hold the inode; its pages go with the last. */
  references = 0;
  /** Pages that were promised for it as a whole (shmem_acct_size), given back by `onEvicted`. */
  committedPages = 0;
  /** Called when the last reference is gone. */
  onEvicted: (() => void) | null = null;
  readonly frames: FrameAllocator;

  constructor(frames: FrameAllocator, number: number, size: ByteCount) {
    this.frames = frames;
    this.number = number;
    this.size = size;
  }

  /** Pages that the length covers. */
  get pageCount(): number {
    return Math.ceil(this.size / PAGE_SIZE);
  }

  /** The frame of a page, made if the file has a hole there; NO_FRAME if memory is out. */
  page(index: number, cgroup: MemoryCgroup | null): number {
    const present = this.pages.get(index);
    if (present !== undefined) return present;
    const frame = this.frames.allocate(zeroPage, cgroup);
    if (frame !== NO_FRAME) this.pages.set(index, frame);
    return frame;
  }

  /** Position of the first byte from `from` that lies in a cached page, or in none; the size if there is none (shmem lseek). */
  seek(from: FileOffset, wanted: "data" | "hole"): number {
    if (wanted === "hole") {
      let index = pageIndexOf(from);
      while (this.pages.has(index)) index++;
      return Math.min(this.size, Math.max(from, index * PAGE_SIZE));
    }
    let first = this.pageCount;
    for (const index of this.pages.keys()) if (index >= pageIndexOf(from) && index < first) first = index;
    return Math.min(this.size, Math.max(from, first * PAGE_SIZE));
  }

  /** Drops the cached pages in [first, end); mappings of them must be gone. */
  dropPages(first: FilePage, end: FilePage): void {
    if (end - first > this.pages.size) {
      for (const index of [...this.pages.keys()]) if (index >= first && index < end) this.dropPage(index);
    } else {
      for (let index = first; index < end; index++) this.dropPage(index);
    }
  }

  private dropPage(index: number): void {
    const frame = this.pages.get(index);
    if (frame === undefined) return;
    this.pages.delete(index);
    this.frames.put(frame);
    // What was found is given back by way of the lists (__folio_batch_release).
    this.frames.drainBatches();
  }

  /** Zeroes [from, to) in the pages that exist, which makes them dirty. */
  zeroRange(from: FileOffset, to: FileOffset): void {
    for (let position = from; position < to; ) {
      const index = Math.floor(position / PAGE_SIZE);
      const end = Math.min(to, (index + 1) * PAGE_SIZE);
      const frame = this.pages.get(index);
      if (frame !== undefined) {
        const start = this.frames.ram.positionOf(frame);
        this.frames.ram.bankOf(frame).fill(0, start + (position & OFFSET_MASK), start + (end - index * PAGE_SIZE));
        this.frames.markDirty(frame);
      }
      position = end;
    }
  }

  get(): void {
    this.references++;
  }

  put(): void {
    if (--this.references > 0) return;
    this.dropPages(0, Number.POSITIVE_INFINITY);
    this.onEvicted?.();
  }

  addMapper(space: AddressSpace): void {
    this.mappers.set(space, (this.mappers.get(space) ?? 0) + 1);
  }

  removeMapper(space: AddressSpace): void {
    const count = (this.mappers.get(space) ?? 0) - 1;
    if (count > 0) this.mappers.set(space, count);
    else this.mappers.delete(space);
  }
}

/** Page index of a byte offset in a file. */
export function pageIndexOf(offset: number): number {
  return Math.floor(offset / 2 ** PAGE_SHIFT);
}

keepClass("Inode", Inode);
