// /proc/meminfo (fs/proc/meminfo.c): the machine's memory in sum. Lines about what is not simulated (disks, swap, slabs) are left out;
// what a single process has is procfs-status.ts and procfs-smaps.ts. Costs what is mapped and cached.
import type { FrameNumber } from "../../hardware/integers.ts";
import { PAGE_SIZE, PTE_ANON, PTE_FRAME_SHIFT, PTE_PRESENT, PTE_SPECIAL } from "../../hardware/layout.ts";
import type { AddressSpace } from "../mm/address-space.ts";
import { HUGE_FRAMES } from "../mm/free-frames.ts";
import type { Inode } from "../mm/inode.ts";

const KIB_PER_PAGE = PAGE_SIZE / 1024;

interface UsedSpace {
  readonly addressSpace: AddressSpace;
  readonly fds: { numbers(): readonly number[]; raw(fd: number, syscall: string): { readonly inode: Inode | null } };
}

/** What is printed of a machine. */
export interface PrintedMachine {
  readonly processes: ReadonlyMap<number, UsedSpace>;
  readonly frames: AddressSpace["kernel"]["frames"];
  readonly commitSettings: { readonly limitPages: number };
  readonly committedPages: number;
}

/** Frames that entries map, each once however often: of private pages and of files; and first frames of those mapped huge. */
interface MappedFrames {
  readonly anonymous: Set<number>;
  readonly file: Set<number>;
  readonly anonymousHuge: Set<number>;
  readonly fileHuge: Set<number>;
}

/** The text of /proc/meminfo, in Linux 6.18's order. */
export function meminfoText(machine: PrintedMachine): string {
  const { frames, processes } = machine;
  const mapped: MappedFrames = {
    anonymous: new Set(),
    file: new Set(),
    anonymousHuge: new Set(),
    fileHuge: new Set(),
  };
  const inodes = new Set<Inode>();
  let tables = 0;
  for (const { addressSpace, fds } of processes.values()) {
    addMapped(addressSpace, mapped);
    tables += addressSpace.pageTable.tableCount;
    const { vmas } = addressSpace;
    for (let index = 0; index < vmas.count; index++) {
      const inode = vmas.files[vmas.at(index)]?.inode ?? null;
      if (inode !== null) inodes.add(inode);
    }
    for (const fd of fds.numbers()) {
      const { inode } = fds.raw(fd, "meminfo");
      if (inode !== null) inodes.add(inode);
    }
  }
  let cached = 0;
  let cachedHuge = 0;
  for (const { pages } of inodes) {
    cached += pages.size;
    for (const frame of pages.values()) if (isInHuge(machine, frame)) cachedHuge++;
  }
  const lines: readonly (readonly [string, number])[] = [
    ["MemTotal", frames.frameCount],
    ["MemFree", frames.freeFrames],
    ["MemAvailable", frames.freeFrames],
    ["Cached", cached],
    ["AnonPages", mapped.anonymous.size],
    ["Mapped", mapped.file.size],
    ["Shmem", cached],
    ["PageTables", tables],
    ["CommitLimit", machine.commitSettings.limitPages],
    ["Committed_AS", machine.committedPages],
    ["AnonHugePages", mapped.anonymousHuge.size * HUGE_FRAMES],
    ["ShmemHugePages", cachedHuge],
    ["ShmemPmdMapped", mapped.fileHuge.size * HUGE_FRAMES],
  ];
  return lines
    .map(([name, pages]) => `${`${name}:`.padEnd(16)}${String(pages * KIB_PER_PAGE).padStart(8)} kB\n`)
    .join("");
}

function isInHuge({ frames }: PrintedMachine, frame: FrameNumber): boolean {
  return frames.isInFolio(frame) && frames.folios.sizeOf(frames.headOf(frame)) === HUGE_FRAMES;
}

function addMapped({ pageTable }: AddressSpace, mapped: MappedFrames): void {
  const end = pageTable.entries.length;
  for (let page = pageTable.next(0, end); page < end; page = pageTable.next(page + 1, end)) {
    const entry = pageTable.entryOf(page);
    if ((entry & (PTE_PRESENT | PTE_SPECIAL)) !== PTE_PRESENT) continue;
    const frame = entry >>> PTE_FRAME_SHIFT;
    const isAnonymous = (entry & PTE_ANON) !== 0;
    mapped[isAnonymous ? "anonymous" : "file"].add(frame);
    if (pageTable.isHuge(page) && page % HUGE_FRAMES === 0)
      mapped[isAnonymous ? "anonymousHuge" : "fileHuge"].add(frame);
  }
}
