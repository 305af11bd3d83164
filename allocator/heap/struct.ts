// Typed views of simulated memory: a C struct's layout, and an object whose properties are loads and stores.
// Allocating and freeing is the heap's; nothing is copied, each access goes to memory.

import type { Address, ByteCount } from "../../platform/hardware/integers.ts";
import { atProgram } from "../../platform/host/stack.ts";
import type { Memory } from "../common/memory.ts";

/** Kinds of fields, by DataView's names. */
export type FieldType =
  | "uint8"
  | "int8"
  | "uint16"
  | "int16"
  | "uint32"
  | "int32"
  | "float32"
  | "float64"
  | "bigUint64"
  | "bigInt64"
  | "pointer";

/** A struct's fields in their order in memory. */
export type StructLayout = Readonly<Record<string, FieldType>>;

/** What a field's property is in TypeScript. */
export type FieldValue<Type extends FieldType> = Type extends "bigUint64" | "bigInt64" ? bigint : number;

/** A view: one property a field, and where it lies. */
export type StructView<Layout extends StructLayout> = {
  -readonly [Name in keyof Layout]: FieldValue<Layout[Name]>;
} & {
  /** Address of the struct. */
  readonly pointer: Address;
};

interface FieldAccess {
  readonly size: ByteCount;
  readonly load: (memory: Memory, address: Address) => number | bigint;
  readonly store: (memory: Memory, address: Address, value: never) => void;
}

const ACCESSES: Readonly<Record<FieldType, FieldAccess>> = {
  uint8: { size: 1, load: (m, a) => m.getUint8(a), store: (m, a, v) => m.setUint8(a, v) },
  int8: { size: 1, load: (m, a) => m.getInt8(a), store: (m, a, v) => m.setInt8(a, v) },
  uint16: { size: 2, load: (m, a) => m.getUint16(a), store: (m, a, v) => m.setUint16(a, v) },
  int16: { size: 2, load: (m, a) => m.getInt16(a), store: (m, a, v) => m.setInt16(a, v) },
  uint32: { size: 4, load: (m, a) => m.getUint32(a), store: (m, a, v) => m.setUint32(a, v) },
  int32: { size: 4, load: (m, a) => m.getInt32(a), store: (m, a, v) => m.setInt32(a, v) },
  float32: { size: 4, load: (m, a) => m.getFloat32(a), store: (m, a, v) => m.setFloat32(a, v) },
  float64: { size: 8, load: (m, a) => m.getFloat64(a), store: (m, a, v) => m.setFloat64(a, v) },
  bigUint64: { size: 8, load: (m, a) => m.getBigUint64(a), store: (m, a, v) => m.setBigUint64(a, v) },
  bigInt64: { size: 8, load: (m, a) => m.getBigInt64(a), store: (m, a, v) => m.setBigInt64(a, v) },
  // An address is a whole number below 2^53 here, and a 64-bit word in memory.
  pointer: { size: 8, load: (m, a) => Number(m.getBigUint64(a)), store: (m, a, v) => m.setBigUint64(a, BigInt(v)) },
};

/** Where each field lies, as a C compiler for 64 bits would place it: aligned to its own size, the whole to the largest. */
export interface PlacedLayout {
  readonly offsets: Readonly<Record<string, number>>;
  readonly size: ByteCount;
  readonly alignment: number;
}

/** @throws TypeError for a layout that is no object, an unknown field type, a field named `pointer`, or no field at all */
export function placeLayout(layout: StructLayout): PlacedLayout {
  if (typeof layout !== "object" || layout === null)
    throw atProgram(new TypeError("struct: a layout is an object of field types"));
  const offsets: Record<string, number> = Object.create(null);
  let end = 0;
  let alignment = 1;
  for (const [name, type] of Object.entries(layout)) {
    if (name === "pointer")
      throw atProgram(new TypeError("struct: a field cannot be named 'pointer', which is where the struct lies"));
    const access = Object.hasOwn(ACCESSES, type) ? ACCESSES[type] : undefined;
    if (access === undefined) {
      const known = Object.keys(ACCESSES).join(", ");
      throw atProgram(
        new TypeError(`struct: field '${name}' has type '${String(type)}', which is not one of ${known}`),
      );
    }
    const offset = Math.ceil(end / access.size) * access.size;
    offsets[name] = offset;
    end = offset + access.size;
    alignment = Math.max(alignment, access.size);
  }
  if (end === 0) throw atProgram(new TypeError("struct: a layout has at least one field"));
  return { offsets, size: Math.ceil(end / alignment) * alignment, alignment };
}

/**
 * The view of a struct of this layout at `pointer`. `heap` is asked for its memory at each access, so that threads, recordings and
 * the heap's end count.
 */
export function viewStruct<Layout extends StructLayout>(
  heap: { readonly memory: Memory },
  layout: Layout,
  pointer: Address,
): StructView<Layout> {
  const { offsets } = placeLayout(layout);
  const view = Object.create(null) as StructView<Layout>;
  Object.defineProperty(view, "pointer", { value: pointer });
  for (const [name, type] of Object.entries(layout)) {
    const { load, store } = ACCESSES[type];
    const address = pointer + offsets[name]!;
    Object.defineProperty(view, name, {
      enumerable: true,
      get: () => load(heap.memory, address),
      set: (value: never) => store(heap.memory, address, value),
    });
  }
  return view;
}

/** A struct that frees its chunk at the end of a `using` block. */
export type OwnedStruct<Layout extends StructLayout> = StructView<Layout> & Disposable;

/** What strings and structs are made with: a heap, or what a recording has made of it. */
export interface ObjectHeap {
  readonly memory: Memory;
  malloc(size: ByteCount): Address;
  calloc(count: number, size: ByteCount): Address;
  free(pointer: Address): void;
}

const utf8 = new TextEncoder();

/** @returns a fresh chunk with the text and a NUL, or 0 */
export function makeString(heap: ObjectHeap, text: string): number {
  if (typeof text !== "string") throw atProgram(new TypeError(`string: ${typeof text} is not a string`));
  const bytes = utf8.encode(`${text}\0`);
  const pointer = heap.malloc(bytes.length);
  if (pointer !== 0) heap.memory.write(pointer, bytes);
  return pointer;
}

/** @throws TypeError: a layout that C could not have. RangeError: no memory. */
export function makeStruct<Layout extends StructLayout>(heap: ObjectHeap, layout: Layout): OwnedStruct<Layout> {
  const { size } = placeLayout(layout);
  const pointer = heap.calloc(1, size);
  if (pointer === 0) throw atProgram(new RangeError(`struct: no memory for ${size} bytes`));
  const view = viewStruct(heap, layout, pointer);
  return Object.defineProperty(view, Symbol.dispose, { value: () => heap.free(pointer) }) as OwnedStruct<Layout>;
}
