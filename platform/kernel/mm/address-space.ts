// One address space (Linux's mm_struct): its areas, its page table and the counts that limits and procfs read.
// The calls that change it each have a file of their own; this one holds the state and its accounting.

import type { Counters } from "../../hardware/counters.ts";
import type { Address, ByteCount, FrameNumber, PageCount, PageNumber } from "../../hardware/integers.ts";
import { ADDRESS_LIMIT, PAGE_SIZE } from "../../hardware/layout.ts";
import type { Machine } from "../../hardware/machine.ts";
import type { Memory } from "../../hardware/memory.ts";
import { outline } from "../../hardware/outline.ts";
import type { PageTable } from "../../hardware/page-table.ts";
import { keepClass } from "../../state/kept.ts";
import { SystemError } from "../abi/errors.ts";
import { type ResourceLimits, RLIMIT_AS, RLIMIT_DATA, RLIMIT_MEMLOCK } from "../abi/rlimit.ts";
import type { MemoryCgroup } from "./cgroup.ts";
import type { FileOperations, OpenFile } from "./file.ts";
import { FirstStores } from "./first-stores.ts";
import type { CleanPage, FrameAllocator, HugeCleanPage } from "./frames.ts";
import type { HugePageSettings, ThpDisable } from "./huge-settings.ts";
import type { Inode } from "./inode.ts";
import type { OldPages } from "./old-pages.ts";
import type { OvercommitMode } from "./overcommit.ts";
import { isDataMapping, VM_LOCKED } from "./vm-flags.ts";
import { VmaTable } from "./vma.ts";

/** TASK_SIZE: the end of user addresses, in pages. */
export const TASK_SIZE_PAGES = ADDRESS_LIMIT / PAGE_SIZE;
/**
 * The end of user addresses of x86-64 with four levels, in pages. Lengths are checked against this, as Linux does, so that a
 * length too long for this machine's 38 bits, but not for that one's 47, is refused (or not) as there.
 */
export const ARCHITECTURE_TASK_SIZE_PAGES = 2 ** 35 - 1;
/** No address below this is mapped (vm.mmap_min_addr is 64 KiB), but by kernels with home frames. */
export const MMAP_MIN_PAGE = 16;
/** Kernel-chosen mappings are placed downwards from here; 4 MiB above it are left for stacks. */
export const MMAP_BASE_PAGE = TASK_SIZE_PAGES - 1024;

/** Whether [address, address + length) lies in user space (access_ok). */
export function accessOk(address: Address, length: ByteCount): boolean {
  return address >= 0 && address + length <= ADDRESS_LIMIT;
}

/** What the memory of a process needs of the kernel around it; Kernel is the one. */
export interface KernelServices {
  readonly machine: Machine;
  readonly counters: Counters;
  readonly frames: FrameAllocator;
  /** vm.max_map_count. */
  readonly maxMapCount: number;
  /** vm.mmap_min_addr, in pages. */
  readonly mmapMinPage: number;
  readonly overcommit: OvercommitMode;
  readonly capabilities: { readonly ipcLock: boolean };
  /** Pages that areas with VM_ACCOUNT promise (vm_committed_as). */
  committedPages: number;
  /** Asked for a missing page of an area with a userfaultfd before it is made; answers whether it supplied it. */
  readonly missingPage: ((space: AddressSpace, page: PageNumber) => boolean) | null;
  commit(pages: PageCount, space: AddressSpace): boolean;
  uncommit(pages: PageCount): void;
  openFile(operations: FileOperations, inode: Inode | null, flags: number, syscall?: string): OpenFile;
  nextInodeNumber(): number;
  nextAnonVma(): number;
  nextSpaceId(): number;
  readonly hugePages: HugePageSettings;
  readonly hugeZeroPage: HugeCleanPage;
}

/** Whom a fault is counted to: the process that runs, not always the one whose memory it is. */
export interface FaultAccount {
  /** Faults resolved for it without reading a disk (ru_minflt). */
  minorFaults: number;
}

/** The thread that makes a call, as far as copies between its memory and the kernel need it (uaccess.ts). */
export interface Caller {
  /** The word of PR_SET_TAGGED_ADDR_CTRL: whether its pointers may have tags. */
  readonly taggedAddressControl: number;
  /** Its load/store unit, whose tag checks the copies follow. */
  readonly memory: Memory;
  /** Whose faults are counted, and whose address space it is. */
  readonly process: FaultAccount & {
    /** What the process has mapped. */
    readonly addressSpace: AddressSpace;
  };
}

/**
 * Keeps the bytes of pages whose frames are at home (FrameAllocator.homeFrames): what a page reads before any store is there
 * already when it is first touched. Ranges are in pages.
 */
export interface HomeKeeper {
  /** [start, end) was mapped, and reads as `clean` from now on. */
  mapped(start: PageNumber, end: PageNumber, clean: CleanPage): void;
  /** The entries of [start, end) are about to go, and their bytes with them: the pages read as `clean` from then on. */
  emptied(start: PageNumber, end: PageNumber, clean: CleanPage): void;
  /** The permissions of entries in [start, end) changed. */
  changed(start: PageNumber, end: PageNumber): void;
}

/** Marks of bytes that belong to addresses, for pages that have no frame yet whose bits could carry them. */
export interface FreshMarks {
  /** Nothing is marked. */
  readonly isEmpty: boolean;
  has(page: PageNumber): boolean;
  /** An access has given a marked page `frame`. */
  markFresh(page: PageNumber, frame: FrameNumber): void;
  /** The pages of [start, end) were taken away: they begin as their clean pages again. */
  emptied(start: PageNumber, end: PageNumber): void;
  /** [start, end) is no memory any more: nothing is said of what will be there. */
  unmapped(start: PageNumber, end: PageNumber): void;
  /** `pages` pages at `from` are at `to` from now on. */
  moved(from: PageNumber, to: PageNumber, pages: PageCount): void;
  /** The marks of a child, which change apart from these. */
  forked(): FreshMarks;
}

/**
 * Invariants: `totalPages` is the sum of the areas' pages, `dataPages` of the private writable ones, `rssAnonymous` +
 * `rssFile` the page-table entries that are not special. `lockedPages` may drift (MREMAP_DONTUNMAP), as Linux's does.
 */
export class AddressSpace {
  /** What the kernel does for address spaces. */
  readonly kernel: KernelServices;
  /** By this large folios tell who maps them (mm_id); never 0. */
  readonly id: number;
  /** What the hardware sees. */
  pageTable: PageTable;
  /** The areas, by address. */
  readonly vmas = new VmaTable();
  /** The limits of its process. */
  readonly limits: ResourceLimits;
  /** The group that its frames are charged to; null: none. */
  readonly cgroup: MemoryCgroup | null;
  /** Where the commonest fault goes straight. */
  readonly firstStores: FirstStores;
  /** Called with the page when a load, of the program or of the kernel for it, has been given an untouched page's clean page. */
  cleanLoadObserver: ((page: PageNumber) => void) | null = null;

  /** Pages that came by fork; of these, those that are shared still were not stored to. null: none came so. */
  oldPages: OldPages | null = null;
  /** Whose marks untouched private pages get with their first frame. While there are any, no fault maps more than its page. */
  freshMarks: FreshMarks | null = null;

  /** Pages of all areas (total_vm). */
  totalPages = 0;
  /** Pages of private writable areas (data_vm). */
  dataPages = 0;
  /** Pages of areas that grow (stack_vm). */
  stackPages = 0;
  /** Pages of executable areas that are not written (exec_vm). */
  execPages = 0;
  /** Pages of locked areas (locked_vm). */
  lockedPages = 0;
  /** Pages resident now: private anonymous, and of files or shared memory. */
  rssAnonymous = 0;
  /** Resident pages of files. */
  rssFile = 0;
  /** The largest RSS there was (VmHWM), in pages, as seen when pages are given up and when it is asked for. */
  peakRss = 0;
  /** The largest `totalPages` (hiwater_vm). */
  peakTotal = 0;
  /** Flags that every new area gets (mlockall MCL_FUTURE). */
  defaultFlags = 0;
  /** Lowest page that the last search for a gap reached, and the widest gap above it (unmapped-area.ts). */
  gapCeiling = MMAP_BASE_PAGE;
  /** The widest gap above `gapCeiling`, in pages. */
  gapLargest = 0;
  /** Kernel-chosen mappings are placed downwards from here. */
  mmapBase = MMAP_BASE_PAGE;
  /** Of a process whose pages are at home; it cannot fork or move mappings. */
  homes: HomeKeeper | null = null;
  /** Called when everything was unmapped: at exit, and at execve. They make no system calls. */
  readonly endObservers = new Set<() => void>();
  /** What prctl(PR_SET_THP_DISABLE) asked for. */
  thpDisable: ThpDisable = "no";
  /** Where the heap of brk begins. */
  startBrk = 0;
  /** Where the heap of brk ends. */
  brk = 0;

  constructor(kernel: KernelServices, limits: ResourceLimits, cgroup: MemoryCgroup | null) {
    this.kernel = kernel;
    this.id = kernel.nextSpaceId();
    this.limits = limits;
    this.cgroup = cgroup;
    this.pageTable = kernel.machine.takePageTable();
    this.firstStores = new FirstStores(this);
  }

  /** All resident pages. */
  get rssPages(): number {
    return this.rssAnonymous + this.rssFile;
  }

  /** Brings VmHWM up to date; called before RSS falls. */
  noteRss(): void {
    if (this.rssPages > this.peakRss) this.peakRss = this.rssPages;
  }

  /** Whether `pages` more of an area with `flags` fit RLIMIT_AS and RLIMIT_DATA (may_expand_vm). */
  mayExpand(flags: number, pages: PageCount): boolean {
    if ((this.totalPages + pages) * PAGE_SIZE > this.limits.soft(RLIMIT_AS)) return false;
    if (isDataMapping(flags) && (this.dataPages + pages) * PAGE_SIZE > this.limits.soft(RLIMIT_DATA)) return false;
    return true;
  }

  /** Whether `pages` more may be locked, if the area is to be (mlock_future_ok). */
  mayLock(flags: number, pages: PageCount): boolean {
    if ((flags & VM_LOCKED) === 0 || this.kernel.capabilities.ipcLock) return true;
    return this.lockedPages + pages <= Math.floor(this.limits.soft(RLIMIT_MEMLOCK) / PAGE_SIZE);
  }

  /** Whether the process may lock anything at all (can_do_mlock). */
  get canLock(): boolean {
    return this.limits.soft(RLIMIT_MEMLOCK) !== 0 || this.kernel.capabilities.ipcLock;
  }

  /** Counts `pages` of an area with `flags` in or, if negative, out (vm_stat_account). */
  account(flags: number, pages: PageCount): void {
    this.totalPages += pages;
    if (this.totalPages > this.peakTotal) this.peakTotal = this.totalPages;
    if (isDataMapping(flags)) this.dataPages += pages;
    else if ((flags & 0x100) !== 0) this.stackPages += pages;
    else if ((flags & 0x6) === 0x4) this.execPages += pages;
  }

  /** @throws SystemError ENOMEM: one more area would pass max_map_count. */
  requireRoomForArea(syscall: string, areas = 1): void {
    if (this.vmas.count + areas > this.kernel.maxMapCount) {
      throw new SystemError("ENOMEM", syscall, `more than ${this.kernel.maxMapCount} mappings`);
    }
  }
}

outline(AddressSpace, ({ totalPages, rssPages }) => ({ totalPages, rssPages }));

keepClass("AddressSpace", AddressSpace);
