// Arenas: which chunks there are, under what name, and which one holds an address.
import { expect, test } from "vitest";
import { Arenas } from "../../../allocator/checker/arenas.ts";

const OPTIONS = { redzoneBytes: 0, isZeroed: false };

test("arenas are named in order of creation, or as the program says", () => {
  const arenas = new Arenas();
  expect(arenas.create(0x1000, OPTIONS).name).toBe("arena 1");
  expect(arenas.create(0x2000, { ...OPTIONS, name: "nodes" }).name).toBe("nodes");
  arenas.delete(0x1000);
  expect(arenas.create(0x1000, OPTIONS).name).toBe("arena 3");
  expect(arenas.count).toBe(2);
});

test("an address is its live chunk's, then a freed one's; ends belong to no chunk", () => {
  const arenas = new Arenas();
  const arena = arenas.create(0x1000, OPTIONS);
  arenas.addChunk(arena, 0x1000, 32, []);
  expect(arenas.find(0x1000)?.chunk.size).toBe(32);
  expect(arenas.find(0x101f)?.arena).toBe(arena);
  expect(arenas.find(0x1020)).toBeNull();
  expect(arenas.find(0xfff)).toBeNull();
  arena.chunks.get(0x1000)!.freed = [];
  expect(arenas.find(0x1010)?.chunk.freed).toEqual([]);
  const other = arenas.create(0x9000, OPTIONS);
  arenas.addChunk(other, 0x1010, 8, []);
  expect(arenas.find(0x1010)?.arena).toBe(other);
  expect(arenas.find(0x1018)?.arena).toBe(arena);
});

test("a new chunk replaces the freed ones that it covers, not those beside it, and is told apart from them", () => {
  const arenas = new Arenas();
  const arena = arenas.create(0x1000, OPTIONS);
  for (const address of [0x1000, 0x1020, 0x1040]) {
    arenas.addChunk(arena, address, 32, []);
    arena.chunks.get(address)!.freed = [];
  }
  arenas.addChunk(arena, 0x1020, 32, []);
  expect([...arena.chunks.keys()].sort()).toEqual([0x1000, 0x1020, 0x1040]);
  expect(arena.chunks.get(0x1020)).toMatchObject({ serial: 4, freed: null });
  arenas.addChunk(arena, 0x1010, 0x40, []);
  expect([...arena.chunks.keys()].sort()).toEqual([0x1010, 0x1020]);
});

test("a moved arena keeps its name and chunks under its new anchor", () => {
  const arenas = new Arenas();
  arenas.addChunk(arenas.create(0x1000, OPTIONS), 0x1000, 16, []);
  arenas.move(0x1000, 0x5000);
  expect(arenas.get(0x1000)).toBeUndefined();
  expect(arenas.get(0x5000)).toMatchObject({ name: "arena 1", pool: 0x5000 });
  expect(arenas.find(0x1008)?.arena.pool).toBe(0x5000);
  arenas.move(0x7000, 0x8000);
  expect(arenas.count).toBe(1);
});

test("arenas that end without chunks take no place among those whose freed chunks are remembered", () => {
  const arenas = new Arenas();
  const arena = arenas.create(0x1000, OPTIONS);
  arenas.addChunk(arena, 0x1000, 32, []);
  arena.chunks.get(0x1000)!.freed = [];
  arenas.delete(0x1000);
  for (let i = 1; i <= 200; i++) {
    arenas.create(0x10000 * i, OPTIONS);
    arenas.delete(0x10000 * i);
  }
  arenas.delete(0x7777);
  expect(arenas.find(0x1008)?.arena).toBe(arena);
});
