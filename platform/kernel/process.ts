// A process: its address space, descriptors and threads, and the system calls as its program makes them, by Linux's names;
// those on descriptors are file-calls.ts. Each only enters, checks its arguments and hands over to the file of the call.

import type { Address, ByteCount, Descriptor, FileOffset, ProcessId } from "../hardware/integers.ts";
import { PAGE_SIZE } from "../hardware/layout.ts";
import type { Memory } from "../hardware/memory.ts";
import { outline } from "../hardware/outline.ts";
import { keepClass } from "../state/kept.ts";
import { int, list, named, structure, text, untagged, word } from "./abi/arguments.ts";
import { SystemError } from "./abi/errors.ts";
import { MAP_ANONYMOUS } from "./abi/mman.ts";
import { type Limit, ResourceLimits } from "./abi/rlimit.ts";
import { systemCalls as calls } from "./abi/system-calls.ts";
import { enter } from "./enter.ts";
import { execve } from "./exec.ts";
import { adviceExtension, mmapExtension } from "./extension-hooks.ts";
import { FdTable } from "./fd-table.ts";
import { FileCalls } from "./file-calls.ts";
import type { Kernel } from "./kernel.ts";
import { AddressSpace } from "./mm/address-space.ts";
import { brk, INITIAL_BRK } from "./mm/brk.ts";
import type { MemoryCgroup } from "./mm/cgroup.ts";
import { exitMmap } from "./mm/exit-mmap.ts";
import { forkAddressSpace } from "./mm/fork.ts";
import { type PinnedPages, pinUserPages } from "./mm/gup.ts";
import { madvise } from "./mm/madvise.ts";
import { mlock, mlockall, munlock, munlockall } from "./mm/mlock.ts";
import { mmap } from "./mm/mmap.ts";
import { mprotect } from "./mm/mprotect.ts";
import { mremap } from "./mm/mremap.ts";
import { munmap } from "./mm/munmap.ts";
import { mincore, msync } from "./mm/residency.ts";
import { prctl } from "./prctl.ts";
import { type IoVector, processVmCall } from "./process-vm.ts";
import { type ProcFile, procFile } from "./procfs/procfs.ts";
import { pagemap } from "./procfs/procfs-pagemap.ts";
import { ptraceTags, type TagVector } from "./ptrace-tags.ts";
import { changeSignalMask, kill, SignalActions, type SignalDisposition } from "./signals.ts";
import { openTerminal } from "./terminal.ts";
import { Thread } from "./thread.ts";
import { definePinned } from "./user-validity.ts";

/** What a process is like. */
export interface ProcessOptions {
  /** Name in /proc/PID/status. Default "program". */
  readonly name?: string;
  /** The group that its memory counts for; absent: the parent's, or none. */
  readonly cgroup?: MemoryCgroup;
}

/** What a parent learns of a child that has ended. */
export interface EndedChild {
  readonly pid: ProcessId;
  /** What it gave to exit; see `signal`. */
  readonly status: number;
  /** The signal that ended it, if one did. */
  readonly signal: number | null;
  /** Its largest resident set (ru_maxrss), in KiB, and its page faults (ru_minflt). */
  readonly maxRssKib: number;
  readonly minorFaults: number;
}

/** A process: an address space, descriptors, threads, and the system calls by their names. */
export class Process extends FileCalls {
  /** Its number, from 1. */
  readonly pid: ProcessId;
  /** Who made it; null for the first. */
  readonly parent: Process | null;
  /** The kernel that it runs on. */
  readonly kernel: Kernel;
  /** Its name, for messages and procfs. */
  readonly name: string;
  /** What is mapped. */
  readonly addressSpace: AddressSpace;
  /** Its open files, by descriptor. */
  readonly fds: FdTable;
  /** The thread that it began with. */
  readonly mainThread: Thread;
  /** All its threads. */
  readonly threads: Thread[] = [];
  /** The thread that makes system calls now. */
  currentThread: Thread;
  /** Faults resolved for this process (ru_minflt): its own, and those the kernel took for it. */
  minorFaults = 0;
  /** What it ended with, as wait4 has it; null while it runs. */
  exitStatus: number | null = null;
  /** The signal that ended the process, if one did. */
  exitSignal: number | null = null;
  /** What signals do. */
  readonly signalActions: SignalActions;
  private readonly children = new Set<Process>();

  /** Use Kernel.createProcess or fork. */
  constructor(
    kernel: Kernel,
    pid: ProcessId,
    options: ProcessOptions,
    parent: Process | null = null,
    space?: AddressSpace,
  ) {
    super();
    this.kernel = kernel;
    this.pid = pid;
    this.parent = parent;
    this.name = options.name ?? "program";
    this.addressSpace = space ?? new AddressSpace(kernel, new ResourceLimits(), options.cgroup ?? null);
    this.signalActions = new SignalActions(parent?.signalActions);
    const { limits } = this.addressSpace;
    this.fds = parent !== null ? parent.fds.fork(limits) : new FdTable(limits);
    if (parent === null) {
      this.addressSpace.startBrk = INITIAL_BRK;
      this.addressSpace.brk = INITIAL_BRK;
      openTerminal(this);
    }
    this.mainThread = new Thread(this, pid);
    this.threads.push(this.mainThread);
    this.currentThread = this.mainThread;
  }

  /** Memory as the main thread loads and stores it. */
  get memory(): Memory {
    return this.mainThread.memory;
  }

  /** Its limits. */
  get limits(): ResourceLimits {
    return this.addressSpace.limits;
  }

  /** Bytes that are resident, as in /proc/pid/status. */
  get rssBytes(): number {
    return this.addressSpace.rssPages * PAGE_SIZE;
  }

  /** mmap(2). Addresses and lengths in bytes; `fd` −1 with MAP_ANONYMOUS. @returns the address. @throws SystemError */
  mmap(
    address: Address,
    length: ByteCount,
    prot: number,
    flags: number,
    fd: Descriptor = -1,
    offset: FileOffset = 0,
  ): Address {
    enter(this, calls.mmap);
    const from = word(offset, "offset", "mmap");
    const start = word(address, "address", "mmap");
    const bytes = word(length, "length", "mmap");
    const bits = int(flags, "flags", "mmap");
    if (from % PAGE_SIZE !== 0) throw new SystemError("EINVAL", "mmap", "unaligned offset");
    const file = (bits & MAP_ANONYMOUS) !== 0 ? null : this.fds.get(fd, "mmap");
    const protection = int(prot, "prot", "mmap");
    const extension = mmapExtension(this.currentThread, protection, bits, from);
    return mmap(this.addressSpace, this, start, bytes, protection, bits, file, from, extension);
  }

  /** munmap(2): unmaps [address, address + length); holes are no error. @throws SystemError EINVAL, ENOMEM */
  munmap(address: Address, length: ByteCount): 0 {
    enter(this, calls.munmap);
    munmap(this.addressSpace, untagged(word(address, "address", "munmap")), word(length, "length", "munmap"), "munmap");
    return 0;
  }

  /** mprotect(2). @throws SystemError EINVAL, EACCES, ENOMEM */
  mprotect(address: Address, length: ByteCount, prot: number): 0 {
    enter(this, calls.mprotect);
    const start = untagged(word(address, "address", "mprotect"));
    mprotect(this.addressSpace, this, start, word(length, "length", "mprotect"), int(prot, "prot", "mprotect"));
    return 0;
  }

  /** madvise(2). @throws SystemError EINVAL, ENOMEM, EACCES, EFAULT */
  madvise(address: Address, length: ByteCount, advice: number): 0 {
    enter(this, calls.madvise);
    const start = untagged(word(address, "address", "madvise"));
    const bytes = word(length, "length", "madvise");
    const number = int(advice, "advice", "madvise");
    madvise(this.addressSpace, this, start, bytes, number, adviceExtension(this.currentThread, number));
    return 0;
  }

  /** mremap(2). `newAddress` counts with MREMAP_FIXED, and as a hint with MREMAP_DONTUNMAP. @returns the new address. */
  mremap(
    oldAddress: Address,
    oldLength: ByteCount,
    newLength: ByteCount,
    flags: number,
    newAddress: Address = 0,
  ): Address {
    enter(this, calls.mremap);
    return mremap(
      this.addressSpace,
      this,
      untagged(word(oldAddress, "oldAddress", "mremap")),
      word(oldLength, "oldLength", "mremap"),
      word(newLength, "newLength", "mremap"),
      int(flags, "flags", "mremap"),
      word(newAddress, "newAddress", "mremap"),
    );
  }

  /** mincore(2). @returns one byte a page, 1 = resident. @throws SystemError EINVAL, ENOMEM */
  mincore(address: Address, length: ByteCount): Uint8Array {
    enter(this, calls.mincore);
    return mincore(this.addressSpace, untagged(word(address, "address", "mincore")), word(length, "length", "mincore"));
  }

  /** msync(2). @throws SystemError EINVAL, ENOMEM, EBUSY */
  msync(address: Address, length: ByteCount, flags: number): 0 {
    enter(this, calls.msync);
    const start = untagged(word(address, "address", "msync"));
    msync(this.addressSpace, start, word(length, "length", "msync"), int(flags, "flags", "msync"));
    return 0;
  }

  /** mlock(2). @throws SystemError ENOMEM, EPERM, EAGAIN, EINVAL */
  mlock(address: Address, length: ByteCount): 0 {
    enter(this, calls.mlock);
    const start = untagged(word(address, "address", "mlock"));
    mlock(this.addressSpace, this, start, word(length, "length", "mlock"), 0, "mlock");
    return 0;
  }

  /** mlock2(2): MLOCK_ONFAULT locks without faulting in. @throws SystemError as mlock */
  mlock2(address: Address, length: ByteCount, flags: number): 0 {
    enter(this, calls.mlock2);
    const start = untagged(word(address, "address", "mlock2"));
    const bits = int(flags, "flags", "mlock2");
    mlock(this.addressSpace, this, start, word(length, "length", "mlock2"), bits, "mlock2");
    return 0;
  }

  /** munlock(2). @throws SystemError ENOMEM, EINVAL */
  munlock(address: Address, length: ByteCount): 0 {
    enter(this, calls.munlock);
    munlock(this.addressSpace, untagged(word(address, "address", "munlock")), word(length, "length", "munlock"));
    return 0;
  }

  /** mlockall(2): all that is mapped now (MCL_CURRENT), or from now on (MCL_FUTURE). @throws SystemError EINVAL, EPERM, ENOMEM */
  mlockall(flags: number): 0 {
    enter(this, calls.mlockall);
    return mlockall(this.addressSpace, this, int(flags, "flags", "mlockall"));
  }

  /** munlockall(2): unlocks everything, and what is mapped from now on. */
  munlockall(): 0 {
    enter(this, calls.munlockall);
    return munlockall(this.addressSpace);
  }

  /** The kernel's brk: @returns the break after the call, moved to `address` if that was possible. */
  brk(address: Address): Address {
    enter(this, calls.brk);
    return brk(this.addressSpace, this, word(address, "address", "brk"));
  }

  /** fork(2). @returns the child, which has a copy of the memory and the same open files. @throws SystemError ENOMEM */
  fork(): Process {
    enter(this, calls.fork);
    const space = forkAddressSpace(this.addressSpace);
    const child = new Process(this.kernel, this.kernel.nextPid(), { name: this.name }, this, space);
    this.kernel.processes.set(child.pid, child);
    this.children.add(child);
    child.mainThread.inherit(this.currentThread);
    return child;
  }

  /** _exit(2): memory and descriptors are given back immediately; the status waits for the parent. */
  exit(status = 0): 0 {
    enter(this, calls.exit);
    const exitStatus = int(status, "status", "exit");
    this.fds.closeAll();
    exitMmap(this.addressSpace);
    for (const thread of [...this.threads]) thread.exit();
    this.exitStatus = exitStatus;
    this.kernel.processes.delete(this.pid);
    return 0;
  }

  /** The end by a signal: as exit, with the signal for the parent. */
  terminate(signal: number): void {
    this.currentThread.memory.asyncTagFault = false;
    this.exitSignal = signal;
    this.exit();
  }

  /** execve(2), as far as memory is concerned: a new image with nothing mapped, and no tag checks. */
  execve(name: string): 0 {
    enter(this, calls.execve);
    return execve(this, text(name, "filename", "execve"));
  }

  /** rt_sigaction(2); null only asks. @returns the disposition before. @throws SystemError EINVAL */
  sigaction(signal: number, action: SignalDisposition | null): SignalDisposition {
    enter(this, calls.rt_sigaction);
    if (action !== null && action !== "default" && action !== "ignore") {
      if (typeof structure(action, "action", "rt_sigaction").handler !== "function")
        throw new RangeError("rt_sigaction: the action's handler is no function");
    }
    return action === null ? this.signalActions.ask(signal) : this.signalActions.set(signal, action);
  }

  /** rt_sigprocmask(2) of the running thread; signals that waited are delivered before it returns. @throws SystemError EINVAL */
  sigprocmask(how: number, signals: readonly number[]): 0 {
    enter(this, calls.rt_sigprocmask);
    return changeSignalMask(this.currentThread, how, list(signals, "signals", "rt_sigprocmask"));
  }

  /** kill(2): signal 0 only asks whether the process exists. @throws SystemError ESRCH, EINVAL */
  kill(pid: ProcessId, signal: number): 0 {
    enter(this, calls.kill);
    int(pid, "pid", "kill");
    int(signal, "sig", "kill");
    return kill(this.kernel, pid, signal);
  }

  /** ptrace(2): PTRACE_PEEKMTETAGS, PTRACE_POKEMTETAGS. @returns tags moved. @throws SystemError EPERM, EIO, EFAULT, ESRCH */
  ptrace(request: number, pid: ProcessId, address: Address, vector: TagVector): number {
    enter(this, calls.ptrace);
    return ptraceTags(this.currentThread, request, pid, word(address, "address", "ptrace"), vector);
  }

  /** Lets go of an ended child without a wait, as the kernel does where SIGCHLD is ignored. */
  reap(child: Process): void {
    if (child.exitStatus !== null) this.children.delete(child);
  }

  /** wait4(2) with WNOHANG for child `pid`, or any with −1. @returns null while none has ended. @throws SystemError ECHILD */
  wait4(pid = -1): EndedChild | null {
    enter(this, calls.wait4);
    int(pid, "pid", "wait4");
    const candidates = [...this.children].filter((child) => pid === -1 || child.pid === pid);
    if (candidates.length === 0) throw new SystemError("ECHILD", "wait4");
    const ended = candidates.find((child) => child.exitStatus !== null);
    if (ended === undefined) return null;
    this.children.delete(ended);
    return {
      pid: ended.pid,
      status: ended.exitStatus ?? 0,
      signal: ended.exitSignal,
      maxRssKib: (ended.addressSpace.peakRss * PAGE_SIZE) / 1024,
      minorFaults: ended.minorFaults,
    };
  }

  /** process_vm_readv(2): from `pid`'s remote vectors into our local ones. @returns bytes. @throws SystemError ESRCH, EINVAL, EFAULT */
  process_vm_readv(pid: ProcessId, local: readonly IoVector[], remote: readonly IoVector[], flags = 0): ByteCount {
    enter(this, calls.process_vm_readv);
    return processVmCall(this.currentThread, "process_vm_readv", pid, local, remote, flags);
  }

  /** process_vm_writev(2): from our local vectors into `pid`'s remote ones. */
  process_vm_writev(pid: ProcessId, local: readonly IoVector[], remote: readonly IoVector[], flags = 0): ByteCount {
    enter(this, calls.process_vm_writev);
    return processVmCall(this.currentThread, "process_vm_writev", pid, local, remote, flags);
  }

  /** getrlimit(2), by RLIMIT_… number. @throws SystemError EINVAL */
  getrlimit(resource: number): Limit {
    enter(this, calls.prlimit64);
    return this.limits.get(resource, "getrlimit");
  }

  /** setrlimit(2). `hard` stays as it is if not given. @throws SystemError EINVAL */
  setrlimit(resource: number, soft: number, hard?: number): 0 {
    enter(this, calls.prlimit64);
    const limit = { soft, hard: hard ?? this.limits.get(resource, "setrlimit").hard };
    this.limits.set(resource, limit, "setrlimit");
    return 0;
  }

  /** prctl(2), for the options that are simulated. @throws SystemError EINVAL */
  prctl(option: number, arg2 = 0, arg3 = 0, arg4 = 0, arg5 = 0): number {
    enter(this, calls.prctl);
    // The double nearest to 2^64 - 1 is 2^64, which stands for it, as -1 does.
    const given = [arg2, arg3, arg4, arg5].map((value, index) =>
      word(value === 2 ** 64 ? -1 : value, `arg${index + 2}`, "prctl"),
    );
    return prctl(this.currentThread, int(option, "option", "prctl"), given[0], given[1], given[2], given[3]);
  }

  /**
   * syscall(2): by number (the kernel's architecture's) or name. Strings and structures lie in the program's memory, as in C;
   * registered calls, such as refpage_create, are made in the same way.
   * @throws SystemError ENOSYS: this kernel has no such call. RangeError: an argument that no register could hold.
   */
  syscall(numberOrName: number | string, ...args: number[]): number {
    const entry = this.kernel.systemCalls.find(numberOrName);
    for (let i = 0; i < args.length; i++) word(args[i], "argument", entry.name);
    if (!entry.enters) enter(this, entry);
    return entry.call(this.currentThread, ...args);
  }

  /** A new thread of this process, with tag-check state of its own (inherited, as clone does). */
  createThread(): Thread {
    enter(this, calls.clone);
    const thread = new Thread(this, this.kernel.nextPid());
    thread.inherit(this.currentThread);
    this.threads.push(thread);
    return thread;
  }

  /** Ends a thread, as {@link Thread.exit} does, and forgets it. */
  removeThread(thread: Thread): void {
    const index = this.threads.indexOf(thread);
    if (index === -1) return;
    this.threads.splice(index, 1);
    thread.exit();
    if (this.currentThread === thread) this.currentThread = this.mainThread;
  }

  /** Pins pages as a driver would (get_user_pages); `write` breaks copy-on-write first. @throws SystemError EFAULT */
  pin(address: Address, length: ByteCount, options: { readonly write: boolean }): PinnedPages {
    const start = untagged(word(address, "address", "pin"));
    const { write } = structure(options, "options", "pin");
    if (typeof write !== "boolean") throw new RangeError(`pin: write ${named(write)} is neither true nor false`);
    const pinned = pinUserPages(this.addressSpace, this, start, word(length, "length", "pin"), { write });
    if (write) definePinned(this, pinned);
    return pinned;
  }

  /** The text of /proc/PID/<file>, with Linux's layout. */
  procfs(file: ProcFile): string {
    return procFile(this, file);
  }

  /** /proc/PID/pagemap for [address, address + length): one 64-bit word a page (Documentation/admin-guide/mm/pagemap.rst). */
  pagemap(address: Address, length: ByteCount): BigUint64Array {
    return pagemap(this.addressSpace, address, length);
  }
}

outline(Process, ({ pid, name, exitStatus }) => ({ pid, name, exitStatus }));

keepClass("Process", Process);
