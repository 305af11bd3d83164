// /proc/PID/status and statm (fs/proc/array.c, fs/proc/task_mmu.c): who the process is, its memory in sum, its signals.
// Lines about what is not simulated (scheduling, NUMA nodes) are left out; docs/divergences.md lists them.
import type { PageCount, ProcessId } from "../../hardware/integers.ts";
import { PAGE_SIZE } from "../../hardware/layout.ts";
import type { AddressSpace } from "../mm/address-space.ts";

const KIB_PER_PAGE = PAGE_SIZE / 1024;
/** Programs run as an ordinary user, alone in its group. */
const USER = 1000;
const UMASK = 0o022;
/** Bit of the capability that lets memory be locked without limit (linux/capability.h). */
const CAP_IPC_LOCK = 14;
/** Descriptors that a table has room for at first (NR_OPEN_DEFAULT); it grows by doubling. */
const FIRST_DESCRIPTORS = 64;

/** What is printed of a process. */
export interface PrintedProcess {
  readonly pid: ProcessId;
  readonly name: string;
  readonly parent: PrintedProcess | null;
  readonly exitStatus: number | null;
  readonly addressSpace: AddressSpace;
  readonly fds: { numbers(): readonly number[] };
  readonly threads: { readonly length: number };
  readonly mainThread: {
    readonly signalMask: {
      readonly blockedSignals: readonly number[];
      pendingFor(whom: "thread" | "process"): readonly number[];
    };
  };
  readonly signalActions: { readonly ignored: readonly number[]; readonly caught: readonly number[] };
}

/** The text of /proc/PID/status, in Linux 6.18's order. A process that has ended has no memory to tell about. */
export function statusText(process: PrintedProcess): string {
  const memory = process.exitStatus === null ? memoryLines(process.addressSpace) : "";
  return `${identityLines(process)}${memory}Threads:\t${process.threads.length}\n${signalLines(process)}${rightsLines(process)}`;
}

function identityLines(process: PrintedProcess): string {
  const { pid } = process;
  const leader = oldestAncestor(process).pid;
  const parent = process.parent?.exitStatus === null ? process.parent.pid : 0;
  const ids = `${USER}\t${USER}\t${USER}\t${USER}`;
  return (
    `Name:\t${process.name}\n` +
    `Umask:\t${UMASK.toString(8).padStart(4, "0")}\n` +
    `State:\t${process.exitStatus === null ? "R (running)" : "Z (zombie)"}\n` +
    `Tgid:\t${pid}\n` +
    "Ngid:\t0\n" +
    `Pid:\t${pid}\n` +
    `PPid:\t${parent}\n` +
    "TracerPid:\t0\n" +
    `Uid:\t${ids}\n` +
    `Gid:\t${ids}\n` +
    `FDSize:\t${descriptorRoom(process)}\n` +
    "Groups:\t \n" +
    `NStgid:\t${pid}\n` +
    `NSpid:\t${pid}\n` +
    `NSpgid:\t${leader}\n` +
    `NSsid:\t${leader}\n` +
    "Kthread:\t0\n"
  );
}

/** No process calls setsid here: a process that was not forked leads the session and the group of all that descend from it. */
function oldestAncestor(process: PrintedProcess): PrintedProcess {
  let oldest: PrintedProcess = process;
  while (oldest.parent !== null) oldest = oldest.parent;
  return oldest;
}

function descriptorRoom(process: PrintedProcess): number {
  if (process.exitStatus !== null) return 0;
  const slots = Math.max(-1, ...process.fds.numbers()) + 1;
  return Math.max(FIRST_DESCRIPTORS, 2 ** Math.ceil(Math.log2(Math.max(1, slots))));
}

function memoryLines(space: AddressSpace): string {
  space.noteRss();
  const kib = (name: string, pages: PageCount) => `${name}:\t${String(pages * KIB_PER_PAGE).padStart(8)} kB\n`;
  return (
    kib("VmPeak", space.peakTotal) +
    kib("VmSize", space.totalPages) +
    kib("VmLck", space.lockedPages) +
    kib("VmPin", 0) +
    kib("VmHWM", space.peakRss) +
    kib("VmRSS", space.rssPages) +
    kib("RssAnon", space.rssAnonymous) +
    kib("RssFile", 0) +
    kib("RssShmem", space.rssFile) +
    kib("VmData", space.dataPages) +
    kib("VmStk", space.stackPages) +
    kib("VmExe", 0) +
    kib("VmLib", space.execPages) +
    kib("VmPTE", pageTablePages(space)) +
    kib("VmSwap", 0) +
    kib("HugetlbPages", 0) +
    "CoreDumping:\t0\n" +
    `THP_enabled:\t${space.thpDisable === "all" ? 0 : 1}\n` +
    "untag_mask:\t0xffffffffffffffff\n"
  );
}

/** Tables of the two highest levels, which a process has from its first page on. */
const TOP_TABLES = 2;

/** Page-table pages that Linux would have: one for each touched 2 MiB, one for each touched GiB, and those above. */
export function pageTablePages(space: AddressSpace): number {
  const { tableCount, upperTableCount } = space.pageTable;
  return tableCount + upperTableCount === 0 ? 0 : tableCount + upperTableCount + TOP_TABLES;
}

function signalLines(process: PrintedProcess): string {
  const { signalMask } = process.mainThread;
  const { signalActions } = process;
  const mask = (name: string, signals: readonly number[]) => `${name}:\t${bits(signals.map((signal) => signal - 1))}\n`;
  return (
    mask("SigPnd", signalMask.pendingFor("thread")) +
    mask("ShdPnd", signalMask.pendingFor("process")) +
    mask("SigBlk", signalMask.blockedSignals) +
    mask("SigIgn", signalActions.ignored) +
    mask("SigCgt", signalActions.caught)
  );
}

function rightsLines(process: PrintedProcess): string {
  const held = bits(process.addressSpace.kernel.capabilities.ipcLock ? [CAP_IPC_LOCK] : []);
  const none = bits([]);
  return (
    `CapInh:\t${none}\n` +
    `CapPrm:\t${held}\n` +
    `CapEff:\t${held}\n` +
    `CapBnd:\t${held}\n` +
    `CapAmb:\t${none}\n` +
    "NoNewPrivs:\t0\n" +
    "Seccomp:\t0\n" +
    "Seccomp_filters:\t0\n"
  );
}

/** A 64-bit mask as 16 hexadecimal digits (render_sigset_t, render_cap_t). */
function bits(positions: readonly number[]): string {
  let word = 0n;
  for (const position of positions) word |= 1n << BigInt(position);
  return word.toString(16).padStart(16, "0");
}

/** The text of /proc/PID/statm, in pages: size, resident, shared, text, lib (always 0), data and stack, dirty (always 0). */
export function statmText(space: AddressSpace): string {
  return `${space.totalPages} ${space.rssPages} ${space.rssFile} 0 0 ${space.dataPages + space.stackPages} 0\n`;
}
