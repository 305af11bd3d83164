// refpage_create itself: from a user's page or pattern to a file descriptor (R1, R2). On every failure nothing stays allocated.
// What the content then means for faults is content.ts.

import type { Address, ByteCount, FrameNumber } from "../platform/hardware/integers.ts";
import { ACCESS_LOAD, GRANULE_SHIFT, GRANULE_SIZE, OFFSET_MASK, PAGE_SIZE } from "../platform/hardware/layout.ts";
import { copyBits, findUndefined } from "../platform/hardware/validity.ts";
import { untagged, word } from "../platform/kernel/abi/arguments.ts";
import { SystemError } from "../platform/kernel/abi/errors.ts";
import { accessOk } from "../platform/kernel/mm/address-space.ts";
import { O_RDONLY } from "../platform/kernel/mm/file.ts";
import { NO_FRAME, ZERO_FRAME, zeroPage } from "../platform/kernel/mm/frames.ts";
import { lookupFrame, NO_MEMORY } from "../platform/kernel/mm/gup.ts";
import type { Thread } from "../platform/kernel/thread.ts";
import { keepMaker } from "../platform/state/kept.ts";
import { type Content, declaredContent, deduceContent } from "./content.ts";
import { type ReferencePage, referencePageFile } from "./file.ts";
import type { ReferencePageStore } from "./store.ts";

/**
 * refpage_create(content, flags), as in v4: copies data and tags of the page at `content` once.
 * @returns a read-only, close-on-exec descriptor.
 * @throws SystemError EINVAL: flags not 0. EFAULT: content not page-aligned or not readable. ENOMEM: no frame. EMFILE, ENFILE:
 * no descriptor, no file. @see R1
 */
export function createFromPage(store: ReferencePageStore, thread: Thread, content: Address, flags: number): number {
  const syscall = "refpage_create";
  if (word(flags, "flags", syscall) !== 0) throw new SystemError("EINVAL", syscall, `flags ${flags}`);
  const address = untagged(word(content, "content", syscall));
  if (address % PAGE_SIZE !== 0) throw new SystemError("EFAULT", syscall, "content is not page-aligned");
  const { kernel } = store;
  const source = sourceFrame(thread, address, syscall);
  // The program's page must not go away between here and the copy, as under memory pressure it could.
  kernel.frames.get(source);
  try {
    const frame = allocateFrame(store, thread, syscall);
    const { ram } = kernel.machine;
    ram.copyFrame(frame, source);
    ram.copyTags(frame, source);
    ram.copyValidity(frame, source);
    return openPage(store, thread, { frame, content: deduceContent(ram, frame), abi: 1 }, syscall);
  } finally {
    kernel.frames.put(source);
  }
}

/**
 * refpage_create(content, size, flags), as the thread agreed: repeats the `size` bytes at `content` over the page. With a
 * size of 16 bytes or more the content's tags come along, granule by granule.
 * @throws SystemError EINVAL: flags not 0, size not a power of two from 1 to the page size. EFAULT: content not aligned to size,
 * or not readable. ENOMEM, EMFILE, ENFILE as above. @see R2
 */
export function createFromPattern(
  store: ReferencePageStore,
  thread: Thread,
  content: Address,
  size: ByteCount,
  flags: number,
): number {
  const syscall = "refpage_create2";
  if (word(flags, "flags", syscall) !== 0) throw new SystemError("EINVAL", syscall, `flags ${flags}`);
  const bytes = word(size, "size", syscall);
  if (bytes < 1 || bytes > PAGE_SIZE || (bytes & (bytes - 1)) !== 0)
    throw new SystemError("EINVAL", syscall, `size ${size}`);
  const address = untagged(word(content, "content", syscall));
  if (address % bytes !== 0) throw new SystemError("EFAULT", syscall, "content is not aligned to size");
  const { kernel } = store;
  const { ram } = kernel.machine;
  const source = sourceFrame(thread, address - (address % PAGE_SIZE), syscall);
  kernel.frames.get(source);
  try {
    const frame = allocateFrame(store, thread, syscall);
    // Taken by page and not by pointer, as in v4: granules of the content may have any tags (R10).
    const from = ram.positionOf(source) + (address & OFFSET_MASK);
    ram.bankOf(frame).set(ram.bankOf(source).subarray(from, from + bytes), ram.positionOf(frame));
    ram.replicate(frame, bytes);
    replicateTags(store, source, frame, address & OFFSET_MASK, bytes);
    replicateValidity(store, source, frame, address & OFFSET_MASK, bytes);
    return openPage(store, thread, { frame, content: declaredContent(ram, frame, bytes), abi: 2 }, syscall);
  } finally {
    kernel.frames.put(source);
  }
}

/** The frame behind the content, as get_user_pages finds it (R10): a clean page counts as what it reads as. */
function sourceFrame(thread: Thread, address: Address, syscall: string): number {
  const { process } = thread;
  const frame = accessOk(address, PAGE_SIZE)
    ? lookupFrame(process.addressSpace, process, address / PAGE_SIZE, ACCESS_LOAD)
    : NO_FRAME;
  if (frame === NO_MEMORY) throw new SystemError("ENOMEM", syscall, "no frame for the content");
  if (frame === NO_FRAME) throw new SystemError("EFAULT", syscall, "content is not readable");
  return frame;
}

/** A frame charged to the caller's cgroup (R11), zeroed as the allocator gives it. */
function allocateFrame({ kernel }: ReferencePageStore, thread: Thread, syscall: string): number {
  const frame = kernel.frames.allocate(zeroPage, thread.process.addressSpace.cgroup);
  if (frame === NO_FRAME) throw new SystemError("ENOMEM", syscall, "no frame for the reference page");
  return frame;
}

/** Gives each granule of the page the tag of the content's granule that it repeats; below one granule there are none to take. */
function replicateTags(
  { kernel }: ReferencePageStore,
  source: FrameNumber,
  frame: FrameNumber,
  offset: number,
  size: ByteCount,
): void {
  if (size < GRANULE_SIZE || source === ZERO_FRAME) return;
  const { ram } = kernel.machine;
  const period = size >> GRANULE_SHIFT;
  const first = offset >> GRANULE_SHIFT;
  for (let granule = 0; granule < PAGE_SIZE / GRANULE_SIZE; granule++) {
    ram.setTag(frame, granule, ram.getTag(source, first + (granule % period)));
  }
}

/** Undefined bytes of the content are undefined wherever they are repeated: the call copies them, it does not use them. */
function replicateValidity(
  { kernel }: ReferencePageStore,
  source: FrameNumber,
  frame: FrameNumber,
  offset: number,
  size: ByteCount,
): void {
  const { ram } = kernel.machine;
  if (findUndefined(ram, source * PAGE_SIZE + offset, size) < 0) return;
  const start = frame * PAGE_SIZE;
  copyBits(ram, start, source * PAGE_SIZE + offset, size);
  // What is there already is copied behind itself: one by one, the single byte of a pattern took 4096 calls.
  for (let done = size; done < PAGE_SIZE; done *= 2)
    copyBits(ram, start + done, start, Math.min(done, PAGE_SIZE - done));
}

/** The file and its descriptor; gives the frame back if either cannot be had. */
function openPage(
  store: ReferencePageStore,
  thread: Thread,
  { frame, content, abi }: { readonly frame: FrameNumber; readonly content: Content; readonly abi: 1 | 2 },
  syscall: string,
): number {
  const { fds, addressSpace } = thread.process;
  const page = store.adopt(frame, content, abi, addressSpace.cgroup);
  try {
    fds.requireRoom(syscall);
    if (store.kernel.openFiles >= store.kernel.fileMax) throw new SystemError("ENFILE", syscall);
  } catch (error) {
    store.release(page);
    throw error;
  }
  const file = store.kernel.openFile(referencePageFile(page, releaseTo(store)), null, O_RDONLY);
  return fds.install(file, { closeOnExec: true }, syscall);
}

const releaseTo = keepMaker("refpage.releaseTo", (store: ReferencePageStore) => (page: ReferencePage) => {
  store.release(page);
});
