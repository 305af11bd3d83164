// Freed blocks wait before their memory is handed out again, so that a stale pointer is found out: the meaning of Memcheck's freelist.
import { describe, expect, test } from "vitest";
import { Heap, type HeapOptions } from "../../../allocator/index.ts";
import { test as fixture } from "../../../allocator/vitest/index.ts";

const MIB = 2 ** 20;
const byteHeap = (more: HeapOptions = {}) =>
  new Heap({ uninitialised: "byte", memoryBytes: 128 * MIB, seed: 1, stacks: true, ...more });
const causes = (heap: Heap) => heap.checker.findings.map(({ cause, count }) => `${cause} ${count}`);
const use = (heap: Heap, p: number) => {
  try {
    heap.memory.getUint8(p);
  } catch {}
};

describe.each([16, 40, 1000, 60_000, 100_000, 500_000, 2 * MIB])("a freed block of %i bytes", (size) => {
  test("is not where the next blocks of its size are, and a stale pointer is reported", () => {
    const heap = byteHeap();
    const p = heap.malloc(size);
    heap.free(p);
    const others = Array.from({ length: 5 }, () => heap.calloc(1, size));
    expect(others).not.toContain(p);
    use(heap, p);
    expect(heap.checker.findings).toMatchObject([{ cause: "use-after-free", block: { pointer: p, size } }]);
    for (const q of others) heap.free(q);
    heap.checkInvariants();
    expect(heap.process.rssBytes).toBeLessThan(2 * MIB);
  });
});

test("memory is reused when the list has its volume, small blocks and large ones", () => {
  const heap = byteHeap();
  for (const size of [40_000, 400_000]) {
    const seen = new Set<number>();
    let isReused = false;
    for (let i = 0; i < 3000 && !isReused; i++) {
      const p = heap.malloc(size);
      isReused = seen.has(p);
      seen.add(p);
      heap.free(p);
    }
    expect(isReused).toBe(true);
    expect(seen.size * size).toBeGreaterThan(15_000_000);
    expect(seen.size * size).toBeLessThan(40_000_000);
  }
  heap.checkInvariants();
});

test("a child and its parent each go on with the list; the heap's end gives all of it back", () => {
  const heap = byteHeap();
  const p = heap.malloc(300_000);
  heap.free(p);
  const child = heap.fork();
  for (const each of [heap, child]) {
    for (let i = 0; i < 100; i++) each.free(each.malloc(300_000));
    use(each, p);
    each.checkInvariants();
  }
  child[Symbol.dispose]();
  heap.kernel.checkInvariants();
  const { process } = heap;
  const areas = process.procfs("maps").split("\n").length;
  const own = new Heap({ uninitialised: "byte", process, seed: 2 });
  for (const size of [100, 300_000, 3 * MIB]) own.free(own.malloc(size));
  own[Symbol.dispose]();
  expect(process.procfs("maps").split("\n").length).toBeLessThanOrEqual(areas + 1);
});

test("a quarantine of the program's own, typed or in the option string, takes its place; so does none", () => {
  for (const more of [
    { quarantine: {} },
    { quarantine: { sizeKb: 0 } },
    { scudoOptions: "quarantine_size_kb=0:thread_local_quarantine_size_kb=0" },
    { environment: { SCUDO_OPTIONS: "quarantine_max_chunk_size=0" } },
  ]) {
    const heap = byteHeap(more);
    const p = heap.malloc(300_000);
    heap.free(p);
    expect(heap.malloc(300_000)).toBe(p);
    const q = heap.malloc(48);
    heap.free(q);
    expect(heap.malloc(48)).toBe(q);
  }
  expect(new Heap({ memoryBytes: 64 * MIB }).options.flags.quarantine_size_kb).toBe(0);
});

fixture("the fixture has it", ({ heap }) => {
  const p = heap.malloc(24);
  heap.free(p);
  heap.free(heap.malloc(24));
  heap.memory.getUint8(p);
  expect(causes(heap)).toEqual(["use-after-free 1"]);
  heap.checker.clear();
});

test("quarantined chunks and the list's own records are no leaks", () => {
  const heap = byteHeap();
  for (let i = 0; i < 3000; i++) heap.free(heap.malloc(100));
  const { definitely, possibly } = heap.checker.leakCheck();
  expect([definitely.blocks, possibly.blocks]).toEqual([0, 0]);
});
