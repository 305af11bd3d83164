// Keeps the bytes of a guest's pages while no frame is counted for them: what a page reads before any store is at its address already,
// since the guest and its glue read there without asking. Bytes that glue wrote before the page was touched stay, too.

import type { ByteCount, PageNumber } from "../../../platform/hardware/integers.ts";
import { PAGE_SIZE, PTE_PRESENT, PTE_SPECIAL } from "../../../platform/hardware/layout.ts";
import type { AddressSpace, HomeKeeper } from "../../../platform/kernel/mm/address-space.ts";
import { type CleanPage, zeroPage } from "../../../platform/kernel/mm/frames.ts";
import { VM_ACCESS_FLAGS } from "../../../platform/kernel/mm/vm-flags.ts";
import { type Extent, keepClass } from "../../../platform/state/kept.ts";
import { GRANULE, type Layout } from "../rewriting/layout.ts";
import type { Addressable } from "./addressable.ts";

const WORDS_PER_PAGE = PAGE_SIZE / 4;

export class Homes implements HomeKeeper {
  private readonly space: AddressSpace;
  private readonly addressable: Addressable;
  private readonly bytes: Uint8Array;
  private readonly words: Int32Array;
  /** Of the memory, the guest's and the checker's, only the bytes before this can be other than zero. */
  private readonly usedBytes: ByteCount;

  constructor(space: AddressSpace, addressable: Addressable, bytes: Uint8Array, layout: Layout) {
    this.space = space;
    this.addressable = addressable;
    this.bytes = bytes;
    this.words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    // The shadow comes last. Most of it stands for addresses at which there can be no memory.
    this.usedBytes = layout.shadowBase + layout.limitBytes / GRANULE;
  }

  extent(): Extent {
    return [this.bytes, 0, this.usedBytes];
  }

  /** Cost: the range, if it does not read as zeroes. */
  mapped(start: PageNumber, end: PageNumber, clean: CleanPage): void {
    if (clean === zeroPage || start === end) return;
    this.copyClean(start, clean);
    const from = start * PAGE_SIZE;
    const to = end * PAGE_SIZE;
    for (let done = PAGE_SIZE; done < to - from; done *= 2) {
      this.bytes.copyWithin(from + done, from, Math.min(from + done, to - done));
    }
  }

  /** Cost: every page of the range is looked at one time, since glue may have written where no frame was taken. */
  emptied(start: PageNumber, end: PageNumber, clean: CleanPage): void {
    const { vmas, pageTable } = this.space;
    const { entries } = pageTable;
    const id = vmas.lookup(start);
    if (id !== -1 && (vmas.flags[id] & VM_ACCESS_FLAGS) === 0 && pageTable.next(start, end) === end) return;
    for (let page = start; page < end; page++) {
      const entry = entries[page];
      if (entry !== 0) this.addressable.lose(page);
      const hadFrame = (entry & (PTE_PRESENT | PTE_SPECIAL)) === PTE_PRESENT;
      if (!hadFrame && this.isClean(page, clean)) continue;
      if (clean === zeroPage) this.bytes.fill(0, page * PAGE_SIZE, (page + 1) * PAGE_SIZE);
      else this.copyClean(page, clean);
    }
  }

  changed(start: PageNumber, end: PageNumber): void {
    const { pageTable } = this.space;
    for (let page = pageTable.next(start, end); page < end; page = pageTable.next(page + 1, end))
      this.addressable.repaint(page);
  }

  private copyClean(page: PageNumber, clean: CleanPage): void {
    const source = clean.frame * PAGE_SIZE;
    this.bytes.copyWithin(page * PAGE_SIZE, source, source + PAGE_SIZE);
  }

  private isClean(page: PageNumber, clean: CleanPage): boolean {
    const { words } = this;
    const first = page * WORDS_PER_PAGE;
    if (clean === zeroPage) {
      for (let i = first; i < first + WORDS_PER_PAGE; i += 4) {
        if ((words[i] | words[i + 1] | words[i + 2] | words[i + 3]) !== 0) return false;
      }
      return true;
    }
    const source = clean.frame * WORDS_PER_PAGE;
    for (let i = 0; i < WORDS_PER_PAGE; i++) if (words[first + i] !== words[source + i]) return false;
    return true;
  }
}

keepClass("Homes", Homes, { extents: (homes) => [homes.extent()] });
