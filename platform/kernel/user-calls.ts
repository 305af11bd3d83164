// System calls whose arguments are structures or strings in user memory, as a C program makes them by number: each brings
// them in, calls the process's own method and stores what it answers. Layouts are user-structures.ts, numbers syscall-table.ts.
import type { Address, ByteCount, Descriptor, ProcessId } from "../hardware/integers.ts";
import { PAGE_SIZE } from "../hardware/layout.ts";
import { int, word } from "./abi/arguments.ts";
import { SystemError } from "./abi/errors.ts";
import { RLIMIT_NOFILE } from "./abi/rlimit.ts";
import { accessOk } from "./mm/address-space.ts";
import type { Process } from "./process.ts";
import type { SignalDisposition } from "./signals.ts";
import type { Thread } from "./thread.ts";
import { copyFromUser } from "./uaccess.ts";
import {
  readLimit,
  readPath,
  readUser,
  readVectors,
  wordAt,
  writeLimit,
  writeStat,
  writeUsage,
  writeUser,
} from "./user-structures.ts";

/** The first argument of openat for paths from the working directory. */
export const AT_FDCWD = -100;
/** wait4(2) options. */
export const WNOHANG = 1;
const WAIT_OPTIONS = 0xe000_000b;
/** sizeof(sigset_t) in the kernel, and struct sigaction's, which is the same on both machines. */
const LONGEST_MEMFD_NAME = 249;
const POLLFD_BYTES = 8;
const SIGNAL_SET_BYTES = 8;
const SIGACTION_BYTES = 32;
const SIG_DFL = 0;
const SIG_IGN = 1;
const SHMEM_DEVICE = 1;

/** open(2). @throws SystemError EFAULT, ENAMETOOLONG, and as Process.open */
export function open(thread: Thread, path: number, flags: number): number {
  return thread.process.open(readPath(thread, word(path, "path", "open"), "open"), flags);
}

/** openat(2): paths that exist here are absolute, so the directory counts for nothing. */
export function openat(thread: Thread, _directory: number, path: number, flags: number): number {
  return open(thread, path, flags);
}

/** fstat(2). @throws SystemError EBADF, EFAULT */
export function fstat(thread: Thread, fd: Descriptor, address: Address): number {
  const { process } = thread;
  const status = process.fstat(fd);
  const { inode } = process.fds.raw(fd, "fstat");
  const fields = {
    ...status,
    device: inode === null ? 0 : SHMEM_DEVICE,
    allocated: (inode?.pages.size ?? 0) * PAGE_SIZE,
    blockSize: PAGE_SIZE,
  };
  writeStat(thread, process.kernel.architecture, word(address, "statbuf", "fstat"), fields, "fstat");
  return 0;
}

/** pipe2(2). @throws SystemError EFAULT: no descriptor remains open. EINVAL, EMFILE, ENFILE */
export function pipe2(thread: Thread, address: Address, flags = 0): number {
  const { process } = thread;
  const ends = process.pipe2(flags);
  try {
    writeUser(thread, word(address, "pipefd", "pipe2"), new Uint8Array(Int32Array.from(ends).buffer), "pipe2");
  } catch (error) {
    for (const fd of ends) process.fds.close(fd, "pipe2");
    throw error;
  }
  return 0;
}

/** mincore(2). @throws SystemError EINVAL, ENOMEM, EFAULT: the vector cannot be stored to */
export function mincore(thread: Thread, address: Address, length: ByteCount, vector: number): number {
  const to = word(vector, "vec", "mincore");
  if (address % PAGE_SIZE === 0 && accessOk(address, length) && !accessOk(to, Math.ceil(length / PAGE_SIZE))) {
    throw new SystemError("EFAULT", "mincore", "vec");
  }
  writeUser(thread, to, thread.process.mincore(address, length), "mincore");
  return 0;
}

/** execve(2): arguments and environment must be readable, but are not read. @throws SystemError EFAULT, ENAMETOOLONG, ENOENT */
export function execve(thread: Thread, path: number, ...lists: number[]): number {
  const name = readPath(thread, word(path, "path", "execve"), "execve");
  for (const list of lists) {
    for (let at = word(list ?? 0, "list", "execve"); at !== 0; at += 8) {
      const string = wordAt(readUser(thread, at, 8, "execve"), 0);
      if (string === 0) break;
      readUser(thread, string, 1, "execve");
    }
  }
  return thread.process.execve(name);
}

/**
 * wait4(2): what the status word says is what WIFEXITED and WIFSIGNALED take apart. @returns the child's pid, or 0 with WNOHANG
 * while none has ended. @throws SystemError EAGAIN: without WNOHANG a real program would sleep. ECHILD, EINVAL, EFAULT
 */
export function wait4(thread: Thread, pid: ProcessId, status = 0, options = 0, usage = 0): number {
  if ((options & ~WAIT_OPTIONS) !== 0) throw new SystemError("EINVAL", "wait4", `options ${options}`);
  const ended = thread.process.wait4(wantedChild(thread.process, int(pid, "pid", "wait4")));
  if (ended === null) {
    if ((options & WNOHANG) !== 0) return 0;
    throw new SystemError("EAGAIN", "wait4", "no child has ended");
  }
  const statusWord = ended.signal === null ? (ended.status & 0xff) << 8 : ended.signal & 0x7f;
  // The usage goes first, and the child is gone even if either copy fails (kernel_wait4).
  if (usage !== 0) writeUsage(thread, word(usage, "rusage", "wait4"), ended, "wait4");
  if (status !== 0) {
    writeUser(thread, word(status, "wstatus", "wait4"), new Uint8Array(Int32Array.of(statusWord).buffer), "wait4");
  }
  return ended.pid;
}

/** A pid of 0 or below −1 means a process group: here that of the oldest ancestor, in which all are that descend from it. */
function wantedChild(process: Process, pid: ProcessId): number {
  if (pid > 0 || pid === -1) return pid;
  let leader = process;
  while (leader.parent !== null) leader = leader.parent;
  if (pid === 0 || -pid === leader.pid) return -1;
  throw new SystemError("ECHILD", "wait4", `group ${-pid}`);
}

/** getrlimit(2). @throws SystemError EINVAL, EFAULT */
export function getrlimit(thread: Thread, resource: number, address: Address): number {
  const limit = thread.process.getrlimit(resource);
  writeLimit(thread, word(address, "rlim", "getrlimit"), limit, "getrlimit");
  return 0;
}

/** setrlimit(2). @throws SystemError EFAULT, EINVAL */
export function setrlimit(thread: Thread, resource: number, address: Address): number {
  const { soft, hard } = readLimit(thread, word(address, "rlim", "setrlimit"), "setrlimit");
  return thread.process.setrlimit(resource, soft, hard);
}

/** prlimit64(2) of process `pid`, 0 for the caller: sets if `next` is not 0, stores what was before. @throws SystemError ESRCH, EINVAL, EFAULT */
export function prlimit64(thread: Thread, pid: ProcessId, resource: number, next: number, previous: number): number {
  const wanted = next === 0 ? null : readLimit(thread, word(next, "new_limit", "prlimit64"), "prlimit64");
  const target = pid === 0 ? thread.process : thread.process.kernel.processes.get(pid);
  if (target === undefined) throw new SystemError("ESRCH", "prlimit64", `process ${pid}`);
  // The caller's own, asked for first, is where the call is counted and a resource that does not exist refused.
  const own = thread.process.getrlimit(resource);
  const before = target === thread.process ? own : target.limits.get(resource, "prlimit64");
  if (wanted !== null) target.limits.set(resource, wanted, "prlimit64");
  if (previous !== 0) writeLimit(thread, word(previous, "old_limit", "prlimit64"), before, "prlimit64");
  return 0;
}

/**
 * rt_sigaction(2). A handler is a host function, installed by Process.sigaction; it has an address, which `previous` gets and
 * with which it can be installed again. @throws SystemError EINVAL, EFAULT, ENOSYS: an address where there is no such function
 */
export function rtSigaction(thread: Thread, signal: number, next: number, previous: number, setBytes: number): number {
  const syscall = "rt_sigaction";
  if (setBytes !== SIGNAL_SET_BYTES) throw new SystemError("EINVAL", syscall, `sigsetsize ${setBytes}`);
  const { process } = thread;
  const wanted = next === 0 ? null : readDisposition(thread, word(next, "act", syscall));
  const before = process.sigaction(signal, wanted);
  if (previous === 0) return 0;
  const view = new DataView(new ArrayBuffer(SIGACTION_BYTES));
  const handler =
    before === "default" ? SIG_DFL : before === "ignore" ? SIG_IGN : process.signalActions.addressOf(before);
  view.setBigUint64(0, BigInt(handler), true);
  if (typeof before === "object") view.setBigUint64(8, BigInt(before.flags >>> 0), true);
  writeUser(thread, word(previous, "oldact", syscall), new Uint8Array(view.buffer), syscall);
  return 0;
}

function readDisposition(thread: Thread, address: Address): SignalDisposition {
  const view = readUser(thread, address, SIGACTION_BYTES, "rt_sigaction");
  const handler = wordAt(view, 0);
  if (handler === SIG_DFL) return "default";
  if (handler === SIG_IGN) return "ignore";
  const known = thread.process.signalActions.handlerAt(handler);
  if (known === undefined) {
    throw new SystemError("ENOSYS", "rt_sigaction", `no function of the host at 0x${handler.toString(16)}`);
  }
  return { flags: view.getInt32(8, true), handler: known };
}

/** process_vm_readv(2) and process_vm_writev(2). Remote vectors are not looked at while there is nothing to move locally. */
export function processVm(
  thread: Thread,
  syscall: "process_vm_readv" | "process_vm_writev",
  pid: ProcessId,
  local: number,
  localCount: number,
  remote: number,
  remoteCount: number,
  flags: number,
): number {
  if (flags !== 0) throw new SystemError("EINVAL", syscall, `flags ${flags}`);
  const ours = readVectors(thread, word(local, "local_iov", syscall), word(localCount, "liovcnt", syscall), syscall);
  const isEmpty = ours.every(([, length]) => length === 0);
  const theirs = isEmpty
    ? []
    : readVectors(thread, word(remote, "remote_iov", syscall), word(remoteCount, "riovcnt", syscall), syscall);
  return thread.process[syscall](pid, ours, theirs, flags);
}

/** memfd_create(2) as a program calls it, with the name in its memory. @throws SystemError EFAULT, and as above */
export function memfd_create(thread: Thread, address: Address, flags: number): number {
  const bytes = new Uint8Array(LONGEST_MEMFD_NAME + 1);
  const copied = copyFromUser(thread, word(address, "name", "memfd_create"), bytes);
  const end = bytes.subarray(0, copied).indexOf(0);
  if (end === -1 && copied < bytes.length) throw new SystemError("EFAULT", "memfd_create", "name");
  return thread.process.memfd_create(new TextDecoder().decode(end === -1 ? bytes : bytes.subarray(0, end)), flags);
}

/** poll(2): struct pollfd is an int and two shorts. @returns how many are ready; a real program would sleep while none is. @throws SystemError EINVAL, EFAULT */
export function poll(thread: Thread, address: Address, count: number, _timeout = 0): number {
  const { process } = thread;
  const entries = word(count, "nfds", "poll");
  if (entries > process.limits.soft(RLIMIT_NOFILE)) throw new SystemError("EINVAL", "poll", `${entries} descriptors`);
  const from = word(address, "fds", "poll");
  const view = readUser(thread, from, entries * POLLFD_BYTES, "poll");
  const requests = Array.from({ length: entries }, (_, index) => ({
    fd: view.getInt32(index * POLLFD_BYTES, true),
    events: view.getUint16(index * POLLFD_BYTES + 4, true),
  }));
  const ready = process.poll(requests);
  for (const [index, events] of ready.entries()) view.setUint16(index * POLLFD_BYTES + 6, events, true);
  writeUser(thread, from, new Uint8Array(view.buffer), "poll");
  return ready.filter((events) => events !== 0).length;
}
