// The part of the invariants that is about files: who holds an open file, an inode and a page of its cache.
// Areas, page tables and counts are invariants.ts.

import type { Kernel } from "./kernel.ts";
import type { AddressSpace } from "./mm/address-space.ts";
import type { OpenFile } from "./mm/file.ts";
import type { Inode } from "./mm/inode.ts";

/**
 * Checks the references of everything that processes have open or mapped, and adds the pages of page caches to `references`.
 * @returns pages that the files themselves promise (shared anonymous memory). @throws Error naming the first broken rule.
 */
export function checkFiles(kernel: Kernel, references: Int32Array): number {
  const holders = new Map<OpenFile, number>();
  const mappers = new Map<Inode, Map<AddressSpace, number>>();
  for (const process of kernel.processes.values()) {
    for (const fd of process.fds.numbers()) count(holders, process.fds.raw(fd, "check"));
    const { vmas } = process.addressSpace;
    for (let index = 0; index < vmas.count; index++) {
      const id = vmas.at(index);
      const file = vmas.files[id];
      if (file === null) continue;
      count(holders, file);
      if (vmas.anonymous[id] === 1 || file.inode === null) continue;
      const spaces = mappers.get(file.inode) ?? new Map<AddressSpace, number>();
      count(spaces, process.addressSpace);
      mappers.set(file.inode, spaces);
    }
  }
  const inodes = new Map<Inode, number>();
  for (const [file, found] of holders) {
    if (file.references !== found) {
      throw new Error(`${file.operations.path} has ${found} descriptors and areas but ${file.references} references`);
    }
    if (file.inode !== null) count(inodes, file.inode);
  }
  if (holders.size !== kernel.openFiles) {
    throw new Error(`${holders.size} files are open but ${kernel.openFiles} are counted`);
  }
  return checkInodes(inodes, mappers, references);
}

function checkInodes(
  inodes: ReadonlyMap<Inode, number>,
  mappers: ReadonlyMap<Inode, ReadonlyMap<AddressSpace, number>>,
  references: Int32Array,
): number {
  let committed = 0;
  for (const [inode, found] of inodes) {
    const who = `inode ${inode.number}`;
    if (inode.references !== found)
      throw new Error(`${who} is open ${found} times but has ${inode.references} references`);
    const spaces = mappers.get(inode) ?? new Map<AddressSpace, number>();
    if (
      inode.mappers.size !== spaces.size ||
      [...spaces].some(([space, areas]) => inode.mappers.get(space) !== areas)
    ) {
      throw new Error(`${who} counts ${inode.mappers.size} address spaces that map it, and ${spaces.size} do`);
    }
    committed += inode.committedPages;
    // A page may lie beyond the file's end: a write that met a bad buffer leaves the page that it had made.
    for (const frame of inode.pages.values()) references[frame]++;
  }
  return committed;
}

function count<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
