// System calls and accesses for nth-failure.test.ts, each on a world with something of every kind. No test in here.
import { PAGE_SIZE as PAGE } from "../../../platform/hardware/layout.ts";
import type { Kernel } from "../../../platform/kernel/kernel.ts";
import type { MemoryCgroup } from "../../../platform/kernel/mm/cgroup.ts";
import type { Process } from "../../../platform/kernel/process.ts";
import { refpage_create, refpage_create2 } from "../../../refpage/kernel.ts";

export const AREA = 0x10_0000_0000;
/** Eight pages, every second touched; behind them nothing. */
export const PAGES = 8;
/** Four touched pages for the kernel to copy from and to, outside the area. */
export const BUFFER = 0x20_0000_0000;
export const BUFFER_PAGES = 4;
const FAR = 0x30_0000_0000;
const [RW, PRIVATE, SHARED, POPULATE, LOCKED] = [3, 0x22, 0x21, 0x8000, 0x2000];

export interface World {
  readonly kernel: Kernel;
  readonly process: Process;
  readonly cgroup: MemoryCgroup;
  readonly file: number;
  readonly readEnd: number;
  readonly writeEnd: number;
}

export type Scenario = (world: World) => unknown;

const EXTENSION_FLAG = 0x200000;
const EXTENSION_ADVICE = 300;

/** Once a kernel: a flag and an advice whose areas hold a file of the extension's own. */
function extend(kernel: Kernel): void {
  if (kernel.extensions.mmapFlags !== 0) return;
  const openOwn = () => kernel.openFile({ path: "[extension]", seekable: false }, null, 0, "mmap");
  kernel.extend({
    name: "extension",
    mmapFlags: [
      {
        name: "MAP_EXTENSION",
        bit: EXTENSION_FLAG,
        mmap: (request) => {
          request.file = openOwn();
        },
      },
    ],
    advice: [
      {
        name: "MADV_EXTENSION",
        number: EXTENSION_ADVICE,
        madvise: (request) => {
          request.file = openOwn();
        },
      },
    ],
  });
}

const bytes = BUFFER_PAGES * PAGE;
const vectors = (at: number): [number, number][] => [[at, bytes]];

/** Children and mappings that a scenario makes are left to the test, which ends every process. */
export const scenarios: Readonly<Record<string, Scenario>> = {
  "mmap of anonymous memory": ({ process }) => process.mmap(0, 4 * PAGE, RW, PRIVATE),
  "mmap that populates": ({ process }) => process.mmap(0, 4 * PAGE, RW, PRIVATE | POPULATE),
  "mmap of locked memory": ({ process }) => process.mmap(0, 4 * PAGE, RW, PRIVATE | LOCKED),
  "mmap of shared memory that populates": ({ process }) => process.mmap(0, 4 * PAGE, RW, SHARED | POPULATE),
  "mmap of a file": ({ process, file }) => process.mmap(0, 4 * PAGE, RW, 1, file, 0),
  "mmap of a file, privately, that populates": ({ process, file }) =>
    process.mmap(0, 4 * PAGE, RW, 2 | POPULATE, file, 0),
  "mmap over the middle of an area": ({ process }) => process.mmap(AREA + 2 * PAGE, 2 * PAGE, 1, PRIVATE | 0x10),
  "munmap of the middle": ({ process }) => process.munmap(AREA + 2 * PAGE, 2 * PAGE),
  "mprotect of the middle": ({ process }) => process.mprotect(AREA + 2 * PAGE, 2 * PAGE, 1),
  "mprotect of everything": ({ process }) =>
    process.mprotect(AREA, PAGES * PAGE, 0) + process.mprotect(AREA, PAGES * PAGE, 3),
  "madvise DONTFORK of the middle": ({ process }) => process.madvise(AREA + 2 * PAGE, 2 * PAGE, 10),
  "madvise HUGEPAGE of the middle": ({ process }) => process.madvise(AREA + 2 * PAGE, 2 * PAGE, 14),
  "madvise DONTNEED": ({ process }) => process.madvise(AREA, PAGES * PAGE, 4),
  "madvise FREE": ({ process }) => process.madvise(AREA, PAGES * PAGE, 8),
  "madvise POPULATE_WRITE": ({ process }) => process.madvise(AREA, PAGES * PAGE, 23),
  "madvise POPULATE_READ": ({ process }) => process.madvise(AREA, PAGES * PAGE, 22),
  "madvise GUARD_INSTALL": ({ process }) => process.madvise(AREA + 5 * PAGE, PAGE, 102),
  "mremap that moves": ({ process }) => process.mremap(AREA + 2 * PAGE, 2 * PAGE, 2 * PAGE, 3, FAR),
  "mremap that grows": ({ process }) => process.mremap(AREA, PAGES * PAGE, 2 * PAGES * PAGE, 1),
  "mremap that shrinks": ({ process }) => process.mremap(AREA, PAGES * PAGE, 4 * PAGE, 0),
  "mremap that keeps the old": ({ process }) => process.mremap(AREA + 2 * PAGE, 2 * PAGE, 2 * PAGE, 5),
  mlock: ({ process }) => process.mlock(AREA, PAGES * PAGE),
  "mlock of the middle": ({ process }) => process.mlock(AREA + 3 * PAGE, 2 * PAGE),
  "mlock2 at faults": ({ process }) => process.mlock2(AREA, PAGES * PAGE, 1),
  "munlock of the middle": ({ process }) => process.mlock(AREA, PAGES * PAGE) + process.munlock(AREA + 2 * PAGE, PAGE),
  "mlockall of what is there": ({ process }) => process.mlockall(1),
  "mlockall of what comes": ({ process }) => process.mlockall(2) + process.mmap(0, 2 * PAGE, RW, PRIVATE),
  "brk that grows": ({ process }) => process.brk(process.brk(0) + 3 * PAGE),
  fork: ({ process }) => process.fork(),
  "fork and stores in both": ({ process }) => {
    const child = process.fork();
    child.memory.setUint8(AREA, 1);
    process.memory.setUint8(AREA + 2 * PAGE, 1);
  },
  execve: ({ process }) => process.fork().execve("again"),
  "first stores": ({ process }) => process.memory.fill(AREA, 7, PAGES * PAGE),
  "first loads": ({ process }) => process.memory.read(AREA, PAGES * PAGE),
  "stores to a private file": ({ process, file }) => {
    const at = process.mmap(0, 2 * PAGE, RW, 2, file, 0);
    process.memory.fill(at, 7, 2 * PAGE);
  },
  "stores to a shared file": ({ process, file }) => {
    const at = process.mmap(0, 2 * PAGE, RW, 1, file, 0);
    process.memory.fill(at, 7, 2 * PAGE);
  },
  memfd_create: ({ process }) => process.memfd_create("another"),
  ftruncate: ({ process, file }) => process.ftruncate(file, 16 * PAGE),
  "fallocate that punches": ({ process, file }) => process.fallocate(file, 3, 0, PAGE),
  dup: ({ process, file }) => process.dup(file),
  dup3: ({ process, file }) => process.dup3(file, 60),
  "fcntl F_DUPFD": ({ process, file }) => process.fcntl(file, 0, 20),
  "open of a descriptor": ({ process, file }) => process.open(`/proc/self/fd/${file}`, 2),
  pipe2: ({ process }) => process.pipe2(),
  "write to a pipe": ({ process, writeEnd }) => process.write(writeEnd, BUFFER, bytes),
  "read from a pipe": ({ process, readEnd, writeEnd }) =>
    process.write(writeEnd, AREA, PAGE) + process.read(readEnd, BUFFER, bytes),
  "pwrite to a file": ({ process, file }) => process.pwrite64(file, BUFFER, bytes, 0),
  "pread of a file": ({ process, file }) => process.pread64(file, BUFFER, bytes, 0),
  process_vm_readv: ({ process }) => process.process_vm_readv(process.pid, vectors(BUFFER), vectors(AREA)),
  process_vm_writev: ({ process }) => process.process_vm_writev(process.pid, vectors(BUFFER), vectors(AREA)),
  "a pin for writing": ({ process }) => process.pin(AREA, PAGES * PAGE, { write: true }).release(),
  "mincore by number": ({ process }) => process.syscall("mincore", AREA, PAGES * PAGE, BUFFER),
  "fstat by number": ({ process, file }) => process.syscall("fstat", file, BUFFER),
  "pipe2 by number": ({ process }) => process.syscall("pipe2", BUFFER, 0),
  "memfd_create by number": ({ process }) => process.syscall("memfd_create", BUFFER, 0),
  "prlimit64 by number": ({ process }) => process.syscall("prlimit64", 0, 7, 0, BUFFER),
  "mmap by an extension's flag, which opens a file": ({ kernel, process }) => {
    extend(kernel);
    const at = process.mmap(0, 2 * PAGE, RW, PRIVATE | EXTENSION_FLAG);
    process.memory.fill(at, 7, 2 * PAGE);
    process.munmap(at, PAGE);
  },
  "an extension's advice, which opens a file, for the middle": ({ kernel, process }) => {
    extend(kernel);
    process.madvise(AREA + 2 * PAGE, 2 * PAGE, EXTENSION_ADVICE);
  },
  refpage_create: ({ process }) => refpage_create(process, BUFFER, 0),
  refpage_create2: ({ process }) => refpage_create2(process, BUFFER, 8, 0),
  "stores to a reference page": ({ process }) => {
    const descriptor = refpage_create2(process, BUFFER, 4, 0);
    process.memory.setUint8(process.mmap(0, PAGE, RW, 2, descriptor, 0), 1);
    process.close(descriptor);
  },
};
