// System calls and accesses on huge pages for huge-failures.test.ts, each on a world that has huge pages in every state. No test in here.
import { PAGE_SIZE as PAGE } from "../../../../platform/hardware/layout.ts";
import { SystemError } from "../../../../platform/kernel/abi/errors.ts";
import * as mman from "../../../../platform/kernel/abi/mman.ts";
import type { Kernel } from "../../../../platform/kernel/kernel.ts";
import type { MemoryCgroup } from "../../../../platform/kernel/mm/cgroup.ts";
import type { PinnedPages } from "../../../../platform/kernel/mm/gup.ts";
import type { Process } from "../../../../platform/kernel/process.ts";
import { refpage_create2 } from "../../../../refpage/kernel.ts";

export const H = 512;
export const HUGE = H * PAGE;
/** Five blocks: stored to and huge; the huge zero page; small pages; split; untouched. */
export const AREA = 0x10_0000_0000;
export const [OWN, CLEAN, SMALL, SPLIT, UNTOUCHED] = [0, 1, 2, 3, 4].map((block) => AREA + block * HUGE);
/** Three blocks of a reference page: untouched, loaded, stored to. */
export const REFERENCE = 0x18_0000_0000;
const [REF_UNTOUCHED, REF_CLEAN, REF_OWN] = [0, 1, 2].map((block) => REFERENCE + block * HUGE);
/** A few small pages for the kernel to copy from and to. */
const BUFFER = 0x20_0000_0000;
/** Shared memory that may be huge: a block with one page, and an untouched one. */
const SHARED = 0x28_0000_0000;
const FAR = 0x30_0000_0000;
const [RW, PRIVATE, FIXED] = [3, 0x22, 0x32];

export interface World {
  readonly kernel: Kernel;
  readonly process: Process;
  readonly cgroup: MemoryCgroup;
  readonly file: number;
  readonly pins: PinnedPages[];
}

export type Scenario = (world: World) => unknown;

/** Maps all that the scenarios work on. The kernel's huge pages are "always", of shared memory "advise". */
export function furnish(kernel: Kernel): World {
  const cgroup = kernel.createCgroup({ name: "group" });
  const process = kernel.createProcess({ name: "program", cgroup });
  const { memory } = process;
  process.mmap(AREA, 5 * HUGE, RW, FIXED);
  memory.setUint8(OWN, 7);
  memory.getUint8(CLEAN);
  for (const page of [0, 3, H - 1]) smallPage(process, SMALL + page * PAGE);
  memory.setUint8(SPLIT + PAGE, 8);
  process.madvise(SPLIT, PAGE, mman.MADV_DONTNEED);
  process.mmap(BUFFER, 4 * PAGE, RW, FIXED);
  memory.fill(BUFFER, 0x41, 4 * PAGE);
  const fd = refpage_create2(process, BUFFER, 4, 0);
  process.mmap(REFERENCE, 3 * HUGE, RW, 0x12, fd, 0);
  memory.getUint8(REF_CLEAN);
  memory.setUint8(REF_OWN, 9);
  process.mmap(SHARED, 2 * HUGE, RW, 0x31);
  memory.setUint8(SHARED, 5);
  const file = process.memfd_create("file");
  process.ftruncate(file, 2 * HUGE);
  return { kernel, process, cgroup, file, pins: [] };
}

/** A page of its own in a block that stays small: guards have been there. */
function smallPage(process: Process, address: number): void {
  process.madvise(address, PAGE, mman.MADV_GUARD_INSTALL);
  process.madvise(address, PAGE, mman.MADV_GUARD_REMOVE);
  process.memory.setUint8(address, 6);
}

const middle = (block: number): [number, number] => [block + 100 * PAGE, 7 * PAGE];

function pin(world: World, address: number, length: number, write: boolean): void {
  world.pins.push(world.process.pin(address, length, { write }));
}

/** A child that shares everything; the test ends it. */
function fork({ process }: World): Process {
  return process.fork();
}

export const scenarios: Readonly<Record<string, Scenario>> = {
  "the first store to a block": ({ process }) => process.memory.setUint8(UNTOUCHED + 5 * PAGE, 1),
  "the first load of a block": ({ process }) => process.memory.getUint8(UNTOUCHED + 5 * PAGE),
  "a store over the border of two blocks": ({ process }) => {
    const at = process.mmap(0, 2 * HUGE, RW, PRIVATE);
    process.memory.setFloat64(at + HUGE - 4, 1);
  },
  "a store to the huge zero page": ({ process }) => process.memory.setUint8(CLEAN + 9 * PAGE, 1),
  "stores to a split block": ({ process }) => process.memory.fill(SPLIT, 1, 3 * PAGE),
  "stores by the kernel": ({ process, file }) => {
    process.pwrite64(file, BUFFER, 4 * PAGE, 0);
    process.pread64(file, UNTOUCHED, 3 * PAGE, 0);
  },
  "fork, and stores in both": (world) => {
    const child = fork(world);
    for (const block of [OWN, CLEAN, SMALL, SPLIT]) {
      child.memory.setUint8(block, 1);
      world.process.memory.setUint8(block + PAGE, 1);
    }
  },
  "fork of a fork, and the ends in between": (world) => {
    const child = fork(world);
    const grandchild = child.fork();
    child.exit(0);
    grandchild.memory.setUint8(OWN, 1);
    world.process.memory.setUint8(OWN, 2);
  },
  "fork of a pinned huge page": (world) => {
    pin(world, OWN, 2 * PAGE, true);
    fork(world).memory.setUint8(OWN, 1);
  },
  "exec of a child": (world) => {
    const child = fork(world);
    child.memory.setUint8(CLEAN, 1);
    child.execve("again");
    child.mmap(AREA, 2 * HUGE, RW, FIXED);
    child.memory.setUint8(AREA, 1);
  },
  "munmap of the middle": ({ process }) => {
    for (const block of [OWN, CLEAN, SMALL, SPLIT, UNTOUCHED]) process.munmap(...middle(block));
    process.memory.setUint8(CLEAN, 1);
  },
  "mprotect of the middle, and back": ({ process }) => {
    for (const block of [OWN, CLEAN, SMALL, SPLIT, UNTOUCHED]) process.mprotect(...middle(block), 1);
    for (const block of [OWN, CLEAN, SMALL, SPLIT, UNTOUCHED]) process.mprotect(...middle(block), 3);
    process.memory.setUint8(CLEAN + 101 * PAGE, 1);
  },
  "mprotect of everything, and back": ({ process }) => {
    process.mprotect(AREA, 5 * HUGE, 0);
    process.mprotect(AREA, 5 * HUGE, 3);
    process.memory.setUint8(CLEAN + 101 * PAGE, 1);
  },
  "DONTNEED of the middle": ({ process }) => {
    for (const block of [OWN, CLEAN, SMALL, SPLIT, UNTOUCHED]) {
      process.madvise(...middle(block), mman.MADV_DONTNEED);
      process.memory.setUint8(block + 102 * PAGE, 1);
    }
  },
  "FREE and COLD of the middle": ({ process }) => {
    process.madvise(...middle(OWN), mman.MADV_FREE);
    process.madvise(...middle(SPLIT), mman.MADV_COLD);
  },
  "guards in the middle": ({ process }) => {
    for (const block of [OWN, CLEAN, UNTOUCHED]) process.madvise(...middle(block), mman.MADV_GUARD_INSTALL);
    process.memory.setUint8(UNTOUCHED, 1);
  },
  "mlock of the middle": ({ process }) => {
    for (const block of [OWN, CLEAN, SMALL, SPLIT, UNTOUCHED]) process.mlock(...middle(block));
  },
  "mlock of whole blocks": ({ process }) => process.mlock(OWN, 2 * HUGE) + process.mlock(UNTOUCHED, HUGE),
  "mlockall of what comes": ({ process }) => {
    process.mlockall(2);
    process.mmap(0, HUGE, RW, PRIVATE);
    process.munlockall();
  },
  MAP_POPULATE: ({ process }) => process.mmap(0, 2 * HUGE, RW, PRIVATE | mman.MAP_POPULATE),
  "POPULATE_WRITE and POPULATE_READ": ({ process }) => {
    process.madvise(OWN, 2 * HUGE, mman.MADV_POPULATE_WRITE);
    process.madvise(UNTOUCHED, HUGE, mman.MADV_POPULATE_READ);
  },
  "mremap by whole blocks": ({ process }) => {
    process.mremap(AREA, 5 * HUGE, 5 * HUGE, 3, FAR);
    process.memory.setUint8(FAR + HUGE, 1);
    process.mremap(FAR, 5 * HUGE, 5 * HUGE, 3, AREA);
  },
  "mremap by pages": ({ process }) => {
    process.mremap(AREA, 5 * HUGE, 5 * HUGE, 3, FAR + PAGE);
    process.memory.setUint8(FAR + PAGE + HUGE, 1);
    process.mremap(FAR + PAGE, 5 * HUGE, 5 * HUGE, 3, AREA);
  },
  "mremap that keeps the old": ({ process }) => {
    process.mremap(OWN, 2 * HUGE, 2 * HUGE, 7, FAR);
    process.memory.setUint8(OWN, 1);
    process.mremap(FAR, 2 * HUGE, 2 * HUGE, 3, OWN);
  },
  "mremap that grows what is locked": ({ process }) => {
    process.mlock(UNTOUCHED, HUGE);
    process.mremap(UNTOUCHED, HUGE, 2 * HUGE, 1);
  },
  "COLLAPSE of small pages": ({ process }) => process.madvise(SMALL, HUGE, mman.MADV_COLLAPSE),
  "COLLAPSE of every kind": ({ process }) => process.madvise(AREA, 4 * HUGE, mman.MADV_COLLAPSE),
  "COLLAPSE of a file's pages": ({ process, file }) => {
    const at = process.mmap(FAR, 2 * HUGE, RW, 0x11, file, 0);
    process.memory.setUint8(at + 3 * PAGE, 1);
    process.madvise(at, HUGE, mman.MADV_COLLAPSE);
    process.memory.setUint8(at + 4 * PAGE, 1);
    process.munmap(at, 2 * HUGE);
  },
  "COLLAPSE of a file with private copies": ({ process, file }) => {
    const at = process.mmap(FAR, 2 * HUGE, RW, 0x12, file, 0);
    // From here on a fork copies the area.
    process.memory.setUint8(at + HUGE, 1);
    process.memory.getUint8(at);
    process.madvise(at, HUGE, mman.MADV_COLLAPSE);
    process.fork().memory.setUint8(at + 5 * PAGE, 1);
    process.memory.setUint8(at + 4 * PAGE, 1);
    process.munmap(at, 2 * HUGE);
  },
  khugepaged: ({ kernel, process }) => {
    kernel.khugepaged(process);
    process.memory.setUint8(SMALL, 1);
  },
  "huge pages of shared memory": ({ process }) => {
    process.madvise(SHARED, 2 * HUGE, mman.MADV_HUGEPAGE);
    process.memory.setUint8(SHARED + HUGE + PAGE, 1);
    process.madvise(SHARED + HUGE, 5 * PAGE, mman.MADV_REMOVE);
    process.memory.setUint8(SHARED + HUGE, 1);
    process.fork().memory.setUint8(SHARED + HUGE + 9 * PAGE, 1);
  },
  "holes in a pinned huge page of shared memory": (world) => {
    const { process } = world;
    process.madvise(SHARED, 2 * HUGE, mman.MADV_HUGEPAGE);
    process.memory.setUint8(SHARED + HUGE + PAGE, 1);
    pin(world, SHARED + HUGE + 10 * PAGE, 2 * PAGE, true);
    process.madvise(SHARED + HUGE, 20 * PAGE, mman.MADV_REMOVE);
    process.memory.setUint8(SHARED + HUGE + 10 * PAGE, 2);
  },
  "truncation of a huge file": ({ process, file }) => {
    const at = process.mmap(FAR, 2 * HUGE, RW, 0x11, file, 0);
    process.madvise(at, 2 * HUGE, mman.MADV_HUGEPAGE);
    process.memory.setUint8(at, 1);
    process.ftruncate(file, 5 * PAGE);
    process.ftruncate(file, 2 * HUGE);
    process.memory.setUint8(at + 6 * PAGE, 1);
    process.munmap(at, 2 * HUGE);
  },
  "a pin for writing": (world) => {
    pin(world, UNTOUCHED, 3 * PAGE, true);
    pin(world, CLEAN, 3 * PAGE, true);
    world.process.madvise(CLEAN, HUGE, mman.MADV_DONTNEED);
  },
  "a pin for reading of what a child shares": (world) => {
    fork(world);
    pin(world, OWN, 3 * PAGE, false);
    pin(world, SPLIT + PAGE, PAGE, false);
  },
  "a pin that outlives its memory": (world) => {
    pin(world, OWN, 3 * PAGE, true);
    world.process.munmap(OWN, HUGE);
    world.process.mmap(OWN, HUGE, RW, FIXED);
    world.process.memory.setUint8(OWN, 1);
  },
  process_vm_writev: ({ process }) =>
    process.process_vm_writev(process.pid, [[BUFFER, 3 * PAGE]], [[UNTOUCHED, 3 * PAGE]]),
  "process_vm_writev to a child": (world) => {
    const child = fork(world);
    world.process.process_vm_writev(child.pid, [[BUFFER, 2 * PAGE]], [[OWN, 2 * PAGE]]);
    world.process.process_vm_readv(child.pid, [[CLEAN, 2 * PAGE]], [[OWN, 2 * PAGE]]);
  },
  "read of a pipe into a block": ({ process }) => {
    const [reader, writer] = process.pipe2(0o4000);
    process.write(writer, BUFFER, PAGE);
    process.read(reader, UNTOUCHED, PAGE);
    process.close(reader);
    process.close(writer);
  },
  "advice of either kind in the middle": ({ process }) => {
    process.madvise(...middle(OWN), mman.MADV_NOHUGEPAGE);
    process.madvise(...middle(OWN), mman.MADV_HUGEPAGE);
    process.memory.setUint8(OWN + 100 * PAGE, 1);
  },
  "brk over blocks": ({ process }) => {
    const end = process.brk(0);
    if (process.brk(end + 3 * HUGE) === end) throw new SystemError("ENOMEM", "brk");
    process.memory.setUint8(end + HUGE, 1);
    process.memory.setUint8(end + 2 * HUGE, 1);
  },
  "a reference page's first load": ({ process }) => process.memory.getUint8(REF_UNTOUCHED),
  "a new reference page, loaded and stored to": ({ process }) => {
    const fd = refpage_create2(process, BUFFER, 8, 0);
    const at = process.mmap(0, 2 * HUGE, RW, 2, fd, 0);
    process.memory.getUint8(at);
    process.memory.setUint8(at + HUGE, 1);
    process.memory.setUint8(at, 1);
    process.munmap(at, 2 * HUGE);
    process.close(fd);
  },
  "a reference page's first store": ({ process }) => process.memory.setUint8(REF_UNTOUCHED, 1),
  "a store to a loaded reference page": ({ process }) => process.memory.setUint8(REF_CLEAN + 5 * PAGE, 1),
  "reference pages after fork": (world) => {
    const child = fork(world);
    for (const block of [REF_UNTOUCHED, REF_CLEAN, REF_OWN]) {
      child.memory.setUint8(block, 1);
      world.process.memory.setUint8(block + PAGE, 1);
    }
  },
  "the middle of reference pages": ({ process }) => {
    for (const block of [REF_UNTOUCHED, REF_CLEAN, REF_OWN]) {
      process.mprotect(...middle(block), 1);
      process.madvise(...middle(block + 20 * PAGE), mman.MADV_DONTNEED);
      process.mlock(block + 90 * PAGE, 2 * PAGE);
      process.memory.setUint8(block, 1);
      process.munmap(...middle(block + 40 * PAGE));
    }
  },
  "mremap of reference pages by whole blocks": ({ process }) => {
    process.mremap(REFERENCE, 3 * HUGE, 3 * HUGE, 3, FAR);
    process.memory.setUint8(FAR + HUGE, 1);
    process.mremap(FAR, 3 * HUGE, 3 * HUGE, 3, REFERENCE);
  },
  "mremap of reference pages by pages": ({ process }) => {
    process.mremap(REFERENCE, 3 * HUGE, 3 * HUGE, 3, FAR + PAGE);
    process.memory.setUint8(FAR + PAGE, 1);
    process.mremap(FAR + PAGE, 3 * HUGE, 3 * HUGE, 3, REFERENCE);
  },
  "process_vm_writev to reference pages": ({ process }) => {
    for (const block of [REF_UNTOUCHED, REF_CLEAN, REF_OWN])
      process.process_vm_writev(process.pid, [[BUFFER, 2 * PAGE]], [[block, 2 * PAGE]]);
  },
  "a pin of a reference page": (world) => {
    pin(world, REF_CLEAN, 2 * PAGE, true);
    fork(world).memory.setUint8(REF_CLEAN, 1);
  },
};
