// userfaultfd(2), MISSING mode only (R13): a file through which a handler thread of the program supplies missing pages.
// Optional: a kernel has it after installUserfaultfd(). Handling itself is the program's, see onUserfault.

import type { Address, AreaId, ByteCount, Descriptor, PageNumber } from "../hardware/integers.ts";
import { PAGE_SIZE, PTE_ANON, PTE_PRESENT, PTE_SPECIAL } from "../hardware/layout.ts";
import { keepClass, keepMaker, keepTable } from "../state/kept.ts";
import { untagged } from "./abi/arguments.ts";
import { SystemError } from "./abi/errors.ts";
import type { Kernel } from "./kernel.ts";
import { type AddressSpace, type Caller, TASK_SIZE_PAGES } from "./mm/address-space.ts";
import { type FileOperations, O_CLOEXEC, O_NONBLOCK, O_RDWR, type OpenFile } from "./mm/file.ts";
import { type CleanPage, NO_FRAME, zeroPage } from "./mm/frames.ts";
import { installEntry, makeEntry } from "./mm/pte.ts";
import { VM_DROPPABLE, VM_LOCKED, VM_MAYWRITE, VM_UFFD_MISSING } from "./mm/vm-flags.ts";
import { modifyFlags, prepareAnonVma } from "./mm/vma-merge.ts";
import type { Process } from "./process.ts";
import type { SystemCall } from "./syscall-table.ts";
import type { Thread } from "./thread.ts";
import { copyFromUser, copyToUser } from "./uaccess.ts";

/** Numbers of the calls and requests on x86-64 (include/uapi/linux/userfaultfd.h). */
const SYS_USERFAULTFD = 323;
export const UFFD_API = 0xaa;
export const UFFD_USER_MODE_ONLY = 1;
export const UFFD_FEATURE_EVENT_FORK = 1 << 1;
export const UFFDIO_API = 0xc018aa3f;
export const UFFDIO_REGISTER = 0xc020aa00;
export const UFFDIO_UNREGISTER = 0x8010aa01;
export const UFFDIO_COPY = 0xc028aa03;
export const UFFDIO_ZEROPAGE = 0xc020aa04;
export const UFFDIO_REGISTER_MODE_MISSING = 1;
/** Message: event (1 byte), at 8 the fault's flags, at 16 its address; 32 bytes in all. */
export const UFFD_MESSAGE_BYTES = 32;
export const UFFD_EVENT_PAGEFAULT = 0x12;
/** Registered areas may be resolved by these (bits of _UFFDIO_…): COPY, ZEROPAGE. */
const RANGE_IOCTLS = (1n << 3n) | (1n << 4n);
const API_IOCTLS = (1n << 63n) | 1n | 2n;

/** One userfaultfd: the address space that it watches, and faults that were not read yet. */
class Userfaultfd {
  readonly space: AddressSpace;
  readonly file: OpenFile;
  /** UFFDIO_API was called. */
  isReady = false;
  /** It has, or had, areas registered. */
  isWatching = false;
  readonly pending: number[] = [];
  handler: (() => void) | null = null;

  constructor(space: AddressSpace, openFile: (operations: FileOperations) => OpenFile, module: UserfaultfdModule) {
    this.space = space;
    this.file = openFile(userfaultfdFile(this, module));
  }
}

const userfaultfdFile = keepMaker(
  "userfaultfd.file",
  (uffd: Userfaultfd, module: UserfaultfdModule): FileOperations => ({
    path: "anon_inode:[userfaultfd]",
    seekable: false,
    ioctl: (caller, _file, request, argument) => module.control(uffd, caller, request, argument),
    read: (caller, _file, address, length) => readMessage(uffd, caller, address, length),
    release: () => {
      setMissing(uffd.space, 0, TASK_SIZE_PAGES, 0);
      module.byFile.delete(uffd.file);
    },
  }),
);

/** The userfaultfds of one kernel. */
class UserfaultfdModule {
  readonly byFile = new Map<OpenFile, Userfaultfd>();
  private readonly kernel: Kernel;

  constructor(kernel: Kernel) {
    this.kernel = kernel;
  }

  create(thread: Thread, flags: number): number {
    if ((flags & ~(O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY)) !== 0) {
      throw new SystemError("EINVAL", "userfaultfd", `flags ${flags}`);
    }
    const { process } = thread;
    process.fds.requireRoom("userfaultfd");
    const uffd: Userfaultfd = new Userfaultfd(
      process.addressSpace,
      (operations) => this.kernel.openFile(operations, null, O_RDWR | (flags & O_NONBLOCK)),
      this,
    );
    this.byFile.set(uffd.file, uffd);
    return process.fds.install(uffd.file, { closeOnExec: (flags & O_CLOEXEC) !== 0 }, "userfaultfd");
  }

  /** ioctl(2) of one of its files. */
  control(uffd: Userfaultfd, caller: Caller, request: number, argument: number): number {
    if (request === UFFDIO_API) return handshake(uffd, caller, argument);
    if (!uffd.isReady) throw new SystemError("EINVAL", "ioctl", "UFFDIO_API comes first");
    if (request === UFFDIO_REGISTER) {
      // One watcher an address space is enough here; Linux allows one an area.
      const others = [...this.byFile.values()].filter((other) => other !== uffd && other.space === uffd.space);
      if (others.some((other) => other.isWatching)) throw new SystemError("EBUSY", "ioctl", "another userfaultfd");
      return register(uffd, caller, argument);
    }
    if (request === UFFDIO_UNREGISTER) return unregister(uffd, caller, argument);
    if (request === UFFDIO_COPY) return copyPages(uffd, caller, argument);
    if (request === UFFDIO_ZEROPAGE) return zeroPages(uffd, caller, argument);
    throw new SystemError("EINVAL", "ioctl", `request 0x${request.toString(16)}`);
  }

  /** The faulting thread waits; the handler thread runs. @returns whether the page is there now. */
  missing(space: AddressSpace, page: PageNumber): boolean {
    for (const uffd of this.byFile.values()) {
      if (uffd.space !== space || !uffd.isWatching) continue;
      uffd.pending.push(page);
      uffd.handler?.();
      if ((space.pageTable.entryOf(page) & PTE_PRESENT) !== 0) return true;
      const address = `0x${(page * PAGE_SIZE).toString(16)}`;
      throw new Error(`userfaultfd: no handler supplies the page at ${address}; the thread would sleep for ever`);
    }
    return false;
  }
}

const modules = keepTable("userfaultfd.modules", new WeakMap<Kernel, UserfaultfdModule>());

const userfaultfdCall = keepMaker(
  "userfaultfd.call",
  (module: UserfaultfdModule): SystemCall =>
    (thread, flags = 0) =>
      module.create(thread, flags),
);
const missingPage = keepMaker(
  "userfaultfd.missingPage",
  (module: UserfaultfdModule) => (space: AddressSpace, page: PageNumber) => module.missing(space, page),
);

/** Adds userfaultfd(2) to a kernel; once. Its requests are ioctl(2) of its file. */
export function installUserfaultfd(kernel: Kernel): void {
  const module = new UserfaultfdModule(kernel);
  kernel.extend({
    name: "userfaultfd",
    systemCalls: [{ number: SYS_USERFAULTFD, name: "userfaultfd", call: userfaultfdCall(module) }],
  });
  modules.set(kernel, module);
  kernel.missingPage = missingPage(module);
}

/**
 * What the program's handler thread does when the descriptor becomes readable. There is no scheduler here: at a missing
 * page the handler runs to its end while the faulting thread waits. It should read(2) the message and resolve the fault.
 * @throws SystemError EBADF: not a userfaultfd.
 */
export function onUserfault(process: Process, fd: Descriptor, handler: () => void): void {
  const uffd = modules.get(process.kernel)?.byFile.get(process.fds.get(fd, "read"));
  if (uffd === undefined) throw new SystemError("EBADF", "read", "not a userfaultfd");
  uffd.handler = handler;
}

/** struct uffdio_api: api, features, ioctls. */
function handshake(uffd: Userfaultfd, caller: Caller, argument: number): number {
  const [api, features] = fields(caller, argument, 2);
  if (api !== UFFD_API || uffd.isReady) throw new SystemError("EINVAL", "ioctl", "UFFDIO_API");
  // Commit 3c1c24d91ffd: following a fork takes CAP_SYS_PTRACE, which no program here has.
  if (features === UFFD_FEATURE_EVENT_FORK) throw new SystemError("EPERM", "ioctl", "UFFD_FEATURE_EVENT_FORK");
  if (features !== 0) throw new SystemError("EINVAL", "ioctl", `features ${features}`);
  uffd.isReady = true;
  putField(caller, argument + 16, API_IOCTLS);
  return 0;
}

/** struct uffdio_register: start, length, mode, ioctls. Areas must be private anonymous memory (vma_can_userfault). */
function register(uffd: Userfaultfd, caller: Caller, argument: number): number {
  const [start, length, mode] = fields(caller, argument, 3);
  const [page, endPage] = pageRange(start, length);
  if (mode !== UFFDIO_REGISTER_MODE_MISSING) throw new SystemError("EINVAL", "ioctl", `mode ${mode}`);
  const { space } = uffd;
  const { vmas } = space;
  const ids = areasIn(space, page, endPage);
  if (ids.length === 0) throw new SystemError("EINVAL", "ioctl", "nothing is mapped there");
  for (const id of ids) {
    if ((vmas.flags[id] & VM_MAYWRITE) === 0) throw new SystemError("EPERM", "ioctl", "a read-only file");
    const isPlain =
      (vmas.flags[id] & VM_DROPPABLE) === 0 && vmas.anonymous[id] === 1 && vmas.cleanPages[id] === zeroPage;
    if (!isPlain) throw new SystemError("EINVAL", "ioctl", "not anonymous memory");
  }
  setMissing(space, page, endPage, VM_UFFD_MISSING);
  uffd.isWatching = true;
  putField(caller, argument + 24, RANGE_IOCTLS);
  return 0;
}

/** struct uffdio_range: start, length. */
function unregister(uffd: Userfaultfd, caller: Caller, argument: number): number {
  const [start, length] = fields(caller, argument, 2);
  const [page, endPage] = pageRange(start, length);
  setMissing(uffd.space, page, endPage, 0);
  return 0;
}

/** struct uffdio_copy: destination, source, length, mode, result (bytes copied or a negative errno). */
function copyPages(uffd: Userfaultfd, caller: Caller, argument: number): number {
  const [destination, source, length, mode] = fields(caller, argument, 4);
  const [page, endPage] = pageRange(destination, length);
  if (mode > 1) throw new SystemError("EINVAL", "ioctl", `mode ${mode}`);
  // A read of the source may fault, and its handler come here again: then with another stage.
  const bytes = stage ?? new Uint8Array(PAGE_SIZE);
  stage = null;
  try {
    return supply(uffd, caller, [page, endPage], argument + 32, (id, at) => {
      if (copyFromUser(caller, source + (at - page) * PAGE_SIZE, bytes) < PAGE_SIZE)
        throw new SystemError("EFAULT", "ioctl");
      installPrivate(uffd.space, id, at, pageOf(bytes));
    });
  } finally {
    stage = bytes;
  }
}

/** A page on its way from the source to its frame; null while a copy has it. */
let stage: Uint8Array | null = null;

/** struct uffdio_zeropage: start, length, mode, result. Maps the zero page; a store makes a private one. */
function zeroPages(uffd: Userfaultfd, caller: Caller, argument: number): number {
  const [start, length, mode] = fields(caller, argument, 3);
  const [page, endPage] = pageRange(start, length);
  if (mode > 1) throw new SystemError("EINVAL", "ioctl", `mode ${mode}`);
  const { space } = uffd;
  return supply(uffd, caller, [page, endPage], argument + 24, (id, at) =>
    installEntry(space, at, makeEntry(space, zeroPage.frame, space.vmas.flags[id], PTE_SPECIAL, false)),
  );
}

/**
 * Supplies missing pages one by one; the result field gets the bytes that were.
 * @throws SystemError of the first page if it fails; EAGAIN if a later one does, as Linux.
 */
function supply(
  { space }: Userfaultfd,
  caller: Caller,
  [page, endPage]: readonly [page: PageNumber, endPage: PageNumber],
  resultAddress: Address,
  install: (id: AreaId, page: PageNumber) => void,
): number {
  let at = page;
  try {
    for (; at < endPage; at++) {
      const id = space.vmas.lookup(at);
      const isWatched = id !== -1 && (space.vmas.flags[id] & VM_UFFD_MISSING) !== 0;
      if (!isWatched) throw new SystemError("ENOENT", "ioctl", "not registered");
      if (space.pageTable.entryOf(at) !== 0) throw new SystemError("EEXIST", "ioctl", "the page is there already");
      install(id, at);
    }
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    putField(caller, resultAddress, BigInt(at > page ? (at - page) * PAGE_SIZE : -error.errno));
    if (at > page) throw new SystemError("EAGAIN", "ioctl", "some pages were supplied");
    throw error;
  }
  putField(caller, resultAddress, BigInt((at - page) * PAGE_SIZE));
  return 0;
}

function installPrivate(space: AddressSpace, id: AreaId, page: PageNumber, content: CleanPage): void {
  const { kernel, vmas } = space;
  const frame = kernel.frames.allocate(content, space.cgroup);
  if (frame === NO_FRAME) throw new SystemError("ENOMEM", "ioctl");
  if (vmas.anonVma[id] === 0) prepareAnonVma(space, id);
  kernel.frames.exclusive[frame] = 1;
  installEntry(space, page, makeEntry(space, frame, vmas.flags[id], PTE_ANON, true));
  if ((vmas.flags[id] & VM_LOCKED) !== 0) kernel.frames.batch(frame);
}

/** A frame's first contents: these bytes, tags 0; counted as a copy. */
function pageOf(bytes: Uint8Array): CleanPage {
  return {
    frame: zeroPage.frame,
    initialise(ram, counters, frame) {
      ram.bankOf(frame).set(bytes, ram.positionOf(frame));
      ram.fillTags(frame, 0);
      ram.fillValidity(frame, 0);
      counters.framesCopied++;
      counters.bytesCopied += PAGE_SIZE;
    },
  };
}

/** read(2): one message, or EAGAIN where a real thread would sleep. */
function readMessage(uffd: Userfaultfd, caller: Caller, address: Address, length: ByteCount): number {
  if (!uffd.isReady || length < UFFD_MESSAGE_BYTES) throw new SystemError("EINVAL", "read");
  const page = uffd.pending.shift();
  if (page === undefined) throw new SystemError("EAGAIN", "read");
  const message = new Uint8Array(UFFD_MESSAGE_BYTES);
  message[0] = UFFD_EVENT_PAGEFAULT;
  const view = new DataView(message.buffer);
  view.setUint32(16, page * PAGE_SIZE, true);
  view.setUint32(20, Math.floor((page * PAGE_SIZE) / 2 ** 32), true);
  if (copyToUser(caller, address, message) < UFFD_MESSAGE_BYTES) throw new SystemError("EFAULT", "read");
  return UFFD_MESSAGE_BYTES;
}

/** Sets or clears VM_UFFD_MISSING in all areas of [page, endPage); areas split and merge on the way. */
function setMissing(space: AddressSpace, page: PageNumber, endPage: PageNumber, bit: number): void {
  const { vmas } = space;
  for (let at = page; at < endPage; ) {
    const id = vmas.findIntersection(at, endPage);
    if (id === -1) return;
    const start = Math.max(at, vmas.startPage[id]);
    at = Math.min(endPage, vmas.endPage[id]);
    if ((vmas.flags[id] & VM_UFFD_MISSING) === bit) continue;
    const area = modifyFlags(space, id, start, at, (vmas.flags[id] & ~VM_UFFD_MISSING) | bit, "ioctl");
    vmas.setFlags(area, (vmas.flags[area] & ~VM_UFFD_MISSING) | bit);
  }
}

/** Ids of the areas that meet [page, endPage). */
function areasIn({ vmas }: AddressSpace, page: PageNumber, endPage: PageNumber): number[] {
  const ids: number[] = [];
  let id = vmas.findIntersection(page, endPage);
  while (id !== -1 && vmas.startPage[id] < endPage) {
    ids.push(id);
    id = vmas.next(id);
  }
  return ids;
}

/** @throws SystemError EINVAL: an empty or unaligned range (validate_range). */
function pageRange(start: Address, length: ByteCount): [PageNumber, PageNumber] {
  const plain = untagged(start);
  if (plain % PAGE_SIZE !== 0 || length % PAGE_SIZE !== 0 || length === 0) {
    throw new SystemError("EINVAL", "ioctl", `range ${start}, ${length}`);
  }
  return [plain / PAGE_SIZE, (plain + length) / PAGE_SIZE];
}

/** The first `count` 64-bit fields of a structure in user memory. @throws SystemError EFAULT */
function fields(caller: Caller, address: Address, count: number): number[] {
  const bytes = new Uint8Array(count * 8);
  if (copyFromUser(caller, address, bytes) < bytes.length) throw new SystemError("EFAULT", "ioctl");
  const view = new DataView(bytes.buffer);
  const values: number[] = [];
  for (let at = 0; at < bytes.length; at += 8) {
    values.push(view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true));
  }
  return values;
}

function putField(caller: Caller, address: Address, value: bigint): void {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, BigInt.asIntN(64, value), true);
  if (copyToUser(caller, address, bytes) < bytes.length) throw new SystemError("EFAULT", "ioctl");
}

keepClass("Userfaultfd", Userfaultfd);

keepClass("UserfaultfdModule", UserfaultfdModule);
