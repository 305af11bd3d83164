// How a frame is made equal to a reference page, one at a time and many in a row: bytes, tags, validity bits and counts, held against
// the page itself. Which kind a page is found to have is store.test.ts.
import { describe, expect, test } from "vitest";
import { Counters } from "../../platform/hardware/counters.ts";
import { GRANULES_PER_PAGE, PAGE_SIZE } from "../../platform/hardware/layout.ts";
import { PhysicalMemory, VALIDITY_BYTES_PER_FRAME } from "../../platform/hardware/physical-memory.ts";
import { type Content, copyContent, copyContentToFrames } from "../../refpage/content.ts";

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
