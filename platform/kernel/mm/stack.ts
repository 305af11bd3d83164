// Areas that grow downwards (MAP_GROWSDOWN): a touch just below one extends it, if limits and its neighbour allow (expand_downwards).
// Nothing else about stacks lives here.
import type { AreaId, PageNumber } from "../../hardware/integers.ts";
import { PAGE_SIZE } from "../../hardware/layout.ts";
import { RLIMIT_STACK } from "../abi/rlimit.ts";
import type { AddressSpace } from "./address-space.ts";
import { VM_ACCESS_FLAGS, VM_ACCOUNT, VM_GROWSDOWN, VM_LOCKED } from "./vm-flags.ts";
import { prepareAnonVma } from "./vma-merge.ts";

/** Pages that must stay free below a growing area (stack_guard_gap). */
export const STACK_GUARD_GAP_PAGES = 256;

/** Extends the area above `page` down to it. @returns its id, or −1 if there is none or it may not grow. */
export function growStack(space: AddressSpace, page: PageNumber): AreaId {
  const { vmas } = space;
  const index = vmas.findIndex(page);
  const id = vmas.at(index);
  if (id === -1 || (vmas.flags[id] & VM_GROWSDOWN) === 0) return -1;
  if (page < space.kernel.mmapMinPage) return -1;
  const pages = vmas.startPage[id] - page;
  const size = vmas.endPage[id] - page;
  const previous = vmas.at(index - 1);
  if (
    previous !== -1 &&
    (vmas.flags[previous] & VM_GROWSDOWN) === 0 &&
    (vmas.flags[previous] & VM_ACCESS_FLAGS) !== 0
  ) {
    if (page - vmas.endPage[previous] < STACK_GUARD_GAP_PAGES) return -1;
  } else if (previous !== -1 && vmas.endPage[previous] > page) return -1;
  // The anon_vma comes first, and stays even if a limit then refuses the growth.
  prepareAnonVma(space, id);
  if (size * PAGE_SIZE > space.limits.soft(RLIMIT_STACK) || pages > vmas.pageOffset[id]) return -1;
  if (!space.mayExpand(vmas.flags[id], pages) || !space.mayLock(vmas.flags[id], pages)) return -1;
  if ((vmas.flags[id] & VM_ACCOUNT) !== 0 && !space.kernel.commit(pages, space)) return -1;
  vmas.setRange(id, page, vmas.endPage[id], vmas.pageOffset[id] - pages);
  space.account(vmas.flags[id], pages);
  if ((vmas.flags[id] & VM_LOCKED) !== 0) space.lockedPages += pages;
  return id;
}
