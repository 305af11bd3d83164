// The level "page": reads of large chunks' clean pages are found at no cost per load, and nothing is found wrongly.
import { expect, test } from "vitest";
import { Heap } from "../../../allocator/index.ts";

const LARGE = 2 ** 20;

function pageHeap(): Heap {
  return new Heap({ uninitialised: "page", stacks: true, memoryBytes: 64 * 2 ** 20 });
}

const kinds = (heap: Heap) => heap.checker.findings.map(({ kind, cause, offset }) => [kind, cause, offset]);

test("a read of an unwritten page is a finding; a second of the same page adds none", () => {
  const heap = pageHeap();
  const p = heap.malloc(LARGE);
  heap.memory.getUint8(p + 500_000);
  heap.memory.getUint8(p + 500_001);
  expect(kinds(heap)).toEqual([["uninitialised", null, 500_000]]);
  expect(heap.checker.findings[0].block?.size).toBe(LARGE);
});

test("a page with one written byte is not clean: what it cannot see", () => {
  const heap = pageHeap();
  const p = heap.malloc(LARGE);
  heap.memory.setUint8(p + 500_000, 1);
  heap.memory.getUint8(p + 500_001);
  expect(kinds(heap)).toEqual([]);
});

test("calloc's pages, small chunks, copies and the heap's own work are no findings; a refused free is one", () => {
  const heap = pageHeap();
  const p = heap.malloc(LARGE);
  heap.memory.getUint8(heap.calloc(1, LARGE) + 70_000);
  heap.memory.getUint8(heap.malloc(100));
  heap.memory.copy(heap.malloc(LARGE), p, LARGE);
  const q = heap.realloc(heap.calloc(1, LARGE), 2 * LARGE);
  heap.memory.getUint8(q);
  try {
    heap.free(p + 8192);
  } catch {}
  expect(heap.checker.findings.map(({ kind, cause }) => [kind, cause])).toEqual([["invalid-free", "interior-pointer"]]);
});

test("realloc's growth and a reused mapping are clean", () => {
  const heap = pageHeap();
  const p = heap.malloc(LARGE);
  heap.memory.fill(p, 1, LARGE);
  const q = heap.realloc(p, 2 * LARGE);
  heap.memory.getUint8(q + LARGE + 5000);
  heap.free(q);
  const again = heap.malloc(2 * LARGE);
  heap.memory.getUint8(again + 5000);
  expect(kinds(heap).map(([kind]) => kind)).toEqual(["uninitialised", "uninitialised"]);
});

test("write(2) of a clean page is a finding", () => {
  const heap = pageHeap();
  const p = heap.malloc(LARGE);
  heap.process.write(heap.process.memfd_create("x"), p + 8192, 100);
  expect(kinds(heap).map(([kind]) => kind)).toEqual(["uninitialised"]);
});

test("the contents are as the fill says", () => {
  for (const [fill, byte] of [
    ["none", 0],
    ["zero", 0],
    ["pattern", 0xab],
  ] as const) {
    for (const uninitialised of ["page", "byte"] as const) {
      for (const largeFill of ["refpage", "memset"] as const) {
        const heap = new Heap({ uninitialised, fill, largeFill, memoryBytes: 64 * 2 ** 20 });
        const p = heap.malloc(LARGE);
        expect(heap.memory.getUint8(p + 70_000)).toBe(byte);
        heap.free(p);
        expect(heap.memory.getUint8(heap.malloc(LARGE) + 90_000)).toBe(byte);
        expect(heap.memory.getUint8(heap.calloc(1, LARGE) + 90_000)).toBe(0);
        heap.checkInvariants();
      }
    }
  }
});
