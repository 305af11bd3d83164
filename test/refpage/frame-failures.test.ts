// The n-th frame allocation fails, for every n, in programs of every kind: the step that needed it gives the right errno or
// signal, all invariants hold, nothing is leaked, and kernel and process can be used as before.
import { describe, expect, test } from "vitest";
import { BusError, SegmentationFault } from "../../platform/hardware/faults.ts";
import { PAGE_SIZE } from "../../platform/hardware/layout.ts";
import { Machine } from "../../platform/hardware/machine.ts";
import { OutOfMemoryError, SystemError } from "../../platform/kernel/abi/errors.ts";
import * as mman from "../../platform/kernel/abi/mman.ts";
import type { Kernel } from "../../platform/kernel/kernel.ts";
import { INITIALISATION_POLICIES } from "../../platform/kernel/mm/frames.ts";
import type { PinnedPages } from "../../platform/kernel/mm/gup.ts";
import type { Process } from "../../platform/kernel/process.ts";
import { createKernel, refpage_create, refpage_create2 } from "../../refpage/kernel.ts";

const machine = new Machine({ memoryBytes: 16 * 2 ** 20, mte: true });
const { PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_SHARED, MAP_ANONYMOUS, MAP_POPULATE, MREMAP_MAYMOVE } = mman;
const RW = PROT_READ | PROT_WRITE;
const PRIVATE = MAP_PRIVATE | MAP_ANONYMOUS;
const PAGES = 4;
const LENGTH = PAGES * PAGE_SIZE;

interface Program {
  /** What a failing allocation becomes, as errno or signal. Absent: nothing, the call is done without the page. */
  readonly failure?: string;
  /** Allocations that it needs. */
  readonly frames: number;
  /** @returns the address that it works on. */
  prepare?(process: Process): number;
  run(process: Process, at: number): unknown;
}

/** Pages that are pinned until the program's end. */
const pins: PinnedPages[] = [];

function touched(process: Process, flags = PRIVATE): number {
  const at = process.mmap(0, LENGTH, RW, flags);
  process.memory.fill(at, 7, LENGTH);
  return at;
}

function file(process: Process): number {
  const at = touched(process);
  const fd = process.memfd_create("file");
  process.write(fd, at, LENGTH);
  process.munmap(at, LENGTH);
  return fd;
}

const programs: Record<string, Program> = {
  "stores to new pages": {
    failure: "SIGKILL",
    frames: PAGES,
    prepare: (process) => process.mmap(0, LENGTH, RW, PRIVATE),
    run: (process, at) => process.memory.fill(at, 1, LENGTH),
  },
  "a store over a page border": {
    failure: "SIGKILL",
    frames: 2,
    prepare: (process) => process.mmap(0, LENGTH, RW, PRIVATE),
    run: (process, at) => process.memory.setFloat64(at + PAGE_SIZE - 4, 1),
  },
  "stores after loads": {
    failure: "SIGKILL",
    frames: PAGES,
    prepare(process) {
      const at = process.mmap(0, LENGTH, RW, PRIVATE);
      process.memory.read(at, LENGTH);
      return at;
    },
    run: (process, at) => process.memory.fill(at, 1, LENGTH),
  },
  "mmap with MAP_POPULATE": { frames: PAGES, run: (process) => process.mmap(0, LENGTH, RW, PRIVATE | MAP_POPULATE) },
  "shared memory with MAP_POPULATE": {
    frames: PAGES,
    run: (process) => process.mmap(0, LENGTH, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE),
  },
  "loads of shared memory": {
    failure: "SIGKILL",
    frames: PAGES,
    prepare: (process) => process.mmap(0, LENGTH, RW, MAP_SHARED | MAP_ANONYMOUS),
    run: (process, at) => process.memory.read(at, LENGTH),
  },
  "copies after a fork": {
    failure: "SIGKILL",
    frames: 2 * PAGES,
    prepare: (process) => touched(process),
    run(process, at) {
      const child = process.fork();
      child.memory.fill(at, 1, LENGTH);
      const grandchild = child.fork();
      grandchild.memory.fill(at, 2, LENGTH);
    },
  },
  "fork with pinned pages": {
    failure: "ENOMEM",
    frames: PAGES,
    prepare(process) {
      const at = touched(process);
      pins.push(process.pin(at, LENGTH, { write: true }));
      return at;
    },
    run: (process) => process.fork(),
  },
  "a pin for writing": {
    failure: "ENOMEM",
    frames: PAGES,
    prepare: (process) => process.mmap(0, LENGTH, RW, PRIVATE),
    run: (process, at) => process.pin(at, LENGTH, { write: true }).release(),
  },
  "private copies of a file": {
    failure: "SIGKILL",
    frames: PAGES,
    prepare: (process) => process.mmap(0, LENGTH, RW, MAP_PRIVATE, file(process), 0),
    run: (process, at) => process.memory.fill(at, 1, LENGTH),
  },
  "private copies of a file's holes": {
    failure: "SIGKILL",
    frames: 2 * PAGES,
    prepare(process) {
      const fd = process.memfd_create("file");
      process.ftruncate(fd, LENGTH);
      return process.mmap(0, LENGTH, RW, MAP_PRIVATE, fd, 0);
    },
    run: (process, at) => process.memory.fill(at, 1, LENGTH),
  },
  "write to a file": {
    failure: "ENOMEM",
    frames: PAGES,
    prepare: (process) => touched(process),
    run(process, at) {
      const fd = process.memfd_create("file");
      for (let done = 0; done < LENGTH; ) done += process.write(fd, at + done, LENGTH - done);
    },
  },
  "read from a file to new pages": {
    failure: "EFAULT",
    frames: PAGES,
    prepare(process) {
      const fd = file(process);
      process.dup3(fd, 10);
      return process.mmap(0, LENGTH, RW, PRIVATE);
    },
    run(process, at) {
      for (let done = 0; done < LENGTH; ) done += process.pread64(10, at + done, LENGTH - done, done);
    },
  },
  "process_vm_writev to new pages": {
    failure: "EFAULT",
    frames: PAGES,
    prepare: (process) => touched(process),
    run(process, at) {
      const to = process.mmap(0, LENGTH, RW, PRIVATE);
      for (let done = 0; done < LENGTH; ) {
        done += process.process_vm_writev(process.pid, [[at + done, LENGTH - done]], [[to + done, LENGTH - done]]);
      }
    },
  },
  mlock: {
    failure: "EAGAIN",
    frames: PAGES,
    prepare: (process) => process.mmap(0, LENGTH, RW, PRIVATE),
    run: (process, at) => process.mlock(at, LENGTH),
  },
  "mlockall for the future, and mmap": {
    frames: PAGES,
    run(process) {
      process.mlockall(mman.MCL_FUTURE);
      process.mmap(0, LENGTH, RW, PRIVATE);
    },
  },
  "mremap that grows a locked area": {
    frames: PAGES,
    prepare(process) {
      const at = touched(process);
      process.mlock(at, LENGTH);
      return at;
    },
    run: (process, at) => process.mremap(at, LENGTH, 2 * LENGTH, MREMAP_MAYMOVE),
  },
  "mprotect of a locked area": {
    frames: PAGES,
    prepare(process) {
      const at = process.mmap(0, LENGTH, PROT_READ, PRIVATE);
      process.mlock(at, LENGTH);
      return at;
    },
    run: (process, at) => process.mprotect(at, LENGTH, RW),
  },
  MADV_POPULATE_WRITE: {
    failure: "ENOMEM",
    frames: PAGES,
    prepare: (process) => process.mmap(0, LENGTH, RW, PRIVATE),
    run: (process, at) => process.madvise(at, LENGTH, mman.MADV_POPULATE_WRITE),
  },
  "refpage_create, first form": {
    failure: "ENOMEM",
    frames: 1,
    prepare: (process) => touched(process),
    run: (process, at) => refpage_create(process, at),
  },
  "refpage_create, second form": {
    failure: "ENOMEM",
    frames: 1,
    prepare: (process) => touched(process),
    run: (process, at) => refpage_create2(process, at, 16),
  },
  "stores to a mapping of a reference page": {
    failure: "SIGKILL",
    frames: PAGES,
    prepare(process) {
      const fd = refpage_create(process, touched(process));
      const at = process.mmap(0, LENGTH, RW, MAP_PRIVATE, fd, 0);
      process.memory.getUint8(at);
      return at;
    },
    run: (process, at) => process.memory.fill(at, 1, LENGTH),
  },
};

/** What a program got, by errno or signal. */
function outcomeOf(run: () => unknown): string {
  try {
    run();
    return "done";
  } catch (error) {
    if (error instanceof SystemError) return error.code;
    if (error instanceof OutOfMemoryError || error instanceof SegmentationFault || error instanceof BusError) {
      return error.signal;
    }
    throw error;
  }
}

interface Start {
  readonly kernel: Kernel;
  readonly process: Process;
  readonly at: number;
  readonly freeAtStart: number;
}

function start({ prepare }: Program, initialisation: (typeof INITIALISATION_POLICIES)[number]): Start {
  const kernel = createKernel(machine, { initialisation });
  const freeAtStart = kernel.frames.freeFrames;
  const process = kernel.createProcess({ cgroup: kernel.createCgroup({ name: "all" }) });
  return { kernel, process, at: prepare?.(process) ?? 0, freeAtStart };
}

/** Ends everything, as far as a test can; all that is not free then has leaked. */
function endAll(kernel: Kernel): void {
  for (const process of [...kernel.processes.values()]) process.exit(0);
  for (const pin of pins.splice(0)) pin.release();
}

describe.each(INITIALISATION_POLICIES)("with initialisation %s", (policy) => {
  test.each(Object.entries(programs))("%s", (_, program) => {
    for (let n = 1; n <= program.frames + 1; n++) {
      const { kernel, process, at, freeAtStart } = start(program, policy);
      const before = kernel.counters.framesAllocated;
      kernel.frames.failAt(n);
      const outcome = outcomeOf(() => program.run(process, at));
      kernel.frames.failAt(-1);
      kernel.checkInvariants();

      if (n > program.frames) {
        expect(outcome).toBe("done");
        expect(kernel.counters.framesAllocated - before).toBe(program.frames);
      } else if (program.failure === undefined) expect(outcome).toBe("done");
      else if (n === 1) expect(outcome).toBe(program.failure);
      // A call that had done part of its work says so, and is called again for the rest.
      else expect(["done", program.failure]).toContain(outcome);

      const again = process.mmap(0, LENGTH, RW, PRIVATE);
      process.memory.fill(again, 3, LENGTH);
      expect(outcomeOf(() => program.run(process, at))).toBe("done");
      kernel.checkInvariants();
      endAll(kernel);
      kernel.checkInvariants();
      expect([kernel.frames.freeFrames, kernel.committedPages, kernel.openFiles]).toEqual([freeAtStart, 0, 0]);
    }
  });
});
