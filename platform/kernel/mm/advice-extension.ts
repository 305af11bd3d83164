// What madvise does with an extension's advice: the hook changes a request for a part of one area, and the area becomes so.
// Linux's own advice is madvise.ts; what a hook may change is looked at in kernel/extension-hooks.ts.

import type { Address, AreaId, ByteCount, PageNumber } from "../../hardware/integers.ts";
import { PAGE_SIZE } from "../../hardware/layout.ts";
import { SystemError } from "../abi/errors.ts";
import type { AddressSpace } from "./address-space.ts";
import type { MapRequest } from "./file.ts";
import { VM_DROPPABLE, VM_LOCKED, VM_MAYBE_GUARD, VM_UFFD_MISSING } from "./vm-flags.ts";
import { cutArea, modifyFlags } from "./vma-merge.ts";
import { dropPages } from "./zap.ts";

/** What an extension's advice is about to make of the part of an area that it covers. */
export interface AdviceRequest extends MapRequest {
  /** Whether the pages are given back, so that they read as the clean page again. Another clean page always does that. */
  drop: boolean;
}

/** Changes the request for [start, start + length) in bytes. @throws what the hook throws */
export type AdviceHookOfArea = (request: AdviceRequest, start: Address, length: ByteCount) => void;

/**
 * Applies a hook's advice to [start, end) of an area.
 * @throws SystemError EINVAL: pages of locked memory would be given back, or the clean page of memory changed that has a userfaultfd or
 * may be dropped. EAGAIN: a split would pass max_map_count. Nothing of this area has changed then.
 */
export function adviseExtended(
  space: AddressSpace,
  id: AreaId,
  start: PageNumber,
  end: PageNumber,
  hook: AdviceHookOfArea,
): void {
  const { vmas } = space;
  const [flags, cleanPage, file] = [vmas.flags[id], vmas.cleanPages[id], vmas.files[id]];
  const request: AdviceRequest = { flags, anonymous: vmas.anonymous[id] === 1, cleanPage, file, drop: false };
  hook(request, start * PAGE_SIZE, (end - start) * PAGE_SIZE);
  const isOther = request.cleanPage !== cleanPage || request.file !== file;
  try {
    checkArea(flags, isOther, request.drop);
    if (request.flags !== flags || isOther) requireRoomForParts(space, id, start, end);
  } catch (error) {
    if (request.file !== file) request.file?.put();
    throw error;
  }
  if (isOther) replaceCleanPage(space, id, start, end, request);
  else {
    if (request.flags !== flags) {
      const area = modifyFlags(space, id, start, end, request.flags, "madvise");
      vmas.setFlags(area, request.flags | (vmas.flags[area] & VM_MAYBE_GUARD));
    }
    if (request.drop) dropPages(space, start, end);
  }
}

function checkArea(flags: number, isOther: boolean, drop: boolean): void {
  if ((isOther || drop) && (flags & VM_LOCKED) !== 0) throw new SystemError("EINVAL", "madvise", "locked memory");
  if (isOther && (flags & (VM_UFFD_MISSING | VM_DROPPABLE)) !== 0)
    throw new SystemError("EINVAL", "madvise", "memory with a userfaultfd, or that may be dropped");
}

/** Both splits have room, or none is made. */
function requireRoomForParts(space: AddressSpace, id: AreaId, start: PageNumber, end: PageNumber): void {
  const { vmas, kernel } = space;
  const parts = (start > vmas.startPage[id] ? 1 : 0) + (end < vmas.endPage[id] ? 1 : 0);
  if (parts > 0 && vmas.count + parts > kernel.maxMapCount) throw new SystemError("EAGAIN", "madvise", "mappings");
}

/** The range becomes an area of its own, whose pages are given back before their old clean page may go. */
function replaceCleanPage(
  space: AddressSpace,
  id: AreaId,
  start: PageNumber,
  end: PageNumber,
  { flags, cleanPage, file }: AdviceRequest,
): void {
  const { vmas } = space;
  let area = id;
  if (start > vmas.startPage[area]) area = cutArea(space, area, start);
  if (end < vmas.endPage[area]) cutArea(space, area, end);
  const before = vmas.files[area];
  vmas.setCleanPage(area, cleanPage);
  dropPages(space, start, end);
  vmas.setFlags(area, flags);
  if (file === before) return;
  vmas.files[area] = file;
  before?.put();
}
