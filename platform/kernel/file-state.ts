// What can be asked of an open file beside its content: whether it is ready, whether it is synced, requests of ioctl, and O_PATH,
// which only names it. The calls themselves are file-calls.ts.
import type { Descriptor } from "../hardware/integers.ts";
import { SystemError } from "./abi/errors.ts";
import {
  FIOCLEX,
  FIONBIO,
  FIONCLEX,
  FIONREAD,
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLNVAL,
  POLLOUT,
  POLLRDNORM,
  POLLWRNORM,
} from "./abi/fcntl.ts";
import type { FdTable } from "./fd-table.ts";
import type { Caller, KernelServices } from "./mm/address-space.ts";
import { O_NONBLOCK, O_PATH, type OpenFile } from "./mm/file.ts";
import { copyFromUser, copyToUser } from "./uaccess.ts";

/** One struct pollfd: a descriptor, or −1 for none, and the POLL… events that are asked for. */
export interface PollRequest {
  readonly fd: Descriptor;
  readonly events: number;
}

interface Holder {
  readonly fds: FdTable;
  readonly currentThread: Caller;
}

/** Events of a file that is always ready (DEFAULT_POLLMASK). */
const ALWAYS_READY = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
const INT_BYTES = 4;

/** The events of a request that hold now; errors are reported unasked (do_pollfd). */
export function readyEvents({ fds }: Holder, { fd, events }: PollRequest): number {
  if (fd < 0) return 0;
  if (!fds.numbers().includes(fd) || fds.raw(fd, "poll").isPath) return POLLNVAL;
  const file = fds.get(fd, "poll");
  const ready = file.operations.poll?.(file) ?? ALWAYS_READY;
  return ready & (events | POLLERR | POLLHUP);
}

/** @throws SystemError EBADF, EINVAL: the kind of file has no fsync. */
export function syncFile({ fds }: Holder, fd: Descriptor, syscall: string): 0 {
  const file = fds.get(fd, syscall);
  if (file.operations.syncs !== true) throw new SystemError("EINVAL", syscall, file.operations.path);
  return 0;
}

/** @throws SystemError EBADF, ENOTTY, EFAULT */
export function ioctl({ fds, currentThread }: Holder, fd: Descriptor, request: number, argument: number): number {
  const file = fds.get(fd, "ioctl");
  const descriptor = fds.descriptor(fd, "ioctl");
  if (request === FIOCLEX || request === FIONCLEX) {
    descriptor.closeOnExec = request === FIOCLEX;
    return 0;
  }
  if (request === FIONBIO) {
    const word = new Int32Array(1);
    if (copyFromUser(currentThread, argument, new Uint8Array(word.buffer)) < INT_BYTES)
      throw new SystemError("EFAULT", "ioctl");
    file.flags = word[0] !== 0 ? file.flags | O_NONBLOCK : file.flags & ~O_NONBLOCK;
    return 0;
  }
  if (request === FIONREAD && file.inode !== null) {
    const left = Int32Array.of(file.inode.size - file.position);
    if (copyToUser(currentThread, argument, new Uint8Array(left.buffer)) < INT_BYTES)
      throw new SystemError("EFAULT", "ioctl");
    return 0;
  }
  if (file.operations.ioctl === undefined)
    throw new SystemError("ENOTTY", "ioctl", `request 0x${request.toString(16)}`);
  return file.operations.ioctl(currentThread, file, request, argument);
}

/** A descriptor's file that only names what `file` is (O_PATH). @throws SystemError ENFILE */
export function openPath(kernel: KernelServices, { inode, operations }: OpenFile): OpenFile {
  inode?.get();
  const named = { path: operations.path, seekable: false, release: () => inode?.put() };
  return kernel.openFile(named, inode, O_PATH, "open");
}
