// Transparent huge pages where the recordings cannot look: memory that is short, cgroups, khugepaged's step, pins, counters.
// What a real kernel did is replayed in test/bench/conformance/thp.
import { describe, expect, test } from "vitest";
import { Machine } from "../../../../platform/hardware/machine.ts";
import { Kernel, type KernelOptions } from "../../../../platform/kernel/kernel.ts";
import type { Process } from "../../../../platform/kernel/process.ts";

const PAGE = 4096;
const H = 512;
const HUGE = H * PAGE;
const BASE = 2 ** 32;
const FLAGS = 0x32;
const DONTNEED = 4;
const COLLAPSE = 25;

/** 32 MiB: 16 blocks, of which the first holds the zero page. */
const machine = new Machine({ memoryBytes: 2 ** 25, mte: false });

function start(options: KernelOptions = {}, limitBytes?: number): Process {
  const kernel = new Kernel(machine, { hugePages: { enabled: "always" }, ...options });
  const cgroup = limitBytes === undefined ? undefined : kernel.createCgroup({ name: "group", limitBytes });
  return kernel.createProcess({ cgroup });
}

function map(process: Process, blocks: number, at = BASE): number {
  return process.mmap(at, blocks * HUGE, 3, FLAGS);
}

const store = (process: Process, block: number, page = 0) =>
  process.memory.setUint8(BASE + block * HUGE + page * PAGE, 1);
const rss = (process: Process) => process.rssBytes / PAGE;

describe("a huge fault", () => {
  test("counts one fault, 512 zeroed frames and one entry", () => {
    const process = start();
    map(process, 1);
    const before = process.kernel.counters.snapshot();
    store(process, 0, 77);
    expect(process.kernel.counters.since(before)).toMatchObject({
      minorFaults: 1,
      hugeWriteFaults: 1,
      framesZeroed: H,
      ptesSet: 1,
    });
    process.kernel.checkInvariants();
  });

  test("is small where no block of frames is left, and so is its block from then on", () => {
    const process = start();
    const { frames, counters } = process.kernel;
    map(process, 16);
    for (let block = 0; block < 15; block++) store(process, block);
    store(process, 15);
    expect([rss(process), counters.hugeFallbacks]).toEqual([15 * H + 1, 1]);
    expect(frames.freeFrames).toBe(H - 2);
    process.kernel.checkInvariants();
  });

  test("is small where the cgroup has no room for 2 MiB", () => {
    const process = start({}, HUGE - PAGE);
    map(process, 1);
    store(process, 0);
    expect([rss(process), process.addressSpace.cgroup?.chargedFrames]).toEqual([1, 1]);
  });

  test("that fails by injection falls back, and nothing stays allocated", () => {
    const process = start();
    const { frames } = process.kernel;
    map(process, 1);
    const free = frames.freeFrames;
    frames.failAt(1);
    store(process, 0);
    expect(frames.freeFrames).toBe(free - 1);
    process.kernel.checkInvariants();
  });

  test("charges its cgroup for all of it until the last page of the folio is gone", () => {
    const process = start({}, 4 * HUGE);
    const cgroup = process.addressSpace.cgroup;
    map(process, 1);
    store(process, 0);
    process.madvise(BASE + PAGE, HUGE - PAGE, DONTNEED);
    expect([rss(process), cgroup?.chargedFrames]).toEqual([1, H]);
    process.madvise(BASE, PAGE, DONTNEED);
    expect(cgroup?.chargedFrames).toBe(0);
  });
});

describe("a folio that is mapped in part", () => {
  test("gives its other frames back when memory is short", () => {
    const process = start();
    const { frames, counters } = process.kernel;
    map(process, 20);
    for (let block = 0; block < 15; block++) store(process, block);
    process.madvise(BASE + PAGE, HUGE - PAGE, DONTNEED);
    expect(frames.freeFrames).toBe(H - 1);
    for (let page = 0; page < H; page++) process.memory.setUint8(BASE + 16 * HUGE + page * PAGE, 1);
    expect([rss(process), counters.folioSplits]).toEqual([14 * H + 1 + H, 1]);
    process.kernel.checkInvariants();
  });

  test("gives them back to a cgroup that is full", () => {
    const process = start({}, HUGE + PAGE);
    map(process, 1);
    store(process, 0);
    process.madvise(BASE + 2 * PAGE, HUGE - 2 * PAGE, DONTNEED);
    process.mmap(BASE + 4 * HUGE, 3 * PAGE, 3, FLAGS);
    for (let page = 0; page < 3; page++) process.memory.setUint8(BASE + 4 * HUGE + page * PAGE, 1);
    expect([rss(process), process.addressSpace.cgroup?.chargedFrames]).toEqual([5, 5]);
  });

  test("keeps them while a page of it is pinned", () => {
    const process = start({}, HUGE + PAGE);
    map(process, 1);
    store(process, 0);
    const pinned = process.pin(BASE, PAGE, { write: true });
    process.madvise(BASE + 2 * PAGE, HUGE - 2 * PAGE, DONTNEED);
    process.mmap(BASE + 4 * HUGE, 3 * PAGE, 3, FLAGS);
    process.memory.setUint8(BASE + 4 * HUGE, 1);
    expect(() => process.memory.setUint8(BASE + 4 * HUGE + PAGE, 1)).toThrow();
    pinned.release();
  });
});

describe("a pinned huge page", () => {
  test("stays the parent's after fork: the child gets copies of all pages", () => {
    const process = start();
    map(process, 1);
    store(process, 0);
    const pinned = process.pin(BASE, PAGE, { write: true });
    const child = process.fork();
    store(process, 0, 3);
    expect(child.memory.getUint8(BASE + 3 * PAGE)).toBe(0);
    expect(process.kernel.counters.framesCopied).toBe(H);
    process.kernel.checkInvariants();
    pinned.release();
  });

  test("is not collapsed", () => {
    const process = start({ hugePages: { enabled: "never" } });
    map(process, 1);
    store(process, 0);
    const pinned = process.pin(BASE, PAGE, { write: true });
    expect(() => process.madvise(BASE, HUGE, COLLAPSE)).toThrow(expect.objectContaining({ code: "EAGAIN" }));
    pinned.release();
    expect(process.madvise(BASE, HUGE, COLLAPSE)).toBe(0);
  });
});

describe("khugepaged's step", () => {
  function smallPages(): Process {
    const process = start({ hugePages: { enabled: "never" } });
    map(process, 3);
    for (let block = 0; block < 3; block++) for (let page = 0; page <= block; page++) store(process, block, page);
    process.kernel.hugePages.enabled = "always";
    return process;
  }

  test("collapses blocks of small pages, in order of address, as many as it may", () => {
    const process = smallPages();
    expect(process.kernel.khugepaged(process, { limit: 2 })).toBe(2);
    expect(rss(process)).toBe(2 * H + 3);
    expect(process.kernel.khugepaged(process)).toBe(1);
    expect(process.kernel.khugepaged(process)).toBe(0);
    process.kernel.checkInvariants();
  });

  test("passes blocks over that have fewer pages than it asks for", () => {
    const process = smallPages();
    expect(process.kernel.khugepaged(process, { smallestPages: 3 })).toBe(1);
    expect(rss(process)).toBe(H + 3);
  });

  test("leaves memory alone that the settings allow no huge pages", () => {
    const process = smallPages();
    process.kernel.hugePages.enabled = "madvise";
    expect(process.kernel.khugepaged(process)).toBe(0);
  });
});

test.each([
  [{ limit: -1 }, "khugepaged: limit -1"],
  [{ limit: 1.5 }, "khugepaged: limit 1.5"],
  [{ limit: Number.NaN }, "khugepaged: limit NaN"],
  [{ smallestPages: 0 }, "khugepaged: smallestPages 0"],
  [{ smallestPages: 513 }, "khugepaged: smallestPages 513"],
])("a step of khugepaged with %j is refused", (options, message) => {
  const process = start();
  expect(() => process.kernel.khugepaged(process, options)).toThrow(message);
});

test.each([
  ["enabled", "sometimes"],
  ["shmem", "always"],
  ["useZeroPage", 1],
  ["sizes", [8]],
])("the setting %s is not changed to %j while programs run", (name, value) => {
  const { hugePages } = start().kernel;
  const before = hugePages[name as "enabled"];
  expect(() => Object.assign(hugePages, { [name]: value })).toThrow(`hugePages.${name}: `);
  expect(hugePages[name as "enabled"]).toEqual(before);
});

describe("huge pages of files", () => {
  function shared(): { readonly process: Process; readonly file: number } {
    const process = start({ hugePages: { enabled: "always", shmem: "advise" } });
    const file = process.memfd_create("file");
    process.ftruncate(file, 2 * HUGE);
    return { process, file };
  }

  test("in a private mapping are not copied by fork: the child finds them again", () => {
    const { process, file } = shared();
    process.mmap(BASE, 2 * HUGE, 3, 0x12, file, 0);
    process.memory.setUint8(BASE + HUGE, 1);
    process.memory.getUint8(BASE);
    process.madvise(BASE, HUGE, COLLAPSE);
    const child = process.fork();
    expect([rss(process), rss(child)]).toEqual([H + 1, 1]);
    process.kernel.checkInvariants();
  });

  test("are not made of pinned pages, which go on being the file's", () => {
    const { process, file } = shared();
    process.mmap(BASE, HUGE, 3, 0x11, file, 0);
    const pinned = process.pin(BASE + 3 * PAGE, PAGE, { write: true });
    expect(() => process.madvise(BASE, HUGE, COLLAPSE)).toThrow(expect.objectContaining({ code: "EAGAIN" }));
    pinned.views()[0][0] = 7;
    expect(process.memory.getUint8(BASE + 3 * PAGE)).toBe(7);
    pinned.release();
    expect(process.madvise(BASE, HUGE, COLLAPSE)).toBe(0);
  });

  test.each([
    ["in the middle", 10, 20, 15],
    ["at the begin", 0, 20, 3],
    ["at the end", 500, 512, 505],
    ["over two of them", 500, 600, 530],
  ])("that are pinned are cleared where a hole is punched %s, and stay", (_, from, to, page) => {
    const { process, file } = shared();
    process.mmap(BASE, 2 * HUGE, 3, 0x11, file, 0);
    process.madvise(BASE, 2 * HUGE, 14);
    process.memory.fill(BASE, 5, 2 * HUGE);
    const pinned = process.pin(BASE + page * PAGE, PAGE, { write: true });
    process.fallocate(file, 3, from * PAGE, (to - from) * PAGE);
    expect(process.memory.getUint8(BASE + page * PAGE)).toBe(0);
    for (const outside of [from - 1, to]) {
      if (outside >= 0) expect(process.memory.getUint8(BASE + outside * PAGE)).toBe(5);
    }
    pinned.views()[0][0] = 7;
    expect(process.memory.getUint8(BASE + page * PAGE)).toBe(7);
    process.kernel.checkInvariants();
    pinned.release();
    process.exit(0);
    process.kernel.checkInvariants();
  });
});

test("COLLAPSE without a block of frames is ENOMEM, and EBUSY where the cgroup is full", () => {
  const full = start({ hugePages: { enabled: "never" } }, 3 * PAGE);
  map(full, 1);
  store(full, 0);
  expect(() => full.madvise(BASE, HUGE, COLLAPSE)).toThrow(expect.objectContaining({ code: "EBUSY" }));
  const process = start();
  map(process, 17);
  for (let block = 0; block < 15; block++) store(process, block);
  store(process, 16);
  expect(() => process.madvise(BASE + 16 * HUGE, HUGE, COLLAPSE)).toThrow(expect.objectContaining({ code: "ENOMEM" }));
});

test.each([
  [{ enabled: "sometimes" }, "hugePages.enabled"],
  [{ sizes: [8] }, "8 is not a power of two from 16"],
  [{ sizes: [4096] }, "4096 is not a power of two"],
  [{ shmem: "always" }, "hugePages.shmem"],
])("the settings %j are refused", (hugePages, message) => {
  expect(() => new Kernel(machine, { hugePages: hugePages as KernelOptions["hugePages"] })).toThrow(message);
});

describe("a folio that its last huge entry leaves", () => {
  const shared = () => {
    const process = start();
    map(process, 1);
    store(process, 0);
    return { process, child: process.fork(), folios: process.kernel.frames.folios };
  };

  test("is partially mapped where the small entries that stay lack a page", () => {
    const { process, child, folios } = shared();
    child.madvise(BASE + 3 * PAGE, PAGE, DONTNEED);
    expect(folios.partialCount).toBe(0);
    process.munmap(BASE, HUGE);
    expect(folios.partialCount).toBe(1);
    process.kernel.checkInvariants();
  });

  test("is not where small entries map all of it", () => {
    const { process, child, folios } = shared();
    child.mprotect(BASE + 3 * PAGE, PAGE, 1);
    process.munmap(BASE, HUGE);
    expect(folios.partialCount).toBe(0);
    process.kernel.checkInvariants();
  });
});
