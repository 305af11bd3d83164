// The straight path of first stores against the whole way, which a process in a cgroup always takes; and what closes the path.
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { SegmentationFault } from "../../../../platform/hardware/faults.ts";
import { PAGE_SIZE, TAG_UNIT } from "../../../../platform/hardware/layout.ts";
import { Machine } from "../../../../platform/hardware/machine.ts";
import { loadTag, stg } from "../../../../platform/hardware/mte.ts";
import { OutOfMemoryError } from "../../../../platform/kernel/abi/errors.ts";
import { Kernel } from "../../../../platform/kernel/kernel.ts";
import type { Process } from "../../../../platform/kernel/process.ts";

const PAGES = 24;
const LENGTH = PAGES * PAGE_SIZE;
const PROT_READ = 1;
const RW = 3;
const PROT_MTE = 0x20;
const PRIVATE_ANONYMOUS = 0x22;
const MAP_FIXED = 0x10;
const MADV_DONTNEED = 4;
const MADV_FREE = 8;
const MREMAP_DONTUNMAP = 5;

/** A process and where its pages begin; `whole`: it takes the whole way. */
function begin(path: "straight" | "whole"): { kernel: Kernel; process: Process; base: number } {
  const kernel = new Kernel(new Machine({ memoryBytes: 16 * 2 ** 20 }), { clock: () => 0 });
  const cgroup = path === "whole" ? kernel.createCgroup({ name: "whole" }) : undefined;
  const process = kernel.createProcess({ cgroup });
  return { kernel, process, base: process.mmap(0, LENGTH, RW, PRIVATE_ANONYMOUS) };
}

const operation = fc.record({
  kind: fc.constantFrom("store", "store", "store", "fill", "load", "drop", "free", "unmap", "map", "protect", "fork"),
  page: fc.nat(PAGES - 1),
  pages: fc.integer({ min: 1, max: 12 }),
});
type Operation = typeof operation extends fc.Arbitrary<infer Value> ? Value : never;

/** Does one operation. @returns what the program notices */
function step({ process, base }: ReturnType<typeof begin>, { kind, page, pages }: Operation): unknown {
  const at = base + page * PAGE_SIZE;
  const length = Math.min(pages, PAGES - page) * PAGE_SIZE;
  const { memory } = process;
  try {
    if (kind === "store") {
      for (let offset = 0; offset < length; offset += PAGE_SIZE) memory.setUint32(at + offset, page + 1);
    } else if (kind === "fill") memory.fill(at, page, length);
    else if (kind === "load") return memory.getUint32(at);
    else if (kind === "drop") process.madvise(at, length, MADV_DONTNEED);
    else if (kind === "free") process.madvise(at, length, MADV_FREE);
    else if (kind === "unmap") process.munmap(at, length);
    else if (kind === "map") process.mmap(at, length, RW, PRIVATE_ANONYMOUS | MAP_FIXED);
    else if (kind === "protect") process.mprotect(at, length, pages % 2 === 0 ? PROT_READ : RW);
    else {
      const child = process.fork();
      child.memory.setUint8(at, 1);
      child.exit(0);
      process.wait4(child.pid);
    }
  } catch (error) {
    return (error as Error).message;
  }
  return null;
}

test("any program has the same counts, frames and contents by the straight path as by the whole way", () => {
  fc.assert(
    fc.property(fc.array(operation, { minLength: 1, maxLength: 30 }), (operations) => {
      const straight = begin("straight");
      const whole = begin("whole");
      for (const each of operations) {
        expect(step(straight, each)).toBe(step(whole, each));
        expect(straight.kernel.counters.snapshot()).toEqual(whole.kernel.counters.snapshot());
      }
      const [entries, expected] = [straight, whole].map(({ process, base }) =>
        process.addressSpace.pageTable.entries.slice(base / PAGE_SIZE, base / PAGE_SIZE + PAGES),
      );
      expect(entries).toEqual(expected);
      expect(straight.process.procfs("smaps")).toBe(whole.process.procfs("smaps"));
      expect(straight.process.minorFaults).toBe(whole.process.minorFaults);
      expect(straight.process.rssBytes).toBe(whole.process.rssBytes);
      straight.kernel.checkInvariants();
    }),
  );
});

describe("after stores that went straight", () => {
  let kernel: Kernel;
  let process: Process;
  let base: number;
  let fresh: number;

  beforeEach(() => {
    ({ kernel, process, base } = begin("straight"));
    for (let page = 0; page < 4; page++) process.memory.setUint8(base + page * PAGE_SIZE, 1);
    fresh = base + 4 * PAGE_SIZE;
  });

  test("a store to the area made read-only is refused", () => {
    process.mprotect(base, LENGTH, PROT_READ);
    expect(() => process.memory.setUint8(fresh, 1)).toThrow(SegmentationFault);
  });

  test("a store beyond an area that became shorter is refused", () => {
    process.munmap(fresh, LENGTH - 4 * PAGE_SIZE);
    expect(() => process.memory.setUint8(fresh, 1)).toThrow(SegmentationFault);
  });

  test("an allocation that is to fail fails", () => {
    kernel.frames.failAt(1);
    expect(() => process.memory.setUint8(fresh, 1)).toThrow(OutOfMemoryError);
    process.memory.setUint8(fresh, 1);
    kernel.checkInvariants();
  });

  test("an area whose pages were moved away gets an anon_vma again with its next private page", () => {
    process.mremap(base, LENGTH, LENGTH, MREMAP_DONTUNMAP);
    process.memory.setUint8(base, 1);
    kernel.checkInvariants();
  });

  test("folios are made once their size is enabled", () => {
    kernel.hugePages.enabled = "always";
    kernel.hugePages.sizes = [64];
    process.memory.setUint8(base + 16 * PAGE_SIZE, 1);
    expect(kernel.counters.folioFaults).toBe(1);
  });

  test("a thread or process that has ended stores no more", () => {
    const thread = process.createThread();
    thread.exit();
    expect(() => thread.memory.setUint8(fresh, 1)).toThrow(SegmentationFault);
    const { memory } = process;
    process.exit(0);
    expect(() => memory.setUint8(fresh, 1)).toThrow(SegmentationFault);
  });

  test("a frame that had tags has none", () => {
    // Two stores go the whole way again once an area has gone.
    const pages = [0, 1, 2, 3].map((page) => fresh + page * PAGE_SIZE);
    const length = pages.length * PAGE_SIZE;
    const tagged = process.mmap(0, length, RW | PROT_MTE, PRIVATE_ANONYMOUS);
    for (let at = tagged; at < tagged + length; at += PAGE_SIZE) stg(process.memory, at, at + 7 * TAG_UNIT);
    process.munmap(tagged, length);
    for (const page of pages) process.memory.setUint8(page, 1);
    process.mprotect(base, LENGTH, RW | PROT_MTE);
    expect(pages.map((page) => loadTag(process.memory, page))).toEqual([0, 0, 0, 0]);
  });

  test("a restored snapshot's stores go straight, too, into its own pages", () => {
    const restored = Kernel.on(Machine.restore(kernel.machine.snapshot()));
    const [copy] = restored?.processes.values() ?? [];
    for (let page = 4; page < PAGES; page++) copy.memory.setUint8(base + page * PAGE_SIZE, page);
    for (let page = 4; page < PAGES; page++) expect(copy.memory.getUint8(base + page * PAGE_SIZE)).toBe(page);
    expect(process.memory.getUint8(fresh)).toBe(0);
    restored?.checkInvariants();
  });
});
