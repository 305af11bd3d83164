// The kernel: one machine's frames, processes, files and settings. What each system call does is in the file of the call;
// modules above this floor, and others, add interfaces of their own by extend().

import type { Counters } from "../hardware/counters.ts";
import { type OptionKinds, requireOptions } from "../hardware/given-options.ts";
import type { PageCount, PageNumber } from "../hardware/integers.ts";
import { Machine, type MachineOptions } from "../hardware/machine.ts";
import { hideFields, outline } from "../hardware/outline.ts";
import { xorshift32 } from "../hardware/xorshift.ts";
import { keepClass, keepMaker, keepPlaceOfGiven, keepValue } from "../state/kept.ts";
import { SystemError } from "./abi/errors.ts";
import type { KernelExtension } from "./extension.ts";
import { Extensions, heldFramesOf } from "./extensions.ts";
import { checkKernelInvariants } from "./invariants.ts";
import { type AddressSpace, type KernelServices, MMAP_MIN_PAGE } from "./mm/address-space.ts";
import { type CgroupOptions, MemoryCgroup } from "./mm/cgroup.ts";
import { khugepagedStep } from "./mm/collapse.ts";
import { type FileOperations, OpenFile } from "./mm/file.ts";
import {
  bootFrames,
  type FrameAllocator,
  INITIALISATION_POLICIES,
  type InitialisationPolicy,
  retireFrames,
} from "./mm/frames.ts";
import { HUGE_FRAMES } from "./mm/free-frames.ts";
import { HugeZeroPage } from "./mm/huge-clean.ts";
import { type HugePageOptions, HugePageSettings } from "./mm/huge-settings.ts";
import type { Inode } from "./mm/inode.ts";
import { bootCommitSettings, type CommitSettings, isBelowCommitLimit, type OvercommitMode } from "./mm/overcommit.ts";
import { Process, type ProcessOptions } from "./process.ts";
import { meminfoText } from "./procfs/procfs-meminfo.ts";
import { SystemCallTable } from "./syscall-table.ts";
import type { PreferredTagCheckMode } from "./tagged-address.ts";
import type { Architecture } from "./user-structures.ts";

/** What a kernel is like. */
export interface KernelOptions {
  /** How frames that will be filled are initialised (R8). Default "plumbed". */
  readonly initialisation?: InitialisationPolicy;
  /** vm.overcommit_memory: 0 heuristic, 1 always (Android's setting, and the default here), 2 never. */
  readonly overcommit?: OvercommitMode;
  /** vm.overcommit_ratio in percent, for mode 2. Default 50. */
  readonly overcommitRatio?: number;
  /** vm.max_map_count. Default 65530. */
  readonly maxMapCount?: number;
  /** fs.file-max: open files in the whole system. Default 65536. */
  readonly fileMax?: number;
  /** Monotonic time in nanoseconds. Default the host's clock; give one of your own for results that repeat. */
  readonly clock?: () => number;
  /** Seed of the kernel's randomness (getrandom, tags). Default 1. */
  readonly seed?: number;
  /** Whose numbers and structures system calls by number have. Default "x86-64". */
  readonly syscalls?: Architecture;
  /** Transparent huge pages: which areas may have them, and in which sizes. Default: 2 MiB, for areas with MADV_HUGEPAGE. */
  readonly hugePages?: HugePageOptions;
  /** Whether processes may lock memory without limit (CAP_IPC_LOCK). Default false. */
  readonly ipcLock?: boolean;
  /**
   * Pages below this have the frame of the same number, in the one process that then may use them (FrameAllocator). Fewer than
   * the machine's frames; 0, the default: any page has any frame.
   */
  readonly homeFrames?: number;
}

/** What one step of khugepaged may do. */
export interface KhugepagedOptions {
  /** Blocks at most. Default 8: 4096 pages, what Linux scans before it sleeps (pages_to_scan). */
  readonly limit?: number;
  /** Private pages that a block must have. Default 1. */
  readonly smallestPages?: number;
}

const NANOSECONDS_PER_MILLISECOND = 1e6;

const hostClock = keepValue("kernel.hostClock", () => performance.now() * NANOSECONDS_PER_MILLISECOND);
const givenClock = keepPlaceOfGiven<() => number>("kernel.clock", hostClock);
const holdersOfHugeZeroPage = keepMaker("kernel.holdersOfHugeZeroPage", (page: HugeZeroPage) => () => page.holder());
const closedIn = keepMaker("kernel.closedIn", (kernel: Kernel) => () => {
  kernel.openFiles--;
});

/** The options of {@link KernelOptions}, by type. */
export const KERNEL_OPTIONS: OptionKinds = {
  initialisation: "any",
  overcommit: "any",
  overcommitRatio: "any",
  maxMapCount: "any",
  fileMax: "any",
  clock: "function",
  seed: "number",
  syscalls: "any",
  hugePages: "object",
  ipcLock: "boolean",
  homeFrames: "any",
};

/** Frames, processes, files and system calls on a machine. {@link createKernel} makes one that has reference pages. */
export class Kernel implements KernelServices {
  /** The machine it runs on. */
  readonly machine: Machine;
  /** The machine's counters. */
  readonly counters: Counters;
  /** Which frames are free, and who has the others. */
  readonly frames: FrameAllocator;
  /** Settings of transparent huge pages; they may be changed while programs run. */
  readonly hugePages: HugePageSettings;
  /** The page of 2 MiB that reads as zeroes. */
  readonly hugeZeroPage: HugeZeroPage;
  /** Processes that have not been waited for, by number. */
  readonly processes = new Map<number, Process>();
  readonly maxMapCount: number;
  readonly mmapMinPage: number;
  /** Files that may be open together. */
  readonly fileMax: number;
  /** How much memory may be promised (vm.overcommit_memory). */
  readonly overcommit: OvercommitMode;
  /** What the promise of memory is held against. */
  readonly commitSettings: CommitSettings;
  /** What its processes may do that needs a privilege. */
  readonly capabilities: {
    /** Whether memory may be locked beyond RLIMIT_MEMLOCK. */
    readonly ipcLock: boolean;
  };
  /** Whose structures and system-call numbers it has. */
  readonly architecture: Architecture;
  /** Which system calls there are, by number and by name. */
  readonly systemCalls: SystemCallTable;
  /** What was added to Linux's interfaces. */
  readonly extensions: Extensions;
  /** What the CPU does for threads that ask for both tag-check modes (sysfs mte_tcf_preferred). */
  preferredTagCheckMode: PreferredTagCheckMode = "async";
  /** Pages that areas with VM_ACCOUNT promise (vm_committed_as). */
  committedPages = 0;
  /** Open file descriptions in the system. */
  openFiles = 0;
  /** For checkInvariants: what the kernel and its extensions hold beside page tables and page caches, one frame number for each reference. */
  readonly frameHolders: (() => Iterable<number>)[] = [];
  /** Asked for a missing page of an area with a userfaultfd before it is made, answers whether it supplied it; set by that module. */
  missingPage: ((space: AddressSpace, page: PageNumber) => boolean) | null = null;
  private readonly clock: () => number;
  private randomState: number;
  private lastPid = 0;
  private lastInode = 0;
  private lastAnonVma = 0;
  private lastSpaceId = 0;

  /** @throws RangeError for an option outside its range. */
  constructor(machine: Machine | MachineOptions = {}, options: KernelOptions = {}) {
    requireOptions("Kernel", options, KERNEL_OPTIONS);
    const {
      initialisation = "plumbed",
      overcommit = 1,
      overcommitRatio = 50,
      maxMapCount = 65530,
      fileMax = 65536,
      syscalls = "x86-64",
      homeFrames = 0,
    } = options;
    if (!INITIALISATION_POLICIES.includes(initialisation)) {
      throw new RangeError(`initialisation: "${initialisation}" is not one of ${INITIALISATION_POLICIES.join(", ")}`);
    }
    if (![0, 1, 2].includes(overcommit)) throw new RangeError(`overcommit: ${overcommit} is not one of 0, 1, 2`);
    if (syscalls !== "x86-64" && syscalls !== "arm64") {
      throw new RangeError(`syscalls: "${String(syscalls)}" is not one of x86-64, arm64`);
    }
    for (const [name, value] of Object.entries({ maxMapCount, fileMax, overcommitRatio, homeFrames })) {
      if (!Number.isSafeInteger(value) || value < 0)
        throw new RangeError(`${name}: ${value} is not a whole number from 0`);
    }
    this.machine = machine instanceof Machine ? machine : new Machine(machine);
    if (homeFrames >= this.machine.frameCount)
      throw new RangeError(`homeFrames: ${homeFrames} leaves none of ${this.machine.frameCount} frames to the kernel`);
    this.counters = this.machine.counters;
    this.frames = bootFrames(this.machine, initialisation, homeFrames);
    this.hugePages = new HugePageSettings(options.hugePages);
    this.hugeZeroPage = new HugeZeroPage(this.frames);
    this.frameHolders.push(holdersOfHugeZeroPage(this.hugeZeroPage));
    this.architecture = syscalls;
    this.systemCalls = new SystemCallTable(syscalls);
    this.extensions = new Extensions(this.systemCalls);
    this.overcommit = overcommit;
    this.commitSettings = bootCommitSettings(this.machine.frameCount, overcommitRatio);
    this.maxMapCount = maxMapCount;
    this.mmapMinPage = homeFrames > 0 ? 0 : MMAP_MIN_PAGE;
    this.fileMax = fileMax;
    this.capabilities = { ipcLock: options.ipcLock ?? false };
    this.clock = givenClock(options.clock ?? hostClock);
    this.randomState = (options.seed ?? 1) | 0 || 1;
    this.machine.residents.add(this);
    hideFields(this);
  }

  /** The kernel that runs on a machine, or null: of a machine that was restored from a snapshot, for one. */
  static on(machine: Machine): Kernel | null {
    for (const resident of machine.residents) if (resident instanceof Kernel) return resident;
    return null;
  }

  /** A process with an empty address space and descriptors 0, 1 and 2 open. */
  createProcess(options: ProcessOptions = {}): Process {
    requireOptions("createProcess", options, { name: "string", cgroup: "object" });
    const process = new Process(this, this.nextPid(), options);
    this.processes.set(process.pid, process);
    return process;
  }

  /**
   * Ends every process and makes the machine as new: RAM reads zero, counters are 0. Another kernel may be made on it then,
   * for less than a new machine costs; this one must not be used any more.
   */
  shutDown(): void {
    for (const process of [...this.processes.values()]) process.exit(0);
    const { everUsed } = this.frames;
    retireFrames(this.machine, this.frames);
    this.machine.reset(everUsed);
  }

  /** A group whose processes may use so much memory together. */
  createCgroup(options: CgroupOptions): MemoryCgroup {
    requireOptions("createCgroup", options, { name: "string", limitBytes: "any" });
    const cgroup = new MemoryCgroup(this.frames.cgroups.length, options);
    this.frames.cgroups.push(cgroup);
    return cgroup;
  }

  /**
   * Adds an interface to the kernel, as a module does: system calls, flags of mmap, advice of madvise. Reference pages come this way.
   * @throws ExtensionError taken: a number, name or bit is Linux's or another extension's. malformed: it is not what its type says.
   * Nothing of it is there then.
   */
  extend(extension: KernelExtension): void {
    this.extensions.add(extension);
    const { name, heldFrames } = extension;
    if (heldFrames !== undefined) this.frameHolders.push(heldFramesOf(name, heldFrames, this.machine.frameCount));
  }

  /** Whole nanoseconds, as clock_gettime(2) has them. @throws TypeError: the clock that was given returned no number (a BigInt, for one) */
  monotonicNanoseconds(): number {
    const time = this.clock();
    if (!Number.isFinite(time)) throw new TypeError(`clock: ${String(time)} is not a number of nanoseconds`);
    return Math.floor(time);
  }

  /** 32 random bits from the kernel's seeded generator (xorshift32). */
  random(): number {
    this.randomState = xorshift32(this.randomState) | 0;
    return this.randomState >>> 0;
  }

  /** An open file with one reference, for `syscall`. @throws SystemError ENFILE: the system has fileMax open files. */
  openFile(operations: FileOperations, inode: Inode | null, flags: number, syscall = "open"): OpenFile {
    if (this.openFiles >= this.fileMax) {
      inode?.put();
      throw new SystemError("ENFILE", syscall, `the system has ${this.fileMax} open files`);
    }
    this.openFiles++;
    return new OpenFile(operations, inode, flags, closedIn(this));
  }

  /**
   * Promises `pages` to an area of `space`, by the overcommit mode; fewer than 0 take a promise back, and mode 2 looks at the sum
   * even then. @returns whether it may be; nothing is promised if not.
   */
  commit(pages: PageCount, space: AddressSpace): boolean {
    if (this.overcommit === 0 && pages > this.machine.frameCount) return false;
    const committed = this.committedPages + pages;
    if (this.overcommit === 2 && !isBelowCommitLimit(this.commitSettings, committed, space.totalPages)) return false;
    this.committedPages = committed;
    return true;
  }

  /** Takes back what `commit` promised. */
  uncommit(pages: PageCount): void {
    this.committedPages -= pages;
  }

  /** A number for a new process or thread. */
  nextPid(): number {
    return ++this.lastPid;
  }

  /** A number for a new file. */
  nextInodeNumber(): number {
    return ++this.lastInode;
  }

  /**
   * One step of khugepaged, which does not run by itself here: collapses up to `limit` blocks of the process's memory that small
   * pages map, where the settings allow huge pages, and that hold at least `smallestPages` private pages (512 − max_ptes_none;
   * Linux's default is 1). @returns how many became huge.
   * @throws RangeError: `limit` is no whole number of blocks, or `smallestPages` not 1 to 512.
   */
  khugepaged(process: Process, options: KhugepagedOptions = {}): number {
    requireOptions("khugepaged", options, { limit: "number", smallestPages: "number" });
    const { limit = 8, smallestPages = 1 } = options;
    if (!Number.isSafeInteger(limit) || limit < 0)
      throw new RangeError(`khugepaged: limit ${limit} is not a whole number of blocks`);
    if (!Number.isInteger(smallestPages) || smallestPages < 1 || smallestPages > HUGE_FRAMES)
      throw new RangeError(`khugepaged: smallestPages ${smallestPages} is not a whole number from 1 to ${HUGE_FRAMES}`);
    return khugepagedStep(process.addressSpace, smallestPages, limit);
  }

  /** A number for a new address space. */
  nextSpaceId(): number {
    return ++this.lastSpaceId;
  }

  /** A number for what private pages of related areas have in common. */
  nextAnonVma(): number {
    return ++this.lastAnonVma;
  }

  /** The text of /proc/meminfo, as far as the machine has what Linux counts there: memory of all processes, each frame once. */
  meminfo(): string {
    return meminfoText(this);
  }

  /**
   * Checks all that must hold between areas, page tables, frames and counts.
   * @throws Error naming the rule that is broken and the numbers.
   */
  checkInvariants(): void {
    checkKernelInvariants(this);
  }
}

outline(Kernel, ({ processes }) => ({ processes: processes.size }));

keepClass("Kernel", Kernel);
