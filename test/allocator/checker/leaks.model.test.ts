// The leak check against a plain model: random graphs of chunks, reached from random roots by pointers to begins and to middles.
import fc from "fast-check";
import { expect, test } from "vitest";
import { Heap } from "../../../allocator/index.ts";
import "../../seed.ts";

const CHUNKS = 8;
const edge = fc.record({ from: fc.nat(CHUNKS - 1), to: fc.nat(CHUNKS - 1), isStart: fc.boolean() });

test("reachable, possibly and wholly lost chunks are the model's, and each lost one is lost by something", () => {
  fc.assert(
    fc.property(fc.array(edge, { maxLength: 12 }), fc.array(edge, { maxLength: 2 }), (edges, roots) => {
      const heap = new Heap({ uninitialised: "byte", memoryBytes: 16 * 2 ** 20, seed: 1 });
      const chunks = Array.from({ length: CHUNKS }, () => heap.malloc(128));
      const target = ({ to, isStart }: { to: number; isStart: boolean }) => chunks[to] + (isStart ? 0 : 24);
      for (const [i, given] of edges.entries()) heap.memory.setFloat64(chunks[given.from] + i * 8, target(given));

      // 0 lost, 1 by middles only, 2 by begins all the way.
      const state = new Array<number>(CHUNKS).fill(0);
      const raise = (row: number, level: number) => {
        const isRaised = state[row] < level;
        if (isRaised) state[row] = level;
        return isRaised;
      };
      for (const { to, isStart } of roots) raise(to, isStart ? 2 : 1);
      for (let isChanged = true; isChanged; ) {
        isChanged = false;
        for (const { from, to, isStart } of edges) {
          if (state[from] > 0) isChanged = raise(to, isStart && state[from] === 2 ? 2 : 1) || isChanged;
        }
      }
      const lost = state.filter((level) => level === 0).length;
      const pointedTo = new Set(edges.filter(({ from, to }) => from !== to && state[from] === 0).map(({ to }) => to));
      const unpointed = state.filter((level, row) => level === 0 && !pointedTo.has(row)).length;

      const found = heap.checker.leakCheck({ roots: roots.map(target), report: [] });
      expect(found.reachable.blocks).toBe(state.filter((level) => level === 2).length);
      expect(found.possibly.blocks).toBe(state.filter((level) => level === 1).length);
      expect(found.definitely.blocks + found.indirectly.blocks).toBe(lost);
      // What nothing points to is lost for certain; of a ring, one.
      expect(found.definitely.blocks).toBeGreaterThanOrEqual(Math.max(unpointed, lost > 0 ? 1 : 0));
    }),
    { numRuns: 60 },
  );
});

test("a pointer is found as a 64-bit integer, tag or not, and as a double, each where that form is looked for", () => {
  const heap = new Heap({ uninitialised: "byte", memoryBytes: 16 * 2 ** 20, seed: 1 });
  const [root, first, second, third] = Array.from({ length: 4 }, () => heap.malloc(64));
  expect(first).toBeGreaterThan(2 ** 32);
  heap.memory.setBigUint64(root, BigInt(first));
  heap.memory.setBigUint64(root + 8, BigInt(second) | (7n << 48n));
  heap.memory.setFloat64(root + 16, third);
  const reachable = (pointers: "integer" | "float64" | "either") =>
    heap.checker.leakCheck({ roots: [root], report: [], pointers }).reachable.blocks;
  expect(reachable("integer")).toBe(3);
  expect(reachable("float64")).toBe(2);
  expect(reachable("either")).toBe(4);
});

test("a word below all chunks, or behind the last one, points to none", () => {
  const heap = new Heap({ uninitialised: "byte", memoryBytes: 16 * 2 ** 20, seed: 1 });
  const [root, lost] = [heap.malloc(64), heap.malloc(64)].sort((a, b) => b - a);
  const words = [1, 5, 4096, lost - 1, lost + 64, root + 64, 2 ** 47, lost % 2 ** 32];
  for (const [i, word] of words.entries()) heap.memory.setBigUint64(root + 8 * i, BigInt(word));
  const { definitely, possibly, reachable } = heap.checker.leakCheck({ roots: [root], report: [] });
  expect([definitely.blocks, possibly.blocks, reachable.blocks]).toEqual([1, 0, 1]);
  heap.memory.setBigUint64(root, BigInt(lost + 63));
  expect(heap.checker.leakCheck({ roots: [root], report: [] }).possibly.blocks).toBe(1);
});
