// The byte order of a heap's memory: little-endian unless `false` is given, in every family and at every place of a page.
import { describe, expect, test } from "vitest";
import type { HeapOptions } from "../../../allocator/options/options.ts";
import { openHeap } from "../open-heap.ts";

const families: [string, HeapOptions][] = [
  ["plain", {}],
  ["tagged", { tagging: "sync" }],
  ["page", { uninitialised: "page" }],
  ["byte", { uninitialised: "byte" }],
];
const kinds: [string, number, number | bigint][] = [
  ["Uint16", 2, 0x0102],
  ["Int16", 2, -2],
  ["Uint32", 4, 0x81020304],
  ["Int32", 4, -0x01020304],
  ["Float32", 4, 1.5],
  ["Float64", 8, -Math.PI],
  ["BigUint64", 8, 0x8102030405060708n],
  ["BigInt64", 8, -0x0102030405060708n],
];
type Loads = Record<string, (...given: unknown[]) => unknown>;

describe.each(families)("the memory of a %s heap", (_name, options) => {
  test.each(kinds)("stores and loads %s in the order that is given", (kind, size, value) => {
    const heap = openHeap(options);
    const p = heap.malloc(200_000);
    const border = Math.ceil((p % 2 ** 48) / 4096) * 4096 - (p % 2 ** 48);
    const memory = heap.memory as unknown as Loads;
    for (const offset of [0, 5, border - 1, border + 4096 - size + 1, border + 64]) {
      for (const order of [undefined, true, false]) {
        const host = new DataView(new ArrayBuffer(size)) as unknown as Loads & DataView;
        host[`set${kind}`](0, value, order ?? true);
        memory[`set${kind}`](p + offset, value, order);
        expect([...heap.memory.read(p + offset, size)]).toEqual([...new Uint8Array(host.buffer)]);
        expect(memory[`get${kind}`](p + offset, order)).toBe(value);
        for (const other of [true, false]) {
          expect(memory[`get${kind}`](p + offset, other)).toBe(host[`get${kind}`](0, other));
        }
      }
    }
    expect(heap.checker.findings).toEqual([]);
  });
});

test("a recorded memory hands the byte order on", () => {
  const heap = openHeap();
  const p = heap.malloc(16);
  using _recording = heap.record({ write: () => true });
  heap.memory.setUint32(p, 0x01020304, false);
  expect([heap.memory.getUint8(p), heap.memory.getUint32(p, false)]).toEqual([1, 0x01020304]);
});
