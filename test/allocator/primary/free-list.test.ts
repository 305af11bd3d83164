// Free lists on their own: nodes of class 0 that keep themselves, groups in order, partly full first batches (S8.6–S8.9).
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FreeLists, type NodeSource } from "../../../allocator/primary/free-list.ts";
import { LocalCache } from "../../../allocator/primary/local-cache.ts";

const CAPACITY = 6;
const BATCH_CLASS_CAPACITY = 4;
/** Compact pointers between two nodes, and in a group. */
const NODE_UNITS = 8;
const GROUP_UNITS = 2 ** 16 / 16;

const cache = new LocalCache({
  classCount: 2,
  stride: 32,
  maxCounts: Int32Array.of(16, 16),
  statSizes: Float64Array.of(0, 64),
});

function newLists(): FreeLists {
  const lists = new FreeLists({
    classCount: 2,
    capacity: CAPACITY,
    batchClassCapacity: BATCH_CLASS_CAPACITY,
    groupSizeLog: 16,
    nodeBytes: NODE_UNITS * 16,
  });
  lists.growNodes(4096);
  return lists;
}

/** Nodes from a counter; which are out is remembered. */
function newSource(): NodeSource & { used: Set<number> } {
  const free: number[] = [];
  const used = new Set<number>();
  let next = 0;
  return {
    used,
    takeNode() {
      const node = free.pop() ?? next++;
      used.add(node);
      return node;
    },
    returnNode(_, node) {
      if (!used.delete(node)) throw new Error(`node ${node} came back twice`);
      free.push(node);
    },
  };
}

function popAll(lists: FreeLists, classId: number, source: NodeSource, limit: number): number[] {
  const target = new Int32Array(32);
  const all: number[] = [];
  for (;;) {
    const count = lists.pop(cache, classId, target, 0, limit, source);
    if (count === 0) return all;
    all.push(...target.subarray(0, count));
  }
}

const ascending = (a: number, b: number) => a - b;

describe("class 0", () => {
  test("gives back every block that was pushed, its own nodes included, each once", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 8 }), (pushes) => {
        const lists = newLists();
        let next = 0;
        for (const count of pushes) {
          const blocks = Int32Array.from({ length: count }, () => next++ * NODE_UNITS);
          lists.pushBatchClass(blocks, 0, count);
        }
        const popped = popAll(lists, 0, newSource(), 8);
        expect(popped.sort(ascending)).toEqual(Array.from({ length: next }, (_, index) => index * NODE_UNITS));
        expect(lists.firstGroup[0]).toBe(-1);
      }),
    );
  });

  test("hands out whole batches", () => {
    const lists = newLists();
    lists.pushBatchClass(
      Int32Array.from({ length: 12 }, (_, index) => index * NODE_UNITS),
      0,
      12,
    );
    const target = new Int32Array(32);
    expect(lists.pop(cache, 0, target, 0, 1, newSource())).toBe(BATCH_CLASS_CAPACITY);
  });
});

describe("other classes", () => {
  const block = fc.nat(GROUP_UNITS * 5 - 1);

  test("give back what was pushed, lowest group first, and every node with it", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(block, { minLength: 1, maxLength: 60 }),
        fc.integer({ min: 1, max: 14 }),
        (blocks, step) => {
          const lists = newLists();
          const source = newSource();
          for (let begin = 0; begin < blocks.length; begin += step) {
            const part = Int32Array.from(blocks.slice(begin, begin + step));
            lists.push(cache, 1, part, 0, part.length, source);
          }
          const popped = popAll(lists, 1, source, 4);
          const groups = popped.map((one) => Math.floor(one / GROUP_UNITS));
          expect(groups).toEqual([...groups].sort(ascending));
          expect(popped.sort(ascending)).toEqual([...blocks].sort(ascending));
          expect(source.used.size).toBe(0);
        },
      ),
    );
  });

  test("use two nodes for a group's first batch, and one for each further batch", () => {
    const lists = newLists();
    const source = newSource();
    const blocks = Int32Array.from({ length: 2 * CAPACITY + 1 }, (_, index) => index);
    lists.push(cache, 1, blocks, 0, CAPACITY, source);
    expect(source.used.size).toBe(2);
    lists.push(cache, 1, blocks, CAPACITY, CAPACITY + 1, source);
    expect(source.used.size).toBe(4);
    const group = lists.firstGroup[1];
    expect(lists.blocksInGroup(group, CAPACITY)).toBe(2 * CAPACITY + 1);
    expect(lists.count[lists.firstBatch[group]]).toBe(1);
  });

  test("a pop takes from one batch only, its last blocks in their order", () => {
    const lists = newLists();
    const source = newSource();
    lists.push(cache, 1, Int32Array.of(10, 11, 12, 13), 0, 4, source);
    const target = new Int32Array(8);
    expect(lists.pop(cache, 1, target, 2, 3, source)).toBe(3);
    expect([...target]).toEqual([0, 0, 11, 12, 13, 0, 0, 0]);
    expect(lists.pop(cache, 1, target, 0, 3, source)).toBe(1);
  });
});
