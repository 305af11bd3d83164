// Scans of an address space, page maps made of them, and samples whose number stays bounded.
import { expect, test } from "vitest";
import { pageMap } from "../../../../bench/lab/replay/page-map.ts";
import { MAP_BLOCK_PAGES, scanPages } from "../../../../bench/lab/replay/page-scan.ts";
import type { Replayer } from "../../../../bench/lab/replay/replayer.ts";
import { Sampler } from "../../../../bench/lab/replay/sampler.ts";
import {
  MADV_DONTNEED,
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
} from "../../../../platform/kernel/abi/mman.ts";
import type { Process } from "../../../../platform/kernel/process.ts";
import { createKernel, refpage_create2 } from "../../../../refpage/kernel.ts";

const PAGE = 4096;
const READ_WRITE = PROT_READ | PROT_WRITE;

function newProcess(): Process {
  return createKernel({ memoryBytes: 2 ** 25 }).createProcess();
}

/** 64 pages of a reference page, at a multiple of 64 KiB. */
function mapReference(process: Process): number {
  const content = process.mmap(0, PAGE, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
  process.memory.fill(content, 0xab, PAGE);
  const fd = refpage_create2(process, content, 1);
  process.munmap(content, PAGE);
  return process.mmap(2 ** 30, 64 * PAGE, READ_WRITE, MAP_PRIVATE, fd);
}

test("private, zero and clean pages are told apart; memory without access counts only where it holds pages", () => {
  const process = newProcess();
  const plain = process.mmap(2 ** 31, 32 * PAGE, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
  const reference = mapReference(process);
  process.mmap(0, 1000 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS);
  process.memory.setUint8(plain, 1);
  process.memory.getUint8(plain + PAGE);
  process.memory.setUint8(reference + 5 * PAGE, 1);
  process.memory.getUint8(reference + 6 * PAGE);
  expect(scanPages(process.addressSpace)).toMatchObject({ privatePages: 2, zeroPages: 31, cleanPages: 63 });
});

test("larger base pages are resident as soon as a part is", () => {
  const process = newProcess();
  const plain = process.mmap(2 ** 31, 1024 * PAGE, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
  const reference = mapReference(process);
  for (const page of [0, 3, 4, 600]) process.memory.setUint8(plain + page * PAGE, 1);
  process.memory.setUint8(reference, 1);
  process.memory.setUint8(reference + PAGE, 1);
  expect(scanPages(process.addressSpace).groupRssBytes).toEqual({
    "16 KiB": (3 + 1) * 4 * PAGE,
    "64 KiB": (2 + 1) * 16 * PAGE,
  });
});

test("private pages are told apart by what maps them, also where a huge entry was not used since it was made", () => {
  const kernel = createKernel({ memoryBytes: 2 ** 25 }, { hugePages: { enabled: "always" } });
  const process = kernel.createProcess();
  const area = process.mmap(2 ** 31, 1024 * PAGE, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
  process.memory.setUint8(area, 1);
  const child = process.fork();
  child.memory.setUint8(area + 1023 * PAGE, 1);
  child.madvise(area + 513 * PAGE, PAGE, MADV_DONTNEED);
  const { blocks, privatePages } = scanPages(child.addressSpace);
  expect(privatePages).toBe(512 + 511);
  expect([...blocks.values()]).toEqual([
    { private: 0, huge: 512, zero: 0, clean: 0 },
    { private: 511, huge: 0, zero: 1, clean: 0 },
  ]);
});

test("a page map has a row for each range that was ever mapped, and merges them until they are few", () => {
  const scan = (blocks: number[]) => ({
    privatePages: 0,
    zeroPages: 0,
    cleanPages: 0,
    groupRssBytes: { "16 KiB": 0, "64 KiB": 0 },
    blocks: new Map(blocks.map((block) => [block, { private: 1, zero: 2, clean: 3, huge: 4 }])),
  });
  const few = pageMap([
    { operation: 0, scan: scan([5]) },
    { operation: 10, scan: scan([5, 90]) },
  ]);
  expect(few).toEqual({
    operations: [0, 10],
    addresses: [5 * 2 ** 21, 90 * 2 ** 21],
    rowBytes: MAP_BLOCK_PAGES * PAGE,
    pages: [
      [1, 2, 3, 4, 1, 2, 3, 4],
      [0, 0, 0, 0, 1, 2, 3, 4],
    ],
  });
  const many = pageMap([{ operation: 0, scan: scan(Array.from({ length: 1000 }, (_, block) => block)) }]);
  expect(many.addresses.length).toBe(63);
  expect(many.rowBytes).toBe(16 * 2 ** 21);
  expect(many.pages[0]).toEqual([16, 32, 48, 64]);
});

test("however long a replay is, its samples stay few, evenly spread, and the mean weighs every operation", () => {
  const process = newProcess();
  const sampler = new Sampler(process, process.kernel.counters);
  const state = { tally: { operations: 0 }, blocks: { liveBytes: 0 } } as unknown as Replayer;
  const area = process.mmap(0, PAGE, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
  let next = 0;
  for (let operation = 0; operation < 100_000; operation++) {
    if (operation === 50_000) process.memory.setUint8(area, 1);
    if (operation < next) continue;
    state.tally.operations = operation;
    next = sampler.take(state);
  }
  state.tally.operations = 100_000;
  sampler.finish(state);
  const { operation } = sampler.samples;
  expect(operation.length).toBeGreaterThan(250);
  expect(operation.length).toBeLessThan(514);
  expect(sampler.scans.length).toBeLessThan(120);
  const steps = new Set(operation.slice(1, -1).map((value, index) => value - operation[index]));
  expect(steps.size).toBe(1);
  expect(sampler.meanRssBytes / PAGE).toBeCloseTo(0.5, 1);
});
