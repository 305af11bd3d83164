// How a frame is made equal to a reference page, one at a time and many in a row: bytes, tags, validity bits and counts, held against
// the page itself. Which kind a page is found to have is store.test.ts.
import { describe, expect, test } from "vitest";
import { Counters } from "../../platform/hardware/counters.ts";
import { GRANULES_PER_PAGE, PAGE_SIZE } from "../../platform/hardware/layout.ts";
import { PhysicalMemory, VALIDITY_BYTES_PER_FRAME } from "../../platform/hardware/physical-memory.ts";
import {
  type Content,
  copyContent,
  copyContentToFrames,
  declaredContent,
  deduceContent,
} from "../../refpage/content.ts";

const ram = new PhysicalMemory({ memoryBytes: 2 ** 20, mte: true, shadow: true, gzvaBlockBytes: 64 });
const SOURCE = 3;
const FIRST = 10;
const GZVA_BYTES = 64;

/** Byte `i` of a page whose data repeat after `period` bytes. */
const byteAt = (period: number, i: number): number =>
  period === PAGE_SIZE ? (i * 7 + (i >> 8)) & 255 : 0xa0 + (i % period);

const contents: [string, Content][] = [
  ...[1, 2, 4, 8, 16].flatMap((period): [string, Content][] => [
    [`a pattern of ${period} bytes without tags`, { kind: "pattern", period, tag: 0 }],
    [`a pattern of ${period} bytes under one tag`, { kind: "pattern", period, tag: 9 }],
    [`a pattern of ${period} bytes under several tags`, { kind: "pattern", period, tag: -1 }],
  ]),
  ["a whole page without tags", { kind: "user-set", period: PAGE_SIZE, tag: 0 }],
  ["a whole page under one tag", { kind: "user-set", period: PAGE_SIZE, tag: 5 }],
  ["a whole page under several tags", { kind: "user-set", period: PAGE_SIZE, tag: -1 }],
  ["zeroes under one tag", { kind: "mte-tagged", period: 1, tag: 6 }],
];

/** Puts the content into the source's frame, and something else into the `count` frames from the first on and around them. */
function prepare({ kind, period, tag }: Content, count: number): void {
  for (let frame = FIRST - 1; frame <= FIRST + count; frame++) {
    ram.fillFrame(frame, 0xee);
    ram.fillTags(frame, 14);
    ram.fillValidity(frame, 0xff);
  }
  const start = ram.positionOf(SOURCE);
  for (let i = 0; i < PAGE_SIZE; i++) ram.bankOf(SOURCE)[start + i] = kind === "mte-tagged" ? 0 : byteAt(period, i);
  for (let granule = 0; granule < GRANULES_PER_PAGE; granule++)
    ram.setTag(SOURCE, granule, tag >= 0 ? tag : granule % 7);
  ram.fillValidity(SOURCE, 0);
  ram.mayBeUndefined[SOURCE] = 1;
  ram.undefinedBits[SOURCE * VALIDITY_BYTES_PER_FRAME + 100] = 0x0f;
}

function stateOf(frame: number): { bytes: Uint8Array; tags: number[]; undefinedBits: Uint8Array } {
  const start = ram.positionOf(frame);
  return {
    bytes: ram.bankOf(frame).slice(start, start + PAGE_SIZE),
    tags: Array.from({ length: GRANULES_PER_PAGE }, (_, granule) => ram.getTag(frame, granule)),
    undefinedBits: ram.undefinedBits.slice(frame * VALIDITY_BYTES_PER_FRAME, (frame + 1) * VALIDITY_BYTES_PER_FRAME),
  };
}

function expectCounts(counters: Counters, { kind }: Content, count: number): void {
  expect([counters.framesFilled, counters.bytesFilled, counters.gzvaBlocks]).toEqual([
    count,
    count * PAGE_SIZE,
    kind === "mte-tagged" ? (count * PAGE_SIZE) / GZVA_BYTES : 0,
  ]);
}

describe.each(contents)("%s", (_, content) => {
  test("makes a frame equal to the page, and is counted", () => {
    prepare(content, 1);
    const around = [stateOf(FIRST - 1), stateOf(FIRST + 1)];
    const counters = new Counters();
    copyContent(ram, counters, content, SOURCE, FIRST, GZVA_BYTES);
    expect(stateOf(FIRST)).toEqual(stateOf(SOURCE));
    expect([stateOf(FIRST - 1), stateOf(FIRST + 1)]).toEqual(around);
    expectCounts(counters, content, 1);
  });

  test.each([1, 2, 3, 4, 7])("makes %i neighbouring frames equal to the page, and each is counted", (count) => {
    prepare(content, count);
    const around = [stateOf(FIRST - 1), stateOf(FIRST + count)];
    const counters = new Counters();
    copyContentToFrames(ram, counters, content, SOURCE, FIRST, count, GZVA_BYTES);
    const source = stateOf(SOURCE);
    for (let frame = FIRST; frame < FIRST + count; frame++) expect(stateOf(frame)).toEqual(source);
    expect([stateOf(FIRST - 1), stateOf(FIRST + count)]).toEqual(around);
    expectCounts(counters, content, count);
  });
});

describe("the kind that a page is found to have", () => {
  /** A page of `byte` but for its byte at `at`, under one tag but for the granule that has another. */
  function fill(
    byte: number,
    other: { at: number; byte: number } | null,
    tag: number,
    oddGranule: number | null,
  ): void {
    const start = ram.positionOf(SOURCE);
    ram.fillFrame(SOURCE, byte);
    if (other !== null) ram.bankOf(SOURCE)[start + other.at] = other.byte;
    ram.fillTags(SOURCE, tag);
    if (oddGranule !== null) ram.setTag(SOURCE, oddGranule, tag ^ 1);
  }
  const user = { kind: "user-set", period: PAGE_SIZE };
  const byte = { kind: "pattern", period: 1 };
  const tagged = { kind: "mte-tagged", period: 1 };
  const places = [1, 15, 16, 2048, PAGE_SIZE - 1];

  test.each([1, 2, 8, 15])("by the first form, of zeroes under tag %i: the tag and zeroes", (tag) => {
    fill(0, null, tag, null);
    expect(deduceContent(ram, SOURCE)).toEqual({ ...tagged, tag });
  });

  test.each([0, 1, 2, 0xab, 255])("by the first form, of byte %i without tags: the byte", (value) => {
    fill(value, null, 0, null);
    expect(deduceContent(ram, SOURCE)).toEqual({ ...byte, tag: 0 });
  });

  test.each([1, 2, 0xab])("by the first form, of byte %i under a tag: the page", (value) => {
    for (const tag of [1, 2, 15]) {
      fill(value, null, tag, null);
      expect(deduceContent(ram, SOURCE)).toEqual({ ...user, tag });
    }
  });

  test.each(places)("by the first form, of one other byte at %i: the page", (at) => {
    for (const tag of [0, 1, 3]) {
      fill(0, { at, byte: 1 }, tag, null);
      expect(deduceContent(ram, SOURCE)).toEqual({ ...user, tag });
    }
  });

  test.each([0, 1, 128, 255])(
    "by either form, where granule %i has another tag: no tag is all granules'",
    (granule) => {
      for (const tag of [0, 3]) {
        fill(0, null, tag, granule);
        expect(deduceContent(ram, SOURCE)).toEqual({ ...user, tag: -1 });
        expect(declaredContent(ram, SOURCE, 4)).toEqual({ kind: "pattern", period: 4, tag: -1 });
      }
    },
  );

  test.each([1, 2, 4, 8, 16])("by the second form is a pattern of the %i bytes that were declared", (size) => {
    for (const tag of [0, 1, 5]) {
      fill(7, null, tag, null);
      expect(declaredContent(ram, SOURCE, size)).toEqual({ kind: "pattern", period: size, tag });
    }
    fill(0, null, 0, null);
    expect(declaredContent(ram, SOURCE, size)).toEqual({ kind: "pattern", period: size, tag: 0 });
    fill(0, null, 1, null);
    expect(declaredContent(ram, SOURCE, size)).toEqual({ ...tagged, tag: 1 });
  });

  test("by the second form is the page where more bytes were declared than a granule has, zeroes or not", () => {
    for (const size of [17, 32, PAGE_SIZE]) {
      fill(0, null, 2, null);
      expect(declaredContent(ram, SOURCE, size)).toEqual({ ...user, tag: 2 });
    }
  });
});
