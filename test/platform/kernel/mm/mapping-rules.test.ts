// Rules of single mapping calls that no recording has: the lowest address, the gap above the heap, droppable memory,
// userfaultfds that move.
import { beforeEach, describe, expect, test } from "vitest";
import { PAGE_SIZE } from "../../../../platform/hardware/layout.ts";
import { Machine } from "../../../../platform/hardware/machine.ts";
import { SystemError } from "../../../../platform/kernel/abi/errors.ts";
import * as mman from "../../../../platform/kernel/abi/mman.ts";
import { RLIMIT_AS, RLIMIT_DATA } from "../../../../platform/kernel/abi/rlimit.ts";
import { Kernel } from "../../../../platform/kernel/kernel.ts";
import { INITIAL_BRK } from "../../../../platform/kernel/mm/brk.ts";
import type { Process } from "../../../../platform/kernel/process.ts";
import { installRefpage } from "../../../../refpage/install.ts";
import { refpage_create } from "../../../../refpage/kernel.ts";

const machine = new Machine({ memoryBytes: 16 * 2 ** 20, mte: false });
const RW = mman.PROT_READ | mman.PROT_WRITE;
const ANONYMOUS = mman.MAP_PRIVATE | mman.MAP_ANONYMOUS;
const FIXED = ANONYMOUS | mman.MAP_FIXED;
const BASE = 0x10_0000_0000;
const page = (index: number) => BASE + index * PAGE_SIZE;
let kernel: Kernel;
let process: Process;

beforeEach(() => {
  kernel = new Kernel(machine);
  process = kernel.createProcess();
});

function outcome<T>(call: () => T): T | string {
  try {
    return call();
  } catch (error) {
    if (error instanceof SystemError) return error.code;
    throw error;
  }
}

describe("below vm.mmap_min_addr", () => {
  test.each([0, PAGE_SIZE, 15 * PAGE_SIZE])("an ordinary user maps nothing: mmap and mremap to %i are EPERM", (at) => {
    process.mmap(BASE, PAGE_SIZE, RW, FIXED);
    expect(outcome(() => process.mmap(at, PAGE_SIZE, RW, FIXED))).toBe("EPERM");
    expect(outcome(() => process.mremap(BASE, PAGE_SIZE, PAGE_SIZE, 3, at))).toBe("EPERM");
    kernel.checkInvariants();
  });

  test("64 KiB is the first address that may be mapped, and a lower hint means it", () => {
    expect(process.mmap(PAGE_SIZE, PAGE_SIZE, RW, ANONYMOUS)).toBe(16 * PAGE_SIZE);
    expect(process.mmap(17 * PAGE_SIZE, PAGE_SIZE, RW, FIXED)).toBe(17 * PAGE_SIZE);
  });

  test("a stack does not grow", () => {
    process.mmap(16 * PAGE_SIZE, PAGE_SIZE, RW, FIXED | mman.MAP_GROWSDOWN);
    expect(() => process.memory.setUint8(15 * PAGE_SIZE, 1)).toThrow("SEGV_MAPERR");
  });
});

describe("brk", () => {
  const heapEnd = (pages: number) => INITIAL_BRK + pages * PAGE_SIZE;

  test("leaves a page free below the next mapping", () => {
    process.mmap(heapEnd(8), PAGE_SIZE, RW, FIXED);
    expect(process.brk(heapEnd(8))).toBe(INITIAL_BRK);
    expect(process.brk(heapEnd(7))).toBe(heapEnd(7));
  });

  test("leaves the guard gap free below a stack", () => {
    process.mmap(heapEnd(300), PAGE_SIZE, RW, FIXED | mman.MAP_GROWSDOWN);
    expect(process.brk(heapEnd(300 - 256))).toBe(INITIAL_BRK);
    expect(process.brk(heapEnd(300 - 257))).toBe(heapEnd(300 - 257));
  });

  test("gives nothing up where the program has unmapped all that is to go", () => {
    process.brk(heapEnd(8));
    process.munmap(heapEnd(4), 4 * PAGE_SIZE);
    expect(process.brk(heapEnd(5))).toBe(heapEnd(8));
    expect(process.brk(heapEnd(2))).toBe(heapEnd(2));
    process.brk(heapEnd(8));
    process.munmap(INITIAL_BRK, 8 * PAGE_SIZE);
    expect(process.brk(INITIAL_BRK)).toBe(heapEnd(8));
    expect(process.brk(heapEnd(9))).toBe(heapEnd(9));
    expect(process.brk(heapEnd(9) - 1)).toBe(heapEnd(9) - 1);
  });
});

describe("droppable memory", () => {
  const DROPPABLE = mman.MAP_DROPPABLE | mman.MAP_ANONYMOUS | mman.MAP_FIXED;

  test("is not reserved, dumped, locked or kept on fork", () => {
    process.mmap(BASE, 2 * PAGE_SIZE, RW, DROPPABLE);
    process.memory.setUint8(BASE, 7);
    expect(process.procfs("smaps")).toContain("VmFlags: rd wr mr mw me nr wf dd dp \n");
    expect(process.mlock(BASE, PAGE_SIZE)).toBe(0);
    expect(process.procfs("status")).toContain("VmLck:\t       0 kB");
    expect(process.fork().memory.getUint8(BASE)).toBe(0);
    kernel.checkInvariants();
  });

  test.each([
    ["MAP_LOCKED", mman.MAP_LOCKED],
    ["MAP_GROWSDOWN", mman.MAP_GROWSDOWN],
  ])("is EINVAL with %s", (_, flag) => {
    expect(outcome(() => process.mmap(BASE, PAGE_SIZE, RW, DROPPABLE | flag))).toBe("EINVAL");
  });

  test.each([mman.MADV_KEEPONFORK, mman.MADV_DODUMP])("refuses advice %i", (advice) => {
    process.mmap(BASE, PAGE_SIZE, RW, DROPPABLE);
    expect(outcome(() => process.madvise(BASE, PAGE_SIZE, advice))).toBe("EINVAL");
  });
});

describe("process_vm_readv", () => {
  test("moves at most 0x7ffff000 bytes: of a longer single vector the rest is not even looked at", () => {
    process.mmap(BASE, PAGE_SIZE, RW, FIXED);
    process.mmap(page(1), PAGE_SIZE, RW, FIXED);
    const { pid } = process;
    expect(process.process_vm_readv(pid, [[page(1), 2 ** 62]], [[BASE, 8]])).toBe(8);
    const two = () =>
      process.process_vm_readv(
        pid,
        [
          [page(1), 8],
          [BASE, 2 ** 62],
        ],
        [[BASE, 8]],
      );
    expect(outcome(two)).toBe("EFAULT");
  });

  test.each(["readv", "writev"] as const)(
    "over its own bytes goes upwards, 64 at a time, whole steps: process_vm_%s",
    (way) => {
      process.mmap(BASE, PAGE_SIZE, RW, FIXED);
      for (const distance of [1, 8, 63, 64, 65, 200]) {
        const bytes = Uint8Array.from({ length: 1024 }, (_, i) => (i * 31 + (i >> 3)) & 255);
        process.memory.write(BASE, bytes);
        const [from, to] = [BASE + 16, BASE + 16 + distance];
        const call = way === "readv" ? process.process_vm_readv : process.process_vm_writev;
        const ends: [[number, number][], [number, number][]] =
          way === "readv" ? [[[to, 500]], [[from, 500]]] : [[[from, 500]], [[to, 500]]];
        expect(call.call(process, process.pid, ...ends)).toBe(500);
        for (let at = 0; at < 500; at += 64) {
          const step = Math.min(64, 500 - at);
          bytes.copyWithin(16 + distance + at, 16 + at, 16 + at + step);
        }
        expect(process.memory.read(BASE, 1024)).toEqual(bytes);
      }
    },
  );

  test("tries again what was short: its own copy may have made the rest", () => {
    // Both areas grow down, so that no guard gap keeps the upper one from coming down to the lower one.
    process.mmap(BASE, PAGE_SIZE, RW, FIXED | mman.MAP_GROWSDOWN);
    process.mmap(page(4), PAGE_SIZE, RW, FIXED | mman.MAP_GROWSDOWN);
    // What is copied of the first page goes over its end, and so makes the second page that is read.
    const read = () => process.process_vm_readv(process.pid, [[page(1) - 1, 2 * PAGE_SIZE]], [[BASE, 2 * PAGE_SIZE]]);
    expect(read()).toBe(2 * PAGE_SIZE);
  });
});

test("a process that can't have its descriptors leaves nothing open", () => {
  const small = new Kernel(machine, { fileMax: 5 });
  const first = small.createProcess();
  expect(outcome(() => small.createProcess())).toBe("ENFILE");
  expect(small.openFiles).toBe(3);
  first.close(0);
  small.checkInvariants();
});

test("MADV_FREE of 64 pages: smaps shows the two full batches as LazyFree, all 64 after a drain, and none as referenced", () => {
  process.mmap(BASE, 64 * PAGE_SIZE, RW, FIXED);
  process.memory.fill(BASE, 1, 64 * PAGE_SIZE);
  const shown = (name: string) => Number(new RegExp(`^${name}: +(\\d+) kB$`, "m").exec(process.procfs("smaps"))?.[1]);
  expect([shown("LazyFree"), shown("Referenced")]).toEqual([0, 256]);
  process.madvise(BASE, 64 * PAGE_SIZE, mman.MADV_FREE);
  expect([shown("LazyFree"), shown("Referenced"), shown("Rss")]).toEqual([248, 0, 256]);
  process.madvise(BASE, PAGE_SIZE, mman.MADV_POPULATE_READ);
  expect(shown("LazyFree")).toBe(256);
  process.memory.setUint8(BASE, 2);
  expect([shown("LazyFree"), shown("Referenced")]).toEqual([252, 4]);
  process.munmap(BASE, 64 * PAGE_SIZE);
  process.mmap(BASE, 64 * PAGE_SIZE, RW, FIXED);
  process.memory.fill(BASE, 1, 64 * PAGE_SIZE);
  expect(shown("LazyFree")).toBe(0);
});

describe("a mapping of a file", () => {
  test("ends one page below offset 2^63 at the latest", () => {
    const file = process.memfd_create("file");
    const last = 2 ** 63 - 2 * PAGE_SIZE;
    expect(outcome(() => process.mmap(BASE, PAGE_SIZE, RW, mman.MAP_SHARED | mman.MAP_FIXED, file, last))).toBe(BASE);
    expect(outcome(() => process.mmap(BASE, PAGE_SIZE, RW, mman.MAP_SHARED, file, last + PAGE_SIZE))).toBe("EOVERFLOW");
    expect(outcome(() => process.mmap(BASE, 2 * PAGE_SIZE, RW, mman.MAP_SHARED, file, last))).toBe("EOVERFLOW");
    kernel.checkInvariants();
  });

  test("of a reference page ends one page below 2^64", () => {
    installRefpage(kernel);
    process.mmap(BASE, PAGE_SIZE, RW, FIXED);
    const clean = refpage_create(process, BASE, 0);
    const at = (offset: number) =>
      process.mmap(page(8), PAGE_SIZE, RW, mman.MAP_PRIVATE | mman.MAP_FIXED, clean, offset);
    expect(outcome(() => at(2 ** 63))).toBe(page(8));
    expect(outcome(() => at(2 ** 64 - 2 * PAGE_SIZE))).toBe(page(8));
    kernel.checkInvariants();
  });
});

describe("mremap with MREMAP_DONTUNMAP", () => {
  const move = (pages: number, to: number) =>
    process.mremap(BASE, pages * PAGE_SIZE, pages * PAGE_SIZE, mman.MREMAP_MAYMOVE | mman.MREMAP_DONTUNMAP, to);

  test.each([
    ["RLIMIT_AS", RLIMIT_AS],
    ["RLIMIT_DATA", RLIMIT_DATA],
  ])("needs room for both areas within %s, and changes nothing without it", (_, limit) => {
    process.mmap(BASE, 8 * PAGE_SIZE, RW, FIXED);
    const { totalPages, dataPages } = process.addressSpace;
    const used = limit === RLIMIT_AS ? totalPages : dataPages;
    process.setrlimit(limit, (used + 7) * PAGE_SIZE);
    const before = process.procfs("maps");
    expect(outcome(() => move(8, page(100)))).toBe("ENOMEM");
    expect(process.procfs("maps")).toBe(before);
    process.setrlimit(limit, (used + 8) * PAGE_SIZE);
    expect(outcome(() => move(8, page(100)))).toBe(page(100));
    kernel.checkInvariants();
  });
});

test("a mapping of a file that moves is still one that the file knows", () => {
  const file = process.memfd_create("file");
  process.ftruncate(file, 4 * PAGE_SIZE);
  const at = process.mmap(0, 4 * PAGE_SIZE, RW, mman.MAP_SHARED, file);
  process.memory.setUint8(at, 1);
  expect(process.mremap(at, 4 * PAGE_SIZE, 4 * PAGE_SIZE, 3, page(64))).toBe(page(64));
  kernel.checkInvariants();
  process.ftruncate(file, 0);
  expect(() => process.memory.getUint8(page(64))).toThrow("BUS_ADRERR");
  kernel.checkInvariants();
});
