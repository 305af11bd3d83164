// A snapshot of a process's memory as a core dump keeps it: its areas, the pages that were touched, and the tags of those
// that have any (fs/binfmt_elf.c; PT_AARCH64_MEMTAG_MTE segments of memory-tagging-extension.rst). Nothing is faulted in.
import type { Address, PageNumber } from "../hardware/integers.ts";
import { PAGE_SIZE, PTE_FRAME_SHIFT, PTE_MTE, PTE_PRESENT, PTE_SPECIAL } from "../hardware/layout.ts";
import { saveFrameTags } from "../hardware/tag-store.ts";
import { VM_DONTDUMP } from "./mm/vm-flags.ts";
import type { Process } from "./process.ts";

/** One touched page of a dump. */
export interface DumpedPage {
  readonly address: Address;
  readonly bytes: Uint8Array;
  /** 128 bytes, two tags each, the lower granule in the low half; absent without PROT_MTE. */
  readonly tags?: Uint8Array;
}

/** One area of a dump; addresses in bytes. Pages that are not in `pages` read as the area's clean page. */
export interface DumpedArea {
  readonly start: Address;
  readonly end: Address;
  /** VM_… flags. */
  readonly flags: number;
  readonly pages: readonly DumpedPage[];
}

/** Every area but those under MADV_DONTDUMP. Cost: touched pages and areas. */
export function dumpMemory({ addressSpace }: Process): DumpedArea[] {
  const { vmas } = addressSpace;
  const areas: DumpedArea[] = [];
  for (let index = 0; index < vmas.count; index++) {
    const id = vmas.at(index);
    const flags = vmas.flags[id];
    if ((flags & VM_DONTDUMP) !== 0) continue;
    const [start, end] = [vmas.startPage[id], vmas.endPage[id]];
    areas.push({ start: start * PAGE_SIZE, end: end * PAGE_SIZE, flags, pages: dumpPages(addressSpace, start, end) });
  }
  return areas;
}

function dumpPages({ pageTable, kernel }: Process["addressSpace"], start: PageNumber, end: PageNumber): DumpedPage[] {
  const { ram } = kernel.machine;
  const pages: DumpedPage[] = [];
  for (let page = pageTable.next(start, end); page < end; page = pageTable.next(page + 1, end)) {
    const entry = pageTable.entryOf(page);
    if ((entry & PTE_PRESENT) === 0 || (entry & PTE_SPECIAL) !== 0) continue;
    const frame = entry >>> PTE_FRAME_SHIFT;
    const position = ram.positionOf(frame);
    const bytes = ram.bankOf(frame).slice(position, position + PAGE_SIZE);
    const tags = (entry & PTE_MTE) !== 0 ? saveFrameTags(ram, frame) : undefined;
    pages.push({ address: page * PAGE_SIZE, bytes, tags });
  }
  return pages;
}
