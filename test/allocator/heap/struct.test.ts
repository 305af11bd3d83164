// Typed views of simulated memory: placed as C does, each property a load or store.
import { describe, expect, test } from "vitest";
import { type FieldType, placeLayout, type StructLayout, viewStruct } from "../../../allocator/heap/struct.ts";
import { Kernel } from "../../../platform/kernel/kernel.ts";
import { openHeap } from "../open-heap.ts";

const PROT_READ_WRITE = 3;
const MAP_PRIVATE_ANONYMOUS = 0x22;

function createMemory() {
  const process = new Kernel({ memoryBytes: 2 ** 24 }).createProcess();
  return { memory: process.memory, pointer: process.mmap(0, 4096, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS) };
}

describe("a layout", () => {
  test("aligns each field to its size and the whole to its largest field", () => {
    const placed = placeLayout({ tag: "uint8", value: "float64", count: "uint16", next: "pointer", last: "int8" });
    expect(placed.offsets).toEqual({ tag: 0, value: 8, count: 16, next: 24, last: 32 });
    expect(placed).toMatchObject({ size: 40, alignment: 8 });
  });

  test("of bytes alone has no padding", () => {
    expect(placeLayout({ a: "uint8", b: "int8", c: "uint8" })).toMatchObject({ size: 3, alignment: 1 });
  });

  test.each([
    [{ x: "uint24" }, "type 'uint24'"],
    [{ pointer: "uint8" }, "cannot be named 'pointer'"],
    [{}, "at least one field"],
  ])("%j is refused", (layout, message) => {
    expect(() => placeLayout(layout as StructLayout)).toThrow(TypeError);
    expect(() => placeLayout(layout as StructLayout)).toThrow(message);
  });
});

describe("a view", () => {
  const values: [FieldType, number | bigint][] = [
    ["uint8", 255],
    ["int8", -1],
    ["uint16", 65535],
    ["int16", -2],
    ["uint32", 4294967295],
    ["int32", -3],
    ["float32", 1.5],
    ["float64", Math.PI],
    ["bigUint64", 2n ** 64n - 1n],
    ["bigInt64", -4n],
    ["pointer", 2 ** 52 - 1],
  ];

  test.each(values)("stores and loads a %s", (type, value) => {
    const { memory, pointer } = createMemory();
    const view = viewStruct({ memory }, { field: type }, pointer) as { field: number | bigint };
    view.field = value;
    expect(view.field).toBe(value);
  });

  test("is memory itself: a store to the address is seen by the property, and the other way round", () => {
    const { memory, pointer } = createMemory();
    const view = viewStruct({ memory }, { a: "uint32", b: "uint32" }, pointer);
    memory.setUint32(pointer + 4, 7);
    expect(view.b).toBe(7);
    view.a = 9;
    expect(memory.getUint32(pointer)).toBe(9);
  });

  test("lists its fields, and says where it lies", () => {
    const { memory, pointer } = createMemory();
    const view = viewStruct({ memory }, { a: "uint32", b: "uint32" }, pointer);
    expect(Object.keys(view)).toEqual(["a", "b"]);
    expect(view.pointer).toBe(pointer);
  });
});

describe("names that every object has", () => {
  test.each(["constructor", "toString", "__proto__"])("%s is no type", (type) => {
    expect(() => placeLayout({ field: type as FieldType })).toThrow(/field 'field' has type .* not one of/);
  });

  test("are fields like others", () => {
    const layout: Record<string, FieldType> = JSON.parse(
      '{ "first": "uint32", "__proto__": "uint32", "constructor": "uint8" }',
    );
    const { memory, pointer } = createMemory();
    const view = viewStruct({ memory }, layout, pointer);
    Reflect.set(view, "__proto__", 7);
    expect(memory.getUint32(pointer + 4)).toBe(7);
    expect(placeLayout(layout).size).toBe(12);
  });

  test.each([null, undefined, "uint8", 3])("a layout is an object, not %s", (layout) => {
    expect(() => placeLayout(layout as unknown as Record<string, FieldType>)).toThrow("a layout is an object");
  });
});

test("a struct of a heap that has ended says so at every access", () => {
  const heap = openHeap();
  const struct = heap.struct({ x: "uint32" });
  heap[Symbol.dispose]();
  expect(() => struct.x).toThrow("the heap was disposed of");
  expect(() => {
    struct.x = 1;
  }).toThrow("the heap was disposed of");
});
