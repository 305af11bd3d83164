// Tags of reference pages (R6, R7): copied at creation, uniform tag over zeroes as DC GZVA, pattern and tag together, clean loads.

import { beforeEach, describe, expect, test } from "vitest";
import { PAGE_SIZE } from "../../platform/hardware/layout.ts";
import * as mte from "../../platform/hardware/mte.ts";
import { tagRange } from "../../platform/hardware/tag-store.ts";
import { tagOf, withTag } from "../../platform/hardware/tags.ts";
import {
  MADV_DONTNEED,
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  PROT_MTE,
  PROT_READ,
  PROT_WRITE,
} from "../../platform/kernel/abi/mman.ts";
import { PR_SET_TAGGED_ADDR_CTRL } from "../../platform/kernel/abi/prctl.ts";
import type { Kernel } from "../../platform/kernel/kernel.ts";
import type { Process } from "../../platform/kernel/process.ts";
import { createKernel, refpage_create, refpage_create2 } from "../../refpage/kernel.ts";

const READ_WRITE_MTE = PROT_READ | PROT_WRITE | PROT_MTE;
let kernel: Kernel;
let process: Process;

beforeEach(() => {
  kernel = createKernel({ memoryBytes: 2 ** 24 });
  process = kernel.createProcess();
  process.prctl(PR_SET_TAGGED_ADDR_CTRL, 3 | (0xfffe << 3));
});

/** A page of the program with PROT_MTE, filled and tagged. */
function content(tags: (granule: number) => number, bytes: (index: number) => number): number {
  const page = process.mmap(0, PAGE_SIZE, READ_WRITE_MTE, MAP_PRIVATE | MAP_ANONYMOUS);
  process.memory.write(
    page,
    Uint8Array.from({ length: PAGE_SIZE }, (_, index) => bytes(index)),
  );
  for (let granule = 0; granule < 256; granule++)
    tagRange(process.memory, withTag(page + granule * 16, tags(granule)), 16);
  return page;
}

function map(fd: number, pages = 4, protection = READ_WRITE_MTE): number {
  return process.mmap(0, pages * PAGE_SIZE, protection, MAP_PRIVATE, fd);
}

function tagsOf(page: number): number[] {
  return Array.from({ length: 256 }, (_, granule) => tagOf(mte.ldg(process.memory, page + granule * 16)));
}

describe.each(["v4", "v5"] as const)("%s", (abi) => {
  const create = (page: number): number =>
    abi === "v4" ? refpage_create(process, page) : refpage_create2(process, page, PAGE_SIZE);

  test("data and tags are copied once, granule by granule, and every page of a mapping has them", () => {
    const page = content(
      (granule) => granule % 16,
      (index) => index & 255,
    );
    const area = map(create(page));
    tagRange(process.memory, withTag(page, 7), PAGE_SIZE);
    const expected = Array.from({ length: 256 }, (_, granule) => granule % 16);
    expect(tagsOf(area + PAGE_SIZE)).toEqual(expected);
    process.memory.setUint8(withTag(area + 2 * PAGE_SIZE + 16, 1), 99);
    expect(tagsOf(area + 2 * PAGE_SIZE)).toEqual(expected);
    expect(process.memory.getUint8(withTag(area + 2 * PAGE_SIZE + 33, 2))).toBe(33);
    kernel.checkInvariants();
  });

  test("a clean page's loads are checked against the reference page's tags, and nothing becomes resident", () => {
    const area = map(
      create(
        content(
          () => 9,
          () => 0,
        ),
      ),
    );
    const rss = process.rssBytes;
    expect(process.memory.getUint8(withTag(area + PAGE_SIZE, 9))).toBe(0);
    expect(() => process.memory.getUint8(withTag(area + PAGE_SIZE, 8))).toThrow(
      expect.objectContaining({ code: "SEGV_MTESERR", address: area + PAGE_SIZE }),
    );
    expect(process.rssBytes).toBe(rss);
  });

  test("zeroes under one tag are made by DC GZVA", () => {
    const page = content(
      () => 4,
      () => 0,
    );
    // v4 finds out by a scan, v5 learns it from the size of one granule.
    const area = map(abi === "v4" ? create(page) : refpage_create2(process, page, 16));
    const before = kernel.counters.gzvaBlocks;
    process.memory.setUint8(withTag(area, 4), 1);
    expect(kernel.counters.gzvaBlocks - before).toBe(PAGE_SIZE / kernel.machine.gzvaBlockBytes);
    expect(new Set(tagsOf(area))).toEqual(new Set([4]));
  });

  test("a page without PROT_MTE gives tag 0", () => {
    const page = process.mmap(0, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    process.memory.fill(page, 5, PAGE_SIZE);
    expect(new Set(tagsOf(map(create(page))))).toEqual(new Set([0]));
  });

  test("MADV_DONTNEED and mprotect bring back and keep the reference page's tags", () => {
    const area = map(
      create(
        content(
          () => 3,
          () => 0,
        ),
      ),
      4,
      PROT_READ | PROT_WRITE,
    );
    process.memory.setUint8(area, 1);
    process.mprotect(area, 4 * PAGE_SIZE, READ_WRITE_MTE);
    expect(new Set(tagsOf(area))).toEqual(new Set([3]));
    tagRange(process.memory, withTag(area, 11), PAGE_SIZE);
    process.madvise(withTag(area, 5), PAGE_SIZE, MADV_DONTNEED);
    expect(new Set(tagsOf(area))).toEqual(new Set([3]));
  });

  test("a child's copy has the tags too", () => {
    const area = map(
      create(
        content(
          () => 6,
          () => 0,
        ),
      ),
    );
    const child = process.fork();
    child.memory.setUint8(withTag(area, 6), 1);
    expect(tagOf(mte.ldg(child.memory, area + 64))).toBe(6);
    expect(() => child.memory.getUint8(area)).toThrow(expect.objectContaining({ code: "SEGV_MTESERR" }));
  });
});

describe("v5", () => {
  test("one granule carries its tag and its pattern to the whole page", () => {
    const page = content(
      (granule) => (granule === 2 ? 12 : 1),
      (index) => index & 255,
    );
    const fd = refpage_create2(process, withTag(page + 32, 12), 16);
    const area = map(fd);
    expect(new Set(tagsOf(area))).toEqual(new Set([12]));
    process.memory.setUint8(withTag(area + PAGE_SIZE, 12), 1);
    expect([...process.memory.read(withTag(area + PAGE_SIZE, 12), 18)].slice(14)).toEqual([46, 47, 32, 33]);
    expect(new Set(tagsOf(area + PAGE_SIZE))).toEqual(new Set([12]));
  });

  test("below one granule there is no tag to take", () => {
    const page = content(
      () => 12,
      () => 7,
    );
    expect(new Set(tagsOf(map(refpage_create2(process, withTag(page, 12), 8))))).toEqual(new Set([0]));
  });
});
