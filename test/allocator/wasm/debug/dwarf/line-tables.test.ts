// Line tables written by hand: sequences that are empty, removed or go back, code of no line, names of files in both versions.
import { describe, expect, test } from "vitest";
import { LineTables } from "../../../../../allocator/wasm/debug/dwarf/line-tables.ts";
import type { DwarfSections } from "../../../../../allocator/wasm/debug/dwarf/sections.ts";
import { uleb } from "../bytes.ts";

const empty = new Uint8Array(0);
const u32 = (value: number) => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
const text = (value: string) => [...new TextEncoder().encode(value), 0];

/** minimum_instruction_length, maximum_operations, default_is_stmt, line_base, line_range, opcode_base and operand counts. */
const COUNTS = [1, 1, 1, 0xfb, 14, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1];
/** Directory 1 is `inc`; file 1 is `a.c` of the compilation's directory, 2 is `b.h` of `inc`, 3 is `/c.h`. */
const NAMES_4 = [...text("inc"), 0, ...text("a.c"), 0, 0, 0, ...text("b.h"), 1, 0, 0, ...text("/c.h"), 1, 0, 0, 0];
/** Directories `/src` and `inc` and files `a.c` of 0, `b.h` of 1, as strings in place. */
const NAMES_5 = [
  ...[1, 1, 0x08, 2, ...text("/src"), ...text("inc")],
  ...[2, 1, 0x08, 2, 0x0b, 2, ...text("./a.c"), 0, ...text("b.h"), 1],
];

function table(version: 4 | 5, program: readonly number[]): number[] {
  const header = [...COUNTS, ...(version === 5 ? NAMES_5 : NAMES_4)];
  const body = [version, 0, ...(version === 5 ? [4, 0] : []), ...u32(header.length), ...header, ...program];
  return [...u32(body.length), ...body];
}

function tablesOf(...tables: readonly number[][]): LineTables {
  const sections: DwarfSections = {
    info: empty,
    abbrev: empty,
    line: Uint8Array.from(tables.flat()),
    lineStr: empty,
    str: empty,
    strOffsets: empty,
    addr: empty,
    ranges: empty,
    rnglists: empty,
  };
  return new LineTables(sections);
}

/** Opcodes: to an address; a row some bytes further in a line of a file; the end some bytes further. */
const at = (address: number) => [0, 5, 2, ...u32(address)];
const sleb = (value: number) => [value & 0x7f];
const row = (advance: number, lines: number, file = 1) => [2, ...uleb(advance), 3, ...sleb(lines), 4, ...uleb(file), 1];
const end = (advance: number) => [2, ...uleb(advance), 0, 1, 1];

const lineAt = (tables: LineTables, address: number) => tables.at(address)?.line ?? null;

test("a row holds until the next one, the last until the end of the sequence", () => {
  const tables = tablesOf(table(4, [...at(10), ...row(0, 4), ...row(5, 2), ...end(3)]));
  expect([9, 10, 14, 15, 17, 18].map((address) => lineAt(tables, address))).toEqual([null, 5, 5, 7, 7, null]);
});

test("of several rows at one address the last holds", () => {
  const tables = tablesOf(table(4, [...at(10), ...row(0, 4), ...row(0, 2), ...end(3)]));
  expect(lineAt(tables, 10)).toBe(7);
});

test("special opcodes move address and line together", () => {
  // (line advance + 5) + 14 * address advance + 13: 3 bytes and 2 lines, then DW_LNS_const_add_pc (17 bytes).
  const tables = tablesOf(table(4, [...at(10), 1, 2 + 5 + 14 * 3 + 13, 8, 1, ...end(1)]));
  expect([12, 13, 29, 30].map((address) => lineAt(tables, address))).toEqual([1, 3, 3, 3]);
  expect(lineAt(tables, 31)).toBeNull();
});

test("a sequence of no bytes says nothing, and leaves the next as it is", () => {
  const tables = tablesOf(table(4, [...at(10), ...row(0, 40), ...end(0), ...at(20), ...row(0, 4), ...end(5)]));
  expect([10, 15, 20, 24, 25].map((address) => lineAt(tables, address))).toEqual([null, null, 5, 5, null]);
});

test("sequences of removed code say nothing", () => {
  const removed = [0, 0xffffffff, 0xfffffffe].flatMap((address) => [
    ...at(address),
    ...row(0, 40),
    ...row(3, 1),
    ...end(9),
  ]);
  const tables = tablesOf(table(4, [...removed, ...at(20), ...row(0, 4), ...end(5)]));
  expect([0, 1, 3, 11, 20, 0xfffffffe, 0xffffffff].map((address) => lineAt(tables, address))).toEqual([
    ...[null, null, null, null, 5, null, null],
  ]);
});

test("an address that goes back starts another sequence", () => {
  const tables = tablesOf(table(4, [...at(50), ...row(0, 4), ...row(5, 1), ...at(10), ...row(0, 1), ...end(5)]));
  expect([10, 14, 15, 50, 54, 55].map((address) => lineAt(tables, address))).toEqual([7, 7, null, 5, 5, null]);
});

test("code of no line has the last line before it of the same file, as an approximation", () => {
  const tables = tablesOf(table(4, [...at(10), ...row(0, 4), ...row(5, 2, 2), ...row(5, -7, 1), ...end(5)]));
  expect(tables.at(21)).toEqual({ table: 0, file: 1, line: 0, column: 0, lineBefore: 5 });
});

test("a program cut short ends at its last row", () => {
  const whole = table(4, [...at(10), ...row(0, 4), ...row(5, 2), ...end(30)]);
  const cut = whole.slice(0, -3);
  const tables = tablesOf([...u32(cut.length - 4), ...cut.slice(4)]);
  expect([12, 15, 16].map((address) => lineAt(tables, address))).toEqual([5, null, null]);
});

test("a table of an unknown version is passed over", () => {
  const unknown = table(4, [...at(10), ...row(0, 4), ...end(9)]);
  unknown[4] = 9;
  const tables = tablesOf(unknown, table(4, [...at(20), ...row(0, 4), ...end(9)]));
  expect([12, 22].map((address) => lineAt(tables, address))).toEqual([null, 5]);
});

describe("paths of files", () => {
  test("in version 4 count from 1, and directory 0 is the compilation's", () => {
    const tables = tablesOf(table(4, [...at(10), ...row(0, 4), ...end(9)]));
    expect([0, 1, 2, 3, 4].map((file) => tables.pathOf(0, file, "/build/"))).toEqual([
      ...[null, "/build/a.c", "/build/inc/b.h", "/c.h", null],
    ]);
  });

  test("in version 5 count from 0, and the list has the compilation's directory", () => {
    const tables = tablesOf(table(5, [...at(10), ...row(0, 4), ...end(9)]));
    expect([0, 1, 2].map((file) => tables.pathOf(0, file, "/build"))).toEqual(["/src/a.c", "/build/inc/b.h", null]);
    expect(lineAt(tables, 12)).toBe(5);
  });

  test("on Windows are as absolute as elsewhere", () => {
    const names = [0, ...text("C:\\a.c"), 0, 0, 0, 0];
    const header = [...COUNTS, ...names];
    const body = [4, 0, ...u32(header.length), ...header, ...at(10), ...row(0, 4), ...end(9)];
    expect(tablesOf([...u32(body.length), ...body]).pathOf(0, 1, "D:\\build")).toBe("C:\\a.c");
  });
});
