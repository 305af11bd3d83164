// The counts of a large folio by themselves: who maps it, whether it may be shared or used in place, and that a folio that was
// forgotten leaves nothing to the next one of its frames. What the page allocator does with folios is frames.test.ts.
import { beforeEach, describe, expect, test } from "vitest";
import { Folios } from "../../../../platform/kernel/mm/folios.ts";

const ORDER = 4;
const HEAD = 64;
const [FIRST, SECOND, THIRD] = [7, 8, 9];
let folios: Folios;

beforeEach(() => {
  folios = new Folios(1024);
  folios.create(HEAD, ORDER);
});

const counts = () => [folios.references(HEAD), folios.entire(HEAD), folios.mappings(HEAD)];

describe("a folio that is new", () => {
  const expectNew = () => {
    expect(counts()).toEqual([1, 0, 0]);
    expect([folios.mayBeShared(HEAD), folios.isWhole(HEAD), folios.canReuse(HEAD)]).toEqual([false, true, false]);
    expect(folios.takeDeferred()).toEqual([]);
  };

  test("has one reference, no mapping, and begins where its frames do", () => {
    expectNew();
    for (let frame = HEAD; frame < HEAD + 2 ** ORDER; frame++) expect(folios.headOf(frame)).toBe(HEAD);
    expect([folios.sizeOf(HEAD), folios.counts[ORDER]]).toEqual([16, 1]);
  });

  test("knows nothing of the folio that was forgotten at its place: neither who shared it, nor that it was split or partial", () => {
    folios.addEntire(HEAD, FIRST);
    folios.addEntire(HEAD, SECOND);
    folios.splitEntire(HEAD, FIRST);
    folios.splitEntire(HEAD, SECOND);
    folios.notePartial(HEAD);
    folios.removeMappings(HEAD, SECOND, 16);
    folios.removeMappings(HEAD, FIRST, 16);
    folios.forget(HEAD);
    expect([folios.references(HEAD), folios.counts[ORDER], folios.partialCount]).toEqual([0, 0, 0]);
    folios.create(HEAD, ORDER);
    expectNew();
  });

  test("knows nothing of one that was dissolved while it was mapped", () => {
    folios.addEntire(HEAD, FIRST);
    folios.addMappings(HEAD, SECOND, 3);
    folios.dissolve(HEAD);
    folios.create(HEAD, ORDER);
    expectNew();
  });

  test("shares no count with its neighbours", () => {
    folios.create(HEAD + 16, ORDER);
    folios.addReferences(HEAD, 5);
    folios.addMappings(HEAD, FIRST, 2);
    expect([folios.references(HEAD + 16), folios.mappings(HEAD + 16)]).toEqual([1, 0]);
    folios.forget(HEAD + 16);
    expect(counts()).toEqual([6, 0, 2]);
  });
});

describe("a folio may be shared", () => {
  test("from the second address space that maps it, until one of both has no entry left", () => {
    folios.addMappings(HEAD, FIRST, 2);
    expect(folios.mayBeShared(HEAD)).toBe(false);
    folios.addMappings(HEAD, SECOND, 1);
    expect(folios.mayBeShared(HEAD)).toBe(true);
    folios.removeMappings(HEAD, FIRST, 1);
    expect(folios.mayBeShared(HEAD)).toBe(true);
    folios.removeMappings(HEAD, FIRST, 1);
    expect(folios.mayBeShared(HEAD)).toBe(false);
    folios.addMappings(HEAD, THIRD, 1);
    expect(folios.mayBeShared(HEAD)).toBe(true);
    folios.removeMappings(HEAD, SECOND, 1);
    expect([folios.mayBeShared(HEAD), folios.mappings(HEAD)]).toEqual([false, 1]);
  });

  test("with a third, which is not kept in mind: what stays is not told to be one space's alone", () => {
    for (const space of [FIRST, SECOND, THIRD]) folios.addMappings(HEAD, space, 1);
    folios.removeMappings(HEAD, FIRST, 1);
    expect(folios.mayBeShared(HEAD)).toBe(true);
    folios.removeMappings(HEAD, SECOND, 1);
    expect([folios.mayBeShared(HEAD), folios.mappings(HEAD)]).toEqual([true, 1]);
  });

  test("not by more entries of the same space", () => {
    folios.addEntire(HEAD, FIRST);
    folios.addMappings(HEAD, FIRST, 9);
    expect([folios.mayBeShared(HEAD), folios.entire(HEAD), folios.mappings(HEAD)]).toEqual([false, 1, 10]);
  });
});

describe("a store may use a page of the folio in place", () => {
  beforeEach(() => {
    folios.addMappings(HEAD, FIRST, 2);
    folios.addReferences(HEAD, 1);
  });

  test("where one space has all its entries and references, and more than one", () => {
    expect(folios.canReuse(HEAD)).toBe(true);
    folios.removeMappings(HEAD, FIRST, 1);
    folios.addReferences(HEAD, -1);
    expect(folios.canReuse(HEAD)).toBe(false);
  });

  test("not where something else holds it, or another space maps it", () => {
    folios.addReferences(HEAD, 1);
    expect(folios.canReuse(HEAD)).toBe(false);
    folios.addMappings(HEAD, SECOND, 1);
    expect(folios.canReuse(HEAD)).toBe(false);
  });
});

test("a huge entry that becomes small ones is as many mappings and references as the folio has frames", () => {
  folios.addEntire(HEAD, FIRST);
  expect([...counts(), folios.isWhole(HEAD)]).toEqual([1, 1, 1, true]);
  folios.splitEntire(HEAD, FIRST);
  expect([...counts(), folios.isWhole(HEAD)]).toEqual([16, 0, 16, false]);
  expect(folios.canReuse(HEAD)).toBe(true);
});

test("partially mapped folios are taken from their list once, and not if they went meanwhile", () => {
  folios.create(HEAD + 16, ORDER);
  folios.create(HEAD + 32, ORDER);
  for (const head of [HEAD, HEAD + 16, HEAD, HEAD + 32]) folios.notePartial(head);
  expect(folios.partialCount).toBe(3);
  folios.forget(HEAD + 16);
  folios.clearPartial(HEAD + 32);
  folios.notePartial(HEAD + 32);
  expect(folios.takeDeferred()).toEqual([HEAD, HEAD + 32]);
  expect([folios.partialCount, folios.takeDeferred()]).toEqual([0, []]);
});
