// Larger pages by emulation: one fault makes a whole group private, counts stay those of one fault, and areas end groups.
import { beforeEach, describe, expect, test } from "vitest";
import {
  type EmulatedPages,
  hugePageOptions,
  isEmulated,
  LargerPages,
} from "../../../../bench/lab/replay/larger-pages.ts";
import {
  MADV_DONTNEED,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_PRIVATE,
  PROT_READ,
  PROT_WRITE,
} from "../../../../platform/kernel/abi/mman.ts";
import type { Process } from "../../../../platform/kernel/process.ts";
import { createKernel, refpage_create2 } from "../../../../refpage/kernel.ts";

const PAGE = 4096;
const AREA = 2 ** 32;
let process: Process;
let larger: LargerPages;

function start(kind: EmulatedPages, pages = 1024): void {
  process = createKernel({ memoryBytes: 2 ** 26 }).createProcess();
  map(AREA, pages);
  larger = new LargerPages(process, kind);
}

function map(at: number, pages: number, fd = -1): void {
  const flags = MAP_PRIVATE | MAP_FIXED | (fd === -1 ? MAP_ANONYMOUS : 0);
  process.mmap(at, pages * PAGE, PROT_READ | PROT_WRITE, flags, fd);
}

const rss = (): number => process.rssBytes / PAGE;
const counters = () => process.kernel.counters;

describe("pages of 16 KiB", () => {
  beforeEach(() => start("16K"));

  test("a store makes four pages private and is one fault", () => {
    process.memory.setUint8(AREA + 5 * PAGE, 1);
    expect(rss()).toBe(4);
    expect(counters()).toMatchObject({ minorFaults: 1, anonymousWriteFaults: 1, ptesSet: 1, bytesZeroed: 4 * PAGE });
    expect(process.minorFaults).toBe(1);
    process.memory.setUint8(AREA + 7 * PAGE, 1);
    expect(counters().minorFaults).toBe(1);
    process.memory.setUint8(AREA + 8 * PAGE, 1);
    expect(counters().minorFaults).toBe(2);
  });

  test("a load maps four clean pages, and the store after it copies four in one fault", () => {
    process.memory.getUint8(AREA);
    expect([rss(), counters().minorFaults, counters().cleanReadFaults]).toEqual([0, 1, 1]);
    process.memory.setUint8(AREA, 1);
    expect([rss(), counters().minorFaults, counters().writeProtectFaults]).toEqual([4, 2, 1]);
    process.kernel.checkInvariants();
  });

  test("a group ends where its area ends", () => {
    map(AREA + 2 ** 30, 2);
    process.memory.setUint8(AREA + 2 ** 30, 1);
    expect(rss()).toBe(2);
  });

  test("reference pages fill the whole group", () => {
    process.memory.setUint8(AREA, 0xab);
    map(AREA + 2 ** 30, 16, refpage_create2(process, AREA, 1));
    const filled = counters().bytesFilled;
    process.memory.setUint8(AREA + 2 ** 30 + 5 * PAGE, 1);
    expect(counters().bytesFilled - filled).toBe(4 * PAGE);
    expect(process.memory.getUint8(AREA + 2 ** 30 + 6 * PAGE)).toBe(0xab);
  });

  test("cleared entries are counted by groups in the end", () => {
    for (let page = 0; page < 8; page++) process.memory.setUint8(AREA + page * PAGE, 1);
    process.madvise(AREA, 8 * PAGE, MADV_DONTNEED);
    expect(larger.settled(counters().snapshot())).toMatchObject({ ptesSet: 2, ptesZapped: 2 });
  });
});

test.each([
  ["4K", { enabled: "never" }],
  ["16K", { enabled: "never" }],
  ["64K", { enabled: "never" }],
  ["64K-folios", { enabled: "always", sizes: [64] }],
  ["huge", { enabled: "always" }],
] as const)("pages=%s is the kernel's own where it has them", (kind, options) => {
  expect(hugePageOptions(kind)).toEqual(options);
  expect(isEmulated(kind)).toBe(kind === "16K" || kind === "64K");
});
