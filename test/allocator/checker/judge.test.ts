// Judging an access to undefined bytes: what it is called, what is fine, and which memory is taken to be accessible.
import { describe, expect, test } from "vitest";
import { Heap } from "../../../allocator/index.ts";

const createHeap = () => new Heap({ uninitialised: "byte", memoryBytes: 64 * 2 ** 20, seed: 1 });
const verdicts = (heap: Heap) => heap.checker.findings.map(({ kind, operation, cause }) => [kind, operation, cause]);

describe("uses of undefined bytes of the program's own memory", () => {
  test("loads, reads, comparisons, strings and system calls are uninitialised; stores and copies are fine", () => {
    const heap = createHeap();
    const p = heap.malloc(32);
    const other = heap.calloc(1, 32);
    heap.memory.copy(other, p, 8);
    heap.memory.setUint8(p + 31, 1);
    expect(verdicts(heap)).toEqual([]);
    heap.memory.getUint16(p);
    heap.memory.read(p, 4);
    heap.memory.compare(p, other + 8, 4);
    heap.memory.readString(p, 4);
    heap.process.write(heap.process.pipe2()[1], p, 4);
    expect(verdicts(heap)).toEqual(
      ["load", "read", "compare", "string", "system call"].map((operation) => ["uninitialised", operation, null]),
    );
  });

  test("with reportOn use, loads and reads are fine and the others are not", () => {
    const heap = createHeap();
    heap.checker.reportOn = "use";
    const p = heap.malloc(32);
    heap.memory.getFloat64(p);
    heap.memory.read(p, 8);
    expect(verdicts(heap)).toEqual([]);
    heap.memory.compare(p, p + 8, 4);
    expect(heap.checker.findings.length).toBeGreaterThan(0);
  });
});

describe("accesses that are not the program's", () => {
  test("are told apart by cause, for loads, stores and copies", () => {
    const heap = createHeap();
    const p = heap.calloc(1, 24);
    heap.memory.getUint8(p + 24);
    heap.memory.setUint8(p + 24, 1);
    heap.memory.copy(p, p + 24, 1);
    heap.checker.makeNoAccess(p, 4);
    heap.memory.setUint8(p, 1);
    heap.free(p);
    heap.memory.getUint8(p + 8);
    expect(verdicts(heap)).toEqual([
      ["invalid-access", "load", "out-of-bounds"],
      ["invalid-access", "store", "out-of-bounds"],
      ["invalid-access", "copy", "out-of-bounds"],
      ["invalid-access", "store", "no-access"],
      ["invalid-access", "load", "use-after-free"],
    ]);
  });

  test("a bad store's bytes stay undefined, so that each further one is found too", () => {
    const heap = createHeap();
    const p = heap.malloc(24);
    for (let i = 0; i < 3; i++) heap.memory.setUint8(p + 24, 1);
    expect(heap.checker.countErrors()).toBe(3);
  });
});

test.each(["setUint8", "setUint16", "setInt32", "setFloat64"] as const)(
  "the window of accessible memory follows the chunks: %s into a chunk freed, or shrunk, since is found",
  (store) => {
    const heap = createHeap();
    const p = heap.malloc(64);
    heap.memory[store](p, 1);
    heap.memory[store](p + 32, 1);
    expect(verdicts(heap)).toEqual([]);
    heap.realloc(p, 24);
    heap.memory[store](p + 32, 1);
    heap.memory[store](p + 8, 1);
    heap.free(p);
    heap.memory[store](p + 8, 1);
    expect(heap.checker.findings.map(({ cause, offset }) => [cause, offset])).toEqual([
      ["out-of-bounds", 32],
      ["use-after-free", 8],
    ]);
  },
);

test("memory outside the heap is the program's, written or not", () => {
  const heap = createHeap();
  const address = heap.process.mmap(0, 8192, 3, 0x22);
  heap.checker.makeUndefined(address, 16);
  heap.memory.setUint32(address, 1);
  heap.memory.getUint32(address);
  expect(verdicts(heap)).toEqual([]);
  heap.memory.getUint32(address + 4);
  expect(verdicts(heap)).toEqual([["uninitialised", "load", null]]);
});

test("what a handler does while a finding is reported is not judged", () => {
  const heap = createHeap();
  const p = heap.malloc(16);
  heap.checker.onFinding = () => void heap.memory.getUint32(p + 8);
  heap.memory.getUint32(p);
  expect(verdicts(heap)).toHaveLength(1);
  heap.checker.onFinding = null;
  heap.memory.getUint32(p + 8);
  expect(verdicts(heap)).toHaveLength(2);
});
