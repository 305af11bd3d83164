// A plain model of processes and their memory: one Map from page to what is there, whole pages of bytes, no sharing tricks.
// Slow and obvious on purpose; the property tests hold the kernel against it.
import { PAGE_SIZE } from "../../platform/hardware/layout.ts";

/** What all mappings of a shared object see: pages by number, zeroes where nothing was stored. */
export class PlainObject {
  private readonly pages = new Map<number, Uint8Array>();

  page(index: number): Uint8Array {
    let page = this.pages.get(index);
    if (page === undefined) {
      page = new Uint8Array(PAGE_SIZE);
      this.pages.set(index, page);
    }
    return page;
  }
}

interface PlainPage {
  readable: boolean;
  writable: boolean;
  /** Stores go straight to the object. */
  readonly shared: boolean;
  readonly object: PlainObject | null;
  readonly index: number;
  /** The private copy, from the first store on. */
  own: Uint8Array | null;
  locked: boolean;
}

const zeroes = new Uint8Array(PAGE_SIZE);

export type PlainFault = "SEGV_MAPERR" | "SEGV_ACCERR";

export class PlainProcess {
  private readonly pages = new Map<number, PlainPage>();
  /** Pages of the heap below the break. */
  heapPages = 0;

  isMapped(page: number): boolean {
    return this.pages.has(page);
  }

  /** Whether every page of [start, start + count) is mapped. */
  isWholeRange(start: number, count: number): boolean {
    for (let page = start; page < start + count; page++) if (!this.pages.has(page)) return false;
    return true;
  }

  map(
    start: number,
    count: number,
    { write, shared }: { readonly write: boolean; readonly shared: boolean },
    object: PlainObject | null,
    index: number,
  ): void {
    for (let i = 0; i < count; i++) {
      const where = { shared, object, index: index + i, own: null, locked: false };
      this.pages.set(start + i, { readable: true, writable: write, ...where });
    }
  }

  unmap(start: number, count: number): void {
    for (let page = start; page < start + count; page++) this.pages.delete(page);
  }

  protect(start: number, count: number, access: { read: boolean; write: boolean }): void {
    for (let page = start; page < start + count; page++) {
      const entry = this.pages.get(page);
      // mprotect stops at the first hole, with what lies before it changed.
      if (entry === undefined) return;
      entry.readable = access.read;
      entry.writable = access.write;
    }
  }

  /** As MADV_DONTNEED: holes are passed over, locked memory stops it. @returns the errno or undefined. */
  dontNeed(start: number, count: number): "EINVAL" | "ENOMEM" | undefined {
    let hole = false;
    for (let page = start; page < start + count; page++) {
      const entry = this.pages.get(page);
      if (entry?.locked) return "EINVAL";
      if (entry === undefined) hole = true;
      else entry.own = null;
    }
    return hole ? "ENOMEM" : undefined;
  }

  /** As mlock and munlock: up to the first hole. */
  lock(start: number, count: number, locked: boolean): void {
    for (let page = start; page < start + count; page++) {
      const entry = this.pages.get(page);
      if (entry === undefined) return;
      entry.locked = locked;
    }
  }

  /** Whether a page is private anonymous memory. */
  isAnonymous(page: number): boolean {
    const entry = this.pages.get(page);
    return entry !== undefined && entry.object === null && !entry.shared;
  }

  /** Repeats a page's attributes behind it, with nothing stored. */
  extend(last: number, count: number): void {
    const entry = this.pages.get(last) as PlainPage;
    for (let i = 1; i <= count; i++) this.pages.set(last + i, { ...entry, own: null });
  }

  /** Moves the break, in pages of the heap that starts at `start`. */
  setHeap(start: number, count: number): void {
    if (count < this.heapPages) this.unmap(start + count, this.heapPages - count);
    else this.map(start + this.heapPages, count - this.heapPages, { write: true, shared: false }, null, 0);
    this.heapPages = count;
  }

  /** Moves a range where everything is mapped over another that it does not meet. */
  move(start: number, count: number, to: number): void {
    const moved = Array.from({ length: count }, (_, i) => this.pages.get(start + i) as PlainPage);
    this.unmap(start, count);
    for (const [i, entry] of moved.entries()) this.pages.set(to + i, entry);
  }

  fork(): PlainProcess {
    const child = new PlainProcess();
    for (const [page, entry] of this.pages) {
      child.pages.set(page, { ...entry, own: entry.own === null ? null : entry.own.slice(), locked: false });
    }
    child.heapPages = this.heapPages;
    return child;
  }

  /** What a load of one byte gives. */
  load(address: number): number | PlainFault {
    const entry = this.pages.get(Math.floor(address / PAGE_SIZE));
    if (entry === undefined) return "SEGV_MAPERR";
    if (!entry.readable && !entry.writable) return "SEGV_ACCERR";
    return contentOf(entry)[address % PAGE_SIZE];
  }

  store(address: number, value: number): PlainFault | undefined {
    const entry = this.pages.get(Math.floor(address / PAGE_SIZE));
    if (entry === undefined) return "SEGV_MAPERR";
    if (!entry.writable) return "SEGV_ACCERR";
    if (entry.shared) (entry.object as PlainObject).page(entry.index)[address % PAGE_SIZE] = value;
    else {
      entry.own ??= contentOf(entry).slice();
      entry.own[address % PAGE_SIZE] = value;
    }
    return undefined;
  }

  /** The bytes of a page that may be read, or the refusal. */
  content(page: number): Uint8Array | PlainFault {
    const entry = this.pages.get(page);
    if (entry === undefined) return "SEGV_MAPERR";
    if (!entry.readable && !entry.writable) return "SEGV_ACCERR";
    return contentOf(entry);
  }
}

function contentOf(entry: PlainPage): Uint8Array {
  return entry.own ?? entry.object?.page(entry.index) ?? zeroes;
}
