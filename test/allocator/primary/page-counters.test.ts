// Counting free blocks a page: packing, patterns of pages, and for every class a comparison with a model of one flag a byte.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { androidSizeClassMap, defaultSizeClassMap } from "../../../allocator/options/size-class-map.ts";
import { PageCounters } from "../../../allocator/primary/page-counters.ts";

const PAGE = 4096;

function ranges(counters: PageCounters): [number, number][] {
  const found: [number, number][] = [];
  while (counters.nextFreeRange()) found.push([counters.rangePage, counters.rangePages]);
  return found;
}

test("counters of every width pack into the words that their number needs", () => {
  const widths = new Map<number, number>();
  for (const [blockSize, bits] of [
    [4096, 1],
    [8192, 1],
    [3072, 2],
    [2048, 2],
    [1024, 4],
    [512, 4],
    [256, 8],
    [32, 8],
  ]) {
    const counters = new PageCounters();
    counters.start(blockSize, 1000 * PAGE, 0);
    expect(counters.counterBits).toBe(bits);
    expect(counters.wordCount).toBe(Math.ceil((1000 * bits) / 64));
    widths.set(bits, blockSize);
  }
  expect([...widths.keys()].sort()).toEqual([1, 2, 4, 8]);
});

test("counting one page leaves the others alone, and the next start clears all", () => {
  const counters = new PageCounters();
  counters.start(32, 300 * PAGE, 0);
  for (let page = 0; page < 300; page += 3) counters.add(page, page % 128);
  for (let page = 0; page < 300; page++) expect(counters.get(page)).toBe(page % 3 === 0 ? page % 128 : 0);
  counters.start(32, 300 * PAGE, 0);
  for (let page = 0; page < 300; page++) expect(counters.get(page)).toBe(0);
});

test.each([
  "",
  ".",
  "x",
  "xx",
  "..",
  "x.",
  ".x",
  "x.x",
  ".x.",
  "xx.xx",
  "..xx..",
  "xxx...xxx",
  ".xxxx.",
  "x.x.x.x",
  "....",
])("the free runs of pages %j are found", (pattern) => {
  const counters = new PageCounters();
  counters.start(PAGE, pattern.length * PAGE, 0);
  [...pattern].forEach((page, index) => {
    if (page === "x") counters.addBlock(index * PAGE);
  });
  const expected = [...pattern.matchAll(/x+/g)].map((run) => [run.index, run[0].length]);
  expect(ranges(counters)).toEqual(expected);
});

/** Free bytes of a region of `blocks` blocks; a page may go if all its bytes inside the region are free. */
function modelRanges(blockSize: number, isFree: boolean[], from: number, to: number): [number, number][] {
  const found: [number, number][] = [];
  for (let page = from / PAGE; page * PAGE < to; page++) {
    const first = Math.floor((page * PAGE) / blockSize);
    const last = Math.min(Math.floor(((page + 1) * PAGE - 1) / blockSize), isFree.length - 1);
    let free = true;
    for (let block = first; block <= last; block++) free &&= isFree[block];
    if (!free) continue;
    const run = found.at(-1);
    if (run !== undefined && run[0] + run[1] === page - from / PAGE) run[1]++;
    else found.push([page - from / PAGE, 1]);
  }
  return found;
}

const classes = [...new Set([...defaultSizeClassMap.sizes, ...androidSizeClassMap.sizes])].filter((size) => size > 0);

describe.each(classes.map((size) => [size]))("blocks of %i bytes", (blockSize) => {
  const blocks = Math.min(4096, Math.ceil((256 * PAGE) / blockSize));
  const end = blocks * blockSize;

  test("exactly the pages that no used block touches are released, runs of free blocks at random places", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(blocks - 1), fc.nat(blocks)), { maxLength: 6 }), (runs) => {
        const isFree = new Array<boolean>(blocks).fill(false);
        for (const [begin, length] of runs) isFree.fill(true, begin, begin + length);
        const counters = new PageCounters();
        counters.start(blockSize, end, 0);
        counters.addTrailingBlocks(end);
        isFree.forEach((free, index) => {
          if (free) counters.addBlock(index * blockSize);
        });
        expect(ranges(counters)).toEqual(modelRanges(blockSize, isFree, 0, end));
      }),
      { numRuns: 12 },
    );
  });

  test("a range that starts some pages into the region gives the same pages", () => {
    const offset = 16 * PAGE;
    if (end < 2 * offset) return;
    const isFree = Array.from({ length: blocks }, (_, index) => index % 7 !== 0 || index * blockSize > end / 2);
    const counters = new PageCounters();
    counters.start(blockSize, end - offset, offset);
    counters.addTrailingBlocks(end);
    isFree.forEach((free, index) => {
      const begin = index * blockSize;
      if (!free || begin + blockSize <= offset) return;
      if (begin >= offset) counters.addBlock(begin);
      else for (let page = 0; page <= counters.pageOf(begin + blockSize - 1); page++) counters.add(page, 1);
    });
    expect(ranges(counters)).toEqual(modelRanges(blockSize, isFree, offset, end));
  });

  test("marking a range free as a whole counts what marking its blocks would, and the block before it stays used", () => {
    const from = 32 * PAGE;
    const to = 64 * PAGE;
    if (end < 2 * to) return;
    const counters = new PageCounters();
    counters.start(blockSize, end, 0);
    counters.markRangeFree(from, to, end);
    const first = Math.ceil(from / blockSize);
    const last = Math.ceil(to / blockSize);
    const isFree = Array.from({ length: blocks }, (_, index) => index >= first && index < last);
    expect(ranges(counters)).toEqual(modelRanges(blockSize, isFree, 0, end));
  });

  test("a range that ends with the region is free to its last page", () => {
    const from = Math.floor(end / 2 / PAGE) * PAGE;
    const counters = new PageCounters();
    counters.start(blockSize, end, 0);
    counters.markRangeFree(from, end, end);
    const isFree = Array.from({ length: blocks }, (_, index) => index * blockSize >= from);
    expect(ranges(counters)).toEqual(modelRanges(blockSize, isFree, 0, end));
  });
});

test.each([
  [5 * PAGE, PAGE, 3 * PAGE],
  [5 * PAGE, PAGE, 5 * PAGE],
  [20000, 4 * PAGE, 4 * PAGE],
  [98304, PAGE, 20 * PAGE],
])("of blocks of %i bytes a range %i to %i that one of them covers marks none", (blockSize, from, to) => {
  const counters = new PageCounters();
  const end = 10 * blockSize;
  counters.start(blockSize, end, 0);
  counters.markRangeFree(from, to, end);
  for (let page = 0; page < counters.pageCount; page++) expect(counters.get(page)).toBe(0);
});
