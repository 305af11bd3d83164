// A file that is not RAM, for cases that ask for one: it can be mapped, but its pages have no place for tags.
import { type FileOperations, O_RDWR } from "../../../platform/kernel/mm/file.ts";
import { Inode } from "../../../platform/kernel/mm/inode.ts";
import type { Process } from "../../../platform/kernel/process.ts";

const operations: FileOperations = {
  path: "/disk/file",
  seekable: true,
  // As generic_file_mmap: nothing is changed, so the area does not get VM_MTE_ALLOWED.
  mmap(): void {},
  release(file): void {
    file.inode?.put();
  },
};

/** Opens a new file of `length` bytes. @returns the descriptor */
export function openDiskFile(process: Process, length: number): number {
  const { kernel } = process;
  const inode = new Inode(kernel.frames, kernel.nextInodeNumber(), length);
  inode.get();
  return process.fds.install(kernel.openFile(operations, inode, O_RDWR), { closeOnExec: false }, "open");
}
