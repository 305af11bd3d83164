// /proc/meminfo: sums over all processes in which each frame counts once, huge pages among them.
import { expect, test } from "vitest";
import {
  MADV_DONTNEED,
  MADV_HUGEPAGE,
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  MAP_SHARED,
  PROT_READ,
  PROT_WRITE,
} from "../../../../platform/kernel/abi/mman.ts";
import { Kernel } from "../../../../platform/kernel/kernel.ts";

const PAGE = 4096;
const HUGE = 512 * PAGE;
const READ_WRITE = PROT_READ | PROT_WRITE;

/** The lines as numbers, in KiB. */
function meminfo(kernel: Kernel): Record<string, number> {
  const lines = kernel.meminfo().trimEnd().split("\n");
  return Object.fromEntries(
    lines.map((line) => {
      const [, name, kib] = /^(\w+): +(\d+) kB$/.exec(line) ?? [];
      return [name, Number(kib)];
    }),
  );
}

test("a machine without a process has all of its memory free but the zero page's frame", () => {
  const kernel = new Kernel({ memoryBytes: 2 ** 24 });
  expect(meminfo(kernel)).toMatchObject({
    MemTotal: 16384,
    MemFree: 16380,
    AnonPages: 0,
    AnonHugePages: 0,
    PageTables: 0,
  });
});

test("lines are as wide as Linux's", () => {
  const kernel = new Kernel({ memoryBytes: 2 ** 24 });
  expect(kernel.meminfo().split("\n").slice(0, 2)).toEqual([
    "MemTotal:          16384 kB",
    "MemFree:           16380 kB",
  ]);
});

test("a huge page is huge as long as an entry maps it so, and counts once though a child shares it", () => {
  const kernel = new Kernel({ memoryBytes: 2 ** 25 }, { hugePages: { enabled: "madvise" } });
  const process = kernel.createProcess();
  const area = process.mmap(2 ** 30, 2 * HUGE, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
  process.madvise(area, 2 * HUGE, MADV_HUGEPAGE);
  process.memory.setUint8(area, 1);
  process.memory.setUint8(area + HUGE, 1);
  expect(meminfo(kernel)).toMatchObject({ AnonPages: 4096, AnonHugePages: 4096, PageTables: 8 });
  const child = process.fork();
  expect(meminfo(kernel)).toMatchObject({ AnonPages: 4096, AnonHugePages: 4096, PageTables: 16 });
  process.madvise(area, PAGE, MADV_DONTNEED);
  expect(meminfo(kernel)).toMatchObject({ AnonPages: 4096, AnonHugePages: 4096 });
  child.exit(0);
  expect(meminfo(kernel)).toMatchObject({ AnonPages: 4096 - 4, AnonHugePages: 2048 });
});

test("memory that processes share is cached, huge where its setting says so", () => {
  const kernel = new Kernel({ memoryBytes: 2 ** 25 }, { hugePages: { enabled: "always", shmem: "advise" } });
  const process = kernel.createProcess();
  const area = process.mmap(2 ** 30, 2 * HUGE, READ_WRITE, MAP_SHARED | MAP_ANONYMOUS);
  process.madvise(area, HUGE, MADV_HUGEPAGE);
  process.memory.setUint8(area, 1);
  process.memory.setUint8(area + HUGE, 1);
  expect(meminfo(kernel)).toMatchObject({
    Cached: 2048 + 4,
    Shmem: 2048 + 4,
    Mapped: 2048 + 4,
    AnonPages: 0,
    ShmemHugePages: 2048,
    ShmemPmdMapped: 2048,
  });
});
