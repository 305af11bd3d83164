// Debug data that is cut short, altered or made to cost: every question still has an answer of the promised kind, in time
// proportional to the bytes.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DebugInfo } from "../../../../allocator/wasm/debug/debug-info.ts";
import { Budget } from "../../../../allocator/wasm/debug/dwarf/budget.ts";
import { Dwarf } from "../../../../allocator/wasm/debug/dwarf/dwarf.ts";
import { Scopes } from "../../../../allocator/wasm/debug/dwarf/scopes.ts";
import { collectDwarfSections, type DwarfSections } from "../../../../allocator/wasm/debug/dwarf/sections.ts";
import type { GuestFrame } from "../../../../allocator/wasm/debug/guest-frame.ts";
import type { CustomSection } from "../../../../allocator/wasm/debug/sections/custom-sections.ts";
import { uleb } from "./bytes.ts";
import { PROGRAMS, type Program, sectionsOf } from "./fixtures.ts";

function isGuestFrame(frame: GuestFrame): boolean {
  const isNumberOrNull = (value: number | null) => value === null || (Number.isSafeInteger(value) && value > 0);
  return (
    typeof frame.functionName === "string" &&
    frame.functionName !== "" &&
    (frame.file === null || typeof frame.file === "string") &&
    isNumberOrNull(frame.line) &&
    isNumberOrNull(frame.column) &&
    !(frame.file === null && frame.line !== null)
  );
}

function expectAnswers(sections: readonly CustomSection[], codeSectionOffset: number): void {
  const info = DebugInfo.of(sections, codeSectionOffset);
  for (let offset = 0; offset < 1200; offset += 29) {
    const frames = info.lookup(1, offset);
    expect(frames.length).toBeGreaterThan(0);
    expect(frames.every(isGuestFrame)).toBe(true);
    expect(frames.slice(0, -1).every(({ isInlined }) => isInlined)).toBe(true);
  }
}

const program = fc.constantFrom(...PROGRAMS);

test("debug data with some bytes altered", () => {
  const edit = fc.record({ at: fc.nat(5000), byte: fc.constantFrom(0, 1, 0x7f, 0x80, 0xff, 8, 0x11) });
  const random = fc.record({ at: fc.nat(5000), byte: fc.nat(255) });
  fc.assert(
    fc.property(program, fc.array(fc.oneof(edit, random), { minLength: 1, maxLength: 12 }), (name, edits) => {
      const { customSections, codeSectionOffset } = sectionsOf(name);
      const debug = customSections.filter((section) => section.name.startsWith(".debug") || section.name === "name");
      for (const { at, byte } of edits) {
        const { bytes } = debug[at % debug.length];
        bytes[Math.floor(at / debug.length) % bytes.length] = byte;
      }
      expectAnswers(customSections, codeSectionOffset);
    }),
    { numRuns: 200 },
  );
});

test("debug data with sections cut short", () => {
  fc.assert(
    fc.property(program, fc.nat(30), fc.double({ min: 0, max: 1, noNaN: true }), (name, which, part) => {
      const { customSections, codeSectionOffset } = sectionsOf(name);
      const cut = customSections.map((section, index) =>
        index === which % customSections.length
          ? { name: section.name, bytes: section.bytes.subarray(0, Math.floor(section.bytes.length * part)) }
          : section,
      );
      expectAnswers(cut, codeSectionOffset);
    }),
    { numRuns: 200 },
  );
});

test("debug data with sections in each other's places", () => {
  fc.assert(
    fc.property(program, program, fc.nat(30), fc.nat(30), (one, other, from, to) => {
      const { customSections, codeSectionOffset } = sectionsOf(one);
      const foreign = sectionsOf(other).customSections;
      const mixed = customSections.map((section, index) =>
        index === to % customSections.length
          ? { name: section.name, bytes: foreign[from % foreign.length].bytes }
          : section,
      );
      expectAnswers(mixed, codeSectionOffset);
    }),
    { numRuns: 150 },
  );
});

test("what is left of a .debug_info cut short anywhere says part of what the whole says, and nothing else", () => {
  for (const name of PROGRAMS) {
    const whole = new Dwarf(dwarfSections(name));
    const { info } = dwarfSections(name);
    for (let length = 0; length < info.length; length += 23) {
      const cut = new Dwarf({ ...dwarfSections(name), info: info.subarray(0, length) });
      for (let address = 1; address < 400; address += 31) {
        const lines = cut.framesAt(address).map(({ line }) => line);
        const known = whole.framesAt(address).map(({ line }) => line);
        expect(lines.every((line) => line === null || known.includes(line))).toBe(true);
      }
    }
  }
});

function dwarfSections(name: Program): DwarfSections {
  return collectDwarfSections(sectionsOf(name).customSections)!;
}

describe("data made to cost", () => {
  const empty = new Uint8Array(0);
  const none: DwarfSections = {
    info: empty,
    abbrev: empty,
    line: empty,
    lineStr: empty,
    str: empty,
    strOffsets: empty,
    addr: empty,
    ranges: empty,
    rnglists: empty,
  };
  const u32 = (value: number) => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
  /** A unit of DWARF 4 whose entries follow. */
  const unit = (abbreviations: number, entries: readonly number[]) => [
    ...u32(entries.length + 7),
    ...[4, 0],
    ...u32(abbreviations),
    4,
    ...entries,
  ];
  const repeat = (times: number, bytes: readonly number[]) => Array.from({ length: times }, () => bytes).flat();

  test("a hundred thousand entries that share one long list of ranges stop within the budget", () => {
    // Shapes: 1 is the unit, 2 a function with DW_AT_ranges at DW_FORM_udata.
    const abbrev = Uint8Array.from([1, 0x11, 1, 0, 0, 2, 0x2e, 0, 0x55, 0x0f, 0, 0, 0]);
    const info = Uint8Array.from(unit(0, [1, ...repeat(100_000, [2, 0])]));
    const ranges = Uint8Array.from(repeat(50_000, [...u32(5), ...u32(9)]));
    const bytes = abbrev.length + info.length + ranges.length;
    const scopes = new Scopes({ ...none, abbrev, info, ranges }, new Budget(bytes));
    expect(scopes.ranges.count).toBeGreaterThan(0);
    expect(scopes.ranges.count).toBeLessThan(0x10000 + bytes);
  });

  test("units that each start a long table of shapes at another place stop within the budget", () => {
    const abbrev = Uint8Array.from([...repeat(60_000, [1, 0x2e, 0, 0, 0]), 0]);
    const info = Uint8Array.from(Array.from({ length: 20_000 }, (_, index) => unit(index * 5, [1, 1])).flat());
    const budget = new Budget(abbrev.length + info.length);
    new Scopes({ ...none, abbrev, info }, budget);
    expect(budget.isSpent).toBe(true);
  });

  test("functions nested a hundred thousand deep are walked without recursion, and are unknown", () => {
    // Shape 2 is a function inlined from address 1 to 2, with children.
    const abbrev = Uint8Array.from([
      1, 0x11, 1, 0, 0, 2, 0x2e, 1, 0x11, 0x0b, 0x12, 0x0b, 0, 0, 3, 0x1d, 1, 0x11, 0x0b, 0x12, 0x0b, 0, 0, 0,
    ]);
    const info = Uint8Array.from(unit(0, [1, 2, 1, 1, ...repeat(100_000, [3, 1, 1])]));
    expect(new Dwarf({ ...none, abbrev, info }).framesAt(1)).toEqual([]);
  });

  test("entries that are each other's origin have no name", () => {
    // Shape 1: a unit; 2: a function of address, length and abstract origin (ref1).
    const abbrev = Uint8Array.from([1, 0x11, 1, 0, 0, 2, 0x2e, 0, 0x11, 0x0b, 0x12, 0x0b, 0x31, 0x11, 0, 0, 0]);
    const info = Uint8Array.from(unit(0, [1, 2, 10, 5, 16, 2, 20, 5, 12, 0]));
    expect(new Dwarf({ ...none, abbrev, info }).framesAt(12)).toMatchObject([{ functionName: null, file: null }]);
  });

  test("counts that no data could hold end their lists", () => {
    const huge = uleb(2 ** 40);
    // Version 5, 4-byte addresses, one directory format of no bytes, a huge count.
    const names = [1, 1, 0x19, ...huge];
    const header = [1, 1, 1, 0xfb, 14, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1, ...names];
    const program = [0, 5, 2, ...u32(100), 1, 2, 10, 0, 1, 1];
    const table = [5, 0, 4, 0, ...u32(header.length), ...header, ...program];
    const line = Uint8Array.from([...u32(table.length), ...table]);
    const frames = new Dwarf({ ...none, line }).framesAt(105);
    expect(frames).toMatchObject([{ functionName: null, file: null, line: null }]);
  });
});
