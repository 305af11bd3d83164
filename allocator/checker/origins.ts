// Where undefined bytes that came by copy are from: the blocks that were copied from before they were written, by the pages they were copied to.
// Only copies of undefined bytes are noted; what was noted ends when its bytes are handed out or marked anew.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { PAGE_SIZE } from "../../platform/hardware/layout.ts";
import { keepClass } from "../../platform/state/kept.ts";
import type { Block } from "./finding.ts";

/** A chunk as it was when its bytes were copied. */
export interface Source {
  readonly pointer: Address;
  readonly size: ByteCount;
}

interface Copied {
  readonly address: Address;
  readonly size: ByteCount;
  readonly origin: Source;
}

export interface OriginSources {
  /** The live chunk that holds an address, or null. */
  chunkAt(address: Address): Source | null;
  /** What a report says of a chunk. */
  describe(source: Source): Block;
  /** An address, or −1. */
  firstUndefined(address: Address, size: ByteCount): number;
}

/** Copies that are remembered of a page; older ones are forgotten. */
const OF_A_PAGE = 128;

export class Origins {
  private readonly byPage = new Map<number, Copied[]>();
  private readonly sources: OriginSources;

  constructor(sources: OriginSources) {
    this.sources = sources;
  }

  /** Bytes, some of them undefined, are copied. Both ranges lie inside a page. */
  noteCopy(to: Address, from: Address, size: ByteCount): void {
    const source = this.sources.firstUndefined(from, size);
    if (source < 0) return;
    const origin = this.known(source) ?? this.sources.chunkAt(source);
    this.forget(to, size);
    if (origin === null) return;
    const page = Math.floor(to / PAGE_SIZE);
    let copies = this.byPage.get(page);
    if (copies === undefined) {
      copies = [];
      this.byPage.set(page, copies);
    }
    if (copies.length >= OF_A_PAGE) copies.shift();
    copies.push({ address: to, size, origin });
  }

  /** The block that the undefined byte at `address` of `block` came from, or null: it is the block's own. */
  of(address: Address, block: Block | null): Block | null {
    const origin = this.known(address);
    return origin === null || origin.pointer === block?.pointer ? null : this.sources.describe(origin);
  }

  private known(address: Address): Source | null {
    const copies = this.byPage.get(Math.floor(address / PAGE_SIZE)) ?? [];
    const copied = copies.findLast((copy) => address >= copy.address && address < copy.address + copy.size);
    return copied?.origin ?? null;
  }

  /** Bytes are what they are by themselves from now on. */
  forget(address: Address, size: ByteCount): void {
    if (this.byPage.size === 0) return;
    const first = Math.floor(address / PAGE_SIZE);
    const last = Math.floor((address + size - 1) / PAGE_SIZE);
    const pages = last - first < this.byPage.size ? range(first, last) : [...this.byPage.keys()];
    for (const page of pages) {
      if (page < first || page > last) continue;
      const kept = (this.byPage.get(page) ?? []).flatMap((copy) => without(copy, address, address + size));
      if (kept.length === 0) this.byPage.delete(page);
      else this.byPage.set(page, kept);
    }
  }

  /** Bytes move, and what is known of them with them. */
  move(to: Address, from: Address, size: ByteCount): void {
    if (this.byPage.size === 0 || to === from) return;
    const moved: Copied[] = [];
    for (const copies of this.byPage.values()) {
      for (const { address, size: bytes, origin } of copies) {
        const begin = Math.max(address, from);
        const end = Math.min(address + bytes, from + size);
        if (begin < end) moved.push({ address: to + (begin - from), size: end - begin, origin });
      }
    }
    this.forget(from, size);
    for (const copy of moved) this.addPieces(copy);
  }

  private addPieces({ address, size, origin }: Copied): void {
    for (let at = address; at < address + size; ) {
      const page = Math.floor(at / PAGE_SIZE);
      const bytes = Math.min(address + size, (page + 1) * PAGE_SIZE) - at;
      const copies = this.byPage.get(page) ?? [];
      copies.push({ address: at, size: bytes, origin });
      this.byPage.set(page, copies);
      at += bytes;
    }
  }
}

/** What is left of a copy outside [from, end). */
function without(copy: Copied, from: Address, end: Address): Copied[] {
  const { address, size, origin } = copy;
  const copyEnd = address + size;
  if (copyEnd <= from || address >= end) return [copy];
  const left: Copied[] = [];
  if (address < from) left.push({ address, size: from - address, origin });
  if (copyEnd > end) left.push({ address: end, size: copyEnd - end, origin });
  return left;
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

keepClass("Origins", Origins);
