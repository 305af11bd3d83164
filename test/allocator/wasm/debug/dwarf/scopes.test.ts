// Which functions cover an address, from entries written by hand: nested, removed, doubled, and with the ranges that
// Binaryen's passes leave.
import { expect, test } from "vitest";
import { Budget } from "../../../../../allocator/wasm/debug/dwarf/budget.ts";
import { Scopes } from "../../../../../allocator/wasm/debug/dwarf/scopes.ts";
import type { DwarfSections } from "../../../../../allocator/wasm/debug/dwarf/sections.ts";

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

/** Shapes: 1 a unit, 2 a function, 3 an inlined one, 4 a lexical block, 5 an inlined one without range; 2 to 4 have a start and a length. */
const LOW_AND_LENGTH = [0x11, 0x01, 0x12, 0x0b, 0, 0];
const ABBREVIATIONS = Uint8Array.from([
  ...[1, 0x11, 1, 0, 0],
  ...[2, 0x2e, 1, ...LOW_AND_LENGTH],
  ...[3, 0x1d, 1, ...LOW_AND_LENGTH],
  ...[4, 0x0b, 1, ...LOW_AND_LENGTH],
  ...[5, 0x1d, 1, 0, 0],
  0,
]);

interface Tree {
  readonly shape: 2 | 3 | 4 | 5;
  readonly from?: number;
  readonly to?: number;
  readonly inside?: readonly Tree[];
}

const u32 = (value: number) => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];

function bytesOf({ shape, from = 0, to = from, inside = [] }: Tree): number[] {
  const range = shape === 5 ? [] : [...u32(from), to - from];
  return [shape, ...range, ...inside.flatMap(bytesOf), 0];
}

function scopesOf(...units: readonly (readonly Tree[])[]): Scopes {
  const info = units.flatMap((trees) => {
    const entries = [1, ...trees.flatMap(bytesOf), 0];
    return [...u32(entries.length + 7), 4, 0, ...u32(0), 4, ...entries];
  });
  const sections = { ...none, abbrev: ABBREVIATIONS, info: Uint8Array.from(info) };
  return new Scopes(sections, new Budget(info.length));
}

/** Rows from the innermost to the function; rows count functions and inlined ones in the order of the tree. */
function chainAt(scopes: Scopes, address: number): number[] {
  const root = scopes.functionAt(address);
  if (root < 0) return [];
  const chain: number[] = [];
  for (let row = scopes.innermostAt(root, address); row !== root; row = scopes.parent.values[row]) chain.push(row);
  return [...chain, root];
}

test("an address has all that is inlined around it, through blocks that are no functions", () => {
  const inner: Tree = { shape: 3, from: 30, to: 40 };
  const outer: Tree = { shape: 3, from: 20, to: 50, inside: [{ shape: 4, from: 25, to: 45, inside: [inner] }] };
  const scopes = scopesOf([{ shape: 2, from: 10, to: 90, inside: [outer, { shape: 3, from: 60, to: 70 }] }]);
  expect([9, 10, 20, 30, 39, 40, 50, 65, 89, 90].map((address) => chainAt(scopes, address))).toEqual([
    ...[[], [0], [1, 0], [2, 1, 0], [2, 1, 0], [1, 0], [0], [3, 0], [0], []],
  ]);
});

test("functions at address 0 and at the linker's tombstones were removed", () => {
  const removed = [0, 0xffffffff, 0xfffffffe].map((from): Tree => ({ shape: 2, from, to: from + 20 }));
  const scopes = scopesOf([...removed, { shape: 2, from: 5, to: 9 }]);
  expect([1, 4, 6, 10, 0xffffffff].map((address) => chainAt(scopes, address))).toEqual([[], [], [0], [], []]);
});

test("of two copies of one inline function the first unit's is the one that was kept", () => {
  const scopes = scopesOf([{ shape: 2, from: 10, to: 40 }], [{ shape: 2, from: 10, to: 20 }]);
  expect([10, 30].map((address) => chainAt(scopes, address))).toEqual([[0], [0]]);
});

test("a function inside another function's entries is not inlined into it", () => {
  const local: Tree = { shape: 2, from: 100, to: 120, inside: [{ shape: 3, from: 105, to: 110 }] };
  const scopes = scopesOf([{ shape: 2, from: 10, to: 40, inside: [local, { shape: 3, from: 20, to: 30 }] }]);
  expect([25, 107].map((address) => chainAt(scopes, address))).toEqual([
    [3, 0],
    [2, 1],
  ]);
});

test("an inlined function whose range was lost still stands between those around and inside", () => {
  const lost: Tree = { shape: 5, inside: [{ shape: 3, from: 20, to: 30 }] };
  expect(chainAt(scopesOf([{ shape: 2, from: 10, to: 40, inside: [lost] }]), 25)).toEqual([2, 1, 0]);
});

test("a range that goes on too far ends where the range ends that it starts in", () => {
  const tooLong: Tree = { shape: 3, from: 20, to: 30, inside: [{ shape: 3, from: 22, to: 200 }] };
  const scopes = scopesOf([{ shape: 2, from: 10, to: 40, inside: [tooLong] }]);
  expect([25, 35, 50].map((address) => chainAt(scopes, address))).toEqual([[2, 1, 0], [0], []]);
});

test("of two overlapping ranges the one that starts later holds", () => {
  const inside: Tree[] = [
    { shape: 3, from: 12, to: 38 },
    { shape: 3, from: 20, to: 30 },
    { shape: 3, from: 20, to: 25 },
  ];
  const scopes = scopesOf([{ shape: 2, from: 10, to: 40, inside }]);
  expect([15, 22, 28, 35].map((address) => chainAt(scopes, address)[0])).toEqual([1, 3, 2, 1]);
});

test("entries after a fault are unknown, and those before it and in other units are not", () => {
  const good: Tree = { shape: 2, from: 10, to: 20 };
  const bad = { shape: 77, from: 20, to: 30 } as unknown as Tree;
  const scopes = scopesOf([good, bad, { shape: 2, from: 40, to: 50 }], [{ shape: 2, from: 60, to: 70 }]);
  expect([15, 45, 65].map((address) => chainAt(scopes, address))).toEqual([[0], [], [1]]);
});
