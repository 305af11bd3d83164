// The ring of the latest frees: which one held an address, tag and all, and that a fork's copy goes on where the first one is.
import { expect, test } from "vitest";
import { FreedChunks } from "../../../allocator/tagging/freed-chunks.ts";
import { withTag } from "../../../platform/hardware/tags.ts";

const TAG = 5;
const at = (i: number) => 0x10000 + i * 256;

function noted(count: number, capacity = 4): FreedChunks {
  const freed = new FreedChunks(capacity);
  for (let i = 0; i < count; i++) freed.note(at(i), TAG, 100 + i, 7 + i);
  return freed;
}

test("an address is of the latest free whose bytes held it, with its tag", () => {
  const freed = noted(3);
  freed.note(at(1) + 16, TAG, 40, 99);
  expect(freed.threadAt(freed.find(withTag(at(1) + 20, TAG)))).toBe(99);
  expect(freed.threadAt(freed.find(withTag(at(1) + 60, TAG)))).toBe(8);
  expect(freed.find(withTag(at(1) + 101, TAG))).toBe(-1);
  expect(freed.find(withTag(at(1), TAG + 1))).toBe(-1);
  expect(freed.find(withTag(at(1) - 1, TAG))).toBe(-1);
});

test("a chunk of no bytes is found by its own address alone", () => {
  const freed = new FreedChunks(4);
  freed.note(at(0), TAG, 0, 1);
  expect([freed.find(withTag(at(0), TAG)), freed.find(withTag(at(0) + 1, TAG))]).toEqual([0, -1]);
});

test.each([3, 4, 5, 6, 9])("of %i frees the last four are known", (count) => {
  const freed = noted(count);
  for (let i = 0; i < count; i++) {
    const row = freed.find(withTag(at(i), TAG));
    expect(row === -1).toBe(i < count - 4);
    if (row >= 0) expect([freed.pointerAt(row), freed.sizeAt(row)]).toEqual([withTag(at(i), TAG), 100 + i]);
  }
  expect(freed.total).toBe(count);
});

test.each([0, 2, 4, 6])(
  "a copy of %i frees knows them, forgets the oldest first, and leaves the first one as it is",
  (count) => {
    const freed = noted(count);
    const copy = new FreedChunks(4);
    copy.copyFrom(freed);
    for (let i = count; i < count + 2; i++) copy.note(at(i), TAG, 100, 1);
    for (let i = 0; i < count + 2; i++) expect(copy.find(withTag(at(i), TAG)) >= 0).toBe(i >= count - 2);
    expect([copy.total, freed.total]).toEqual([count + 2, count]);
    expect(freed.find(withTag(at(count), TAG))).toBe(-1);
  },
);
