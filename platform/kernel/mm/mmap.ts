// mmap(2): from arguments to an area (do_mmap, mmap_region). Choosing an address is unmapped-area.ts, merging vma-merge.ts,
// taking away what was there munmap.ts.
import type {
  Address,
  AreaFlags,
  AreaId,
  ByteCount,
  FileOffset,
  PageCount,
  PageNumber,
} from "../../hardware/integers.ts";
import { PAGE_SIZE } from "../../hardware/layout.ts";
import { SystemError } from "../abi/errors.ts";
import {
  MAP_ANONYMOUS,
  MAP_DROPPABLE,
  MAP_FIXED,
  MAP_FIXED_NOREPLACE,
  MAP_GROWSDOWN,
  MAP_HUGETLB,
  MAP_LOCKED,
  MAP_NONBLOCK,
  MAP_NORESERVE,
  MAP_POPULATE,
  MAP_PRIVATE,
  MAP_SHARED,
  MAP_SHARED_VALIDATE,
  MAP_STACK,
  MAP_SYNC,
  MAP_TYPE,
  PROT_EXEC,
  PROT_MTE,
  PROT_READ,
  PROT_WRITE,
} from "../abi/mman.ts";
import type { AddressSpace, FaultAccount } from "./address-space.ts";
import type { MapRequest, OpenFile } from "./file.ts";
import { zeroPage } from "./frames.ts";
import { splitAtBorders, unmapRange } from "./munmap.ts";
import { populateRange } from "./populate.ts";
import { createSharedAnonymous } from "./shmem.ts";
import { getUnmappedArea, isPlacedAsAnonymous, pagesOf } from "./unmapped-area.ts";
import {
  VM_ACCOUNT,
  VM_DONTDUMP,
  VM_DROPPABLE,
  VM_EXEC,
  VM_GROWSDOWN,
  VM_LOCKED,
  VM_MAYEXEC,
  VM_MAYREAD,
  VM_MAYSHARE,
  VM_MAYWRITE,
  VM_MTE,
  VM_MTE_ALLOWED,
  VM_NORESERVE,
  VM_READ,
  VM_SHARED,
  VM_SYNC,
  VM_WIPEONFORK,
  VM_WRITE,
} from "./vm-flags.ts";
import { holdFile, mergeNewRange } from "./vma-merge.ts";

/** Flags that MAP_SHARED_VALIDATE knows (LEGACY_MAP_MASK); any other is EOPNOTSUPP with that type. */
const LEGACY_MAP_MASK =
  MAP_SHARED |
  MAP_PRIVATE |
  MAP_FIXED |
  MAP_ANONYMOUS |
  MAP_GROWSDOWN |
  0x800 |
  0x1000 |
  MAP_LOCKED |
  MAP_NORESERVE |
  MAP_POPULATE |
  MAP_NONBLOCK |
  MAP_STACK |
  MAP_HUGETLB;
/** RAM files refuse MAP_SYNC, as shmem does. */
const UNSUPPORTED_WITH_VALIDATE = MAP_SYNC;
/** Ends of the last page of a regular file that can be mapped (MAX_LFS_FILESIZE), and of any other (ULONG_MAX), rounded down. */
const MAX_FILE_BYTES = 2 ** 63 - PAGE_SIZE;
const MAX_OTHER_FILE_BYTES = 2 ** 64 - PAGE_SIZE;

/** VM_ access bits of a PROT_ value (calc_vm_prot_bits; PROT_MTE as arm64 has it). */
export function protectionFlags(space: AddressSpace, prot: number): number {
  let flags = 0;
  if ((prot & PROT_READ) !== 0) flags |= VM_READ;
  if ((prot & PROT_WRITE) !== 0) flags |= VM_WRITE;
  if ((prot & PROT_EXEC) !== 0) flags |= VM_EXEC;
  if ((prot & PROT_MTE) !== 0 && space.kernel.machine.mte) flags |= VM_MTE;
  return flags;
}

/** What flags beyond Linux's do to a mapping, as extensions have them. */
export interface MmapExtension {
  /** All flags that extensions have. */
  readonly flags: number;
  /** Changes the request. @throws what the hook throws; a file that it put into the request was given back then */
  prepare(request: MapRequest, start: Address, length: ByteCount): void;
}

/** Everything that is checked and decided before a new area is made. */
interface Mapping {
  readonly request: MapRequest;
  readonly pageOffset: number;
  readonly start: PageNumber;
  readonly pages: PageCount;
}

/**
 * mmap(2). `address` and `length` in bytes; `file` null for anonymous memory. @returns the address.
 * @throws SystemError as the manual page says; nothing has changed then.
 * @see Linux mm/mmap.c do_mmap. Cost: touched pages and areas that are replaced.
 */
export function mmap(
  space: AddressSpace,
  charged: FaultAccount,
  address: Address,
  length: ByteCount,
  prot: number,
  mapFlags: number,
  file: OpenFile | null,
  offset: number,
  extension: MmapExtension | null = null,
): Address {
  if ((mapFlags & MAP_HUGETLB) !== 0) {
    throw new SystemError(file === null ? "ENOMEM" : "EINVAL", "mmap", "there are no huge pages");
  }
  if (length === 0) throw new SystemError("EINVAL", "mmap", "length 0");
  const fixed = (mapFlags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) !== 0;
  const pages = pagesOf(length);
  if (pages === 0) throw new SystemError("ENOMEM", "mmap", `length ${length}`);
  if (space.vmas.count > space.kernel.maxMapCount) throw new SystemError("ENOMEM", "mmap", "too many mappings");
  const flags =
    protectionFlags(space, prot) |
    ((mapFlags & MAP_GROWSDOWN) !== 0 ? VM_GROWSDOWN : 0) |
    ((mapFlags & MAP_LOCKED) !== 0 ? VM_LOCKED : 0) |
    ((mapFlags & MAP_SYNC) !== 0 ? VM_SYNC : 0) |
    space.defaultFlags |
    VM_MAYREAD |
    VM_MAYWRITE |
    VM_MAYEXEC;
  const isPrivateAnonymous = isPlacedAsAnonymous(file) && (mapFlags & MAP_TYPE) === MAP_PRIVATE;
  const placing = fixed ? mapFlags | MAP_FIXED : mapFlags;
  // A hint too low for anybody is moved up (round_hint_to_min).
  const lowest = space.kernel.mmapMinPage * PAGE_SIZE;
  const hint = !fixed && address >= PAGE_SIZE && address < lowest ? lowest : address;
  const start = getUnmappedArea(space, hint, pages, placing, "mmap", isPrivateAnonymous);
  if ((mapFlags & MAP_FIXED_NOREPLACE) !== 0 && space.vmas.findIntersection(start, start + pages) !== -1) {
    throw new SystemError("EEXIST", "mmap", "MAP_FIXED_NOREPLACE over a mapping");
  }
  if ((mapFlags & MAP_LOCKED) !== 0 && !space.canLock) throw new SystemError("EPERM", "mmap", "RLIMIT_MEMLOCK is 0");
  if (!space.mayLock(flags, pages)) throw new SystemError("EAGAIN", "mmap", "RLIMIT_MEMLOCK");
  const request: MapRequest = { flags, anonymous: file === null, cleanPage: zeroPage, file };
  if (file === null) checkAnonymous(request, mapFlags);
  else {
    checkReach(file, offset + pages * PAGE_SIZE);
    checkFile(request, file, prot, mapFlags & ~(extension?.flags ?? 0));
  }
  if ((mapFlags & MAP_NORESERVE) !== 0 && space.kernel.overcommit !== 2) request.flags |= VM_NORESERVE;
  const shared = (request.flags & VM_SHARED) !== 0;
  const pageOffset = file !== null ? offset / PAGE_SIZE : shared ? 0 : start;
  if (extension === null) mapRegion(space, { request, pageOffset, start, pages }, file);
  else mapExtended(space, { request, pageOffset, start, pages }, file, extension);
  const populate = (mapFlags & (MAP_POPULATE | MAP_NONBLOCK)) === MAP_POPULATE;
  if (populate || (request.flags & VM_LOCKED) !== 0) {
    populateRange(space, charged, start, start + pages, { errors: "ignore" });
  }
  return start * PAGE_SIZE;
}

function checkAnonymous(request: MapRequest, mapFlags: number): void {
  const type = mapFlags & MAP_TYPE;
  if (type === MAP_SHARED) {
    if ((request.flags & VM_GROWSDOWN) !== 0) throw new SystemError("EINVAL", "mmap", "shared memory does not grow");
    request.flags |= VM_SHARED | VM_MAYSHARE;
    request.anonymous = false;
  } else if (type === MAP_DROPPABLE) {
    if ((mapFlags & (MAP_LOCKED | MAP_HUGETLB)) !== 0 || (request.flags & VM_GROWSDOWN) !== 0)
      throw new SystemError("EINVAL", "mmap", "droppable memory is not locked and does not grow");
    request.flags |= VM_DROPPABLE | VM_NORESERVE | VM_WIPEONFORK | VM_DONTDUMP;
  } else if (type !== MAP_PRIVATE) {
    throw new SystemError("EINVAL", "mmap", `mapping type ${type}`);
  }
  request.flags |= VM_MTE_ALLOWED;
}

/** No mapping goes beyond what the largest file of its kind has (file_mmap_ok). */
function checkReach(file: OpenFile, end: FileOffset): void {
  const largest = file.inode === null ? MAX_OTHER_FILE_BYTES : MAX_FILE_BYTES;
  if (end > largest) throw new SystemError("EOVERFLOW", "mmap", `a mapping that ends at offset ${end}`);
}

function checkFile(request: MapRequest, file: OpenFile, prot: number, mapFlags: number): void {
  const type = mapFlags & MAP_TYPE;
  if (type === MAP_SHARED_VALIDATE && (mapFlags & (~(LEGACY_MAP_MASK | MAP_TYPE) | UNSUPPORTED_WITH_VALIDATE)) !== 0) {
    throw new SystemError("EOPNOTSUPP", "mmap", "a flag that MAP_SHARED_VALIDATE does not know");
  }
  if (type === MAP_SHARED || type === MAP_SHARED_VALIDATE) {
    if ((prot & PROT_WRITE) !== 0 && !file.writable)
      throw new SystemError("EACCES", "mmap", "the file is open for reading only");
    request.flags |= VM_SHARED | VM_MAYSHARE;
    if (!file.writable) request.flags &= ~(VM_MAYWRITE | VM_SHARED);
  } else if (type !== MAP_PRIVATE) {
    throw new SystemError("EINVAL", "mmap", `mapping type ${type}`);
  }
  if (!file.readable) throw new SystemError("EACCES", "mmap", "the file is not open for reading");
  if (file.operations.mmap === undefined) {
    // Pipes, anonymous inodes and procfs, all that cannot be mapped here, lie on file systems without programs (path_noexec).
    if ((prot & PROT_EXEC) !== 0) throw new SystemError("EPERM", "mmap", `${file.operations.path} holds no programs`);
    throw new SystemError("ENODEV", "mmap", file.operations.path);
  }
  if ((request.flags & VM_GROWSDOWN) !== 0) throw new SystemError("EINVAL", "mmap", "a file mapping does not grow");
}

/** As mapRegion, once the extension has had its say. */
function mapExtended(space: AddressSpace, mapping: Mapping, file: OpenFile | null, extension: MmapExtension): void {
  const { request, start, pages } = mapping;
  extension.prepare(request, start * PAGE_SIZE, pages * PAGE_SIZE);
  try {
    mapRegion(space, mapping, file);
  } catch (error) {
    if (request.file !== file) request.file?.put();
    throw error;
  }
}

/** Makes the area, over what was there (mmap_region). */
function mapRegion(space: AddressSpace, { request, pageOffset, start, pages }: Mapping, file: OpenFile | null): void {
  const { kernel, vmas } = space;
  const end = start + pages;
  // As in Linux, what is in the way is cut before limits are looked at, and stays cut if they refuse.
  const first = splitAtBorders(space, start, end, "mmap");
  const replacedAccounted = countPages(space, first, end, VM_ACCOUNT);
  if (!space.mayExpand(request.flags, pages - countPages(space, first, end, 0)))
    throw new SystemError("ENOMEM", "mmap", "RLIMIT_AS or RLIMIT_DATA");
  file?.operations.mmap?.(file, request);
  if ((request.flags & VM_MTE) !== 0 && (request.flags & VM_MTE_ALLOWED) === 0) {
    throw new SystemError("EINVAL", "mmap", "PROT_MTE on a file that has no tags");
  }
  if ((request.flags & (VM_NORESERVE | VM_SHARED | VM_WRITE)) === VM_WRITE) {
    const charge = pages - replacedAccounted;
    if (charge !== 0 && !kernel.commit(charge, space)) throw new SystemError("ENOMEM", "mmap", "overcommit");
    // What the old areas had committed is given back as they are unmapped; it was part of the charge above.
    kernel.committedPages += replacedAccounted;
    request.flags |= VM_ACCOUNT;
  }
  const shared = (request.flags & VM_SHARED) !== 0;
  const reserve = (request.flags & VM_NORESERVE) !== 0 ? "none" : "all";
  const mapped = request.file ?? (shared ? createSharedAnonymous(space, pages, { reserve }) : null);
  unmapRange(space, start, end, "mmap");
  const range = {
    start,
    end,
    flags: request.flags,
    pageOffset,
    anonymous: request.anonymous,
    file: mapped,
    cleanPage: request.cleanPage,
    anonVma: 0,
    copiedFrom: -1,
  };
  if (mergeNewRange(space, range) === -1) {
    vmas.insert(range);
    holdFile(space, mapped, !request.anonymous);
  }
  // An object made for this mapping, shared memory's or an extension's: the area holds it now.
  if (file === null && mapped !== null) mapped.put();
  space.account(request.flags, pages);
  if ((request.flags & VM_LOCKED) !== 0) space.lockedPages += pages;
  space.homes?.mapped(start, end, request.cleanPage);
}

/** Pages of the areas from `first` on that lie before `end` and have all of `flags`. Areas are cut at `end`; −1: there are none. */
function countPages({ vmas }: AddressSpace, first: AreaId, end: PageNumber, flags: AreaFlags): PageCount {
  let pages = 0;
  for (let id = first; id !== -1 && vmas.startPage[id] < end; id = vmas.next(id)) {
    if ((vmas.flags[id] & flags) === flags) pages += vmas.endPage[id] - vmas.startPage[id];
  }
  return pages;
}
