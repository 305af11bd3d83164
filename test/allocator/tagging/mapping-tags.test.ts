// The tags of large mappings in order of address: whose neighbours they are, which a new chunk must not have, and for how long
// what lay at an address is remembered.
import { beforeEach, describe, expect, test } from "vitest";
import { MappingTags } from "../../../allocator/tagging/mapping-tags.ts";

const PAGE = 4096;
const at = (page: number) => 0x100000 + page * PAGE;
const bits = (...tags: number[]) => tags.reduce((mask, tag) => mask | (1 << tag), 0);
let tags: MappingTags;

beforeEach(() => {
  tags = new MappingTags();
});

describe("an address lies in a mapping", () => {
  test("from its first byte to its last", () => {
    tags.set(at(4), at(8), 3, "live");
    tags.set(at(10), at(11), 5, "live");
    for (const [address, isInside] of [
      [at(4) - 1, false],
      [at(4), true],
      [at(8) - 1, true],
      [at(8), false],
      [at(10) - 1, false],
      [at(10), true],
      [at(11), false],
    ] as const)
      expect(tags.contains(address)).toBe(isInside);
  });

  test("until the mapping is gone, and others stay", () => {
    for (let i = 0; i < 50; i++) tags.set(at(2 * i), at(2 * i + 1), 1 + (i % 15), "live");
    tags.remove(at(20));
    tags.remove(at(21));
    expect([tags.contains(at(20)), tags.contains(at(18)), tags.contains(at(22)), tags.count]).toEqual([
      false,
      true,
      true,
      49,
    ]);
  });
});

describe("a chunk must not have", () => {
  test("the tags on either side, past cached mappings up to the first live one", () => {
    for (const [page, tag, state] of [
      [0, 1, "live"],
      [2, 2, "live"],
      [4, 3, "cached"],
      [10, 4, "cached"],
      [12, 5, "cached"],
      [14, 6, "live"],
      [16, 7, "live"],
    ] as const)
      tags.set(at(page), at(page + 1), tag, state);
    expect(tags.excluded(at(6), at(8))).toBe(bits(2, 3, 4, 5, 6));
  });

  test("its own mapping's, which is no neighbour, may stay", () => {
    tags.set(at(4), at(8), 3, "cached");
    tags.set(at(9), at(10), 5, "live");
    expect(tags.excluded(at(4), at(8))).toBe(bits(5));
  });

  test("only the tags right beside it where a row of cached mappings has nearly all", () => {
    for (let tag = 1; tag < 15; tag++) tags.set(at(20 + tag), at(21 + tag), tag, "cached");
    expect(tags.excluded(at(10), at(12))).toBe(bits(1));
  });

  test("a mapping's tag that was set anew", () => {
    tags.set(at(4), at(5), 3, "live");
    tags.set(at(4), at(6), 9, "live");
    expect([tags.excluded(at(8), at(9)), tags.count, tags.contains(at(5))]).toEqual([bits(9), 1, true]);
  });

  test("the tags of chunks that lay there, if only in part, and no others'", () => {
    tags.noteDangling(at(4), at(6), 3);
    tags.noteDangling(at(8), at(9), 4);
    tags.noteDangling(at(4), at(9), 0);
    expect(tags.excluded(at(5), at(7))).toBe(bits(3));
    expect(tags.excluded(at(6), at(8))).toBe(0);
    expect(tags.excluded(at(0), at(20))).toBe(bits(3, 4));
  });

  test("so many of those that three tags are left, the latest first", () => {
    for (let tag = 1; tag < 16; tag++) tags.noteDangling(at(4), at(6), tag);
    const mask = tags.excluded(at(4), at(6));
    for (let tag = 7; tag < 16; tag++) expect((mask >> tag) & 1).toBe(1);
    expect(mask).toBe(bits(7, 8, 9, 10, 11, 12, 13, 14, 15));
  });
});
