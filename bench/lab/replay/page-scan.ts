// One look at all pages of an address space: which are private, which read as the zero page, which as a reference page.
// Also the accounting model of larger base pages: what would be resident if pages had 16 or 64 KiB. Huge pages are the kernel's own.
import { PTE_PRESENT, PTE_SPECIAL } from "../../../platform/hardware/layout.ts";
import type { AddressSpace } from "../../../platform/kernel/mm/address-space.ts";
import { zeroPage } from "../../../platform/kernel/mm/frames.ts";
import { VM_ACCESS_FLAGS } from "../../../platform/kernel/mm/vm-flags.ts";

/** Page sizes of the accounting model, in 4 KiB pages. */
const GROUP_PAGES = { "16 KiB": 4, "64 KiB": 16 } as const;
export type GroupSize = keyof typeof GROUP_PAGES;
export const GROUP_SIZES = Object.keys(GROUP_PAGES) as GroupSize[];

/** 4 KiB pages of one block of the page map. */
export const MAP_BLOCK_PAGES = 512;
const PAGE_BYTES = 4096;

/** Pages of a block by what a load sees: nothing mapped there counts nowhere. */
export interface BlockPages {
  /** Private pages that small entries map, and those that huge entries map. */
  private: number;
  huge: number;
  zero: number;
  clean: number;
}

export interface PageScan {
  readonly privatePages: number;
  /** Pages of accessible areas without a private page, that read as zeroes, and as a reference page. */
  readonly zeroPages: number;
  readonly cleanPages: number;
  /** Bytes resident if pages were larger: a group is resident as soon as one of its pages is. */
  readonly groupRssBytes: Readonly<Record<GroupSize, number>>;
  /** By block number (address / 2 MiB). */
  readonly blocks: ReadonlyMap<number, BlockPages>;
}

/**
 * Scans the areas of a process. Cost: its touched pages, its areas, and 2 MiB blocks mapped.
 */
export function scanPages(space: AddressSpace): PageScan {
  const blocks = new Map<number, BlockPages>();
  const groups = { pages16K: 0, last16K: -1, pages64K: 0, last64K: -1 };
  let privatePages = 0;
  let zeroPages = 0;
  let cleanPages = 0;
  const { vmas, pageTable } = space;
  for (let index = 0; index < vmas.count; index++) {
    const id = vmas.at(index);
    if (
      (vmas.flags[id] & VM_ACCESS_FLAGS) === 0 &&
      pageTable.next(vmas.startPage[id], vmas.endPage[id]) === vmas.endPage[id]
    ) {
      continue;
    }
    const isReference = vmas.cleanPages[id] !== zeroPage;
    for (let start = vmas.startPage[id]; start < vmas.endPage[id]; ) {
      const end = Math.min(vmas.endPage[id], (Math.floor(start / MAP_BLOCK_PAGES) + 1) * MAP_BLOCK_PAGES);
      const block = blockAt(blocks, Math.floor(start / MAP_BLOCK_PAGES));
      let resident = 0;
      for (let page = pageTable.next(start, end); page < end; page = pageTable.next(page + 1, end)) {
        if ((pageTable.entryOf(page) & (PTE_PRESENT | PTE_SPECIAL)) !== PTE_PRESENT) continue;
        resident++;
        countGroups(page, groups);
      }
      const untouched = (vmas.flags[id] & VM_ACCESS_FLAGS) === 0 ? 0 : end - start - resident;
      block[pageTable.isHuge(start) ? "huge" : "private"] += resident;
      privatePages += resident;
      if (isReference) {
        block.clean += untouched;
        cleanPages += untouched;
      } else {
        block.zero += untouched;
        zeroPages += untouched;
      }
      start = end;
    }
  }
  const groupRssBytes = { "16 KiB": groups.pages16K * PAGE_BYTES, "64 KiB": groups.pages64K * PAGE_BYTES };
  return { privatePages, zeroPages, cleanPages, groupRssBytes, blocks };
}

/** Pages come in ascending order. Two counters by name: a loop over the sizes took more time than the scan itself. */
function countGroups(
  page: number,
  groups: { pages16K: number; last16K: number; pages64K: number; last64K: number },
): void {
  const group16K = Math.floor(page / GROUP_PAGES["16 KiB"]);
  if (group16K === groups.last16K) return;
  groups.last16K = group16K;
  groups.pages16K += GROUP_PAGES["16 KiB"];
  const group64K = Math.floor(page / GROUP_PAGES["64 KiB"]);
  if (group64K === groups.last64K) return;
  groups.last64K = group64K;
  groups.pages64K += GROUP_PAGES["64 KiB"];
}

function blockAt(blocks: Map<number, BlockPages>, number: number): BlockPages {
  let block = blocks.get(number);
  if (block === undefined) {
    block = { private: 0, huge: 0, zero: 0, clean: 0 };
    blocks.set(number, block);
  }
  return block;
}
