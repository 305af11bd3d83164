// File descriptors of one process: the lowest free number, close-on-exec, copies at fork (fs/file.c).
// What a file can do is file.ts and the files of its kind.

import type { Descriptor } from "../hardware/integers.ts";
import { keepClass } from "../state/kept.ts";
import { int } from "./abi/arguments.ts";
import { SystemError } from "./abi/errors.ts";
import { type ResourceLimits, RLIMIT_NOFILE } from "./abi/rlimit.ts";
import type { OpenFile } from "./mm/file.ts";

interface OpenDescriptor {
  readonly file: OpenFile;
  closeOnExec: boolean;
}

export class FdTable {
  private readonly descriptors = new Map<Descriptor, OpenDescriptor>();
  private readonly limits: ResourceLimits;
  /** No descriptor below this is free. */
  private lowestFree = 0;

  constructor(limits: ResourceLimits) {
    this.limits = limits;
  }

  get count(): number {
    return this.descriptors.size;
  }

  /** All open descriptors, ascending. */
  numbers(): number[] {
    return [...this.descriptors.keys()].sort((a, b) => a - b);
  }

  /** @throws SystemError EMFILE unless another descriptor, from `lowest`, may be opened. */
  requireRoom(syscall: string, lowest = 0): number {
    const fd = this.freeFrom(lowest);
    if (fd >= this.limits.soft(RLIMIT_NOFILE)) throw new SystemError("EMFILE", syscall);
    return fd;
  }

  /** Installs a file under the lowest free number from `lowest`; takes over the caller's reference. @throws SystemError EMFILE */
  install(file: OpenFile, { closeOnExec }: { readonly closeOnExec: boolean }, syscall: string, lowest = 0): number {
    const fd = this.requireRoom(syscall, lowest);
    this.descriptors.set(fd, { file, closeOnExec });
    if (fd === this.lowestFree) this.lowestFree++;
    return fd;
  }

  /** Installs a file under `fd`, closing what was there (dup3). @throws SystemError EBADF: beyond the limit. */
  installAt(fd: Descriptor, file: OpenFile, { closeOnExec }: { readonly closeOnExec: boolean }, syscall: string): void {
    int(fd, "descriptor", syscall);
    if (fd < 0 || fd >= this.limits.soft(RLIMIT_NOFILE)) throw new SystemError("EBADF", syscall, `descriptor ${fd}`);
    const before = this.descriptors.get(fd);
    this.descriptors.set(fd, { file, closeOnExec });
    before?.file.put();
  }

  /** @throws SystemError EBADF: not open, or with O_PATH, which only names a file. */
  get(fd: Descriptor, syscall: string): OpenFile {
    const { file } = this.descriptor(fd, syscall);
    if (file.isPath) throw new SystemError("EBADF", syscall, `descriptor ${fd} was opened with O_PATH`);
    return file;
  }

  /** As get, for the calls that O_PATH permits (fdget_raw). @throws SystemError EBADF */
  raw(fd: Descriptor, syscall: string): OpenFile {
    return this.descriptor(fd, syscall).file;
  }

  descriptor(fd: Descriptor, syscall: string): OpenDescriptor {
    const descriptor = this.descriptors.get(int(fd, "descriptor", syscall));
    if (descriptor === undefined) throw new SystemError("EBADF", syscall, `descriptor ${fd}`);
    return descriptor;
  }

  close(fd: Descriptor, syscall: string): void {
    const { file } = this.descriptor(fd, syscall);
    this.descriptors.delete(fd);
    if (fd < this.lowestFree) this.lowestFree = fd;
    file.put();
  }

  closeAll(): void {
    for (const fd of this.numbers()) this.close(fd, "exit");
  }

  /** What execve closes. */
  closeOnExec(): void {
    for (const fd of this.numbers()) if (this.descriptors.get(fd)?.closeOnExec === true) this.close(fd, "execve");
  }

  /** The table of a forked child: the same open files under the same numbers. */
  fork(limits: ResourceLimits): FdTable {
    const copy = new FdTable(limits);
    for (const [fd, { file, closeOnExec }] of this.descriptors) {
      file.get();
      copy.descriptors.set(fd, { file, closeOnExec });
    }
    copy.lowestFree = this.lowestFree;
    return copy;
  }

  private freeFrom(lowest: number): number {
    let fd = Math.max(lowest, this.lowestFree);
    while (this.descriptors.has(fd)) fd++;
    if (lowest <= this.lowestFree) this.lowestFree = fd;
    return fd;
  }
}

keepClass("FdTable", FdTable);
